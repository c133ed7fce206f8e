/* SPDX-License-Identifier: Apache-2.0 */
#include "testresults/tap-line.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define COUNT_MAX 100000000u
#define NSEC_PER_MSEC 1000000

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

static struct tap_text trim(const char *start, const char *end) {
    while (start < end && is_blank(*start))
        start++;
    while (end > start && is_blank(end[-1]))
        end--;
    return (struct tap_text){start, (size_t)(end - start)};
}

/* The end of `word` at `at`, where it stands there as a whole word, in any case; else NULL. */
static const char *skip_word(const char *at, const char *end, const char *word) {
    size_t length = strlen(word);

    if ((size_t)(end - at) < length || strncasecmp(at, word, length) != 0)
        return NULL;
    at += length;
    return at == end || !isalnum((unsigned char)*at) || !isalnum((unsigned char)at[-1]) ? at : NULL;
}

/* The end of a number at `at`, or NULL. */
static const char *skip_number(const char *at, const char *end, uint32_t *ret_number) {
    uint32_t number = 0;
    const char *start = at;

    for (; at < end && isdigit((unsigned char)*at); at++)
        number = number < COUNT_MAX ? number * 10 + (uint32_t)(*at - '0') : COUNT_MAX;
    *ret_number = number;
    return at > start ? at : NULL;
}

/* What follows a directive: "# SKIP: why", "# SKIP why", "# skip - why". */
static struct tap_text reason_of(const char *at, const char *end) {
    while (at < end && (is_blank(*at) || *at == ':' || *at == '-'))
        at++;
    return trim(at, end);
}

/* Whether a directive's word ends there: "SKIP why", "SKIP: why", "skip - why", but not "skip-list". */
static bool ends_directive(const char *at, const char *end) {
    if (at < end && *at == '-')
        at++;
    return at == end || is_blank(*at) || *at == ':';
}

/* A directive behind a "#", whose reason it gives. Some tools say "skipped", as TAP 14 allows. */
static enum tap_directive directive_at(const char *at, const char *end, struct tap_text *ret_reason) {
    static const struct {
        const char *word;
        enum tap_directive directive;
    } words[] = {
        {"SKIP", TAP_SKIP},
        {"SKIPPED", TAP_SKIP},
        {"TODO", TAP_TODO},
        {"XFAIL", TAP_TODO},
    };

    while (at < end && is_blank(*at))
        at++;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        const char *rest = skip_word(at, end, words[i].word);

        if (rest && ends_directive(rest, end)) {
            *ret_reason = reason_of(rest, end);
            return words[i].directive;
        }
    }
    return TAP_NO_DIRECTIVE;
}

/* "time=12.5ms" */
static uint64_t time_at(const char *at, const char *end) {
    uint32_t whole, part = 0;
    uint64_t unit = NSEC_PER_MSEC;
    const char *rest = skip_word(at, end, "time");

    if (!rest || rest == end || *rest != '=' || !(rest = skip_number(rest + 1, end, &whole)))
        return 0;
    if (rest < end && *rest == '.') {
        for (rest++; rest < end && isdigit((unsigned char)*rest); rest++) {
            unit /= 10;
            part += (uint32_t)((uint64_t)(*rest - '0') * unit);
        }
    }
    return skip_word(rest, end, "ms") == end ? (uint64_t)whole * NSEC_PER_MSEC + part : 0;
}

/* The description of a test, up to what is said of it behind a "#". */
static void parse_description(struct tap_line *line, const char *at, const char *end) {
    for (const char *hash = at; hash < end; hash++) {
        bool separate = hash == at || is_blank(hash[-1]);

        if (*hash == '\\') {
            hash++; /* "\#" is no directive */
            continue;
        }
        if (*hash != '#' || !separate)
            continue;
        line->directive = directive_at(hash + 1, end, &line->message);
        if (line->directive == TAP_NO_DIRECTIVE) {
            struct tap_text said = trim(hash + 1, end);

            line->nsec = time_at(said.start, said.start + said.size);
            /* "issue #12" is a name; "# exit=1" is what the kernel's selftests say of a failure. */
            if (line->nsec == 0 && (line->ok || hash + 1 == end || !is_blank(hash[1])))
                continue;
            if (line->nsec > 0)
                said = (struct tap_text){0};
            line->message = said;
        }
        end = hash;
        break;
    }
    line->name = trim(at, end);
}

