/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the panic that ended a guest in the text of its console. Pure. */
#ifndef VMTEST_CONSOLE_PANIC_H
#define VMTEST_CONSOLE_PANIC_H

/* The kernel's words in a panic's first line and in its last one, after which it does nothing more on purpose. */
#define PANIC_MARK "Kernel panic - not syncing"
#define PANIC_END_MARK "---[ end Kernel panic"

/*
 * The last panic's line on the console since the guest's last reboot (KMSG_REBOOT_MARK), without its time stamp, with
 * the function in which it happened where the console tells that: "Kernel panic - not syncing: sysrq triggered crash
 * (in sysrq_handle_crash)". NULL when the console (may be NULL) shows no panic. Caller frees.
 */
char *panic_describe(const char *console);

#endif
