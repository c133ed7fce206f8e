/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Client of the QEMU guest agent (QEMU's docs/interop/qemu-ga-ref): JSON objects, one a line, without events. It is fed
 * with bytes and composes requests into an outgoing buffer; it does no I/O and knows no clock, so that a test can feed
 * it anything.
 */
#ifndef VMTEST_GUEST_QGA_H
#define VMTEST_GUEST_QGA_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

/*
 * The longest line that is taken. qemu-ga captures at most 16 MiB of each of a command's two streams, which are 43 MiB
 * of base64 in one reply; 64 MiB is also what QEMU's own JSON parser allows.
 */
#define QGA_LINE_MAX (64u << 20)
/* The highest id of a sync: what every qemu-ga takes for an int. */
#define QGA_ID_MAX INT32_MAX

struct qga {
    struct buffer in;  /* an unfinished line */
    bool delimited;    /* a 0xFF byte came before it: it answers a sync */
    bool overlong;     /* it was too long; its rest is passed over */
    struct buffer out; /* to be written to the guest */
    uint64_t sync_id;  /* of the last guest-sync-delimited that was sent; 0: none, so nothing counts */
    bool synced;       /* its answer has come; replies count from then on */
    bool waiting;      /* a request is under way */
    json_t *reply;     /* value of "return" of the last request, owned; NULL until it comes */
    char *error_class; /* or its error: "CommandNotFound", "GenericError" ...; both are set or none */
    char *error;       /* its description */
    uint64_t dropped;  /* lines passed over as stale or as garbage */
};

void qga_deinit(struct qga *qga);

/*
 * Begins anew: forgets what is under way, written or not, and sends 0xFF and guest-sync-delimited with this id (from 1
 * to QGA_ID_MAX; another one is mapped into that range, see qga->sync_id). Everything up to the answer, a line led by
 * 0xFF with this id, is dropped and counted. May be called again at any time, with another id.
 */
void qga_sync(struct qga *qga, uint64_t id);

/*
 * Takes bytes from the guest. While syncing nothing is an error. Once synced, -EPROTO for what is no reply, for a reply
 * that nobody waits for and for a line over QGA_LINE_MAX; all that comes after it is dropped until qga_sync() has been
 * called and answered.
 */
int qga_feed(struct qga *qga, const void *data, size_t size, struct error **ret_error) _must_check_;

/*
 * Sends a request, and forgets the reply of the one before, which must have come. Steals `arguments`, which may be NULL
 * for none. To be called once synced.
 */
void qga_request(struct qga *qga, const char *command, json_t *arguments);

/* True once the last request has been answered, by a value or an error. */
bool qga_answered(const struct qga *qga);

#endif
