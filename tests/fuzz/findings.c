/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest's kernel is taken to have reported on its console, and why it panicked. */
#include "console/findings.h"
#include "fuzz.h"
#include "console/panic.h"

static void check(const struct findings *findings) {
    uint64_t total = 0;

    FUZZ_CHECK(findings->count <= FINDINGS_MAX && findings->n_total >= findings->count);
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->items[i];

        FUZZ_CHECK(finding->kind < FINDING_KIND_COUNT && finding->title && !strchr(finding->title, '\n'));
        FUZZ_CHECK(finding->text.size <= FINDING_MAX_BYTES);
        FUZZ_CHECK(findings_mask(findings) & FINDING_BIT(finding->kind));
    }
    for (size_t i = 0; i < FINDING_KIND_COUNT; i++)
        total += findings->n_of_kind[i];
    FUZZ_CHECK(total == findings->n_total);
}

/* The same, however the bytes are cut. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t choice = fuzz_choice(&data, &size);
    size_t piece = choice > 0 ? choice : 1;
    _cleanup_(findings_deinit) struct findings whole;
    _cleanup_(findings_deinit) struct findings cut;
    _cleanup_free_ char *text = xstrndup((const char *)data, size);
    _cleanup_free_ char *panic = panic_describe(text);

    findings_init(&whole);
    findings_init(&cut);
    findings_feed(&whole, data, size);
    findings_end(&whole);
    for (size_t at = 0; at < size; at += piece)
        findings_feed(&cut, data + at, size - at < piece ? size - at : piece);
    findings_end(&cut);
    check(&whole);
    check(&cut);
    FUZZ_CHECK(whole.n_total == cut.n_total && whole.count == cut.count);
    for (size_t i = 0; i < whole.count; i++)
        FUZZ_CHECK(whole.items[i].kind == cut.items[i].kind && str_equal(whole.items[i].title, cut.items[i].title));
    FUZZ_CHECK(!panic || (panic[0] && !strchr(panic, '\n')));
    return 0;
}
