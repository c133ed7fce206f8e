/* SPDX-License-Identifier: Apache-2.0 */
/* What QEMU sends over QMP. */
#include "qemu/qmp.h"
#include "fuzz.h"

static int feed(struct qmp *qmp, const uint8_t *data, size_t size, size_t piece, struct error **ret_error) {
    _cleanup_buffer_ struct buffer out = {0};
    int r = 0;

    *qmp = (struct qmp){0};
    qmp_execute(qmp, &out, "query-status", NULL);
    FUZZ_FEED_PIECES(r, data, size, piece, qmp_feed(qmp, piece_data, piece_size, ret_error));
    return r;
}

static void compare(const struct qmp *a, const struct qmp *b) {
    FUZZ_CHECK(a->greeted == b->greeted && memcmp(a->version, b->version, sizeof(a->version)) == 0);
    FUZZ_CHECK(str_equal(a->shutdown, b->shutdown) && str_equal(a->failure, b->failure));
    FUZZ_CHECK(str_equal(a->migration, b->migration) && str_equal(a->io_error, b->io_error));
    FUZZ_CHECK(a->panicked == b->panicked && a->answered == b->answered && a->resets == b->resets);
    FUZZ_CHECK(a->qga_open == b->qga_open && a->qga_opened == b->qga_opened && a->agent_closed == b->agent_closed);
    FUZZ_CHECK(a->no_space == b->no_space);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct error *error[2] = {NULL, NULL};
    struct qmp qmp[2];
    uint8_t choice = fuzz_choice(&data, &size);
    int r[2];

    r[0] = feed(&qmp[0], data, size, size, &error[0]);
    r[1] = feed(&qmp[1], data, size, choice + 1u, &error[1]);
    fuzz_check_error(r[0], &error[0]);
    FUZZ_CHECK(r[0] == r[1] && (r[0] == 0 || str_equal(error[0]->message, error[1]->message)));
    compare(&qmp[0], &qmp[1]);
    for (size_t i = 0; i < 2; i++) {
        error_free(error[i]);
        qmp_deinit(&qmp[i]);
    }
    return 0;
}
