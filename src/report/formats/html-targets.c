/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A target each: what came of it and what bears that out. It is a <details> that shows verdict, name and reason while
 * it is closed. The element that links lead to stands within it, since a browser opens what hides an element it goes
 * to.
 */
#include "report/formats/html.h"

/* So many that did not pass are open from the start; of more, none is. */
#define OPEN_MAX 10
/* A document this large leaves out the console and output of what passed. */
#define SIZE_MAX_TAILS (64U << 20)

static void add_term(struct buffer *out, const char *name) {
    buffer_printf(out, "<div><dt>%s</dt><dd>", name);
}

static void add_value(struct buffer *out, const char *name, const char *value) {
    if (value[0] == '\0')
        return;
    add_term(out, name);
    buffer_append_string(out, "<bdi>");
    html_line(out, value);
    buffer_append_string(out, "</bdi></dd></div>\n");
}

/* What scrolls by itself has to take the focus, and what takes it a name. */
static void add_pre(struct buffer *out, const char *label, const char *text) {
    buffer_printf(out, "<pre tabindex=\"0\" role=\"group\" aria-label=\"%s\">\n", label);
    html_lines(out, text);
    buffer_append_string(out, "</pre>\n");
}

static void add_folded(struct buffer *out, const char *class, const char *label, const char *text, bool open) {
    if (text[0] == '\0')
        return;
    buffer_printf(out, "<details class=\"%s\"%s><summary>%s</summary>\n", class, open ? " open" : "", label);
    add_pre(out, label, text);
    buffer_append_string(out, "</details>\n");
}

static void add_stages(struct buffer *out, const struct report_entry *entry) {
    const struct run_result *result = &entry->result;
    const char *separator = "";
    uint64_t start, end;

    for (enum stage stage = 0; stage < STAGE_COUNT; stage++) {
        if (result->nsec[stage] == 0)
            continue;
        if (separator[0] == '\0')
            add_term(out, "Stages");
        buffer_printf(out, "%s<span class=\"stage k-%s\">%s ", separator, stage_name(stage), stage_name(stage));
        html_time(out, result->nsec[stage]);
        buffer_append_string(out, "</span>");
        separator = ", ";
    }
    if (separator[0] == '\0')
        return;
    if (html_stage_span(entry, STAGE_PREPARE, &start, &end) || html_stage_span(entry, STAGE_BOOT, &start, &end)) {
        buffer_append_string(out, "<svg class=\"stages\" height=\"8\" aria-hidden=\"true\">");
        html_stages(out, entry, 8);
        buffer_append_string(out, "</svg>");
    }
    buffer_append_string(out, "</dd></div>\n");
}

static void add_facts(struct buffer *out, const struct report_entry *entry) {
    const struct run_result *result = &entry->result;
    _cleanup_free_ char *shard = entry->shard > 0 ? xasprintf(" of shard %u", entry->shard) : xstrdup("");

    buffer_append_string(out, "<dl class=\"facts\">\n");
    if (!str_equal(entry->target, entry->name))
        add_value(out, "Target", entry->target);
    for (size_t i = 0; i < entry->n_axes; i++) {
        buffer_append_string(out, "<div><dt>");
        html_line(out, entry->axes[i].name);
        buffer_append_string(out, "</dt><dd><bdi>");
        html_line(out, entry->axes[i].value);
        buffer_append_string(out, "</bdi></dd></div>\n");
    }
    if (html_duration(entry) > 0) {
        add_term(out, "Ran");
        html_time(out, html_duration(entry));
        buffer_append_string(out, ", from ");
        html_time(out, entry->start_nsec);
        buffer_append_string(out, " to ");
        html_time(out, entry->end_nsec);
        buffer_printf(out, ", on slot %u%s</dd></div>\n", entry->slot, shard);
    }
    add_stages(out, entry);
    if (entry->from_template)
        add_value(out, "Boot", "from a template");
    add_value(out, "Kernel", result->kernel_release);
    add_value(out, "QEMU", result->qemu_version);
    add_value(out, "Accelerator", result->accel);
    if (result->max_rss_kib > 0) {
        add_term(out, "Command");
        buffer_printf(out, "%.1f s user, %.1f s system, %.1f MiB</dd></div>\n", (double)result->user_usec / 1e6,
                      (double)result->system_usec / 1e6, (double)result->max_rss_kib / 1024);
    }
    add_value(out, "Artifacts", entry->artifacts);
    buffer_append_string(out, "</dl>\n");
}

static void add_attempts(struct buffer *out, const struct report_entry *entry) {
    if (entry->n_attempts == 0)
        return;
    buffer_append_string(out, "<h4>Attempts before</h4>\n<ol class=\"attempts\">\n");
    for (size_t i = 0; i < entry->n_attempts; i++) {
        const struct report_attempt *attempt = &entry->attempts[i];
        uint64_t nsec = attempt->end_nsec > attempt->start_nsec ? attempt->end_nsec - attempt->start_nsec : 0;

        buffer_append_string(out, "<li>");
        html_verdict(out, attempt->verdict);
        buffer_append_string(out, " <bdi>");
        html_line(out, attempt->reason);
        buffer_append_string(out, "</bdi>");
        html_small_duration(out, nsec);
        buffer_append_string(out, "</li>\n");
    }
    buffer_append_string(out, "</ol>\n");
}

