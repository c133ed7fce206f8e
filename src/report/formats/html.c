/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTML report: one file that needs no other, for people. All of it stands in the document and can be read without
 * JavaScript, which only searches and filters. A Content-Security-Policy lets nothing run or be loaded but the style
 * and the script that are built in, so that a guest's bytes would stay without effect even if they became markup.
 */
#include <inttypes.h>

#include "report/formats/html.h"
#include "report/formats/html/html-assets.h"

#define NSEC_PER_SEC 1000000000ULL

static const char *const marks[VERDICT_COUNT] = {
    [VERDICT_PASS] = "✓",  [VERDICT_FAIL] = "✗",    [VERDICT_SIGNAL] = "✗", [VERDICT_TIMEOUT] = "◔",
    [VERDICT_PANIC] = "‼", [VERDICT_LOST] = "?",    [VERDICT_ERROR] = "!",  [VERDICT_CANCELLED] = "■",
    [VERDICT_FLAKY] = "≈", [VERDICT_SKIPPED] = "–",
};

const char *html_mark(enum verdict verdict) {
    return marks[verdict];
}

double html_seconds(uint64_t nsec) {
    uint64_t msec = nsec / 1000000;

    return (double)msec / 1000;
}

void html_time(struct buffer *out, uint64_t nsec) {
    uint64_t seconds = nsec / NSEC_PER_SEC + (nsec % NSEC_PER_SEC >= NSEC_PER_SEC / 2);

    if (nsec < NSEC_PER_SEC)
        buffer_printf(out, "%.2f s", html_seconds(nsec));
    else if (nsec < 60 * NSEC_PER_SEC - NSEC_PER_SEC / 20) /* else it would be "60.0 s" */
        buffer_printf(out, "%.1f s", html_seconds(nsec));
    else if (seconds < 3600)
        buffer_printf(out, "%" PRIu64 " min %02" PRIu64 " s", seconds / 60, seconds % 60);
    else
        buffer_printf(out, "%" PRIu64 " h %02" PRIu64 " min", seconds / 3600, seconds % 3600 / 60);
}

uint64_t html_duration(const struct report_entry *entry) {
    return entry->end_nsec > entry->start_nsec ? entry->end_nsec - entry->start_nsec : 0;
}

void html_small_duration(struct buffer *out, uint64_t nsec) {
    if (nsec == 0)
        return;
    buffer_append_string(out, " <small>");
    html_time(out, nsec);
    buffer_append_string(out, "</small>");
}

/*
 * The length of a character that changes the order in which others are shown, else 0: U+061C, U+200E, U+200F, U+202A to
 * U+202E and U+2066 to U+2069. Text that shows something else than it holds is no evidence.
 */
static size_t direction_length(const char *text) {
    const unsigned char *c = (const unsigned char *)text;

    if (c[0] == 0xd8 && c[1] == 0x9c)
        return 2;
    if (c[0] == 0xe2 && c[1] == 0x80 && (c[2] == 0x8e || c[2] == 0x8f || (c[2] >= 0xaa && c[2] <= 0xae)))
        return 3;
    return c[0] == 0xe2 && c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9 ? 3 : 0;
}

