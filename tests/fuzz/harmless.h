/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Put in front of the agent's own sources: what they would do to the machine, or start, goes to agent-serve.c instead.
 * The headers come first, so that only calls are renamed.
 */
#ifndef VMTEST_TESTS_FUZZ_HARMLESS_H
#define VMTEST_TESTS_FUZZ_HARMLESS_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

pid_t fuzz_fork(void);
int fuzz_kill(pid_t pid, int number);
int fuzz_chdir(const char *path);
int fuzz_clock_settime(clockid_t clock, const struct timespec *now);
int fuzz_sethostname(const char *name, size_t size);
int fuzz_posix_openpt(int flags);
void fuzz_sync(void);

#define fork fuzz_fork
#define kill fuzz_kill
#define chdir fuzz_chdir
#define clock_settime fuzz_clock_settime
#define sethostname fuzz_sethostname
#define posix_openpt fuzz_posix_openpt
#define sync fuzz_sync
/* A pipe of the usual size is made sooner. */
#undef F_SETPIPE_SZ
#define F_SETPIPE_SZ F_GETFD

#endif
