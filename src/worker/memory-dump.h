/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's memory as an ELF core (QMP's dump-guest-memory), which crash and drgn read. */
#ifndef VMTEST_WORKER_MEMORY_DUMP_H
#define VMTEST_WORKER_MEMORY_DUMP_H

#include "machine/machine.h"

/*
 * Writes the memory to the file `name` in `directory`, a descriptor, with holes where it is zero, while the guest
 * stands still. To be called once the verdict is known (machine_begin_closing()). What was begun and not finished is
 * removed. *ret_vmcoreinfo: the guest's kernel has told what readers need, of a machine with that device.
 */
int memory_dump_write(struct machine *machine, int directory, const char *name, bool *ret_vmcoreinfo,
                      struct error **ret_error) _must_check_;

#endif
