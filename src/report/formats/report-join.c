/* SPDX-License-Identifier: Apache-2.0 */
#include "report/formats/report-join.h"

#include <inttypes.h>

#include "report/formats/report-json.h"

#define LIST_HASH_LENGTH 32
#define NSEC_PER_USEC 1000

static int compare_inputs(const void *a, const void *b) {
    const struct report *left = ((const struct join_input *)a)->report;
    const struct report *right = ((const struct join_input *)b)->report;

    if (left->shard_index != right->shard_index)
        return left->shard_index < right->shard_index ? -1 : 1;
    if (left->started_at != right->started_at)
        return left->started_at < right->started_at ? -1 : 1;
    return strcmp(((const struct join_input *)a)->path, ((const struct join_input *)b)->path);
}

static bool has_verdict(const struct report_entry *entry) {
    return entry->finished && entry->result.verdict != VERDICT_CANCELLED && entry->result.verdict != VERDICT_SKIPPED;
}

/* The run was stopped or killed: a target has no verdict of its own. */
static bool was_interrupted(const struct report *report) {
    for (size_t i = 0; i < report->n_entries; i++) {
        if (!report->entries[i].finished || report->entries[i].result.verdict == VERDICT_CANCELLED)
            return true;
    }
    return false;
}

/* Whether it knows of a failure: of a target, or of an attempt that none came to a verdict behind. */
static bool has_failure(const struct report *report) {
    for (size_t i = 0; i < report->n_entries; i++) {
        const struct report_entry *entry = &report->entries[i];

        if (has_verdict(entry) ? !verdict_passed(entry->result.verdict) : entry->n_attempts > 0)
            return true;
    }
    return false;
}

static void check_identity(const struct join_input *first, const struct join_input *other, struct strv *problems) {
    const char *list = first->report->list_hash;
    const char *others = other->report->list_hash;

    if (strncmp(list, others, LIST_HASH_LENGTH) != 0)
        strv_append_printf(problems,
                           "%s and %s are not of the same list: the targets, what they run, or how often differ",
                           first->path, other->path);
    else if (!str_equal(list, others))
        strv_append_printf(problems, "%s and %s were not split by the same --timings", first->path, other->path);
    if (first->report->shard_count != other->report->shard_count)
        strv_append_printf(problems, "%s is of %u shards, %s of %u", first->path, first->report->shard_count,
                           other->path, other->report->shard_count);
}

static void check_one(const struct join_input *input, struct strv *problems) {
    const struct report *report = input->report;

    if (str_empty(report->list_hash))
        strv_append_printf(problems, "%s does not say of which list it is", input->path);
    if (report->shard_count == 0)
        strv_append_printf(problems, "%s is of a run without --shard", input->path);
    if (report->summary.status != 0 && report->summary.n_not_passed == 0)
        strv_append_printf(problems, "%s: the run had exit status %d, though all of its targets passed", input->path,
                           report->summary.status);
}

/*
 * Of the `count` reports of one shard, sorted by their start: the only complete one if it is the last, so that the
 * others are of runs that were stopped and begun again; else NULL, since nothing tells which of them counts. One that
 * knows of a failure is not set aside, interrupted or not.
 */
static const struct join_input *choose(const struct join_input *inputs, size_t count) {
    for (size_t i = 0; i + 1 < count; i++) {
        if (!was_interrupted(inputs[i].report) || has_failure(inputs[i].report))
            return NULL;
    }
    if (count > 1 && (was_interrupted(inputs[count - 1].report) ||
                      inputs[count - 1].report->started_at == inputs[count - 2].report->started_at))
        return NULL;
    return &inputs[count - 1];
}

static void check_missing(unsigned from, unsigned to, unsigned count, struct strv *problems) {
    if (from + 1 == to)
        strv_append_printf(problems, "shard %u of %u is missing", from, count);
    else if (from < to)
        strv_append_printf(problems, "shards %u to %u of %u are missing", from, to - 1, count);
}

static void swap_inputs(struct join_input *a, struct join_input *b) {
    struct join_input kept = *a;

    *a = *b;
    *b = kept;
}

/* One report for each shard to the front. */
static size_t check_doubled(struct join_input *inputs, size_t count, struct strv *problems, struct strv *notes) {
    size_t n = 0;

    for (size_t i = 0, next; i < count; i = next) {
        const struct join_input *chosen;

        for (next = i; next < count && inputs[next].report->shard_index == inputs[i].report->shard_index;)
            next++;
        chosen = choose(inputs + i, next - i);
        if (!chosen)
            strv_append_printf(problems, "shard %u is there twice: %s and %s", inputs[i].report->shard_index,
                               inputs[i].path, inputs[i + 1].path);
        else if (next - i > 1)
            strv_append_printf(notes, "shard %u was interrupted and ran again: %s counts, %s does not",
                               chosen->report->shard_index, chosen->path, inputs[i].path);
        swap_inputs(&inputs[n++], &inputs[next - 1]);
    }
    return n;
}

static const char **sorted_names(const struct join_input *inputs, size_t count, size_t *ret_count);

static void check_names(const struct join_input *inputs, size_t count, struct strv *problems) {
    size_t n = 0;
    _cleanup_free_ const char **names = sorted_names(inputs, count, &n);

    for (size_t i = 1; i < n; i++) {
        if (str_equal(names[i - 1], names[i]))
            strv_append_printf(problems, "the target '%s' is in two shards", names[i]);
    }
    if (n == 0)
        strv_append(problems, "no shard has run any target");
}

