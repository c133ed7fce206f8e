/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a JSON report back (docs/report-format.md). The file may be anybody's: every member has to be there, of its
 * type and in its range; what is not known is passed over. The summary is counted again, so that no file can claim a
 * better end than its targets had.
 */
#include <inttypes.h>
#include <jansson.h>

#include "base/file.h"
#include "report/formats/report-json.h"
#include "event/ipc.h"

#define FILE_MAX ((size_t)1 << 30)
#define ENTRIES_MAX 1000000U
#define ITEMS_MAX 1000000U
#define SHARDS_MAX 1000000U
/* Bytes at the beginning of a report in which its format is named. */
#define HEAD_MAX 4096U

static void cleanup_json(json_t **json) {
    json_decref(*json);
}
#define _cleanup_json_ _cleanup_(cleanup_json)

static int wrong(struct error **ret_error, const char *key, const char *wanted) {
    return error_new(ret_error, EINVAL, "'%s' is not %s", key, wanted);
}

static int get_string(const json_t *object, const char *key, const char **ret_text, struct error **ret_error) {
    const char *text = json_string_value(json_object_get(object, key));

    if (!text)
        return wrong(ret_error, key, "a string");
    *ret_text = text;
    return 0;
}

static int get_copy(const json_t *object, const char *key, char **ret_text, struct error **ret_error) {
    const char *text = NULL;
    int r = get_string(object, key, &text, ret_error);

    if (r == 0)
        *ret_text = xstrdup(text);
    return r;
}

static int get_number(const json_t *object, const char *key, uint64_t max, uint64_t *ret_number,
                      struct error **ret_error) {
    const json_t *value = json_object_get(object, key);
    json_int_t number = json_integer_value(value);

    if (!json_is_integer(value) || number < 0 || (uint64_t)number > max)
        return wrong(ret_error, key, "a number in its range");
    *ret_number = (uint64_t)number;
    return 0;
}

static int get_unsigned(const json_t *object, const char *key, unsigned max, unsigned *ret_number,
                        struct error **ret_error) {
    uint64_t number = 0;
    int r = get_number(object, key, max, &number, ret_error);

    if (r == 0)
        *ret_number = (unsigned)number;
    return r;
}

static int get_bool(const json_t *object, const char *key, bool *ret_value, struct error **ret_error) {
    const json_t *value = json_object_get(object, key);

    if (!json_is_boolean(value))
        return wrong(ret_error, key, "true or false");
    *ret_value = json_is_true(value);
    return 0;
}

/* The object, or the array of no more than `max` objects, under `key`. */
static int get_object(const json_t *object, const char *key, const json_t **ret_value, struct error **ret_error) {
    const json_t *value = json_object_get(object, key);

    if (!json_is_object(value))
        return wrong(ret_error, key, "an object");
    *ret_value = value;
    return 0;
}

static int get_array(const json_t *object, const char *key, size_t max, const json_t **ret_value,
                     struct error **ret_error) {
    const json_t *value = json_object_get(object, key);
    const json_t *item;
    size_t i;

    if (!json_is_array(value) || json_array_size(value) > max)
        return wrong(ret_error, key, "an array, or is too long");
    json_array_foreach(value, i, item) {
        if (!json_is_object(item))
            return wrong(ret_error, key, "an array of objects");
    }
    *ret_value = value;
    return 0;
}

static int get_verdict(const json_t *object, enum verdict *ret_verdict, struct error **ret_error) {
    const char *text = NULL;
    int r = get_string(object, "verdict", &text, ret_error);

    for (enum verdict verdict = 0; r == 0 && verdict < VERDICT_COUNT; verdict++) {
        if (str_equal(verdict_name(verdict), text)) {
            *ret_verdict = verdict;
            return 0;
        }
    }
    return r < 0 ? r : wrong(ret_error, "verdict", "a verdict that is known");
}

