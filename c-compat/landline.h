/*
 * landline.h: framed replies of a landline server, from C. To use it, copy it, landline_dial.h and
 * landline_frame.h, which begins with the protocol in one page.
 *
 * It connects, switches the connection to frames (`landline/1`), sends request lines, and reads the
 * frames that answer them. docs/PROTOCOL.md, section 4, is what it speaks.
 *
 * What it does NOT do: allocate, start threads, change signals, retry, or time out (set SO_RCVTIMEO
 * on `fd` if it should: a wait then ends with LANDLINE_TIMEOUT and can be taken up again). Input
 * for a command is sent by landline_input(), which blocks: see framed_pty.c for both ways at once.
 * Memory is `struct landline` alone, whatever the server says: a header is at most
 * LANDLINE_HEADER_MAX bytes, a payload is handed on in pieces.
 *
 * Needs POSIX.1-2008 (compile with -D_POSIX_C_SOURCE=200809L where -std=c17 is given). Every
 * function is `static inline`; include it wherever it is wanted.
 *
 *     static struct landline line;             (14 KiB: rather not on a small stack)
 *     struct landline_frame frame;
 *     enum landline_status status = landline_connect(&line, "localhost", "5000");
 *     if (!status) status = landline_request(&line, "download", "notes.txt");
 *     while (!status && !(status = landline_next(&line, &frame))) {
 *         if (frame.kind == LANDLINE_FINAL) { status = landline_final(&line, &frame); break; }
 *         if (!strcmp(frame.type, "data")) status = landline_payload(&line, my_sink, my_context);
 *     }                                         (payloads that are not read are skipped)
 *     if (status) fprintf(stderr, "%s\n", line.why);
 *     landline_close(&line);
 */
#ifndef LANDLINE_H
#define LANDLINE_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "landline_dial.h"
#include "landline_frame.h"

/* Longest text kept of a failure, the server's name or its caps, in bytes. */
#define LANDLINE_TEXT_MAX 512
/* Bytes read at once. Define it larger before the include for speed, never below a header. */
#ifndef LANDLINE_INPUT_MAX
#define LANDLINE_INPUT_MAX 8192
#endif
_Static_assert(LANDLINE_INPUT_MAX > LANDLINE_HEADER_MAX, "a header must fit the input buffer");

/* What a call came to. `why` of the connection says it in words, except for LANDLINE_OK. */
enum landline_status {
    LANDLINE_OK = 0,
    LANDLINE_REFUSED,   /* the server said no: `code` has the reason, `why` its text */
    LANDLINE_BAD_LINE,  /* a request with a newline in it; nothing was sent */
    LANDLINE_STOPPED,   /* the caller's sink asked to stop; the rest of the payload is unread */
    LANDLINE_UNREACHED, /* no address of that host could be connected to */
    LANDLINE_BROKEN,    /* what came is not the protocol; the connection is of no more use */
    LANDLINE_LOST,      /* the connection ended; after `note kind=closing`, `code` has its reason */
    LANDLINE_TIMEOUT,   /* SO_RCVTIMEO or SO_SNDTIMEO passed; a read may be taken up again */
};

/* One framed connection. `fd`, `code`, `why`, `server` and `caps` are for the caller to read. */
struct landline {
    int fd;
    bool framed;                    /* the handshake is over */
    enum landline_status end;       /* BROKEN or LOST once reading has come to an end */
    uint64_t unread;                /* bytes of the current payload that were not read yet */
    const char *pairs;              /* the KEY=VALUE pairs inside `header` */
    size_t in_start, in_end;        /* what of `in` was received and not used */
    char header[LANDLINE_HEADER_MAX + 1];
    char code[32];                  /* of the last refusal, or of `note kind=closing` */
    char why[LANDLINE_TEXT_MAX];    /* of the last failure; no control characters */
    char server[LANDLINE_TEXT_MAX]; /* the server's name */
    char caps[LANDLINE_TEXT_MAX];   /* "download,run,chat": what is switched on there */
    unsigned char in[LANDLINE_INPUT_MAX];
};

/* Takes a piece of a payload. Returns true to go on, false to stop. */
typedef bool (*landline_sink)(void *context, const void *bytes, size_t count);

/* ---- inside ---- */

/* Notes why a call failed. What cannot be read past is kept, and every later read returns it. */
static inline enum landline_status landline_failed(struct landline *l, enum landline_status status,
                                                   const char *why)
{
    snprintf(l->why, sizeof l->why, "%s", why);
    if (status == LANDLINE_BROKEN || status == LANDLINE_LOST)
        l->end = status;
    return status;
}

/* Receives at least a byte behind what `in` still holds; a held header leaves room for it. */
static inline enum landline_status landline_fill(struct landline *l)
{
    l->in_end -= l->in_start;
    memmove(l->in, l->in + l->in_start, l->in_end);
    l->in_start = 0;
    ssize_t got;
    do
        got = recv(l->fd, l->in + l->in_end, sizeof l->in - l->in_end, 0);
    while (got < 0 && errno == EINTR);
    if (got > 0) {
        l->in_end += (size_t)got;
        return LANDLINE_OK;
    }
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return landline_failed(l, LANDLINE_TIMEOUT, "the server did not answer in time");
    landline_failed(l, LANDLINE_LOST, got < 0 ? strerror(errno) : "the server closed early");
    if (got == 0 && l->code[0] != '\0')
        snprintf(l->why, sizeof l->why, "the server closed: %s", l->code);
    return LANDLINE_LOST;
}

