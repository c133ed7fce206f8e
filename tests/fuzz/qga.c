/* SPDX-License-Identifier: Apache-2.0 */
/* What an image's QEMU guest agent sends, and the values of its replies. */
#include "guest/qga.h"
#include "base/base64.h"
#include "fuzz.h"
#include "guest/qga-command.h"

#define SYNC_ID 7

static void take_status(const json_t *reply) {
    _cleanup_qga_exec_status_ struct qga_exec_status status = {0};
    _cleanup_error_ struct error *error = NULL;
    _cleanup_buffer_ struct buffer text = {0};
    const char *given = json_string_value(json_object_get(reply, "out-data"));
    int r = qga_parse_exec_status(reply, &status, &error);

    fuzz_check_error(r, &error);
    if (r < 0 || !status.exited || !given)
        return;
    /* What was accepted as base64 is the only way to write these bytes. */
    base64_encode(&text, status.out.data, status.out.size);
    FUZZ_CHECK(str_equal(text.data ? text.data : "", given));
}

static void take_reply(const json_t *reply) {
    _cleanup_qga_info_ struct qga_info info = {0};
    _cleanup_qga_osinfo_ struct qga_osinfo osinfo = {0};
    struct error *error[3] = {NULL, NULL, NULL};
    int64_t pid = 0;

    fuzz_check_error(qga_parse_info(reply, &info, &error[0]), &error[0]);
    fuzz_check_error(qga_parse_osinfo(reply, &osinfo, &error[1]), &error[1]);
    fuzz_check_error(qga_parse_exec(reply, &pid, &error[2]), &error[2]);
    FUZZ_CHECK(error[0] || info.version);
    FUZZ_CHECK(error[2] || pid > 0);
    take_status(reply);
    for (size_t i = 0; i < ARRAY_SIZE(error); i++)
        error_free(error[i]);
}

/* `again`: each answer is followed by the next request, as the worker does. */
static int feed(struct qga *qga, bool synced, bool again, const uint8_t *data, size_t size, size_t piece,
                struct error **ret_error) {
    int r = 0;

    *qga = (struct qga){0};
    qga_sync(qga, SYNC_ID);
    if (synced) {
        qga->synced = true;
        qga_request(qga, "guest-info", NULL);
    }
    for (size_t at = 0; r == 0 && at < size; at += piece) {
        r = qga_feed(qga, data + at, size - at < piece ? size - at : piece, ret_error);
        if (again && qga_answered(qga) && qga->reply)
            take_reply(qga->reply);
        if (again && r == 0 && qga->synced && !qga->waiting)
            qga_request(qga, "guest-exec-status", qga_exec_status_arguments(1));
    }
    return r;
}

static void compare(const struct qga *a, const struct qga *b) {
    FUZZ_CHECK(a->synced == b->synced && a->sync_id == b->sync_id && a->waiting == b->waiting);
    FUZZ_CHECK(a->dropped == b->dropped && a->overlong == b->overlong && a->delimited == b->delimited);
    FUZZ_CHECK(!a->reply == !b->reply && (!a->reply || json_equal(a->reply, b->reply)));
    FUZZ_CHECK(str_equal(a->error, b->error) && str_equal(a->error_class, b->error_class));
    FUZZ_CHECK(!a->error == !a->error_class && (!a->error || !a->reply));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t choice = fuzz_choice(&data, &size);
    struct error *error[3] = {NULL, NULL, NULL};
    size_t piece = (choice >> 1) + 1u;
    struct qga qga[3];
    int r[3];

    r[0] = feed(&qga[0], choice & 1, false, data, size, size ? size : 1, &error[0]);
    r[1] = feed(&qga[1], choice & 1, false, data, size, piece, &error[1]);
    r[2] = feed(&qga[2], choice & 1, true, data, size, piece, &error[2]);
    fuzz_check_error(r[0], &error[0]);
    fuzz_check_error(r[2], &error[2]);
    FUZZ_CHECK(r[0] == r[1] && (r[0] == 0 || str_equal(error[0]->message, error[1]->message)));
    compare(&qga[0], &qga[1]);
    for (size_t i = 0; i < ARRAY_SIZE(qga); i++) {
        error_free(error[i]);
        qga_deinit(&qga[i]);
    }

    json_t *value = json_loadb((const char *)data, size, JSON_DECODE_ANY, NULL);
    take_reply(value);
    json_decref(value);
    return 0;
}
