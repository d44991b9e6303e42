"""Which system calls can fail, and how: from their man pages, without what only a defect of the
caller brings about (EBADF, EFAULT, EINVAL).

Each row is a call, what its line in the trace has to hold (`strace -y` names descriptors), and the
errnos. The first row that fits counts; what fits none is not made to fail."""

import re

PIPE, EVENTFD, UNIX, PTY = r"<pipe:", r"<anon_inode:\[eventfd\]>", r"<UNIX", r"</dev/ptmx"

SERVING = [
    ("accept4", "", "EMFILE ENFILE ENOBUFS ENOMEM ECONNABORTED EPROTO EPERM EINTR EAGAIN "
                    "ENETDOWN EHOSTUNREACH ETIMEDOUT"),
    ("getsockopt", "SO_PEERCRED", "ENOBUFS ENOMEM"),
    ("getsockopt", "", "ENOBUFS"),
    ("setsockopt", "", "ENOBUFS ENOMEM"),
    ("epoll_wait", "", "EINTR"),
    ("epoll_ctl", "EPOLL_CTL_ADD", "ENOMEM ENOSPC"),
    ("epoll_ctl", "EPOLL_CTL_MOD", "ENOMEM"),
    ("recvfrom", "", "ECONNRESET ETIMEDOUT EHOSTUNREACH ENOMEM EINTR EAGAIN"),
    ("sendto", UNIX, "ENOBUFS ENOMEM EINTR EAGAIN"),
    ("sendfile", UNIX, "EIO ENOMEM EINTR EAGAIN"),
    ("splice", UNIX, "ENOMEM EINTR EAGAIN"),
    ("sendto", "", "EPIPE ECONNRESET ETIMEDOUT EHOSTUNREACH ENOBUFS ENOMEM EINTR EAGAIN"),
    ("sendmsg", "", "EPIPE ECONNRESET ETIMEDOUT EHOSTUNREACH ENOBUFS ENOMEM EINTR EAGAIN"),
    ("sendfile", "", "EIO ENOMEM EPIPE ECONNRESET EINTR EAGAIN"),
    ("splice", "", "ENOMEM EPIPE ECONNRESET EINTR EAGAIN"),
    ("shutdown", "", "ENOTCONN ENOBUFS"),
    ("openat2", "", "EACCES ENOENT ELOOP EMFILE ENFILE ENOMEM EIO ESTALE EINTR EAGAIN"),
    ("openat", "/dev/ptmx", "EACCES EMFILE ENFILE ENOMEM ENOSPC EIO"),
    ("openat", "O_RDONLY", "EACCES EMFILE ENFILE ENOMEM EIO EINTR"),
    ("openat", "", "EACCES EMFILE ENFILE ENOMEM ENOSPC EDQUOT EROFS EIO EINTR"),
    ("newfstatat", "", "EIO ENOMEM ESTALE EACCES"),
    ("statx", "", "EIO ENOMEM ESTALE EACCES"),
    ("fstat", "", "EIO ENOMEM ESTALE"),
    ("lseek", "", "EIO"),
    ("getdents64", "", "EIO ENOENT ENOMEM"),
    ("preadv2", "", "EIO EOPNOTSUPP ENOMEM EINTR EAGAIN"),
    ("pread64", "", "EIO ENOMEM EINTR"),
    ("readahead", "", "EIO ENOMEM"),
    ("fadvise64", "", "EIO"),
    ("read", EVENTFD, ""),
    ("read", PTY, "EIO EINTR EAGAIN"),
    ("read", PIPE, "EIO ENOMEM EINTR EAGAIN"),
    ("read", "", "EIO EINTR EAGAIN"),
    ("write", EVENTFD, ""),
    ("write", PTY, "EIO EINTR EAGAIN"),
    ("write", PIPE, "EPIPE ENOMEM EINTR EAGAIN"),
    ("write", "<.*/log>", "ENOSPC EIO EPIPE EINTR EAGAIN"),
    ("write", "", "ENOSPC EDQUOT EFBIG EIO EINTR EAGAIN"),
    ("fsync", "", "EIO ENOSPC EDQUOT EINTR"),
    ("fdatasync", "", "EIO ENOSPC EDQUOT EINTR"),
    ("renameat", "", "ENOSPC EDQUOT EIO EACCES EROFS ENOENT"),
    ("renameat2", "", "ENOSPC EDQUOT EIO EACCES EROFS EEXIST EINVAL"),
    ("linkat", "", "ENOSPC EDQUOT EIO EACCES EROFS EPERM"),
    ("unlinkat", "", "EIO EACCES EROFS"),
    ("pipe2", "", "EMFILE ENFILE ENOMEM"),
    ("fcntl", "F_SETPIPE_SZ", "EPERM EBUSY ENOMEM"),
    ("fcntl", "F_DUPFD", "EMFILE"),
    ("ioctl", "TIOCSWINSZ|TIOCSPTLCK|TIOCGPT|TCGETS|TCSETS", "EIO EINTR"),
    ("ioctl", "FIONREAD", "ENOMEM"),
    ("clone", "", "EAGAIN ENOMEM EPERM"),
    ("waitid", "", "EINTR"),
    ("kill", "", "ESRCH EPERM"),
    ("poll", "", "EINTR ENOMEM"),
    ("ppoll", "", "EINTR ENOMEM"),
    ("mmap", "", "ENOMEM"),
]

