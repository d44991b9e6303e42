/*
 * client.h: what the programs of this directory share: exit statuses, messages, writing all of
 * something, and telling a plain failure (`error CODE: TEXT`) from other bytes.
 *
 * What it does NOT do: read from the network.
 */
#ifndef CLIENT_H
#define CLIENT_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Exit statuses of every program here; framed_run has the command's own besides. */
enum {
    EXIT_DONE = 0,
    EXIT_REFUSED = 1, /* by the server; or a local file or standard output could not be written */
    EXIT_USAGE = 2,
    EXIT_UNREACHED = 4,
    EXIT_BROKEN = 5, /* the protocol was broken, or the connection was lost before the end */
};

/* `PROGRAM: WHAT` or `PROGRAM: WHAT: WHY` on standard error. Returns `status`. */
static inline int client_fail(int status, const char *program, const char *what, const char *why)
{
    fprintf(stderr, why == NULL ? "%s: %s\n" : "%s: %s: %s\n", program, what, why);
    return status;
}

/* How to call the program, on standard error. Returns EXIT_USAGE. */
static inline int client_usage(const char *text)
{
    fprintf(stderr, "usage: %s\n", text);
    return EXIT_USAGE;
}

/* Writes all of `bytes`. False with errno set. */
static inline bool client_write(int fd, const void *bytes, size_t count)
{
    const char *at = bytes;
    while (count > 0) {
        ssize_t wrote = write(fd, at, count);
        if (wrote < 0 && errno != EINTR)
            return false;
        size_t moved = wrote < 0 ? 0 : (size_t)wrote;
        at += moved;
        count -= moved;
    }
    return true;
}

/* A decimal number from 1 to `max`, or -1. */
static inline long client_number(const char *text, long max)
{
    char *end = NULL;
    errno = 0;
    long number = strtol(text, &end, 10);
    bool whole = end != text && *end == '\0' && errno == 0;
    return whole && number >= 1 && number <= max ? number : -1;
}

/* True where `bytes` begin with `error CODE: ` and CODE is one of `codes`, which NULL ends. */
static inline bool client_is_error(const char *bytes, size_t count, const char *const codes[])
{
    for (; *codes != NULL; codes++) {
        char start[40];
        int len = snprintf(start, sizeof start, "error %s: ", *codes);
        if (count > (size_t)len && memcmp(bytes, start, (size_t)len) == 0)
            return true;
    }
    return false;
}

/* True where `bytes` are a refusal: any code of docs/PROTOCOL.md, section 6, but `exit`. */
static inline bool client_is_refusal(const char *bytes, size_t count)
{
    static const char *const codes[] = {
        "bad-request", "too-long",  "disabled",     "denied",    "no-such-file", "not-a-file",
        "bad-offset",  "exists",    "bad-name",     "name-taken", "no-name",     "no-such-user",
        "timeout",     "cancelled", "truncated",    "busy",      "version",      "stopping",
        "slow",        "internal",  NULL,
    };
    return client_is_error(bytes, count, codes);
}

#endif
