/* SPDX-License-Identifier: Apache-2.0 */
/* From what was prepared to a running QEMU. */
#ifndef VMTEST_MACHINE_LAUNCH_H
#define VMTEST_MACHINE_LAUNCH_H

#include "machine/machine.h"
#include "prepare/prepare.h"

/* Starts QEMU, whose sockets and process the machine has then. `snapshot` may be NULL: memory of QEMU's own. */
int machine_launch(struct machine *machine, const struct target *target, const struct preparation *preparation,
                   const struct qemu_snapshot *snapshot, struct error **ret_error) _must_check_;

/*
 * The command line without what differs from run to run though the guest is the same: every descriptor has the number
 * 0, a share no path. For the key of a template.
 */
void machine_launch_normal_argv(const struct target *target, const struct preparation *preparation,
                                struct strv *ret_argv);

/*
 * QEMU's command line as one line for a shell, which starts the same machine for a person: the kernel as it was given,
 * `initramfs` where its initramfs can be found, the console on standard output, nobody at the agent's port. Ends in a
 * line feed; caller frees.
 */
char *machine_launch_paste_line(const struct target *target, const struct preparation *preparation,
                                const char *initramfs);

#endif
