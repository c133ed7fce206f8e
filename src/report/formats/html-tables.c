/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of verdicts. Targets with the same axes are one table: of two axes or more its rows are the kernels or
 * images and its columns the values of all other axes, or the other way round where that would be too wide; of one
 * axis, or of none, it is a list.
 */
#include "report/formats/html.h"

/* More columns than this are made rows if there are fewer rows. */
#define COLUMNS_MAX 8
/* So many targets have those that did not pass in a list in front. */
#define LARGE 20

/* Entry numbers of one table. */
struct group {
    size_t *items;
    size_t count;
};

/* A row or column's name, and the number of the entry that has it. */
struct label {
    char *text;
    size_t index; /* in the group */
    size_t id;
};

/* The axis of the rows: the kernel's or the image's, else the first. */
static size_t main_axis(const struct report_entry *entry) {
    for (size_t i = 0; i < entry->n_axes; i++)
        if (str_equal(entry->axes[i].name, "kernel") || str_equal(entry->axes[i].name, "image"))
            return i;
    return 0;
}

static bool same_axes(const struct report_entry *a, const struct report_entry *b) {
    if (a->n_axes != b->n_axes)
        return false;
    for (size_t i = 0; i < a->n_axes; i++)
        if (!str_equal(a->axes[i].name, b->axes[i].name))
            return false;
    return true;
}

/* The axes' names or values but the main one's. Caller frees. */
static char *join_others(const struct report_entry *entry, bool names) {
    _cleanup_strv_ struct strv words = {0};

    for (size_t i = 0; i < entry->n_axes; i++)
        if (i != main_axis(entry))
            strv_append(&words, names ? entry->axes[i].name : entry->axes[i].value);
    return strv_join(&words, ", ");
}

static int compare_texts(const void *a, const void *b) {
    const struct label *left = a;
    const struct label *right = b;
    int order = strcmp(left->text, right->text);

    if (order == 0)
        order = left->index < right->index ? -1 : left->index > right->index;
    return order;
}

static int compare_indexes(const void *a, const void *b) {
    const struct label *left = a;
    const struct label *right = b;

    return left->index < right->index ? -1 : left->index > right->index;
}

/*
 * Gives equal texts one id, 0 for the text that comes first and so on, and appends each text once. Sorting is what
 * keeps ten thousand targets fast.
 */
static void number_labels(struct label *labels, size_t count, struct strv *names) {
    size_t *first = xcalloc(count + 1, sizeof(*first)); /* the index at which an entry's text comes first */
    size_t *ids = xcalloc(count + 1, sizeof(*ids));

    qsort(labels, count, sizeof(*labels), compare_texts);
    for (size_t i = 0; i < count; i++) {
        bool again = i > 0 && strcmp(labels[i].text, labels[i - 1].text) == 0;

        first[labels[i].index] = again ? first[labels[i - 1].index] : labels[i].index;
    }
    qsort(labels, count, sizeof(*labels), compare_indexes);
    for (size_t i = 0; i < count; i++) {
        if (first[i] == i) {
            ids[i] = names->count;
            strv_append(names, labels[i].text);
        }
        labels[i].id = ids[first[i]];
    }
    free(first);
    free(ids);
}

static void free_labels(struct label *labels, size_t count) {
    for (size_t i = 0; i < count; i++)
        free(labels[i].text);
    free(labels);
}

static void add_link(struct buffer *out, const struct report *report, size_t index) {
    const struct report_entry *entry = &report->entries[index];

    buffer_printf(out, "<a href=\"#t%zu\" aria-label=\"%s: ", index, verdict_name(entry->result.verdict));
    html_line(out, entry->name);
    buffer_append_string(out, "\">");
    html_verdict(out, entry->result.verdict);
    html_small_duration(out, html_duration(entry));
    buffer_append_string(out, "</a>");
}

static void add_heading(struct buffer *out, const char *scope, const char *text) {
    buffer_printf(out, "<th scope=\"%s\"><bdi>", scope);
    html_line(out, text);
    buffer_append_string(out, "</bdi></th>");
}

