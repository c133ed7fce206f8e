/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one error idiom. A function that can fail returns 0 or a negative errno, and fills its last parameter, a
 * `struct error **`, when that is not NULL. Each layer may put what it was doing in front with error_context(); only
 * cli/ and report/ show the message to a person.
 */
#ifndef VMTEST_BASE_ERROR_H
#define VMTEST_BASE_ERROR_H

#include <errno.h>

#include "base/cleanup.h"

struct error {
    int code;      /* a positive errno */
    char *message; /* one line, no final newline; owned */
};

/*
 * Makes an error. `code` is an errno, positive or negative; the message names the thing, what was wrong with it and
 * what to do about it. Does nothing to *ret_error when ret_error is NULL or already holds an error (the first one
 * counts). Always returns the negative errno, so that a caller can write `return error_new(...)`.
 */
int error_new(struct error **ret_error, int code, const char *format, ...) _printf_(3, 4);

/* As error_new(), with ": " and the text of the errno at the end. */
int error_errno(struct error **ret_error, int code, const char *format, ...) _printf_(3, 4);

/* Puts "CONTEXT: " in front of an error's message, if there is one. */
void error_context(struct error **error, const char *format, ...) _printf_(2, 3);

/* The message of an error, or "unknown error" for NULL. Valid as long as the error is. */
const char *error_message(const struct error *error);

void error_free(struct error *error);
DEFINE_CLEANUP(cleanup_error, struct error *, error_free)
#define _cleanup_error_ _cleanup_(cleanup_error)

#endif
