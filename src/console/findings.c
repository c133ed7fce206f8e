/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes to lines, lines to reports. A report is opened by a detector's line, its title; lines that announce a report
 * (the "cut here" line, what a WARN() says) come before it and wait for it. While a report is open, a line is another
 * report's title, ends this one, or belongs to it. On a console whose kernel writes time stamps, lines without one come
 * from elsewhere: they neither belong to a report nor end it.
 */
#include "console/findings.h"

#include "console/findings-internal.h"
#include "console/kmsg.h"

/* The part of a line that is matched: long enough for every title. */
#define LINE_SIZE 512
/* What an announcement may have before its title must have come. */
#define PRELUDE_LINES 8
#define PRELUDE_BYTES (FINDING_MAX_BYTES - LINE_SIZE)
/* No report is longer. */
#define REPORT_LINES 1000

enum reading {
    READING_LINE,
    READING_REST, /* of a line that is too long: of interest is only a line of the kernel's that begins within it */
};

struct findings_reader {
    enum reading reading;
    char line[LINE_SIZE + 1];
    size_t line_size;
    bool console_stamped; /* this kernel writes time stamps */

    const struct detector *open; /* the open report's, or NULL */
    struct finding *finding;     /* where it is kept, or NULL */
    bool stamped;                /* it, or its announcement, has time stamps */
    bool counted;                /* its "[#1]" has come */
    bool in_trace;
    unsigned n_free;
    unsigned n_lines;      /* all it had */
    unsigned n_text_lines; /* those that were kept */

    struct buffer prelude;
    unsigned n_prelude_lines; /* 0: none */
};

void findings_init(struct findings *findings) {
    *findings = (struct findings){.reader = xcalloc(1, sizeof(struct findings_reader))};
}

void findings_deinit(struct findings *findings) {
    for (size_t i = 0; i < findings->count; i++) {
        free(findings->items[i].title);
        buffer_deinit(&findings->items[i].text);
    }
    findings->count = 0;
    if (findings->reader)
        buffer_deinit(&findings->reader->prelude);
    free(findings->reader);
    findings->reader = NULL;
}

uint32_t findings_mask(const struct findings *findings) {
    uint32_t mask = 0;

    for (unsigned i = 0; i < FINDING_KIND_COUNT; i++) {
        if (findings->n_of_kind[i] > 0)
            mask |= FINDING_BIT(i);
    }
    return mask;
}

static void drop_prelude(struct findings_reader *reader) {
    buffer_consume(&reader->prelude, reader->prelude.size);
    reader->n_prelude_lines = 0;
}

static void add_prelude(struct findings_reader *reader, const char *line) {
    if (reader->n_prelude_lines == PRELUDE_LINES || reader->prelude.size + strlen(line) + 1 > PRELUDE_BYTES) {
        drop_prelude(reader);
        return;
    }
    buffer_printf(&reader->prelude, "%s\n", line);
    reader->n_prelude_lines++;
}

/* A line that belongs to no report: it may announce one. */
static void take_loose_line(struct findings_reader *reader, const char *line, bool stamped) {
    if (line_is_prelude(line)) {
        if (reader->n_prelude_lines == 0)
            reader->stamped = stamped;
        add_prelude(reader, line);
    } else if (reader->n_prelude_lines > 0) {
        add_prelude(reader, line);
    }
}

static void add_text(struct findings_reader *reader, const char *line) {
    struct finding *finding = reader->finding;

    if (!finding || str_empty(line) || line_is_noise(line) || reader->n_text_lines == FINDING_MAX_LINES)
        return;
    if (finding->text.size + strlen(line) + 1 > FINDING_MAX_BYTES) {
        reader->n_text_lines = FINDING_MAX_LINES;
        return;
    }
    buffer_printf(&finding->text, "%s\n", line);
    reader->n_text_lines++;
}

static void close_report(struct findings_reader *reader) {
    reader->open = NULL;
    reader->finding = NULL;
}

static void open_report(struct findings *findings, const struct detector *detector, const char *line, bool stamped) {
    struct findings_reader *reader = findings->reader;

    reader->open = detector;
    reader->stamped = stamped;
    reader->counted = detector->part_of != 0;
    reader->in_trace = false;
    reader->n_free = detector->n_free;
    reader->n_lines = 0;
    reader->n_text_lines = reader->n_prelude_lines;
    reader->finding = findings->count < FINDINGS_MAX ? &findings->items[findings->count++] : NULL;
    if (reader->finding) {
        *reader->finding = (struct finding){.kind = detector->kind, .title = xstrdup(line)};
        buffer_append(&reader->finding->text, reader->prelude.data, reader->prelude.size);
    }
    add_text(reader, line);
    drop_prelude(reader);
    findings->n_total++;
    findings->n_of_kind[detector->kind]++;
    if (detector->end == END_LINE)
        close_report(reader);
}

