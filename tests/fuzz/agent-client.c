/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest's agent sends: wire/frame.h and guest/agent-client.h on the host's side. */
#include "fuzz.h"
#include "guest/agent-client.h"

static void take_output(void *context, enum wire_type type, const void *data, size_t size) {
    struct buffer *output = context;
    char kind = (char)type;

    /* How the bytes are cut is the frames' affair, so each byte is kept with its stream. */
    for (size_t i = 0; i < size; i++) {
        buffer_append(output, &kind, 1);
        buffer_append(output, (const char *)data + i, 1);
    }
}

static int feed(struct agent_client *client, struct buffer *output, bool resumed, const uint8_t *data, size_t size,
                size_t piece, struct error **ret_error) {
    int r = 0;

    *client = (struct agent_client){
        .executing = true, .syncing = true, .unread = UINT32_MAX, .output = take_output, .context = output};
    if (resumed)
        agent_client_resume(client, "6.1.0");
    FUZZ_FEED_PIECES(r, data, size, piece, agent_client_feed(client, piece_data, piece_size, ret_error));
    return r;
}

/* The same bytes mean the same, however they are cut. */
static void compare(const struct agent_client *a, const struct agent_client *b) {
    FUZZ_CHECK(a->state == b->state);
    FUZZ_CHECK(str_equal(a->release, b->release) && str_equal(a->failure, b->failure));
    FUZZ_CHECK(a->signalled == b->signalled && a->status == b->status && a->pongs == b->pongs);
    FUZZ_CHECK(a->user_usec == b->user_usec && a->system_usec == b->system_usec && a->max_rss_kib == b->max_rss_kib);
    FUZZ_CHECK(a->settled == b->settled && a->heard == b->heard && a->unread == b->unread);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct buffer output[2] = {{0}, {0}};
    struct error *error[2] = {NULL, NULL};
    struct agent_client client[2];
    uint8_t choice = fuzz_choice(&data, &size);
    int r[2];

    r[0] = feed(&client[0], &output[0], choice & 1, data, size, size, &error[0]);
    r[1] = feed(&client[1], &output[1], choice & 1, data, size, (choice >> 1) + 1u, &error[1]);
    fuzz_check_error(r[0], &error[0]);
    FUZZ_CHECK(r[0] == r[1] && (r[0] == 0 || str_equal(error[0]->message, error[1]->message)));
    compare(&client[0], &client[1]);
    FUZZ_CHECK(client[0].state != AGENT_FAILED || client[0].failure);
    FUZZ_CHECK(client[0].state == AGENT_SILENT || client[0].release);
    FUZZ_CHECK(output[0].size == output[1].size);
    FUZZ_CHECK(output[0].size == 0 || memcmp(output[0].data, output[1].data, output[0].size) == 0);
    for (size_t i = 0; i < 2; i++) {
        buffer_deinit(&output[i]);
        error_free(error[i]);
        agent_client_deinit(&client[i]);
    }
    return 0;
}
