/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports of a guest's kernel on its console: oopses, warnings, reports of the sanitizers and the watchdogs.
 * Pure: it is fed with the console's bytes. A panic is none of these, it is a verdict of its own; the oops that led to
 * it is one.
 *
 * A line that a program writes to /dev/kmsg looks on the console as one of the kernel's does, and no reader can tell
 * the two apart: a guest can feign a finding. It cannot take one back, since nothing on the console ends the search.
 * What the console's log level keeps from the console is not seen either. Where the kernel writes no time stamps, a
 * program that writes one hides the vaguest lines ("BUG: ") that follow.
 */
#ifndef VMTEST_CONSOLE_FINDINGS_H
#define VMTEST_CONSOLE_FINDINGS_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum finding_kind {
    FINDING_OOPS, /* the kernel ran into a fault: a bad pointer, an illegal instruction */
    FINDING_BUG,  /* BUG(), and what else it calls a bug: a bad page state, a broken list or spin lock */
    FINDING_WARN, /* WARN() */
    FINDING_KASAN,
    FINDING_UBSAN,
    FINDING_KCSAN,
    FINDING_KMSAN,
    FINDING_KFENCE,
    FINDING_LOCKDEP,      /* lock order, lock states, RCU used outside its sections */
    FINDING_ATOMIC_SLEEP, /* slept, or might have, where that is forbidden */
    FINDING_RCU_STALL,
    FINDING_HUNG_TASK,
    FINDING_SOFT_LOCKUP,
    FINDING_HARD_LOCKUP,
    FINDING_OOM, /* a process was killed for want of memory, of the machine's or of a control group's */
    FINDING_KMEMLEAK,
    FINDING_KIND_COUNT,
};
static_assert(FINDING_KIND_COUNT <= 32, "the kinds are bits of a mask");

#define FINDING_BIT(kind) (UINT32_C(1) << (kind))
#define FINDING_MASK_ALL ((uint32_t)((UINT64_C(1) << FINDING_KIND_COUNT) - 1))

/* The name that users write: "oops", "rcu_stall". */
const char *finding_kind_name(enum finding_kind kind);
/* The kind called `name`; false if there is none. */
bool finding_kind_parse(const char *name, enum finding_kind *ret_kind);
/* What it is, in a few words, for documents. */
const char *finding_kind_help(enum finding_kind kind);

#define FINDINGS_MAX 32
#define FINDING_MAX_LINES 16
#define FINDING_MAX_BYTES 2048

struct finding {
    enum finding_kind kind;
    char *title;        /* the line that tells what happened, without its time stamp */
    struct buffer text; /* the report's first lines, each ended by a line feed, without registers; the title is one */
};

struct findings_reader; /* the line and the report that are being read */

struct findings {
    struct finding items[FINDINGS_MAX]; /* in the order in which they came; those that are not complete grow */
    size_t count;
    uint64_t n_total;                       /* with those that were not kept */
    uint64_t n_of_kind[FINDING_KIND_COUNT]; /* likewise */

    struct findings_reader *reader; /* of this module alone */
};

void findings_init(struct findings *findings);
void findings_deinit(struct findings *findings);
/*
 * Takes the console's bytes as they come, in any pieces. A finding stands in `items` with its kind and title as soon as
 * its title's line is complete; its text grows until the report ends. The line KMSG_REBOOT_MARK begins a new boot.
 */
void findings_feed(struct findings *findings, const void *data, size_t size);
/* The console has ended: takes a last line without a line feed. What is fed later begins anew. */
void findings_end(struct findings *findings);
/* The kinds that were found, kept or not, as FINDING_BIT()s. */
uint32_t findings_mask(const struct findings *findings);

#endif
