/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strings, byte buffers and string vectors. Running out of memory ends the process (abort): no caller could do better,
 * and a worker that ends costs only its own target.
 */
#ifndef VMTEST_BASE_STR_H
#define VMTEST_BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/cleanup.h"

void *xmalloc(size_t size) _must_check_;
void *xcalloc(size_t count, size_t size) _must_check_;
void *xreallocarray(void *pointer, size_t count, size_t size) _must_check_;
char *xstrdup(const char *string) _must_check_;
char *xstrndup(const char *string, size_t length) _must_check_;
char *xasprintf(const char *format, ...) _printf_(1, 2) _must_check_;
char *xvasprintf(const char *format, va_list args) _must_check_;

static inline bool str_equal(const char *a, const char *b) {
    return (!a || !b) ? a == b : strcmp(a, b) == 0;
}

static inline bool str_empty(const char *string) {
    return !string || string[0] == '\0';
}

/* What stands after `prefix` in `string`, or NULL when `string` does not start with it. */
const char *str_skip_prefix(const char *string, const char *prefix);
bool str_has_suffix(const char *string, const char *suffix);

/* Levenshtein distance in bytes; at most 255 bytes of each are looked at. */
unsigned str_distance(const char *a, const char *b);

/* The one of `candidates` (NULL-terminated) that `string` is most likely meant to be, or NULL when none is near. */
const char *str_nearest(const char *string, const char *const *candidates);

/* `string` quoted for a POSIX shell, bare where no quoting is needed. Caller frees. */
char *str_shell_quote(const char *string);

/* How many bytes at `data` are valid UTF-8; a sequence that is merely cut off at the end is not counted. */
size_t utf8_valid_prefix(const void *data, size_t size);

/* A growing byte buffer; `data` is always followed by a NUL once anything was appended. Start with {0}. */
struct buffer {
    char *data;
    size_t size;
    size_t capacity;
};

void buffer_deinit(struct buffer *buffer);
void buffer_append(struct buffer *buffer, const void *data, size_t size);
void buffer_append_string(struct buffer *buffer, const char *string);
void buffer_printf(struct buffer *buffer, const char *format, ...) _printf_(2, 3);
/* Removes `size` bytes at the front. */
void buffer_consume(struct buffer *buffer, size_t size);
/* Makes room for `size` more bytes after buffer->size and returns where they begin. */
void *buffer_reserve(struct buffer *buffer, size_t size);
/* The content as a string that the caller frees; the buffer is empty afterwards. Never NULL. */
char *buffer_take(struct buffer *buffer);
#define _cleanup_buffer_ _cleanup_(buffer_deinit)

/* A vector of strings that it owns; `items` is NULL-terminated once anything was appended. Start with {0}. */
struct strv {
    char **items;
    size_t count;
};

void strv_deinit(struct strv *strv);
void strv_append(struct strv *strv, const char *string);
void strv_append_take(struct strv *strv, char *string);
void strv_append_printf(struct strv *strv, const char *format, ...) _printf_(2, 3);
void strv_copy(struct strv *strv, const struct strv *from);
bool strv_contains(const struct strv *strv, const char *string);
/* The strings with `separator` between them. Caller frees. Never NULL. */
char *strv_join(const struct strv *strv, const char *separator);
#define _cleanup_strv_ _cleanup_(strv_deinit)

/* For qsort() and bsearch() of an array of strings: by strcmp(). */
int str_compare(const void *a, const void *b);

#endif
