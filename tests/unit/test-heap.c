/* SPDX-License-Identifier: Apache-2.0 */
/* A heap that has been settled holds what it held, for the process and for those that it forks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

#include "base/heap.h"
#include "base/str.h"

#define N_PIECES 60000u /* with their text, some megabytes */

static char *pieces[N_PIECES];

static bool pieces_are_whole(void) {
    for (unsigned i = 0; i < N_PIECES; i++) {
        _cleanup_free_ char *expected = xasprintf("%0100u", i);

        if (pieces[i] && !str_equal(pieces[i], expected))
            return false;
    }
    return true;
}

static void memory_stays_as_it_is(void **state) {
    int status = -1;

    heap_settle(); /* a small one */
    for (unsigned i = 0; i < N_PIECES; i++)
        pieces[i] = xasprintf("%0100u", i);
    for (unsigned i = 0; i < N_PIECES; i += 3) {
        free(pieces[i]);
        pieces[i] = NULL;
    }
    heap_settle();
    assert_true(pieces_are_whole());

    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        for (unsigned i = 0; i < N_PIECES; i++) {
            if (pieces[i])
                pieces[i][0] = 'x';
        }
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_true(pieces_are_whole());
    for (unsigned i = 0; i < N_PIECES; i++)
        free(pieces[i]);
    heap_settle();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(memory_stays_as_it_is)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
