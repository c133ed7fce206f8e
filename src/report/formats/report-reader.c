/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a JSON report back (docs/report-format.md). The file may be anybody's: fields.c checks every member. The
 * summary is counted again, so that no file can claim a better end than its targets had.
 */
#include <inttypes.h>
#include <jansson.h>

#include "base/file.h"
#include "event/ipc.h"
#include "report/formats/report-json.h"

#define FILE_MAX ((size_t)1 << 30)
/* Bytes at the beginning of a report in which its format is named. */
#define HEAD_MAX 4096U

static void cleanup_json(json_t **json) {
    json_decref(*json);
}
#define _cleanup_json_ _cleanup_(cleanup_json)

static int get_unsigned(const json_t *object, const char *key, unsigned max, unsigned *ret_number,
                        struct error **ret_error) {
    const struct field fields[] = {{key, FIELD_UNSIGNED, .max = max}, {NULL}};

    return fields_from_json(fields, object, ret_number, ret_error);
}

static int get_number(const json_t *object, const char *key, uint64_t *ret_number, struct error **ret_error) {
    const struct field fields[] = {{key, FIELD_NUMBER, .max = INT64_MAX}, {NULL}};

    return fields_from_json(fields, object, ret_number, ret_error);
}

/* The result's strings are moved to the entry's record, as they come from a worker. */
static void keep_result(struct report_entry *entry, struct run_result *result) {
    const struct event event = {.type = EVENT_FINISHED, .result = result};
    struct record record;
    struct event decoded;

    record_put_event(&entry->record, &event);
    if (record_get(entry->record.data, entry->record.size, &record) == 0 ||
        !record_to_event(&record, &decoded, &entry->result, NULL))
        abort(); /* it was made here, and a file has less bytes than a record can hold */
    entry->result.console = entry->console;
    entry->result.output = entry->output;
}

static int read_result(const json_t *object, struct report_entry *entry, struct error **ret_error) {
    struct run_result result = RUN_RESULT_EMPTY;
    const json_t *from = json_object_get(object, "result");
    int r = json_is_object(from) ? fields_from_json(report_result_fields, from, &result, ret_error)
                                 : fields_wrong(ret_error, "result", "an object");

    if (r == 0)
        keep_result(entry, &result);
    return r;
}

/* What a run that was killed leaves of a target: whoever does not look at `finished` sees no pass. */
static void set_unfinished(struct report_entry *entry) {
    struct run_result result = RUN_RESULT_EMPTY;

    result.verdict = VERDICT_CANCELLED;
    result.reason = "the run ended without a verdict";
    keep_result(entry, &result);
}

static int read_entry(const json_t *object, const struct report *report, struct report_entry *entry,
                      struct error **ret_error) {
    int r = fields_from_json(report_entry_fields, object, entry, ret_error);

    if (r == 0 && str_empty(entry->name))
        return error_new(ret_error, EINVAL, "'name' is empty");
    if (r == 0 && report->shard_count > 0 && entry->shard != report->shard_index)
        return error_new(ret_error, EINVAL, "'shard' is not the report's own");
    if (r < 0)
        return r;
    if (entry->finished)
        return read_result(object, entry, ret_error);
    set_unfinished(entry);
    return 0;
}

static int check_names(const struct report *report, struct error **ret_error) {
    _cleanup_free_ const char **names = xcalloc(report->n_entries + 1, sizeof(*names));

    for (size_t i = 0; i < report->n_entries; i++)
        names[i] = report->entries[i].name;
    qsort(names, report->n_entries, sizeof(*names), str_compare);
    for (size_t i = 1; i < report->n_entries; i++) {
        if (str_equal(names[i - 1], names[i]))
            return error_new(ret_error, EINVAL, "two of its targets have the same name");
    }
    return 0;
}

static int read_entries(const json_t *document, struct report *report, struct error **ret_error) {
    const json_t *array = json_object_get(document, "targets");
    const json_t *item;
    size_t i;

    if (!json_is_array(array) || json_array_size(array) > REPORT_ITEMS_MAX)
        return fields_wrong(ret_error, "targets", "an array, or is too long");
    report->entries = xcalloc(json_array_size(array) + 1, sizeof(*report->entries));
    json_array_foreach(array, i, item) {
        report->n_entries = i + 1;
        int r = json_is_object(item) ? read_entry(item, report, &report->entries[i], ret_error)
                                     : fields_wrong(ret_error, "targets", "an array of objects");
        if (r < 0) {
            error_context(ret_error, "target %zu", i + 1);
            return r;
        }
    }
    return check_names(report, ret_error);
}

static bool is_list_hash(const char *text) {
    size_t length = text ? strlen(text) : 1;

    if (length != 0 && length != 32 && (length != 65 || text[32] != '-'))
        return false;
    for (size_t i = 0; i < length; i++) {
        if (i != 32 && !strchr("0123456789abcdef", text[i]))
            return false;
    }
    return true;
}

