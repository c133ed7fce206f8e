/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replays inputs through a fuzz target, for builds without libFuzzer: replay-TARGET FILE_OR_DIRECTORY... A directory
 * may be missing, but where nothing is found at all, nothing is shown, and that fails. The empty input always comes
 * first.
 */
#include <dirent.h>
#include <sys/stat.h>

#include "base/file.h"
#include "fuzz.h"

#define FILE_LIMIT (16u << 20)

static unsigned n_replayed;

static int replay_file(const char *path) {
    _cleanup_buffer_ struct buffer content = {0};
    _cleanup_error_ struct error *error = NULL;

    if (file_read(path, FILE_LIMIT, &content, &error) < 0) {
        (void)fprintf(stderr, "replay: %s\n", error_message(error));
        return -1;
    }
    /* A copy of just its size, so that the sanitizers see the first byte too many. */
    uint8_t *copy = malloc(content.size);
    if (!copy && content.size > 0)
        abort();
    if (content.size > 0)
        memcpy(copy, content.data, content.size);
    /* Told before: the target may not come back. */
    (void)printf("%s\n", path);
    (void)fflush(stdout);
    (void)LLVMFuzzerTestOneInput(copy, content.size);
    free(copy);
    n_replayed++;
    return 0;
}

static int not_hidden(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static int replay_directory(const char *path) {
    struct dirent **entries;
    int count = scandir(path, &entries, not_hidden, alphasort);
    int r = count < 0 ? -1 : 0;

    if (count < 0)
        perror(path);
    for (int i = 0; i < count; i++) {
        _cleanup_free_ char *file = path_resolve(path, entries[i]->d_name);

        if (replay_file(file) < 0)
            r = -1;
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return r;
}

int main(int argc, char **argv) {
    int status = EXIT_SUCCESS;

    (void)LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++) {
        if (!path_exists(argv[i]))
            (void)printf("there is no %s\n", argv[i]);
        else if ((path_is_directory(argv[i]) ? replay_directory(argv[i]) : replay_file(argv[i])) < 0)
            status = EXIT_FAILURE;
    }
    (void)printf("%u inputs replayed\n", n_replayed);
    return n_replayed > 0 ? status : EXIT_FAILURE;
}
