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

int artifacts_make(const char *base, const char *target, char **ret_path, struct error **ret_error) {
    _cleanup_free_ char *name = artifacts_name(target);
    _cleanup_free_ char *path = xasprintf("%s/%s", base, name);
    int r = path_make_directories(path, 0777, ret_error);

    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(files); i++) {
        _cleanup_free_ char *file = xasprintf("%s/%s", path, files[i]);

        if (unlink(file) < 0 && errno != ENOENT)
            r = error_errno(ret_error, errno, "%s", file);
    }
    if (r < 0) {
        error_context(ret_error, "--artifacts");
        return r;
    }
    *ret_path = TAKE_PTR(path);
    return 0;
}