static void add_findings(struct buffer *out, const struct run_result *result) {
    if (result->n_findings == 0)
        return;
    buffer_append_string(out, "<h4>Reported by the guest's kernel</h4>\n");
    for (size_t i = 0; i < result->n_findings; i++) {
        buffer_append_string(out, "<p class=\"finding\"><b>");
        html_line(out, result->findings[i].kind);
        buffer_append_string(out, "</b> <bdi>");
        html_line(out, result->findings[i].title);
        buffer_append_string(out, "</bdi></p>\n");
        add_pre(out, "What the guest's kernel reported", result->findings[i].text);
    }
    if (result->n_more_findings > 0)
        buffer_printf(out, "<p>%u more %s left out.</p>\n", result->n_more_findings,
                      result->n_more_findings == 1 ? "is" : "are");
}

static void add_subresult(struct buffer *out, const struct report_subresult *subresult) {
    static const char *const as_verdicts[SUBRESULT_COUNT] = {"pass", "fail", "skipped", "flaky"};
    static const char *const sub_marks[SUBRESULT_COUNT] = {"✓", "✗", "–", "≈"};

    buffer_printf(out, "<tr><td><span class=\"v v-%s\"><span aria-hidden=\"true\">%s</span> %s</span></td>",
                  as_verdicts[subresult->status], sub_marks[subresult->status],
                  subresult_status_name(subresult->status));
    buffer_append_string(out, "<th scope=\"row\"><bdi>");
    html_line(out, subresult->name);
    buffer_append_string(out, "</bdi></th><td>");
    if (subresult->nsec > 0)
        buffer_printf(out, "%.3f s", html_seconds(subresult->nsec));
    buffer_append_string(out, "</td><td><bdi>");
    html_line(out, subresult->message);
    buffer_append_string(out, "</bdi>");
    add_folded(out, "sub", "Output", subresult->output, false);
    buffer_append_string(out, "</td></tr>\n");
}

/* Those that failed, or those that did not. Nothing where there are none. */
static void add_subresult_table(struct buffer *out, const struct report_entry *entry, bool failed) {
    size_t count = 0;

    for (size_t i = 0; i < entry->n_subresults; i++)
        count += (entry->subresults[i].status == SUBRESULT_FAIL) == failed;
    if (count == 0)
        return;
    buffer_printf(out,
                  "<details class=\"subresults\"%s><summary>%zu %s</summary>\n<div class=\"scroll\" role=\"group\" "
                  "tabindex=\"0\" aria-label=\"Sub-results\"><table>"
                  "<thead><tr><th scope=\"col\">status</th><th scope=\"col\">test</th><th scope=\"col\">time</th>"
                  "<th scope=\"col\">message</th></tr></thead>\n<tbody>\n",
                  failed ? " open" : "", count,
                  failed       ? "failed"
                  : count == 1 ? "other"
                               : "others");
    for (size_t i = 0; i < entry->n_subresults; i++)
        if ((entry->subresults[i].status == SUBRESULT_FAIL) == failed)
            add_subresult(out, &entry->subresults[i]);
    buffer_append_string(out, "</tbody></table></div></details>\n");
}

static void add_subresults(struct buffer *out, const struct report_entry *entry) {
    _cleanup_free_ char *line = subresults_line(&entry->result);

    if (entry->n_subresults == 0)
        return;
    buffer_append_string(out, "<h4>Sub-results");
    if (line) {
        buffer_append_string(out, ": ");
        html_line(out, line);
    }
    buffer_append_string(out, "</h4>\n");
    add_subresult_table(out, entry, true);
    add_subresult_table(out, entry, false);
}

static void add_tails(struct buffer *out, const struct report_entry *entry, bool passed) {
    bool left_out = passed && out->size > SIZE_MAX_TAILS;

    if (left_out && (entry->console[0] || entry->output[0])) {
        buffer_append_string(out, "<p>Its console and output have no room here; the JSON report has them.</p>\n");
        return;
    }
    add_folded(out, "tail", "Output", entry->output, !passed);
    add_folded(out, "tail", "Console", entry->console, false);
}

static void add_target(struct buffer *out, const struct report *report, size_t index, bool open) {
    const struct report_entry *entry = &report->entries[index];
    enum verdict verdict = entry->result.verdict;
    bool passed = verdict_passed(verdict);
    _cleanup_free_ char *reason = report_reason(entry);

    buffer_printf(out, "<details class=\"target\" data-verdict=\"%s\"%s%s>\n<summary>", verdict_name(verdict),
                  passed ? "" : " data-not-passed", open ? " open" : "");
    html_verdict(out, verdict);
    buffer_append_string(out, " <h3><bdi>");
    html_line(out, entry->name);
    buffer_append_string(out, "</bdi></h3>");
    html_small_duration(out, html_duration(entry));
    if (reason[0]) {
        buffer_append_string(out, " <span class=\"reason\"><bdi>");
        html_line(out, reason);
        buffer_append_string(out, "</bdi></span>");
    }
    buffer_printf(out, "</summary>\n<div class=\"body\" id=\"t%zu\">\n", index);
    add_facts(out, entry);
    add_attempts(out, entry);
    add_findings(out, &entry->result);
    add_subresults(out, entry);
    add_folded(out, "tail", "Blocked tasks", entry->result.tasks, !passed);
    add_tails(out, entry, passed);
    if (entry->again[0]) {
        buffer_append_string(out, "<h4>To run it again</h4>\n");
        add_pre(out, "Command line to run it again", entry->again);
    }
    buffer_append_string(out, "</div>\n</details>\n");
}

void html_targets(struct buffer *out, const struct report *report) {
    size_t n_bad = 0;

    for (size_t i = 0; i < report->n_entries; i++)
        n_bad += !verdict_passed(report->entries[i].result.verdict);
    for (size_t i = 0; i < report->n_entries; i++)
        add_target(out, report, i, n_bad <= OPEN_MAX && !verdict_passed(report->entries[i].result.verdict));
}
