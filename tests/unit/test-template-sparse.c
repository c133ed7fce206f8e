/* SPDX-License-Identifier: Apache-2.0 */
/* Sparse copies and their digests: the bytes and their places count, holes and chunks do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/str.h"
#include "template/sparse.h"

#define PAGE 4096
#define CHUNK (512 * 1024) /* as sparse.c reads */

/* A file of a file system with holes and times. */
static int make_file(void) {
    int fd = open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

    if (fd < 0)
        fd = memfd_create("file", MFD_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

struct piece {
    uint64_t offset;
    size_t size;
};

/* A file of that size with pieces of bytes that are not zero. */
static int make_pieces(uint64_t size, const struct piece *pieces, size_t count) {
    int fd = make_file();

    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    for (size_t i = 0; i < count; i++) {
        _cleanup_free_ char *bytes = xmalloc(pieces[i].size);

        for (size_t j = 0; j < pieces[i].size; j++)
            bytes[j] = (char)((pieces[i].offset + j) % 253 + 1);
        assert_int_equal(pwrite(fd, bytes, pieces[i].size, (off_t)pieces[i].offset), pieces[i].size);
    }
    return fd;
}

static char *digest(int fd, uint64_t size) {
    char *text = NULL;

    assert_int_equal(sparse_digest(fd, size, &text, NULL), 0);
    return text;
}

static void expect_same_bytes(int a, int b, uint64_t size) {
    static char first[PAGE * 16];
    static char second[PAGE * 16];
    struct stat status;

    assert_int_equal(fstat(b, &status), 0);
    assert_int_equal(status.st_size, size);
    for (uint64_t offset = 0; offset < size; offset += sizeof(first)) {
        ssize_t got = pread(a, first, sizeof(first), (off_t)offset);

        assert_int_equal(pread(b, second, sizeof(second), (off_t)offset), got);
        assert_memory_equal(first, second, got);
    }
}

static void copies_are_equal_and_have_the_same_digest(void **state) {
    static const struct {
        uint64_t size;
        struct piece pieces[4];
    } cases[] = {
        {0, {{0}}},
        {1, {{0}}},
        {1, {{0, 1}}},
        {PAGE, {{0}}},
        {PAGE - 1, {{PAGE - 2, 1}}},
        {10 * PAGE, {{3 * PAGE, PAGE}, {5 * PAGE + 7, 1}}},
        {10 * PAGE + 5, {{10 * PAGE + 4, 1}}},
        {10 * PAGE + 5, {{0, 10 * PAGE + 5}}},
        {4 * CHUNK, {{CHUNK - PAGE, 2 * PAGE}, {3 * CHUNK, CHUNK}}},
        {4 * CHUNK, {{0, 4 * CHUNK}}},
        {UINT64_C(1) << 32, {{0, 1}, {UINT64_C(1) << 31, 3 * PAGE}, {(UINT64_C(1) << 32) - 1, 1}}},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        size_t count = 0;
        _cleanup_close_ int to = make_file();
        _cleanup_free_ char *copied = NULL;

        while (count < ARRAY_SIZE(cases[i].pieces) && cases[i].pieces[count].size > 0)
            count++;
        _cleanup_close_ int from = make_pieces(cases[i].size, cases[i].pieces, count);
        assert_int_equal(sparse_copy(from, to, cases[i].size, UINT64_MAX, &copied, NULL), 0);
        if (cases[i].size < UINT64_C(1) << 30)
            expect_same_bytes(from, to, cases[i].size);
        _cleanup_free_ char *of_source = digest(from, cases[i].size);
        _cleanup_free_ char *of_copy = digest(to, cases[i].size);
        assert_string_equal(copied, of_source);
        assert_string_equal(copied, of_copy);
    }
}

static void bytes_places_and_sizes_count(void **state) {
    static const struct {
        uint64_t size;
        struct piece pieces[2];
    } cases[] = {
        {8 * PAGE, {{0}}},
        {8 * PAGE + 1, {{0}}},
        {16 * PAGE, {{0}}},
        {8 * PAGE, {{0, 1}}},
        {8 * PAGE, {{1, 1}}},
        {8 * PAGE, {{PAGE - 1, 1}}},
        {8 * PAGE, {{PAGE, PAGE}}},
        {8 * PAGE, {{PAGE, 2 * PAGE}}},
        {8 * PAGE, {{PAGE, PAGE}, {3 * PAGE, PAGE}}},
        {8 * PAGE, {{8 * PAGE - 1, 1}}},
    };
    char *digests[ARRAY_SIZE(cases)];

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        size_t count = (cases[i].pieces[0].size > 0) + (cases[i].pieces[1].size > 0);
        _cleanup_close_ int fd = make_pieces(cases[i].size, cases[i].pieces, count);

        digests[i] = digest(fd, cases[i].size);
        for (size_t j = 0; j < i; j++) {
            if (str_equal(digests[i], digests[j]))
                fail_msg("%zu and %zu have the same digest", i, j);
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        free(digests[i]);
}

/* The same page at another place, with nothing else to tell them apart. */
static void a_page_that_moved_is_noticed(void **state) {
    char *digests[4];

    for (size_t i = 0; i < ARRAY_SIZE(digests); i++) {
        _cleanup_close_ int fd = make_file();

        assert_int_equal(ftruncate(fd, 8 * PAGE), 0);
        assert_int_equal(pwrite(fd, "x", 1, (off_t)i * 2 * PAGE), 1);
        digests[i] = digest(fd, 8 * PAGE);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(digests[i], digests[j]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(digests); i++)
        free(digests[i]);
}

static void zeros_that_were_written_do_not_count(void **state) {
    /* Where the first file has holes, it is read from the piece on, the second from its beginning: in other chunks. */
    const struct piece piece = {3 * PAGE, 2 * CHUNK};
    const uint64_t size = 4 * CHUNK;
    _cleanup_close_ int hollow = make_pieces(size, &piece, 1);
    _cleanup_close_ int full = make_file();
    _cleanup_close_ int copy = make_file();
    _cleanup_free_ char *bytes = xmalloc(size);
    _cleanup_free_ char *copied = NULL;
    struct stat status;

    assert_int_equal(pread(hollow, bytes, size, 0), size);
    assert_int_equal(pwrite(full, bytes, size, 0), size);
    _cleanup_free_ char *first = digest(hollow, size);
    _cleanup_free_ char *second = digest(full, size);
    assert_string_equal(first, second);
    assert_int_equal(sparse_copy(full, copy, size, piece.size, &copied, NULL), 0);
    assert_string_equal(copied, first);
    assert_int_equal(fstat(copy, &status), 0);
    assert_true((uint64_t)status.st_blocks * 512 <= piece.size + 16 * PAGE);
}

static void a_byte_anywhere_in_a_page_keeps_it(void **state) {
    for (size_t at = 0; at < PAGE; at += at < 64 || at > PAGE - 64 ? 1 : 61) {
        _cleanup_close_ int fd = make_file();
        _cleanup_close_ int copy = make_file();
        _cleanup_free_ char *copied = NULL;
        char back = 0;

        assert_int_equal(ftruncate(fd, PAGE), 0);
        assert_int_equal(pwrite(fd, "x", 1, (off_t)at), 1);
        assert_int_equal(sparse_copy(fd, copy, PAGE, UINT64_MAX, &copied, NULL), 0);
        assert_int_equal(pread(copy, &back, 1, (off_t)at), 1);
        assert_int_equal(back, 'x');
    }
}

static void the_limit_counts_what_is_written(void **state) {
    const struct piece pieces[] = {{PAGE, PAGE}, {100 * PAGE, 2 * PAGE}};
    _cleanup_close_ int from = make_pieces(1000 * PAGE, pieces, 2);
    _cleanup_error_ struct error *error = NULL;
    char *text = NULL;

    for (uint64_t limit = 0; limit <= 4 * PAGE; limit += PAGE) {
        _cleanup_close_ int to = make_file();
        int r = sparse_copy(from, to, 1000 * PAGE, limit, &text, error ? NULL : &error);

        assert_int_equal(r, limit < 3 * PAGE ? -EDQUOT : 0);
        assert_int_equal(text != NULL, r == 0);
        free(text);
        text = NULL;
    }
    assert_non_null(strstr(error_message(error), "more than 0 bytes"));
}

static void a_file_that_is_too_short_is_an_error(void **state) {
    const struct piece piece = {0, PAGE};
    _cleanup_close_ int from = make_pieces(4 * PAGE, &piece, 1);
    _cleanup_close_ int to = make_file();
    _cleanup_error_ struct error *error = NULL;
    char *text = NULL;

    assert_int_equal(sparse_digest(from, 4 * PAGE + 1, &text, &error), -ENODATA);
    assert_int_equal(sparse_copy(from, to, 5 * PAGE, UINT64_MAX, &text, NULL), -ENODATA);
    assert_int_equal(sparse_digest(-1, PAGE, &text, NULL), -EBADF);
    assert_null(text);
    assert_non_null(error);
}

/* /dev/zero tells no holes (and has no size): all of it is read and compared. */
static void a_source_without_holes_is_compared_with_zero(void **state) {
    _cleanup_close_ int from = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    _cleanup_close_ int hole = make_file();
    _cleanup_close_ int to = make_file();
    _cleanup_free_ char *copied = NULL;
    struct stat status;

    assert_int_equal(ftruncate(hole, 3 * CHUNK + 5), 0);
    assert_int_equal(sparse_copy(from, to, 3 * CHUNK + 5, 0, &copied, NULL), 0);
    _cleanup_free_ char *expected = digest(hole, 3 * CHUNK + 5);
    assert_string_equal(copied, expected);
    assert_int_equal(fstat(to, &status), 0);
    assert_int_equal(status.st_size, 3 * CHUNK + 5);
    assert_int_equal(status.st_blocks, 0);
}

/* From here on this process sees a file system that has no SEEK_DATA. 0, or -1 where that cannot be had. */
static int forget_seek_data(void) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_lseek, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SEEK_DATA, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {ARRAY_SIZE(filter), filter};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void a_file_system_without_seek_data_is_read_whole(void **state) {
    const struct piece pieces[] = {{PAGE, 1}, {CHUNK - PAGE, 3 * PAGE}};
    _cleanup_close_ int fd = make_pieces(3 * CHUNK, pieces, 2);
    _cleanup_free_ char *before = digest(fd, 3 * CHUNK);
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        char *text = NULL;

        if (forget_seek_data() < 0)
            _exit(0); /* such a kernel */
        if (lseek(fd, 0, SEEK_DATA) >= 0 || sparse_digest(fd, 3 * CHUNK, &text, NULL) < 0)
            _exit(1);
        _exit(str_equal(text, before) ? 0 : 2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_are_equal_and_have_the_same_digest),
        cmocka_unit_test(bytes_places_and_sizes_count),
        cmocka_unit_test(a_page_that_moved_is_noticed),
        cmocka_unit_test(zeros_that_were_written_do_not_count),
        cmocka_unit_test(a_byte_anywhere_in_a_page_keeps_it),
        cmocka_unit_test(the_limit_counts_what_is_written),
        cmocka_unit_test(a_file_that_is_too_short_is_an_error),
        cmocka_unit_test(a_source_without_holes_is_compared_with_zero),
        cmocka_unit_test(a_file_system_without_seek_data_is_read_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
