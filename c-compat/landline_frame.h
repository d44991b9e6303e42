/*
 * landline_frame.h: the frames of landline/1 as bytes. Pure: no sockets, no memory of its own.
 *
 * What it does NOT do: read or write a connection (landline.h), or know what was asked.
 *
 * THE PROTOCOL IN ONE PAGE (docs/PROTOCOL.md, sections 4 to 6, has the rest)
 *
 * A connection starts plain. The client says the line `landline/1`; from then on the server answers
 * in frames. A frame is a header, which is one line, and a payload:
 *
 *     TYPE SP LEN *( SP KEY=VALUE ) LF   LEN bytes, whatever they are
 *
 * TYPE is lower-case letters. LEN is decimal, below 2^63. VALUE holds bytes from `!` to `~` alone;
 * `%XX` stands for any byte. A header has at most LANDLINE_HEADER_MAX bytes before its newline.
 * Keys that are not known are passed over; a TYPE that is not known breaks the protocol.
 *
 *     landline/1                    done 0 landline=1 server=vm caps=download,run,chat
 *     hello                         done 5            + `hello`: the echo
 *     download notes.txt            file 0 size=7 …   data 7 + the bytes   done 0
 *     run echo a; exit 3            out 2 + `a\n`     done 0 exit=3
 *     download nothing              fail 38 code=no-such-file + a text
 *
 * A reply is any number of *parts* (file, data, out, err) and one *final* (done, or fail, which
 * says a code and a text). Replies come in the order of the requests; many may be under way.
 * *Events* belong to no request and may stand between any two frames, never inside a payload:
 *
 *     msg 2 from=bob cast=single at=1795000000000 + `hi`   cast: single, multi, broad; at: ms, UTC
 *     note 0 kind=join user=carol                            join, leave, shutdown, closing
 *
 * Requests are lines. Those that carry bytes have them behind their line: `upload SIZE NAME` and
 * SIZE bytes. A command that was begun by `run@in COMMAND` or `run@pty COMMAND` takes frames:
 *
 *     in 5 + `hello`      its input             eof 0      the end of it
 *     winch 0 cols=80 rows=24 term=xterm        the size and type of its terminal (run@pty)
 *
 * `cancel` ends the request in progress, which then ends in `fail … code=cancelled`; its own `done`
 * comes in its turn. Do not stop reading while you write: a server that cannot send does not read.
 */
#ifndef LANDLINE_FRAME_H
#define LANDLINE_FRAME_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Longest frame header, its newline not counted, in bytes. */
#define LANDLINE_HEADER_MAX 4096
/* Longest TYPE of a frame, in bytes. */
#define LANDLINE_TYPE_MAX 15
/* A part belongs to the reply in progress, a final ends it, an event belongs to no request. */
enum landline_kind { LANDLINE_PART, LANDLINE_FINAL, LANDLINE_EVENT };

/* The header of one frame. Its KEY=VALUE pairs: landline_value(), landline_number(). */
struct landline_frame {
    enum landline_kind kind;
    char type[LANDLINE_TYPE_MAX + 1]; /* "data", "out", "done" … */
    uint64_t len;                     /* payload, in bytes; below 2^63 */
};

/* ---- what is in a header ---- */

