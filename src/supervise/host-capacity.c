/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A limit of a control group holds for all groups below it, so that each is looked for from our own group up to the
 * root of what is mounted. In a container that root may be our own group, with a path in /proc/self/cgroup that leads
 * nowhere: the walk up finds it all the same.
 */
#include "supervise/host-capacity.h"

#include <inttypes.h>
#include <sched.h>
#include <sys/resource.h>

#include "base/file.h"
#include "base/str.h"

#define CGROUPS "/sys/fs/cgroup"
#define FILE_LIMIT (1u << 20)
/* Left to everybody else: of what is free just now, others will want some. */
#define RESERVE_MIN (UINT64_C(256) << 20)
#define RESERVE_SHARE 20
/* A running job's in the supervisor: the worker's socket and the files of its artifacts; and everybody's. */
#define DESCRIPTORS_OF_JOB 8u
#define DESCRIPTORS_OF_ALL 64u
/* Version 1 says "no limit" by a number near 2^63. */
#define NO_LIMIT (UINT64_C(1) << 60)

/* A file's text, or NULL. */
static char *read_text(const char *root, const char *path, const char *name) {
    _cleanup_free_ char *file = xasprintf("%s%s%s%s", root, path, name[0] ? "/" : "", name);
    _cleanup_buffer_ struct buffer content = {0};

    if (file_read(file, FILE_LIMIT, &content, NULL) < 0)
        return NULL;
    return buffer_take(&content);
}

static bool parse_number(const char *text, const char **ret_end, uint64_t *ret_value) {
    char *end = NULL;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    if (errno != 0)
        return false;
    *ret_end = end;
    *ret_value = value;
    return true;
}

bool host_parse_field(const char *text, const char *name, uint64_t *ret_value) {
    size_t length = strlen(name);
    const char *end;

    for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        if (strncmp(line, name, length) == 0 && (line[length] == ' ' || line[length] == '\t'))
            return parse_number(line + length + strspn(line + length, " \t"), &end, ret_value);
    }
    return false;
}

bool host_parse_available(const char *meminfo, uint64_t *ret_bytes) {
    uint64_t kib;

    if (!host_parse_field(meminfo, "MemAvailable:", &kib) || kib > UINT64_MAX / 1024)
        return false;
    *ret_bytes = kib * 1024;
    return true;
}

static bool cpus_of_quota(uint64_t quota, uint64_t period, unsigned *ret_cpus) {
    if (period == 0 || quota / period >= UINT32_MAX)
        return false;
    *ret_cpus = quota < period ? 1 : (unsigned)(quota / period);
    return true;
}

bool host_parse_cpu_max(const char *text, unsigned *ret_cpus) {
    const char *end;
    uint64_t quota;
    uint64_t period;

    if (!parse_number(text, &end, &quota) || *end != ' ' || !parse_number(end + 1, &end, &period))
        return false;
    return cpus_of_quota(quota, period, ret_cpus);
}

bool host_parse_limit(const char *text, uint64_t *ret_bytes) {
    const char *end;
    uint64_t value;

    if (!parse_number(text, &end, &value) || (*end != '\0' && *end != '\n') || value >= NO_LIMIT)
        return false;
    *ret_bytes = value;
    return true;
}

static bool names_controller(const char *names, size_t size, const char *controller) {
    size_t length = strlen(controller);

    if (length == 0)
        return size == 0;
    while (size >= length) {
        const char *comma = memchr(names, ',', size);
        size_t word = comma ? (size_t)(comma - names) : size;

        if (word == length && memcmp(names, controller, length) == 0)
            return true;
        if (!comma)
            return false;
        names += word + 1;
        size -= word + 1;
    }
    return false;
}

char *host_parse_cgroup(const char *text, const char *controller) {
    for (const char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        const char *names = strchr(line, ':');
        const char *path = names ? strchr(names + 1, ':') : NULL;
        size_t end = strcspn(line, "\n");

        if (!path || path > line + end)
            continue;
        if (names_controller(names + 1, (size_t)(path - names - 1), controller))
            return xstrndup(path + 1, (size_t)(line + end - path - 1));
    }
    return NULL;
}

/* One directory of groups; lowers what is known of the host. */
typedef void group_fn(const char *root, const char *directory, struct host *host);

static void lower_memory(struct host *host, uint64_t limit, uint64_t used, uint64_t reclaimable) {
    uint64_t kept = used > reclaimable ? used - reclaimable : 0;
    uint64_t left = limit > kept ? limit - kept : 1;

    if (host->memory == 0 || left < host->memory)
        host->memory = left;
}

