/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command's output as TAP and KTAP: however it is cut it means the same, and nothing behind it turns a failure that
 * was given into none.
 */
#include "testresults/tap-reader.h"
#include "fuzz.h"
#include "subresults.h"

/* Caller frees what it returns: why the whole failed, or NULL. */
static char *read_tap(const uint8_t *data, size_t size, size_t piece, struct given *given) {
    struct tap *tap = tap_new(given_take, given);

    for (size_t at = 0; at < size; at += piece)
        tap_feed(tap, data + at, size - at < piece ? size - at : piece);
    tap_end(tap);

    const char *failure = tap_failure(tap);
    FUZZ_CHECK(!failure || (failure[0] && !strchr(failure, '\n')));
    /* What says nothing at all is no pass. */
    FUZZ_CHECK(failure || given->text.size > 0);
    char *copy = failure ? xstrdup(failure) : NULL;
    tap_free(tap);
    return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char behind[] = "\nok 7 - behind\n";
    size_t piece = (size_t)fuzz_choice(&data, &size) + 1;
    _cleanup_given_ struct given whole = {0};
    _cleanup_given_ struct given pieces = {0};
    _cleanup_given_ struct given more = {0};
    _cleanup_buffer_ struct buffer longer = {0};
    _cleanup_free_ char *failure = read_tap(data, size, size ? size : 1, &whole);
    _cleanup_free_ char *failure_of_pieces = read_tap(data, size, piece, &pieces);

    FUZZ_CHECK(!failure == !failure_of_pieces && (!failure || str_equal(failure, failure_of_pieces)));
    given_compare(&whole, &pieces);

    buffer_append(&longer, data, size);
    buffer_append(&longer, behind, sizeof(behind) - 1);
    _cleanup_free_ char *failure_of_more = read_tap((const uint8_t *)longer.data, longer.size, longer.size, &more);
    if (whole.n_of[SUBRESULT_FAIL] > 0)
        FUZZ_CHECK(more.n_of[SUBRESULT_FAIL] > 0 || failure_of_more);
    return 0;
}
