/* System calls that fail at a test's wish: each looks for a file of the fault's name in $SHIM. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <termios.h>
#include <unistd.h>

static int is_wanted(const char *fault) {
    char path[4096];
    const char *folder = getenv("SHIM");
    int kept = errno, wanted;
    if (folder == NULL) return 0;
    snprintf(path, sizeof path, "%s/%s", folder, fault);
    wanted = access(path, F_OK) == 0;
    errno = kept;
    return wanted;
}

static void mark(const char *name) {
    char path[4096];
    int fd;
    snprintf(path, sizeof path, "%s/%s", getenv("SHIM"), name);
    fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (fd >= 0) close(fd);
}

static ssize_t fail(int error) {
    errno = error;
    return -1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t sendfile(int to, int from, off_t *offset, size_t count) {
    ssize_t (*real)(int, int, off_t *, size_t) = dlsym(RTLD_NEXT, "sendfile");
    while (is_wanted("sendfile-hangs")) {
        mark("hung");
        pause();
    }
    if (is_wanted("sendfile-EINVAL")) return fail(EINVAL);
    if (is_wanted("sendfile-EIO")) return fail(EIO);
    return real(to, from, offset, count);
}

ssize_t pread(int fd, void *buffer, size_t count, off_t offset) {
    if (is_wanted("pread-EIO")) return fail(EIO);
    return REAL(pread)(fd, buffer, count, offset);
}

ssize_t preadv2(int fd, const struct iovec *pieces, int count, off_t offset, int flags) {
    if (is_wanted("preadv2-lies")) return -2;
    if (is_wanted("preadv2-EIO")) return fail(EIO);
    return REAL(preadv2)(fd, pieces, count, offset, flags);
}

int accept4(int fd, struct sockaddr *restrict address, socklen_t *restrict room, int flags) {
    if (is_wanted("accept4-EMFILE")) return (int)fail(EMFILE);
    if (is_wanted("accept4-ENFILE")) return (int)fail(ENFILE);
    if (is_wanted("accept4-ENOBUFS")) return (int)fail(ENOBUFS);
    if (is_wanted("accept4-ENOMEM")) return (int)fail(ENOMEM);
    return REAL(accept4)(fd, address, room, flags);
}

/* The server receives without the C library. recvfrom(2) of the calling thread fails for good, but
   with one of these flags. */
static void deny_receiving(int flags_that_may) {
    static __thread int is_denied;
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_recvfrom, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[3])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, flags_that_may, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOMEM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof steps / sizeof *steps, steps};
    if (is_denied) return;
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) abort();
    is_denied = 1;
}

static int wait_really(int epoll, struct epoll_event *events, int room, int timeout_ms) {
    int count = REAL(epoll_wait)(epoll, events, room, timeout_ms);
    if (is_wanted("recv-ENOMEM")) deny_receiving(0);
    if (is_wanted("recv-but-peek-ENOMEM")) deny_receiving(MSG_PEEK);
    return count;
}

int epoll_wait(int epoll, struct epoll_event *events, int room, int timeout_ms) {
    char fault[64] = "epoll_wait-EBADF-", *thread = fault + 17;
    if (is_wanted("epoll_wait-EBADF")) return (int)fail(EBADF);
    prctl(PR_GET_NAME, thread);
    if (is_wanted(fault)) return (int)fail(EBADF);
    if (is_wanted("epoll_wait-lies")) return room + 1;
    return wait_really(epoll, events, room, timeout_ms);
}

int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event) {
    if (operation != EPOLL_CTL_DEL && is_wanted("epoll_ctl-ENOSPC")) return (int)fail(ENOSPC);
    if (operation == EPOLL_CTL_ADD && is_wanted("epoll_ctl-ADD-ENOMEM")) return (int)fail(ENOMEM);
    if (operation == EPOLL_CTL_MOD && is_wanted("epoll_ctl-MOD-ENOMEM")) return (int)fail(ENOMEM);
    return REAL(epoll_ctl)(epoll, operation, fd, event);
}

static int is_kind(int fd, mode_t kind) {
    struct stat stat;
    int kept = errno, is_so = fstat(fd, &stat) == 0 && (stat.st_mode & S_IFMT) == kind;
    errno = kept;
    return is_so;
}

ssize_t write(int fd, const void *buffer, size_t count) {
    ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
    if (is_wanted("write-lies") && is_kind(fd, S_IFREG)) return (ssize_t)count + 1;
    if (fd > STDERR_FILENO) {
        if (is_wanted("write-pipe-ENOMEM") && is_kind(fd, S_IFIFO)) return fail(ENOMEM);
        if (is_wanted("write-terminal-EIO") && is_kind(fd, S_IFCHR)) return fail(EIO);
    }
    return real(fd, buffer, count);
}

int fsync(int fd) {
    if (is_wanted("fsync-directory-EIO") && is_kind(fd, S_IFDIR)) return (int)fail(EIO);
    return REAL(fsync)(fd);
}

int openat(int folder, const char *path, int flags, ...) {
    int (*real)(int, const char *, int, ...) = dlsym(RTLD_NEXT, "openat");
    mode_t mode = 0;
    if (flags & O_CREAT) {
        va_list rest;
        va_start(rest, flags);
        mode = va_arg(rest, mode_t);
        va_end(rest);
        if (is_wanted("create-EROFS")) return (int)fail(EROFS);
        if (is_wanted("create-EACCES")) return (int)fail(EACCES);
        if (is_wanted("create-ENOSPC")) return (int)fail(ENOSPC);
    }
    return real(folder, path, flags, mode);
}

int poll(struct pollfd *fds, nfds_t count, int timeout_ms) {
    static int failed;
    if (is_wanted("poll-ENOMEM")) {
        mark("poll-failed");
        /* Threads that pause come to some hundred of these in a test. */
        if (__atomic_add_fetch(&failed, 1, __ATOMIC_RELAXED) > 20000) mark("poll-spins");
        return (int)fail(ENOMEM);
    }
    return REAL(poll)(fds, count, timeout_ms);
}

ssize_t read(int fd, void *buffer, size_t count) {
    if (fd > STDERR_FILENO) {
        if (is_wanted("read-pipe-EIO") && is_kind(fd, S_IFIFO)) return fail(EIO);
        if (is_wanted("read-terminal-EIO") && is_kind(fd, S_IFCHR)) return fail(EIO);
    }
    return REAL(read)(fd, buffer, count);
}

int open(const char *path, int flags, ...) {
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
    mode_t mode = 0;
    if (flags & O_CREAT) {
        va_list rest;
        va_start(rest, flags);
        mode = va_arg(rest, mode_t);
        va_end(rest);
    }
    if (is_wanted("open-null-EACCES") && strcmp(path, "/dev/null") == 0) return (int)fail(EACCES);
    return real(path, flags, mode);
}

int posix_openpt(int flags) {
    if (is_wanted("posix_openpt-ENOSPC")) return (int)fail(ENOSPC);
    return REAL(posix_openpt)(flags);
}

int tcgetattr(int fd, struct termios *modes) {
    if (is_wanted("tcgetattr-EIO")) return (int)fail(EIO);
    return REAL(tcgetattr)(fd, modes);
}
