/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who ran when, and on which slot: an SVG element for each slot, as wide as the run is long. Lengths are percentages,
 * so that it fits every window while its text keeps its size.
 */
#include <inttypes.h>

#include "report/formats/html.h"

#define NSEC_PER_SEC 1000000000ULL
#define LANE_HEIGHT 26
#define TICKS_MAX 8
/* Below these parts of the run's length a bar has no room for its target's name, or for a mark either. */
#define NAME_MIN_PERCENT 6.0
#define MARK_MIN_PERCENT 1.0

static double percent(uint64_t part, uint64_t whole) {
    return whole > 0 ? 100 * (double)part / (double)whole : 0;
}

bool html_stage_span(const struct report_entry *entry, enum stage stage, uint64_t *ret_start, uint64_t *ret_end) {
    uint64_t start = entry->stage_start_nsec[stage];
    uint64_t end = entry->end_nsec;

    if (start < entry->start_nsec || start == 0 || start >= end)
        return false;
    for (enum stage next = stage + 1; next < STAGE_COUNT; next++) {
        if (entry->stage_start_nsec[next] >= start) {
            end = entry->stage_start_nsec[next] < end ? entry->stage_start_nsec[next] : end;
            break;
        }
    }
    *ret_start = start;
    *ret_end = end;
    return true;
}

void html_stages(struct buffer *out, const struct report_entry *entry, unsigned height) {
    uint64_t whole = html_duration(entry);

    for (enum stage stage = 0; stage < STAGE_COUNT; stage++) {
        uint64_t start, end;

        if (html_stage_span(entry, stage, &start, &end))
            buffer_printf(out, "<rect class=\"s-%s\" x=\"%.3f%%\" width=\"%.3f%%\" height=\"%u\"/>", stage_name(stage),
                          percent(start - entry->start_nsec, whole), percent(end - start, whole), height);
    }
}

/* Its number is only known by the targets that ran there. */
static bool find_next_slot(const struct report *report, unsigned from, unsigned *ret_slot) {
    bool found = false;

    for (size_t i = 0; i < report->n_entries; i++) {
        const struct report_entry *entry = &report->entries[i];

        if (html_duration(entry) == 0 || entry->slot < from || (found && entry->slot >= *ret_slot))
            continue;
        *ret_slot = entry->slot;
        found = true;
    }
    return found;
}

/* All attempts of a target run on one slot. */
static void add_attempts(struct buffer *out, const struct report_entry *entry, uint64_t whole) {
    for (size_t i = 0; i < entry->n_attempts; i++) {
        const struct report_attempt *attempt = &entry->attempts[i];

        if (attempt->end_nsec <= attempt->start_nsec)
            continue;
        buffer_printf(out, "<g><title>");
        html_line(out, entry->name);
        buffer_printf(out,
                      ": attempt %zu, %s</title><rect class=\"s-attempt\" x=\"%.3f%%\" width=\"%.3f%%\" "
                      "height=\"%d\"/></g>\n",
                      i + 1, verdict_name(attempt->verdict), percent(attempt->start_nsec, whole),
                      percent(attempt->end_nsec - attempt->start_nsec, whole), LANE_HEIGHT);
    }
}

static void add_bar(struct buffer *out, const struct report *report, size_t index, uint64_t whole) {
    const struct report_entry *entry = &report->entries[index];
    const char *verdict = verdict_name(entry->result.verdict);
    double width = percent(html_duration(entry), whole);

    buffer_printf(out, "<a href=\"#t%zu\" tabindex=\"-1\"><svg x=\"%.3f%%\" width=\"%.3f%%\" height=\"%d\"><title>",
                  index, percent(entry->start_nsec, whole), width, LANE_HEIGHT);
    html_line(out, entry->name);
    buffer_printf(out, ": %s, ", verdict);
    html_time(out, html_duration(entry));
    buffer_append_string(out, " from ");
    html_time(out, entry->start_nsec);
    buffer_printf(out, "</title><rect class=\"s-other\" width=\"100%%\" height=\"%d\"/>", LANE_HEIGHT);
    html_stages(out, entry, LANE_HEIGHT);
    buffer_printf(out,
                  "<rect class=\"e-%s\" y=\"%d\" width=\"100%%\" height=\"4\"/>"
                  "<rect class=\"edge\" width=\"1\" height=\"%d\"/>",
                  verdict, LANE_HEIGHT - 4, LANE_HEIGHT);
    if (width >= MARK_MIN_PERCENT)
        buffer_printf(out, "<text x=\"3\" y=\"15\">%s", html_mark(entry->result.verdict));
    if (width >= NAME_MIN_PERCENT) {
        buffer_append_string(out, " ");
        html_line(out, entry->name);
    }
    if (width >= MARK_MIN_PERCENT)
        buffer_append_string(out, "</text>");
    buffer_append_string(out, "</svg></a>\n");
}

