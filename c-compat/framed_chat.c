/*
 * framed_chat HOST PORT NAME
 *
 * Takes NAME and talks. Lines of standard input are requests as the chat service has them:
 * `get_list`, `send all TEXT`, `send A B : TEXT`, `TEXT | A`, `quit`; any other line goes to all.
 * Messages appear as they come:
 *
 *     2026-11-22 05:11:12 bob (singlecasted) : hello
 *
 * It ends when standard input has ended and all replies have come, or at `quit`. One loop waits for
 * both sides at once (poll); what waits to be sent is bounded, and no more is read while it does.
 *
 * What it does NOT do: edit lines, or let what others say drive the terminal.
 *
 * Exit status: as in client.h; 1 also where NAME was refused.
 */
#include <poll.h>
#include <time.h>

#include "client.h"
#include "landline.h"

static const char PROGRAM[] = "framed_chat";

enum { LINE_MAX_BYTES = 64 * 1024, OUTBOX_MAX = 2 * LINE_MAX_BYTES, PENDING_MAX = 500 };

/* The conversation. */
struct chat {
    struct landline line;
    bool is_skipping; /* a line that is too long, up to its end */
    bool input_ended;
    bool has_quit;
    int pending;      /* requests that were not answered yet */
    size_t typed_end, out_start, out_end;
    char typed[LINE_MAX_BYTES]; /* a line whose end is to come */
    char out[OUTBOX_MAX];       /* what is to be sent */
};

static void put(struct chat *chat, const char *text, size_t count)
{
    memcpy(chat->out + chat->out_end, text, count);
    chat->out_end += count;
}

/* Whether a line is a request of its own. */
static bool is_request(const char *line, size_t count)
{
    static const char *const words[] = { "get_list", "quit" };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (count == strlen(words[i]) && memcmp(line, words[i], count) == 0)
            return true;
    return (count > 5 && memcmp(line, "send ", 5) == 0) || memchr(line, '|', count) != NULL;
}

static void on_line(struct chat *chat, const char *line, size_t count)
{
    if (count > 0 && line[count - 1] == '\r')
        count--;
    if (count == 0)
        return;
    chat->has_quit = count == 4 && memcmp(line, "quit", 4) == 0;
    if (!is_request(line, count))
        put(chat, "send all : ", 11);
    put(chat, line, count);
    put(chat, "\n", 1);
    chat->pending++;
}

/* Whether there is room for another line, however long. */
static bool has_room(struct chat *chat)
{
    memmove(chat->out, chat->out + chat->out_start, chat->out_end - chat->out_start);
    chat->out_end -= chat->out_start;
    chat->out_start = 0;
    return !chat->has_quit && chat->pending < PENDING_MAX
           && chat->out_end + LINE_MAX_BYTES + 64 < OUTBOX_MAX;
}

/* Takes the whole lines out of `typed`, as far as there is room for them. */
static void take_lines(struct chat *chat)
{
    char *newline;
    while (has_room(chat) && (newline = memchr(chat->typed, '\n', chat->typed_end)) != NULL) {
        if (!chat->is_skipping)
            on_line(chat, chat->typed, (size_t)(newline - chat->typed));
        chat->is_skipping = false;
        chat->typed_end -= (size_t)(newline + 1 - chat->typed);
        memmove(chat->typed, newline + 1, chat->typed_end);
    }
    if (chat->typed_end == sizeof chat->typed
        && memchr(chat->typed, '\n', chat->typed_end) == NULL) {
        if (!chat->is_skipping)
            client_fail(EXIT_REFUSED, PROGRAM, "a line is too long and was not sent", NULL);
        chat->is_skipping = true;
        chat->typed_end = 0;
    }
}

