/*
 * bare_hello HOST PORT NAME [MESSAGE...]
 *
 * The client of the named echo server, as it first was: NAME is said and answered by the server's
 * name, each MESSAGE by itself, and `close` ends it. Every message is one send() without a newline;
 * the server's listener is `hello+bare`. Prints the server's name and each echo, a line each.
 *
 * An echo is read until as many bytes have come as were sent, since TCP may deliver it in parts.
 * Exit statuses: client.h; an echo that is not the message is EXIT_BROKEN.
 */
#include "bare.h"

static const char PROGRAM[] = "bare_hello";

/* Says `message` and waits for it to come back. Returns an exit status. */
static int echo(struct bare *b, const char *message)
{
    static char heard[BARE_BYTES_MAX];
    size_t due = strlen(message);
    size_t got = 0;
    if (!bare_say(b, message, due))
        return client_fail(EXIT_BROKEN, PROGRAM, "connection lost", strerror(errno));
    while (got < due) {
        size_t more = bare_hear(b, heard + got, sizeof heard - got);
        if (more == 0)
            return client_fail(EXIT_BROKEN, PROGRAM, "the server closed early", NULL);
        got += more;
        bool is_echo = got <= due && memcmp(heard, message, got) == 0;
        if (!is_echo && client_is_refusal(heard, got))
            return bare_refused(b, heard, got);
        if (!is_echo)
            return client_fail(EXIT_BROKEN, PROGRAM, "that is not an echo of", message);
    }
    bare_print(b, heard, got);
    return EXIT_DONE;
}

/* Says `close` and waits for the server to do so, without another word. */
static int say_close(struct bare *b)
{
    char word[64];
    bare_say(b, "close", 5);
    if (bare_hear(b, word, sizeof word) != 0)
        return client_fail(EXIT_BROKEN, PROGRAM, "the server did not close", NULL);
    return EXIT_DONE;
}

int main(int argc, char *argv[])
{
    bool can_say = argc > 3;
    for (int i = 3; i < argc; i++)
        can_say = can_say && bare_can_say(argv[i]);
    if (!can_say)
        return client_usage("bare_hello HOST PORT NAME [MESSAGE...]   (none empty, no newlines)");
    struct bare b = bare_open(PROGRAM, argv[1], argv[2]);
    int status = bare_greet(&b, argv[3]);
    for (int i = 4; i < argc && status == EXIT_DONE && strcmp(argv[i], "close") != 0; i++)
        status = echo(&b, argv[i]);
    if (status == EXIT_DONE)
        status = say_close(&b);
    close(b.fd);
    return status;
}
