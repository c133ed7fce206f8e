/* SPDX-License-Identifier: Apache-2.0 */
/* Lines that a Linux kernel writes to its console. Pure. */
#ifndef VMTEST_CONSOLE_KMSG_H
#define VMTEST_CONSOLE_KMSG_H

#include <stdbool.h>

/* The line that vmtest puts into a console's text when the guest has rebooted. */
#define KMSG_REBOOT_MARK "-- the guest rebooted --"

/*
 * The text of a console line, after "<4>", the time stamp and the caller ("[    1.234567][    T1] "). The stamp
 * may follow other text, since a program may have left a line (a prompt) unfinished. `ret_stamped` tells whether there
 * was a time stamp; without one the line may be anyone's.
 */
const char *kmsg_strip(const char *line, bool *ret_stamped);

/*
 * True if `text` begins as `pattern` describes: "*" is anything, "%d" a decimal and "%x" a hexadecimal number,
 * "$" the text's end, and all else stands for itself.
 */
bool kmsg_match(const char *text, const char *pattern);

#endif
