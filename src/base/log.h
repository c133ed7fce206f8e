/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Debugging lines for VMTEST_LOG. They go to a descriptor that cli/ sets; nothing is written before that, and nothing
 * here is meant for an ordinary user.
 */
#ifndef VMTEST_BASE_LOG_H
#define VMTEST_BASE_LOG_H

#include "base/cleanup.h"

/* Sends debugging lines to `fd` (not owned); -1 switches them off. */
void log_set_fd(int fd);
int log_enabled(void);
void log_debug(const char *format, ...) _printf_(1, 2);

#endif
