/* SPDX-License-Identifier: Apache-2.0 */
/* A JUnit file that a command left behind: one that is cut off gives an error, and no results. */
#include "testresults/junit-reader.h"
#include "fuzz.h"
#include "subresults.h"

static int read_junit(const void *data, size_t size, struct given *given) {
    _cleanup_error_ struct error *error = NULL;
    int r = junit_read(data, size, given_take, given, &error);

    fuzz_check_error(r, &error);
    FUZZ_CHECK((r == 0) == (given->text.size > 0));
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t cut = fuzz_choice(&data, &size);
    _cleanup_given_ struct given whole = {0};
    _cleanup_given_ struct given again = {0};
    _cleanup_given_ struct given part = {0};
    int r = read_junit(data, size, &whole);

    FUZZ_CHECK(read_junit(data, size, &again) == r);
    given_compare(&whole, &again);
    /* Without its end, "</testsuite>" at least, it is none; white space and comments may stand behind that. */
    if (r == 0 && cut > 0 && cut < size && !memchr(data + (size - cut), '<', cut - 1) && data[size - 1] == '>')
        FUZZ_CHECK(read_junit(data, size - cut, &part) < 0);
    return 0;
}
