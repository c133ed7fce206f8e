/* SPDX-License-Identifier: Apache-2.0 */
/* The key of a template covers every input; digests and identities notice every change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/digest.h"
#include "template/key.h"
#include "template/sparse.h"

/* Strings as struct strv holds them. */
static char word_qemu[] = "qemu", word_m[] = "-m", word_4g[] = "4G";
static char word_empty[] = "";
static char *arguments[] = {word_qemu, word_m, word_4g};

/* Every field has a value of its own. */
static const struct template_inputs all = {
    .format = 1,
    .kernel = "kernel",
    .initrd = "initrd",
    .agent = "agent",
    .firmware = "firmware",
    .firmware_vars = "vars",
    .qemu = "qemu",
    .qemu_data = "data",
    .image = "image",
    .image_chain = "chain",
    .accel = "tcg",
    .host_cpu = "cpu",
    .host_flags = "flags",
    .host_kernel = "6.1",
    .arguments = {arguments, ARRAY_SIZE(arguments)},
};

static void expect_other_key(const struct template_inputs *a, const struct template_inputs *b, const char *what) {
    _cleanup_free_ char *first = template_key(a);
    _cleanup_free_ char *second = template_key(b);

    if (strcmp(first, second) == 0)
        fail_msg("%s does not change the key", what);
}

static void the_key_is_that_of_before(void **state) {
    /* Computed by another program: name and value of each field, each with its length as 8 bytes, all ones for NULL. */
    static const struct {
        struct template_inputs inputs;
        const char *key;
    } cases[] = {
        {{0}, "c792252e2024b5314fce5b3bf0c1d986"},
        {{.format = 1, .kernel = "", .accel = "kvm"}, "3103ee2ce1ac0b08685ef19b8d82fb50"},
    };
    _cleanup_free_ char *key = template_key(&all);

    assert_string_equal(key, "ea4b9acc2699493925392eb382468868");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *other = template_key(&cases[i].inputs);

        assert_string_equal(other, cases[i].key);
    }
}

static void the_table_covers_the_struct_without_a_gap(void **state) {
    static const size_t sizes[] = {
        [TEMPLATE_INPUT_NUMBER] = sizeof(uint64_t),
        [TEMPLATE_INPUT_STRING] = sizeof(const char *),
        [TEMPLATE_INPUT_STRINGS] = sizeof(struct strv),
    };
    size_t end = 0;

    for (size_t i = 0; i < TEMPLATE_INPUT_COUNT; i++) {
        assert_int_equal(template_input_rows[i].offset, end);
        end += sizes[template_input_rows[i].type];
    }
    assert_int_equal(end, sizeof(struct template_inputs));
}

static void change_strings(const struct template_inputs *inputs, struct strv *field, const char *name) {
    struct strv before = *field;
    char *reversed[] = {before.items[before.count - 1], before.items[0]};
    char *joined = xasprintf("%s%s", before.items[0], before.items[1]);
    char *shorter[] = {joined};
    char *longer[] = {before.items[0], word_empty};

    for (size_t i = 0; i < before.count; i++) {
        _cleanup_free_ char *other = xasprintf("%s ", before.items[i]);
        char *item = before.items[i];

        before.items[i] = other;
        _cleanup_free_ char *key = template_key(inputs);
        before.items[i] = item;
        _cleanup_free_ char *old = template_key(inputs);
        assert_string_not_equal(key, old);
    }
    const struct strv others[] = {{0}, {before.items, 1}, {reversed, 2}, {shorter, 1}, {longer, 2}};
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        *field = others[i];
        expect_other_key(inputs, &all, name);
        for (size_t j = 0; j < i; j++) {
            struct template_inputs second = *inputs;

            *(struct strv *)((char *)&second + ((char *)field - (char *)inputs)) = others[j];
            expect_other_key(inputs, &second, name);
        }
    }
    free(joined);
}

