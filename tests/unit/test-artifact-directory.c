/* SPDX-License-Identifier: Apache-2.0 */
/* What --artifacts keeps: names of directories, the files in them, and what a failure leaves there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <signal.h>

#include "base/file.h"
#include "report/result.h"
#include "report/sink.h"
#include "event/artifact-directory.h"

static char base[] = "/tmp/vmtest-test-artifacts-XXXXXX";

static int make_base(void **state) {
    (void)state;
    (void)strcpy(base + sizeof(base) - 7, "XXXXXX");
    return mkdtemp(base) ? 0 : -1;
}

static int remove_base(void **state) {
    _cleanup_free_ char *command = xasprintf("rm -rf '%s'", base);

    (void)state;
    return system(command);
}

static char *content(const char *directory, const char *name) {
    _cleanup_free_ char *path = xasprintf("%s/%s", directory, name);
    struct buffer text = {0};

    if (file_read(path, 1 << 20, &text, NULL) < 0)
        return NULL;
    return buffer_take(&text);
}

static void a_plain_name_stays_and_any_other_gets_one_of_its_own(void **state) {
    static const struct {
        const char *target;
        const char *begins;
        bool same;
    } cases[] = {
        {"load-6.1_x", "load-6.1_x", true},
        {"xdp on 6.1", "xdp_on_6.1-", false},
        {"../../etc", "_._.._etc-", false},
        {"..", "_.-", false},
        {".hidden", "_hidden-", false},
        {"", "-", false},
        {"a/b", "a_b-", false},
        {"\xc3\xa4", "__-", false},
        {"a\nb", "a_b-", false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *name = artifacts_name(cases[i].target);

        assert_non_null(str_skip_prefix(name, cases[i].begins));
        assert_int_equal(str_equal(name, cases[i].target), cases[i].same);
        assert_null(strchr(name, '/'));
    }

    _cleanup_free_ char *one = artifacts_name("a b");
    _cleanup_free_ char *other = artifacts_name("a/b");
    assert_string_not_equal(one, other);

    char longest[5000];
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    _cleanup_free_ char *cut = artifacts_name(longest);
    assert_true(strlen(cut) < 128);
}

/* As for a target's first attempt; the descriptor stays open until the test ends. */
static int make(const char *root, const char *target, char **ret_path, int *ret_directory, struct error **ret_error) {
    _cleanup_free_ char *real = NULL;

    *ret_directory = -1;
    return artifacts_make_attempt(root, target, 1, &real, ret_directory, ret_path, ret_error);
}

static void an_earlier_runs_files_are_gone_and_others_stay(void **state) {
    _cleanup_close_ int directory = -1;
    _cleanup_free_ char *path = NULL;
    _cleanup_free_ char *again = NULL;

    assert_int_equal(make(base, "t", &path, &directory, NULL), 0);
    _cleanup_free_ char *old = xasprintf("%s/%s", path, ARTIFACT_MEMORY);
    _cleanup_free_ char *begun = xasprintf("%s/%s", path, ARTIFACT_MEMORY_NEW);
    _cleanup_free_ char *mine = xasprintf("%s/notes", path);
    assert_int_equal(file_write_atomically(old, "old", 3, 0600, NULL), 0);
    assert_int_equal(file_write_atomically(begun, "ol", 2, 0600, NULL), 0);
    assert_int_equal(file_write_atomically(mine, "mine", 4, 0600, NULL), 0);
    assert_int_equal(make(base, "t", &again, &directory, NULL), 0);
    assert_string_equal(path, again);
    assert_false(path_exists(old));
    assert_false(path_exists(begun));
    assert_true(path_exists(mine));
}

static void a_place_that_is_no_directory_is_refused(void **state) {
    _cleanup_close_ int directory = -1;
    _cleanup_free_ char *file = xasprintf("%s/file", base);
    _cleanup_free_ char *path = NULL;
    _cleanup_error_ struct error *error = NULL;

    assert_int_equal(file_write_atomically(file, "", 0, 0600, NULL), 0);
    assert_true(make(file, "t", &path, &directory, &error) < 0);
    assert_null(path);
    assert_non_null(strstr(error_message(error), "--artifacts"));
}

