/*
 * framed_pty HOST PORT COMMAND...
 *
 * Runs COMMAND on a terminal of the server, which is this one here: keys go there, what it draws
 * comes back, and its size follows ours. Where standard input is no terminal, what comes through it
 * is typed there, and its end is the end of the input. The words of COMMAND are joined by blanks.
 *
 * One loop waits for both ways at once (poll), as it must: a server that cannot send does not read.
 * What waits to be sent is bounded, and no more keys are read while it does.
 *
 * What it does NOT do: keys of its own. Close the terminal, or send a signal, to leave a command
 * that hangs; this terminal is as it was before, whichever way the program ends but SIGKILL.
 *
 * Exit status: as framed_run has it; 128 and its number for a signal that ended this program.
 */
#define _DEFAULT_SOURCE /* SIGWINCH and TIOCGWINSZ are not part of POSIX.1-2008 */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "client.h"
#include "command.h"
#include "landline.h"

static const char PROGRAM[] = "framed_pty";

enum { KEYS_MAX = 4096, OUTBOX_MAX = 64 * 1024 };

/* The signals that are noticed by a pipe, since poll() waits for that as well. */
static const int noticed[] = { SIGWINCH, SIGHUP, SIGINT, SIGQUIT, SIGTERM };
static int notice[2];

static void on_signal(int signal)
{
    int saved = errno;
    unsigned char number = (unsigned char)signal;
    /* A full pipe has enough to say already. */
    ssize_t wrote = write(notice[1], &number, 1);
    (void)wrote;
    errno = saved;
}

/* A command that has the terminal. */
struct seat {
    struct landline line;
    struct termios before;
    bool is_raw;
    bool keys_ended;
    int signal; /* that is to end this program, or 0 */
    size_t out_start, out_end;
    char out[OUTBOX_MAX]; /* what is to be sent */
};

static bool begin_raw(struct seat *seat)
{
    if (!isatty(STDIN_FILENO))
        return true;
    if (tcgetattr(STDIN_FILENO, &seat->before) != 0)
        return false;
    struct termios raw = seat->before;
    cfmakeraw(&raw);
    seat->is_raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
    return seat->is_raw;
}

static void end_raw(struct seat *seat)
{
    if (seat->is_raw)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &seat->before);
    seat->is_raw = false;
}

/* Room for a full read of keys and the frames around it. */
static bool has_room(const struct seat *seat)
{
    return seat->out_end - seat->out_start < OUTBOX_MAX - KEYS_MAX - 256;
}

/* Puts bytes behind what is to be sent; has_room() was asked before. */
static void put(struct seat *seat, const void *bytes, size_t count)
{
    memmove(seat->out, seat->out + seat->out_start, seat->out_end - seat->out_start);
    seat->out_end -= seat->out_start;
    seat->out_start = 0;
    memcpy(seat->out + seat->out_end, bytes, count);
    seat->out_end += count;
}

/* Says how large this terminal is, and with `term` of which type. Nothing where it is none. */
static void put_winch(struct seat *seat, const char *term)
{
    struct winsize size;
    char frame[160];
    bool is_known = ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0
                    && size.ws_row > 0;
    if (!is_known)
        return;
    bool is_said = term != NULL && term[0] != '\0' && strlen(term) <= 64
                   && term[strspn(term, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                        "0123456789._+-")] == '\0';
    int len = snprintf(frame, sizeof frame, "winch 0 cols=%u rows=%u%s%s\n", size.ws_col,
                       size.ws_row, is_said ? " term=" : "", is_said ? term : "");
    put(seat, frame, (size_t)len);
}

/* Sends what the server takes now. */
static enum landline_status send_some(struct seat *seat)
{
    ssize_t sent = send(seat->line.fd, seat->out + seat->out_start,
                        seat->out_end - seat->out_start, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0)
        seat->out_start += (size_t)sent;
    else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
        seat->out_start = seat->out_end; /* What it said before is still to be read. */
    return LANDLINE_OK;
}

