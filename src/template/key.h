/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key of a template: a digest of all that could make a difference to the guest. Pure: the same inputs give the same
 * key on any host, and nothing is looked at here; run/ looks up what goes in.
 */
#ifndef VMTEST_TEMPLATE_KEY_H
#define VMTEST_TEMPLATE_KEY_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* Counts up when a template made by an older vmtest must not be used by this one. Part of every key. */
#define TEMPLATE_FORMAT 1

/* Digits of a key. */
#define TEMPLATE_KEY_LENGTH 32

/* NULL: there is no such thing, which is another key than an empty text. All strings are the caller's. */
struct template_inputs {
    uint64_t format;           /* TEMPLATE_FORMAT */
    const char *kernel;        /* digest of what QEMU boots; NULL for an image target, with the next */
    const char *initrd;        /* digest */
    const char *agent;         /* digest of our agent */
    const char *firmware;      /* digest of the firmware's code; NULL: the machine's own BIOS */
    const char *firmware_vars; /* digest of its variable store as a run gets it */
    const char *qemu;          /* identity of the binary */
    const char *qemu_data;     /* identity of the directory of BIOS and option ROMs */
    const char *image;         /* identity of an image target's disk */
    const char *image_chain;   /* identities of its backing files, in order */
    const char *accel;         /* "kvm", "tcg" */
    const char *host_cpu;      /* under KVM only, with the next two: the model's name */
    const char *host_flags;    /* the CPU's flags */
    const char *host_kernel;   /* its release and version */
    struct strv arguments;     /* QEMU's, without descriptors' numbers and shares' host paths */
};

/* How one field goes into the key. The table covers the whole struct: an assertion and the tests hold it to that. */
enum template_input_type { TEMPLATE_INPUT_NUMBER, TEMPLATE_INPUT_STRING, TEMPLATE_INPUT_STRINGS };

struct template_input_row {
    const char *name;
    size_t offset; /* of the field in struct template_inputs */
    enum template_input_type type;
};

#define TEMPLATE_INPUT_COUNT 15
extern const struct template_input_row template_input_rows[TEMPLATE_INPUT_COUNT];

/* TEMPLATE_KEY_LENGTH lower-case hexadecimal digits (XXH3-128). Caller frees. */
char *template_key(const struct template_inputs *inputs);

#endif
