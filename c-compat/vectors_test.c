/*
 * vectors_test FILE
 *
 * Reads the frames of vectors/frames.txt, whose head says how they are written, by
 * landline_frame.h, and says on standard error which are not as they should be. Exit status: 0
 * where all are, else 1.
 *
 * What it does NOT do: speak to a server.
 */
#include "client.h"
#include "landline_frame.h"

enum { BYTES_MAX = 4096 };

/* Bytes, and a zero behind them. */
struct bytes {
    char at[BYTES_MAX + 1];
    size_t count;
};

/* Reads hexadecimal digits; `-` is no bytes. */
static bool unhex(const char *digits, struct bytes *bytes)
{
    bytes->count = 0;
    for (; strcmp(digits, "-") != 0 && *digits != '\0'; digits += 2) {
        int high = landline_hex(digits[0]);
        int low = high < 0 ? -1 : landline_hex(digits[1]);
        if (low < 0 || bytes->count == BYTES_MAX)
            return false;
        bytes->at[bytes->count++] = (char)(high * 16 + low);
    }
    bytes->at[bytes->count] = '\0';
    return true;
}

/* Whether `pairs` hold KEY=VALUE as `word` says it. */
static bool has_value(const char *pairs, char *word)
{
    char *equals = strrchr(word, '=');
    static struct bytes expected;
    static char found[BYTES_MAX + 1];
    if (equals == NULL || !unhex(equals + 1, &expected))
        return false;
    *equals = '\0';
    long count = landline_pairs_value(pairs, word, found, sizeof found);
    return count >= 0 && (size_t)count == expected.count
           && memcmp(found, expected.at, expected.count) == 0;
}

/* Whether a frame is as the words behind its name say. */
static bool is_good(char *words)
{
    static struct bytes whole;
    static struct bytes payload;
    struct landline_frame frame;
    const char *pairs = NULL;
    char *hex = strtok(words, " ");
    char *type = strtok(NULL, " ");
    char *len = strtok(NULL, " ");
    char *rest = strtok(NULL, " ");
    if (rest == NULL || !unhex(hex, &whole) || !unhex(rest, &payload))
        return false;
    char *newline = memchr(whole.at, '\n', whole.count);
    if (newline == NULL)
        return false;
    *newline = '\0';
    size_t left = whole.count - (size_t)(newline + 1 - whole.at);
    uint64_t expected = 0;
    if (!landline_decimal(len, strlen(len), &expected)
        || !landline_frame_parse(whole.at, &frame, &pairs) || frame.len != expected
        || strcmp(frame.type, type) != 0 || left != payload.count
        || memcmp(newline + 1, payload.at, left) != 0)
        return false;
    bool is_same = true;
    for (char *pair = strtok(NULL, " "); pair != NULL; pair = strtok(NULL, " "))
        is_same = has_value(pairs, pair) && is_same;
    return is_same;
}

/* Whether a header is none. */
static bool is_bad(const char *hex)
{
    static struct bytes header;
    struct landline_frame frame;
    const char *pairs = NULL;
    return unhex(hex, &header) && !landline_frame_parse(header.at, &frame, &pairs);
}

int main(int argc, char *argv[])
{
    static char line[4 * BYTES_MAX];
    if (argc != 2)
        return client_usage("vectors_test FILE");
    FILE *file = fopen(argv[1], "r");
    if (file == NULL)
        return client_fail(EXIT_REFUSED, "vectors_test", argv[1], strerror(errno));
    int wrong = 0;
    int count = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '#' || line[0] == '\0')
            continue;
        char *name = strchr(line, ' ');
        char *words = name == NULL ? NULL : strchr(name + 1, ' ');
        bool is_right = false;
        if (words != NULL) {
            *name++ = '\0';
            *words++ = '\0';
            is_right = strcmp(line, "good") == 0 ? is_good(words)
                                                 : strcmp(line, "bad") == 0 && is_bad(words);
        }
        count++;
        wrong += is_right ? 0 : 1;
        if (!is_right)
            client_fail(EXIT_REFUSED, "vectors_test", line, name);
    }
    fclose(file);
    printf("%d vectors, %d wrong\n", count, wrong);
    return wrong == 0 && count > 0 ? EXIT_DONE : EXIT_REFUSED;
}
