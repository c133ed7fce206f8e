/* SPDX-License-Identifier: Apache-2.0 */
/* The store of templates with other processes, without room, and where it may not write. */
#include "test-template-fixture.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <time.h>

/* Exit status of a child that may not mount anything. */
#define CANNOT_MOUNT 77

static void of_two_that_make_one_the_second_gives_up(void **state) {
    _cleanup_template_draft_ struct template_draft first = TEMPLATE_DRAFT_NONE;
    _cleanup_template_draft_ struct template_draft second = TEMPLATE_DRAFT_NONE;
    _cleanup_template_draft_ struct template_draft other = TEMPLATE_DRAFT_NONE;

    assert_int_equal(template_draft(KEY_A, &first, NULL), 0);
    assert_int_equal(template_draft(KEY_A, &second, NULL), -EBUSY);
    assert_int_equal(template_draft(KEY_B, &other, NULL), 0);
    fill_draft(&first, 10, true);
    assert_false(is_there(KEY_A)); /* nobody sees it before it is finished */
    assert_int_equal(template_publish(&first, &example_meta, NULL), 0);
    assert_int_equal(template_draft(KEY_A, &second, NULL), -EEXIST);
    template_draft_discard(&first);
    assert_true(is_there(KEY_A));
    template_draft_discard(&other);
    assert_int_equal(count_entries(state), 1);
}

/* One of many processes that all want the same template; begins when the pipe is closed. */
static int race(void *data) {
    _cleanup_template_draft_ struct template_draft draft = TEMPLATE_DRAFT_NONE;
    struct template template;
    char byte;
    int *gate = data;

    (void)close(gate[1]);
    if (read(gate[0], &byte, 1) != 0)
        return 10;
    int r = template_open(KEY_A, &template, NULL);
    if (r == 0) {
        template_close(&template);
        return 1;
    }
    if (r != -ENOENT)
        return 11;
    r = template_draft(KEY_A, &draft, NULL);
    if (r < 0)
        return r == -EBUSY || r == -EEXIST ? 1 : 12;
    fill_draft(&draft, 300000, true);
    return template_publish(&draft, &example_meta, NULL) == 0 ? 0 : 13;
}

static void of_many_processes_one_makes_it(void **state) {
    for (unsigned round = 0; round < 20; round++) {
        pid_t pids[8];
        int made = 0;
        int gate[2];

        assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
        for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
            pids[i] = fork();
            if (pids[i] == 0)
                _exit(race(gate));
        }
        (void)close(gate[0]);
        (void)close(gate[1]);
        for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
            int status;

            assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
            made += WEXITSTATUS(status) == 0;
        }
        assert_int_equal(made, 1);
        assert_int_equal(count_entries(state), 1);
        assert_int_equal(template_verify(KEY_A, NULL), 0);
        assert_int_equal(template_remove(KEY_A, NULL), 0);
    }
}

static int be_killed(void *data) {
    struct template_draft draft;
    bool *finished = data;

    if (template_draft(KEY_A, &draft, NULL) < 0)
        return 1;
    fill_draft(&draft, 100000, *finished);
    return raise(SIGKILL);
}

static void what_a_killed_process_left_is_swept(void **state) {
    bool finished = true;
    struct template template;

    assert_int_equal(in_child(be_killed, &finished), 128 + SIGKILL);
    assert_int_equal(count_entries(state), 1);
    assert_int_equal(template_open(KEY_B, &template, NULL), -ENOENT);
    assert_int_equal(count_entries(state), 0);

    assert_int_equal(in_child(be_killed, &finished), 128 + SIGKILL);
    publish(KEY_B, 10);
    assert_int_equal(count_entries(state), 1);
    assert_true(is_there(KEY_B));

    assert_int_equal(in_child(be_killed, &finished), 128 + SIGKILL);
    template_sweep();
    assert_int_equal(count_entries(state), 1);
}

