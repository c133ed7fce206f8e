/* SPDX-License-Identifier: Apache-2.0 */
/* What the console tells about the panic that ended a guest. Pure. */
#ifndef VMTEST_CONSOLE_PANIC_H
#define VMTEST_CONSOLE_PANIC_H

/*
 * The last panic's line on the console since the guest's last reboot (KMSG_REBOOT_MARK), without its time stamp, with
 * the function in which it happened where the console tells that: "Kernel panic - not syncing: sysrq triggered crash
 * (in sysrq_handle_crash)". NULL when the console (may be NULL) shows no panic. Caller frees.
 */
char *panic_describe(const char *console);

#endif
