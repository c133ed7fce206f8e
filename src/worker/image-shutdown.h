/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a run whose image is written to: the guest is shut down, so that its file systems are whole. */
#ifndef VMTEST_WORKER_IMAGE_SHUTDOWN_H
#define VMTEST_WORKER_IMAGE_SHUTDOWN_H

#include "machine/machine.h"

/* The guest is down, or cannot go down any more. */
bool image_is_down(const struct machine *machine);

/*
 * Has the guest shut itself down, by the guest agent or else by its power button, within bounded time. To be called
 * once the verdict is known; a pass becomes an error when the guest did not shut down. A guest that is gone, or that
 * was never up, is left alone.
 */
void image_shut_down(struct machine *machine);

#endif