static void each_input_changes_the_key(void **state) {
    for (size_t i = 0; i < TEMPLATE_INPUT_COUNT; i++) {
        const struct template_input_row *row = &template_input_rows[i];
        struct template_inputs inputs = all;
        void *field = (char *)&inputs + row->offset;

        switch (row->type) {
        case TEMPLATE_INPUT_NUMBER:
            for (unsigned bit = 0; bit < 64; bit++) {
                *(uint64_t *)field ^= UINT64_C(1) << bit;
                expect_other_key(&inputs, &all, row->name);
                *(uint64_t *)field ^= UINT64_C(1) << bit;
            }
            break;
        case TEMPLATE_INPUT_STRING: {
            static const char *const values[] = {NULL, "", "\xff", "another"};
            const char *before = *(const char **)field;

            /* A template input that this test has no value for would make it see nothing. */
            assert_non_null(before);
            for (size_t j = 0; j < ARRAY_SIZE(values); j++) {
                struct template_inputs second = inputs;

                *(const char **)field = values[j];
                expect_other_key(&inputs, &all, row->name);
                expect_other_key(&inputs, &second, row->name);
            }
            break;
        }
        case TEMPLATE_INPUT_STRINGS:
            change_strings(&inputs, field, row->name);
            break;
        }
    }
}

/* A byte of one field that becomes a byte of the next, or a whole value that becomes the next one's. */
static void neighbours_are_told_apart(void **state) {
    for (size_t i = 0; i + 1 < TEMPLATE_INPUT_COUNT; i++) {
        static const char *const pairs[][2] = {
            {"ab", "c"}, {"a", "bc"}, {"abc", ""}, {"", "abc"}, {"abc", NULL}, {NULL, "abc"}, {NULL, ""}, {"", NULL},
        };
        const struct template_input_row *row = &template_input_rows[i];
        struct template_inputs inputs[ARRAY_SIZE(pairs)];

        if (row[0].type != TEMPLATE_INPUT_STRING || row[1].type != TEMPLATE_INPUT_STRING)
            continue;
        for (size_t j = 0; j < ARRAY_SIZE(pairs); j++) {
            inputs[j] = all;
            *(const char **)((char *)&inputs[j] + row[0].offset) = pairs[j][0];
            *(const char **)((char *)&inputs[j] + row[1].offset) = pairs[j][1];
            for (size_t k = 0; k < j; k++)
                expect_other_key(&inputs[j], &inputs[k], row->name);
        }
    }
}

static void where_a_word_of_the_list_ends_counts(void **state) {
    struct template_inputs first = all;
    struct template_inputs second = all;
    char joined[] = "qemu-m";
    char *two[] = {word_qemu, word_m};
    char *one[] = {joined};

    (void)state;
    first.arguments = (struct strv){two, 2};
    second.arguments = (struct strv){one, 1};
    expect_other_key(&first, &second, "where the words part");
}

static void the_key_does_not_depend_on_where_the_texts_are(void **state) {
    struct template_inputs copy = all;
    _cleanup_strv_ struct strv list = {0};
    _cleanup_free_ char *kernel = xstrdup("kernel");
    _cleanup_free_ char *expected = template_key(&all);

    strv_copy(&list, &all.arguments);
    copy.arguments = list;
    copy.kernel = kernel;
    _cleanup_free_ char *key = template_key(&copy);
    assert_string_equal(key, expected);
    assert_int_equal(strlen(key), TEMPLATE_KEY_LENGTH);
    assert_int_equal(strspn(key, "0123456789abcdef"), TEMPLATE_KEY_LENGTH);
}

static int make_directory(void **state) {
    char *path = xstrdup("/tmp/vmtest-key-XXXXXX");

    *state = path;
    return mkdtemp(path) ? 0 : -1;
}

static int remove_directory(void **state) {
    _cleanup_free_ char *path = *state;
    _cleanup_free_ char *command = xasprintf("rm -rf -- '%s'", path);

    return system(command);
}

static void write_file(const char *path, const void *data, size_t size) {
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, data, size), 0);
}

