/* SPDX-License-Identifier: Apache-2.0 */
/* Errors and warnings of the parser with their place, and the user's text made safe to quote in them. */
#include "base/str.h"
#include "config/config-internal.h"

#define QUOTE_LIMIT 60
#define WARNINGS_LIMIT 100

/* Length of the control character at `text`, or 0. C1 is two bytes in UTF-8 and as harmful to a terminal as C0. */
static size_t control_length(const char *text, size_t size) {
    const unsigned char *bytes = (const unsigned char *)text;

    if (bytes[0] < 0x20 || bytes[0] == 0x7f)
        return 1;
    if (size > 1 && bytes[0] == 0xc2 && bytes[1] >= 0x80 && bytes[1] <= 0x9f)
        return 2;
    return 0;
}

bool config_has_control(const char *text) {
    size_t size = strlen(text);

    for (size_t i = 0; i < size; i++) {
        if (control_length(text + i, size - i) > 0)
            return true;
    }
    return false;
}

char *config_quote(const char *text, size_t length) {
    struct buffer quoted = {0};
    size_t i = 0;

    while (i < length) {
        size_t control = control_length(text + i, length - i);

        if (quoted.size >= QUOTE_LIMIT && ((unsigned char)text[i] & 0xc0) != 0x80) {
            buffer_append_string(&quoted, "...");
            break;
        }
        if (control == 0)
            buffer_append(&quoted, text + i, control = 1);
        else
            buffer_printf(&quoted, "\\x%02x", (unsigned)(unsigned char)text[i + control - 1]);
        i += control;
    }
    return buffer_take(&quoted);
}

void parser_report(struct parser *parser, struct toml_position position, const char *format, ...) {
    va_list args;

    va_start(args, format);
    _cleanup_free_ char *text = xvasprintf(format, args);
    va_end(args);
    if (parser->option) /* which the text begins with, in quotes */
        (void)error_new(parser->error, EINVAL, "option %s", text);
    else
        (void)error_new(parser->error, EINVAL, "%s:%u:%u: %s", parser->path, position.line, position.column, text);
}

int parser_compare_positions(const struct toml_position *a, const struct toml_position *b) {
    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    return (a->column > b->column) - (a->column < b->column);
}

static const char *last_part(const char *name) {
    const char *dot = strrchr(name, '.');

    return dot ? dot + 1 : name;
}

/*
 * The known key that `name` is most likely meant to be, or NULL: one that ends alike (`memory` is meant to be
 * `vm.memory`), else one that is spelt alike, as a whole or in the last part.
 */
static const char *nearest_key(const char *name, const char *const *candidates) {
    for (size_t i = 0; candidates[i]; i++) {
        if (str_equal(last_part(name), last_part(candidates[i])))
            return candidates[i];
    }

    const char *nearest = str_nearest(name, candidates);
    return nearest ? nearest : str_nearest(last_part(name), candidates);
}

int parser_warn(struct parser *parser, struct toml_position position, const char *format, ...) {
    struct strv *warnings = &parser->config->warnings;
    va_list args;

    if (parser->told)
        return 0;
    va_start(args, format);
    _cleanup_free_ char *text = xvasprintf(format, args);
    va_end(args);
    if (parser->strict)
        return parser_fail(parser, position, "%s", text);
    if (warnings->count == WARNINGS_LIMIT)
        strv_append_printf(warnings, "%s:%u:%u: this unknown key and those after it are ignored", parser->path,
                           position.line, position.column);
    if (warnings->count < WARNINGS_LIMIT)
        strv_append_printf(warnings, "%s:%u:%u: %s", parser->path, position.line, position.column, text);
    return 0;
}

bool parser_has_near(const char *name, const char *const *candidates) {
    return nearest_key(name, candidates) != NULL;
}

int parser_unknown(struct parser *parser, struct toml_position position, const char *name,
                   const char *const *candidates) {
    const char *meant = parser->told ? NULL : nearest_key(name, candidates);
    _cleanup_free_ char *question = NULL;

    if (meant)
        question = xasprintf("; did you mean '%s'?", meant);
    else
        question = xstrdup(parser->strict ? "; remove it" : "");
    return parser_warn(parser, position, "unknown key '%s'%s%s", name, parser->strict ? "" : " is ignored", question);
}

void parser_add_suspicion(struct parser *parser, size_t before) {
    const struct strv *warnings = &parser->config->warnings;

    if (before < warnings->count && parser->error && *parser->error) {
        char *message = xasprintf("%s (%s)", (*parser->error)->message, warnings->items[before]);

        free((*parser->error)->message);
        (*parser->error)->message = message;
    }
}

char *parser_key_name(const char *prefix, const struct toml_entry *entry) {
    static const char bare[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    _cleanup_free_ char *key = config_quote(entry->key, entry->key_length);
    bool is_bare = entry->key_length > 0 && strspn(entry->key, bare) == entry->key_length;

    return xasprintf(is_bare ? "%s%s" : "%s\"%s\"", prefix, key);
}
