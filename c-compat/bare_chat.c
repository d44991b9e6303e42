/*
 * bare_chat [-g MS] HOST PORT NAME
 *
 * The client of the multi-user chat, as it first was: NAME is said and answered by the server's
 * name; then one terminal serves for typing (`get_list`, `send all : TEXT`, `send A B : TEXT`,
 * `quit`) and for reading what others write. Every line typed is one send() without its newline;
 * the server's listener is `chat+bare`. What arrives is printed at once, each arrival as a line.
 *
 * Two messages keep MS milliseconds apart (200), since the server tells them apart by time alone.
 * `quit` ends it; at the end of standard input it goes on printing until the server closes.
 * Exit statuses: client.h; a name that is bad or taken is EXIT_REFUSED.
 */
#include "bare.h"

int main(int argc, char *argv[])
{
    const char *name = NULL;
    struct bare b =
        bare_open_named("bare_chat", "bare_chat [-g MS] HOST PORT NAME", argc, argv, &name);
    int status = bare_greet(&b, name);
    if (status == EXIT_DONE)
        status = bare_converse(&b);
    close(b.fd);
    return status;
}