static bool parse_test(struct tap_line *line, const char *at, const char *end) {
    const char *rest = skip_word(at, end, "not");
    const char *number;

    line->ok = !rest;
    if (rest) {
        at = rest;
        while (at < end && is_blank(*at))
            at++;
        if (at == rest)
            return false;
    }
    if (end - at < 2 || at[0] != 'o' || at[1] != 'k' || (at + 2 < end && !is_blank(at[2])))
        return false;
    at += 2;
    while (at < end && is_blank(*at))
        at++;
    number = skip_number(at, end, &line->count);
    if (number && (number == end || is_blank(*number)))
        at = number;
    else
        line->count = 0;
    while (at < end && is_blank(*at))
        at++;
    if (at < end && *at == '-' && (at + 1 == end || is_blank(at[1])))
        at++;
    line->kind = TAP_TEST;
    parse_description(line, at, end);
    return true;
}

static bool parse_plan(struct tap_line *line, const char *at, const char *end) {
    if (end - at < 4 || strncmp(at, "1..", 3) != 0)
        return false;
    at = skip_number(at + 3, end, &line->count);
    if (!at)
        return false;
    while (at < end && is_blank(*at))
        at++;
    if (at < end && *at != '#')
        return false;
    if (at < end) {
        line->directive = directive_at(at + 1, end, &line->message);
        if (line->directive == TAP_NO_DIRECTIVE)
            line->message = trim(at + 1, end); /* TAP 14: of none, any comment is the reason */
    }
    line->kind = TAP_PLAN;
    return true;
}

static bool parse_version(struct tap_line *line, const char *at, const char *end) {
    static const char version[] = "TAP version ";
    uint32_t number;

    line->kernel = at < end && *at == 'K';
    at += line->kernel;
    if ((size_t)(end - at) < sizeof(version) || strncmp(at, version, sizeof(version) - 1) != 0)
        return false;
    at = skip_number(at + sizeof(version) - 1, end, &number);
    if (!at || trim(at, end).size > 0)
        return false;
    line->kind = TAP_VERSION;
    return true;
}

/* Behind a caller as kernels with CONFIG_PRINTK_CALLER name it, "[    T1]" or "[   C12]", else `at`. */
static size_t skip_caller(const char *line, size_t size, size_t at) {
    size_t digits;
    size_t start = at;

    if (at == size || line[at] != '[')
        return start;
    for (at++; at < size && is_blank(line[at]);)
        at++;
    if (at == size || (line[at] != 'T' && line[at] != 'C'))
        return start;
    for (digits = ++at; at < size && isdigit((unsigned char)line[at]);)
        at++;
    return at > digits && at < size && line[at] == ']' ? at + 1 : start;
}

size_t tap_line_stamp(const char *line, size_t size) {
    size_t at = 0;
    size_t digits;

    if (size > 2 && line[0] == '<' && isdigit((unsigned char)line[1])) {
        for (at = 1; at < size && isdigit((unsigned char)line[at]);)
            at++;
        if (at == size || line[at] != '>')
            return 0;
        at++;
    }
    if (at == size || line[at] != '[')
        return 0;
    for (at++; at < size && is_blank(line[at]);)
        at++;
    for (digits = at; at < size && isdigit((unsigned char)line[at]);)
        at++;
    if (at == digits || at == size || line[at] != '.')
        return 0;
    for (digits = ++at; at < size && isdigit((unsigned char)line[at]);)
        at++;
    if (at - digits != 6 || at == size || line[at] != ']')
        return 0;
    at = skip_caller(line, size, at + 1);
    return at < size && line[at] == ' ' ? at + 1 : at;
}

struct tap_line tap_line_parse(const char *text, size_t size) {
    struct tap_line line = {0};
    const char *end = text + size;
    const char *at = text;

    for (; at < end && is_blank(*at); at++)
        line.indent += *at == '\t' ? 8 - line.indent % 8 : 1;
    while (end > at && is_blank(end[-1]))
        end--;
    line.text = (struct tap_text){at, (size_t)(end - at)};
    if (parse_version(&line, at, end) || parse_plan(&line, at, end) || parse_test(&line, at, end))
        return line;

    const char *bail = skip_word(at, end, "bail out!");
    line.directive = TAP_NO_DIRECTIVE;
    if (bail) {
        line.kind = TAP_BAIL;
        line.message = trim(bail, end);
    } else if (at < end && *at == '#') {
        line.kind = TAP_COMMENT;
        line.text.start++;
        line.text.size--;
    } else if (line.text.size == 3 && memcmp(at, "---", 3) == 0) {
        line.kind = TAP_YAML;
    } else if (line.text.size == 3 && memcmp(at, "...", 3) == 0) {
        line.kind = TAP_YAML_END;
    }
    return line;
}
