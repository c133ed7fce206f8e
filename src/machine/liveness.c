/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The liveness of a guest. Anyone in the guest can write a panic's or a kexec's line to /dev/kmsg, so such a line alone
 * proves nothing: the guest is asked, and only silence, pvpanic or QEMU's end confirms it.
 *
 *     BOOTING ──panic──> BOOT_PANIC ──due──> end: panic
 *        │ up                │ up: ask
 *        v                   v
 *      QUIET ──panic: ask──> PANIC ──answer──> PANIC_ANSWERED ──due: ask──> PANIC_REASKED ──answer──> QUIET
 *      │   ^                    └────────── last line: ask ──────┬─────────────┘
 *      │   │                                                     v
 *      │   ├──────────────────────── answer ─────────────── PANIC_END <──answer: ask──┐
 *      │   │                                                     └──more lines──> PANIC_RETURNED
 *      │   ├──answer, or anything heard── ASKED <──silence: ask── QUIET
 *      │   └──answer── KEXEC
 *      └──kexec: ask─────^                            pvpanic, in any state ──> PANIC_SURE ──due──> end: panic
 *
 * Every state that waits for an answer ends the run when its deadline passes: ASKED as lost, KEXEC as lost to another
 * kernel, the others as panic.
 *
 * A kernel that panics writes its first line while its other processors, and the agent on one of them, still run: an
 * answer to that line is checked once more. After the last line an answer settles it; but where somebody writes such
 * lines time and again, each question has its own answer waited for, since the last of the lines may be a real panic's.
 */
#include "machine/liveness.h"

#include <assert.h>

#include "base/cleanup.h"

/* Ask when nothing has been heard for so long. */
#define ASK_AFTER (10 * NSEC_PER_SEC)
/* Nobody can be asked during the boot: let the kernel finish its message. The same once pvpanic has reported. */
#define MESSAGE_GRACE (NSEC_PER_SEC / 2)
/* A panic's last line is on the console: the kernel does nothing more on purpose. */
#define PANIC_END_GRACE (17 * NSEC_PER_SEC / 10)
#define PANIC_REASK_AFTER (2 * NSEC_PER_SEC)
static_assert(PANIC_END_GRACE < 2 * NSEC_PER_SEC, "a panic is reported within 2 s of its last line");

struct transition {
    enum liveness_state next;
    enum liveness_action action;
    bool taken; /* a row that is left out: the event changes nothing */
};