LASTING = {"poll"}
"""Calls that are also made to fail each time, for as long as the job takes: to go on is not enough,
whoever made the call must not spin."""

ALLOWED = {
    "no such command": {("execve", "ENOENT"), ("execve", "EACCES")},
    "input closed": {("write", "EPIPE")},
}
"""What is right after these faults only: jobs.NO_COMMAND and jobs.INPUT_CLOSED."""

CHILD = [
    ("setsid", "", "EPERM"),
    ("setpgid", "", "EPERM EACCES"),
    ("dup2", "", "EMFILE EINTR EBUSY"),
    ("ioctl", "TIOCSCTTY", "EPERM EIO"),
    ("prlimit64", "", "EPERM"),
    ("execve", "", "E2BIG EACCES EAGAIN EIO ELOOP EMFILE ENFILE ENOENT ENOMEM ETXTBSY"),
]

STARTING = [
    ("signalfd4", "", "EMFILE ENFILE ENOMEM"),
    ("socket", "", "EMFILE ENFILE ENOBUFS ENOMEM EACCES EAFNOSUPPORT"),
    ("setsockopt", "", "ENOBUFS ENOMEM"),
    ("bind", "", "EACCES EADDRINUSE EADDRNOTAVAIL ENOMEM EROFS"),
    ("listen", "", "EADDRINUSE ENOMEM"),
    ("getsockname", "", "ENOBUFS"),
    ("chmod", "", "EPERM EROFS EIO"),
    ("fchmod", "", "EPERM EROFS EIO"),
    ("epoll_create1", "", "EMFILE ENFILE ENOMEM"),
    ("epoll_ctl", "EPOLL_CTL_ADD", "ENOMEM ENOSPC"),
    ("eventfd2", "", "EMFILE ENFILE ENOMEM"),
    ("pipe2", "", "EMFILE ENFILE ENOMEM"),
    ("clone3", "", "EAGAIN ENOMEM EPERM"),
    ("prlimit64", "", "EPERM"),
    ("setpriority", "", "EPERM EACCES"),
    ("openat", "", "EACCES EMFILE ENFILE ENOMEM ENOENT EIO EINTR"),
    ("openat2", "", "EACCES EMFILE ENFILE ENOMEM ENOENT EIO EINTR"),
    ("newfstatat", "", "EIO EACCES"),
    ("statx", "", "EIO EACCES"),
    ("fcntl", "F_DUPFD", "EMFILE"),
    ("connect", "", "ECONNREFUSED EAGAIN"),
    ("write", "<.*/log>", "ENOSPC EIO EINTR"),
]


def row_of(rows, line):
    """(call, pattern, errnos) for a line of the trace; None where it is not to fail."""
    name = re.match(r"(?:\d+ +)?(\w+)\(", line)
    if not name:
        return None
    for call, pattern, errnos in rows:
        if call == name[1] and re.search(pattern, line):
            return (call, pattern, errnos.split()) if errnos else None
    return None
