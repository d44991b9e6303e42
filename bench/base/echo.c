/* The yardstick for echo: recv, send. No lines, no limits. */
#include "base.h"

static char buffer[BUFFER_BYTES];

static void on_open(int fd)
{
    (void)fd;
}

static void on_event(int fd, unsigned events)
{
    (void)events;
    ssize_t got = recv(fd, buffer, sizeof buffer, 0);
    if (got > 0)
        send_all(fd, buffer, (size_t)got);
    else if (got == 0 || errno != EAGAIN)
        close(fd);
}

int main(void)
{
    serve();
}
