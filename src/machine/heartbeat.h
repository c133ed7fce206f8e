/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does QEMU itself still answer? A guest's silence does not tell when it is emulated. Pure, like liveness.h: the caller
 * says at each look how its conversation by QMP stands, and does what comes back.
 */
#ifndef VMTEST_MACHINE_HEARTBEAT_H
#define VMTEST_MACHINE_HEARTBEAT_H

#include "base/clock.h"

enum heartbeat_state {
    HEARTBEAT_OFF,      /* no QMP, or a command of ours is open: whoever waits for that has a deadline */
    HEARTBEAT_GREETING, /* QEMU has not greeted yet */
    HEARTBEAT_IDLE,     /* nothing is open */
    HEARTBEAT_OPEN,     /* a question has no reply yet */
    HEARTBEAT_STATES
};

enum heartbeat_action {
    HEARTBEAT_NOTHING,
    HEARTBEAT_ASK, /* send a question that changes nothing */
    HEARTBEAT_END, /* end the run: QEMU hangs */
};

struct heartbeat {
    enum heartbeat_state state;
    deadline_t due;
};

#define HEARTBEAT_INIT ((struct heartbeat){.due = DEADLINE_NONE})

enum heartbeat_action heartbeat_on(struct heartbeat *heartbeat, enum heartbeat_state state, uint64_t now);
/* The time that QEMU may stay in a state, in nanoseconds. */
uint64_t heartbeat_patience(enum heartbeat_state state);

#endif
