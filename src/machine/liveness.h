/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is the guest alive? A pure state machine: no I/O, no clock of its own, no knowledge of who answers. The caller feeds
 * it what it sees, and does what comes back.
 */
#ifndef VMTEST_MACHINE_LIVENESS_H
#define VMTEST_MACHINE_LIVENESS_H

#include <stdbool.h>

#include "base/clock.h"

enum liveness_state {
    LIVENESS_BOOTING,        /* nobody in the guest has answered yet */
    LIVENESS_BOOT_PANIC,     /* the same, and a panic's first line is on the console */
    LIVENESS_QUIET,          /* nothing is asked */
    LIVENESS_ASKED,          /* a routine question is open */
    LIVENESS_PANIC,          /* a panic's first line is on the console; the guest is asked */
    LIVENESS_PANIC_ANSWERED, /* it has answered once, and is asked again in a moment */
    LIVENESS_PANIC_REASKED,  /* it is asked for the second time */
    LIVENESS_PANIC_END,      /* a panic's last line is on the console; the guest is asked */
    LIVENESS_PANIC_RETURNED, /* the same, and lines of a panic have come since the question */
    LIVENESS_PANIC_SURE,     /* pvpanic reports it: no answer counts any more */
    LIVENESS_KEXEC,          /* another kernel's start is on the console; the guest is asked */
    LIVENESS_STATES
};

enum liveness_event {
    LIVENESS_ON_UP,        /* an agent of either kind has answered for the first time */
    LIVENESS_ON_HEARD,     /* a frame has come from the agent */
    LIVENESS_ON_ANSWER,    /* the newest question has been answered */
    LIVENESS_ON_PANIC,     /* a panic's first line came on the console */
    LIVENESS_ON_PANIC_END, /* a panic's last line came */
    LIVENESS_ON_KEXEC,     /* a line of another kernel's start came */
    LIVENESS_ON_PVPANIC,   /* QEMU reports a panic */
    LIVENESS_ON_DUE,       /* the state's deadline has passed */
    LIVENESS_ON_ASK_DUE,   /* nothing has been heard for a while */
    LIVENESS_ON_PORT_DUE,  /* the agent's port was closed, and the guest has not gone down since */
    LIVENESS_EVENTS
};

enum liveness_action {
    LIVENESS_NOTHING,
    LIVENESS_ASK,       /* ask the guest, and feed LIVENESS_ON_ANSWER for the answer to this question only */
    LIVENESS_ALIVE,     /* the guest is alive after all: what the console shows so far is no sign any more */
    LIVENESS_END_LOST,  /* end the run: a routine question has no answer */
    LIVENESS_END_PANIC, /* end the run: the guest has panicked */
    LIVENESS_END_KEXEC, /* end the run: the guest has started another kernel, which knows nothing of the command */
    LIVENESS_END_PORT,  /* end the run: the agent is gone */
};

/* How long a guest that is alive may take, in nanoseconds. */
struct liveness_times {
    uint64_t lost_after;  /* to answer a routine question */
    uint64_t panic_grace; /* to answer while a panic, or another kernel's start, is on its console */
};

struct liveness {
    enum liveness_state state;
    bool kexec;          /* another kernel was started before this panic */
    deadline_t due;      /* of the state */
    deadline_t ask_due;  /* of silence */
    deadline_t port_due; /* of a closed port */
};

#define LIVENESS_INIT ((struct liveness){.due = DEADLINE_NONE, .ask_due = DEADLINE_NONE, .port_due = DEADLINE_NONE})

/* Takes an event. The three events about time are fed by liveness_tick(). */
enum liveness_action liveness_on(struct liveness *liveness, enum liveness_event event,
                                 const struct liveness_times *times, uint64_t now);

/* Feeds the first of the deadlines that has passed; the caller comes back by liveness_due(). */
enum liveness_action liveness_tick(struct liveness *liveness, const struct liveness_times *times, uint64_t now);

/* The guest has closed the agent's port, and has `grace` nanoseconds to go down. The first call counts. */
void liveness_port_closed(struct liveness *liveness, uint64_t grace, uint64_t now);
void liveness_port_opened(struct liveness *liveness);

/* When liveness_tick() has something to do. */
deadline_t liveness_due(const struct liveness *liveness);

/* A panic is suspected, or sure. */
bool liveness_in_panic(const struct liveness *liveness);

/* The state's name, for the log. */
const char *liveness_state_name(enum liveness_state state);

#endif
