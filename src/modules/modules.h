/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel's modules: where they lie, and which of them a guest must load in which order.
 */
#ifndef VMTEST_MODULES_MODULES_H
#define VMTEST_MODULES_MODULES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/str.h"
#include "kernel/kernel.h"
#include "share/transport.h"

/* Is told, in one line without newline, of work that takes seconds. */
typedef void modules_notice_fn(void *data, const char *line);

struct modules {
    char *directory;      /* absolute, what is to be /lib/modules/RELEASE; NULL: none found */
    char *index;          /* the directory with the modules.* files that were built; NULL: `directory` has its own */
    bool temporary;       /* `index` is private and goes with modules_deinit() */
    bool build_tree;      /* `directory` is the top of a kernel build tree */
    struct strv searched; /* every directory that was looked at */
};

/*
 * Finds the modules of a kernel: at `explicit_directory` alone (the RELEASE directory itself, a root that holds
 * lib/modules/RELEASE, or a build tree) when that is not NULL, else beside the kernel, in its build tree, and under
 * /lib/modules. Finding none is no error unless `explicit_directory` was given. A directory without modules.dep.bin
 * gets its index built below `cache_directory`; where that is NULL or cannot be written, in a private temporary
 * directory, unless `cancel_fd` (or -1) becomes readable: -ECANCELED. `notice` may be NULL. *ret is released with
 * modules_deinit().
 */
int modules_find(const struct kernel *kernel, const char *explicit_directory, const char *cache_directory,
                 int cancel_fd, modules_notice_fn *notice, void *notice_data, struct modules *ret,
                 struct error **ret_error) _must_check_;
void modules_deinit(struct modules *modules);
#define _cleanup_modules_ _cleanup_(modules_deinit)

struct module_file {
    char *name; /* as lsmod shows it */
    char *path; /* absolute; maybe compressed (.gz, .xz, .zst) */
};

/*
 * The modules to load, dependencies first, for the needed drivers that are not built in. Fails with one line naming
 * the CONFIG_ symbols to switch on when a needed driver is neither built in nor a module. The drivers of `transport`
 * are needed. `need_overlay`: the root is an overlay, or modules->index is to be layered over modules->directory.
 * Where only the kernel's code can tell what is built in (no modules.builtin, no configuration), it is unpacked.
 */
int modules_closure(const struct kernel *kernel, const struct modules *modules, const struct share_transport *transport,
                    bool need_overlay, struct module_file **ret_files, size_t *ret_count, struct error **ret_error)
    _must_check_;
void module_files_free(struct module_file *files, size_t count);

#endif
