/* SPDX-License-Identifier: Apache-2.0 */
/* The store of templates: what is published comes back as it was, and what was damaged since does not. */
#include "test-template-fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>

static void expect_bytes(int fd, off_t offset, const char *bytes, size_t size) {
    _cleanup_free_ char *back = xmalloc(size);

    assert_int_equal(pread(fd, back, size, offset), size);
    assert_memory_equal(back, bytes, size);
}

static void a_published_template_comes_back(void **state) {
    _cleanup_template_ struct template template = TEMPLATE_NONE;
    struct stat status;
    char back[64];

    publish(KEY_A, 50000);
    assert_int_equal(template_open(KEY_A, &template, NULL), 0);
    assert_string_equal(template.key, KEY_A);
    assert_string_equal(template.extra, example_meta.extra);
    assert_string_equal(template.kernel_release, example_meta.kernel_release);
    assert_int_equal(template.memory_size, MEMORY_SIZE);

    _cleanup_close_ int memory = make_memory(50000);
    for (size_t offset = 0; offset < MEMORY_SIZE; offset += 65536) {
        char expected[65536];

        assert_int_equal(pread(memory, expected, sizeof(expected), (off_t)offset), sizeof(expected));
        expect_bytes(template.memory_fd, (off_t)offset, expected, sizeof(expected));
    }
    assert_int_equal(fstat(template.memory_fd, &status), 0);
    assert_int_equal(status.st_size, MEMORY_SIZE);
    assert_true(status.st_blocks * 512 < 128 << 10); /* it is sparse */

    assert_int_equal(read(template.state_fd, back, sizeof(back)), strlen(STATE));
    assert_memory_equal(back, STATE, strlen(STATE));
    expect_bytes(template.disk_fd, 0, "QFI", 3);
    expect_bytes(template.disk_fd, DISK_SIZE - 3, "end", 3);
    assert_int_equal(write(template.memory_fd, "x", 1), -1);
    assert_int_equal(count_entries(state), 1);
}

static void a_kernel_has_no_disk(void **state) {
    _cleanup_template_draft_ struct template_draft draft = TEMPLATE_DRAFT_NONE;
    _cleanup_template_ struct template template = TEMPLATE_NONE;
    const struct template_meta meta = {.source = "/bzImage"};

    assert_int_equal(template_draft(KEY_A, &draft, NULL), 0);
    fill_draft(&draft, 10, false);
    assert_int_equal(template_publish(&draft, &meta, NULL), 0);
    assert_int_equal(template_open(KEY_A, &template, NULL), 0);
    assert_int_equal(template.disk_fd, -1);
    assert_null(template.extra);
    assert_null(template.kernel_release);
}

