/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The function in which a panic happened is told by the fault that led to it, where one did; else by the panic's own
 * stack trace, below the functions that make up a panic.
 */
#include "console/panic.h"

#include "base/str.h"
#include "console/kmsg.h"

/* Panics that a report leads to, and how many "end trace" marks stand between the two at most. */
static const struct {
    const char *pattern;
    unsigned n_ends;
} led_to[] = {
    {PANIC_MARK ": *Fatal exception", 1},
    {PANIC_MARK ": *panic_on_warn set", 0},
    {PANIC_MARK ": softlockup: hung tasks", 0},
    {PANIC_MARK ": Hard LOCKUP", 0},
};

/* The functions that begin every panic's stack trace. */
static const char *const machinery[] = {
    "dump_stack", "__dump_stack", "show_stack", "__show_stack",         "dump_backtrace",
    "panic$",     "vpanic$",      "nmi_panic$", "check_panic_on_warn$", "show_trace",
};

/* The lines in [begin, end) of a console. */
struct span {
    const char *begin;
    const char *end;
};

/* The line at `at` as a string. Caller frees. */
static char *line_at(const char *at, const char *end) {
    size_t size = (size_t)(end - at);

    return xstrndup(at, strcspn(at, "\r\n") < size ? strcspn(at, "\r\n") : size);
}

static const char *next_line(const char *at, const char *end) {
    const char *feed = memchr(at, '\n', (size_t)(end - at));

    return feed ? feed + 1 : end;
}

static bool is_name(char character) {
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
           (character >= '0' && character <= '9') || character == '_' || character == '$';
}

/*
 * The name of the function that `text` ("sysrq_handle_crash+0x16/0x20", "do_x.constprop.0+0x5/0x10 [module]") begins
 * with, without what the compiler added to it; NULL if it is none. Caller frees.
 */
static char *function_name(const char *text) {
    size_t size = 0;
    size_t suffix;

    while (is_name(text[size]))
        size++;
    suffix = size;
    while (is_name(text[suffix]) || text[suffix] == '.')
        suffix++;
    if (size == 0 || !kmsg_match(text + suffix, "+0x%x/0x%x"))
        return NULL;
    return xstrndup(text, size);
}

/* The function of a line of a stack trace, or NULL: for what is no such line, and for guesses ("? func"). */
static char *traced_function(const char *line) {
    if (!strchr(" [(", *line))
        return NULL;
    line += strspn(line, " ");
    /* arm, s390: " [<00000000001141c6>] show_stack+0x8e/0xd0", "([<...>] ...)" */
    if (kmsg_match(line, "[<%x>] ") || kmsg_match(line, "([<%x>] "))
        line = strchr(line, ']') + 2;
    return function_name(line);
}

/* The place of a fault by its registers: a function and an offset, or a mere address. NULL: no such line. */
static const char *fault_place(const char *line) {
    static const char *const heads[] = {"RIP: 0010:", "pc : ", "epc : "};
    const char *text;

    for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
        text = str_skip_prefix(line, heads[i]);
        if (text)
            return text;
    }
    return kmsg_match(line, "Krnl PSW : %x %x (") ? strchr(line, '(') + 1 : NULL;
}

static bool is_machinery(const char *function) {
    for (size_t i = 0; i < ARRAY_SIZE(machinery); i++) {
        if (kmsg_match(function, machinery[i]))
            return true;
    }
    return false;
}

/*
 * The last fault's function in `before`, as long as no more than `n_ends` reports have ended since. A jump to nowhere
 * happened in no function: then it is the one that jumped, the first of the stack trace.
 */
static char *function_of_fault(struct span before, unsigned n_ends) {
    char *found = NULL;
    bool nowhere = false;
    unsigned n_since = 0;

    for (const char *at = before.begin; at < before.end; at = next_line(at, before.end)) {
        _cleanup_free_ char *line = line_at(at, before.end);
        bool stamped;
        const char *text = kmsg_strip(line, &stamped);
        const char *place = fault_place(text);
        char *function = place ? function_name(place) : nowhere ? traced_function(text) : NULL;

        nowhere = !function && (place || nowhere);
        if (function) {
            free(found);
            found = function;
            n_since = 0;
        } else if (str_skip_prefix(text, "---[ end trace ")) {
            nowhere = false;
            if (++n_since > n_ends)
                free(TAKE_PTR(found));
        }
    }
    return found;
}

/* The first function of the stack trace in `after` that is not the panic's own. */
static char *function_of_trace(struct span after) {
    for (const char *at = after.begin; at < after.end; at = next_line(at, after.end)) {
        _cleanup_free_ char *line = line_at(at, after.end);
        bool stamped;
        const char *text = kmsg_strip(line, &stamped);
        _cleanup_free_ char *function = NULL;

        if (str_skip_prefix(text, PANIC_END_MARK))
            break;
        function = traced_function(text);
        if (function && !is_machinery(function))
            return TAKE_PTR(function);
    }
    return NULL;
}

static char *function_of(const char *panic, struct span before, struct span after) {
    for (size_t i = 0; i < ARRAY_SIZE(led_to); i++) {
        char *function = NULL;

        if (kmsg_match(panic, led_to[i].pattern))
            function = function_of_fault(before, led_to[i].n_ends);
        if (function)
            return function;
    }
    return function_of_trace(after);
}

char *panic_describe(const char *console) {
    struct span boot = {console, console ? console + strlen(console) : NULL};
    struct span before = {0};
    struct span after = {0};
    _cleanup_free_ char *panic = NULL;
    _cleanup_free_ char *function = NULL;

    for (const char *at = boot.begin; at < boot.end; at = next_line(at, boot.end)) {
        _cleanup_free_ char *line = line_at(at, boot.end);
        bool stamped;
        const char *text = kmsg_strip(line, &stamped);
        size_t size = strlen(text);

        if (!stamped && str_equal(text, KMSG_REBOOT_MARK)) {
            boot.begin = next_line(at, boot.end);
            free(TAKE_PTR(panic));
        }
        if (!str_skip_prefix(text, PANIC_MARK))
            continue;
        while (strchr(" \t", text[size - 1]))
            size--;
        free(panic);
        panic = xstrndup(text, size);
        before = (struct span){boot.begin, at};
        after = (struct span){next_line(at, boot.end), boot.end};
    }
    if (!panic)
        return NULL;
    function = function_of(panic, before, after);
    return function ? xasprintf("%s (in %s)", panic, function) : TAKE_PTR(panic);
}
