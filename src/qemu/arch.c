/* SPDX-License-Identifier: Apache-2.0 */
#include "qemu/arch.h"

#include <stddef.h>

#include "base/str.h"

static const struct arch arches[] = {
    {
        .name = "x86_64",
        .qemu = "qemu-system-x86_64",
        .machine = "q35",
        /*
         * Without five levels of page tables, and without the features for which the kernel and the C library copy
         * and clear memory by single bytes (rep movsb, rep stosb), which are emulated one by one.
         */
        .cpu_tcg = "max,la57=off,erms=off,fsrm=off",
        .console = "ttyS0",
        /* The timer check fails now and then on a loaded host that emulates, and the kernel panics over it. */
        .kernel_args = "no_timer_check",
        /* The crypto self-tests take a quarter of an emulated boot; `cryptomgr.notests=0` brings them back. */
        .kernel_args_tcg = " mitigations=off cryptomgr.notests",
        /*
         * The emulated TSC is the host's. Each reading of the HPET, which the kernel takes when it doubts the TSC,
         * leaves the emulated code.
         */
        .kernel_args_tsc = " tsc=reliable",
        .pvpanic = "pvpanic",
    },
};

const struct arch *arch_find(const char *name) {
    for (size_t i = 0; i < ARRAY_SIZE(arches); i++) {
        if (str_equal(arches[i].name, name))
            return &arches[i];
    }
    return NULL;
}

const struct arch *arch_native(void) {
#if defined(__x86_64__)
    return arch_find("x86_64");
#else
#error "vmtest runs on x86_64 hosts"
#endif
}