static void what_a_killed_process_left_does_not_get_into_the_next(void **state) {
    bool finished = true;
    _cleanup_template_draft_ struct template_draft draft = TEMPLATE_DRAFT_NONE;
    _cleanup_template_ struct template template = TEMPLATE_NONE;

    assert_int_equal(in_child(be_killed, &finished), 128 + SIGKILL);
    assert_int_equal(template_draft(KEY_A, &draft, NULL), 0);
    fill_draft(&draft, 5000, false);
    assert_int_equal(template_publish(&draft, &example_meta, NULL), 0);
    template_draft_discard(&draft);
    assert_int_equal(template_open(KEY_A, &template, NULL), 0);
    assert_int_equal(template.disk_fd, -1);
    _cleanup_free_ char *disk = in_store(state, KEY_A, "disk");
    assert_false(path_exists(disk));
}

static void one_that_is_being_made_is_not_swept(void **state) {
    _cleanup_template_draft_ struct template_draft draft = TEMPLATE_DRAFT_NONE;

    assert_int_equal(template_draft(KEY_A, &draft, NULL), 0);
    fill_draft(&draft, 5000, true);
    template_sweep();
    publish(KEY_B, 10);
    assert_int_equal(template_publish(&draft, &example_meta, NULL), 0);
    assert_true(is_there(KEY_A));
}

static void a_draft_needs_memory_and_state(void **state) {
    _cleanup_template_draft_ struct template_draft draft = TEMPLATE_DRAFT_NONE;
    _cleanup_close_ int memory = make_memory(10);
    int fd;

    assert_int_equal(template_draft(KEY_A, &draft, NULL), 0);
    assert_int_equal(template_publish(&draft, &example_meta, NULL), -EINVAL);
    assert_int_equal(template_draft_memory(&draft, memory, MEMORY_SIZE, NULL), 0);
    assert_int_equal(template_publish(&draft, &example_meta, NULL), -EINVAL);
    assert_int_equal(template_draft_state(&draft, &fd, NULL), 0);
    assert_int_equal(template_publish(&draft, &example_meta, NULL), 0);
}

static void a_discarded_draft_leaves_nothing(void **state) {
    _cleanup_template_draft_ struct template_draft draft = TEMPLATE_DRAFT_NONE;

    assert_int_equal(template_draft(KEY_A, &draft, NULL), 0);
    fill_draft(&draft, 5000, true);
    template_draft_discard(&draft);
    assert_int_equal(count_entries(state), 0);
    template_draft_discard(&draft);
    publish(KEY_A, 1);
}

static void set_last_use(void *const *state, const char *key, time_t when) {
    _cleanup_free_ char *used = in_store(state, key, "used");

    assert_int_equal(utimensat(AT_FDCWD, used, (struct timespec[]){{when, 0}, {when, 0}}, 0), 0);
}

/* Names those of the three that are there, without using them. */
static void expect_templates(const char *expected) {
    struct template_entry *entries;
    size_t count;
    char found[4] = "";
    size_t length = 0;

    assert_int_equal(template_list(&entries, &count, NULL), 0);
    for (const char *key = "abc"; *key; key++) {
        for (size_t i = 0; i < count; i++) {
            if (entries[i].key[0] == *key)
                found[length++] = *key;
        }
    }
    template_list_free(entries, count);
    assert_string_equal(found, expected);
}

static void the_least_recently_used_makes_room(void **state) {
    publish(KEY_A, 300000);
    publish(KEY_B, 300000);
    set_last_use(state, KEY_A, 2000);
    set_last_use(state, KEY_B, 1000);
    assert_int_equal(setenv("VMTEST_CACHE_SIZE", "800K", 1), 0);
    publish(KEY_C, 300000);
    expect_templates("ac");
    assert_true(is_there(KEY_A)); /* a use makes it the last in the row */
    set_last_use(state, KEY_C, 3000);
    publish(KEY_B, 300000);
    expect_templates("ab");
}

