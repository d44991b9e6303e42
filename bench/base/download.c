/*
 * The yardstick for download: `download FILE` → openat2 beneath the root, fstat, sendfile, close.
 * One request at a time on a connection; a request arrives in one piece. Usage: download ROOT
 */
#include "base.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static char buffer[BUFFER_BYTES];
static int root;

/* The reply in progress on each socket; `left` is 0 where there is none. */
static struct reply {
    int file;
    off_t at;
    size_t left;
} replies[DESCRIPTORS_MAX];

static void on_open(int fd)
{
    replies[fd].left = 0;
}

static void hang_up(int fd)
{
    if (replies[fd].left > 0)
        close(replies[fd].file);
    close(fd);
}

/* Sends what the socket takes, and waits for room with EPOLLOUT only where it took not all. */
static void push(int fd, int was_waiting)
{
    struct reply *reply = &replies[fd];
    while (reply->left > 0) {
        ssize_t sent = sendfile(fd, reply->file, &reply->at, reply->left);
        if (sent > 0) {
            reply->left -= (size_t)sent;
        } else if (sent < 0 && errno == EAGAIN) {
            if (!was_waiting)
                watch(EPOLL_CTL_MOD, fd, EPOLLOUT);
            return;
        } else {
            hang_up(fd);
            return;
        }
    }
    close(reply->file);
    if (was_waiting)
        watch(EPOLL_CTL_MOD, fd, EPOLLIN);
}

static void on_event(int fd, unsigned events)
{
    static const char verb[] = "download ";
    static const size_t verb_bytes = sizeof verb - 1;
    if (replies[fd].left > 0) {
        if (events & (EPOLLERR | EPOLLHUP))
            hang_up(fd);
        else
            push(fd, 1);
        return;
    }
    ssize_t got = recv(fd, buffer, sizeof buffer, 0);
    if (got <= (ssize_t)verb_bytes || memcmp(buffer, verb, verb_bytes) != 0 ||
        buffer[got - 1] != '\n') {
        close(fd);
        return;
    }
    buffer[got - 1] = '\0';
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    struct stat facts;
    int file = (int)syscall(SYS_openat2, root, buffer + verb_bytes, &how, sizeof how);
    if (file < 0 || fstat(file, &facts) < 0 || !S_ISREG(facts.st_mode))
        die(buffer);
    replies[fd] = (struct reply){.file = file, .at = 0, .left = (size_t)facts.st_size};
    push(fd, 0);
}

int main(int argc, char **argv)
{
    if (argc != 2 || (root = open(argv[1], O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
        die("usage: download ROOT");
    serve();
}
