/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Placeholders in the strings of a [[matrix]]: `{axis}` is the axis' value, `{axis.name}` its label. From left to right
 * `{{` is a brace, `{` behind a dollar is the shell's, and all else that no axis is called stays as it is. What was put
 * in is not looked at again.
 */
#include "config/matrix.h"

static const char label_suffix[] = ".name";

/*
 * The length of the name in the braces that `at` opens, or 0. `start` is the beginning of the text, for what stands in
 * front of it.
 */
static size_t name_length(const char *start, const char *at) {
    size_t length = strcspn(at + 1, "{}");

    if ((at > start && at[-1] == '$') || at[1 + length] != '}')
        return 0;
    return length;
}

void placeholder_collect_text(const char *text, struct strv *names) {
    const char *at = text;

    while ((at = strchr(at, '{'))) {
        size_t length = at[1] == '{' ? 0 : name_length(text, at);

        if (length > 0) {
            char *name = xstrndup(at + 1, length);

            strv_append_take(names, name);
            if (str_has_suffix(name, label_suffix))
                strv_append_take(names, xstrndup(name, length - strlen(label_suffix)));
        }
        at += at[1] == '{' ? 2 : 1;
    }
}

void placeholder_collect(const struct toml_value *value, struct strv *names) {
    if (value->type == TOML_TYPE_STRING)
        placeholder_collect_text(value->string, names);
    for (size_t i = 0; value->type == TOML_TYPE_ARRAY && i < value->count; i++)
        placeholder_collect(&value->items[i], names);
    for (size_t i = 0; value->type == TOML_TYPE_TABLE && i < value->count; i++) {
        placeholder_collect_text(value->entries[i].key, names);
        placeholder_collect(&value->entries[i].value, names);
    }
}

/* What stands for a name, or NULL. An axis' own name comes before another's with ".name" behind it. */
static const char *placeholder_value(const struct matrix *matrix, const char *name, size_t length) {
    size_t suffix = strlen(label_suffix);
    bool may_be_label = length > suffix && strncmp(name + length - suffix, label_suffix, suffix) == 0;
    const char *label = NULL;

    for (size_t i = 0; i < matrix->n_axes; i++) {
        const struct axis *axis = &matrix->axes[i];
        const struct axis_value *value = &axis->values[axis->current];
        size_t size = strlen(axis->name);

        if (size == length && memcmp(axis->name, name, length) == 0)
            return value->text;
        if (may_be_label && size == length - suffix && memcmp(axis->name, name, size) == 0)
            label = value->label;
    }
    return label;
}

void placeholder_replace(const struct matrix *matrix, const char *text, struct buffer *out) {
    const char *at = text;
    const char *brace;

    while ((brace = strchr(at, '{'))) {
        size_t length = brace[1] == '{' ? 0 : name_length(text, brace);
        const char *value = length > 0 ? placeholder_value(matrix, brace + 1, length) : NULL;

        buffer_append(out, at, (size_t)(brace - at));
        buffer_append_string(out, value ? value : "{");
        at = value ? brace + length + 2 : brace + (brace[1] == '{' ? 2 : 1);
    }
    buffer_append_string(out, at);
}
