/* SPDX-License-Identifier: Apache-2.0 */
#include "report/writers.h"

#include "base/file.h"

static const struct report_writer writers[] = {
    {"junit", true, report_write_junit},       {"tap", true, report_write_tap}, {"json", true, report_write_json},
    {"markdown", true, report_write_markdown}, {"github", false, NULL},
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
        *ret_request = (struct report_request){writer, path};
        return 0;
    }
    return error_new(ret_error, EINVAL, "'%.*s' is no kind of report; give %s", (int)length, text, known);
}

int report_request_write(const struct report_request *request, const struct report *report, struct error **ret_error) {
    _cleanup_buffer_ struct buffer text = {0};

    request->writer->write(report, &text);
    int r = file_write_atomically(request->path, text.data ? text.data : "", text.size, 0666, ret_error);
    if (r < 0)
        error_context(ret_error, "the %s report", request->writer->kind);
    return r;
}