static void one_in_use_is_not_evicted(void **state) {
    _cleanup_template_ struct template template = TEMPLATE_NONE;

    publish(KEY_A, 300000);
    publish(KEY_B, 300000);
    assert_int_equal(template_open(KEY_A, &template, NULL), 0);
    set_last_use(state, KEY_A, 1000);
    set_last_use(state, KEY_B, 2000);
    assert_int_equal(setenv("VMTEST_CACHE_SIZE", "800K", 1), 0);
    publish(KEY_C, 300000);
    expect_templates("ac");
    /* More than the limit stays where all is in use. */
    assert_int_equal(setenv("VMTEST_CACHE_SIZE", "400K", 1), 0);
    assert_int_equal(template_remove(KEY_C, NULL), 0);
    publish(KEY_B, 300000);
    expect_templates("ab");
}

static void one_that_exceeds_the_limit_is_not_kept(void **state) {
    _cleanup_template_draft_ struct template_draft draft = TEMPLATE_DRAFT_NONE;
    _cleanup_template_draft_ struct template_draft second = TEMPLATE_DRAFT_NONE;
    _cleanup_error_ struct error *error = NULL;
    _cleanup_error_ struct error *early = NULL;
    _cleanup_close_ int memory = make_memory(300000);

    publish(KEY_B, 10);
    assert_int_equal(setenv("VMTEST_CACHE_SIZE", "304K", 1), 0);
    assert_int_equal(template_draft(KEY_A, &draft, NULL), 0);
    fill_draft(&draft, 300000, true); /* the memory alone fits */
    assert_int_equal(template_publish(&draft, &example_meta, &error), -EDQUOT);
    assert_non_null(strstr(error_message(error), "VMTEST_CACHE_SIZE"));
    template_draft_discard(&draft);

    assert_int_equal(setenv("VMTEST_CACHE_SIZE", "290K", 1), 0);
    assert_int_equal(template_draft(KEY_A, &second, NULL), 0);
    assert_int_equal(template_draft_memory(&second, memory, MEMORY_SIZE, &early), -EDQUOT);
    assert_non_null(strstr(error_message(early), "/memory: more than 296960 bytes"));
    template_draft_discard(&second);
    expect_templates("b"); /* nothing had to go for it */
    assert_int_equal(count_entries(state), 1);
}

static void the_limit_is_read_from_the_environment(void **state) {
    static const struct {
        const char *text;
        int r;
        uint64_t limit;
    } cases[] = {
        {"1", 0, 1},
        {"4096", 0, 4096},
        {"3K", 0, 3 << 10},
        {"3m", 0, 3 << 20},
        {"20G", 0, UINT64_C(20) << 30},
        {"2T", 0, UINT64_C(2) << 40},
        {"0", 0, 0},
        {"0G", 0, 0},
        {"99999999999999999999999", 0, UINT64_MAX},
        {"99999999999T", 0, UINT64_MAX},
        {"G", -EINVAL, 0},
        {"-1", -EINVAL, 0},
        {" 1", -EINVAL, 0},
        {"1 G", -EINVAL, 0},
        {"1X", -EINVAL, 0},
        {"1GG", -EINVAL, 0},
        {"ten", -EINVAL, 0},
    };
    uint64_t limit;

    publish(KEY_A, 1);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_error_ struct error *error = NULL;
        struct template_draft draft;
        struct template template;

        assert_int_equal(setenv("VMTEST_CACHE_SIZE", cases[i].text, 1), 0);
        assert_int_equal(template_store_limit(&limit, &error), cases[i].r);
        if (cases[i].r == 0) {
            assert_true(limit == cases[i].limit);
            continue;
        }
        assert_non_null(strstr(error_message(error), "VMTEST_CACHE_SIZE"));
        assert_non_null(strstr(error_message(error), cases[i].text));
        assert_int_equal(template_draft(KEY_B, &draft, NULL), -EINVAL);
        assert_int_equal(template_open(KEY_A, &template, NULL), -EINVAL);
    }
    assert_int_equal(setenv("VMTEST_CACHE_SIZE", "", 1), 0);
    assert_int_equal(template_store_limit(&limit, NULL), 0);
    assert_true(limit > 0 && limit <= UINT64_C(10) << 30);
}

