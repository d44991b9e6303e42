/*
 * bare_exec [-l] [-n BYTES] HOST PORT COMMAND...
 *
 * The client of remote execution, as it first was: each COMMAND is one send() without a newline,
 * and one recv() of up to 64 KiB is its reply. The server's listener is `exec+bare`, which sends a
 * reply of up to 64 KiB in one piece. TCP may still deliver that in parts: where more is expected,
 * -n reads until BYTES have come for each COMMAND.
 *
 * Prints exactly what came; -l adds a newline after each reply that does not end in one. A reply
 * that begins as a refusal does (`error disabled: …`) is printed too, and ends it with
 * EXIT_REFUSED: a command that prints such words looks the same. Other exit statuses: client.h.
 */
#include <limits.h>

#include "bare.h"

static const char PROGRAM[] = "bare_exec";
static const char USAGE[] = "bare_exec [-l] [-n BYTES] HOST PORT COMMAND...";

static int print(const char *bytes, size_t count)
{
    if (client_write(STDOUT_FILENO, bytes, count))
        return EXIT_DONE;
    return client_fail(EXIT_REFUSED, PROGRAM, "standard output", strerror(errno));
}

/*
 * Says `command` and prints its reply: one recv(), or where `due` is not 0, as many as that takes.
 * Returns an exit status.
 */
static int run(struct bare *b, const char *command, size_t due, bool as_line)
{
    static char heard[BARE_BYTES_MAX];
    size_t got = 0;
    size_t more = 0;
    bool refused = false;
    if (!bare_say(b, command, strlen(command)))
        return client_fail(EXIT_BROKEN, PROGRAM, "connection lost", strerror(errno));
    do {
        size_t left = due - got; /* only looked at where `due` is not 0 */
        more = bare_hear(b, heard, due == 0 || left > sizeof heard ? sizeof heard : left);
        if (more == 0)
            return client_fail(EXIT_BROKEN, PROGRAM, "the server closed early", NULL);
        refused = refused || (got == 0 && client_is_refusal(heard, more));
        got += more;
        int status = print(heard, more);
        if (status != EXIT_DONE)
            return status;
    } while (got < due && !refused);
    if (as_line && heard[more - 1] != '\n' && print("\n", 1) != EXIT_DONE)
        return EXIT_REFUSED;
    return refused ? EXIT_REFUSED : EXIT_DONE;
}

int main(int argc, char *argv[])
{
    bool as_line = false;
    bool can_say = true;
    long due = 0;
    for (int option; (option = getopt(argc, argv, "ln:")) != -1;) {
        as_line = as_line || option == 'l';
        due = option == 'n' ? client_number(optarg, LONG_MAX) : due;
        can_say = can_say && option != '?' && due >= 0;
    }
    for (int i = optind + 2; i < argc; i++)
        can_say = can_say && bare_can_say(argv[i]);
    if (!can_say || argc - optind < 3)
        return client_usage(USAGE);
    struct bare b = bare_open(PROGRAM, argv[optind], argv[optind + 1]);
    int status = EXIT_DONE;
    for (int i = optind + 2; i < argc && status == EXIT_DONE; i++)
        status = run(&b, argv[i], (size_t)due, as_line);
    close(b.fd);
    return status;
}
