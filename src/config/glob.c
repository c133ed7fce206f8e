/* SPDX-License-Identifier: Apache-2.0 */
/* The patterns of a [[matrix]] by glob(3): the one thing about a configuration that looks at other files. */
#include <glob.h>

#include "base/file.h"
#include "config/config.h"

/* glob(3) has no argument for its callback. Patterns are expanded one at a time, before anything else runs. */
static struct {
    char *path;
    int code;
} unreadable;

/* What vanished, or is no directory, holds nothing that could match. */
static int note_unreadable(const char *path, int code) {
    if (code == ENOENT || code == ENOTDIR || code == ELOOP)
        return 0;
    free(unreadable.path);
    unreadable.path = xstrdup(path);
    unreadable.code = code;
    return 1;
}

/* A directory's name as a pattern that matches only it. */
static void append_literal(struct buffer *pattern, const char *directory) {
    for (; *directory; directory++) {
        if (strchr("*?[]\\", *directory))
            buffer_append(pattern, "\\", 1);
        buffer_append(pattern, directory, 1);
    }
}

static int glob_failure(int code, const char *pattern, struct error **ret_error) {
    _cleanup_free_ char *path = TAKE_PTR(unreadable.path);

    if (code == GLOB_NOSPACE)
        abort();
    if (!path)
        return error_new(ret_error, EIO, "the files that match '%s' cannot be listed", pattern);
    return error_errno(ret_error, unreadable.code, "%s", path);
}

int config_glob(const char *directory, const char *pattern, struct strv *ret_paths, struct error **ret_error) {
    struct buffer whole = {0};
    glob_t found = {0};

    if (pattern[0] != '/') {
        append_literal(&whole, directory);
        buffer_append(&whole, "/", 1);
    }
    buffer_append_string(&whole, pattern);
    _cleanup_free_ char *absolute = buffer_take(&whole);

    int r = glob(absolute, GLOB_NOSORT, note_unreadable, &found);
    if (r != 0 && r != GLOB_NOMATCH) {
        globfree(&found);
        return glob_failure(r, pattern, ret_error);
    }
    for (size_t i = 0; r == 0 && i < found.gl_pathc; i++)
        strv_append(ret_paths, found.gl_pathv[i]);
    globfree(&found);
    return 0;
}