/* So wide a table scrolls by itself, which a keyboard does only where it has the focus. */
static void begin_table(struct buffer *out, const char *class, const char *caption) {
    buffer_append_string(out, "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"");
    html_line(out, caption);
    buffer_printf(out, "\"><table class=\"%s\">\n<caption>", class);
    html_line(out, caption);
    buffer_append_string(out, "</caption>\n");
}

struct cell {
    size_t row, column, index;
};

static int compare_cells(const void *a, const void *b) {
    const struct cell *left = a;
    const struct cell *right = b;

    if (left->row != right->row)
        return left->row < right->row ? -1 : 1;
    if (left->column != right->column)
        return left->column < right->column ? -1 : 1;
    return left->index < right->index ? -1 : left->index > right->index;
}

/* `cells` are sorted. */
static void add_rows(struct buffer *out, const struct report *report, const struct cell *cells, size_t n_cells,
                     const struct strv *rows, size_t n_columns) {
    size_t next = 0;

    for (size_t row = 0; row < rows->count; row++) {
        buffer_append_string(out, "<tr>");
        add_heading(out, "row", rows->items[row]);
        for (size_t column = 0; column < n_columns; column++) {
            bool none = next >= n_cells || cells[next].row != row || cells[next].column != column;

            buffer_append_string(out, none ? "<td class=\"none\">not in the list" : "<td>");
            for (; next < n_cells && cells[next].row == row && cells[next].column == column; next++)
                add_link(out, report, cells[next].index);
            buffer_append_string(out, "</td>");
        }
        buffer_append_string(out, "</tr>\n");
    }
}

static void add_matrix(struct buffer *out, const struct report *report, const struct group *group) {
    const struct report_entry *first = &report->entries[group->items[0]];
    struct label *rows = xcalloc(group->count, sizeof(*rows));
    struct label *columns = xcalloc(group->count, sizeof(*columns));
    struct cell *cells = xcalloc(group->count, sizeof(*cells));
    _cleanup_strv_ struct strv row_names = {0};
    _cleanup_strv_ struct strv column_names = {0};
    _cleanup_free_ char *others = join_others(first, true);
    const char *main_name = first->axes[main_axis(first)].name;

    for (size_t i = 0; i < group->count; i++) {
        const struct report_entry *entry = &report->entries[group->items[i]];

        rows[i] = (struct label){.text = xstrdup(entry->axes[main_axis(entry)].value), .index = i};
        columns[i] = (struct label){.text = join_others(entry, false), .index = i};
    }
    number_labels(rows, group->count, &row_names);
    number_labels(columns, group->count, &column_names);
    bool turned = column_names.count > COLUMNS_MAX && row_names.count < column_names.count;
    for (size_t i = 0; i < group->count; i++)
        cells[i] =
            (struct cell){turned ? columns[i].id : rows[i].id, turned ? rows[i].id : columns[i].id, group->items[i]};
    qsort(cells, group->count, sizeof(*cells), compare_cells);

    const struct strv *down = turned ? &column_names : &row_names;
    const struct strv *across = turned ? &row_names : &column_names;
    _cleanup_free_ char *caption = xasprintf("%s by %s", turned ? others : main_name, turned ? main_name : others);
    begin_table(out, "matrix", caption);
    buffer_append_string(out, "<thead><tr>");
    add_heading(out, "col", turned ? others : main_name);
    for (size_t i = 0; i < across->count; i++)
        add_heading(out, "col", across->items[i]);
    buffer_append_string(out, "</tr></thead>\n<tbody>\n");
    add_rows(out, report, cells, group->count, down, across->count);
    buffer_append_string(out, "</tbody>\n</table></div>\n");
    free_labels(rows, group->count);
    free_labels(columns, group->count);
    free(cells);
}

/* `axis` names the only one of all of them; NULL: they have none, or it is not shown. */
static void add_list(struct buffer *out, const struct report *report, const struct group *group, const char *axis,
                     const char *caption) {
    begin_table(out, "list", caption);
    buffer_append_string(out, "<thead><tr><th scope=\"col\">target</th>");
    if (axis)
        add_heading(out, "col", axis);
    buffer_append_string(out, "<th scope=\"col\">verdict</th><th scope=\"col\">reason</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < group->count; i++) {
        const struct report_entry *entry = &report->entries[group->items[i]];
        _cleanup_free_ char *reason = report_reason(entry);

        buffer_append_string(out, "<tr>");
        add_heading(out, "row", entry->name);
        if (axis) {
            buffer_append_string(out, "<td><bdi>");
            html_line(out, entry->axes[0].value);
            buffer_append_string(out, "</bdi></td>");
        }
        buffer_append_string(out, "<td>");
        add_link(out, report, group->items[i]);
        buffer_append_string(out, "</td><td class=\"reason\"><bdi>");
        html_line(out, reason);
        buffer_append_string(out, "</bdi></td></tr>\n");
    }
    buffer_append_string(out, "</tbody>\n</table></div>\n");
}

/* In a large table few of them are not easily seen. */
static void add_not_passed(struct buffer *out, const struct report *report, struct group *group) {
    group->count = 0;
    for (size_t i = 0; i < report->n_entries; i++)
        if (!verdict_passed(report->entries[i].result.verdict))
            group->items[group->count++] = i;
    if (report->n_entries >= LARGE && group->count > 0 && group->count <= report->n_entries / 2)
        add_list(out, report, group, NULL, "Did not pass");
}

void html_tables(struct buffer *out, const struct report *report) {
    bool *done = xcalloc(report->n_entries + 1, sizeof(*done));
    struct group group = {.items = xcalloc(report->n_entries + 1, sizeof(*group.items))};

    add_not_passed(out, report, &group);
    for (size_t i = 0; i < report->n_entries; i++) {
        const struct report_entry *first = &report->entries[i];

        if (done[i])
            continue;
        group.count = 0;
        for (size_t j = i; j < report->n_entries; j++) {
            if (!done[j] && same_axes(first, &report->entries[j])) {
                group.items[group.count++] = j;
                done[j] = true;
            }
        }
        if (first->n_axes > 1)
            add_matrix(out, report, &group);
        else
            add_list(out, report, &group, first->n_axes > 0 ? first->axes[0].name : NULL,
                     first->n_axes > 0 ? first->axes[0].name : "Targets");
    }
    free(group.items);
    free(done);
}