/* Pages of files that were not used lately count as used, and are given back before anything is refused. */
static void look_at_memory(const char *root, const char *directory, struct host *host, const char *limit_name,
                           const char *used_name, const char *field) {
    _cleanup_free_ char *limit_text = read_text(root, directory, limit_name);
    _cleanup_free_ char *used_text = read_text(root, directory, used_name);
    _cleanup_free_ char *stat = read_text(root, directory, "memory.stat");
    uint64_t limit;
    uint64_t used = 0;
    uint64_t reclaimable = 0;

    if (!limit_text || !host_parse_limit(limit_text, &limit))
        return;
    if (!used_text || !host_parse_limit(used_text, &used))
        used = 0;
    if (!stat || !host_parse_field(stat, field, &reclaimable))
        reclaimable = 0;
    lower_memory(host, limit, used, reclaimable);
}

static void look_at_memory_v2(const char *root, const char *directory, struct host *host) {
    look_at_memory(root, directory, host, "memory.max", "memory.current", "inactive_file");
}

static void look_at_memory_v1(const char *root, const char *directory, struct host *host) {
    look_at_memory(root, directory, host, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file");
}

static void lower_cpus(struct host *host, unsigned cpus) {
    if (cpus < host->cpus)
        host->cpus = cpus;
}

static void look_at_cpus_v2(const char *root, const char *directory, struct host *host) {
    _cleanup_free_ char *text = read_text(root, directory, "cpu.max");
    unsigned cpus;

    if (text && host_parse_cpu_max(text, &cpus))
        lower_cpus(host, cpus);
}

static void look_at_cpus_v1(const char *root, const char *directory, struct host *host) {
    _cleanup_free_ char *quota_text = read_text(root, directory, "cpu.cfs_quota_us"); /* -1: none */
    _cleanup_free_ char *period_text = read_text(root, directory, "cpu.cfs_period_us");
    const char *end;
    uint64_t quota;
    uint64_t period;
    unsigned cpus;

    if (quota_text && period_text && parse_number(quota_text, &end, &quota) &&
        parse_number(period_text, &end, &period) && cpus_of_quota(quota, period, &cpus))
        lower_cpus(host, cpus);
}

static void look_at_group_v2(const char *root, const char *directory, struct host *host) {
    look_at_memory_v2(root, directory, host);
    look_at_cpus_v2(root, directory, host);
}

/* Our group of a hierarchy and all above it. */
static void walk(const char *root, const char *cgroups, const char *controller, const char *mount, group_fn *look,
                 struct host *host) {
    _cleanup_free_ char *path = cgroups ? host_parse_cgroup(cgroups, controller) : NULL;

    while (path) {
        _cleanup_free_ char *directory = xasprintf("%s%s", mount, path);
        char *slash = strrchr(path, '/');

        look(root, directory, host);
        if (!slash || path[1] == '\0')
            return;
        slash[slash == path ? 1 : 0] = '\0';
    }
}

void host_look(const char *root, unsigned affinity, struct host *ret_host) {
    struct host host = {.cpus = affinity > 0 ? affinity : 1};
    _cleanup_free_ char *meminfo = read_text(root, "/proc/meminfo", "");
    _cleanup_free_ char *cgroups = read_text(root, "/proc/self/cgroup", "");
    uint64_t reserve;

    if (meminfo && !host_parse_available(meminfo, &host.memory))
        host.memory = 0;
    walk(root, cgroups, "", CGROUPS, look_at_group_v2, &host);
    walk(root, cgroups, "memory", CGROUPS "/memory", look_at_memory_v1, &host);
    walk(root, cgroups, "cpu", CGROUPS "/cpu", look_at_cpus_v1, &host);
    if (host.memory > 0) {
        reserve = host.memory / RESERVE_SHARE > RESERVE_MIN ? host.memory / RESERVE_SHARE : RESERVE_MIN;
        host.memory = host.memory > reserve ? host.memory - reserve : 1;
    }
    *ret_host = host;
}

void host_look_here(struct host *ret_host) {
    cpu_set_t set;
    struct rlimit limit;
    long online = sysconf(_SC_NPROCESSORS_ONLN); /* where there are more than the set has room for */
    unsigned affinity = online > 0 ? (unsigned)online : 1;

    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
        affinity = (unsigned)CPU_COUNT(&set);
    host_look("", affinity, ret_host);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < UINT32_MAX)
        ret_host->slots = limit.rlim_cur < DESCRIPTORS_OF_ALL + DESCRIPTORS_OF_JOB
                              ? 1
                              : (unsigned)(limit.rlim_cur - DESCRIPTORS_OF_ALL) / DESCRIPTORS_OF_JOB;
}
