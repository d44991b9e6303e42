/* The yardstick for a direct message: connections are paired as they come, each feeds its other. */
#include "base.h"

static char buffer[BUFFER_BYTES];
static int other[DESCRIPTORS_MAX];
static int waiting;

static void on_open(int fd)
{
    other[fd] = waiting;
    if (waiting > 0) {
        other[waiting] = fd;
        waiting = 0;
    } else {
        waiting = fd;
    }
}

static void leave(int fd)
{
    if (other[fd] > 0)
        other[other[fd]] = 0;
    if (waiting == fd)
        waiting = 0;
    close(fd);
}

static void on_event(int fd, unsigned events)
{
    (void)events;
    ssize_t got = recv(fd, buffer, sizeof buffer, 0);
    if (got <= 0)
        leave(fd);
    else if (other[fd] > 0)
        send_all(other[fd], buffer, (size_t)got);
}

int main(void)
{
    serve();
}
