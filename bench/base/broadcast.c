/* The yardstick for a broadcast: what one connection sends goes to every other, whole chunks. */
#include "base.h"

static char buffer[BUFFER_BYTES];
static int members[DESCRIPTORS_MAX];
static int place[DESCRIPTORS_MAX];
static int count;

static void on_open(int fd)
{
    place[fd] = count;
    members[count++] = fd;
}

static void leave(int fd)
{
    int last = members[--count];
    members[place[fd]] = last;
    place[last] = place[fd];
    close(fd);
}

static void on_event(int fd, unsigned events)
{
    (void)events;
    ssize_t got = recv(fd, buffer, sizeof buffer, 0);
    if (got <= 0) {
        leave(fd);
        return;
    }
    for (int i = 0; i < count; i++)
        if (members[i] != fd)
            send_all(members[i], buffer, (size_t)got);
}

int main(void)
{
    serve();
}
