/* SPDX-License-Identifier: Apache-2.0 */
#include "report/report.h"

struct report *report_new(const struct run_plan *plan) {
    struct report *report = xcalloc(1, sizeof(*report));

    *report = (struct report){
        .list_hash = xstrdup(plan->list_hash ? plan->list_hash : ""),
        .shard_index = plan->shard_index,
        .shard_count = plan->shard_count,
        .shuffled = plan->shuffled,
        .seed = plan->seed,
        .n_slots = plan->n_slots,
        .started_at = plan->started_at,
    };
    return report;
}

static void entry_deinit(struct report_entry *entry) {
    for (size_t i = 0; i < entry->n_axes; i++) {
        free(entry->axes[i].name);
        free(entry->axes[i].value);
    }
    for (size_t i = 0; i < entry->n_attempts; i++)
        free(entry->attempts[i].reason);
    for (size_t i = 0; i < entry->n_subresults; i++) {
        free(entry->subresults[i].name);
        free(entry->subresults[i].message);
        free(entry->subresults[i].output);
    }
    free(entry->name);
    free(entry->target);
    free(entry->axes);
    free(entry->attempts);
    free(entry->subresults);
    buffer_deinit(&entry->record);
    free(entry->console);
    free(entry->output);
    free(entry->again);
    free(entry->artifacts);
}

void report_free(struct report *report) {
    if (!report)
        return;
    for (size_t i = 0; i < report->n_entries; i++)
        entry_deinit(&report->entries[i]);
    free(report->entries);
    free(report->list_hash);
    free(report);
}