/* The next line of input, without its newline, into `header`. */
static inline enum landline_status landline_line(struct landline *l)
{
    for (;;) {
        const unsigned char *start = l->in + l->in_start;
        size_t held = l->in_end - l->in_start;
        const unsigned char *end = memchr(start, '\n', held);
        size_t len = end == NULL ? held : (size_t)(end - start);
        if (len > LANDLINE_HEADER_MAX)
            return landline_failed(l, LANDLINE_BROKEN, "a frame header is too long");
        if (end != NULL) {
            memcpy(l->header, start, len);
            l->header[len] = '\0';
            l->in_start += len + 1;
            if (memchr(l->header, '\0', len) != NULL)
                return landline_failed(l, LANDLINE_BROKEN, "a frame header holds a zero byte");
            return LANDLINE_OK;
        }
        enum landline_status status = landline_fill(l);
        if (status != LANDLINE_OK)
            return status;
    }
}

/* ---- reading frames ---- */

/* The next piece of the current payload, at most `most` bytes (1 or more); it is then read. */
static inline enum landline_status landline_piece(struct landline *l, size_t most,
                                                  const unsigned char **piece, size_t *count)
{
    if (l->in_start == l->in_end) {
        enum landline_status status = l->end != LANDLINE_OK ? l->end : landline_fill(l);
        if (status != LANDLINE_OK)
            return status;
    }
    size_t held = l->in_end - l->in_start;
    *count = most < held ? most : held;
    *count = l->unread < *count ? (size_t)l->unread : *count;
    *piece = l->in + l->in_start;
    l->in_start += *count;
    l->unread -= *count;
    return LANDLINE_OK;
}

/* Hands the rest of the current payload to `sink`, in pieces; NULL drops it. */
static inline enum landline_status landline_payload(struct landline *l, landline_sink sink,
                                                    void *context)
{
    while (l->unread > 0) {
        const unsigned char *piece = NULL;
        size_t count = 0;
        enum landline_status status = landline_piece(l, SIZE_MAX, &piece, &count);
        if (status != LANDLINE_OK)
            return status;
        if (sink != NULL && !sink(context, piece, count))
            return landline_failed(l, LANDLINE_STOPPED, "stopped by the receiver");
    }
    return LANDLINE_OK;
}

/* Drops the rest of the current payload. landline_next() does it by itself. */
static inline enum landline_status landline_skip(struct landline *l)
{
    return landline_payload(l, NULL, NULL);
}

/* At most `cap` bytes of the current payload into `into`; `*got` is 0 at its end alone. */
static inline enum landline_status landline_read(struct landline *l, void *into, size_t cap,
                                                 size_t *got)
{
    const unsigned char *piece = NULL;
    *got = 0;
    if (l->unread == 0 || cap == 0)
        return LANDLINE_OK;
    enum landline_status status = landline_piece(l, cap, &piece, got);
    if (status == LANDLINE_OK)
        memcpy(into, piece, *got);
    return status;
}

/* The payload as a string: cut to `cap` - 1 bytes, the rest dropped. `cap` is at least 1. */
static inline enum landline_status landline_text(struct landline *l, char *into, size_t cap)
{
    size_t len = 0;
    size_t got = 1;
    enum landline_status status = LANDLINE_OK;
    while (status == LANDLINE_OK && got > 0) {
        status = landline_read(l, into + len, cap - 1 - len, &got);
        len += status == LANDLINE_OK ? got : 0;
    }
    into[len] = '\0';
    return status == LANDLINE_OK ? landline_skip(l) : status;
}

/* The decoded VALUE of KEY in the current frame's header, as landline_pairs_value() has it. */
static inline long landline_value(const struct landline *l, const char *key, char *into,
                                  size_t cap)
{
    return landline_pairs_value(l->pairs, key, into, cap);
}

/* The VALUE of KEY as a decimal number below 2^63; false where it is absent or none. */
static inline bool landline_number(const struct landline *l, const char *key, uint64_t *number)
{
    char text[32];
    long len = landline_value(l, key, text, sizeof text);
    return len > 0 && landline_decimal(text, (size_t)len, number);
}

/* `error CODE: TEXT`, which a server writes that ends the connection before the handshake. */
static inline enum landline_status landline_plain_refusal(struct landline *l)
{
    const char *code = l->header + strlen("error ");
    size_t len = strcspn(code, ":");
    snprintf(l->code, sizeof l->code, "%.*s", (int)len, code);
    landline_failed(l, LANDLINE_REFUSED, code + len + strspn(code + len, ": "));
    landline_clean(l->code);
    landline_clean(l->why);
    return LANDLINE_REFUSED;
}

/*
 * Waits for the next frame and reads its header; what is left of the last payload is dropped. An
 * event may come at any time: a caller that does not want it calls again.
 */