static const char *entity_of(char c) {
    switch (c) {
    case '&':
        return "&#38;";
    case '<':
        return "&#60;";
    case '>':
        return "&#62;";
    case '"':
        return "&#34;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

/* `text` is valid. */
static void add_escaped(struct buffer *out, const char *text) {
    while (*text) {
        size_t plain = strcspn(text, "&<>\"'\xd8\xe2");
        const char *entity = entity_of(text[plain]);
        size_t direction = entity ? 0 : direction_length(text + plain);

        buffer_append(out, text, plain);
        text += plain;
        if (entity || direction > 0) {
            buffer_append_string(out, entity ? entity : UTF8_REPLACEMENT);
            text += entity ? 1 : direction;
        } else if (*text) {
            buffer_append(out, text++, 1); /* the first byte of another character */
        }
    }
}

void html_line(struct buffer *out, const char *text) {
    _cleanup_free_ char *line = report_plain_line(text);

    add_escaped(out, line);
}

void html_lines(struct buffer *out, const char *text) {
    _cleanup_free_ char *lines = report_plain_text(text);

    add_escaped(out, lines);
}

void html_verdict(struct buffer *out, enum verdict verdict) {
    const char *name = verdict_name(verdict);

    buffer_printf(out, "<span class=\"v v-%s\"><span aria-hidden=\"true\">%s</span> %s</span>", name, marks[verdict],
                  name);
}

/* What is said of the whole run. */
struct outcome {
    const char *words, *mark, *class, *icon;
};

/* A run of no targets, such as an empty shard's, exits with 0 and has shown nothing. */
static const struct outcome *find_outcome(const struct report *report) {
    static const struct outcome not_passed = {"not passed", "✗", "fail", "c62828"};
    static const struct outcome nothing = {"nothing ran", "–", "skipped", "757575"};
    static const struct outcome passed = {"passed", "✓", "pass", "2e7d32"};

    if (report->summary.n_not_passed > 0)
        return &not_passed;
    return report->n_entries == 0 ? &nothing : &passed;
}

/* The colour of the icon tells passed from not passed in a row of tabs. */
static void add_head(struct buffer *out, const struct outcome *outcome) {
    buffer_printf(out,
                  "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                  "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; "
                  "style-src '%s'; script-src '%s'; base-uri 'none'; form-action 'none'\">\n"
                  "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                  "<meta name=\"color-scheme\" content=\"light dark\">\n"
                  "<meta name=\"referrer\" content=\"no-referrer\">\n"
                  "<title>%s %s: vmtest</title>\n"
                  "<link rel=\"icon\" href=\"data:image/svg+xml,%%3Csvg xmlns='http://www.w3.org/2000/svg' "
                  "viewBox='0 0 8 8'%%3E%%3Ccircle cx='4' cy='4' r='4' fill='%%23%s'/%%3E%%3C/svg%%3E\">\n"
                  "<style>%s</style>\n</head>\n",
                  html_style_hash, html_script_hash, outcome->mark, outcome->words, outcome->icon, html_style);
}

static void add_fact(struct buffer *out, const char *name, const char *text) {
    buffer_printf(out, "<div><dt>%s</dt><dd>", name);
    html_line(out, text);
    buffer_append_string(out, "</dd></div>\n");
}

static void add_facts(struct buffer *out, const struct report *report) {
    char time[REPORT_TIME_SIZE];
    _cleanup_buffer_ struct buffer took = {0};
    _cleanup_free_ char *slots = xasprintf("%u", report->n_slots);
    _cleanup_free_ char *shard = xasprintf("%u of %u", report->shard_index, report->shard_count);
    _cleanup_free_ char *seed = xasprintf("%" PRIu64, report->seed);

    report_time(time, report->started_at);
    html_time(&took, report->summary.nsec);
    buffer_append_string(out, "<dl class=\"facts\">\n");
    if (report->started_at > 0)
        add_fact(out, "Started", time);
    add_fact(out, "Took", took.data);
    if (report->n_slots > 0)
        add_fact(out, "Slots", slots);
    if (report->shard_count > 0)
        add_fact(out, "Shard", shard);
    if (report->shuffled)
        add_fact(out, "Seed", seed);
    if (report->list_hash[0])
        add_fact(out, "List", report->list_hash);
    buffer_append_string(out, "</dl>\n");
}

static void add_filter(struct buffer *out, const char *value, const char *mark, size_t count) {
    buffer_printf(out,
                  "<label class=\"v v-%s\"><input type=\"checkbox\" value=\"%s\"> "
                  "<span aria-hidden=\"true\">%s</span> %s <b>%zu</b></label>\n",
                  value, value, mark, str_equal(value, "not-passed") ? "not passed" : value, count);
}

/* The script shows it: without one it would do nothing. */
static void add_tools(struct buffer *out, const struct report *report) {
    size_t n_of[VERDICT_COUNT] = {0};
    size_t n_bad = 0;

    for (size_t i = 0; i < report->n_entries; i++) {
        n_of[report->entries[i].result.verdict]++;
        n_bad += !verdict_passed(report->entries[i].result.verdict);
    }
    buffer_append_string(out, "<div id=\"tools\" role=\"search\" hidden>\n<p><label for=\"query\">Search</label> "
                              "<input id=\"query\" type=\"search\" autocomplete=\"off\" spellcheck=\"false\" "
                              "placeholder=\"name, reason, finding, console, output\" aria-describedby=\"keys\"></p>\n"
                              "<fieldset><legend>Only</legend>\n");
    if (n_bad > 0 && n_bad < report->n_entries)
        add_filter(out, "not-passed", "✗", n_bad);
    for (enum verdict verdict = 0; verdict < VERDICT_COUNT; verdict++)
        if (n_of[verdict] > 0)
            add_filter(out, verdict_name(verdict), marks[verdict], n_of[verdict]);
    buffer_append_string(out,
                         "</fieldset>\n<p><output id=\"shown\" aria-live=\"polite\"></output></p>\n"
                         "<p id=\"keys\"><kbd>/</kbd> search, <kbd>j</kbd> <kbd>k</kbd> next and previous that did "
                         "not pass or was found, <kbd>Enter</kbd> open, <kbd>Esc</kbd> clear</p>\n</div>\n");
}

static void add_sections(struct buffer *out, const struct report *report) {
    add_tools(out, report);
    buffer_append_string(out, "<section aria-labelledby=\"h-verdicts\">\n<h2 id=\"h-verdicts\">Verdicts</h2>\n");
    html_tables(out, report);
    buffer_append_string(out, "</section>\n");
    html_timeline(out, report);
    buffer_append_string(out, "<section aria-labelledby=\"h-targets\">\n"
                              "<h2 id=\"h-targets\" tabindex=\"-1\">Targets</h2>\n");
    html_targets(out, report);
    buffer_append_string(out, "</section>\n");
}

void report_write_html(const struct report *report, struct buffer *out) {
    const struct outcome *outcome = find_outcome(report);
    _cleanup_free_ char *summary = report_summary_line(report);

    add_head(out, outcome);
    buffer_printf(out,
                  "<body>\n<a class=\"skip\" href=\"#%s\">Skip to the targets</a>\n<header>\n"
                  "<h1>vmtest: <span class=\"v v-%s\">%s</span></h1>\n<p>%s.</p>\n",
                  report->n_entries > 0 ? "h-targets" : "main", outcome->class, outcome->words, summary);
    add_facts(out, report);
    buffer_append_string(out, "</header>\n<main id=\"main\">\n");
    if (report->n_entries > 0)
        add_sections(out, report);
    else
        buffer_append_string(out, "<p class=\"nothing\">There were no targets to run.</p>\n");
    buffer_printf(out, "</main>\n<script>%s</script>\n</body>\n</html>\n", html_script);
}
