/* SPDX-License-Identifier: Apache-2.0 */
/* What the console of an image that boots is taken for. */
#include "console/boot-console.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_free_ char *text = xstrndup((const char *)data, size);
    _cleanup_free_ char *guess = boot_console_guess(text, false);
    const char *doom = boot_console_failure(text);

    FUZZ_CHECK(guess[0] && !strchr(guess, '\n'));
    FUZZ_CHECK(!doom || (doom[0] && !strchr(doom, '\n')));
    return 0;
}
