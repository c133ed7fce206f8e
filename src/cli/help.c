/* SPDX-License-Identifier: Apache-2.0 */
/* Texts made from the tables of options, keys and verbs, so that nothing is described twice. */
#include "cli/help.h"

#include <assert.h>

#include "cli/version.h"

#define HELP_COLUMNS 80
#define HELP_INDENT 28

static const char *const group_titles[] = {
    [GROUP_CONFIG] = "Targets of a file",
    [GROUP_ONE_LINER] = "One-liner",
    [GROUP_EVERY] = "Every target (overrides the file)",
    [GROUP_MANY] = "Many targets",
    [GROUP_OUTPUT] = "Output",
    [GROUP_GENERAL] = "General",
};
static_assert(ARRAY_SIZE(group_titles) == OPTION_GROUP_COUNT, "each group has a title");

static const char usage[] = "Usage: vmtest [-c FILE] [-f REGEX] [OPTION]...\n"
                            "       vmtest -k KERNEL [OPTION]... COMMAND...\n"
                            "       vmtest -k KERNEL [OPTION]... -- PROGRAM ARGUMENT...\n"
                            "       vmtest -k KERNEL [OPTION]... -\n"
                            "       vmtest -i IMAGE [OPTION]... COMMAND...\n"
                            "       vmtest VERB [ARGUMENT]...\n"
                            "\n"
                            "Run tests in virtual machines: the targets of a vmtest.toml, or a one-liner, one\n"
                            "command in one kernel or image, which reads no file. COMMAND is given to the\n"
                            "shell; after '--', two or more words are a program and its arguments; '-' is an\n"
                            "interactive shell.\n";

static const char epilogue[] = "\n"
                               "Exit status: 0 passed; the command's own code; 128 + signal; 124 timed out;\n"
                               "69 could not be run; 2 wrong command line. With several targets: the number that\n"
                               "did not pass, at most 125. See vmtest(1) and vmtest.toml(5).\n";

const char *help_version(void) {
    return "vmtest " VMTEST_VERSION "\n";
}

