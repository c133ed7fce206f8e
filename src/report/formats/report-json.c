/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON report, as docs/report-format.md describes it: a report and all that is in it, so that the shards of a run
 * can be joined and a run can be split by the times of an earlier one. report-reader.c reads it back. It is pure ASCII:
 * what the guest printed cannot confuse a terminal on which somebody looks at the file.
 */
#include <assert.h>
#include <inttypes.h>

#include "report/formats/report-json.h"
#include "report/report.h"
#include "report/result.h"

#define DUMP_FLAGS (JSON_INDENT(1) | JSON_ENSURE_ASCII)

static const char *verdict_of(unsigned value) {
    return verdict_name((enum verdict)value);
}

static const char *stage_of(unsigned value) {
    return stage_name((enum stage)value);
}

static const char *subresult_status_of(unsigned value) {
    return subresult_status_name((enum subresult_status)value);
}

static const struct field_names verdicts = {verdict_of, VERDICT_COUNT, "a verdict that is known"};
static const struct field_names stages = {stage_of, STAGE_COUNT, "a stage that is known"};
static const struct field_names statuses = {subresult_status_of, SUBRESULT_COUNT, "pass, fail, skip or todo"};
static_assert(sizeof(enum verdict) == sizeof(unsigned) && sizeof(enum stage) == sizeof(unsigned) &&
                  sizeof(enum subresult_status) == sizeof(unsigned),
              "an enum is read and written as an unsigned");

