/* SPDX-License-Identifier: Apache-2.0 */
#include "report/formats/report-request.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

static const struct report_writer writers[] = {
    {"junit", true, report_write_junit},       {"tap", true, report_write_tap},   {"json", true, report_write_json},
    {"markdown", true, report_write_markdown}, {"html", true, report_write_html}, {"github", false, NULL},
};

/* "junit=FILE, tap=FILE ... or github". Caller frees. */
static char *kinds(void) {
    struct buffer text = {0};

    for (size_t i = 0; i < ARRAY_SIZE(writers); i++)
        buffer_printf(&text, "%s%s%s",
                      i == 0                        ? ""
                      : i + 1 < ARRAY_SIZE(writers) ? ", "
                                                    : " or ",
                      writers[i].kind, writers[i].has_file ? "=FILE" : "");
    return buffer_take(&text);
}

int report_request_parse(const char *text, struct report_request *ret_request, struct error **ret_error) {
    size_t length = strcspn(text, "=");
    const char *path = text[length] == '=' ? text + length + 1 : NULL;
    _cleanup_free_ char *known = kinds();

    for (size_t i = 0; i < ARRAY_SIZE(writers); i++) {
        const struct report_writer *writer = &writers[i];

        if (strlen(writer->kind) != length || memcmp(writer->kind, text, length) != 0)
            continue;
        if (writer->has_file && str_empty(path))
            return error_new(ret_error, EINVAL, "'%s' needs a file: %s=FILE", text, writer->kind);
        if (!writer->has_file && path)
            return error_new(ret_error, EINVAL, "'%s' takes no file", writer->kind);
        *ret_request = (struct report_request){writer, path, -1};
        return 0;
    }
    return error_new(ret_error, EINVAL, "'%.*s' is no kind of report; give %s", (int)length, text, known);
}

/*
 * Where the file lies, or will lie, its directory's links followed. A name in a directory that is not there comes back
 * as it is. Caller frees.
 */
static char *resolve(const char *path) {
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    _cleanup_free_ char *parent = xstrndup(path, (size_t)(name - path));
    _cleanup_free_ char *directory = realpath(parent[0] ? parent : ".", NULL);

    return directory ? xasprintf("%s/%s", directory, name) : xstrdup(path);
}

bool report_request_same(const struct report_request *a, const struct report_request *b) {
    if (!a->path || !b->path)
        return a->path == b->path && a->writer == b->writer;
    _cleanup_free_ char *path_a = resolve(a->path);
    _cleanup_free_ char *path_b = resolve(b->path);
    return str_equal(path_a, path_b);
}

/* A device or a pipe would itself be replaced by the report, and so would the file that the output goes to. */
static int check_replaceable(const struct report_request *request, const struct stat *status,
                             struct error **ret_error) {
    struct stat output;

    if (S_ISLNK(status->st_mode))
        return error_new(ret_error, ELOOP, "%s: is a symbolic link; name the file that it leads to", request->path);
    if (!S_ISREG(status->st_mode))
        return error_new(ret_error, EOPNOTSUPP, "%s: is no regular file", request->path);
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fstat(fd, &output) == 0 && output.st_dev == status->st_dev && output.st_ino == status->st_ino)
            return error_new(ret_error, EOPNOTSUPP, "%s: is where standard %s goes", request->path,
                             fd == STDOUT_FILENO ? "output" : "error");
    }
    return 0;
}

int report_request_open(struct report_request *request, struct error **ret_error) {
    _cleanup_free_ char *parent = path_parent(request->path);
    struct stat status;
    int r = 0;

    request->directory = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (request->directory < 0)
        r = error_errno(ret_error, errno, "%s", request->path);
    else if (str_empty(path_basename(request->path)))
        r = error_new(ret_error, EISDIR, "%s: is a directory", request->path);
    else if (fstatat(request->directory, path_basename(request->path), &status, AT_SYMLINK_NOFOLLOW) == 0)
        r = check_replaceable(request, &status, ret_error);
    if (r < 0)
        error_context(ret_error, "the %s report", request->writer->kind);
    return r;
}

void report_request_close(struct report_request *request) {
    request->directory = fd_close(request->directory);
}

/* By the directory's descriptor: its name may lead elsewhere by now, if a guest could write there. */
int report_request_write(const struct report_request *request, const struct report *report, struct error **ret_error) {
    const char *name = path_basename(request->path);
    _cleanup_free_ char *path = xasprintf("/proc/self/fd/%d/%s", request->directory, name);
    _cleanup_buffer_ struct buffer text = {0};
    struct stat status;
    bool there = fstatat(request->directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode);
    int r;

    request->writer->write(report, &text);
    r = file_write_atomically(path, text.data ? text.data : "", text.size, there ? status.st_mode & 0777 : 0666, NULL);
    if (r < 0)
        (void)error_errno(ret_error, r, "the %s report: %s", request->writer->kind, request->path);
    return r;
}
