/* SPDX-License-Identifier: Apache-2.0 */
#include "event/artifact-directory.h"

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "base/digest.h"

#define NAME_LIMIT 100u
#define DIGEST_SHOWN 8
#define DIRECTORY_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static const char *const files[] = {
    ARTIFACT_CONSOLE, ARTIFACT_STDOUT, ARTIFACT_STDERR,    ARTIFACT_EVENTS, ARTIFACT_RESULT,
    ARTIFACT_AGAIN,   ARTIFACT_QEMU,   ARTIFACT_INITRAMFS, ARTIFACT_MEMORY, ARTIFACT_MEMORY_NEW,
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

static int remove_files(int directory, const char *path, struct error **ret_error) {
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        if (unlinkat(directory, files[i], 0) < 0 && errno != ENOENT)
            return error_errno(ret_error, errno, "%s/%s", path, files[i]);
    }
    return 0;
}

static char *attempt_name(unsigned attempt) {
    return xasprintf("attempt-%u", attempt);
}

/* Attempts of an earlier run; a directory with something else in it stays. */
static int remove_attempts(int own, const char *path, struct error **ret_error) {
    int r = 0;

    for (unsigned attempt = 2; r == 0; attempt++) {
        _cleanup_free_ char *name = attempt_name(attempt);
        _cleanup_free_ char *shown = xasprintf("%s/%s", path, name);
        _cleanup_close_ int directory = openat(own, name, DIRECTORY_FLAGS);

        if (directory < 0)
            return 0;
        r = remove_files(directory, shown, ret_error);
        (void)unlinkat(own, name, AT_REMOVEDIR);
    }
    return r;
}

/* Opens `base`, which is where it was the last time, or nothing is opened. -1 with *ret_error. */
static int open_base(const char *base, char **base_real, struct error **ret_error) {
    _cleanup_close_ int directory = -1;
    _cleanup_free_ char *link = NULL;
    char real[PATH_MAX];
    ssize_t length;

    if (path_make_directories(base, 0777, ret_error) < 0)
        return -1;
    directory = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    link = xasprintf("/proc/self/fd/%d", directory);
    length = directory >= 0 ? readlink(link, real, sizeof(real) - 1) : -1;
    if (length < 0) {
        (void)error_errno(ret_error, errno, "%s", base);
        return -1;
    }
    real[length] = '\0';
    if (!*base_real)
        *base_real = xstrdup(real);
    if (!str_equal(*base_real, real)) {
        (void)error_new(ret_error, ELOOP, "%s: leads to %s by now, and led to %s before", base, real, *base_real);
        return -1;
    }
    return TAKE_FD(directory);
}

/* A directory in another one, made if need be; -1 with *ret_error. A link in its place is none. */
static int open_below(int parent, const char *name, const char *path, struct error **ret_error) {
    int directory = mkdirat(parent, name, 0777) == 0 || errno == EEXIST ? openat(parent, name, DIRECTORY_FLAGS) : -1;

    if (directory < 0)
        (void)error_errno(ret_error, errno, "%s", path);
    return directory;
}

int artifacts_make_attempt(const char *base, const char *target, unsigned attempt, char **base_real, int *ret_directory,
                           char **ret_path, struct error **ret_error) {
    _cleanup_free_ char *name = artifacts_name(target);
    _cleanup_free_ char *number = attempt_name(attempt);
    _cleanup_free_ char *path = xasprintf("%s/%s", base, name);
    _cleanup_close_ int parent = open_base(base, base_real, ret_error);
    _cleanup_close_ int directory = parent >= 0 ? open_below(parent, name, path, ret_error) : -1;
    int r = 0;

    if (attempt > 1 && directory >= 0) {
        char *own = path;

        path = xasprintf("%s/%s", own, number);
        free(own);
        (void)fd_close(parent);
        parent = directory;
        directory = open_below(parent, number, path, ret_error);
    }
    r = directory < 0 ? -EIO : remove_files(directory, path, ret_error);
    if (r == 0 && attempt <= 1)
        r = remove_attempts(directory, path, ret_error);
    if (r < 0) {
        error_context(ret_error, "--artifacts");
        return r;
    }
    *ret_directory = TAKE_FD(directory);
    *ret_path = TAKE_PTR(path);
    return 0;
}
