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
#include "command.h"
#include "landline.h"

static const char PROGRAM[] = "framed_run";

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
        return command_status(&line, PROGRAM);
    const char *what = status == LANDLINE_REFUSED ? line.code : "cannot run";
    return client_fail(failure_status(&line, status), PROGRAM, what, line.why);
}
