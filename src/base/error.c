/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <stdarg.h>
#include <string.h>

#include "base/str.h"

static int error_set(struct error **ret_error, int code, char *message) {
    int positive = code < 0 ? -code : code;

    if (positive == 0)
        positive = EIO;
    if (!ret_error || *ret_error) {
        free(message);
        return -positive;
    }

    struct error *error = xcalloc(1, sizeof(*error));
    error->code = positive;
    error->message = message;
    *ret_error = error;
    return -positive;
}

int error_new(struct error **ret_error, int code, const char *format, ...) {
    va_list args;

    va_start(args, format);
    char *message = xvasprintf(format, args);
    va_end(args);
    return error_set(ret_error, code, message);
}

int error_errno(struct error **ret_error, int code, const char *format, ...) {
    va_list args;

    va_start(args, format);
    _cleanup_free_ char *text = xvasprintf(format, args);
    va_end(args);
    return error_set(ret_error, code, xasprintf("%s: %s", text, strerror(code < 0 ? -code : code)));
}

void error_context(struct error **error, const char *format, ...) {
    va_list args;

    if (!error || !*error)
        return;

    va_start(args, format);
    _cleanup_free_ char *context = xvasprintf(format, args);
    va_end(args);

    char *message = xasprintf("%s: %s", context, (*error)->message);
    free((*error)->message);
    (*error)->message = message;
}

const char *error_message(const struct error *error) {
    return error ? error->message : "unknown error";
}

void error_free(struct error *error) {
    if (!error)
        return;
    free(error->message);
    free(error);
}