static void a_digest_is_the_same_from_memory_and_file(void **state) {
    _cleanup_free_ char *path = xasprintf("%s/file", (char *)*state);
    size_t size = 3 * 1024 * 1024 + 17;
    _cleanup_free_ char *data = xmalloc(size);
    _cleanup_free_ char *from_fd = NULL;
    _cleanup_free_ char *from_file = NULL;
    _cleanup_free_ char *changed = NULL;
    _cleanup_error_ struct error *error = NULL;

    for (size_t i = 0; i < size; i++)
        data[i] = (char)(i * 13 + (i >> 9));
    write_file(path, data, size);
    _cleanup_free_ char *expected = digest_buffer(data, size);
    _cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(lseek(fd, 1000, SEEK_SET), 1000);
    assert_int_equal(digest_fd(fd, &from_fd, NULL), 0);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 1000);
    assert_int_equal(digest_file(path, &from_file, NULL), 0);
    assert_string_equal(from_fd, expected);
    assert_string_equal(from_file, expected);
    assert_int_equal(pwrite(fd, "x", 1, (off_t)size - 1), 1);
    assert_int_equal(digest_fd(fd, &changed, NULL), 0);
    assert_string_not_equal(changed, expected);
    assert_int_equal(digest_file("/nonexistent/file", &changed, &error), -ENOENT);
    assert_non_null(strstr(error_message(error), "/nonexistent/file"));
}

static void digests_are_those_of_xxh3(void **state) {
    /* Of `printf '' | xxhsum -H2` and `printf abc | xxhsum -H2`. */
    _cleanup_free_ char *empty = digest_buffer("", 0);
    _cleanup_free_ char *abc = digest_buffer("abc", 3);

    assert_string_equal(empty, "99aa06d3014798d86001c324468d497f");
    assert_string_equal(abc, "06b05ab6733a618578af5f94892f3950");
}

static char *identity(int (*of)(const char *, char **, struct error **), const char *path) {
    char *text = NULL;

    assert_int_equal(of(path, &text, NULL), 0);
    return text;
}

static void expect_change(int (*of)(const char *, char **, struct error **), const char *path, char **text,
                          bool changed) {
    char *now = identity(of, path);

    assert_int_equal(!str_equal(now, *text), changed);
    free(*text);
    *text = now;
}

static void an_identity_changes_with_the_file(void **state) {
    _cleanup_free_ char *path = xasprintf("%s/file", (char *)*state);
    _cleanup_free_ char *other = xasprintf("%s/other", (char *)*state);
    const struct timespec times[] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000, .tv_nsec = 1}};
    const struct timespec same[] = {times[0], times[0]};

    write_file(path, "data", 4);
    assert_int_equal(utimensat(AT_FDCWD, path, same, 0), 0);
    _cleanup_free_ char *text = identity(digest_file_identity, path);
    expect_change(digest_file_identity, path, &text, false);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0); /* by a nanosecond */
    expect_change(digest_file_identity, path, &text, true);
    write_file(other, "data", 4);
    assert_int_equal(utimensat(AT_FDCWD, other, times, 0), 0);
    assert_int_equal(rename(other, path), 0);
    expect_change(digest_file_identity, path, &text, true);
    assert_int_equal(truncate(path, 3), 0);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    expect_change(digest_file_identity, path, &text, true);
}

static void the_head_of_an_image_is_looked_at(void **state) {
    _cleanup_free_ char *path = xasprintf("%s/image", (char *)*state);
    _cleanup_free_ char *data = xcalloc(1, 70000);
    const struct timespec times[] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    _cleanup_error_ struct error *error = NULL;
    char *none = NULL;

    write_file(path, data, 70000);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    _cleanup_free_ char *text = identity(digest_image_identity, path);
    data[65535] = 'x';
    write_file(path, data, 70000);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    expect_change(digest_image_identity, path, &text, true);
    assert_int_equal(utimensat(AT_FDCWD, path, NULL, 0), 0);
    expect_change(digest_image_identity, path, &text, true);
    assert_int_equal(digest_image_identity("/dev/null", &none, &error), -ENOTSUP);
    assert_null(none);
}

