/* SPDX-License-Identifier: Apache-2.0 */
/* vmtest.toml: whole files, and the notations of durations and sizes. */
#include "config/config.h"
#include "fuzz.h"

#define NOTATION_MAX 64

static int parse(const uint8_t *data, size_t size, bool strict, struct config **ret) {
    _cleanup_error_ struct error *error = NULL;
    int r = config_parse((const char *)data, size, "vmtest.toml", "/project", strict, ret, &error);

    fuzz_check_error(r, &error);
    FUZZ_CHECK((r == 0) == (*ret != NULL));
    return r;
}

static void check_targets(const struct config *config) {
    FUZZ_CHECK(config->n_targets > 0);
    for (size_t i = 0; i < config->n_targets; i++) {
        _cleanup_error_ struct error *error = NULL;
        const struct target *target = config->targets[i];

        FUZZ_CHECK(target->name && !target->kernel != !target->image);
        fuzz_check_error(target_check(target, &error), &error);
    }
}

static void parse_notations(const uint8_t *data, size_t size) {
    _cleanup_free_ char *text = xstrndup((const char *)data, size);
    struct error *error[2] = {NULL, NULL};
    uint64_t value = 0;

    fuzz_check_error(config_parse_duration(text, &value, &error[0]), &error[0]);
    FUZZ_CHECK(error[0] || value > 0);
    fuzz_check_error(config_parse_memory(text, &value, &error[1]), &error[1]);
    FUZZ_CHECK(error[1] || (value >= UINT64_C(64) << 20 && value <= UINT64_C(1) << 50 && value % 8192 == 0));
    error_free(error[0]);
    error_free(error[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_config_ struct config *lenient = NULL;
    _cleanup_config_ struct config *strict = NULL;
    int r = parse(data, size, false, &lenient);

    /* What is wrong stays wrong when warnings count as well, and without a warning they make no difference. */
    FUZZ_CHECK((parse(data, size, true, &strict) == 0) == (r == 0 && lenient->warnings.count == 0));
    if (lenient)
        check_targets(lenient);
    if (size < NOTATION_MAX)
        parse_notations(data, size);
    return 0;
}