static void a_limit_of_0_means_no_templates(void **state) {
    struct template_draft draft;
    struct template template;

    publish(KEY_A, 1);
    assert_int_equal(setenv("VMTEST_CACHE_SIZE", "0", 1), 0);
    assert_int_equal(template_open(KEY_A, &template, NULL), -ENOENT);
    assert_int_equal(template_draft(KEY_B, &draft, NULL), -EDQUOT);
    assert_int_equal(count_entries(state), 1);
}

static void a_write_that_fails_leaves_nothing(void **state) {
    _cleanup_template_draft_ struct template_draft draft = TEMPLATE_DRAFT_NONE;
    _cleanup_error_ struct error *error = NULL;
    _cleanup_close_ int memory = make_memory(300000);
    struct rlimit before;

    assert_int_equal(template_draft(KEY_A, &draft, NULL), 0);
    _cleanup_free_ char *path = xasprintf("%s/memory", draft.path);
    /* A limit on the size of files stands for a full disk. */
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit small = {.rlim_cur = 100000, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int r = template_draft_memory(&draft, memory, MEMORY_SIZE, &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(r, -EFBIG);
    assert_non_null(strstr(error_message(error), path));
    assert_false(path_exists(path));
    template_draft_discard(&draft);
    assert_int_equal(count_entries(state), 0);
}

/* In a file system of so many bytes where the cache is; only root can do that. 0, or -1. */
static int enter_small_disk(const char *path, const char *options) {
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return -1;
    return mount("tmpfs", path, "tmpfs", 0, options);
}

/* Runs what needs a mount in a child; where that is not allowed there is nothing to see. */
static void expect_of_root(int (*function)(void *data), void **state) {
    int status = in_child(function, state);

    if (status != CANNOT_MOUNT)
        assert_int_equal(status, 0);
}

static int fill_small_disk(void *data) {
    void **state = data;
    _cleanup_template_draft_ struct template_draft draft = TEMPLATE_DRAFT_NONE;
    _cleanup_error_ struct error *error = NULL;
    _cleanup_error_ struct error *full = NULL;
    int fd;

    if (enter_small_disk(*state, "size=12m,mode=700") < 0)
        return CANNOT_MOUNT;
    _cleanup_close_ int memory = make_memory(6 << 20);
    assert_int_equal(setenv("VMTEST_CACHE_SIZE", "1G", 1), 0);
    assert_int_equal(template_draft(KEY_A, &draft, NULL), 0);
    assert_int_equal(template_draft_memory(&draft, memory, MEMORY_SIZE, &error),
                     -ENOSPC); /* before a byte is written */
    assert_non_null(strstr(error_message(error), "No space left on device"));
    /* One that is found to be full only by writing. */
    assert_int_equal(template_draft_state(&draft, &fd, NULL), 0);
    assert_int_equal(posix_fallocate(fd, 0, 11 << 20), 0);
    _cleanup_close_ int small = make_memory(2 << 20);
    assert_int_equal(template_draft_memory(&draft, small, MEMORY_SIZE, &full), -ENOSPC);
    template_draft_discard(&draft);
    assert_int_equal(count_entries(state), 0);
    return 0;
}

static void a_full_disk_means_no_template(void **state) {
    expect_of_root(fill_small_disk, state);
}

/* Looking at a hole takes a page of a tmpfs: a clone could not. */
static int use_full_tmpfs(void *data) {
    void **state = data;
    struct template template = TEMPLATE_NONE;

    if (enter_small_disk(*state, "size=24m,mode=700") < 0)
        return CANNOT_MOUNT;
    assert_int_equal(setenv("VMTEST_CACHE_SIZE", "1G", 1), 0);
    publish(KEY_A, 100000);
    assert_true(is_there(KEY_A));
    _cleanup_free_ char *path = xasprintf("%s/filler", (char *)*state);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(posix_fallocate(fd, 0, 20 << 20), 0);
    assert_int_equal(template_open(KEY_A, &template, NULL), -ENOENT);
    assert_int_equal(unlink(path), 0);
    fd = fd_close(fd);
    assert_true(is_there(KEY_A)); /* it was not thrown away */
    return 0;
}

static void a_tmpfs_needs_room_for_the_holes(void **state) {
    expect_of_root(use_full_tmpfs, state);
}

static int use_read_only(void *data) {
    void **state = data;
    struct template_draft draft;

    if (enter_small_disk(*state, "size=24m,mode=700") < 0)
        return CANNOT_MOUNT;
    assert_int_equal(setenv("VMTEST_CACHE_SIZE", "1G", 1), 0);
    publish(KEY_A, 100000);
    assert_int_equal(mount(NULL, *state, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    assert_true(is_there(KEY_A));
    assert_int_equal(template_draft(KEY_B, &draft, NULL), -EROFS);
    return 0;
}

static void a_cache_that_is_read_only_is_used_but_not_filled(void **state) {
    expect_of_root(use_read_only, state);
}

static void a_cache_that_cannot_be_written_is_named(void **state) {
    _cleanup_free_ char *file = xasprintf("%s/file", (char *)*state);
    _cleanup_error_ struct error *error = NULL;
    _cleanup_error_ struct error *none = NULL;
    struct template_draft draft;
    struct template template;
    int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    (void)close(fd);
    assert_int_equal(setenv("VMTEST_CACHE_DIR", file, 1), 0);
    assert_int_equal(template_open(KEY_A, &template, NULL), -ENOTDIR);
    assert_int_equal(template_draft(KEY_A, &draft, &error), -ENOTDIR);
    assert_non_null(strstr(error_message(error), file));

    static const char *const names[] = {"VMTEST_CACHE_DIR", "XDG_CACHE_HOME", "HOME"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_int_equal(unsetenv(names[i]), 0);
    assert_int_equal(template_open(KEY_A, &template, NULL), -ENOENT);
    assert_int_equal(template_draft(KEY_A, &draft, &none), -ENOENT);
    assert_non_null(strstr(error_message(none), "HOME"));
}

static void a_store_that_others_can_write_to_is_not_used(void **state) {
    static const mode_t modes[] = {0777, 0770, 0702};
    _cleanup_free_ char *store = in_store(state, "", "");

    publish(KEY_A, 1);
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        _cleanup_error_ struct error *error = NULL;
        struct template_draft draft;
        struct template template;

        assert_int_equal(chmod(store, modes[i]), 0);
        assert_int_equal(template_open(KEY_A, &template, &error), -EPERM);
        assert_non_null(strstr(error_message(error), store));
        assert_int_equal(template_draft(KEY_B, &draft, NULL), -EPERM);
    }
    assert_int_equal(chmod(store, 0755), 0);
    assert_true(is_there(KEY_A));
    if (geteuid() != 0)
        return;
    struct template template;
    assert_int_equal(chown(store, 1, 1), 0);
    assert_int_equal(template_open(KEY_A, &template, NULL), -EPERM);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        in_cache(of_two_that_make_one_the_second_gives_up),
        in_cache(of_many_processes_one_makes_it),
        in_cache(what_a_killed_process_left_is_swept),
        in_cache(what_a_killed_process_left_does_not_get_into_the_next),
        in_cache(one_that_is_being_made_is_not_swept),
        in_cache(a_draft_needs_memory_and_state),
        in_cache(a_discarded_draft_leaves_nothing),
        in_cache(the_least_recently_used_makes_room),
        in_cache(one_in_use_is_not_evicted),
        in_cache(one_that_exceeds_the_limit_is_not_kept),
        in_cache(the_limit_is_read_from_the_environment),
        in_cache(a_limit_of_0_means_no_templates),
        in_cache(a_write_that_fails_leaves_nothing),
        in_cache(a_full_disk_means_no_template),
        in_cache(a_tmpfs_needs_room_for_the_holes),
        in_cache(a_cache_that_is_read_only_is_used_but_not_filled),
        in_cache(a_cache_that_cannot_be_written_is_named),
        in_cache(a_store_that_others_can_write_to_is_not_used),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
