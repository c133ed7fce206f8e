/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of depmod_build(): list the module files, read their records, write the files of the index. */
#ifndef VMTEST_MODULES_DEPMOD_INTERNAL_H
#define VMTEST_MODULES_DEPMOD_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/str.h"

struct depmod_module {
    char *path;      /* relative to the modules directory */
    char *name;      /* normalised, as lsmod shows it */
    size_t order;    /* its line in modules.order; SIZE_MAX: it has none */
    size_t priority; /* of two files of one name the lower is taken */

    /* The records of the file, one string after another, each beginning with a DEPMOD_RECORD_... letter. */
    const char *records;
    size_t records_size;

    size_t *dependencies; /* all of them, what depends before what it depends on; places in struct depmod_modules */
    size_t n_dependencies;
};

#define DEPMOD_RECORD_ALIAS 'a'
#define DEPMOD_RECORD_DEPENDS 'd'
#define DEPMOD_RECORD_SOFTDEP 's'
#define DEPMOD_RECORD_SYMBOL 'y'

struct depmod_modules {
    const char *directory; /* not owned */
    int cancel_fd;         /* readable: nobody waits for the index any more; -1: none */
    struct depmod_module *items;
    size_t count;
    size_t capacity;
    struct strv watched; /* relative paths: while their times stay, so does the list of modules */

    struct depmod_mapping { /* where the records are */
        void *data;
        size_t size;
    } * mappings;
    size_t n_mappings;
};

/* Lists the modules of a directory, or of a build tree by its modules.order. */
int depmod_list(const char *directory, bool build_tree, struct depmod_modules *ret, struct error **ret_error)
    _must_check_;
/*
 * 32 digits that change with the paths' times and sizes and with those of the files that the kernel's build puts at
 * the top. With no path at all it is the key under which the list of paths is kept. Caller frees.
 */
char *depmod_key(const char *directory, const struct strv *watched);
/* Puts them in the order of modules.order, drops all but the best of each name. */
void depmod_sort(struct depmod_modules *modules);
/* Reads all of them, with a process for each CPU, and resolves their dependencies. */
int depmod_read(struct depmod_modules *modules, struct error **ret_error) _must_check_;
/* Works the dependencies out of the records. */
void depmod_resolve(struct depmod_modules *modules);
/* Writes all files of the index into an existing directory. */
int depmod_write(const struct depmod_modules *modules, const char *target, struct error **ret_error) _must_check_;
/* Unpacks the compressed ones of the modules that guests need into an existing directory, as NAME.ko. */
int depmod_unpack(const struct depmod_modules *modules, const char *target, struct error **ret_error) _must_check_;
void depmod_modules_deinit(struct depmod_modules *modules);

/* The next record after `record` (NULL: the first), or NULL. */
const char *depmod_next_record(const struct depmod_module *module, const char *record);

/* A module's name out of its file name: up to the first dot, '-' as '_'. Caller frees. */
char *depmod_module_name(const char *path);

#endif
