/*
 * The yardstick for run: any line → pipe, vfork, exec of one fixed program, splice of its output,
 * wait, close. One command a connection. Usage: run PROGRAM [ARGUMENT]...
 */
#include "base.h"

#include <fcntl.h>
#include <sys/wait.h>

enum { PIPE_BYTES = 65536 };

static char buffer[BUFFER_BYTES];
static char **program;

/* For a pipe's descriptor: the socket its bytes go to (0: this is a socket), and the child. */
static struct command {
    int socket;
    pid_t child;
} commands[DESCRIPTORS_MAX];

static void on_open(int fd)
{
    commands[fd].socket = 0;
}

static void start(int fd)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        die("pipe2");
    pid_t child = vfork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        execv(program[0], program);
        _exit(127);
    }
    if (child < 0)
        die("vfork");
    close(ends[1]);
    commands[ends[0]] = (struct command){.socket = fd, .child = child};
    watch(EPOLL_CTL_ADD, ends[0], EPOLLIN);
    watch(EPOLL_CTL_DEL, fd, 0);
}

/* The pipe was reported ready, so EAGAIN can only mean that the socket is full. */
static void on_output(int pipe)
{
    struct command *command = &commands[pipe];
    ssize_t moved = splice(pipe, NULL, command->socket, NULL, PIPE_BYTES, SPLICE_F_NONBLOCK);
    if (moved > 0)
        return;
    if (moved < 0 && errno == EAGAIN) {
        struct pollfd full = {.fd = command->socket, .events = POLLOUT};
        poll(&full, 1, -1);
        return;
    }
    /* Closing is not enough: vfork returns before the exec of another child has closed its copy of
     * this descriptor, and for that long epoll would go on reporting a number used anew. */
    watch(EPOLL_CTL_DEL, pipe, 0);
    close(pipe);
    waitpid(command->child, NULL, 0);
    close(command->socket);
    command->socket = 0;
}

static void on_event(int fd, unsigned events)
{
    (void)events;
    if (commands[fd].socket > 0) {
        on_output(fd);
        return;
    }
    if (recv(fd, buffer, sizeof buffer, 0) > 0)
        start(fd);
    else
        close(fd);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        die("usage: run PROGRAM [ARGUMENT]...");
    program = argv + 1;
    serve();
}