static void on_keys(struct seat *seat)
{
    char keys[KEYS_MAX];
    char head[40];
    ssize_t count = read(STDIN_FILENO, keys, sizeof keys);
    if (count < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    seat->keys_ended = count <= 0;
    size_t len = landline_frame_head(head, sizeof head, count <= 0 ? "eof" : "in",
                                     count <= 0 ? 0 : (uint64_t)count);
    put(seat, head, len);
    if (count > 0)
        put(seat, keys, (size_t)count);
}

static void on_notice(struct seat *seat)
{
    unsigned char number = 0;
    if (read(notice[0], &number, 1) != 1)
        return;
    if (number == SIGWINCH)
        put_winch(seat, NULL);
    else
        seat->signal = number;
}

static bool on_output(void *context, const void *bytes, size_t count)
{
    (void)context;
    return client_write(STDOUT_FILENO, bytes, count);
}

/* Waits until the server has something to say, and sends keys meanwhile. */
static enum landline_status wait_for_server(struct seat *seat)
{
    while (seat->line.in_start == seat->line.in_end && seat->signal == 0) {
        bool wants_keys = !seat->keys_ended && has_room(seat);
        bool wants_sent = seat->out_end > seat->out_start;
        struct pollfd fds[] = {
            { seat->line.fd, (short)(POLLIN | (wants_sent ? POLLOUT : 0)), 0 },
            { notice[0], POLLIN, 0 },
            { wants_keys ? STDIN_FILENO : -1, POLLIN, 0 },
        };
        if (poll(fds, 3, -1) < 0 && errno != EINTR)
            return landline_failed(&seat->line, LANDLINE_STOPPED, strerror(errno));
        if (fds[1].revents != 0)
            on_notice(seat);
        if (fds[2].revents != 0)
            on_keys(seat);
        if (seat->out_end > seat->out_start)
            send_some(seat);
        if (fds[0].revents & (POLLIN | POLLHUP | POLLERR))
            return LANDLINE_OK;
    }
    return LANDLINE_OK;
}

/* Passes both ways on, up to the final frame of the reply. */
static enum landline_status follow(struct seat *seat)
{
    struct landline_frame frame;
    enum landline_status status = LANDLINE_OK;
    while (status == LANDLINE_OK) {
        status = wait_for_server(seat);
        if (status != LANDLINE_OK || seat->signal != 0)
            return status;
        status = landline_next(&seat->line, &frame);
        if (status != LANDLINE_OK || frame.kind == LANDLINE_EVENT)
            continue;
        if (frame.kind == LANDLINE_FINAL)
            return landline_final(&seat->line, &frame);
        if (strcmp(frame.type, "out") != 0)
            return landline_failed(&seat->line, LANDLINE_BROKEN, "a part that run has not");
        status = landline_payload(&seat->line, on_output, NULL);
    }
    return status;
}

static enum landline_status run(struct seat *seat, const char *command)
{
    /* In one piece, so that the command begins with this size. */
    size_t len = strlen(command);
    if (len > OUTBOX_MAX - KEYS_MAX - 512 || strchr(command, '\n') != NULL)
        return landline_failed(&seat->line, LANDLINE_BAD_LINE, "a command is one line");
    put(seat, "run@pty ", 8);
    put(seat, command, len);
    put(seat, "\n", 1);
    put_winch(seat, getenv("TERM"));
    if (!begin_raw(seat))
        return landline_failed(&seat->line, LANDLINE_STOPPED, strerror(errno));
    send_some(seat);
    enum landline_status status = follow(seat);
    end_raw(seat);
    return status;
}

/* Signals are noticed by a pipe from here on. */
static bool notice_signals(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    if (pipe(notice) != 0 || fcntl(notice[1], F_SETFL, O_NONBLOCK) != 0)
        return false;
    /* A reader of our output that has gone is an error of write(). */
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return false;
    for (size_t i = 0; i < sizeof noticed / sizeof noticed[0]; i++)
        if (sigaction(noticed[i], &action, NULL) != 0)
            return false;
    return true;
}

int main(int argc, char *argv[])
{
    static struct seat seat;
    if (argc < 4)
        return client_usage("framed_pty HOST PORT COMMAND...");
    char *command = joined(argv + 3);
    if (command == NULL)
        return client_fail(EXIT_NOT_RUN, PROGRAM, "out of memory", NULL);
    enum landline_status status = landline_connect(&seat.line, argv[1], argv[2]);
    if (status == LANDLINE_OK && !notice_signals())
        status = landline_failed(&seat.line, LANDLINE_STOPPED, strerror(errno));
    if (status == LANDLINE_OK)
        status = run(&seat, command);
    free(command);
    if (seat.signal != 0 || status == LANDLINE_STOPPED)
        landline_abandon(&seat.line);
    landline_close(&seat.line);
    if (seat.signal != 0)
        return EXIT_SIGNAL + seat.signal;
    if (status == LANDLINE_OK)
        return command_status(&seat.line, PROGRAM);
    const char *what = status == LANDLINE_REFUSED ? seat.line.code : "cannot run";
    return client_fail(failure_status(&seat.line, status), PROGRAM, what, seat.line.why);
}
