/*
 * landline_dial.h: a connected stream socket, and sending all of something through it. For
 * plain and bare connections, and for landline.h, which speaks frames.
 *
 * What it does NOT do: allocate (but for getaddrinfo), change signals, time out, or race addresses.
 * A peer that is gone makes a send fail with EPIPE, never a SIGPIPE.
 *
 * Needs POSIX.1-2008 (compile with -D_POSIX_C_SOURCE=200809L where -std=c17 is given).
 */
#ifndef LANDLINE_DIAL_H
#define LANDLINE_DIAL_H

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

/* connect(2), taken up again after a signal (POSIX: it then goes on in the background). */
static inline int landline_connect_fd(int fd, const struct sockaddr *to, socklen_t size)
{
    if (connect(fd, to, size) == 0)
        return 0;
    if (errno != EINTR)
        return -1;
    struct pollfd done = { .fd = fd, .events = POLLOUT };
    while (poll(&done, 1, -1) < 0 && errno == EINTR)
        ;
    int error = 0;
    socklen_t error_size = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_size) < 0)
        return -1;
    errno = error;
    return error == 0 ? 0 : -1;
}

/* A connected socket (close-on-exec), or -1 with errno set. */
static inline int landline_dial_one(int family, const struct sockaddr *to, socklen_t size)
{
    int fd = socket(family, SOCK_STREAM, 0);
    if (fd < 0)
        return -1;
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && landline_connect_fd(fd, to, size) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/*
 * A connected socket, or -1 with a text in `why`. Every address of HOST is tried in turn, IPv6 and
 * IPv4, as getaddrinfo(3) orders them. HOST may be `unix:PATH`; PORT is then not looked at.
 */
static inline int landline_dial(const char *host, const char *port, char *why, size_t why_size)
{
    if (strncmp(host, "unix:", 5) == 0) {
        struct sockaddr_un to = { .sun_family = AF_UNIX };
        int fd = -1;
        errno = ENAMETOOLONG;
        if (strlen(host + 5) < sizeof to.sun_path) {
            strcpy(to.sun_path, host + 5);
            fd = landline_dial_one(AF_UNIX, (const struct sockaddr *)&to, sizeof to);
        }
        if (fd < 0)
            snprintf(why, why_size, "%s: %s", host, strerror(errno));
        return fd;
    }
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    int failed = getaddrinfo(host, port, &hints, &found);
    if (failed != 0) {
        const char *text = failed == EAI_SYSTEM ? strerror(errno) : gai_strerror(failed);
        snprintf(why, why_size, "%s port %s: %s", host, port, text);
        return -1;
    }
    int fd = -1;
    for (struct addrinfo *at = found; at != NULL && fd < 0; at = at->ai_next)
        fd = landline_dial_one(at->ai_family, at->ai_addr, at->ai_addrlen);
    if (fd < 0)
        snprintf(why, why_size, "%s port %s: %s", host, port, strerror(errno));
    freeaddrinfo(found);
    return fd;
}

/* Sends all of `parts`, in one system call where the socket takes it. False with errno set. */
static inline bool landline_send_all(int fd, struct iovec *parts, int count)
{
    while (count > 0) {
        struct msghdr message = { .msg_iov = parts, .msg_iovlen = (size_t)count };
        ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR)
            return false;
        size_t left = sent < 0 ? 0 : (size_t)sent;
        while (count > 0 && left >= parts->iov_len) {
            left -= parts->iov_len;
            parts++;
            count--;
        }
        if (count > 0) {
            parts->iov_base = (char *)parts->iov_base + left;
            parts->iov_len -= left;
        }
    }
    return true;
}

#endif