/* clang-format off */
#define AT(member) offsetof(struct STRUCT, member)
#define TEXT(key, member) {key, FIELD_TEXT, AT(member)}
#define BORROWED(key, member) {key, FIELD_TEXT, AT(member), .borrowed = true}
#define NUMBER(key, member) {key, FIELD_NUMBER, AT(member), .max = INT64_MAX}
#define UNSIGNED(key, member, limit) {key, FIELD_UNSIGNED, AT(member), .max = (limit)}
#define FLAG(key, member) {key, FIELD_BOOL, AT(member)}
#define NAME(key, member, of) {key, FIELD_NAME, AT(member), .names = &(of)}
#define NUMBERS(key, member, of) {key, FIELD_NUMBERS, AT(member), .names = &(of)}
#define OBJECTS(key, member, table, limit) \
    {key, FIELD_OBJECTS, AT(member), .max = (limit), .item = (table), \
     .item_size = sizeof(*((struct STRUCT *)NULL)->member), .count_offset = AT(n_##member)}

#define STRUCT run_finding
static const struct field finding_fields[] = {
    BORROWED("kind", kind), BORROWED("title", title), BORROWED("text", text), {NULL},
};
#undef STRUCT

#define STRUCT run_result
const struct field report_result_fields[] = {
    NAME("verdict", verdict, verdicts),
    {"detail", FIELD_INT, AT(detail)},
    BORROWED("reason", reason),
    NAME("stage", stage, stages),
    NUMBERS("stages_nsec", nsec, stages),
    BORROWED("accel", accel),
    BORROWED("kernel", kernel_release),
    BORROWED("kernel_xxh128", kernel_hash),
    BORROWED("qemu", qemu_version),
    NUMBER("user_usec", user_usec),
    NUMBER("system_usec", system_usec),
    NUMBER("max_rss_kib", max_rss_kib),
    {"findings", FIELD_OBJECTS, AT(findings), .borrowed = true, .max = RUN_FINDINGS_MAX, .item = finding_fields,
     .item_size = sizeof(struct run_finding), .count_offset = AT(n_findings)},
    UNSIGNED("more_findings", n_more_findings, UINT32_MAX),
    {"subresult_counts", FIELD_UNSIGNEDS, AT(n_subresults), .names = &statuses},
    BORROWED("tasks", tasks),
    {NULL},
};
#undef STRUCT

#define STRUCT report_axis
static const struct field axis_fields[] = {TEXT("name", name), TEXT("value", value), {NULL}};
#undef STRUCT

#define STRUCT report_attempt
static const struct field attempt_fields[] = {
    NAME("verdict", verdict, verdicts), TEXT("reason", reason), NUMBER("start_nsec", start_nsec),
    NUMBER("end_nsec", end_nsec), {NULL},
};
#undef STRUCT

#define STRUCT report_subresult
static const struct field subresult_fields[] = {
    TEXT("name", name), NAME("status", status, statuses), TEXT("message", message), TEXT("output", output),
    NUMBER("nsec", nsec), {NULL},
};
#undef STRUCT

#define STRUCT report_entry
const struct field report_entry_fields[] = {
    TEXT("name", name),
    TEXT("target", target),
    OBJECTS("axes", axes, axis_fields, REPORT_ITEMS_MAX),
    UNSIGNED("slot", slot, UINT32_MAX),
    UNSIGNED("shard", shard, REPORT_ITEMS_MAX),
    NUMBER("start_nsec", start_nsec),
    NUMBER("end_nsec", end_nsec),
    NUMBERS("stage_starts_nsec", stage_start_nsec, stages),
    FLAG("from_template", from_template),
    OBJECTS("attempts", attempts, attempt_fields, REPORT_ITEMS_MAX),
    FLAG("finished", finished),
    OBJECTS("subresults", subresults, subresult_fields, REPORT_ITEMS_MAX),
    TEXT("console", console),
    TEXT("output", output),
    TEXT("again", again),
    TEXT("artifacts", artifacts),
    {NULL},
};
#undef STRUCT

#define STRUCT run_summary
static const struct field summary_fields[] = {
    UNSIGNED("targets", n_targets, UINT32_MAX),
    {"verdicts", FIELD_UNSIGNEDS, AT(n_of), .names = &verdicts},
    UNSIGNED("not_passed", n_not_passed, UINT32_MAX),
    {"status", FIELD_INT, AT(status)},
    NUMBER("nsec", nsec),
    {NULL},
};
#undef STRUCT
/* clang-format on */

static json_t *entry_json(const struct report_entry *entry) {
    const struct run_result *result = &entry->result;
    json_t *object = fields_to_json(report_entry_fields, entry);
    json_t *of_result = entry->finished ? fields_to_json(report_result_fields, result) : json_null();

    if (entry->finished)
        fields_add(of_result, "status", json_integer(verdict_exit_status(result->verdict, result->detail)));
    fields_add(object, "result", of_result);
    return object;
}

static json_t *shard_json(const struct report *report) {
    json_t *shard = NULL;

    if (report->shard_count == 0)
        return json_null();
    shard = json_object();
    fields_add(shard, "index", json_integer(report->shard_index));
    fields_add(shard, "count", json_integer(report->shard_count));
    return shard;
}

static int append_piece(const char *data, size_t size, void *buffer) {
    buffer_append(buffer, data, size);
    return 0;
}

void report_write_json(const struct report *report, struct buffer *out) {
    json_t *document = json_object();
    json_t *entries = json_array();
    /* 64 bits do not fit into the numbers of every reader of JSON. */
    _cleanup_free_ char *seed = report->shuffled ? xasprintf("%" PRIu64, report->seed) : NULL;

    for (size_t i = 0; i < report->n_entries; i++)
        (void)json_array_append_new(entries, entry_json(&report->entries[i]));
    fields_add(document, "format", json_string(REPORT_FORMAT));
    fields_add(document, "version", json_integer(REPORT_VERSION));
    fields_add(document, "list", json_lossy_string(report->list_hash));
    fields_add(document, "shard", shard_json(report));
    fields_add(document, "seed", seed ? json_string(seed) : json_null());
    fields_add(document, "slots", json_integer(report->n_slots));
    fields_add(document, "started_at_usec", json_integer(report->started_at));
    fields_add(document, "summary", fields_to_json(summary_fields, &report->summary));
    fields_add(document, "targets", entries);
    if (json_dump_callback(document, append_piece, out, DUMP_FLAGS) < 0)
        abort(); /* out of memory: every string was made valid before */
    buffer_append_string(out, "\n");
    json_decref(document);
}
