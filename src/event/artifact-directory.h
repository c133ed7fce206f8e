/* SPDX-License-Identifier: Apache-2.0 */
/* Where the evidence of a target is kept (--artifacts): a directory for each, named after it. */
#ifndef VMTEST_EVENT_ARTIFACT_DIRECTORY_H
#define VMTEST_EVENT_ARTIFACT_DIRECTORY_H

#include "base/error.h"

/* The files in it. */
#define ARTIFACT_CONSOLE "console.log"
#define ARTIFACT_STDOUT "stdout.log"
#define ARTIFACT_STDERR "stderr.log"
#define ARTIFACT_EVENTS "events.jsonl"
#define ARTIFACT_RESULT "result.json"
#define ARTIFACT_AGAIN "run-again"
#define ARTIFACT_QEMU "qemu-command"
#define ARTIFACT_INITRAMFS "initramfs.cpio"
#define ARTIFACT_MEMORY "memory.elf"
#define ARTIFACT_MEMORY_NEW "memory.elf.new" /* while it is being written; a worker that was killed leaves it */

/*
 * The name of a target's directory: the target's own, as far as it is made of letters, digits, dots, dashes and
 * underscores; else with those in place of others, and a digest that keeps two such names apart. Caller frees.
 */
char *artifacts_name(const char *target);

/*
 * Makes the directory for an attempt of a target, from 1, below `base`, and `base` itself: the first one's files stand
 * in the target's own directory, those of each further one in a directory `attempt-N` of its own in there. An earlier
 * run's files are removed, by the first attempt those of all. *base_real, NULL at first and then the caller's to keep
 * and to free, is where `base` was when it was made.
 *
 * A guest that the directory is shared with may have put links there: that `base` is elsewhere by now, or a link in the
 * place of a directory below it, is an error. What is kept is to be written by *ret_directory, a descriptor that the
 * caller closes; *ret_path, which the caller frees, is for showing.
 */
int artifacts_make_attempt(const char *base, const char *target, unsigned attempt, char **base_real, int *ret_directory,
                           char **ret_path, struct error **ret_error) _must_check_;

#endif
