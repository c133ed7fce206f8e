/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a fuzz target is made of: LLVMFuzzerTestOneInput() alone. libFuzzer calls it, and so does replay.c, without
 * libFuzzer, for the inputs that are kept. It returns 0 and leaves no trace: one input must not change what another
 * one does.
 */
#ifndef VMTEST_TESTS_FUZZ_H
#define VMTEST_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must be true whatever the input is. */
#define FUZZ_CHECK(condition)                                                                                          \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            (void)fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                            \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/*
 * What base/error.h promises: a failure comes with a message of one line, a success with none. `made` points to the
 * error, so that the call which makes it may stand as `r`.
 */
static inline void fuzz_check_error(int r, struct error *const *made) {
    const struct error *error = *made;

    FUZZ_CHECK((r < 0) == (error != NULL));
    FUZZ_CHECK(!error || (error->code > 0 && error->message[0] && !strchr(error->message, '\n')));
}

/* The first byte of an input chooses among ways to go on; the rest is what is parsed. 0 for an empty input. */
static inline uint8_t fuzz_choice(const uint8_t **data, size_t *size) {
    uint8_t choice = 0;

    if (*size > 0) {
        choice = *(*data)++;
        (*size)--;
    }
    return choice;
}

/* Calls `feed` with the input cut into pieces of `piece` bytes, until it fails. */
#define FUZZ_FEED_PIECES(r, data, size, piece, feed)                                                                   \
    for (size_t at_ = 0, length_; (r) == 0 && at_ < (size); at_ += length_) {                                          \
        const uint8_t *piece_data = (data) + at_;                                                                      \
        length_ = (size)-at_ < (piece) ? (size)-at_ : (piece);                                                         \
        size_t piece_size = length_;                                                                                   \
        (r) = (feed);                                                                                                  \
    }

#endif