static void all_is_private_to_the_user(void **state) {
    static const char *const files[] = {"memory", "state", "disk", "meta.json", "used"};
    _cleanup_free_ char *store = in_store(state, "", "");
    _cleanup_free_ char *directory = in_store(state, KEY_A, "");
    struct stat status;
    mode_t mask = umask(0);

    publish(KEY_A, 1);
    (void)umask(mask);
    assert_int_equal(stat(store, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    assert_int_equal(stat(directory, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        _cleanup_free_ char *path = in_store(state, KEY_A, files[i]);

        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 07777, 0600);
    }
}

static void without_a_template_there_is_none(void **state) {
    _cleanup_error_ struct error *error = NULL;
    struct template template = TEMPLATE_NONE;

    assert_int_equal(template_open(KEY_A, &template, &error), -ENOENT);
    /* Looking for it makes nothing. */
    _cleanup_free_ char *store = in_store(state, "", "");
    assert_false(path_exists(store));
    publish(KEY_A, 1);
    assert_int_equal(template_open(KEY_B, &template, NULL), -ENOENT);
    assert_int_equal(template_remove(KEY_B, NULL), -ENOENT);
    assert_int_equal(template_verify(KEY_B, NULL), -ENOENT);
}

static void a_key_is_not_a_path(void **state) {
    static const char *const keys[] = {"",     "..",      "../../../../../../../../../../tmp/",
                                       "aaaa", KEY_A "a", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        _cleanup_template_draft_ struct template_draft draft = TEMPLATE_DRAFT_NONE;
        struct template template = TEMPLATE_NONE;

        assert_int_equal(template_open(keys[i], &template, NULL), -EINVAL);
        assert_int_equal(template_draft(keys[i], &draft, NULL), -EINVAL);
        assert_int_equal(template_remove(keys[i], NULL), -EINVAL);
        assert_int_equal(template_verify(keys[i], NULL), -EINVAL);
    }
}

/* Changes bytes in a file that keeps its times, as a bad disk would. */
static void flip(const char *path, off_t offset) {
    struct stat status;
    char byte;
    int fd = open(path, O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(pread(fd, &byte, 1, offset), 1);
    byte ^= 4;
    assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
    assert_int_equal(futimens(fd, (struct timespec[]){status.st_atim, status.st_mtim}), 0);
    (void)close(fd);
}

static void flip_a_bit(const char *path) {
    flip(path, 7);
}

static void cut(const char *path) {
    struct stat status;

    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(truncate(path, status.st_size - 1), 0);
    assert_int_equal(utimensat(AT_FDCWD, path, (struct timespec[]){status.st_atim, status.st_mtim}, 0), 0);
}

static void lengthen(const char *path) {
    struct stat status;

    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(truncate(path, status.st_size + 1), 0);
    assert_int_equal(utimensat(AT_FDCWD, path, (struct timespec[]){status.st_atim, status.st_mtim}, 0), 0);
}

static void empty(const char *path) {
    assert_int_equal(truncate(path, 0), 0);
}

static void touch(const char *path) {
    struct stat status;

    assert_int_equal(stat(path, &status), 0);
    status.st_mtim.tv_nsec ^= 1;
    assert_int_equal(utimensat(AT_FDCWD, path, (struct timespec[]){status.st_atim, status.st_mtim}, 0), 0);
}

/* Another file with the same content and times. */
static void replace(const char *path) {
    _cleanup_free_ char *command = xasprintf("cp -p '%s' '%s.new' && mv '%s.new' '%s'", path, path, path, path);

    assert_int_equal(system(command), 0);
}

static void take_away(const char *path) {
    assert_int_equal(unlink(path), 0);
}

static void make_fifo_of(const char *path) {
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
}

/* meta.json as another version of vmtest might write it: sound in itself is only what this one wrote. */
static void change_format(const char *path) {
    _cleanup_free_ char *command = xasprintf("sed -i 's/\"format\": 1/\"format\": 2/' '%s'", path);

    assert_int_equal(system(command), 0);
}

static void change_extra(const char *path) {
    _cleanup_free_ char *command = xasprintf("sed -i 's/6[.]1[.]0/6.1.9/' '%s'", path);

    assert_int_equal(system(command), 0);
}

static void what_was_damaged_is_thrown_away(void **state) {
    static const struct {
        const char *file;
        void (*damage)(const char *path);
        const char *reason;
    } cases[] = {
        {"memory", cut, "memory has 8388607 bytes, not 8388608"},
        {"memory", lengthen, "memory has 8388609 bytes"},
        {"memory", empty, "memory has 0 bytes"},
        {"memory", touch, "memory was changed"},
        {"memory", replace, "memory is another file"},
        {"memory", take_away, "memory: cannot be opened"},
        {"memory", make_fifo_of, "memory has 0 bytes"},
        {"state", flip_a_bit, "state does not agree with its digest"},
        {"state", cut, "state has 19 bytes, not 20"},
        {"state", touch, "state was changed"},
        {"state", replace, "state is another file"},
        {"state", take_away, "state: cannot be opened"},
        {"disk", cut, "disk has"},
        {"disk", touch, "disk was changed"},
        {"disk", replace, "disk is another file"},
        {"disk", take_away, "disk: cannot be opened"},
        {"meta.json", flip_a_bit, "meta.json"},
        {"meta.json", cut, NULL}, /* the last newline: nothing is lost */
        {"meta.json", empty, "meta.json:"},
        {"meta.json", take_away, "No such file"},
        {"meta.json", change_format, "format 2, not 1"},
        {"meta.json", change_extra, "meta.json does not agree with its digest"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_error_ struct error *error = NULL;
        _cleanup_template_ struct template template = TEMPLATE_NONE;
        _cleanup_free_ char *path = in_store(state, KEY_A, cases[i].file);

        publish(KEY_A, 5000);
        cases[i].damage(path);
        int r = template_open(KEY_A, &template, &error);
        assert_int_equal(r, cases[i].reason ? -ENOENT : 0);
        assert_int_equal(count_entries(state), cases[i].reason ? 0 : 1);
        if (!cases[i].reason)
            assert_int_equal(template_remove(KEY_A, NULL), 0);
        else if (!strstr(error_message(error), cases[i].reason))
            fail_msg("%zu: %s", i, error_message(error));
    }
}

static void a_template_under_another_key_is_thrown_away(void **state) {
    _cleanup_free_ char *a = in_store(state, KEY_A, "");
    _cleanup_free_ char *b = in_store(state, KEY_B, "");

    publish(KEY_A, 100);
    assert_int_equal(rename(a, b), 0);
    assert_false(is_there(KEY_B));
    assert_int_equal(count_entries(state), 0);
}

static void memories_that_changed_places_are_noticed(void **state) {
    _cleanup_free_ char *a = in_store(state, KEY_A, "memory");
    _cleanup_free_ char *b = in_store(state, KEY_B, "memory");
    struct stat status;

    publish(KEY_A, 100);
    publish(KEY_B, 100);
    assert_int_equal(stat(a, &status), 0);
    assert_int_equal(renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE), 0);
    assert_int_equal(utimensat(AT_FDCWD, a, (struct timespec[]){status.st_atim, status.st_mtim}, 0), 0);
    assert_false(is_there(KEY_A));
    assert_false(is_there(KEY_B));
}

static void a_flipped_bit_of_the_memory_is_found_by_verify(void **state) {
    static const char *const files[] = {"memory", "disk"};

    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        _cleanup_error_ struct error *error = NULL;
        _cleanup_free_ char *path = in_store(state, KEY_A, files[i]);
        struct stat status;

        publish(KEY_A, 70000);
        assert_int_equal(template_verify(KEY_A, NULL), 0);
        assert_int_equal(stat(path, &status), 0);
        flip(path, status.st_size - 1);
        assert_true(is_there(KEY_A)); /* a start has no time to look */
        assert_int_equal(template_verify(KEY_A, &error), -EBADMSG);
        assert_non_null(strstr(error_message(error), files[i]));
        assert_non_null(strstr(error_message(error), "digest"));
        assert_int_equal(count_entries(state), 0);
    }
}

/* Whichever of the two is first, and wherever in its reading verify is struck. */
static void a_template_that_is_removed_while_it_is_verified_is_not_damaged(void **state) {
    unsigned n_gone = 0;

    for (int i = 0; i < 200; i++) {
        _cleanup_error_ struct error *error = NULL;
        int ready[2];
        char byte;

        publish(KEY_A, 70000);
        assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
        pid_t pid = fork();
        if (pid == 0) {
            const struct timespec delay = {.tv_nsec = i * 5000L};

            (void)!write(ready[1], "x", 1);
            (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &delay, NULL);
            _exit(template_remove(KEY_A, NULL) == 0 ? 0 : 1);
        }
        assert_int_equal(read(ready[0], &byte, 1), 1);

        int r = template_verify(KEY_A, &error);
        int status;

        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_true(r == 0 || r == -ENOENT);
        n_gone += r == -ENOENT;
        (void)close(ready[0]);
        (void)close(ready[1]);
    }
    assert_in_range(n_gone, 1, 200);
}

/* As if the template had last been used before the host was booted. */
static void reboot(void *const *state) {
    _cleanup_free_ char *path = in_store(state, KEY_A, "used");
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

    assert_int_equal(pwrite(fd, "00000000", 8, 0), 8);
}

static void after_a_boot_of_the_host_all_is_hashed_once(void **state) {
    _cleanup_free_ char *path = in_store(state, KEY_A, "memory");

    publish(KEY_A, 70000);
    flip(path, 5000);
    assert_true(is_there(KEY_A)); /* it was made since the last boot */
    flip(path, 5000);
    reboot(state);
    assert_true(is_there(KEY_A));
    flip(path, 5000);
    assert_true(is_there(KEY_A)); /* that it was looked at is noted */
    reboot(state);
    assert_false(is_there(KEY_A));
    assert_int_equal(count_entries(state), 0);
}

static void a_template_without_its_lock_file_is_hashed_and_used(void **state) {
    _cleanup_free_ char *used = in_store(state, KEY_A, "used");
    _cleanup_free_ char *memory = in_store(state, KEY_A, "memory");

    publish(KEY_A, 70000);
    assert_int_equal(unlink(used), 0);
    assert_true(is_there(KEY_A));
    assert_int_equal(unlink(used), 0);
    flip(memory, 5000);
    assert_false(is_there(KEY_A));
}

static void one_that_is_removed_stays_with_its_users(void **state) {
    _cleanup_template_ struct template template = TEMPLATE_NONE;
    char back[64];

    publish(KEY_A, 50000);
    assert_int_equal(template_open(KEY_A, &template, NULL), 0);
    assert_int_equal(template_remove(KEY_A, NULL), 0);
    assert_int_equal(count_entries(state), 0);
    assert_false(is_there(KEY_A));
    assert_int_equal(read(template.state_fd, back, sizeof(back)), strlen(STATE));
    publish(KEY_A, 10); /* a new one does not mind it */
    assert_true(is_there(KEY_A));
    expect_bytes(template.memory_fd, 4096, "\1\2\3", 3);
}

static void templates_are_listed_by_their_last_use(void **state) {
    static const char *const keys[] = {KEY_B, KEY_C, KEY_A};
    static const time_t times[] = {3000, 2000, 1000};
    _cleanup_free_ char *meta = in_store(state, KEY_C, "meta.json");
    struct template_entry *entries;
    size_t count;

    assert_int_equal(template_list(&entries, &count, NULL), 0);
    assert_int_equal(count, 0);
    template_list_free(entries, count);
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        _cleanup_free_ char *used = in_store(state, keys[i], "used");

        publish(keys[i], 300000);
        assert_int_equal(utimensat(AT_FDCWD, used, (struct timespec[]){{times[i], 0}, {times[i], 5}}, 0), 0);
    }
    assert_int_equal(truncate(meta, 3), 0);
    assert_int_equal(template_list(&entries, &count, NULL), 0);
    assert_int_equal(count, ARRAY_SIZE(keys));
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(entries[i].key, keys[i]);
        assert_int_equal(entries[i].last_used, times[i] * 1000000000 + 5);
        assert_true(entries[i].disk_size >= 300000 && entries[i].disk_size < 500000);
    }
    assert_string_equal(entries[0].source, example_meta.source);
    assert_string_equal(entries[0].kernel_release, example_meta.kernel_release);
    assert_string_equal(entries[0].qemu_version, example_meta.qemu_version);
    assert_int_equal(entries[0].memory_size, MEMORY_SIZE);
    assert_true(time(NULL) - entries[0].created / 1000000000 < 600);
    assert_null(entries[1].source); /* damaged: it is shown all the same */
    template_list_free(entries, count);
}

