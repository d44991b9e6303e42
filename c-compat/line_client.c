/*
 * line_client [-o OUT] HOST PORT
 * line_client -d FILE [-o OUT] HOST PORT
 *
 * The client of the echo server with its two features, and of its IPv4/IPv6 form: standard input
 * goes to the server, each line a request (`download FILE`, `run COMMAND`, anything to be echoed);
 * what the server writes goes to standard output, or with -o is saved as OUT. At the end of input
 * it shuts down its sending side and goes on until the server closes. Bytes pass unchanged, both
 * ways and at once, so neither side can make the other wait for ever.
 *
 * -d asks for FILE, then quits, and saves the reply as `client_` and FILE's base name, or OUT. A
 * plain reply does not say how long it is: a file that consists of nothing but one line such as
 * `error no-such-file: …` is taken for a refusal. framed_download has neither weakness.
 *
 * Exit statuses: client.h. Without -d, refusals are passed on as they come and do not count.
 */
#include <fcntl.h>
#include <poll.h>

#include "client.h"
#include "landline_dial.h"
#include "save.h"

static const char PROGRAM[] = "line_client";
static const char USAGE[] = "line_client [-d FILE] [-o OUT] HOST PORT";

/* Longest line that is looked at as a refusal, in bytes: a server's text is below it. */
#define HEAD_BYTES_MAX 1024

/* What goes to the server and was not sent yet. */
struct outgoing {
    char bytes[65536];
    size_t start, end;
    bool ended; /* nothing will be added */
    bool shut;  /* all was sent, and the sending side is shut down */
};

/* What came from the server. */
struct incoming {
    bool saved; /* to a file, not to standard output */
    char head[HEAD_BYTES_MAX];
    size_t head_len; /* as much of it as `head` holds, and one more where there was more */
};

/* Adds standard input to what is to be sent. Call only when all was sent. */
static void read_input(struct outgoing *out)
{
    ssize_t got = read(STDIN_FILENO, out->bytes, sizeof out->bytes);
    out->start = 0;
    out->end = got > 0 ? (size_t)got : 0;
    out->ended = got == 0 || (got < 0 && errno != EINTR);
}

/* Sends what the socket takes. A server that is gone is found by reading, which ends it. */
static void send_some(int fd, struct outgoing *out)
{
    ssize_t sent = send(fd, out->bytes + out->start, out->end - out->start, MSG_NOSIGNAL);
    if (sent >= 0) {
        out->start += (size_t)sent;
    } else if (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK) {
        out->start = out->end;
        out->ended = true;
    }
}

/* Passes on what came. False with errno set. */
static bool deliver(struct incoming *in, const char *bytes, size_t count)
{
    size_t room = sizeof in->head - in->head_len;
    size_t kept = count < room ? count : room;
    memcpy(in->head + in->head_len, bytes, kept);
    in->head_len += kept;
    return in->saved ? save_write(bytes, count) : client_write(STDOUT_FILENO, bytes, count);
}

/* Reads and delivers once. Returns -1 to go on, or an exit status. */
static int receive(int fd, struct incoming *in)
{
    static char bytes[65536];
    ssize_t got = recv(fd, bytes, sizeof bytes, 0);
    if (got == 0)
        return EXIT_DONE;
    if (got > 0 && !deliver(in, bytes, (size_t)got))
        return client_fail(EXIT_REFUSED, PROGRAM, "cannot write", strerror(errno));
    if (got < 0 && errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK)
        return client_fail(EXIT_BROKEN, PROGRAM, "connection lost", strerror(errno));
    return -1;
}

/* Sends and receives until the server closes. Returns an exit status. */
static int pump(int fd, struct outgoing *out, struct incoming *in)
{
    for (;;) {
        bool unsent = out->start < out->end;
        if (!unsent && out->ended && !out->shut) {
            shutdown(fd, SHUT_WR);
            out->shut = true;
        }
        struct pollfd ready[] = {
            { .fd = fd, .events = unsent ? POLLIN | POLLOUT : POLLIN },
            { .fd = unsent || out->ended ? -1 : STDIN_FILENO, .events = POLLIN },
        };
        if (poll(ready, 2, -1) < 0)
            continue;
        if (unsent && (ready[0].revents & POLLOUT) != 0)
            send_some(fd, out);
        if ((ready[0].revents & ~POLLOUT) != 0) {
            int status = receive(fd, in);
            if (status >= 0)
                return status;
        }
        if (ready[1].revents != 0)
            read_input(out);
    }
}

/* True where all that came is one line, and that is a refusal. */
static bool is_refused(const struct incoming *in)
{
    const char *end = memchr(in->head, '\n', in->head_len);
    bool one_line = end != NULL && end + 1 == in->head + in->head_len;
    return one_line && in->head_len < HEAD_BYTES_MAX && client_is_refusal(in->head, in->head_len);
}

/* Keeps or drops what was saved. Returns the exit status that it comes to. */
static int finish_saving(const struct incoming *in, bool download, int status)
{
    bool refused = download && status == EXIT_DONE && is_refused(in);
    if (refused) {
        fprintf(stderr, "%s: %.*s", PROGRAM, (int)in->head_len, in->head);
        status = EXIT_REFUSED;
    }
    if (status != EXIT_DONE)
        save_abort();
    else if (!save_commit())
        status = client_fail(EXIT_REFUSED, PROGRAM, saving.target, strerror(errno));
    return status;
}

/* The two requests of -d. False where FILE cannot be asked for. */
static bool ask_for(const char *file, struct outgoing *out)
{
    if (*file == '\0' || strchr(file, '\n') != NULL)
        return false;
    int len = snprintf(out->bytes, sizeof out->bytes, "download %s\nquit\n", file);
    out->end = len < 0 ? 0 : (size_t)len;
    out->ended = true;
    return len > 0 && (size_t)len < sizeof out->bytes;
}

int main(int argc, char *argv[])
{
    static struct outgoing out;
    static struct incoming in;
    static char name[NAME_MAX + 1];
    const char *file = NULL;
    const char *target = NULL;
    bool good = true;
    for (int option; (option = getopt(argc, argv, "d:o:")) != -1;) {
        file = option == 'd' ? optarg : file;
        target = option == 'o' ? optarg : target;
        good = good && option != '?';
    }
    if (file != NULL) {
        good = good && ask_for(file, &out);
        if (target == NULL && save_default_name(file, name, sizeof name))
            target = name;
        good = good && target != NULL;
    }
    if (!good || argc - optind != 2)
        return client_usage(USAGE);

    char why[512];
    int fd = landline_dial(argv[optind], argv[optind + 1], why, sizeof why);
    if (fd < 0)
        return client_fail(EXIT_UNREACHED, PROGRAM, "cannot connect", why);
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        return client_fail(EXIT_UNREACHED, PROGRAM, "fcntl", strerror(errno));
    in.saved = target != NULL;
    if (in.saved && !save_begin(target))
        return client_fail(EXIT_REFUSED, PROGRAM, target, strerror(errno));
    int status = pump(fd, &out, &in);
    if (in.saved)
        status = finish_saving(&in, file != NULL, status);
    close(fd);
    return status;
}
