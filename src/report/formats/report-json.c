/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON report, as docs/report-format.md describes it: a report and all that is in it, so that the shards of a run
 * can be joined and a run can be split by the times of an earlier one. report-reader.c reads it back. It is pure ASCII:
 * what the guest printed cannot confuse a terminal on which somebody looks at the file.
 */
#include <inttypes.h>
#include <jansson.h>

#include "report/formats/report-json.h"
#include "report/report.h"
#include "report/result.h"

#define DUMP_FLAGS (JSON_INDENT(1) | JSON_ENSURE_ASCII)

static void set(json_t *object, const char *key, json_t *value) {
    if (json_object_set_new(object, key, value) < 0)
        abort(); /* out of memory, as base/str.h does it */
}

static void set_text(json_t *object, const char *key, const char *text) {
    set(object, key, json_lossy_string(text));
}

/* JSON's integers are signed here. */
static void set_number(json_t *object, const char *key, uint64_t number) {
    set(object, key, json_integer(number > INT64_MAX ? INT64_MAX : (json_int_t)number));
}

static void append(json_t *array, json_t *value) {
    if (json_array_append_new(array, value) < 0)
        abort();
}

static json_t *stages_json(const uint64_t *nsec) {
    json_t *object = json_object();

    for (enum stage stage = 0; stage < STAGE_COUNT; stage++)
        set_number(object, stage_name(stage), nsec[stage]);
    return object;
}

static json_t *findings_json(const struct run_result *result) {
    json_t *array = json_array();

    for (size_t i = 0; i < result->n_findings; i++) {
        json_t *finding = json_object();

        set_text(finding, "kind", result->findings[i].kind);
        set_text(finding, "title", result->findings[i].title);
        set_text(finding, "text", result->findings[i].text);
        append(array, finding);
    }
    return array;
}

static json_t *result_json(const struct run_result *result) {
    json_t *object = json_object();
    json_t *counts = json_object();

    for (enum subresult_status status = 0; status < SUBRESULT_COUNT; status++)
        set_number(counts, subresult_status_name(status), result->n_subresults[status]);
    set_text(object, "verdict", verdict_name(result->verdict));
    set(object, "detail", json_integer(result->detail));
    set(object, "status", json_integer(verdict_exit_status(result->verdict, result->detail)));
    set_text(object, "reason", result->reason);
    set_text(object, "stage", stage_name(result->stage));
    set(object, "stages_nsec", stages_json(result->nsec));
    set_text(object, "accel", result->accel);
    set_text(object, "kernel", result->kernel_release);
    set_text(object, "kernel_xxh128", result->kernel_hash);
    set_text(object, "qemu", result->qemu_version);
    set_number(object, "user_usec", result->user_usec);
    set_number(object, "system_usec", result->system_usec);
    set_number(object, "max_rss_kib", result->max_rss_kib);
    set(object, "findings", findings_json(result));
    set_number(object, "more_findings", result->n_more_findings);
    set(object, "subresult_counts", counts);
    set_text(object, "tasks", result->tasks);
    return object;
}

static json_t *axes_json(const struct report_entry *entry) {
    json_t *array = json_array();

    for (size_t i = 0; i < entry->n_axes; i++) {
        json_t *axis = json_object();

        set_text(axis, "name", entry->axes[i].name);
        set_text(axis, "value", entry->axes[i].value);
        append(array, axis);
    }
    return array;
}

static json_t *attempts_json(const struct report_entry *entry) {
    json_t *array = json_array();

    for (size_t i = 0; i < entry->n_attempts; i++) {
        json_t *attempt = json_object();

        set_text(attempt, "verdict", verdict_name(entry->attempts[i].verdict));
        set_text(attempt, "reason", entry->attempts[i].reason);
        set_number(attempt, "start_nsec", entry->attempts[i].start_nsec);
        set_number(attempt, "end_nsec", entry->attempts[i].end_nsec);
        append(array, attempt);
    }
    return array;
}

static json_t *subresults_json(const struct report_entry *entry) {
    json_t *array = json_array();

    for (size_t i = 0; i < entry->n_subresults; i++) {
        json_t *subresult = json_object();

        set_text(subresult, "name", entry->subresults[i].name);
        set_text(subresult, "status", subresult_status_name(entry->subresults[i].status));
        set_text(subresult, "message", entry->subresults[i].message);
        set_text(subresult, "output", entry->subresults[i].output);
        set_number(subresult, "nsec", entry->subresults[i].nsec);
        append(array, subresult);
    }
    return array;
}

static json_t *entry_json(const struct report_entry *entry) {
    json_t *object = json_object();

    set_text(object, "name", entry->name);
    set_text(object, "target", entry->target);
    set(object, "axes", axes_json(entry));
    set_number(object, "slot", entry->slot);
    set_number(object, "shard", entry->shard);
    set_number(object, "start_nsec", entry->start_nsec);
    set_number(object, "end_nsec", entry->end_nsec);
    set(object, "stage_starts_nsec", stages_json(entry->stage_start_nsec));
    set(object, "from_template", json_boolean(entry->from_template));
    set(object, "attempts", attempts_json(entry));
    set(object, "finished", json_boolean(entry->finished));
    set(object, "result", entry->finished ? result_json(&entry->result) : json_null());
    set(object, "subresults", subresults_json(entry));
    set_text(object, "console", entry->console);
    set_text(object, "output", entry->output);
    set_text(object, "again", entry->again);
    set_text(object, "artifacts", entry->artifacts);
    return object;
}

static json_t *summary_json(const struct run_summary *summary) {
    json_t *object = json_object();
    json_t *counts = json_object();

    for (enum verdict verdict = 0; verdict < VERDICT_COUNT; verdict++)
        set_number(counts, verdict_name(verdict), summary->n_of[verdict]);
    set_number(object, "targets", summary->n_targets);
    set(object, "verdicts", counts);
    set_number(object, "not_passed", summary->n_not_passed);
    set(object, "status", json_integer(summary->status));
    set_number(object, "nsec", summary->nsec);
    return object;
}

static json_t *shard_json(const struct report *report) {
    json_t *shard = NULL;

    if (report->shard_count == 0)
        return json_null();
    shard = json_object();
    set_number(shard, "index", report->shard_index);
    set_number(shard, "count", report->shard_count);
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
        append(entries, entry_json(&report->entries[i]));
    set_text(document, "format", REPORT_FORMAT);
    set_number(document, "version", REPORT_VERSION);
    set_text(document, "list", report->list_hash);
    set(document, "shard", shard_json(report));
    set(document, "seed", seed ? json_string(seed) : json_null());
    set_number(document, "slots", report->n_slots);
    set(document, "started_at_usec", json_integer(report->started_at));
    set(document, "summary", summary_json(&report->summary));
    set(document, "targets", entries);
    if (json_dump_callback(document, append_piece, out, DUMP_FLAGS) < 0)
        abort(); /* out of memory: every string was made valid before */
    buffer_append_string(out, "\n");
    json_decref(document);
}