static void only_a_use_is_a_use(void **state) {
    _cleanup_free_ char *used = in_store(state, KEY_A, "used");
    struct template_entry *entries;
    struct stat status;
    size_t count;

    publish(KEY_A, 100);
    assert_int_equal(utimensat(AT_FDCWD, used, (struct timespec[]){{1000, 0}, {1000, 0}}, 0), 0);
    assert_int_equal(template_list(&entries, &count, NULL), 0);
    template_list_free(entries, count);
    assert_int_equal(template_verify(KEY_A, NULL), 0);
    assert_int_equal(stat(used, &status), 0);
    assert_int_equal(status.st_mtim.tv_sec, 1000);
    assert_true(is_there(KEY_A));
    assert_int_equal(stat(used, &status), 0);
    assert_true(time(NULL) - status.st_mtim.tv_sec < 600);
}

/* A path may hold any bytes, JSON only UTF-8. */
static void a_source_with_odd_bytes_is_kept_readable(void **state) {
    _cleanup_template_draft_ struct template_draft draft = TEMPLATE_DRAFT_NONE;
    const struct template_meta meta = {.source = "/a\xff\"\n\xc3\xa4/b"};
    struct template_entry *entries;
    size_t count;

    assert_int_equal(template_draft(KEY_A, &draft, NULL), 0);
    fill_draft(&draft, 10, false);
    assert_int_equal(template_publish(&draft, &meta, NULL), 0);
    assert_true(is_there(KEY_A));
    assert_int_equal(template_list(&entries, &count, NULL), 0);
    assert_string_equal(entries[0].source, "/a?\"\n\xc3\xa4/b");
    template_list_free(entries, count);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        in_cache(a_published_template_comes_back),
        in_cache(a_kernel_has_no_disk),
        in_cache(all_is_private_to_the_user),
        in_cache(without_a_template_there_is_none),
        in_cache(a_key_is_not_a_path),
        in_cache(what_was_damaged_is_thrown_away),
        in_cache(a_template_under_another_key_is_thrown_away),
        in_cache(memories_that_changed_places_are_noticed),
        in_cache(a_flipped_bit_of_the_memory_is_found_by_verify),
        in_cache(a_template_that_is_removed_while_it_is_verified_is_not_damaged),
        in_cache(after_a_boot_of_the_host_all_is_hashed_once),
        in_cache(a_template_without_its_lock_file_is_hashed_and_used),
        in_cache(one_that_is_removed_stays_with_its_users),
        in_cache(templates_are_listed_by_their_last_use),
        in_cache(only_a_use_is_a_use),
        in_cache(a_source_with_odd_bytes_is_kept_readable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
