/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QEMU's heartbeat:
 *
 *     GREETING ──greeting──> IDLE ──10 s: ask──> OPEN ──reply──> IDLE       GREETING, OPEN ──too long──> end
 *
 * OFF, in which nothing is timed, may be entered from and left to each of them.
 */
#include "machine/heartbeat.h"

/* The time in each state after which something is to be done; DEADLINE_NONE: any time. */
static const uint64_t patience[HEARTBEAT_STATES] = {
    [HEARTBEAT_OFF] = DEADLINE_NONE,
    [HEARTBEAT_GREETING] = 60 * NSEC_PER_SEC,
    [HEARTBEAT_IDLE] = 10 * NSEC_PER_SEC,
    [HEARTBEAT_OPEN] = 30 * NSEC_PER_SEC,
};

uint64_t heartbeat_patience(enum heartbeat_state state) {
    return patience[state];
}

static void heartbeat_enter(struct heartbeat *heartbeat, enum heartbeat_state state, uint64_t now) {
    heartbeat->state = state;
    if (__builtin_add_overflow(now, patience[state], &heartbeat->due))
        heartbeat->due = DEADLINE_NONE;
}

enum heartbeat_action heartbeat_on(struct heartbeat *heartbeat, enum heartbeat_state state, uint64_t now) {
    if (state != heartbeat->state)
        heartbeat_enter(heartbeat, state, now);
    if (heartbeat->due == DEADLINE_NONE || heartbeat->due > now)
        return HEARTBEAT_NOTHING;
    if (state != HEARTBEAT_IDLE)
        return HEARTBEAT_END;
    heartbeat_enter(heartbeat, HEARTBEAT_OPEN, now);
    return HEARTBEAT_ASK;
}
