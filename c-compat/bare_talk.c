/*
 * bare_talk [-g MS] HOST PORT NAME
 *
 * The client of "one server, N clients", as it first was: NAME is said, which nothing answers where
 * it is good; then every line typed is `MESSAGE | USER`, and what others write is printed at once
 * as it arrives, `USER|MESSAGE`. Every message is one send() without a newline; the server's
 * listener is `talk+bare`.
 *
 * Two messages keep MS milliseconds apart (200): no reply tells when the name was understood.
 * `quit` or the end of standard input ends it once the server has closed.
 * Exit statuses: client.h; a name that is bad or taken is printed and is EXIT_REFUSED.
 */
#include "bare.h"

int main(int argc, char *argv[])
{
    const char *name = NULL;
    struct bare b =
        bare_open_named("bare_talk", "bare_talk [-g MS] HOST PORT NAME", argc, argv, &name);
    bare_say(&b, name, strlen(name));
    int status = bare_converse(&b);
    close(b.fd);
    return status;
}