static void on_input(struct chat *chat)
{
    ssize_t count = read(STDIN_FILENO, chat->typed + chat->typed_end,
                         sizeof chat->typed - chat->typed_end);
    if (count < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    chat->input_ended = count <= 0;
    if (count > 0)
        chat->typed_end += (size_t)count;
    else if (chat->typed_end > 0 && chat->typed[chat->typed_end - 1] != '\n')
        chat->typed[chat->typed_end++] = '\n';
    take_lines(chat);
}

/* Shows a line on standard output, made harmless. */
static enum landline_status show(struct landline *l, char *text)
{
    text[strcspn(text, "\n")] = '\0';
    landline_clean(text);
    if (client_write(STDOUT_FILENO, text, strlen(text)) && client_write(STDOUT_FILENO, "\n", 1))
        return LANDLINE_OK;
    return landline_failed(l, LANDLINE_STOPPED, strerror(errno));
}

static enum landline_status on_message(struct landline *l)
{
    static char text[LINE_MAX_BYTES + 256];
    char from[80];
    char cast[16];
    uint64_t at_ms = 0;
    struct tm at;
    if (landline_value(l, "from", from, sizeof from) <= 0
        || landline_value(l, "cast", cast, sizeof cast) <= 0 || !landline_number(l, "at", &at_ms))
        return landline_failed(l, LANDLINE_BROKEN, "a message without sender, cast or time");
    if (strcmp(cast, "broad") != 0 && strcmp(cast, "multi") != 0)
        snprintf(cast, sizeof cast, "single");
    time_t at_s = (time_t)(at_ms / 1000);
    size_t len = localtime_r(&at_s, &at) == NULL
                     ? 0 : strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S ", &at);
    len += (size_t)snprintf(text + len, sizeof text - len, "%s (%scasted) : ", from, cast);
    enum landline_status status = landline_text(l, text + len, sizeof text - len);
    return status == LANDLINE_OK ? show(l, text) : status;
}

static enum landline_status on_note(struct landline *l)
{
    char kind[16];
    char user[80];
    char text[128];
    if (landline_value(l, "kind", kind, sizeof kind) <= 0
        || (strcmp(kind, "join") != 0 && strcmp(kind, "leave") != 0)
        || landline_value(l, "user", user, sizeof user) <= 0)
        return LANDLINE_OK;
    snprintf(text, sizeof text, "* %s %s", user, strcmp(kind, "join") == 0 ? "joined" : "left");
    return show(l, text);
}

/* The end of a reply: its text where it has one. What was refused is told, and goes on. */
static enum landline_status on_final(struct chat *chat, const struct landline_frame *frame)
{
    static char text[LINE_MAX_BYTES];
    struct landline *l = &chat->line;
    if (chat->pending == 0)
        return landline_failed(l, LANDLINE_BROKEN, "an answer to nothing");
    chat->pending--;
    enum landline_status status = landline_final(l, frame);
    if (status == LANDLINE_REFUSED) {
        snprintf(text, sizeof text, "error %s: %s", l->code, l->why);
        return show(l, text);
    }
    if (status == LANDLINE_OK)
        status = landline_text(l, text, sizeof text);
    return status == LANDLINE_OK && text[0] != '\0' ? show(l, text) : status;
}

static enum landline_status on_frame(struct chat *chat)
{
    struct landline_frame frame;
    enum landline_status status = landline_next(&chat->line, &frame);
    if (status != LANDLINE_OK)
        return status;
    if (strcmp(frame.type, "msg") == 0)
        return on_message(&chat->line);
    if (strcmp(frame.type, "note") == 0)
        return on_note(&chat->line);
    if (frame.kind == LANDLINE_FINAL)
        return on_final(chat, &frame);
    return landline_failed(&chat->line, LANDLINE_BROKEN, "a part that chat has not");
}

/* Whether lines or their replies are to come. */
static bool is_open(const struct chat *chat)
{
    return chat->pending > 0
           || (!chat->has_quit && (!chat->input_ended || chat->typed_end > 0));
}

/* Waits for whatever comes first, and passes on what can be passed on. */
static enum landline_status turn(struct chat *chat)
{
    bool wants_sent = chat->out_end > chat->out_start;
    bool wants_more = !chat->input_ended && has_room(chat)
                      && chat->typed_end < sizeof chat->typed;
    struct pollfd fds[] = {
        { chat->line.fd, (short)(POLLIN | (wants_sent ? POLLOUT : 0)), 0 },
        { wants_more ? STDIN_FILENO : -1, POLLIN, 0 },
    };
    if (poll(fds, 2, -1) < 0 && errno != EINTR)
        return landline_failed(&chat->line, LANDLINE_STOPPED, strerror(errno));
    if (fds[1].revents != 0)
        on_input(chat);
    if (chat->out_end > chat->out_start) {
        ssize_t sent = send(chat->line.fd, chat->out + chat->out_start,
                            chat->out_end - chat->out_start, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0)
            chat->out_start += (size_t)sent;
        else if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
            chat->out_start = chat->out_end; /* What it said before is still to be read. */
    }
    enum landline_status status = LANDLINE_OK;
    if (fds[0].revents & (POLLIN | POLLHUP | POLLERR))
        do
            status = on_frame(chat);
        while (status == LANDLINE_OK && chat->line.in_start < chat->line.in_end);
    take_lines(chat);
    return status;
}

static int failure(const struct landline *line, enum landline_status status)
{
    const char *what = status == LANDLINE_REFUSED ? line->code : "cannot talk";
    int exit_status = EXIT_BROKEN;
    if (status == LANDLINE_UNREACHED || status == LANDLINE_TIMEOUT)
        exit_status = EXIT_UNREACHED;
    else if (status == LANDLINE_REFUSED || status == LANDLINE_STOPPED)
        exit_status = EXIT_REFUSED;
    else if (status == LANDLINE_BAD_LINE)
        exit_status = EXIT_USAGE;
    return client_fail(exit_status, PROGRAM, what, line->why);
}

/* Takes a name and shows what the server says to it. */
static enum landline_status take_name(struct landline *l, const char *name)
{
    struct landline_frame frame;
    char text[LANDLINE_TEXT_MAX];
    enum landline_status status = landline_request(l, "name", name);
    do
        status = status == LANDLINE_OK ? landline_next(l, &frame) : status;
    while (status == LANDLINE_OK && frame.kind == LANDLINE_EVENT);
    if (status == LANDLINE_OK)
        status = frame.kind == LANDLINE_FINAL
                     ? landline_final(l, &frame)
                     : landline_failed(l, LANDLINE_BROKEN, "the server did not answer name");
    if (status == LANDLINE_OK)
        status = landline_text(l, text, sizeof text);
    return status == LANDLINE_OK ? show(l, text) : status;
}

int main(int argc, char *argv[])
{
    static struct chat chat;
    if (argc != 4)
        return client_usage("framed_chat HOST PORT NAME");
    enum landline_status status = landline_connect(&chat.line, argv[1], argv[2]);
    if (status == LANDLINE_OK)
        status = take_name(&chat.line, argv[3]);
    while (status == LANDLINE_OK && is_open(&chat))
        status = turn(&chat);
    landline_close(&chat.line);
    return status == LANDLINE_OK ? EXIT_DONE : failure(&chat.line, status);
}
