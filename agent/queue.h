/* SPDX-License-Identifier: Apache-2.0 */
/* Frames that wait to be written to the port. */
#ifndef VMTEST_AGENT_QUEUE_H
#define VMTEST_AGENT_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void queue_init(int port);
/* The room for the payload of a data frame, in bytes. */
size_t queue_room(void);
bool queue_pending(void);
/* Writes as much as the port takes. False when the host is gone. */
bool queue_flush(void);
void queue_frame(const void *frame, size_t size);
/* A buffer for a data frame of at most `size` bytes of payload, and its completion (0: none after all). */
unsigned char *queue_reserve(size_t size);
void queue_commit(uint32_t type, size_t size);

#endif
