/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host has for guests: CPUs that this process may use and memory that is to be had, bounded by the control
 * groups that it is in (version 2 and 1).
 */
#ifndef VMTEST_SUPERVISE_HOST_CAPACITY_H
#define VMTEST_SUPERVISE_HOST_CAPACITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"

struct host {
    unsigned cpus;   /* at least 1 */
    uint64_t memory; /* bytes that guests may take, their emulators' own included; 0: not known */
    unsigned slots;  /* how many runs at once we have descriptors for; 0: not known */
};

/*
 * What a guest takes of the host besides its memory: the emulator's code and heap, its buffers for disks and shares,
 * and, under TCG, translated code. QEMU 7.2 under TCG, with Debian 12's kernel and a short command, had 100 MiB of its
 * own besides the guest's memory, and 82 MiB of files, which all share. A guest that runs more different code has more.
 */
#define HOST_GUEST_OVERHEAD (UINT64_C(256) << 20)

/* `affinity`: how many CPUs the process may run on. `root`: "", or in tests the directory that stands for "/". */
void host_look(const char *root, unsigned affinity, struct host *ret_host);
/* The same of the host that we are on. */
void host_look_here(struct host *ret_host);

/* The parts of it, pure. They return false, and leave the output untouched, for what they do not understand. */

/* /proc/meminfo's line MemAvailable, in bytes. */
bool host_parse_available(const char *meminfo, uint64_t *ret_bytes) _must_check_;
/* cpu.max of version 2, "QUOTA PERIOD", in CPUs: what is left of one that is not whole does not count, but there is
 * one. False where there is no quota ("max"). */
bool host_parse_cpu_max(const char *text, unsigned *ret_cpus) _must_check_;
/* A limit in bytes. False for "max" and for what version 1 has in its place, a number beyond all memory. */
bool host_parse_limit(const char *text, uint64_t *ret_bytes) _must_check_;
/* The value behind `name` in a file of lines "NAME VALUE", such as memory.stat. */
bool host_parse_field(const char *text, const char *name, uint64_t *ret_value) _must_check_;
/*
 * The path of our group in /proc/self/cgroup: of version 2's hierarchy for a `controller` of "", else of the one of
 * version 1 that has this controller. Caller frees; NULL when there is none.
 */
char *host_parse_cgroup(const char *text, const char *controller);

#endif
