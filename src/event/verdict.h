/* SPDX-License-Identifier: Apache-2.0 */
/* How a run ended, as a type. One table gives each verdict's name and exit status. */
#ifndef VMTEST_EVENT_VERDICT_H
#define VMTEST_EVENT_VERDICT_H

#include <stdbool.h>

enum verdict {
    VERDICT_PASS,      /* the command exited 0 */
    VERDICT_FAIL,      /* it exited with another code */
    VERDICT_SIGNAL,    /* a signal ended it */
    VERDICT_TIMEOUT,   /* the boot's or the command's time ran out */
    VERDICT_PANIC,     /* the guest kernel panicked */
    VERDICT_LOST,      /* after hello, the machine, QEMU or the agent went away */
    VERDICT_ERROR,     /* it could not be run */
    VERDICT_CANCELLED, /* stopped by the user, or never started */
    VERDICT_FLAKY,     /* it passed at a further attempt */
    VERDICT_SKIPPED,   /* not started, since another had not passed */
    VERDICT_COUNT,
};

#define EXIT_STATUS_UNAVAILABLE 69
#define EXIT_STATUS_USAGE 2
#define EXIT_STATUS_MAX_FAILURES 125

/* Whether it counts as passed. */
bool verdict_passed(enum verdict verdict);

/* "pass", "fail", ... */
const char *verdict_name(enum verdict verdict);

/*
 * The exit status of a single run. `detail` is the command's exit code for FAIL, the signal's number for SIGNAL, the
 * signal that stopped vmtest for CANCELLED, and not looked at for the others.
 */
int verdict_exit_status(enum verdict verdict, int detail);

/* The exit status for several targets: the number that did not pass, at most 125. */
int verdict_exit_status_of_many(unsigned n_not_passed);

#endif