/* `len` decimal digits as a number below 2^63. */
static inline bool landline_decimal(const char *text, size_t len, uint64_t *number)
{
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (value > (INT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *number = value;
    return len > 0;
}

/* The value of a hexadecimal digit, or -1. */
static inline int landline_hex(char c)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *at = c == '\0' ? NULL : strchr(digits, c);
    return at == NULL ? -1 : (int)((at - digits) % 16);
}

/* The length of one well-formed ` KEY=VALUE` at `text`, or 0. */
static inline size_t landline_pair(const char *text)
{
    if (text[0] != ' ' || text[1] == '=')
        return 0;
    size_t at = 1;
    bool in_value = false;
    for (; text[at] != '\0' && text[at] != ' '; at++) {
        if (text[at] < '!' || text[at] > '~')
            return 0;
        if (in_value && text[at] == '%'
            && (landline_hex(text[at + 1]) < 0 || landline_hex(text[at + 2]) < 0))
            return 0;
        in_value = in_value || text[at] == '=';
    }
    return in_value ? at : 0;
}

/* The kind of a frame's TYPE; false for a TYPE that landline/1 does not have. */
static inline bool landline_kind_of(const char *type, enum landline_kind *kind)
{
    static const struct { char type[5]; unsigned char kind; } known[] = {
        { "file", LANDLINE_PART }, { "data", LANDLINE_PART }, { "out", LANDLINE_PART },
        { "err", LANDLINE_PART }, { "done", LANDLINE_FINAL }, { "fail", LANDLINE_FINAL },
        { "msg", LANDLINE_EVENT }, { "note", LANDLINE_EVENT },
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i].type, type) == 0) {
            *kind = (enum landline_kind)known[i].kind;
            return true;
        }
    return false;
}

/*
 * Reads `header`, a line without its newline, as that of a frame. `*pairs` is then where its
 * KEY=VALUE pairs begin. Whether landline/1 has such a frame is for landline_kind_of() to say.
 */
static inline bool landline_frame_parse(const char *header, struct landline_frame *frame,
                                        const char **pairs)
{
    size_t type_len = strspn(header, "abcdefghijklmnopqrstuvwxyz");
    if (type_len == 0 || type_len > LANDLINE_TYPE_MAX || header[type_len] != ' ')
        return false;
    memcpy(frame->type, header, type_len);
    frame->type[type_len] = '\0';
    const char *digits = header + type_len + 1;
    size_t digits_len = strcspn(digits, " ");
    if (!landline_decimal(digits, digits_len, &frame->len))
        return false;
    for (const char *at = digits + digits_len; *at != '\0';) {
        size_t len = landline_pair(at);
        if (len == 0)
            return false;
        at += len;
    }
    *pairs = digits + digits_len;
    return true;
}

/*
 * The decoded VALUE of KEY among `pairs`, as a string. Returns its length (a byte 0 in it counts),
 * or -1 where there is no such KEY or `into` is too small. The first one counts.
 */
static inline long landline_pairs_value(const char *pairs, const char *key, char *into, size_t cap)
{
    size_t key_len = strlen(key);
    for (const char *at = pairs; at != NULL && *at != '\0'; at += landline_pair(at)) {
        if (strncmp(at + 1, key, key_len) != 0 || at[1 + key_len] != '=')
            continue;
        size_t len = 0;
        for (const char *from = at + key_len + 2; *from != '\0' && *from != ' '; from++) {
            if (len + 1 >= cap)
                return -1;
            into[len++] = *from;
            if (*from == '%') {
                into[len - 1] = (char)(landline_hex(from[1]) * 16 + landline_hex(from[2]));
                from += 2;
            }
        }
        if (cap == 0)
            return -1;
        into[len] = '\0';
        return (long)len;
    }
    return -1;
}

/* ---- what a client may send or show ---- */

/*
 * The header of a frame without keys (`in`, `eof`) into `into`. Returns its length, newline
 * included, or 0 where `cap` is too small: 40 bytes are enough for these.
 */
static inline size_t landline_frame_head(char *into, size_t cap, const char *type, uint64_t len)
{
    int wrote = snprintf(into, cap, "%s %llu\n", type, (unsigned long long)len);
    return wrote > 0 && (size_t)wrote < cap ? (size_t)wrote : 0;
}

/* Text from the network as it may be shown: bytes that could drive a terminal become `?`. */
static inline void landline_clean(char *text)
{
    for (unsigned char *at = (unsigned char *)text; *at != '\0'; at++) {
        bool c1 = at[0] == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f;
        if (*at < ' ' || *at == 0x7f || c1)
            *at = '?';
    }
}

#endif
