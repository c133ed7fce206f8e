/* SPDX-License-Identifier: Apache-2.0 */
/* What the readers of test output give, kept as text, so that two readings can be compared. */
#ifndef VMTEST_TESTS_FUZZ_SUBRESULTS_H
#define VMTEST_TESTS_FUZZ_SUBRESULTS_H

#include <inttypes.h>

#include "fuzz.h"
#include "event/subresult.h"

/* Of one test; some room beyond what the readers promise to cut at. */
#define FUZZ_NAME_MAX 4096u
#define FUZZ_TEXT_MAX (10u << 10)

struct given {
    struct buffer text;
    size_t n_of[SUBRESULT_COUNT];
};

static inline void given_deinit(struct given *given) {
    buffer_deinit(&given->text);
}
#define _cleanup_given_ _cleanup_(given_deinit)

static inline void given_take(void *context, const struct run_subresult *subresult) {
    struct given *given = context;

    FUZZ_CHECK(subresult->status < SUBRESULT_COUNT);
    FUZZ_CHECK(subresult->name && subresult->name[0] && strlen(subresult->name) <= FUZZ_NAME_MAX);
    FUZZ_CHECK(subresult->message && strlen(subresult->message) <= FUZZ_TEXT_MAX);
    FUZZ_CHECK(subresult->output && strlen(subresult->output) <= FUZZ_TEXT_MAX);
    given->n_of[subresult->status]++;
    buffer_printf(&given->text, "%d|%s|%s|%s|%" PRIu64 "\n", (int)subresult->status, subresult->name,
                  subresult->message, subresult->output, subresult->nsec);
}

static inline void given_compare(const struct given *a, const struct given *b) {
    FUZZ_CHECK(memcmp(a->n_of, b->n_of, sizeof(a->n_of)) == 0);
    FUZZ_CHECK(a->text.size == b->text.size);
    FUZZ_CHECK(a->text.size == 0 || memcmp(a->text.data, b->text.data, a->text.size) == 0);
}

#endif
