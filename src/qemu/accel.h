/* SPDX-License-Identifier: Apache-2.0 */
/* Whether KVM works here, found out by running instructions in it. */
#ifndef VMTEST_QEMU_ACCEL_H
#define VMTEST_QEMU_ACCEL_H

#include <stdbool.h>

#include "base/error.h"

enum accel { ACCEL_TCG, ACCEL_KVM };

/* "tcg", "kvm": QEMU's names. */
const char *accel_name(enum accel accel);

/*
 * 0 when KVM can be used; else a negative errno and the reason, e.g. "/dev/kvm: Permission denied". Opens `device`
 * (NULL: /dev/kvm), makes a VM with one vCPU and times a short loop of instructions in it. Takes well under a
 * millisecond where KVM works, at most some 50 ms where it does not.
 */
int accel_probe_kvm(const char *device, struct error **ret_error) _must_check_;

/*
 * The host's kernel offers the clock source `clock` (of struct arch), which means that it trusts it; an emulated guest
 * may then do so as well. `path`: NULL, or in tests the file in place of sysfs's list.
 */
bool accel_has_clock(const char *clock, const char *path);

#endif
