/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A way into an image: something that the image brings along, which has vmtest's agent started there. Where that agent
 * does not run, the way does its work (machine->agentless). The QEMU guest agent is the only one:
 *
 *     worker/command-by-qga.c    image_way_qga
 */
#ifndef VMTEST_MACHINE_IMAGE_WAY_H
#define VMTEST_MACHINE_IMAGE_WAY_H

#include "config/target.h"
#include "machine/machine.h"
#include "prepare/prepare.h"

/* Where a function returns false, the deadline has passed or the run has ended (machine->ended). */
struct image_way {
    /*
     * Waits for the way and has it start vmtest's agent, which has said hello then; or decides that this cannot be,
     * and gives the reason in a notice. Begins anew when the system reboots on its way up.
     */
    bool (*connect)(struct machine *machine, const struct preparation *preparation, deadline_t deadline);
    /* The likeliest reason why connect() has run out of time. Caller frees. */
    char *(*why_not)(const struct machine *machine);
    /* Asks the guest to shut down, and waits until it is down, or refuses. */
    void (*shut_down)(struct machine *machine, deadline_t deadline);

    /* In the agent's place: mounts the shares. */
    bool (*set_up)(struct machine *machine, const struct target *target, const struct preparation *preparation,
                   deadline_t deadline);
    /* Runs the command with the variables of `environment` besides the guest's own, and sets the verdict. */
    bool (*run)(struct machine *machine, const struct target *target, const struct strv *environment,
                deadline_t deadline);
    /* Has what was written to shares and disks written back, once run() has run out of time. */
    bool (*sync)(struct machine *machine, deadline_t deadline);
    /* Has the guest's kernel show its tasks on the console, as agent/show-tasks.c does. */
    bool (*show_tasks)(struct machine *machine, deadline_t deadline);
    /* Runs a shell script with arguments from $1 on. Returns its output, which the caller frees, or NULL and why. */
    char *(*run_script)(struct machine *machine, const char *script, const struct strv *arguments, deadline_t deadline,
                        const char **ret_why);
};

extern const struct image_way image_way_qga;

#endif