size_t join_check(struct join_input *inputs, size_t count, struct strv *problems, struct strv *notes) {
    unsigned expected = 1;
    unsigned shard_count;
    size_t n_problems;

    if (count == 0) {
        strv_append(problems, "there is no report");
        return 0;
    }
    qsort(inputs, count, sizeof(*inputs), compare_inputs);
    n_problems = problems->count;
    for (size_t i = 0; i < count; i++) {
        check_one(&inputs[i], problems);
        if (i > 0 && inputs[i].report->shard_count > 0 && inputs[0].report->shard_count > 0)
            check_identity(&inputs[0], &inputs[i], problems);
    }
    /* Numbers of shards of different runs say nothing about each other. */
    if (problems->count > n_problems)
        return count;
    shard_count = inputs[0].report->shard_count;
    count = check_doubled(inputs, count, problems, notes);
    for (size_t i = 0; i < count; i++) {
        check_missing(expected, inputs[i].report->shard_index, shard_count, problems);
        expected = inputs[i].report->shard_index + 1;
    }
    check_missing(expected, shard_count + 1, shard_count, problems);
    if (problems->count == n_problems)
        check_names(inputs, count, problems);
    return count;
}

static const char **sorted_names(const struct join_input *inputs, size_t count, size_t *ret_count) {
    const char **names = NULL;
    size_t n = 0;

    for (size_t i = 0; i < count; i++)
        n += inputs[i].report->n_entries;
    names = xcalloc(n + 1, sizeof(*names));
    n = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < inputs[i].report->n_entries; j++)
            names[n++] = inputs[i].report->entries[j].name;
    }
    qsort(names, n, sizeof(*names), str_compare);
    *ret_count = n;
    return names;
}

/* As globs of a matrix expand: 6.6 in front of 6.12. */
static int compare_entries(const void *a, const void *b) {
    const char *left = ((const struct report_entry *)a)->name;
    const char *right = ((const struct report_entry *)b)->name;
    int order = strverscmp(left, right);

    return order != 0 ? order : strcmp(left, right);
}

static void shift(uint64_t *nsec, uint64_t by) {
    if (__builtin_add_overflow(*nsec, by, nsec) || *nsec > INT64_MAX)
        *nsec = INT64_MAX;
}

/* A time of 0 says that something was not reached, but at the start of a target that ended. */
static void shift_entry(struct report_entry *entry, uint64_t by) {
    if (entry->end_nsec == 0)
        return;
    shift(&entry->start_nsec, by);
    shift(&entry->end_nsec, by);
    for (enum stage stage = 0; stage < STAGE_COUNT; stage++) {
        if (entry->stage_start_nsec[stage] > 0)
            shift(&entry->stage_start_nsec[stage], by);
    }
    for (size_t i = 0; i < entry->n_attempts; i++) {
        shift(&entry->attempts[i].start_nsec, by);
        shift(&entry->attempts[i].end_nsec, by);
    }
}

static uint64_t delay(const struct report *joined, const struct report *report) {
    uint64_t usec = (uint64_t)report->started_at - (uint64_t)joined->started_at;
    uint64_t nsec;

    return __builtin_mul_overflow(usec, NSEC_PER_USEC, &nsec) ? INT64_MAX : nsec;
}

static void take_entries(struct report *joined, struct report *report) {
    uint64_t by = delay(joined, report);

    for (size_t i = 0; i < report->n_entries; i++) {
        struct report_entry *entry = &joined->entries[joined->n_entries++];

        *entry = report->entries[i];
        shift_entry(entry, by);
        entry->slot = joined->n_slots + (entry->slot < report->n_slots ? entry->slot : 0);
    }
    joined->n_slots += report->n_slots;
    report->n_entries = 0;
}

struct report *join_reports(struct join_input *inputs, size_t count) {
    struct report *joined = xcalloc(1, sizeof(*joined));
    unsigned n_not_passed = 0;
    uint64_t end = 0;
    size_t n = 0;

    joined->list_hash = xstrdup(inputs[0].report->list_hash);
    joined->started_at = inputs[0].report->started_at;
    for (size_t i = 0; i < count; i++) {
        n += inputs[i].report->n_entries;
        n_not_passed += inputs[i].report->summary.n_not_passed;
        if (inputs[i].report->started_at < joined->started_at)
            joined->started_at = inputs[i].report->started_at;
    }
    joined->entries = xcalloc(n + 1, sizeof(*joined->entries));
    for (size_t i = 0; i < count; i++) {
        uint64_t shard_end = inputs[i].report->summary.nsec;

        shift(&shard_end, delay(joined, inputs[i].report));
        end = shard_end > end ? shard_end : end;
        take_entries(joined, inputs[i].report);
    }
    qsort(joined->entries, joined->n_entries, sizeof(*joined->entries), compare_entries);
    joined->summary = report_count(joined);
    joined->summary.n_not_passed = n_not_passed; /* a shard may know better: see report_read_json() */
    joined->summary.status = verdict_exit_status_of_many(n_not_passed);
    joined->summary.nsec = end;
    return joined;
}