/* True if the title `line` of `detector` is only another line of the open report. */
static bool is_part(struct findings_reader *reader, const struct detector *detector) {
    if (!reader->open || !(detector->part_of & FINDING_BIT(reader->open->kind)))
        return false;
    /* A second "[#2]" is another fault, before the first was told to the end. */
    if (detector->kind == FINDING_OOPS || detector->kind == FINDING_BUG) {
        if (reader->counted)
            return false;
        reader->counted = true;
    }
    return true;
}

static void take_report_line(struct findings_reader *reader, const char *line, bool stamped) {
    if (++reader->n_lines > REPORT_LINES || line_is_prelude(line)) {
        close_report(reader);
        take_loose_line(reader, line, stamped);
    } else if (reader->open->end == END_BAR || str_empty(line)) {
        add_text(reader, line);
    } else if (line_is_state(line)) {
        reader->in_trace = reader->in_trace || line_begins_trace(line);
        add_text(reader, line);
    } else if (!reader->in_trace && reader->n_free > 0) {
        reader->n_free--;
        add_text(reader, line);
    } else {
        close_report(reader);
    }
}

/* Printable text for what a guest may have sent: no control characters, valid UTF-8, no blanks at the end. */
static void clean_line(char *line, size_t size) {
    size_t kept = 0;

    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)line[i];

        if ((byte >= ' ' && byte != 0x7f) || byte == '\t')
            line[kept++] = line[i];
    }
    for (size_t i = 0; (i += utf8_valid_prefix(line + i, kept - i)) < kept;)
        line[i] = '?';
    while (kept > 0 && strchr(" \t", line[kept - 1]))
        kept--;
    line[kept] = '\0';
}

static void reset_boot(struct findings_reader *reader) {
    close_report(reader);
    drop_prelude(reader);
    reader->console_stamped = false;
}

static void take_line(struct findings *findings) {
    struct findings_reader *reader = findings->reader;
    const struct detector *detector;
    const char *line;
    bool stamped;
    bool pending = reader->open || reader->n_prelude_lines > 0;

    clean_line(reader->line, reader->line_size);
    line = kmsg_strip(reader->line, &stamped);
    reader->console_stamped = reader->console_stamped || stamped;
    if (!stamped && str_equal(line, KMSG_REBOOT_MARK)) {
        reset_boot(reader);
        return;
    }
    detector = detector_find(line);
    if (detector && detector->weak && reader->console_stamped && !stamped)
        detector = NULL;
    if (pending && reader->stamped && !stamped && !detector)
        return;

    if (detector && !is_part(reader, detector)) {
        open_report(findings, detector, line, stamped);
    } else if (line_is_bar(line) || line_is_end_mark(line)) {
        if (reader->open && kmsg_match(line, "---[ end trace "))
            add_text(reader, line);
        close_report(reader);
        drop_prelude(reader);
    } else if (reader->open) {
        take_report_line(reader, line, stamped);
    } else {
        take_loose_line(reader, line, stamped);
    }
}

/* True if the kept rest of a long line is a line of the kernel's, to which a further '[' belongs. */
static bool rest_is_stamped(struct findings_reader *reader) {
    bool stamped;

    reader->line[reader->line_size] = '\0';
    (void)kmsg_strip(reader->line, &stamped);
    return stamped;
}

static void end_line(struct findings *findings) {
    struct findings_reader *reader = findings->reader;

    if (reader->line_size > 0 && (reader->reading == READING_LINE || rest_is_stamped(reader)))
        take_line(findings);
    reader->line_size = 0;
    reader->reading = READING_LINE;
}

static void take_byte(struct findings *findings, char byte) {
    struct findings_reader *reader = findings->reader;

    if (reader->reading == READING_LINE && reader->line_size == LINE_SIZE) {
        take_line(findings);
        reader->line_size = 0;
        reader->reading = READING_REST;
    }
    if (reader->reading == READING_REST && byte == '[' && !rest_is_stamped(reader))
        reader->line_size = 0;
    else if (reader->reading == READING_REST && reader->line_size == 0)
        return;
    if (reader->line_size < LINE_SIZE)
        reader->line[reader->line_size++] = byte;
}

void findings_feed(struct findings *findings, const void *data, size_t size) {
    const char *bytes = data;

    for (size_t i = 0; i < size; i++) {
        /* A program that redraws its line with carriage returns leaves the kernel a line of its own. */
        if (bytes[i] == '\n' || bytes[i] == '\r')
            end_line(findings);
        else
            take_byte(findings, bytes[i]);
    }
}

void findings_end(struct findings *findings) {
    end_line(findings);
    reset_boot(findings->reader);
}