static void a_directory_is_known_by_its_files(void **state) {
    const char *directory = *state;
    _cleanup_free_ char *a = xasprintf("%s/a", directory);
    _cleanup_free_ char *b = xasprintf("%s/b", directory);
    _cleanup_free_ char *c = xasprintf("%s/c", directory);
    _cleanup_free_ char *sub = xasprintf("%s/sub", directory);
    const struct timespec times[] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};

    write_file(a, "a", 1);
    write_file(b, "b", 1);
    assert_int_equal(utimensat(AT_FDCWD, a, times, 0), 0);
    assert_int_equal(utimensat(AT_FDCWD, b, times, 0), 0);
    _cleanup_free_ char *text = identity(digest_directory_identity, directory);
    assert_int_equal(mkdir(sub, 0700), 0);
    expect_change(digest_directory_identity, directory, &text, false);
    assert_int_equal(rename(a, c), 0);
    expect_change(digest_directory_identity, directory, &text, true);
    /* The same names, made in another order. */
    assert_int_equal(rename(c, a), 0);
    _cleanup_free_ char *before = identity(digest_directory_identity, directory);
    assert_int_equal(rename(b, c), 0);
    assert_int_equal(rename(c, b), 0);
    expect_change(digest_directory_identity, directory, &before, false);
    assert_int_equal(utimensat(AT_FDCWD, a, NULL, 0), 0);
    expect_change(digest_directory_identity, directory, &before, true);
    assert_int_equal(utimensat(AT_FDCWD, a, times, 0), 0);
    expect_change(digest_directory_identity, directory, &before, true);
    assert_int_equal(truncate(a, 0), 0);
    assert_int_equal(utimensat(AT_FDCWD, a, times, 0), 0);
    expect_change(digest_directory_identity, directory, &before, true);
    assert_int_equal(symlink("a", c), 0);
    expect_change(digest_directory_identity, directory, &before, true);
}

/* On a tmpfs, files come in the opposite order of their making. */
static void the_order_of_a_directory_does_not_count(void **state) {
    char paths[2][32] = {"/dev/shm/vmtest-key-XXXXXX", "/dev/shm/vmtest-key-XXXXXX"};
    const struct timespec times[] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    char *identities[2];

    if (!path_is_directory("/dev/shm"))
        return;
    for (unsigned i = 0; i < 2; i++) {
        assert_non_null(mkdtemp(paths[i]));
        for (unsigned j = 0; j < 4; j++) {
            _cleanup_free_ char *path = xasprintf("%s/%u", paths[i], i ? j : 3 - j);

            write_file(path, "x", 1);
            assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
        }
        identities[i] = identity(digest_directory_identity, paths[i]);
        _cleanup_free_ char *command = xasprintf("rm -r %s", paths[i]);
        assert_int_equal(system(command), 0);
    }
    assert_string_equal(identities[0], identities[1]);
    free(identities[0]);
    free(identities[1]);
}

#define in_directory(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_key_is_that_of_before),
        cmocka_unit_test(the_table_covers_the_struct_without_a_gap),
        cmocka_unit_test(each_input_changes_the_key),
        cmocka_unit_test(neighbours_are_told_apart),
        cmocka_unit_test(where_a_word_of_the_list_ends_counts),
        cmocka_unit_test(the_key_does_not_depend_on_where_the_texts_are),
        cmocka_unit_test(digests_are_those_of_xxh3),
        in_directory(a_digest_is_the_same_from_memory_and_file),
        in_directory(an_identity_changes_with_the_file),
        in_directory(the_head_of_an_image_is_looked_at),
        in_directory(a_directory_is_known_by_its_files),
        cmocka_unit_test(the_order_of_a_directory_does_not_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
