/*
 * framed_download HOST PORT FILE [OUT]
 *
 * Fetches FILE over a framed connection, as landline.h speaks it. OUT (where not given: `client_`
 * and FILE's base name, in the current directory) is whole or untouched: the bytes are counted
 * against the size that the server announced, under a temporary name (save.h). An existing OUT is
 * replaced.
 *
 * Exit statuses: client.h.
 */
#define LANDLINE_INPUT_MAX 65536

#include "client.h"
#include "landline.h"
#include "save.h"

static const char PROGRAM[] = "framed_download";

/* How far the download is. */
struct progress {
    bool announced;
    uint64_t size, received; /* bytes; received ≤ size */
};

static bool on_bytes(void *context, const void *bytes, size_t count)
{
    (void)context;
    return save_write(bytes, count);
}

/* Takes one part of the reply. */
static enum landline_status on_part(struct landline *line, const struct landline_frame *frame,
                                    struct progress *progress)
{
    if (strcmp(frame->type, "file") == 0 && !progress->announced) {
        progress->announced = landline_number(line, "size", &progress->size);
        return progress->announced ? LANDLINE_OK
                                   : landline_failed(line, LANDLINE_BROKEN, "no size given");
    }
    bool due = progress->announced && strcmp(frame->type, "data") == 0
               && frame->len <= progress->size - progress->received;
    if (!due)
        return landline_failed(line, LANDLINE_BROKEN, "more or other data than was announced");
    progress->received += frame->len;
    enum landline_status status = landline_payload(line, on_bytes, NULL);
    if (status == LANDLINE_STOPPED)
        landline_failed(line, status, strerror(errno));
    return status;
}

/* Asks for `file` and saves it. */
static enum landline_status fetch(struct landline *line, const char *file)
{
    struct progress progress = { 0 };
    struct landline_frame frame = { 0 };
    enum landline_status status = landline_request(line, "download", file);
    while (status == LANDLINE_OK) {
        status = landline_next(line, &frame);
        if (status != LANDLINE_OK || frame.kind == LANDLINE_EVENT)
            continue;
        if (frame.kind == LANDLINE_FINAL)
            break;
        status = on_part(line, &frame, &progress);
    }
    if (status == LANDLINE_OK)
        status = landline_final(line, &frame);
    bool whole = progress.announced && progress.received == progress.size;
    if (status == LANDLINE_OK && !whole)
        status = landline_failed(line, LANDLINE_BROKEN, "the file came shorter than announced");
    return status;
}

/* The exit status of a program for what landline.h says. */
static int exit_status(enum landline_status status)
{
    switch (status) {
    case LANDLINE_OK:
        return EXIT_DONE;
    case LANDLINE_REFUSED:
    case LANDLINE_STOPPED:
        return EXIT_REFUSED;
    case LANDLINE_BAD_LINE:
        return EXIT_USAGE;
    case LANDLINE_UNREACHED:
    case LANDLINE_TIMEOUT:
        return EXIT_UNREACHED;
    case LANDLINE_BROKEN:
    case LANDLINE_LOST:
        break;
    }
    return EXIT_BROKEN;
}

int main(int argc, char *argv[])
{
    static struct landline line;
    static char name[NAME_MAX + 1];
    const char *target = argc == 5 ? argv[4] : name;
    if (argc < 4 || argc > 5 || argv[3][0] == '\0'
        || (argc == 4 && !save_default_name(argv[3], name, sizeof name)))
        return client_usage("framed_download HOST PORT FILE [OUT]");
    enum landline_status status = landline_connect(&line, argv[1], argv[2]);
    if (status == LANDLINE_OK && !save_begin(target)) {
        landline_close(&line);
        return client_fail(EXIT_REFUSED, PROGRAM, target, strerror(errno));
    }
    if (status == LANDLINE_OK)
        status = fetch(&line, argv[3]);
    landline_close(&line);
    if (status != LANDLINE_OK) {
        save_abort();
        const char *what = status == LANDLINE_REFUSED ? line.code : "cannot download";
        return client_fail(exit_status(status), PROGRAM, what, line.why);
    }
    if (!save_commit())
        return client_fail(EXIT_REFUSED, PROGRAM, target, strerror(errno));
    return EXIT_DONE;
}