/* As a guest may make them where the directory is shared. */
static void a_link_in_a_directorys_place_is_refused(void **state) {
    _cleanup_free_ char *root = xasprintf("%s/art", base);
    _cleanup_free_ char *moved = xasprintf("%s/moved", base);
    _cleanup_free_ char *elsewhere = xasprintf("%s/elsewhere", base);
    _cleanup_free_ char *own = xasprintf("%s/t", root);
    _cleanup_free_ char *attempt = xasprintf("%s/other/attempt-2", root);
    _cleanup_free_ char *real = NULL;
    _cleanup_free_ char *path = NULL;
    static const struct {
        const char *target;
        unsigned attempt;
    } refused[] = {{"t", 1}, {"t", 2}, {"other", 2}};
    int directory = -1;

    assert_int_equal(mkdir(elsewhere, 0700), 0);
    assert_int_equal(artifacts_make_attempt(root, "other", 1, &real, &directory, &path, NULL), 0);
    assert_int_equal(symlink(elsewhere, own), 0);
    assert_int_equal(symlink(elsewhere, attempt), 0);
    directory = fd_close(directory);
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        _cleanup_error_ struct error *error = NULL;
        char *none = NULL;

        assert_true(
            artifacts_make_attempt(root, refused[i].target, refused[i].attempt, &real, &directory, &none, &error) < 0);
        assert_non_null(strstr(error_message(error), "--artifacts"));
        assert_true(directory < 0 && !none);
    }
    assert_int_equal(rename(root, moved), 0);
    assert_int_equal(symlink(elsewhere, root), 0);
    assert_true(artifacts_make_attempt(root, "new", 1, &real, &directory, &path, NULL) < 0);
    assert_int_equal(rmdir(elsewhere), 0); /* it is empty */
}

/* What it names may lead elsewhere as soon as a guest runs: what is kept goes where it was. */
static void a_directory_that_is_replaced_later_is_not_followed(void **state) {
    struct sink *sink = sink_artifacts_new("vmtest -c F", false);
    struct run_result result = RUN_RESULT_EMPTY;
    _cleanup_free_ char *elsewhere = xasprintf("%s/elsewhere", base);
    _cleanup_free_ char *moved = xasprintf("%s/moved", base);
    _cleanup_free_ char *path = NULL;
    int directory;

    assert_int_equal(mkdir(elsewhere, 0700), 0);
    assert_int_equal(make(base, "t", &path, &directory, NULL), 0);
    sink->handle(sink, &(struct event){.type = EVENT_STARTED, .target = "t", .text = path, .directory = directory});
    assert_int_equal(rename(path, moved), 0);
    assert_int_equal(symlink(elsewhere, path), 0);
    sink->handle(sink, &(struct event){.type = EVENT_FINISHED, .target = "t", .result = &result});
    assert_null(sink_artifacts_error(sink));
    sink->free(sink);
    assert_int_equal(rmdir(elsewhere), 0); /* it is empty */
    _cleanup_free_ char *text = content(moved, ARTIFACT_RESULT);
    assert_non_null(text);
    (void)fd_close(directory);
}

static void send(struct sink *sink, struct event event) {
    event.target = "t";
    sink->handle(sink, &event);
}

static void send_run(struct sink *sink, const char *path, int directory, const struct run_result *result) {
    send(sink, (struct event){.type = EVENT_STARTED, .text = path, .directory = directory});
    send(sink, (struct event){.type = EVENT_CONSOLE, .data = "a\0b\xff\n", .size = 5});
    send(sink, (struct event){.type = EVENT_OUTPUT, .stream = OUTPUT_STDOUT, .data = "out 1\n", .size = 6});
    send(sink, (struct event){.type = EVENT_OUTPUT, .stream = OUTPUT_STDERR, .data = "err\n", .size = 4});
    send(sink, (struct event){.type = EVENT_OUTPUT, .stream = OUTPUT_STDOUT, .data = "out 2\n", .size = 6});
    send(sink, (struct event){.type = EVENT_FINISHED, .result = result});
}