static int read_shard(const json_t *document, struct report *report, struct error **ret_error) {
    const json_t *shard = json_object_get(document, "shard");
    int r = 0;

    if (json_is_null(shard))
        return 0;
    r = get_unsigned(shard, "count", REPORT_ITEMS_MAX, &report->shard_count, ret_error);
    r = r < 0 ? r : get_unsigned(shard, "index", REPORT_ITEMS_MAX, &report->shard_index, ret_error);
    if (r == 0 && (report->shard_index == 0 || report->shard_index > report->shard_count))
        return fields_wrong(ret_error, "index", "a number from 1 to the count of shards");
    return r;
}

static int read_seed(const json_t *document, struct report *report, struct error **ret_error) {
    const json_t *seed = json_object_get(document, "seed");
    const char *text = json_string_value(seed);
    char *end = NULL;

    if (json_is_null(seed))
        return 0;
    if (!text || text[0] < '0' || text[0] > '9')
        return fields_wrong(ret_error, "seed", "a number in a string, or null");
    errno = 0;
    report->seed = strtoull(text, &end, 10);
    if (errno != 0 || *end)
        return fields_wrong(ret_error, "seed", "a number in a string, or null");
    report->shuffled = true;
    return 0;
}

static int read_head(const json_t *document, struct report *report, struct error **ret_error) {
    uint64_t version = 0;
    uint64_t started_at = 0;
    int r;

    if (!str_equal(json_string_value(json_object_get(document, "format")), REPORT_FORMAT))
        return error_new(ret_error, EBADMSG, "it is not a report of vmtest");
    r = get_number(document, "version", &version, ret_error);
    if (r == 0 && version != REPORT_VERSION)
        return error_new(ret_error, EINVAL,
                         "its format has version %" PRIu64
                         ", and this vmtest knows version %d; use the vmtest that wrote it",
                         version, REPORT_VERSION);
    if (r == 0 && !is_list_hash(json_string_value(json_object_get(document, "list"))))
        return fields_wrong(ret_error, "list", "a hash");
    r = r < 0 ? r : read_shard(document, report, ret_error);
    r = r < 0 ? r : read_seed(document, report, ret_error);
    r = r < 0 ? r : get_unsigned(document, "slots", UINT32_MAX, &report->n_slots, ret_error);
    r = r < 0 ? r : get_number(document, "started_at_usec", &started_at, ret_error);
    if (r < 0)
        return r;
    report->list_hash = xstrdup(json_string_value(json_object_get(document, "list")));
    report->started_at = (int64_t)started_at;
    return 0;
}

/* The exit status and the time are the run's own; a status of success needs that all have passed. */
static int read_summary(const json_t *document, struct report *report, struct error **ret_error) {
    const json_t *from = json_object_get(document, "summary");
    struct run_summary summary = report_count(report);
    unsigned not_passed = 0;
    unsigned status = 0;
    int r = get_number(from, "nsec", &summary.nsec, ret_error);

    r = r < 0 ? r : get_unsigned(from, "not_passed", (unsigned)report->n_entries, &not_passed, ret_error);
    r = r < 0 ? r : get_unsigned(from, "status", 255, &status, ret_error);
    if (r < 0)
        return r;
    if (not_passed > summary.n_not_passed)
        summary.n_not_passed = not_passed; /* under --flaky-fails a verdict does not tell all */
    if (status != 0 || summary.n_not_passed == 0)
        summary.status = (int)status;
    report->summary = summary;
    return 0;
}

/* What was cut off in the middle is a report that is damaged, not another's file. */
static bool begins_as_report(const char *text, size_t size) {
    static const char name[] = "\"" REPORT_FORMAT "\"";

    return text && memmem(text, size < HEAD_MAX ? size : HEAD_MAX, name, strlen(name)) != NULL;
}

int report_parse_json(const char *text, size_t size, struct report **ret_report, struct error **ret_error) {
    _cleanup_report_ struct report *report = xcalloc(1, sizeof(*report));
    json_error_t error;
    _cleanup_json_ json_t *document = json_loadb(text ? text : "", size, JSON_REJECT_DUPLICATES, &error);
    int r;

    if (!document)
        return error_new(ret_error, begins_as_report(text, size) ? EINVAL : EBADMSG, "line %d: it is not JSON",
                         error.line);
    r = read_head(document, report, ret_error);
    r = r < 0 ? r : read_entries(document, report, ret_error);
    r = r < 0 ? r : read_summary(document, report, ret_error);
    if (r == 0)
        *ret_report = TAKE_PTR(report);
    return r;
}

int report_read_json(const char *path, struct report **ret_report, struct error **ret_error) {
    _cleanup_buffer_ struct buffer text = {0};
    int r = file_read(path, FILE_MAX, &text, ret_error);

    if (r < 0)
        return r; /* it names the path */
    r = report_parse_json(text.data, text.size, ret_report, ret_error);
    if (r < 0)
        error_context(ret_error, "%s", path);
    return r;
}
