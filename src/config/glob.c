/* SPDX-License-Identifier: Apache-2.0 */
/* The patterns of a [[matrix]] by glob(3): the one thing about a configuration that looks at other files. */
#include <ctype.h>
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

/*
 * A part without a pattern is looked up by glob(3), not listed, and a directory that may not be searched is passed over
 * in silence. So one of its letters becomes a set of one. False where there is none that could.
 */
static bool append_as_pattern(struct buffer *pattern, const char *part, size_t length) {
    size_t i = 0;

    if (memchr(part, '\\', length))
        return false;
    while (i < length && !isalnum((unsigned char)part[i]))
        i++;
    if (i == length)
        return false;
    buffer_append(pattern, part, i);
    buffer_printf(pattern, "[%c]", part[i]);
    buffer_append(pattern, part + i + 1, length - i - 1);
    return true;
}

static void append_pattern(struct buffer *whole, const char *pattern) {
    bool expanding = false;

    for (;;) {
        size_t length = strcspn(pattern, "/");
        bool is_pattern = strcspn(pattern, "*?[") < length;

        if (is_pattern || !expanding || !append_as_pattern(whole, pattern, length))
            buffer_append(whole, pattern, length);
        expanding = expanding || is_pattern;
        pattern += length;
        if (*pattern == '\0')
            return;
        buffer_append(whole, pattern++, 1);
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
    append_pattern(&whole, pattern);
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