static int get_stage(const json_t *object, enum stage *ret_stage, struct error **ret_error) {
    const char *text = NULL;
    int r = get_string(object, "stage", &text, ret_error);

    for (enum stage stage = 0; r == 0 && stage < STAGE_COUNT; stage++) {
        if (str_equal(stage_name(stage), text)) {
            *ret_stage = stage;
            return 0;
        }
    }
    return r < 0 ? r : wrong(ret_error, "stage", "a stage that is known");
}

static int get_stages(const json_t *object, const char *key, uint64_t *nsec, struct error **ret_error) {
    const json_t *stages = NULL;
    int r = get_object(object, key, &stages, ret_error);

    for (enum stage stage = 0; r == 0 && stage < STAGE_COUNT; stage++)
        r = get_number(stages, stage_name(stage), INT64_MAX, &nsec[stage], ret_error);
    return r;
}

static int read_findings(const json_t *object, struct run_result *result, struct error **ret_error) {
    const json_t *array = NULL;
    int r = get_array(object, "findings", RUN_FINDINGS_MAX, &array, ret_error);

    for (size_t i = 0; r == 0 && i < json_array_size(array); i++) {
        const json_t *item = json_array_get(array, i);
        struct run_finding *finding = &result->findings[result->n_findings++];

        r = get_string(item, "kind", &finding->kind, ret_error);
        r = r < 0 ? r : get_string(item, "title", &finding->title, ret_error);
        r = r < 0 ? r : get_string(item, "text", &finding->text, ret_error);
    }
    return r;
}

static int read_numbers(const json_t *object, struct run_result *result, struct error **ret_error) {
    const json_t *detail = json_object_get(object, "detail");
    const json_t *counts = NULL;
    int r = get_stages(object, "stages_nsec", result->nsec, ret_error);

    if (!json_is_integer(detail) || json_integer_value(detail) < INT32_MIN || json_integer_value(detail) > INT32_MAX)
        return wrong(ret_error, "detail", "a number in its range");
    result->detail = (int)json_integer_value(detail);
    r = r < 0 ? r : get_number(object, "user_usec", INT64_MAX, &result->user_usec, ret_error);
    r = r < 0 ? r : get_number(object, "system_usec", INT64_MAX, &result->system_usec, ret_error);
    r = r < 0 ? r : get_number(object, "max_rss_kib", INT64_MAX, &result->max_rss_kib, ret_error);
    r = r < 0 ? r : get_unsigned(object, "more_findings", UINT32_MAX, &result->n_more_findings, ret_error);
    r = r < 0 ? r : get_object(object, "subresult_counts", &counts, ret_error);
    for (enum subresult_status status = 0; r == 0 && status < SUBRESULT_COUNT; status++)
        r = get_unsigned(counts, subresult_status_name(status), UINT32_MAX, &result->n_subresults[status], ret_error);
    return r;
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
    const json_t *from = NULL;
    int r = get_object(object, "result", &from, ret_error);

    r = r < 0 ? r : get_verdict(from, &result.verdict, ret_error);
    r = r < 0 ? r : get_stage(from, &result.stage, ret_error);
    r = r < 0 ? r : get_string(from, "reason", &result.reason, ret_error);
    r = r < 0 ? r : get_string(from, "accel", &result.accel, ret_error);
    r = r < 0 ? r : get_string(from, "kernel", &result.kernel_release, ret_error);
    r = r < 0 ? r : get_string(from, "kernel_xxh128", &result.kernel_hash, ret_error);
    r = r < 0 ? r : get_string(from, "qemu", &result.qemu_version, ret_error);
    r = r < 0 ? r : get_string(from, "tasks", &result.tasks, ret_error);
    r = r < 0 ? r : read_numbers(from, &result, ret_error);
    r = r < 0 ? r : read_findings(from, &result, ret_error);
    if (r == 0)
        keep_result(entry, &result);
    return r;
}

