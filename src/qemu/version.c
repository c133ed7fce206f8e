/* SPDX-License-Identifier: Apache-2.0 */
#include "qemu/version.h"

#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/log.h"
#include "base/subprocess.h"

#define ASK_TIMEOUT (10 * NSEC_PER_SEC)
#define ANSWER_LIMIT 4096

bool qemu_version_parse(const char *text, struct qemu_version *ret_version) {
    struct qemu_version version;
    const char *number = strstr(text, " version ");

    if (!number || sscanf(number, " version %d.%d", &version.major, &version.minor) != 2 || version.major < 0 ||
        version.minor < 0)
        return false;
    *ret_version = version;
    return true;
}

bool qemu_version_has_safe_threads(const struct qemu_version *version) {
    return version->major > 8 || (version->major == 8 && version->minor >= 1);
}

/* The file that keeps the answer: one for each path, so that nothing piles up. Caller frees; NULL without a cache. */
static char *answer_path(const char *program) {
    _cleanup_free_ char *cache = path_cache_directory();
    _cleanup_free_ char *name = digest_buffer(program, strlen(program));

    return cache ? xasprintf("%s/qemu/%s", cache, name) : NULL;
}

/* Reads the cached answer of the program, if its identity has not changed: the identity, followed by the answer. */
static bool version_recall(const char *path, const char *identity, struct qemu_version *ret_version) {
    _cleanup_buffer_ struct buffer text = {0};
    const char *answer;

    if (!path || file_read(path, ANSWER_LIMIT * 2, &text, NULL) < 0 || !text.data)
        return false;
    answer = str_skip_prefix(text.data, identity);
    return answer && *answer == '\n' && qemu_version_parse(answer, ret_version);
}

static void version_keep(const char *path, const char *identity, const char *answer) {
    _cleanup_error_ struct error *error = NULL;
    _cleanup_free_ char *text = xasprintf("%s\n%s", identity, answer);
    _cleanup_free_ char *parent = path ? path_parent(path) : NULL;
    int r;

    if (!path)
        return;
    r = path_make_directories(parent, 0777, &error);
    if (r == 0) {
        file_sweep(parent);
        r = file_write_atomically(path, text, strlen(text), 0666, &error);
    }
    if (r < 0)
        log_debug("QEMU's version is not kept: %s", error_message(error));
}

static int version_ask(const char *program, int cancel_fd, struct buffer *ret_answer, struct error **ret_error) {
    _cleanup_subprocess_result_ struct subprocess_result result = {0};
    _cleanup_strv_ struct strv argv = {0};
    int r;

    strv_append(&argv, program);
    strv_append(&argv, "--version");
    r = subprocess_run(&argv, cancel_fd, deadline_in(ASK_TIMEOUT), ANSWER_LIMIT, &result, ret_error);
    if (r < 0)
        return r;
    buffer_append(ret_answer, result.output.data, result.output.size);
    return 0;
}

int qemu_version_find(const char *program, int cancel_fd, struct qemu_version *ret_version, struct error **ret_error) {
    _cleanup_free_ char *path = answer_path(program);
    _cleanup_free_ char *identity = NULL;
    _cleanup_buffer_ struct buffer answer = {0};
    int r = digest_file_identity(program, &identity, ret_error);

    if (r < 0)
        return r;
    if (version_recall(path, identity, ret_version))
        return 0;
    r = version_ask(program, cancel_fd, &answer, ret_error);
    if (r < 0)
        return r;
    if (!answer.data || !qemu_version_parse(answer.data, ret_version))
        return error_new(ret_error, EPROTO, "%s does not tell its version", program);
    version_keep(path, identity, answer.data);
    return 0;
}
