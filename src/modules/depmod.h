/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index of a modules directory (modules.dep, modules.alias and the rest) for kernels that were merely unpacked:
 * what depmod makes on installation, made here into vmtest's own cache.
 */
#ifndef VMTEST_MODULES_DEPMOD_H
#define VMTEST_MODULES_DEPMOD_H

#include <stdbool.h>

#include "base/error.h"
#include "modules/modules.h"

/* Whether libkmod can work with the directory as it is. */
bool depmod_exists(const char *directory);

/*
 * Gives the directory that holds the index of `directory`, CACHE/modules/KEY/index, and builds it first when it is not
 * there yet. Without a writable cache it is a new private directory and *ret_temporary is true: depmod_remove() it. In
 * a build tree the modules are those of its modules.order. -ECANCELED once `cancel_fd` (or -1) is readable.
 */
int depmod_build(const char *directory, const char *release, bool build_tree, const char *cache_directory,
                 int cancel_fd, modules_notice_fn *notice, void *notice_data, char **ret_index, bool *ret_temporary,
                 struct error **ret_error) _must_check_;

/* The directory in which libkmod finds both that index and the modules. Caller frees. */
char *depmod_view(const char *index);

/* The unpacked file of a module that guests need, or NULL: it is not compressed. Caller frees. */
char *depmod_unpacked(const char *index, const char *name);

/* Removes what depmod_build() made for itself alone. */
void depmod_remove(const char *index);

#endif