/* Appends `text` in lines of at most HELP_COLUMNS, from `column` on and then indented. */
static void append_wrapped(struct buffer *out, const char *text, size_t column, int indent) {
    bool first = true;

    while (*text) {
        size_t length = strcspn(text, " ");

        if (!first && column + 1 + length > HELP_COLUMNS) {
            buffer_printf(out, "\n%*s", indent, "");
            column = (size_t)indent;
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

/* The description of an option: its help, its values or range, and its default. Caller frees. */
static char *option_help(const struct option_info *info) {
    bool has_range = info->key && info->key->type == CONFIG_INTEGER;
    _cleanup_free_ char *def = info->def ? xasprintf(" (default: %s)", info->def) : xstrdup("");

    if (info->values) {
        _cleanup_free_ char *values = config_values_text(info->values);

        bool is_set = info->key && info->key->type == CONFIG_SET;
        return xasprintf("%s %s is %s%s%s.", info->help, info->argument, is_set ? "a comma-separated list of " : "",
                         values, def);
    }
    if (has_range)
        return xasprintf("%s %s is a number from %lld to %lld%s.", info->help, info->argument, info->key->minimum,
                         info->key->maximum, def);
    return xasprintf("%.*s%s.", (int)strlen(info->help) - 1, info->help, def);
}

/* The gap between an option and its argument: none if the argument brings its own "[=". */
static const char *argument_gap(const struct option_info *info) {
    return info->argument && info->argument[0] != '[' ? " " : "";
}

/* An entry of a list: a term, and beside it a text. */
static void append_entry(struct buffer *out, const char *term, const char *text) {
    int gap = HELP_INDENT - 2 - (int)strlen(term);

    buffer_printf(out, "  %s", term);
    if (gap < 2)
        buffer_append(out, "\n", 1);
    buffer_printf(out, "%*s", gap < 2 ? HELP_INDENT : gap, "");
    append_wrapped(out, text, HELP_INDENT, HELP_INDENT);
}

static void append_option(struct buffer *out, const struct option_info *info) {
    _cleanup_free_ char *letter = info->letter ? xasprintf("-%c, ", info->letter) : xstrdup("    ");
    _cleanup_free_ char *term =
        xasprintf("%s%s%s%s", letter, info->name, argument_gap(info), info->argument ? info->argument : "");
    _cleanup_free_ char *help = option_help(info);

    append_entry(out, term, help);
}

/* Verbs that can be run: all of them, or those that `above` stands for. */
static void append_verbs(struct buffer *out, const struct verb *above) {
    buffer_append_string(out, "\nVerbs:\n");
    for (size_t i = 0; i < n_verbs; i++) {
        if (!verbs[i].run || (above && !verb_is_below(&verbs[i], above)))
            continue;
        _cleanup_free_ char *term = xasprintf("%s %s", verbs[i].name, verbs[i].arguments);

        append_entry(out, term, verbs[i].summary);
    }
}

static char *run_help(void) {
    struct buffer out = {0};
    struct option_info info;

    buffer_append_string(&out, usage);
    for (enum option_group group = 0; group < OPTION_GROUP_COUNT; group++) {
        buffer_printf(&out, "\n%s:\n", group_titles[group]);
        for (size_t i = 0; i < OPTIONS_MAX; i++) {
            if (option_describe(i, &info) && info.group == group)
                append_option(&out, &info);
        }
    }
    append_verbs(&out, NULL);
    buffer_append_string(&out, epilogue);
    return buffer_take(&out);
}

char *help_text(const struct verb *verb) {
    struct buffer out = {0};
    struct option_info info;

    if (!verb)
        return run_help();
    buffer_printf(&out, "Usage: vmtest %s%s%s\n\n", verb->name, str_empty(verb->arguments) ? "" : " ", verb->arguments);
    append_wrapped(&out, verb->summary, 0, 0);
    if (verb->details) {
        buffer_append(&out, "\n", 1);
        append_wrapped(&out, verb->details, 0, 0);
    }
    if (!verb->run)
        append_verbs(&out, verb);
    buffer_append_string(&out, "\nOptions:\n");
    for (size_t i = 0; i < OPTION_ID_COUNT; i++) {
        if (((verb->options | OPTION_BIT(OPTION_HELP)) & OPTION_BIT(i)) && option_describe(CONFIG_KEYS_MAX + i, &info))
            append_option(&out, &info);
    }
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

static void append_option_roff(struct buffer *out, const struct option_info *info) {
    _cleanup_free_ char *help = option_help(info);

    buffer_append_string(out, ".TP\n");
    if (info->letter)
        buffer_printf(out, "\\fB\\-%c\\fR, ", info->letter);
    buffer_append_string(out, "\\fB");
    append_roff(out, info->name);
    buffer_append_string(out, "\\fR");
    if (info->argument)
        buffer_printf(out, "%s\\fI%s\\fR", argument_gap(info), info->argument);
    buffer_append(out, "\n", 1);
    append_roff_line(out, help);
}

char *help_options_roff(void) {
    struct buffer out = {0};
    struct option_info info;

    for (enum option_group group = 0; group < OPTION_GROUP_COUNT; group++) {
        buffer_printf(&out, ".SS %s\n", group_titles[group]);
        for (size_t i = 0; i < OPTIONS_MAX; i++) {
            if (option_describe(i, &info) && info.group == group)
                append_option_roff(&out, &info);
        }
    }
    return buffer_take(&out);
}

char *help_verbs_roff(void) {
    struct buffer out = {0};

    for (size_t i = 0; i < n_verbs; i++) {
        const struct verb *verb = &verbs[i];

        if (!verb->run)
            continue;
        buffer_printf(&out, ".TP\n\\fBvmtest %s\\fR ", verb->name);
        append_roff_line(&out, verb->arguments);
        append_roff_line(&out, verb->summary);
        if (verb->details)
            append_roff_line(&out, verb->details);
    }
    return buffer_take(&out);
}

static const char *const type_names[] = {
    [CONFIG_STRING] = "string",           [CONFIG_PATH] = "path",
    [CONFIG_PROGRAM] = "path or name",    [CONFIG_BOOL] = "boolean",
    [CONFIG_INTEGER] = "integer",         [CONFIG_DURATION] = "duration",
    [CONFIG_MEMORY] = "amount of memory", [CONFIG_ENUM] = "string",
    [CONFIG_SET] = "list of strings",     [CONFIG_STRINGS] = "list of strings",
    [CONFIG_MOUNTS] = "table of tables",
};
static_assert(ARRAY_SIZE(type_names) == CONFIG_MOUNTS + 1, "each type has a name");

char *help_keys_roff(void) {
    static const char *const only[] = {[CONFIG_ANY_TARGET] = "",
                                       [CONFIG_ONLY_KERNEL] = " Only with kernel.",
                                       [CONFIG_ONLY_IMAGE] = " Only with image."};
    struct buffer out = {0};

    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key_row *row = &config_keys[i];
        const char *def = row->def ? row->def : row->absent;
        _cleanup_free_ char *help = xasprintf("%s%s", row->help, only[row->only]);

        buffer_printf(&out, ".TP\n\\fB%s\\fR", row->name);
        if (row->argument)
            buffer_printf(&out, " = \\fI%s\\fR", row->argument);
        buffer_printf(&out, " (%s", type_names[row->type]);
        if (row->type == CONFIG_INTEGER)
            buffer_printf(&out, " from %lld to %lld", row->minimum, row->maximum);
        if (row->values) {
            _cleanup_free_ char *values = config_values_text(row->values);

            buffer_append_string(&out, ": ");
            append_roff(&out, values);
        }
        if (def) {
            buffer_append_string(&out, "; default: ");
            append_roff(&out, def);
        }
        buffer_append_string(&out, ")\n");
        append_roff_line(&out, help);
    }
    return buffer_take(&out);
}
