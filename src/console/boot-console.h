/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The console of an image that boots: firmware, boot loaders and systems report a failure each in its own words. Pure.
 */
#ifndef VMTEST_CONSOLE_BOOT_CONSOLE_H
#define VMTEST_CONSOLE_BOOT_CONSOLE_H

#include <stdbool.h>

/*
 * The meaning of the end of the console's text if the boot does not go on by itself from there, and what to do about
 * it, in one line; else NULL. A person may still be able to go on, and a program may have printed the same words: the
 * caller waits for silence.
 */
const char *boot_console_failure(const char *text);

/* True if a panic's last line is on the console, after which the kernel writes nothing: little silence will do. */
bool boot_console_has_panicked(const char *text);

/*
 * The likeliest reason that the system did not answer in time. `text` is the console's (may be NULL), `agent_opened`
 * whether a guest agent has had its port open. Caller frees.
 */
char *boot_console_guess(const char *text, bool agent_opened);

#endif
