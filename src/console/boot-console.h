/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the console of an image that boots tells: firmware, boot loaders and systems say when they have come to their
 * end, each in its own words. Pure.
 */
#ifndef VMTEST_CONSOLE_BOOT_CONSOLE_H
#define VMTEST_CONSOLE_BOOT_CONSOLE_H

#include <stdbool.h>

/*
 * Whether the end of the console's text says that the boot will not go on by itself: what that means and what to do
 * about it, one line; else NULL. A person may still be able to go on, and a program may have printed the same words:
 * the caller waits for silence.
 */
const char *boot_console_failure(const char *text);

/* Whether a kernel has told its panic to the end there, upon which it writes nothing more: little silence will do. */
bool boot_console_has_panicked(const char *text);

/*
 * The likeliest reason that the system did not answer in time. `text` is the console's (may be NULL), `agent_opened`
 * whether a guest agent has had its port open. Caller frees.
 */
char *boot_console_guess(const char *text, bool agent_opened);

#endif
