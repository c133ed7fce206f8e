/* SPDX-License-Identifier: Apache-2.0 */
/* How one of the command's own tests ended (the key `results`): what the readers of test output give. */
#ifndef VMTEST_EVENT_SUBRESULT_H
#define VMTEST_EVENT_SUBRESULT_H

#include <stdint.h>

/* How many of a command's tests are told of; those behind them are counted alone. */
#define SUBRESULTS_MAX 100000u

enum subresult_status { SUBRESULT_PASS, SUBRESULT_FAIL, SUBRESULT_SKIP, SUBRESULT_TODO, SUBRESULT_COUNT };

/* Strings are owned by whoever gives it, valid during the call; any byte but NUL may be in them. */
struct run_subresult {
    const char *name; /* with its parents' in front, " / " between them */
    enum subresult_status status;
    const char *message; /* why, or "" */
    const char *output;  /* what else was said of it, or "" */
    uint64_t nsec;       /* its duration, 0: not known */
};

typedef void subresult_fn(void *context, const struct run_subresult *subresult);

#endif
