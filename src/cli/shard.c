/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The split of a list. Targets go round the shards in the order of their names, so that neighbours, which are alike and
 * take alike long, are spread; or, with the times of an earlier run, the longest first to the shard that has least to
 * do. Either way it depends on the list, the count and the times alone, so that shards that never hear of each other
 * agree.
 */
#include "cli/shard.h"

#include <ctype.h>
#include <inttypes.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/file.h"

/* A target of the list, with all of its jobs. */
struct part {
    const char *name;
    uint64_t weight;
    unsigned shard; /* from 0 */
};

int shard_of_options(const struct options *options, struct shard *ret_shard, struct error **ret_error) {
    if (options->shard)
        return shard_parse(options->shard, environ, ret_shard, ret_error);
    if (options->timings)
        return error_new(ret_error, EINVAL, "option '--timings' needs --shard");
    *ret_shard = (struct shard){0};
    return 0;
}

/* A string and its end, so that no two lists give the same bytes. */
static void put_string(struct buffer *out, const char *text) {
    buffer_append(out, text ? text : "\1", strlen(text ? text : "\1") + 1);
}

static void put_number(struct buffer *out, uint64_t number) {
    buffer_printf(out, "%" PRIu64, number);
    buffer_append(out, "", 1);
}

/* As it is seen from the directory of the configuration, so that two checkouts agree. */
static void put_path(struct buffer *out, const struct target *target, const char *path) {
    bool below = path && target->share && path_is_below(path, target->share);

    put_string(out, below ? path + strlen(target->share) : path);
}

/* Whether a slash behind this character belongs to the path that the character stands in. */
static bool goes_on(char c) {
    return isalnum((unsigned char)c) || (c != '\0' && strchr("._-+~@", c));
}

/*
 * The same of a text in which such paths may stand: a command into which a placeholder was put. Not for names: the
 * split is by them, as they are.
 */
static void put_text(struct buffer *out, const struct target *target, const char *text) {
    size_t length = strlen(target->share ? target->share : "");
    const char *from = text; /* what has not been put */
    const char *at = text;

    while (at && length > 1 && (at = strstr(at, target->share)) != NULL) {
        const char *end = at + length;

        if ((at == text || !goes_on(at[-1])) && (*end == '/' || *end == '\0')) {
            buffer_append(out, from, (size_t)(at - from));
            from = end;
        }
        at = end;
    }
    put_string(out, from);
}

static void put_texts(struct buffer *out, const struct target *target, const struct strv *texts) {
    put_number(out, texts->count);
    for (size_t i = 0; i < texts->count; i++)
        put_text(out, target, texts->items[i]);
}

static void put_target(struct buffer *out, const struct target *target) {
    put_string(out, target->name);
    put_path(out, target, target->kernel);
    put_path(out, target, target->image);
    put_path(out, target, target->modules);
    put_path(out, target, target->rootfs);
    put_path(out, target, target->bios);
    put_string(out, target->format);
    put_text(out, target, target->kernel_args);
    put_string(out, target->arch);
    put_text(out, target, target->command);
    put_texts(out, target, &target->argv);
    put_texts(out, target, &target->extra_args);
    put_number(out, target->n_mounts);
    for (size_t i = 0; i < target->n_mounts; i++) {
        put_string(out, target->mounts[i].guest_path);
        put_path(out, target, target->mounts[i].host_path);
        put_number(out, target->mounts[i].writable);
    }
    put_number(out, target->rootfs_mode);
    put_number(out, target->share_choice);
    put_number(out, target->uefi);
    put_number(out, target->persist);
    put_number(out, target->num_cpus);
    put_number(out, target->memory);
    put_number(out, target->timeout);
    put_number(out, target->fail_on);
    put_number(out, target->where[KEY_ENV_PASS] != NULL);
    put_number(out, target->env_pass.count);
    for (size_t i = 0; i < target->env_pass.count; i++)
        put_string(out, target->env_pass.items[i]);
    put_text(out, target, target->results);
    /* The command finds them in its environment, whether they stand in its words or not. */
    put_number(out, target->n_axes);
    for (size_t i = 0; i < target->n_axes; i++) {
        put_string(out, target->axes[i].name);
        put_text(out, target, target->axes[i].value);
    }
}