static void add_lane(struct buffer *out, const struct report *report, unsigned slot, uint64_t whole) {
    size_t count = 0;

    for (size_t i = 0; i < report->n_entries; i++)
        count += report->entries[i].slot == slot && html_duration(&report->entries[i]) > 0;
    buffer_printf(out,
                  "<div class=\"lane\"><span>slot %u</span><svg height=\"%d\" role=\"img\" "
                  "aria-label=\"slot %u: %zu target%s\">\n",
                  slot, LANE_HEIGHT, slot, count, count == 1 ? "" : "s");
    for (size_t i = 0; i < report->n_entries; i++)
        if (report->entries[i].slot == slot && html_duration(&report->entries[i]) > 0) {
            add_attempts(out, &report->entries[i], whole);
            add_bar(out, report, i, whole);
        }
    buffer_append_string(out, "</svg></div>\n");
}

/* Of a few milliseconds up to half a day and what is twice, four times ... as long. */
static uint64_t tick_length(uint64_t whole) {
    static const unsigned msec[] = {1,      2,      5,       10,      20,      50,       100,      200,     500,
                                    1000,   2000,   5000,    10000,   15000,   30000,    60000,    120000,  300000,
                                    600000, 900000, 1800000, 3600000, 7200000, 14400000, 21600000, 43200000};
    uint64_t tick = 0;

    for (size_t i = 0; i < ARRAY_SIZE(msec); i++) {
        tick = msec[i] * (NSEC_PER_SEC / 1000);
        if (whole / tick < TICKS_MAX)
            return tick;
    }
    while (whole / tick >= TICKS_MAX)
        tick *= 2;
    return tick;
}

static void add_tick_label(struct buffer *out, uint64_t at, uint64_t tick) {
    uint64_t seconds = at / NSEC_PER_SEC;

    if (tick < NSEC_PER_SEC)
        buffer_printf(out, "%.3f s", html_seconds(at));
    else if (tick < 60 * NSEC_PER_SEC)
        buffer_printf(out, "%" PRIu64 " s", seconds);
    else if (tick < 3600 * NSEC_PER_SEC)
        buffer_printf(out, "%" PRIu64 " min", seconds / 60);
    else
        buffer_printf(out, "%" PRIu64 " h", seconds / 3600);
}

static void add_axis(struct buffer *out, uint64_t whole) {
    uint64_t tick = tick_length(whole);

    buffer_append_string(out, "<div class=\"lane axis\"><span></span><svg height=\"22\" aria-hidden=\"true\">\n");
    for (uint64_t at = 0; at <= whole; at += tick) {
        double x = percent(at, whole);

        buffer_printf(out, "<rect x=\"%.3f%%\" width=\"1\" height=\"6\"/>", x);
        if (x > 96)
            continue;
        buffer_printf(out, "<text x=\"%.3f%%\" y=\"18\">", x);
        add_tick_label(out, at, tick);
        buffer_append_string(out, "</text>\n");
    }
    buffer_append_string(out, "</svg></div>\n");
}

void html_timeline(struct buffer *out, const struct report *report) {
    uint64_t whole = 0;
    unsigned slot = 0;

    for (size_t i = 0; i < report->n_entries; i++)
        whole = report->entries[i].end_nsec > whole ? report->entries[i].end_nsec : whole;
    if (whole == 0)
        return;
    buffer_append_string(out, "<section aria-labelledby=\"h-timeline\">\n<h2 id=\"h-timeline\">Timeline</h2>\n"
                              "<ul class=\"legend\">");
    for (enum stage stage = 0; stage < STAGE_COUNT; stage++)
        buffer_printf(out,
                      "<li><svg width=\"14\" height=\"14\" aria-hidden=\"true\"><rect class=\"s-%s\" width=\"14\" "
                      "height=\"14\"/></svg> %s</li>",
                      stage_name(stage), stage_name(stage));
    buffer_append_string(
        out, "<li><svg width=\"14\" height=\"14\" aria-hidden=\"true\"><rect class=\"s-attempt\" "
             "width=\"14\" height=\"14\"/></svg> an attempt before the last</li></ul>\n<div class=\"timeline\">\n");
    while (find_next_slot(report, slot, &slot)) {
        add_lane(out, report, slot, whole);
        if (slot++ == UINT32_MAX)
            break;
    }
    add_axis(out, whole);
    buffer_append_string(out, "</div>\n</section>\n");
}
