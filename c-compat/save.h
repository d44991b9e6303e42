/*
 * save.h: a file that appears under its name only when it is whole. It is written under a temporary
 * name in the same directory (`TARGET.part-XXXXXX`), synced, and renamed. An existing TARGET is
 * replaced then, not before; one that is no regular file (`/dev/null`, a FIFO) is written to in
 * place.
 *
 * What it does NOT do: keep two files at once (a signal must know the one to remove), or sync the
 * directory: after a power cut TARGET may be absent, but not cut short.
 */
#ifndef SAVE_H
#define SAVE_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"

/* The file that is being written. */
static struct {
    const char *target;
    int fd;
    char temporary[PATH_MAX]; /* empty where TARGET is written to as it is */
} saving = { .fd = -1 };

/* SIGINT, SIGTERM, SIGHUP: the temporary file goes, then the signal does what it always does. */
static inline void save_on_signal(int number)
{
    unlink(saving.temporary);
    signal(number, SIG_DFL);
    raise(number);
}

/* Has `save_on_signal` called, unless the signal is ignored (nohup). */
static inline void save_catch(int number)
{
    struct sigaction action = { .sa_handler = save_on_signal };
    struct sigaction before;
    sigemptyset(&action.sa_mask);
    if (sigaction(number, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(number, &action, NULL);
}

/* Starts on `target`. False with errno set. */
static inline bool save_begin(const char *target)
{
    struct stat found;
    saving.target = target;
    saving.temporary[0] = '\0';
    if (stat(target, &found) == 0 && !S_ISREG(found.st_mode)) {
        saving.fd = open(target, O_WRONLY | O_CLOEXEC);
        return saving.fd >= 0;
    }
    int len = snprintf(saving.temporary, sizeof saving.temporary, "%s.part-XXXXXX", target);
    if (len < 0 || (size_t)len >= sizeof saving.temporary) {
        errno = ENAMETOOLONG;
        return false;
    }
    save_catch(SIGINT);
    save_catch(SIGTERM);
    save_catch(SIGHUP);
    saving.fd = mkstemp(saving.temporary);
    return saving.fd >= 0;
}

/* Appends. False with errno set. */
static inline bool save_write(const void *bytes, size_t count)
{
    return client_write(saving.fd, bytes, count);
}

/* Gives up: the temporary file goes, TARGET stays as it was. errno stays too. */
static inline void save_abort(void)
{
    int error = errno;
    if (saving.fd >= 0)
        close(saving.fd);
    if (saving.fd >= 0 && saving.temporary[0] != '\0')
        unlink(saving.temporary);
    saving.fd = -1;
    errno = error;
}

/* Ends: what was written now is TARGET. False with errno set, and all undone. */
static inline bool save_commit(void)
{
    mode_t mask = umask(0); /* mkstemp(3) makes a file for its owner alone */
    umask(mask);
    bool direct = saving.temporary[0] == '\0';
    bool whole = direct || (fchmod(saving.fd, 0666 & ~mask) == 0 && fsync(saving.fd) == 0
                            && rename(saving.temporary, saving.target) == 0);
    if (!whole) {
        save_abort();
        return false;
    }
    saving.temporary[0] = '\0';
    whole = close(saving.fd) == 0;
    saving.fd = -1;
    return whole;
}

/* `client_` and the base name of FILE, into `target`; false where FILE has none. */
static inline bool save_default_name(const char *file, char *target, size_t size)
{
    const char *slash = strrchr(file, '/');
    const char *base = slash == NULL ? file : slash + 1;
    int len = snprintf(target, size, "client_%s", base);
    return *base != '\0' && len > 0 && (size_t)len < size;
}

#endif