static int read_axes(const json_t *object, struct report_entry *entry, struct error **ret_error) {
    const json_t *array = NULL;
    int r = get_array(object, "axes", ITEMS_MAX, &array, ret_error);

    entry->axes = xcalloc(json_array_size(array) + 1, sizeof(*entry->axes));
    for (size_t i = 0; r == 0 && i < json_array_size(array); i++) {
        struct report_axis *axis = &entry->axes[entry->n_axes++];

        r = get_copy(json_array_get(array, i), "name", &axis->name, ret_error);
        r = r < 0 ? r : get_copy(json_array_get(array, i), "value", &axis->value, ret_error);
    }
    return r;
}

static int read_attempts(const json_t *object, struct report_entry *entry, struct error **ret_error) {
    const json_t *array = NULL;
    int r = get_array(object, "attempts", ITEMS_MAX, &array, ret_error);

    entry->attempts = xcalloc(json_array_size(array) + 1, sizeof(*entry->attempts));
    for (size_t i = 0; r == 0 && i < json_array_size(array); i++) {
        const json_t *item = json_array_get(array, i);
        struct report_attempt *attempt = &entry->attempts[entry->n_attempts++];

        r = get_verdict(item, &attempt->verdict, ret_error);
        r = r < 0 ? r : get_copy(item, "reason", &attempt->reason, ret_error);
        r = r < 0 ? r : get_number(item, "start_nsec", INT64_MAX, &attempt->start_nsec, ret_error);
        r = r < 0 ? r : get_number(item, "end_nsec", INT64_MAX, &attempt->end_nsec, ret_error);
    }
    return r;
}

static int get_subresult_status(const json_t *object, enum subresult_status *ret_status, struct error **ret_error) {
    const char *text = NULL;
    int r = get_string(object, "status", &text, ret_error);

    for (enum subresult_status status = 0; r == 0 && status < SUBRESULT_COUNT; status++) {
        if (str_equal(subresult_status_name(status), text)) {
            *ret_status = status;
            return 0;
        }
    }
    return r < 0 ? r : wrong(ret_error, "status", "pass, fail, skip or todo");
}

static int read_subresults(const json_t *object, struct report_entry *entry, struct error **ret_error) {
    const json_t *array = NULL;
    int r = get_array(object, "subresults", ITEMS_MAX, &array, ret_error);

    entry->subresults = xcalloc(json_array_size(array) + 1, sizeof(*entry->subresults));
    for (size_t i = 0; r == 0 && i < json_array_size(array); i++) {
        const json_t *item = json_array_get(array, i);
        struct report_subresult *subresult = &entry->subresults[entry->n_subresults++];

        r = get_subresult_status(item, &subresult->status, ret_error);
        r = r < 0 ? r : get_copy(item, "name", &subresult->name, ret_error);
        r = r < 0 ? r : get_copy(item, "message", &subresult->message, ret_error);
        r = r < 0 ? r : get_copy(item, "output", &subresult->output, ret_error);
        r = r < 0 ? r : get_number(item, "nsec", INT64_MAX, &subresult->nsec, ret_error);
    }
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
    int r = get_copy(object, "name", &entry->name, ret_error);

    r = r < 0 ? r : get_copy(object, "target", &entry->target, ret_error);
    r = r < 0 ? r : get_copy(object, "console", &entry->console, ret_error);
    r = r < 0 ? r : get_copy(object, "output", &entry->output, ret_error);
    r = r < 0 ? r : get_copy(object, "again", &entry->again, ret_error);
    r = r < 0 ? r : get_copy(object, "artifacts", &entry->artifacts, ret_error);
    r = r < 0 ? r : get_unsigned(object, "slot", UINT32_MAX, &entry->slot, ret_error);
    r = r < 0 ? r : get_unsigned(object, "shard", SHARDS_MAX, &entry->shard, ret_error);
    r = r < 0 ? r : get_number(object, "start_nsec", INT64_MAX, &entry->start_nsec, ret_error);
    r = r < 0 ? r : get_number(object, "end_nsec", INT64_MAX, &entry->end_nsec, ret_error);
    r = r < 0 ? r : get_stages(object, "stage_starts_nsec", entry->stage_start_nsec, ret_error);
    r = r < 0 ? r : get_bool(object, "from_template", &entry->from_template, ret_error);
    r = r < 0 ? r : get_bool(object, "finished", &entry->finished, ret_error);
    r = r < 0 ? r : read_axes(object, entry, ret_error);
    r = r < 0 ? r : read_attempts(object, entry, ret_error);
    r = r < 0 ? r : read_subresults(object, entry, ret_error);
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
    const json_t *array = NULL;
    int r = get_array(document, "targets", ENTRIES_MAX, &array, ret_error);

    if (r < 0)
        return r;
    report->entries = xcalloc(json_array_size(array) + 1, sizeof(*report->entries));
    for (size_t i = 0; i < json_array_size(array); i++) {
        report->n_entries = i + 1;
        r = read_entry(json_array_get(array, i), report, &report->entries[i], ret_error);
        if (r < 0) {
            error_context(ret_error, "target %zu", i + 1);
            return r;
        }
    }
    return check_names(report, ret_error);
}