char *shard_list_hash(const struct run_plan *plan) {
    _cleanup_buffer_ struct buffer text = {0};

    put_string(&text, "vmtest list 3");
    put_number(&text, plan->n_jobs);
    put_number(&text, plan->retries);
    put_number(&text, plan->flaky_fails);
    for (size_t i = 0; i < plan->n_jobs; i++) {
        put_string(&text, plan->jobs[i].name);
        put_target(&text, plan->jobs[i].target);
    }
    return digest_buffer(text.data ? text.data : "", text.size);
}

static int compare_names(const void *a, const void *b) {
    return strcmp(((const struct part *)a)->name, ((const struct part *)b)->name);
}

/* The longest first; names decide between equals. */
static int compare_weights(const void *a, const void *b) {
    uint64_t left = ((const struct part *)a)->weight;
    uint64_t right = ((const struct part *)b)->weight;

    return left != right ? (left < right ? 1 : -1) : compare_names(a, b);
}

/* Merges neighbours of one name: their weights are averaged. Returns how many are left. */
static size_t join_equal(struct part *parts, size_t count) {
    size_t n = 0;

    for (size_t i = 0; i < count;) {
        struct part joined = parts[i];
        size_t first = i;
        uint64_t sum = 0;

        for (; i < count && str_equal(parts[i].name, joined.name); i++) {
            if (__builtin_add_overflow(sum, parts[i].weight, &sum))
                sum = UINT64_MAX;
        }
        joined.weight = sum / (i - first);
        parts[n++] = joined;
    }
    return n;
}

/* The targets of the plan, each once, in the order of their names. Caller frees. */
static struct part *list_parts(const struct run_plan *plan, size_t *ret_count) {
    struct part *parts = xcalloc(plan->n_jobs + 1, sizeof(*parts));

    for (size_t i = 0; i < plan->n_jobs; i++)
        parts[i] = (struct part){.name = plan->jobs[i].target->name, .weight = 1};
    qsort(parts, plan->n_jobs, sizeof(*parts), compare_names);
    *ret_count = join_equal(parts, plan->n_jobs);
    return parts;
}

/* Whether it tells how long the target takes: what was stopped or never began does not. */
static bool has_time(const struct report_entry *entry) {
    return entry->finished && entry->end_nsec > entry->start_nsec && entry->result.verdict != VERDICT_CANCELLED &&
           entry->result.verdict != VERDICT_SKIPPED;
}

/* The times of a report, by the targets' names. Caller frees. */
static struct part *list_times(const struct report *timings, size_t *ret_count) {
    struct part *times = xcalloc(timings->n_entries + 1, sizeof(*times));
    size_t n = 0;

    for (size_t i = 0; i < timings->n_entries; i++) {
        const struct report_entry *entry = &timings->entries[i];

        if (has_time(entry))
            times[n++] = (struct part){.name = entry->target, .weight = entry->end_nsec - entry->start_nsec};
    }
    qsort(times, n, sizeof(*times), compare_names);
    *ret_count = join_equal(times, n);
    return times;
}

static char *hash_times(const struct part *times, size_t count) {
    _cleanup_buffer_ struct buffer text = {0};

    put_string(&text, "vmtest timings 1");
    for (size_t i = 0; i < count; i++) {
        put_string(&text, times[i].name);
        put_number(&text, times[i].weight);
    }
    return digest_buffer(text.data ? text.data : "", text.size);
}

