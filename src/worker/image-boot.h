/* SPDX-License-Identifier: Apache-2.0 */
/* The boot of an image target: from QEMU's start to an agent that can run the command. */
#ifndef VMTEST_WORKER_IMAGE_BOOT_H
#define VMTEST_WORKER_IMAGE_BOOT_H

#include "config/target.h"
#include "machine/machine.h"
#include "prepare/prepare.h"

/*
 * Waits for the guest agent and has it start vmtest's agent, which has said hello then; or, where that cannot be,
 * decides that the guest agent runs the command (machine->by_qga) and says why in a notice. It begins anew when the
 * system reboots on the way. False when the deadline has
 * passed first or the run has ended.
 */
bool image_boot(struct machine *machine, const struct preparation *preparation, deadline_t deadline);

#endif
