/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <stdio.h>

static void *pointer_check(void *pointer) {
    if (!pointer)
        abort();
    return pointer;
}

void *xmalloc(size_t size) {
    return pointer_check(malloc(size ? size : 1));
}

void *xcalloc(size_t count, size_t size) {
    return pointer_check(calloc(count ? count : 1, size ? size : 1));
}

void *xreallocarray(void *pointer, size_t count, size_t size) {
    return pointer_check(reallocarray(pointer, count ? count : 1, size ? size : 1));
}

char *xstrdup(const char *string) {
    return pointer_check(strdup(string));
}

char *xstrndup(const char *string, size_t length) {
    return pointer_check(strndup(string, length));
}

char *xvasprintf(const char *format, va_list args) {
    char *string = NULL;

    if (vasprintf(&string, format, args) < 0)
        abort();
    return string;
}

char *xasprintf(const char *format, ...) {
    va_list args;

    va_start(args, format);
    char *string = xvasprintf(format, args);
    va_end(args);
    return string;
}

const char *str_skip_prefix(const char *string, const char *prefix) {
    size_t length = strlen(prefix);

    return strncmp(string, prefix, length) == 0 ? string + length : NULL;
}

bool str_has_suffix(const char *string, const char *suffix) {
    size_t length = strlen(string);
    size_t tail = strlen(suffix);

    return length >= tail && memcmp(string + length - tail, suffix, tail) == 0;
}

unsigned str_distance(const char *a, const char *b) {
    size_t rows = strnlen(a, 255);
    size_t columns = strnlen(b, 255);
    unsigned line[256];

    for (size_t j = 0; j <= columns; j++)
        line[j] = (unsigned)j;
    for (size_t i = 1; i <= rows; i++) {
        unsigned diagonal = line[0];

        line[0] = (unsigned)i;
        for (size_t j = 1; j <= columns; j++) {
            unsigned substitution = diagonal + (a[i - 1] != b[j - 1]);
            unsigned best = line[j] + 1;

            diagonal = line[j];
            if (line[j - 1] + 1 < best)
                best = line[j - 1] + 1;
            line[j] = substitution < best ? substitution : best;
        }
    }
    return line[columns];
}

const char *str_nearest(const char *string, const char *const *candidates) {
    const char *nearest = NULL;
    unsigned limit = (unsigned)strlen(string) / 3 + 1;

    for (; *candidates; candidates++) {
        unsigned distance = str_distance(string, *candidates);

        if (distance <= limit) {
            limit = distance == 0 ? 0 : distance - 1;
            nearest = *candidates;
            if (distance == 0)
                break;
        }
    }
    return nearest;
}

char *str_shell_quote(const char *string) {
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./_-";
    struct buffer quoted = {0};

    if (string[0] != '\0' && strspn(string, safe) == strlen(string))
        return xstrdup(string);

    buffer_append(&quoted, "'", 1);
    for (; *string; string++) {
        if (*string == '\'')
            buffer_append_string(&quoted, "'\\''");
        else
            buffer_append(&quoted, string, 1);
    }
    buffer_append(&quoted, "'", 1);
    return buffer_take(&quoted);
}

/* Length of the valid UTF-8 sequence at `s`, or 0 (RFC 3629, table of well-formed byte sequences). */
static size_t utf8_sequence(const unsigned char *s, size_t size) {
    unsigned char low = 0x80;
    unsigned char high = 0xbf;
    size_t length;

    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xc2 && s[0] <= 0xdf)
        length = 2;
    else if (s[0] >= 0xe0 && s[0] <= 0xef)
        length = 3;
    else if (s[0] >= 0xf0 && s[0] <= 0xf4)
        length = 4;
    else
        return 0;

    if (s[0] == 0xe0)
        low = 0xa0;
    else if (s[0] == 0xed)
        high = 0x9f;
    else if (s[0] == 0xf0)
        low = 0x90;
    else if (s[0] == 0xf4)
        high = 0x8f;

    if (size < length || s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++) {
        if (s[i] < 0x80 || s[i] > 0xbf)
            return 0;
    }
    return length;
}

size_t utf8_valid_prefix(const void *data, size_t size) {
    const unsigned char *bytes = data;
    size_t valid = 0;

    while (valid < size) {
        size_t length = utf8_sequence(bytes + valid, size - valid);

        if (length == 0)
            break;
        valid += length;
    }
    return valid;
}

void buffer_deinit(struct buffer *buffer) {
    free(buffer->data);
    *buffer = (struct buffer){0};
}

void *buffer_reserve(struct buffer *buffer, size_t size) {
    size_t needed;

    if (__builtin_add_overflow(buffer->size, size, &needed) || __builtin_add_overflow(needed, 1, &needed))
        abort();
    if (needed > buffer->capacity) {
        size_t capacity = buffer->capacity ? buffer->capacity : 64;

        while (capacity < needed) {
            if (__builtin_mul_overflow(capacity, 2, &capacity))
                abort();
        }
        buffer->data = xreallocarray(buffer->data, capacity, 1);
        buffer->capacity = capacity;
    }
    return buffer->data + buffer->size;
}

void buffer_append(struct buffer *buffer, const void *data, size_t size) {
    char *end = buffer_reserve(buffer, size);

    if (size)
        memcpy(end, data, size);
    end[size] = '\0';
    buffer->size += size;
}

void buffer_append_string(struct buffer *buffer, const char *string) {
    buffer_append(buffer, string, strlen(string));
}

void buffer_printf(struct buffer *buffer, const char *format, ...) {
    va_list args;

    va_start(args, format);
    _cleanup_free_ char *text = xvasprintf(format, args);
    va_end(args);
    buffer_append_string(buffer, text);
}

void buffer_consume(struct buffer *buffer, size_t size) {
    if (size >= buffer->size) {
        buffer->size = 0;
    } else {
        memmove(buffer->data, buffer->data + size, buffer->size - size);
        buffer->size -= size;
    }
    if (buffer->data)
        buffer->data[buffer->size] = '\0';
}

char *buffer_take(struct buffer *buffer) {
    char *data = buffer->data ? buffer->data : xstrdup("");

    *buffer = (struct buffer){0};
    return data;
}

void strv_deinit(struct strv *strv) {
    for (size_t i = 0; i < strv->count; i++)
        free(strv->items[i]);
    free(strv->items);
    *strv = (struct strv){0};
}

void strv_append_take(struct strv *strv, char *string) {
    strv->items = xreallocarray(strv->items, strv->count + 2, sizeof(*strv->items));
    strv->items[strv->count++] = string;
    strv->items[strv->count] = NULL;
}

void strv_append(struct strv *strv, const char *string) {
    strv_append_take(strv, xstrdup(string));
}

void strv_append_printf(struct strv *strv, const char *format, ...) {
    va_list args;

    va_start(args, format);
    strv_append_take(strv, xvasprintf(format, args));
    va_end(args);
}

void strv_copy(struct strv *strv, const struct strv *from) {
    for (size_t i = 0; i < from->count; i++)
        strv_append(strv, from->items[i]);
}

bool strv_contains(const struct strv *strv, const char *string) {
    for (size_t i = 0; i < strv->count; i++) {
        if (strcmp(strv->items[i], string) == 0)
            return true;
    }
    return false;
}

char *strv_join(const struct strv *strv, const char *separator) {
    struct buffer joined = {0};

    for (size_t i = 0; i < strv->count; i++) {
        if (i)
            buffer_append_string(&joined, separator);
        buffer_append_string(&joined, strv->items[i]);
    }
    return buffer_take(&joined);
}

int str_compare(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}