/* What is not known is taken for as long as the one in the middle of those that are. */
static void weigh_parts(struct part *parts, size_t count, const struct part *times, size_t n_times) {
    _cleanup_free_ struct part *known = xcalloc(count + 1, sizeof(*known));
    size_t n_known = 0;

    for (size_t i = 0; i < count; i++) {
        const struct part *time = bsearch(&parts[i], times, n_times, sizeof(*times), compare_names);

        parts[i].weight = time ? time->weight : 0;
        if (time)
            known[n_known++] = *time;
    }
    qsort(known, n_known, sizeof(*known), compare_weights);
    for (size_t i = 0; i < count; i++) {
        if (parts[i].weight == 0)
            parts[i].weight = n_known > 0 ? known[n_known / 2].weight : 1;
    }
}

static void deal_by_time(struct part *parts, size_t count, unsigned n_shards) {
    /* Every weight is more than zero, so that none gets a second target while another one has none. */
    size_t n_used = count < n_shards ? count : n_shards;
    _cleanup_free_ uint64_t *loads = xcalloc(n_used + 1, sizeof(*loads));

    qsort(parts, count, sizeof(*parts), compare_weights);
    for (size_t i = 0; i < count; i++) {
        unsigned least = 0;

        for (unsigned j = 1; j < n_used; j++) {
            if (loads[j] < loads[least])
                least = j;
        }
        parts[i].shard = least;
        if (__builtin_add_overflow(loads[least], parts[i].weight, &loads[least]))
            loads[least] = UINT64_MAX;
    }
    qsort(parts, count, sizeof(*parts), compare_names);
}

static void deal_by_name(struct part *parts, size_t count, unsigned n_shards) {
    for (size_t i = 0; i < count; i++)
        parts[i].shard = (unsigned)(i % n_shards);
}

/* The jobs that are left, with new indices, in the orders that they had. */
static void drop_others(struct run_plan *plan, const struct part *parts, size_t count, unsigned shard) {
    _cleanup_free_ size_t *places = xcalloc(plan->n_jobs + 1, sizeof(*places)); /* new index + 1; 0: dropped */
    size_t n_all = plan->n_jobs;
    size_t n_order = 0;

    plan->n_jobs = 0;
    for (size_t i = 0; i < n_all; i++) {
        const char *name = plan->jobs[i].target->name;
        struct part key = {.name = name ? name : ""};
        const struct part *part = bsearch(&key, parts, count, sizeof(*parts), compare_names);

        if (!part || part->shard != shard) {
            free(plan->jobs[i].name);
            continue;
        }
        plan->jobs[plan->n_jobs] = plan->jobs[i];
        plan->jobs[plan->n_jobs].index = plan->n_jobs;
        places[i] = ++plan->n_jobs;
    }
    for (size_t i = 0; plan->order && i < n_all; i++) {
        if (places[plan->order[i]] > 0)
            plan->order[n_order++] = places[plan->order[i]] - 1;
    }
}

void shard_select(struct run_plan *plan, const struct shard *shard, const struct report *timings) {
    size_t count = 0;
    _cleanup_free_ struct part *parts = list_parts(plan, &count);

    if (timings) {
        size_t n_times = 0;
        _cleanup_free_ struct part *times = list_times(timings, &n_times);
        _cleanup_free_ char *list = plan->list_hash;
        _cleanup_free_ char *hash = hash_times(times, n_times);

        plan->list_hash = xasprintf("%s-%s", list, hash);
        weigh_parts(parts, count, times, n_times);
        deal_by_time(parts, count, shard->count);
    } else {
        deal_by_name(parts, count, shard->count);
    }
    drop_others(plan, parts, count, shard->index - 1);
    plan->shard_index = shard->index;
    plan->shard_count = shard->count;
}

int shard_plan(const struct options *options, const struct shard *shard, struct run_plan *plan,
               struct error **ret_error) {
    _cleanup_report_ struct report *timings = NULL;

    free(plan->list_hash);
    plan->list_hash = shard_list_hash(plan);
    if (shard->count == 0)
        return 0;
    if (options->timings) {
        int r = report_read_json(options->timings, &timings, ret_error);

        if (r < 0) {
            error_context(ret_error, "--timings");
            return r;
        }
    }
    shard_select(plan, shard, timings);
    return 0;
}