#define GO(next, ...)                                                                                                  \
    { LIVENESS_##next, LIVENESS_##__VA_ARGS__, true }
#define ON(event) [LIVENESS_ON_##event]

/* clang-format off */
static const struct transition transitions[LIVENESS_STATES][LIVENESS_EVENTS] = {
    [LIVENESS_BOOTING] = {
        ON(UP)        = GO(QUIET, NOTHING),
        ON(PANIC)     = GO(BOOT_PANIC, NOTHING),
        ON(PVPANIC)   = GO(PANIC_SURE, NOTHING),
        ON(PORT_DUE)  = GO(BOOTING, END_PORT),
    },
    [LIVENESS_BOOT_PANIC] = {
        ON(UP)        = GO(PANIC, ASK),
        ON(PVPANIC)   = GO(PANIC_SURE, NOTHING),
        ON(DUE)       = GO(BOOT_PANIC, END_PANIC),
        ON(PORT_DUE)  = GO(BOOT_PANIC, END_PANIC),
    },
    [LIVENESS_QUIET] = {
        ON(PANIC)     = GO(PANIC, ASK),
        ON(KEXEC)     = GO(KEXEC, ASK),
        ON(PVPANIC)   = GO(PANIC_SURE, NOTHING),
        ON(ASK_DUE)   = GO(ASKED, ASK),
        ON(PORT_DUE)  = GO(QUIET, END_PORT),
    },
    [LIVENESS_ASKED] = {
        ON(HEARD)     = GO(QUIET, NOTHING), /* output is a sign of life, and the answer may stand behind much of it */
        ON(ANSWER)    = GO(QUIET, NOTHING),
        ON(PANIC)     = GO(PANIC, ASK),
        ON(KEXEC)     = GO(KEXEC, ASK),
        ON(PVPANIC)   = GO(PANIC_SURE, NOTHING),
        ON(DUE)       = GO(ASKED, END_LOST),
        ON(PORT_DUE)  = GO(ASKED, END_PORT),
    },
    [LIVENESS_PANIC] = {
        ON(ANSWER)    = GO(PANIC_ANSWERED, NOTHING),
        ON(PANIC_END) = GO(PANIC_END, ASK),
        ON(PVPANIC)   = GO(PANIC_SURE, NOTHING),
        ON(DUE)       = GO(PANIC, END_PANIC),
        ON(PORT_DUE)  = GO(PANIC, END_PANIC),
    },
    [LIVENESS_PANIC_ANSWERED] = {
        ON(PANIC_END) = GO(PANIC_END, ASK),
        ON(PVPANIC)   = GO(PANIC_SURE, NOTHING),
        ON(DUE)       = GO(PANIC_REASKED, ASK),
        ON(PORT_DUE)  = GO(PANIC_ANSWERED, END_PANIC),
    },
    [LIVENESS_PANIC_REASKED] = {
        ON(ANSWER)    = GO(QUIET, ALIVE),
        ON(PANIC_END) = GO(PANIC_END, ASK),
        ON(PVPANIC)   = GO(PANIC_SURE, NOTHING),
        ON(DUE)       = GO(PANIC_REASKED, END_PANIC),
        ON(PORT_DUE)  = GO(PANIC_REASKED, END_PANIC),
    },
    [LIVENESS_PANIC_END] = {
        ON(ANSWER)    = GO(QUIET, ALIVE),
        ON(PANIC)     = GO(PANIC_RETURNED, NOTHING),
        ON(PANIC_END) = GO(PANIC_RETURNED, NOTHING),
        ON(PVPANIC)   = GO(PANIC_SURE, NOTHING),
        ON(DUE)       = GO(PANIC_END, END_PANIC),
        ON(PORT_DUE)  = GO(PANIC_END, END_PANIC),
    },
    [LIVENESS_PANIC_RETURNED] = {
        ON(ANSWER)    = GO(PANIC_END, ASK),
        ON(PVPANIC)   = GO(PANIC_SURE, NOTHING),
        ON(DUE)       = GO(PANIC_RETURNED, END_PANIC),
        ON(PORT_DUE)  = GO(PANIC_RETURNED, END_PANIC),
    },
    [LIVENESS_PANIC_SURE] = {
        ON(DUE)       = GO(PANIC_SURE, END_PANIC),
        ON(PORT_DUE)  = GO(PANIC_SURE, END_PANIC),
    },
    [LIVENESS_KEXEC] = {
        ON(ANSWER)    = GO(QUIET, ALIVE),
        ON(PANIC)     = GO(PANIC, ASK),
        ON(PVPANIC)   = GO(PANIC_SURE, NOTHING),
        ON(DUE)       = GO(KEXEC, END_KEXEC),
        ON(PORT_DUE)  = GO(KEXEC, END_KEXEC),
    },
};
/* clang-format on */

/* How long a state may last; 0: for ever, or until the deadline of the state before it. */
static uint64_t state_patience(enum liveness_state state, const struct liveness_times *times) {
    const uint64_t patience[LIVENESS_STATES] = {
        [LIVENESS_BOOT_PANIC] = MESSAGE_GRACE,         [LIVENESS_ASKED] = times->lost_after,
        [LIVENESS_PANIC] = times->panic_grace,         [LIVENESS_PANIC_ANSWERED] = PANIC_REASK_AFTER,
        [LIVENESS_PANIC_REASKED] = times->panic_grace, [LIVENESS_PANIC_END] = PANIC_END_GRACE,
        [LIVENESS_PANIC_SURE] = MESSAGE_GRACE,         [LIVENESS_KEXEC] = times->panic_grace,
    };

    return patience[state];
}

static deadline_t deadline_after(uint64_t now, uint64_t nsec) {
    deadline_t deadline;

    return __builtin_add_overflow(now, nsec, &deadline) ? DEADLINE_NONE : deadline;
}

/*
 * The deadline of the state that is entered. A new sign of trouble gives a question that is open no more time; an
 * answer, or a time that has passed, begins anew.
 */
static deadline_t state_due(const struct liveness *liveness, enum liveness_state next, enum liveness_event event,
                            const struct liveness_times *times, uint64_t now) {
    bool is_sign = event == LIVENESS_ON_PANIC || event == LIVENESS_ON_PANIC_END || event == LIVENESS_ON_KEXEC ||
                   event == LIVENESS_ON_PVPANIC;
    bool is_open = is_sign && liveness->state != LIVENESS_PANIC_ANSWERED;
    uint64_t patience = state_patience(next, times);
    deadline_t due = patience > 0 ? deadline_after(now, patience) : DEADLINE_NONE;

    return is_open ? deadline_earlier(due, liveness->due) : due;
}

enum liveness_action liveness_on(struct liveness *liveness, enum liveness_event event,
                                 const struct liveness_times *times, uint64_t now) {
    const struct transition *transition = &transitions[liveness->state][event];

    if ((event == LIVENESS_ON_HEARD && liveness->state >= LIVENESS_QUIET) || event == LIVENESS_ON_ASK_DUE)
        liveness->ask_due = deadline_after(now, ASK_AFTER);
    if (!transition->taken)
        return LIVENESS_NOTHING;
    liveness->due = state_due(liveness, transition->next, event, times, now);
    liveness->state = transition->next;
    liveness->kexec = liveness->state == LIVENESS_KEXEC || (liveness->kexec && liveness->state != LIVENESS_QUIET);
    if (transition->action == LIVENESS_END_PANIC && liveness->kexec)
        return LIVENESS_END_KEXEC; /* another kernel was started before, and it is that one that panicked */
    return transition->action;
}

enum liveness_action liveness_tick(struct liveness *liveness, const struct liveness_times *times, uint64_t now) {
    if (liveness->port_due <= now)
        return liveness_on(liveness, LIVENESS_ON_PORT_DUE, times, now);
    if (liveness->due <= now)
        return liveness_on(liveness, LIVENESS_ON_DUE, times, now);
    if (liveness->ask_due <= now)
        return liveness_on(liveness, LIVENESS_ON_ASK_DUE, times, now);
    return LIVENESS_NOTHING;
}

void liveness_port_closed(struct liveness *liveness, uint64_t grace, uint64_t now) {
    if (liveness->port_due == DEADLINE_NONE)
        liveness->port_due = deadline_after(now, grace);
}

void liveness_port_opened(struct liveness *liveness) {
    liveness->port_due = DEADLINE_NONE;
}

deadline_t liveness_due(const struct liveness *liveness) {
    return deadline_earlier(liveness->due, deadline_earlier(liveness->ask_due, liveness->port_due));
}

bool liveness_in_panic(const struct liveness *liveness) {
    return liveness->state == LIVENESS_BOOT_PANIC ||
           (liveness->state >= LIVENESS_PANIC && liveness->state <= LIVENESS_PANIC_SURE);
}

const char *liveness_state_name(enum liveness_state state) {
    static const char *const names[LIVENESS_STATES] = {
        [LIVENESS_BOOTING] = "booting",
        [LIVENESS_BOOT_PANIC] = "panic during the boot",
        [LIVENESS_QUIET] = "quiet",
        [LIVENESS_ASKED] = "asked",
        [LIVENESS_PANIC] = "panic suspected",
        [LIVENESS_PANIC_ANSWERED] = "panic answered once",
        [LIVENESS_PANIC_REASKED] = "panic suspected, asked again",
        [LIVENESS_PANIC_END] = "panic's end seen",
        [LIVENESS_PANIC_RETURNED] = "panic's lines once more",
        [LIVENESS_PANIC_SURE] = "panic sure",
        [LIVENESS_KEXEC] = "kexec suspected",
    };

    return names[state];
}
