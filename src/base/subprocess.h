/* SPDX-License-Identifier: Apache-2.0 */
/* A program that is run to its end, with what it prints. */
#ifndef VMTEST_BASE_SUBPROCESS_H
#define VMTEST_BASE_SUBPROCESS_H

#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"

struct subprocess_result {
    int status; /* wait status */
    struct buffer output;
    struct buffer errors;
};

/*
 * Runs argv[0], looked up on PATH, with empty standard input and LC_ALL=C; collects at most `limit` bytes of each of
 * its two outputs and drops the rest. The program is killed and reaped at the deadline (-ETIMEDOUT), when `cancel_fd`
 * (or -1) becomes readable (-ECANCELED; nothing is read from it), and when the calling process dies. -ENOENT: there is
 * no such program. The caller releases *ret_result in any case.
 */
int subprocess_run(const struct strv *argv, int cancel_fd, deadline_t deadline, size_t limit,
                   struct subprocess_result *ret_result, struct error **ret_error) _must_check_;
void subprocess_result_deinit(struct subprocess_result *result);
#define _cleanup_subprocess_result_ _cleanup_(subprocess_result_deinit)

/* Whether this process ignores a signal, as one that nohup(1) has started does SIGHUP. */
bool process_ignores(int signal_number);

#endif
