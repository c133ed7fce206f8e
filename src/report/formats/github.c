/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workflow commands of GitHub Actions: a group for each target with its tails, and an annotation for each that is no
 * pass. Between ::stop-commands::TOKEN and ::TOKEN:: the runner takes nothing as a command, whatever the guest wrote.
 */
#include "report/formats/github.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/file.h"
#include "report/report-text.h"

/*
 * A runner shows ten errors and ten warnings of a step; more than some cost only room. Each kind has its own limit, so
 * that no number of warnings hides an error.
 */
#define ANNOTATIONS_MAX 50

static void add_escaped(struct buffer *out, const char *text, bool property) {
    for (; *text; text++) {
        if (*text == '%' || *text == '\r' || *text == '\n' || (property && (*text == ':' || *text == ',')))
            buffer_printf(out, "%%%02X", (unsigned char)*text);
        else
            buffer_append(out, text, 1);
    }
}

/* "FILE:LINE:COLUMN" as properties; FILE may have colons of its own. */
static void add_place(struct buffer *out, const char *where) {
    const char *column = where ? strrchr(where, ':') : NULL;
    const char *line = column ? memrchr(where, ':', (size_t)(column - where)) : NULL;

    if (!line)
        return;
    _cleanup_free_ char *file = xstrndup(where, (size_t)(line - where));
    buffer_append_string(out, ",file=");
    add_escaped(out, file, true);
    buffer_printf(out, ",line=%d", atoi(line + 1));
}

static void add_annotation(struct buffer *out, const char *command, const struct report_entry *entry, const char *where,
                           const char *message) {
    _cleanup_free_ char *name = report_plain_line(entry->name);
    _cleanup_free_ char *line = report_plain_line(message);

    buffer_printf(out, "::%s title=", command);
    add_escaped(out, name, true);
    add_place(out, where);
    buffer_append_string(out, "::");
    add_escaped(out, line, false);
    buffer_append_string(out, "\n");
}

static void add_text(struct buffer *out, const char *title, const char *text) {
    _cleanup_free_ char *plain = report_plain_text(text);

    if (plain[0] != '\0')
        buffer_printf(out, "%s\n%s", title, plain);
}

static void add_group(struct buffer *out, const struct report_entry *entry, const char *token) {
    _cleanup_free_ char *name = report_plain_line(entry->name);
    _cleanup_free_ char *reason = report_reason(entry);

    buffer_append_string(out, "::group::");
    add_escaped(out, name, false);
    buffer_printf(out, ": %s\n", verdict_name(entry->result.verdict));
    github_stop(token, out);
    if (reason[0] != '\0')
        buffer_printf(out, "%s\n", reason);
    add_text(out, "Last lines of the console:", entry->console);
    add_text(out, "Last lines of the command:", entry->output);
    github_resume(token, out);
    buffer_append_string(out, "::endgroup::\n");
}

void github_token(char ret_token[GITHUB_TOKEN_SIZE]) {
    unsigned char random[(GITHUB_TOKEN_SIZE - 1) / 2];

    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        abort(); /* it never gives less of so few */
    for (size_t i = 0; i < sizeof(random); i++)
        (void)snprintf(ret_token + 2 * i, 3, "%02x", random[i]);
}

void github_stop(const char *token, struct buffer *out) {
    buffer_printf(out, "::stop-commands::%s\n", token);
}

void github_resume(const char *token, struct buffer *out) {
    buffer_printf(out, "::%s::\n", token);
}

static void add_annotations(struct buffer *out, const struct report_entry *entry, const char *where, unsigned *n_errors,
                            unsigned *n_warnings) {
    bool passed = verdict_passed(entry->result.verdict);
    unsigned *count = passed ? n_warnings : n_errors;

    if (entry->result.verdict != VERDICT_PASS && *count < ANNOTATIONS_MAX) {
        _cleanup_free_ char *reason = report_reason(entry);

        add_annotation(out, passed ? "warning" : "error", entry, where, reason);
        ++*count;
    }
    for (size_t i = 0; i < entry->result.n_findings && *n_warnings < ANNOTATIONS_MAX; i++, ++*n_warnings)
        add_annotation(out, "warning", entry, where, entry->result.findings[i].title);
}

void report_write_github(const struct report *report, const char *const *where, struct buffer *out) {
    unsigned n_errors = 0;
    unsigned n_warnings = 0;
    char token[GITHUB_TOKEN_SIZE];

    github_token(token);
    for (size_t i = 0; i < report->n_entries; i++)
        add_group(out, &report->entries[i], token);
    for (size_t i = 0; i < report->n_entries; i++)
        add_annotations(out, &report->entries[i], where ? where[i] : NULL, &n_errors, &n_warnings);
}

int report_append_step_summary(const struct report *report, struct error **ret_error) {
    const char *path = getenv("GITHUB_STEP_SUMMARY");
    _cleanup_buffer_ struct buffer text = {0};

    if (str_empty(path))
        return 0;
    report_write_markdown(report, &text);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    int r = fd < 0 ? -errno : fd_write_all(fd, text.data, text.size);
    return r < 0 ? error_errno(ret_error, r, "the step summary: %s", path) : 0;
}
