/* SPDX-License-Identifier: Apache-2.0 */
/* What is read of the host: the parsers, and control groups in a directory that stands for "/". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "supervise/host-capacity.h"

#define MIB (UINT64_C(1) << 20)

static void available_memory_is_read_from_meminfo(void **state) {
    static const char text[] = "MemTotal:       16000000 kB\nMemFree:          100 kB\nMemAvailable:    2048 kB\n";
    uint64_t bytes = 7;

    assert_true(host_parse_available(text, &bytes));
    assert_int_equal(bytes, 2 * MIB);
    assert_false(host_parse_available("MemTotal: 5 kB\n", &bytes));
    assert_false(host_parse_available("MemAvailable: lots\n", &bytes));
    assert_false(host_parse_available("MemAvailable: 99999999999999999999999 kB\n", &bytes));
    assert_int_equal(bytes, 2 * MIB);
}

static void a_quota_is_a_number_of_whole_cpus(void **state) {
    static const struct {
        const char *text;
        unsigned cpus; /* 0: no quota */
    } cases[] = {
        {"max 100000\n", 0},
        {"200000 100000\n", 2},
        {"250000 100000\n", 2},
        {"50000 100000\n", 1},
        {"1 0\n", 0},
        {"", 0},
        {"x 1", 0},
        {"-1 100000", 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        unsigned cpus = 0;

        assert_int_equal(host_parse_cpu_max(cases[i].text, &cpus), cases[i].cpus > 0);
        assert_int_equal(cpus, cases[i].cpus);
    }
}

static void no_limit_is_none(void **state) {
    uint64_t bytes = 7;

    assert_false(host_parse_limit("max\n", &bytes));
    assert_false(host_parse_limit("9223372036854771712\n", &bytes)); /* version 1 */
    assert_false(host_parse_limit("12 apples\n", &bytes));
    assert_int_equal(bytes, 7);
    assert_true(host_parse_limit("1048576\n", &bytes));
    assert_int_equal(bytes, MIB);
}

static void our_group_is_found_by_its_controller(void **state) {
    static const char text[] = "9:cpu,cpuacct:/a\n8:memory:/b/c\n1:name=systemd:/d\n0::/e f\n";
    static const struct {
        const char *controller;
        const char *path;
    } cases[] = {{"", "/e f"}, {"memory", "/b/c"}, {"cpu", "/a"}, {"cpuacct", "/a"}, {"cpua", NULL}, {"io", NULL}};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *path = host_parse_cgroup(text, cases[i].controller);

        if (cases[i].path)
            assert_string_equal(path, cases[i].path);
        else
            assert_null(path);
    }
}

static void put(const char *root, const char *path, const char *text) {
    _cleanup_free_ char *file = xasprintf("%s%s", root, path);
    _cleanup_free_ char *directory = path_parent(file);

    assert_int_equal(path_make_directories(directory, 0700, NULL), 0);
    assert_int_equal(file_write_atomically(file, text, strlen(text), 0600, NULL), 0);
}

static void remove_tree(const char *root) {
    _cleanup_free_ char *command = xasprintf("rm -r '%s'", root);

    assert_int_equal(system(command), 0);
}

static void the_tightest_limit_of_all_groups_above_counts(void **state) {
    char root[] = "/tmp/test-host.XXXXXX";
    struct host host;

    assert_non_null(mkdtemp(root));
    put(root, "/proc/meminfo", "MemAvailable: 16777216 kB\n");
    host_look(root, 8, &host);
    assert_int_equal(host.cpus, 8);
    assert_true(host.memory == 16384 * MIB - 16384 * MIB / 20); /* the reserve is left */

    put(root, "/proc/self/cgroup", "0::/user/us\n");
    put(root, "/sys/fs/cgroup/user/memory.max", "2147483648\n");
    put(root, "/sys/fs/cgroup/user/memory.current", "1073741824\n");
    put(root, "/sys/fs/cgroup/user/memory.stat", "anon 5\ninactive_file 536870912\n");
    put(root, "/sys/fs/cgroup/user/us/memory.max", "max\n");
    put(root, "/sys/fs/cgroup/user/us/cpu.max", "300000 100000\n");
    host_look(root, 8, &host);
    assert_int_equal(host.cpus, 3);
    assert_true(host.memory == (1536 - 256) * MIB);

    put(root, "/sys/fs/cgroup/user/memory.current", "4294967296\n");
    host_look(root, 8, &host);
    assert_true(host.memory == 1); /* known, and nothing: not "unknown" */
    host_look(root, 2, &host);
    assert_int_equal(host.cpus, 2);
    remove_tree(root);
}

static void version_1_is_read_where_it_is(void **state) {
    char root[] = "/tmp/test-host.XXXXXX";
    struct host host;

    assert_non_null(mkdtemp(root));
    put(root, "/proc/meminfo", "MemAvailable: 16777216 kB\n");
    put(root, "/proc/self/cgroup", "3:memory:/docker/x\n2:cpu,cpuacct:/docker/x\n");
    /* In a container the path leads nowhere, and the root is our own group. */
    put(root, "/sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824\n");
    put(root, "/sys/fs/cgroup/memory/memory.usage_in_bytes", "0\n");
    put(root, "/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "150000\n");
    put(root, "/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    host_look(root, 8, &host);
    assert_int_equal(host.cpus, 1);
    assert_true(host.memory == (1024 - 256) * MIB);
    put(root, "/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
    host_look(root, 8, &host);
    assert_int_equal(host.cpus, 8);
    remove_tree(root);
}

static void a_host_that_says_nothing_is_not_limited(void **state) {
    char root[] = "/tmp/test-host.XXXXXX";
    struct host host;

    assert_non_null(mkdtemp(root));
    host_look(root, 0, &host);
    assert_int_equal(host.cpus, 1);
    assert_true(host.memory == 0);
    remove_tree(root);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(available_memory_is_read_from_meminfo),
        cmocka_unit_test(a_quota_is_a_number_of_whole_cpus),
        cmocka_unit_test(no_limit_is_none),
        cmocka_unit_test(our_group_is_found_by_its_controller),
        cmocka_unit_test(the_tightest_limit_of_all_groups_above_counts),
        cmocka_unit_test(version_1_is_read_where_it_is),
        cmocka_unit_test(a_host_that_says_nothing_is_not_limited),
    };

    return cmocka_run_group_tests_name("host", tests, NULL, NULL);
}
