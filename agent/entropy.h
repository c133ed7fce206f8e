/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMTEST_AGENT_ENTROPY_H
#define VMTEST_AGENT_ENTROPY_H

#include <stddef.h>

/*
 * Gives the kernel entropy of the host's, so that nobody draws the numbers of another clone of the same machine.
 * Negative errno when it does not take it.
 */
int entropy_add(const unsigned char *bytes, size_t size);

#endif