static inline enum landline_status landline_next(struct landline *l, struct landline_frame *frame)
{
    enum landline_status status = l->end != LANDLINE_OK ? l->end : landline_skip(l);
    if (status == LANDLINE_OK)
        status = landline_line(l);
    if (status != LANDLINE_OK)
        return status;
    if (!l->framed && strncmp(l->header, "error ", 6) == 0)
        return landline_plain_refusal(l);
    l->pairs = NULL;
    if (!landline_frame_parse(l->header, frame, &l->pairs)
        || !landline_kind_of(frame->type, &frame->kind))
        return landline_failed(l, LANDLINE_BROKEN, "the server's answer is not a frame");
    l->unread = frame->len;
    char kind[16];
    if (strcmp(frame->type, "note") == 0 && landline_value(l, "kind", kind, sizeof kind) > 0
        && strcmp(kind, "closing") == 0) {
        landline_value(l, "code", l->code, sizeof l->code);
        landline_clean(l->code);
    }
    return LANDLINE_OK;
}

/*
 * What a final frame came to: LANDLINE_OK for `done`, whose payload stays to be read, or
 * LANDLINE_REFUSED for `fail`, whose code and text are then in `code` and `why`.
 */
static inline enum landline_status landline_final(struct landline *l,
                                                  const struct landline_frame *frame)
{
    if (strcmp(frame->type, "done") == 0)
        return LANDLINE_OK;
    if (landline_value(l, "code", l->code, sizeof l->code) <= 0)
        return landline_failed(l, LANDLINE_BROKEN, "a failure without a code");
    landline_clean(l->code);
    enum landline_status status = landline_text(l, l->why, sizeof l->why);
    landline_clean(l->why);
    return status == LANDLINE_OK ? LANDLINE_REFUSED : status;
}

/* ---- requests ---- */

/* Sends `VERB\n`, or `VERB OPERANDS\n` where OPERANDS is not NULL. Read its reply to the end. */
static inline enum landline_status landline_request(struct landline *l, const char *verb,
                                                    const char *operands)
{
    if (strchr(verb, '\n') != NULL || (operands != NULL && strchr(operands, '\n') != NULL))
        return landline_failed(l, LANDLINE_BAD_LINE, "a request is one line");
    struct iovec parts[] = {
        { (void *)verb, strlen(verb) },
        { (void *)" ", operands == NULL ? 0 : 1 },
        { (void *)operands, operands == NULL ? 0 : strlen(operands) },
        { (void *)"\n", 1 },
    };
    if (landline_send_all(l->fd, parts, 4))
        return LANDLINE_OK;
    bool late = errno == EAGAIN || errno == EWOULDBLOCK;
    snprintf(l->why, sizeof l->why, "%s", strerror(errno));
    return late ? LANDLINE_TIMEOUT : LANDLINE_LOST;
}

/* Sends a frame `in` with `count` bytes for the command in progress, or `eof` where it is 0. */
static inline enum landline_status landline_input(struct landline *l, const void *bytes,
                                                  size_t count)
{
    char head[40];
    size_t len = landline_frame_head(head, sizeof head, count == 0 ? "eof" : "in", count);
    struct iovec parts[] = { { head, len }, { (void *)bytes, count } };
    if (landline_send_all(l->fd, parts, 2))
        return LANDLINE_OK;
    snprintf(l->why, sizeof l->why, "%s", strerror(errno));
    return LANDLINE_LOST;
}

/* Connects to HOST (or `unix:PATH`) and PORT, and switches to frames. Close it in any case. */
static inline enum landline_status landline_connect(struct landline *l, const char *host,
                                                    const char *port)
{
    memset(l, 0, sizeof *l);
    l->fd = landline_dial(host, port, l->why, sizeof l->why);
    if (l->fd < 0)
        return LANDLINE_UNREACHED;
    /* A server that closed at once may have said why: so read even where sending fails. */
    landline_request(l, "landline/1", NULL);
    struct landline_frame frame;
    enum landline_status status = landline_next(l, &frame);
    if (status != LANDLINE_OK)
        return status;
    uint64_t version = 0;
    if (frame.kind != LANDLINE_FINAL)
        return landline_failed(l, LANDLINE_BROKEN, "the server did not answer landline/1");
    status = landline_final(l, &frame);
    if (status != LANDLINE_OK)
        return status;
    if (!landline_number(l, "landline", &version) || version != 1)
        return landline_failed(l, LANDLINE_BROKEN, "the server did not answer landline/1");
    landline_value(l, "server", l->server, sizeof l->server);
    landline_value(l, "caps", l->caps, sizeof l->caps);
    landline_clean(l->server);
    l->framed = true;
    return LANDLINE_OK;
}

/*
 * The connection is to end by a reset: a server cannot tell a client that has gone from one that
 * has only no more to say, and would let a silent command run on.
 */
static inline void landline_abandon(const struct landline *l)
{
    struct linger reset = { 1, 0 };
    setsockopt(l->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

/* Closes the connection; to be called once after landline_connect(), whatever that came to. */
static inline void landline_close(struct landline *l)
{
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
}

#endif
