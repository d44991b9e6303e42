/*
 * bare.h: what the bare clients share. Bare is the manner of the original teaching programs: a
 * message is what ONE send() carries, no newline ends it, and one recv() is taken for its reply.
 * The server's listener must have `+bare` (docs/PROTOCOL.md, section 2).
 *
 * TCP keeps no such borders: two messages sent close together reach the server as one, and the
 * first one is known to be bare only when 100 ms have passed without a newline. So a message that
 * does not wait for a reply keeps BARE_GAP_MS away from the one before: faster than people type.
 */
#ifndef BARE_H
#define BARE_H

#include <poll.h>
#include <stdint.h>
#include <time.h>

#include "client.h"
#include "landline_dial.h"

/* The longest message, and the most one recv() takes, in bytes. */
#define BARE_BYTES_MAX 65536
/* Least time between two messages of a conversation, in milliseconds, where -g does not say. */
#define BARE_GAP_MS 200

/* One bare connection. */
struct bare {
    const char *program; /* for messages on standard error */
    int fd;
    long gap_ms;
    struct timespec said_at; /* when the last message was sent */
};

/* Standard input, as far as it was read and not sent. */
struct bare_typed {
    char bytes[BARE_BYTES_MAX];
    size_t len;
    bool ended;
};

/* True for what can be a bare message: some bytes, and no newline, which would make it a line. */
static inline bool bare_can_say(const char *message)
{
    size_t len = strlen(message);
    return len > 0 && len <= BARE_BYTES_MAX && strchr(message, '\n') == NULL;
}

/* Connects, or ends the program. */
static inline struct bare bare_open(const char *program, const char *host, const char *port)
{
    char why[512];
    struct bare b = { .program = program, .gap_ms = BARE_GAP_MS };
    b.fd = landline_dial(host, port, why, sizeof why);
    if (b.fd < 0)
        exit(client_fail(EXIT_UNREACHED, program, "cannot connect", why));
    return b;
}

/* One message. False where the connection no longer takes it. */
static inline bool bare_say(struct bare *b, const char *message, size_t len)
{
    struct iovec part = { (void *)message, len };
    bool sent = landline_send_all(b->fd, &part, 1);
    clock_gettime(CLOCK_MONOTONIC, &b->said_at);
    return sent;
}

/* What one recv() returns: 0 at the end of the connection. A reset ends the program. */
static inline size_t bare_hear(struct bare *b, char *into, size_t cap)
{
    ssize_t got;
    do
        got = recv(b->fd, into, cap, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        exit(client_fail(EXIT_BROKEN, b->program, "connection lost", strerror(errno)));
    return (size_t)got;
}

/* Prints what arrived at once, as a line: with a newline of its own where it came without one. */
static inline void bare_print(struct bare *b, const char *bytes, size_t len)
{
    bool ended = len > 0 && bytes[len - 1] == '\n';
    bool printed = client_write(STDOUT_FILENO, bytes, len)
                   && (ended || client_write(STDOUT_FILENO, "\n", 1));
    if (!printed)
        exit(client_fail(EXIT_REFUSED, b->program, "standard output", strerror(errno)));
}

/* The server's refusal on standard error. Returns EXIT_REFUSED. */
static inline int bare_refused(struct bare *b, const char *bytes, size_t len)
{
    len -= bytes[len - 1] == '\n';
    fprintf(stderr, "%s: %.*s\n", b->program, (int)len, bytes);
    return EXIT_REFUSED;
}

/* Says `name` and prints the server's name, which answers it. Returns an exit status. */
static inline int bare_greet(struct bare *b, const char *name)
{
    char greeting[BARE_BYTES_MAX];
    bare_say(b, name, strlen(name));
    size_t got = bare_hear(b, greeting, sizeof greeting);
    if (got == 0)
        return client_fail(EXIT_BROKEN, b->program, "the server closed without a greeting", NULL);
    if (client_is_refusal(greeting, got))
        return bare_refused(b, greeting, got);
    bare_print(b, greeting, got);
    return EXIT_DONE;
}

/* Milliseconds until the next message may be sent; 0 for now. */
static inline int bare_wait_ms(const struct bare *b)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    long passed_ms = (long)(now.tv_sec - b->said_at.tv_sec) * 1000
                     + (now.tv_nsec - b->said_at.tv_nsec) / 1000000;
    return passed_ms >= b->gap_ms ? 0 : (int)(b->gap_ms - passed_ms);
}

