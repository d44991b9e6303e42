/*
 * framed_run HOST PORT COMMAND...
 *
 * Runs COMMAND on the server over a framed connection, as landline.h speaks it. Its standard output
 * and standard error arrive apart and go to ours. The words of COMMAND are joined by blanks.
 *
 * Exit status: the command's; 128 and the number of the signal that ended it, which is named on
 * standard error; 124 where the server's time for it ran out; 255 where the server refused, or the
 * signal is not known here. 2, 4 and 5 as in client.h, which a command may end with as well.
 * Numbers are those of Linux on x86 and ARM, the server's: not what <signal.h> has here.
 */
#include "client.h"
#include "landline.h"

static const char PROGRAM[] = "framed_run";

enum { EXIT_TIMEOUT = 124, EXIT_SIGNAL = 128, EXIT_NOT_RUN = 255 };

/* The number of the signal called `name` (`KILL`), or 0. */
static int signal_number(const char *name)
{
    static const char names[][8] = {
        "",     "HUP",  "INT",    "QUIT", "ILL",  "TRAP", "ABRT", "BUS",  "FPE",  "KILL", "USR1",
        "SEGV", "USR2", "PIPE",   "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN",
        "TTOU", "URG",  "XCPU",   "XFSZ", "VTALRM", "PROF", "WINCH", "IO",  "PWR",  "SYS",
    };
    for (int i = 1; i < (int)(sizeof names / sizeof names[0]); i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return 0;
}

/* Writes a piece of output to the descriptor that `context` points to. */
static bool on_output(void *context, const void *bytes, size_t count)
{
    return client_write(*(const int *)context, bytes, count);
}

/* Asks for the command and passes its output on, up to the final frame of the reply. */
static enum landline_status run(struct landline *line, const char *command,
                                struct landline_frame *final)
{
    enum landline_status status = landline_request(line, "run", command);
    while (status == LANDLINE_OK) {
        status = landline_next(line, final);
        if (status != LANDLINE_OK || final->kind == LANDLINE_EVENT)
            continue;
        if (final->kind == LANDLINE_FINAL)
            return landline_final(line, final);
        bool is_out = strcmp(final->type, "out") == 0;
        if (!is_out && strcmp(final->type, "err") != 0)
            return landline_failed(line, LANDLINE_BROKEN, "a part that run does not have");
        int fd = is_out ? STDOUT_FILENO : STDERR_FILENO;
        status = landline_payload(line, on_output, &fd);
        if (status == LANDLINE_STOPPED)
            landline_failed(line, status, strerror(errno));
    }
    return status;
}

/* The exit status for how the command ended, as the final frame says it. */
static int command_status(const struct landline *line)
{
    uint64_t number = 0;
    char name[32];
    if (landline_number(line, "exit", &number) && number <= 255)
        return (int)number;
    if (landline_value(line, "signal", name, sizeof name) <= 0)
        return client_fail(EXIT_BROKEN, PROGRAM, "the server did not say how it ended", NULL);
    landline_clean(name);
    fprintf(stderr, "signal %s\n", name);
    int signal = signal_number(name);
    return signal == 0 ? EXIT_NOT_RUN : EXIT_SIGNAL + signal;
}

/* The exit status where the command did not end by itself. */
static int failure_status(const struct landline *line, enum landline_status status)
{
    switch (status) {
    case LANDLINE_REFUSED:
        return strcmp(line->code, "timeout") == 0 ? EXIT_TIMEOUT : EXIT_NOT_RUN;
    case LANDLINE_BAD_LINE:
        return EXIT_USAGE;
    case LANDLINE_UNREACHED:
    case LANDLINE_TIMEOUT:
        return EXIT_UNREACHED;
    case LANDLINE_OK:
    case LANDLINE_STOPPED:
    case LANDLINE_BROKEN:
    case LANDLINE_LOST:
        break;
    }
    return status == LANDLINE_STOPPED ? EXIT_NOT_RUN : EXIT_BROKEN;
}

/* The words of COMMAND as one; the caller frees it. NULL where memory is short. */
static char *joined(char *const words[])
{
    size_t size = 0;
    for (char *const *word = words; *word != NULL; word++)
        size += strlen(*word) + 1;
    char *text = malloc(size);
    char *end = text;
    for (char *const *word = words; text != NULL && *word != NULL; word++) {
        size_t len = strlen(*word);
        memcpy(end, *word, len);
        end += len;
        *end++ = word[1] == NULL ? '\0' : ' ';
    }
    return text;
}

int main(int argc, char *argv[])
{
    static struct landline line;
    struct landline_frame final;
    if (argc < 4)
        return client_usage("framed_run HOST PORT COMMAND...");
    char *command = joined(argv + 3);
    if (command == NULL)
        return client_fail(EXIT_NOT_RUN, PROGRAM, "out of memory", NULL);
    enum landline_status status = landline_connect(&line, argv[1], argv[2]);
    if (status == LANDLINE_OK)
        status = run(&line, command, &final);
    landline_close(&line);
    free(command);
    if (status == LANDLINE_OK)
        return command_status(&line);
    const char *what = status == LANDLINE_REFUSED ? line.code : "cannot run";
    return client_fail(failure_status(&line, status), PROGRAM, what, line.why);
}
