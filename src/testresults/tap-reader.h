/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads TAP and KTAP out of a stream, such as a command's standard output, whatever else stands in it. Pure; memory is
 * bounded but for the results below a test whose own line has not come yet, which are at most SUBRESULTS_MAX.
 *
 * What counts are the leaves: a test with subtests is told of only where it failed by itself. A parent's "ok" takes
 * back no failure below it.
 */
#ifndef VMTEST_TESTRESULTS_TAP_READER_H
#define VMTEST_TESTRESULTS_TAP_READER_H

#include <stddef.h>

#include "event/subresult.h"

struct tap;

/* `give` is called once for each result, in the order in which their lines are complete. */
struct tap *tap_new(subresult_fn *give, void *context);
void tap_free(struct tap *tap);
void tap_feed(struct tap *tap, const void *data, size_t size);
/* The stream has ended: gives what is left, and judges the whole. */
void tap_end(struct tap *tap);

/*
 * After tap_end(): why the tests as a whole failed, whatever each of them gave, e.g. "the tests bailed out", or NULL.
 * Valid as long as the reader.
 */
const char *tap_failure(const struct tap *tap);

#endif
