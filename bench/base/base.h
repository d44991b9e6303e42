/*
 * What the bare loops share: a listener on a free loopback port, and one epoll loop.
 *
 * These loops are a yardstick: the system calls the job needs and nothing else. No limits, no
 * time-outs, no parsing beyond what the job cannot do without; not to be used for anything else.
 * TCP_NODELAY is set on the listener, from which accepted sockets inherit it.
 */
#ifndef BASE_H
#define BASE_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER_BYTES = 65536, DESCRIPTORS_MAX = 65536, EVENTS_MAX = 256 };

static int epoll;

/* What a program of this folder defines. */
static void on_open(int fd);
static void on_event(int fd, unsigned events);

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void watch(int operation, int fd, unsigned events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(epoll, operation, fd, &event) < 0)
        die("epoll_ctl");
}

/* Sends all; waits where the socket is full, which the workloads never let happen for long. */
static inline void send_all(int fd, const char *bytes, size_t left)
{
    while (left > 0) {
        ssize_t sent = send(fd, bytes, left, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            struct pollfd full = {.fd = fd, .events = POLLOUT};
            poll(&full, 1, -1);
        } else if (sent < 0) {
            return;
        } else {
            bytes += sent;
            left -= (size_t)sent;
        }
    }
}

static int listener_on_free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t address_bytes = sizeof address;
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(fd, SOMAXCONN) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &address_bytes) < 0)
        die("listen");
    fprintf(stderr, "listening address=127.0.0.1:%d\n", ntohs(address.sin_port));
    return fd;
}

static void serve(void)
{
    struct epoll_event events[EVENTS_MAX];
    int listener = listener_on_free_port();
    signal(SIGPIPE, SIG_IGN);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    watch(EPOLL_CTL_ADD, listener, EPOLLIN);
    for (;;) {
        int ready = epoll_wait(epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd != listener) {
                on_event(events[i].data.fd, events[i].events);
                continue;
            }
            int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd < 0 || fd >= DESCRIPTORS_MAX)
                continue;
            watch(EPOLL_CTL_ADD, fd, EPOLLIN);
            on_open(fd);
        }
    }
}

#endif
