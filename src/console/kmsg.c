/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of the kernel's log as the console shows them: their prefixes, and patterns for their text. */
#include "console/kmsg.h"

#include <stddef.h>
#include <string.h>

#include "base/str.h"

#define STAMP_DECIMALS 6

static bool is_digit(char character) {
    return character >= '0' && character <= '9';
}

static bool is_hex(char character) {
    return is_digit(character) || (character >= 'a' && character <= 'f') || (character >= 'A' && character <= 'F');
}

static const char *skip_blanks(const char *text) {
    return text + strspn(text, " ");
}

static const char *skip_digits(const char *text) {
    return text + strspn(text, "0123456789");
}

/* Behind "[T123]" or "[C0]", blanks before the letter, as printk.caller gives; else NULL. */
static const char *skip_caller(const char *text) {
    if (*text != '[')
        return NULL;
    text = skip_blanks(text + 1);
    if ((*text != 'T' && *text != 'C') || !is_digit(text[1]))
        return NULL;
    text = skip_digits(text + 1);
    return *text == ']' ? text + 1 : NULL;
}

/* Behind "[    1.234567] ", with the caller if there is one; else NULL. */
static const char *skip_stamp(const char *text) {
    const char *seconds;
    const char *decimals;
    const char *caller;

    if (*text != '[')
        return NULL;
    seconds = skip_blanks(text + 1);
    text = skip_digits(seconds);
    if (text == seconds || *text != '.')
        return NULL;
    decimals = text + 1;
    text = skip_digits(decimals);
    if (text - decimals != STAMP_DECIMALS || *text != ']')
        return NULL;
    caller = skip_caller(++text);
    if (caller)
        text = caller;
    if (*text == '\0')
        return text;
    return *text == ' ' ? text + 1 : NULL;
}

/* Behind "<4>", which stands there with console_msg_format=syslog. */
static const char *skip_level(const char *text) {
    const char *end;

    if (*text != '<' || !is_digit(text[1]))
        return text;
    end = skip_digits(text + 1);
    return *end == '>' ? end + 1 : text;
}

/* A system's log shown on the console repeats the kernel's lines, time stamps and all. */
static bool is_quoted(const char *line, const char *at) {
    static const char source[] = "kernel:";

    while (at > line && at[-1] == ' ')
        at--;
    return (size_t)(at - line) >= strlen(source) && memcmp(at - strlen(source), source, strlen(source)) == 0;
}

const char *kmsg_strip(const char *line, bool *ret_stamped) {
    const char *begin = skip_level(line);

    for (const char *at = begin; (at = strchr(at, '[')) != NULL; at++) {
        const char *text = skip_stamp(at);

        if (text && !is_quoted(line, at)) {
            *ret_stamped = true;
            return text;
        }
    }
    *ret_stamped = false;
    return begin;
}

/* Behind the number that the conversion asks for; NULL if there is none. */
static const char *skip_number(const char *text, char conversion) {
    const char *end = text;

    while (conversion == 'x' ? is_hex(*end) : is_digit(*end))
        end++;
    return end > text ? end : NULL;
}

bool kmsg_match(const char *text, const char *pattern) {
    for (; *pattern; pattern++) {
        switch (*pattern) {
        case '*':
            do {
                if (kmsg_match(text, pattern + 1))
                    return true;
            } while (*text++);
            return false;
        case '%':
            text = skip_number(text, *++pattern);
            if (!text)
                return false;
            break;
        case '$':
            return *text == '\0';
        default:
            if (*text++ != *pattern)
                return false;
            break;
        }
    }
    return true;
}
