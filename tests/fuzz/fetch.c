/* SPDX-License-Identifier: Apache-2.0 */
/* The files that a guest gives: of what is accepted, every byte is a name, content, or what frames them. */
#include "guest/fetched-files.h"
#include "fuzz.h"
#include "wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_error_ struct error *error = NULL;
    _cleanup_fetched_ struct fetched fetched = {0};
    size_t taken = 0;
    int r = fetched_parse(data, size, &fetched, &error);

    fuzz_check_error(r, &error);
    for (size_t i = 0; i < fetched.n_files; i++) {
        FUZZ_CHECK(fetched.files[i].name);
        taken += strlen(fetched.files[i].name) + fetched.files[i].content.size + WIRE_HEADER_SIZE;
    }
    FUZZ_CHECK(taken <= size);
    return 0;
}