static bool is_list_hash(const char *text) {
    size_t length = strlen(text);

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
    r = get_object(document, "shard", &shard, ret_error);
    r = r < 0 ? r : get_unsigned(shard, "count", SHARDS_MAX, &report->shard_count, ret_error);
    r = r < 0 ? r : get_unsigned(shard, "index", SHARDS_MAX, &report->shard_index, ret_error);
    if (r == 0 && (report->shard_index == 0 || report->shard_index > report->shard_count))
        return wrong(ret_error, "index", "a number from 1 to the count of shards");
    return r;
}

static int read_seed(const json_t *document, struct report *report, struct error **ret_error) {
    const json_t *seed = json_object_get(document, "seed");
    const char *text = json_string_value(seed);
    char *end = NULL;

    if (json_is_null(seed))
        return 0;
    if (!text || text[0] < '0' || text[0] > '9')
        return wrong(ret_error, "seed", "a number in a string, or null");
    errno = 0;
    report->seed = strtoull(text, &end, 10);
    if (errno != 0 || *end)
        return wrong(ret_error, "seed", "a number in a string, or null");
    report->shuffled = true;
    return 0;
}

static int read_head(const json_t *document, struct report *report, struct error **ret_error) {
    uint64_t version = 0;
    uint64_t started_at = 0;
    const json_t *summary = NULL;
    int r;

    if (!str_equal(json_string_value(json_object_get(document, "format")), REPORT_FORMAT))
        return error_new(ret_error, EBADMSG, "it is not a report of vmtest");
    r = get_number(document, "version", INT64_MAX, &version, ret_error);
    if (r == 0 && version != REPORT_VERSION)
        return error_new(ret_error, EINVAL,
                         "its format has version %" PRIu64
                         ", and this vmtest knows version %d; use the vmtest that wrote it",
                         version, REPORT_VERSION);
    r = r < 0 ? r : get_copy(document, "list", &report->list_hash, ret_error);
    if (r == 0 && !is_list_hash(report->list_hash))
        return wrong(ret_error, "list", "a hash");
    r = r < 0 ? r : read_shard(document, report, ret_error);
    r = r < 0 ? r : read_seed(document, report, ret_error);
    r = r < 0 ? r : get_unsigned(document, "slots", UINT32_MAX, &report->n_slots, ret_error);
    r = r < 0 ? r : get_number(document, "started_at_usec", INT64_MAX, &started_at, ret_error);
    r = r < 0 ? r : get_object(document, "summary", &summary, ret_error);
    report->started_at = (int64_t)started_at;
    return r;
}

/* The exit status and the time are the run's own; a status of success needs that all have passed. */
static int read_summary(const json_t *document, struct report *report, struct error **ret_error) {
    const json_t *from = json_object_get(document, "summary");
    struct run_summary summary = report_count(report);
    unsigned not_passed = 0;
    unsigned status = 0;
    int r = get_number(from, "nsec", INT64_MAX, &summary.nsec, ret_error);

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
