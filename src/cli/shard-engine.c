/* SPDX-License-Identifier: Apache-2.0 */
/* The argument of --shard, and the engines whose environment tells which shard this is. */
#include <assert.h>

#include "cli/shard.h"

/* What an engine sets. A variable that is empty counts as not set. */
static const struct engine {
    const char *name;
    const char *index; /* by which the engine is known: GitLab sets its count where there is nothing parallel, too */
    const char *count; /* NULL: the engine does not tell */
    const char *first; /* the variable with the least index; NULL: `base` it is */
    const char *step;  /* the variable with the distance of two indices; NULL: 1 */
    const char *last;  /* the variable with the greatest index, or NULL */
    unsigned base;
} engines[] = {
    {"Slurm", "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_STEP",
     "SLURM_ARRAY_TASK_MAX", 0},
    {"Kubernetes", "JOB_COMPLETION_INDEX", NULL, NULL, NULL, NULL, 0},
    {"GitLab", "CI_NODE_INDEX", "CI_NODE_TOTAL", NULL, NULL, NULL, 1},
    {"Buildkite", "BUILDKITE_PARALLEL_JOB", "BUILDKITE_PARALLEL_JOB_COUNT", NULL, NULL, NULL, 0},
    {"CircleCI", "CIRCLE_NODE_INDEX", "CIRCLE_NODE_TOTAL", NULL, NULL, NULL, 0},
};

/* A number of decimal digits alone. */
static bool parse_number(const char *text, size_t length, unsigned max, unsigned *ret_number) {
    uint64_t number = 0;

    if (length == 0)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        number = number * 10 + (uint64_t)(text[i] - '0');
        if (number > max)
            return false;
    }
    *ret_number = (unsigned)number;
    return true;
}

static const char *look_up(char *const *environment, const char *name) {
    for (; *environment; environment++) {
        const char *rest = str_skip_prefix(*environment, name);

        if (rest && rest[0] == '=')
            return rest[1] ? rest + 1 : NULL;
    }
    return NULL;
}

static int get_variable(char *const *environment, const char *name, unsigned *ret_number, struct error **ret_error) {
    const char *value = look_up(environment, name);

    if (!value)
        return error_new(ret_error, EINVAL, "option '--shard': %s is not set; give --shard I/N", name);
    if (!parse_number(value, strlen(value), UINT32_MAX, ret_number))
        return error_new(ret_error, EINVAL, "option '--shard': %s is '%s', which is not a number", name, value);
    return 0;
}

/* NULL with an error where it is none, or more than one. */
static const struct engine *find_engine(char *const *environment, struct error **ret_error) {
    _cleanup_strv_ struct strv names = {0};
    const struct engine *found = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(engines); i++) {
        strv_append_printf(&names, "%s (%s)", engines[i].index, engines[i].name);
        if (!look_up(environment, engines[i].index))
            continue;
        if (found) {
            (void)error_new(ret_error, EINVAL,
                            "option '--shard': both %s (%s) and %s (%s) are set, so it is ambiguous which of them "
                            "splits the list; give --shard I/N",
                            found->index, found->name, engines[i].index, engines[i].name);
            return NULL;
        }
        found = &engines[i];
    }
    if (!found) {
        _cleanup_free_ char *list = strv_join(&names, ", ");

        (void)error_new(ret_error, EINVAL, "option '--shard': auto needs one of these set: %s; give --shard I/N", list);
    }
    return found;
}

/* The place of the engine's index among those that it counts, from 1. `*count` is 0 where the engine does not tell. */
static int get_place(const struct engine *engine, char *const *environment, uint64_t *ret_place, unsigned *ret_count,
                     struct error **ret_error) {
    unsigned first = engine->base;
    unsigned step = 1;
    unsigned count = 0;
    unsigned last = 0;
    unsigned index = 0;
    int r = get_variable(environment, engine->index, &index, ret_error);

    if (r == 0 && engine->count)
        r = get_variable(environment, engine->count, &count, ret_error);
    if (r == 0 && engine->first)
        r = get_variable(environment, engine->first, &first, ret_error);
    if (r == 0 && engine->step && look_up(environment, engine->step))
        r = get_variable(environment, engine->step, &step, ret_error);
    if (r == 0 && engine->last)
        r = get_variable(environment, engine->last, &last, ret_error);
    if (r < 0)
        return r;
    if (index < first || step == 0 || (index - first) % step != 0)
        return error_new(ret_error, EINVAL, "option '--shard': %s is %u, which %s does not count; give --shard I/N",
                         engine->index, index, engine->name);
    /* With gaps, the place of an index is not to be told from its number. */
    if (engine->last && (last < first || ((uint64_t)last - first) / step + 1 != count))
        return error_new(
            ret_error, EINVAL,
            "option '--shard': the array from %u to %u by %u does not have %s=%u tasks; submit one without gaps, or "
            "give --shard I/N",
            first, last, step, engine->count, count);
    *ret_place = (uint64_t)(index - first) / step + 1;
    *ret_count = count;
    return 0;
}

static int parse_auto(const char *text, unsigned given, char *const *environment, struct shard *ret_shard,
                      struct error **ret_error) {
    const struct engine *engine = find_engine(environment, ret_error);
    uint64_t place = 0;
    unsigned count = 0;
    int r = engine ? get_place(engine, environment, &place, &count, ret_error) : -EINVAL;

    if (r < 0)
        return r;
    if (!engine->count && given == 0)
        return error_new(
            ret_error, EINVAL,
            "option '--shard': %s does not set the number of shards; give --shard auto/N with the number of "
            "its completions",
            engine->name);
    if (engine->count && given > 0 && count != given)
        return error_new(ret_error, EINVAL, "option '--shard': %s contradicts %s, which is %u", text, engine->count,
                         count);
    if (!engine->count)
        count = given;
    if (count == 0 || count > SHARD_COUNT_MAX || place > count)
        return error_new(ret_error, EINVAL, "option '--shard': %s=%s is not within %u shards (at most %u)",
                         engine->index, look_up(environment, engine->index), count, SHARD_COUNT_MAX);
    *ret_shard = (struct shard){.index = (unsigned)place, .count = count};
    return 0;
}

int shard_parse(const char *text, char *const *environment, struct shard *ret_shard, struct error **ret_error) {
    const char *slash = strchr(text, '/');
    size_t length = slash ? (size_t)(slash - text) : strlen(text);
    bool is_auto = length == 4 && strncmp(text, "auto", 4) == 0;
    struct shard shard = {0};
    bool good = is_auto || (slash && parse_number(text, length, SHARD_COUNT_MAX, &shard.index));

    if (good && slash)
        good = parse_number(slash + 1, strlen(slash + 1), SHARD_COUNT_MAX, &shard.count) && shard.count > 0;
    if (good && !is_auto)
        good = shard.index > 0 && shard.index <= shard.count;
    if (!good)
        return error_new(ret_error, EINVAL,
                         "option '--shard': '%s' is not I/N with I from 1 to N and N up to %u, nor auto, nor auto/N",
                         text, SHARD_COUNT_MAX);
    if (is_auto)
        return parse_auto(text, shard.count, environment, ret_shard, ret_error);
    *ret_shard = shard;
    return 0;
}