static void each_stream_has_its_file_and_the_result_its_own(void **state) {
    _cleanup_close_ int directory = -1;
    struct sink *sink = sink_artifacts_new("vmtest -c F", false);
    _cleanup_free_ char *path = NULL;
    struct run_result result = RUN_RESULT_EMPTY;

    result.verdict = VERDICT_FAIL;
    result.detail = 3;
    result.reason = "the command exited with code 3";
    assert_int_equal(make(base, "t", &path, &directory, NULL), 0);
    send_run(sink, path, directory, &result);
    assert_null(sink_artifacts_error(sink));
    sink->finish(sink, &(struct run_summary){.n_targets = 1, .n_not_passed = 1});
    sink->free(sink);

    _cleanup_free_ char *out = content(path, ARTIFACT_STDOUT);
    _cleanup_free_ char *err = content(path, ARTIFACT_STDERR);
    _cleanup_free_ char *again = content(path, ARTIFACT_AGAIN);
    _cleanup_free_ char *events = content(path, ARTIFACT_EVENTS);
    _cleanup_free_ char *text = content(path, ARTIFACT_RESULT);
    _cleanup_free_ char *console_path = xasprintf("%s/%s", path, ARTIFACT_CONSOLE);
    _cleanup_buffer_ struct buffer console = {0};
    assert_string_equal(out, "out 1\nout 2\n");
    assert_string_equal(err, "err\n");
    assert_string_equal(again, "vmtest -c F -f '^t$'\n");
    assert_int_equal(file_read(console_path, 100, &console, NULL), 0);
    assert_int_equal(console.size, 5);
    assert_memory_equal(console.data, "a\0b\xff\n", 5);
    assert_non_null(strstr(events, "{\"event\":\"started\",\"target\":\"t\""));
    assert_non_null(strstr(events, "{\"event\":\"finished\",\"target\":\"t\""));

    json_t *object = json_loads(text, 0, NULL);
    assert_non_null(object);
    assert_string_equal(json_string_value(json_object_get(object, "verdict")), "fail");
    assert_int_equal(json_integer_value(json_object_get(object, "status")), 3);
    assert_string_equal(json_string_value(json_object_get(object, "run_again")), "vmtest -c F -f '^t$'");
    json_decref(object);
}

/* A disk that is full, as a limit on the size of files shows it too. */
static void a_file_that_cannot_be_written_to_its_end_is_not_left_there(void **state) {
    _cleanup_close_ int directory = -1;
    struct sink *sink = sink_artifacts_new("vmtest", true);
    struct run_result result = RUN_RESULT_EMPTY;
    struct rlimit old;
    struct rlimit small = {.rlim_cur = 5, .rlim_max = RLIM_INFINITY};
    _cleanup_free_ char *path = NULL;

    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    assert_int_equal(make(base, "t", &path, &directory, NULL), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    send_run(sink, path, directory, &result);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);

    _cleanup_free_ char *out = content(path, ARTIFACT_STDOUT);
    _cleanup_free_ char *err = content(path, ARTIFACT_STDERR);
    _cleanup_free_ char *text = content(path, ARTIFACT_RESULT);
    assert_null(out);
    assert_string_equal(err, "err\n");
    assert_null(text);
    assert_non_null(sink_artifacts_error(sink));
    sink->free(sink);
}

static void a_target_is_chosen_by_its_name_alone(void **state) {
    static const struct {
        const char *name;
        const char *line;
    } cases[] = {
        {NULL, "vmtest"},
        {"plain", "vmtest -f '^plain$'"},
        {"6.1 (x)", "vmtest -f '^6\\.1 \\(x\\)$'"},
        {"a'b", "vmtest -f '^a'\\''b$'"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *line = result_again_line("vmtest", cases[i].name);

        assert_string_equal(line, cases[i].line);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_name_stays_and_any_other_gets_one_of_its_own),
        cmocka_unit_test_setup_teardown(an_earlier_runs_files_are_gone_and_others_stay, make_base, remove_base),
        cmocka_unit_test_setup_teardown(a_directory_that_is_replaced_later_is_not_followed, make_base, remove_base),
        cmocka_unit_test_setup_teardown(a_link_in_a_directorys_place_is_refused, make_base, remove_base),
        cmocka_unit_test_setup_teardown(a_place_that_is_no_directory_is_refused, make_base, remove_base),
        cmocka_unit_test_setup_teardown(each_stream_has_its_file_and_the_result_its_own, make_base, remove_base),
        cmocka_unit_test_setup_teardown(a_file_that_cannot_be_written_to_its_end_is_not_left_there, make_base,
                                        remove_base),
        cmocka_unit_test(a_target_is_chosen_by_its_name_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
