/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Templates in a run (docs/architecture.md, "Templates"): the machine is cloned from a template, becomes one, or
 * neither. None of this can fail a run: a template that does not work means a cold boot.
 */
#ifndef VMTEST_WORKER_TEMPLATE_RUN_H
#define VMTEST_WORKER_TEMPLATE_RUN_H

#include "config/target.h"
#include "machine/machine.h"
#include "prepare/prepare.h"
#include "template/store.h"

struct template_run {
    char *key; /* NULL: no templates */
    bool found;
    struct template template;
    bool drafting; /* this run makes it */
    bool busy;     /* another process makes it just now */
    struct template_draft draft;
    int memory_fd; /* the guest's memory while it is made */
};

#define TEMPLATE_RUN_NONE                                                                                              \
    ((struct template_run){.template = TEMPLATE_NONE, .draft = TEMPLATE_DRAFT_NONE, .memory_fd = -1})

/* Looks for the run's template, or begins to make it. To be called once everything is prepared. */
void template_run_begin(struct template_run *run, const struct target *target, struct preparation *preparation,
                        notice_fn *notice, void *context);
/* Looks once more, where it was `busy`. */
void template_run_look(struct template_run *run, const struct target *target, notice_fn *notice, void *context);
/* Takes TEMPLATE_RUN_NONE. */
void template_run_end(struct template_run *run);

/* The memory that QEMU is to be started with; false for memory of QEMU's own. */
bool template_run_snapshot(const struct template_run *run, struct qemu_snapshot *ret_snapshot);

/*
 * Brings a QEMU that was started with the template's memory to where the template was frozen: the agent has said hello.
 * False when it could not be, or the run has ended.
 */
bool template_run_restore(struct template_run *run, struct machine *machine, deadline_t deadline);

/* The template is of no use: it is removed, and the run goes on without one. */
void template_run_reject(struct template_run *run);

/*
 * Freezes the machine, whose agent has said hello and not been asked anything yet, keeps it as the template and lets it
 * go on. `overlay_fd` is the disk's, or -1.
 */
void template_run_freeze(struct template_run *run, struct machine *machine, const struct target *target,
                         int overlay_fd);

#endif
