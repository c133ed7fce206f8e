/* SPDX-License-Identifier: Apache-2.0 */
/* The heap of a process that is about to fork many times. */
#ifndef VMTEST_BASE_HEAP_H
#define VMTEST_BASE_HEAP_H

/*
 * Gives back what is free, and has the kernel keep a large heap in large pages, so that fork(2) has less to copy. Where
 * the C library or the kernel (before Linux 6.1) cannot, nothing happens.
 */
void heap_settle(void);

#endif
