/* SPDX-License-Identifier: Apache-2.0 */
/* Texts out of the option table and the key table, so that no option or key is described twice. */
#include "cli/help.h"

#include <assert.h>

#include "cli/version.h"
#include "config/config.h"

#define HELP_COLUMNS 80
#define HELP_INDENT 28

static const char *const group_titles[] = {
    [GROUP_CONFIG] = "Targets of a file", [GROUP_ONE_LINER] = "One-liner", [GROUP_EVERY] = "Every target",
    [GROUP_MANY] = "Many targets",        [GROUP_OUTPUT] = "Output",       [GROUP_GENERAL] = "General",
};
static_assert(ARRAY_SIZE(group_titles) == OPTION_GROUP_COUNT, "each group has a title");

static const char usage[] = "Usage: vmtest [-c FILE] [-f REGEX] [OPTION]...\n"
                            "       vmtest -k KERNEL [OPTION]... COMMAND...\n"
                            "       vmtest -k KERNEL [OPTION]... -- PROGRAM ARGUMENT...\n"
                            "       vmtest -k KERNEL [OPTION]... -\n"
                            "       vmtest -i IMAGE [OPTION]... COMMAND...\n"
                            "       vmtest list [-c FILE] [-f REGEX] [--format json] [OPTION]...\n"
                            "       vmtest cache list|clear|path|verify\n"
                            "       vmtest merge DIR... [--report KIND=FILE]...\n"
                            "\n"
                            "Run tests in virtual machines: the targets of a vmtest.toml, or one command in\n"
                            "one kernel or image. The words of COMMAND go to the shell; behind '--', two or\n"
                            "more words are run as they are; '-' is an interactive shell.\n";

static const char epilogue[] = "\n"
                               "Targets:\n"
                               "  list                      Show those that would be run (--format json: as a CI\n"
                               "                            system's job matrix), and run none.\n"
                               "\n"
                               "Templates, which make the next run of the same machine fast:\n"
                               "  cache list                Show them (--format json: as a JSON array).\n"
                               "  cache clear [NAME]        Remove all, or those made from the file NAME, or the\n"
                               "                            one whose key begins with NAME.\n"
                               "  cache path                Show the directory that they are kept in.\n"
                               "  cache verify              Hash them in full, and remove what is damaged.\n"
                               "\n"
                               "Shards, whose reports come together again:\n"
                               "  merge DIR...              Join the JSON reports below each DIR; fail where\n"
                               "                            they are not all the shards of one run.\n"
                               "\n"
                               "Exit status: 0 passed; the command's own code; 128 + signal; 124 out of time;\n"
                               "69 it could not be run; 2 wrong command line. With several targets: how many of\n"
                               "them did not pass, at most 125. See vmtest(1) and vmtest.toml(5).\n";

const char *help_group_title(enum option_group group) {
    return group_titles[group];
}

const char *help_version(void) {
    return "vmtest " VMTEST_VERSION "\n";
}

/* Appends `text` in lines of at most HELP_COLUMNS, from `column` on and then indented. */
static void append_wrapped(struct buffer *out, const char *text, size_t column) {
    bool first = true;

    while (*text) {
        size_t length = strcspn(text, " ");

        if (!first && column + 1 + length > HELP_COLUMNS) {
            buffer_printf(out, "\n%*s", HELP_INDENT, "");
            column = HELP_INDENT;
            first = true;
        }
        if (!first)
            buffer_append(out, " ", 1);
        buffer_append(out, text, length);
        column += length + !first;
        first = false;
        text += length;
        text += strspn(text, " ");
    }
    buffer_append(out, "\n", 1);
}

/* "a|b|c" as "a, b or c". Caller frees. */
static char *values_text(const char *values) {
    struct buffer text = {0};

    for (const char *value = values; value;) {
        size_t length = strcspn(value, "|");
        const char *next = value[length] == '|' ? value + length + 1 : NULL;

        if (text.size > 0)
            buffer_append_string(&text, next ? ", " : " or ");
        buffer_append(&text, value, length);
        value = next;
    }
    return buffer_take(&text);
}

/* What is said of an option: its help, and the values there are. Caller frees. */
static char *option_help(const struct option_row *row) {
    if (!row->values)
        return xstrdup(row->help);
    _cleanup_free_ char *values = values_text(row->values);
    return xasprintf("%s %s is %s.", row->help, row->argument, values);
}

/* What stands between an option and its argument: nothing where the argument brings its own "[=". */
static const char *argument_gap(const struct option_row *row) {
    return row->argument && row->argument[0] != '[' ? " " : "";
}

