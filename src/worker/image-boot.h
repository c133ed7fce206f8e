/* SPDX-License-Identifier: Apache-2.0 */
/* The boot of an image target by the QEMU guest agent: from QEMU's start to an agent that can run the command. */
#ifndef VMTEST_WORKER_IMAGE_BOOT_H
#define VMTEST_WORKER_IMAGE_BOOT_H

#include "config/target.h"
#include "machine/machine.h"
#include "prepare/prepare.h"

/* For image_way_qga (machine/image-way.h). */
bool image_boot_by_qga(struct machine *machine, const struct preparation *preparation, deadline_t deadline);
char *image_boot_why_not(const struct machine *machine);

#endif
