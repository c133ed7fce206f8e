/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMTEST_AGENT_SEND_FILES_H
#define VMTEST_AGENT_SEND_FILES_H

#include "agent/log.h"
#include "wire/frame.h"

/*
 * Does what a FETCH frame asks for: remembers the files that are there now (WIRE_FETCH_NOTE), or starts to read them.
 * *ret_fd gives the records then, and at its end no more; it is -1 when none come.
 */
int files_fetch(const struct wire_frame *frame, int *ret_fd, struct failure *failure);

#endif