static void append_option(struct buffer *out, const struct option_row *row) {
    _cleanup_free_ char *letter = row->letter ? xasprintf("-%c, ", row->letter) : xstrdup("    ");
    _cleanup_free_ char *left =
        xasprintf("  %s--%s%s%s", letter, row->name, argument_gap(row), row->argument ? row->argument : "");
    _cleanup_free_ char *help = option_help(row);
    int gap = HELP_INDENT - (int)strlen(left);

    buffer_append_string(out, left);
    if (gap < 2)
        buffer_append(out, "\n", 1);
    buffer_printf(out, "%*s", gap < 2 ? HELP_INDENT : gap, "");
    append_wrapped(out, help, HELP_INDENT);
}

char *help_text(void) {
    struct buffer out = {0};

    buffer_append_string(&out, usage);
    for (enum option_group group = 0; group < OPTION_GROUP_COUNT; group++) {
        buffer_printf(&out, "\n%s:\n", group_titles[group]);
        for (size_t i = 0; i < ARRAY_SIZE(option_rows); i++) {
            if (option_rows[i].group == group)
                append_option(&out, &option_rows[i]);
        }
    }
    buffer_append_string(&out, epilogue);
    return buffer_take(&out);
}

/* Appends `text` as roff text: nothing in it is a request or an escape, and each sentence begins a line. */
static void append_roff(struct buffer *out, const char *text) {
    bool line_start = true;

    for (; *text; text++) {
        if (line_start && (*text == '.' || *text == '\''))
            buffer_append_string(out, "\\&");
        line_start = false;
        if (*text == '\\') {
            buffer_append_string(out, "\\e");
        } else if (*text == '-') {
            buffer_append_string(out, "\\-");
        } else if (text[0] == '.' && text[1] == ' ') {
            buffer_append_string(out, ".\n");
            line_start = true;
            text++;
        } else {
            buffer_append(out, text, 1);
        }
    }
}

/* Appends roff text and ends the line. */
static void append_roff_line(struct buffer *out, const char *text) {
    append_roff(out, text);
    buffer_append(out, "\n", 1);
}

static void append_option_roff(struct buffer *out, const struct option_row *row) {
    _cleanup_free_ char *help = option_help(row);

    buffer_append_string(out, ".TP\n");
    if (row->letter)
        buffer_printf(out, "\\fB\\-%c\\fR, ", row->letter);
    buffer_append_string(out, "\\fB\\-\\-");
    append_roff(out, row->name);
    buffer_append_string(out, "\\fR");
    if (row->argument)
        buffer_printf(out, "%s\\fI%s\\fR", argument_gap(row), row->argument);
    buffer_append(out, "\n", 1);
    append_roff_line(out, help);
}

char *help_options_roff(void) {
    struct buffer out = {0};

    for (enum option_group group = 0; group < OPTION_GROUP_COUNT; group++) {
        buffer_printf(&out, ".SS %s\n", group_titles[group]);
        for (size_t i = 0; i < ARRAY_SIZE(option_rows); i++) {
            if (option_rows[i].group == group)
                append_option_roff(&out, &option_rows[i]);
        }
    }
    return buffer_take(&out);
}

static const char *const type_names[] = {
    [CONFIG_STRING] = "string",
    [CONFIG_PATH] = "path",
    [CONFIG_BOOL] = "boolean",
    [CONFIG_INTEGER] = "integer",
    [CONFIG_DURATION] = "duration",
    [CONFIG_MEMORY] = "amount of memory",
    [CONFIG_ENUM] = "string",
    [CONFIG_SET] = "list of strings",
    [CONFIG_STRINGS] = "list of strings",
    [CONFIG_MOUNTS] = "table of tables",
};
static_assert(ARRAY_SIZE(type_names) == CONFIG_MOUNTS + 1, "each type has a name");

char *help_keys_roff(void) {
    struct buffer out = {0};

    for (size_t i = 0; i < ARRAY_SIZE(config_keys); i++) {
        const struct config_key_row *row = &config_keys[i];

        buffer_printf(&out, ".TP\n\\fB%s\\fR (%s", row->name, type_names[row->type]);
        if (row->type == CONFIG_INTEGER)
            buffer_printf(&out, " from %lld to %lld", row->minimum, row->maximum);
        if (row->values) {
            _cleanup_free_ char *values = values_text(row->values);

            buffer_append_string(&out, ": ");
            append_roff(&out, values);
        }
        if (row->def) {
            buffer_append_string(&out, ", default ");
            append_roff(&out, row->def);
        }
        buffer_append_string(&out, ")\n");
        append_roff_line(&out, row->help);
    }
    return buffer_take(&out);
}