/* Reads what is there of standard input. Call only where there is room. */
static inline void bare_type(struct bare_typed *typed)
{
    ssize_t got = read(STDIN_FILENO, typed->bytes + typed->len, BARE_BYTES_MAX - typed->len);
    if (got > 0)
        typed->len += (size_t)got;
    else if (got == 0 || errno != EINTR)
        typed->ended = true;
}

/*
 * The length of the first line typed, without its newline, or SIZE_MAX where there is none yet. A
 * line too long for the buffer is sent in pieces; a last one without a newline counts.
 */
static inline size_t bare_line(const struct bare_typed *typed)
{
    const char *end = memchr(typed->bytes, '\n', typed->len);
    if (end != NULL)
        return (size_t)(end - typed->bytes);
    bool whole = typed->len == BARE_BYTES_MAX || (typed->ended && typed->len > 0);
    return whole ? typed->len : SIZE_MAX;
}

/* Says the first line typed, unless empty, and drops it; `quit` is the last. As bare_say(). */
static inline bool bare_say_line(struct bare *b, struct bare_typed *typed, size_t len)
{
    bool quit = len == 4 && memcmp(typed->bytes, "quit", 4) == 0;
    bool sent = len == 0 || bare_say(b, typed->bytes, len);
    size_t used = len < typed->len ? len + 1 : len;
    typed->len -= used;
    memmove(typed->bytes, typed->bytes + used, typed->len);
    if (quit || !sent) {
        typed->len = 0;
        typed->ended = true;
    }
    return sent;
}

/* What the end of a conversation comes to, by the last words that arrived. */
static inline int bare_ended(struct bare *b, const char *last, size_t len, bool said_all)
{
    static const char *const closing[] = { "bad-name", "name-taken", "denied",   "timeout",
                                           "busy",     "slow",       "stopping", NULL };
    if (client_is_error(last, len, closing))
        return EXIT_REFUSED;
    if (said_all)
        return EXIT_DONE;
    return client_fail(EXIT_BROKEN, b->program, "the server closed the connection", NULL);
}

/*
 * One terminal for typing and reading: each line typed is said, whatever arrives is printed. `quit`
 * or the end of standard input ends the saying; the server then closes, which ends the hearing.
 */
static inline int bare_converse(struct bare *b)
{
    static struct bare_typed typed;
    static char heard[BARE_BYTES_MAX];
    size_t heard_len = 0;
    bool said_all = false;
    bool cut_off = false;
    for (;;) {
        int wait_ms = -1;
        size_t line = said_all ? SIZE_MAX : bare_line(&typed);
        if (line != SIZE_MAX && (wait_ms = bare_wait_ms(b)) == 0) {
            cut_off = !bare_say_line(b, &typed, line);
            continue;
        }
        if (line == SIZE_MAX && typed.ended && !said_all) {
            shutdown(b->fd, SHUT_WR);
            said_all = true;
        }
        bool wants_typing = line == SIZE_MAX && !typed.ended;
        struct pollfd ready[] = {
            { .fd = b->fd, .events = POLLIN },
            { .fd = wants_typing ? STDIN_FILENO : -1, .events = POLLIN },
        };
        if (poll(ready, 2, wait_ms) < 0)
            continue;
        if (ready[0].revents != 0) {
            size_t got = bare_hear(b, heard, sizeof heard);
            if (got == 0)
                return bare_ended(b, heard, heard_len, said_all && !cut_off);
            bare_print(b, heard, got);
            heard_len = got;
        }
        if (ready[1].revents != 0)
            bare_type(&typed);
    }
}

/* Reads `[-g MS] HOST PORT NAME` and connects, or ends the program. */
static inline struct bare bare_open_named(const char *program, const char *usage, int argc,
                                          char *argv[], const char **name)
{
    long gap_ms = BARE_GAP_MS;
    for (int option; (option = getopt(argc, argv, "g:")) != -1;)
        gap_ms = option == 'g' ? client_number(optarg, 60000) : -1;
    if (argc - optind != 3 || gap_ms < 0 || !bare_can_say(argv[optind + 2]))
        exit(client_usage(usage));
    *name = argv[optind + 2];
    struct bare b = bare_open(program, argv[optind], argv[optind + 1]);
    b.gap_ms = gap_ms;
    return b;
}

#endif
