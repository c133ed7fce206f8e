/* SPDX-License-Identifier: Apache-2.0 */
#include "run/artifacts.h"

#include <ctype.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "template/digest.h"

#define NAME_LIMIT 100u
#define DIGEST_SHOWN 8

static const char *const files[] = {
    ARTIFACT_CONSOLE, ARTIFACT_STDOUT, ARTIFACT_STDERR,    ARTIFACT_EVENTS, ARTIFACT_RESULT,
    ARTIFACT_AGAIN,   ARTIFACT_QEMU,   ARTIFACT_INITRAMFS, ARTIFACT_MEMORY,
};

char *artifacts_name(const char *target) {
    _cleanup_free_ char *name = xstrndup(target, NAME_LIMIT);
    _cleanup_free_ char *digest = NULL;

    for (char *at = name; *at; at++) {
        bool plain = isascii((unsigned char)*at) && (isalnum((unsigned char)*at) || strchr("-_.", *at));

        if (!plain)
            *at = '_';
    }
    if (name[0] == '.')
        name[0] = '_';
    if (name[0] != '\0' && str_equal(name, target))
        return TAKE_PTR(name);
    digest = digest_buffer(target, strlen(target));
    return xasprintf("%s-%.*s", name, DIGEST_SHOWN, digest);
}

static int remove_files(const char *path, struct error **ret_error) {
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        _cleanup_free_ char *file = xasprintf("%s/%s", path, files[i]);

        if (unlink(file) < 0 && errno != ENOENT)
            return error_errno(ret_error, errno, "%s", file);
    }
    return 0;
}

static char *attempt_path(const char *path, unsigned attempt) {
    return xasprintf("%s/attempt-%u", path, attempt);
}

/* Attempts of an earlier run; a directory with something else in it stays. */
static int remove_attempts(const char *path, struct error **ret_error) {
    int r = 0;

    for (unsigned attempt = 2; r == 0; attempt++) {
        _cleanup_free_ char *directory = attempt_path(path, attempt);

        if (!path_is_directory(directory))
            return 0;
        r = remove_files(directory, ret_error);
        (void)rmdir(directory);
    }
    return r;
}

/* A guest that the directory is shared with may have put a link there. */
static int check_place(const char *path, const char *expected, struct error **ret_error) {
    char *real = realpath(path, NULL);
    _cleanup_free_ char *owned = real;

    if (!real && errno == ENOENT)
        return 0;
    if (!real)
        return error_errno(ret_error, errno, "%s", path);
    if (!str_equal(real, expected))
        return error_new(ret_error, ELOOP, "%s: leads to %s, not to a directory of its own; remove the link", path,
                         real);
    return 0;
}

static int find_base(const char *base, char **base_real, struct error **ret_error) {
    int r = *base_real ? check_place(base, *base_real, ret_error) : path_make_directories(base, 0777, ret_error);

    if (r == 0 && !*base_real)
        *base_real = realpath(base, NULL);
    return r < 0 || *base_real ? r : error_errno(ret_error, errno, "%s", base);
}

/* The directories of the target and of the attempt: made, and where they seem to be. */
static int make_directories(const char *base, const char *name, unsigned attempt, char **base_real, const char *path,
                            struct error **ret_error) {
    _cleanup_free_ char *own = xasprintf("%s/%s", base, name);
    int r = find_base(base, base_real, ret_error);

    if (r < 0)
        return r;
    _cleanup_free_ char *own_real = xasprintf("%s/%s", str_equal(*base_real, "/") ? "" : *base_real, name);
    _cleanup_free_ char *path_real = attempt > 1 ? attempt_path(own_real, attempt) : xstrdup(own_real);
    r = check_place(own, own_real, ret_error);
    if (r == 0)
        r = path_make_directories(path, 0777, ret_error);
    return r < 0 ? r : check_place(path, path_real, ret_error);
}

int artifacts_make_attempt(const char *base, const char *target, unsigned attempt, char **base_real, char **ret_path,
                           struct error **ret_error) {
    _cleanup_free_ char *name = artifacts_name(target);
    _cleanup_free_ char *own = xasprintf("%s/%s", base, name);
    _cleanup_free_ char *path = attempt > 1 ? attempt_path(own, attempt) : xstrdup(own);
    int r = make_directories(base, name, attempt, base_real, path, ret_error);

    if (r == 0)
        r = remove_files(path, ret_error);
    if (r == 0 && attempt <= 1)
        r = remove_attempts(path, ret_error);
    if (r < 0) {
        error_context(ret_error, "--artifacts");
        return r;
    }
    *ret_path = TAKE_PTR(path);
    return 0;
}

int artifacts_make(const char *base, const char *target, char **ret_path, struct error **ret_error) {
    _cleanup_free_ char *base_real = NULL;

    return artifacts_make_attempt(base, target, 1, &base_real, ret_path, ret_error);
}
