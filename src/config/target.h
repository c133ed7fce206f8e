/* SPDX-License-Identifier: Apache-2.0 */
/* A target: one thing to test. Made by config/ or cli/, immutable from then on. */
#ifndef VMTEST_CONFIG_TARGET_H
#define VMTEST_CONFIG_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "share/transport.h"

enum rootfs_mode { ROOTFS_OVERLAY, ROOTFS_RO, ROOTFS_RW };
enum template_choice { TEMPLATE_AUTO, TEMPLATE_ON, TEMPLATE_OFF };
enum accel_choice { ACCEL_CHOICE_AUTO, ACCEL_CHOICE_KVM, ACCEL_CHOICE_TCG };

/*
 * The keys of a [[target]] that code names, each the index of its row in config/keys.c. The table may have more rows
 * after these.
 */
enum config_key {
    KEY_NAME,
    KEY_KERNEL,
    KEY_IMAGE,
    KEY_FORMAT,
    KEY_UEFI,
    KEY_PERSIST,
    KEY_KERNEL_ARGS,
    KEY_MODULES,
    KEY_KVM_CPU_ARGS,
    KEY_ROOTFS,
    KEY_ROOTFS_MODE,
    KEY_ARCH,
    KEY_QEMU_COMMAND,
    KEY_COMMAND,
    KEY_SHARE,
    KEY_ACCEL,
    KEY_TEMPLATE,
    KEY_BOOT_TIMEOUT,
    KEY_TIMEOUT,
    KEY_KILL_AFTER,
    KEY_RUN_TIMEOUT,
    KEY_FAIL_ON,
    KEY_RESULTS,
    KEY_DUMP,
    KEY_LOST_AFTER,
    KEY_SANDBOX,
    KEY_ENV_PASS,
    KEY_VM_NUM_CPUS,
    KEY_VM_MEMORY,
    KEY_VM_MOUNTS,
    KEY_VM_BIOS,
    KEY_VM_EXTRA_ARGS,
};

/* Rows that the key table can have. */
#define CONFIG_KEYS_MAX 64

/* vm.mounts: one further share. `where` is "FILE:LINE:COLUMN" of the entry. */
struct target_mount {
    char *guest_path;
    char *host_path; /* absolute */
    bool writable;
    char *where;
};

/* Where in a [[matrix]] a target stands: one of its axes. */
struct target_axis {
    char *name;  /* "kernel", "test" ... */
    char *value; /* the whole of it, such as a path */
    char *label; /* a short form for names and tables: of a path its last component; else the value */
};

/* The variable of the command's environment that tells an axis: "VMTEST_AXIS_VM_NUM_CPUS". Caller frees. */
char *target_axis_variable(const char *axis);

struct target {
    char *name;
    char *image;  /* absolute path, or NULL */
    char *format; /* of the image, as QEMU calls it, or NULL: found out */
    bool uefi;
    bool persist;       /* the image itself is written to */
    char *kernel;       /* absolute path, or NULL */
    char *kernel_args;  /* or NULL */
    char *modules;      /* absolute path of a modules directory, or NULL: look for it */
    char *kvm_cpu_args; /* value of -cpu under KVM; default "host" */
    char *rootfs;       /* absolute path; default "/" */
    enum rootfs_mode rootfs_mode;
    char *arch;                     /* "x86_64" ... */
    char *qemu_command;             /* path or name, or NULL: qemu-system-ARCH */
    char *command;                  /* for the shell; NULL when `argv` is used or the shell is interactive */
    struct strv argv;               /* exact argument vector; empty when `command` is used */
    bool interactive;               /* an interactive shell in place of a command */
    enum share_choice share_choice; /* how directories of the host get into the guest */
    bool template;                  /* only if it was set: see target_template_choice() */
    enum accel_choice accel;
    uint64_t boot_timeout; /* nanoseconds; 0: the default for the acceleration in use */
    uint64_t timeout;      /* nanoseconds; 0: none */
    uint64_t kill_after;   /* nanoseconds; default 5 s */
    uint64_t run_timeout;  /* nanoseconds; 0: none */
    unsigned fail_on;      /* kinds of findings, a bit for each (console/findings.h), in the key table's order */
    char *results;         /* "tap", "junit:PATH", or NULL: the command's exit status alone tells */
    bool dump;             /* the guest's memory is kept where it panicked or its time was up */
    uint64_t lost_after;   /* nanoseconds; 0: the default for the acceleration in use */
    struct strv env_pass;  /* patterns of names (fnmatch(3)); only if it was set: see target_passes() */
    bool sandbox;          /* QEMU is confined; default true */
    unsigned num_cpus;     /* default 2 */
    uint64_t memory;       /* bytes; default 4 GiB */
    char *memory_text;     /* as the user wrote it */
    struct target_mount *mounts;
    size_t n_mounts;
    char *bios;
    struct strv extra_args;
    char *share; /* absolute path of the directory shared read-write at /mnt/vmtest */
    bool one_liner;
    struct target_axis *axes; /* of the [[matrix]] it comes from */
    size_t n_axes;

    /* Where each key was set: "FILE:LINE:COLUMN", or an option such as "--kernel". NULL: not set. */
    char *where[CONFIG_KEYS_MAX];
};

/* A target with every default of the key table; NULL fields where there is none. */
struct target *target_new(void);
/* Whether the machine may come out of a template and become one: asked for, forbidden, or as vmtest sees fit. */
enum template_choice target_template_choice(const struct target *target);
/* Whether the command gets this entry, "NAME=VALUE", of vmtest's environment. */
bool target_passes(const struct target *target, const char *entry);
void target_free(struct target *target);
DEFINE_CLEANUP(cleanup_target, struct target *, target_free)
#define _cleanup_target_ _cleanup_(cleanup_target)

/* "FILE:LINE:COLUMN: " style prefix for an error about a key: where it was set, else the target's name. Never NULL. */
const char *target_where(const struct target *target, enum config_key key);
/* The user's name for a key: its option where the command line sets it ("--modules"), else the key ("modules"). */
const char *target_key_name(const struct target *target, enum config_key key);
/*
 * A setting as the user would write it: "--share none" or "--uefi" for a one-liner, `share = "none"` or `uefi = true`
 * for a target of a file. `value` NULL: the key's placeholder, as in "--modules DIR" and `modules = "DIR"`. Caller
 * frees.
 */
char *target_setting(const struct target *target, enum config_key key, const char *value);

#endif
