/*
 * command.h: what the programs that run a command share: its words as one, and how its end becomes
 * an exit status.
 *
 * What it does NOT do: ask for the command, or pass on what it writes.
 */
#ifndef COMMAND_H
#define COMMAND_H

#include "client.h"
#include "landline.h"

enum { EXIT_TIMEOUT = 124, EXIT_SIGNAL = 128, EXIT_NOT_RUN = 255 };

/* The number of the signal called `name` (`KILL`), or 0. */
static inline int signal_number(const char *name)
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

/* The exit status for how the command ended, as the final frame says it. */
static inline int command_status(const struct landline *line, const char *program)
{
    uint64_t number = 0;
    char name[32];
    if (landline_number(line, "exit", &number) && number <= 255)
        return (int)number;
    if (landline_value(line, "signal", name, sizeof name) <= 0)
        return client_fail(EXIT_BROKEN, program, "the server did not say how it ended", NULL);
    landline_clean(name);
    fprintf(stderr, "signal %s\n", name);
    int signal = signal_number(name);
    return signal == 0 ? EXIT_NOT_RUN : EXIT_SIGNAL + signal;
}

/* The exit status where the command did not end by itself. */
static inline int failure_status(const struct landline *line, enum landline_status status)
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
static inline char *joined(char *const words[])
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

#endif
