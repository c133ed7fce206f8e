/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In builds with coverage, _exit() is this (ld's --wrap): workers, the processes that read modules and the agent leave
 * by it, and without a dump all that they have counted would be lost.
 */
#include <stdlib.h>

void __gcov_dump(void);
_Noreturn void __real__exit(int status);
_Noreturn void __wrap__exit(int status);

void __wrap__exit(int status) {
    __gcov_dump();
    __real__exit(status);
}
