/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which modules a guest must load, in which order: for each driver of the table that is a module, libkmod's
 * dependencies and soft dependencies first. A needed driver that is neither a module nor built in ends up, with its
 * CONFIG_ symbol, in the one line that says what is missing.
 */
#include <libkmod.h>

#include "modules/depmod.h"
#include "modules/modules-internal.h"

struct closure {
    const struct kernel *kernel;
    const struct modules *modules;
    const struct share_transport *transport;
    struct kmod_ctx *kmod; /* NULL: no modules */
    char *view;            /* where libkmod finds the modules; NULL: in their own directory */
    struct strv visited;
    struct module_file *files;
    size_t count;

    struct strv missing;  /* CONFIG_ symbols */
    struct strv required; /* those that hide them */
    struct strv lost;     /* modules by the configuration, of which there is no file */
    bool lacks_transport;
};

static void closure_deinit(struct closure *closure) {
    if (closure->kmod)
        (void)kmod_unref(closure->kmod);
    free(closure->view);
    strv_deinit(&closure->visited);
    module_files_free(closure->files, closure->count);
    strv_deinit(&closure->missing);
    strv_deinit(&closure->required);
    strv_deinit(&closure->lost);
}

void module_files_free(struct module_file *files, size_t count) {
    for (size_t i = 0; i < count; i++) {
        free(files[i].name);
        free(files[i].path);
    }
    free(files);
}

static void unref_module(struct kmod_module **module) {
    if (*module)
        (void)kmod_module_unref(*module);
}

static int open_kmod(struct closure *closure, struct error **ret_error) {
    /* The host's modprobe.d (blacklists, install commands) is none of the guest's business. */
    static const char *const no_configuration[] = {NULL};
    const struct modules *modules = closure->modules;
    if (!modules->directory)
        return 0;
    closure->view = modules->index ? depmod_view(modules->index) : NULL;
    const char *directory = closure->view ? closure->view : modules->directory;
    closure->kmod = kmod_new(directory, no_configuration);
    if (!closure->kmod)
        return error_errno(ret_error, errno ? errno : ENOMEM, "cannot read the modules in %s", directory);
    kmod_set_log_priority(closure->kmod, 0);
    int r = kmod_load_resources(closure->kmod);
    if (r < 0)
        return error_errno(ret_error, r, "cannot read the index of the modules in %s: run depmod for it", directory);
    return 0;
}

/* Where the file is that libkmod has at `path` in the view: unpacked beside the index, or in the modules directory. */
static char *module_path(const struct closure *closure, const char *name, const char *path) {
    const struct modules *modules = closure->modules;
    char *unpacked = modules->index ? depmod_unpacked(modules->index, name) : NULL;
    if (unpacked)
        return unpacked;
    const char *relative = closure->view ? str_skip_prefix(path, closure->view) : NULL;
    return relative && *relative == '/' ? xasprintf("%s%s", modules->directory, relative) : xstrdup(path);
}

static void add_module(struct closure *closure, const struct kmod_module *module);

static void add_list(struct closure *closure, struct kmod_list *list) {
    struct kmod_list *at;
    kmod_list_foreach(at, list) {
        _cleanup_(unref_module) struct kmod_module *module = kmod_module_get_module(at);
        add_module(closure, module);
    }
    (void)kmod_module_unref_list(list);
}

/* Adds what the module needs and then itself; one that has no file is built in. */
static void add_module(struct closure *closure, const struct kmod_module *module) {
    struct kmod_list *before = NULL, *behind = NULL;
    const char *name = kmod_module_get_name(module);
    const char *path = kmod_module_get_path(module);
    if (!path || strv_contains(&closure->visited, name))
        return;
    strv_append(&closure->visited, name);
    if (kmod_module_get_softdeps(module, &before, &behind) == 0) {
        add_list(closure, before);
        (void)kmod_module_unref_list(behind);
    }
    add_list(closure, kmod_module_get_dependencies(module));
    closure->files = xreallocarray(closure->files, closure->count + 1, sizeof(*closure->files));
    closure->files[closure->count++] =
        (struct module_file){.name = xstrdup(name), .path = module_path(closure, name, path)};
}

/* Whether the modules have the driver, or say that it is built in. */
static bool find_in_modules(struct closure *closure, const struct driver *driver) {
    _cleanup_(unref_module) struct kmod_module *module = NULL;
    if (!closure->kmod || kmod_module_new_from_name(closure->kmod, driver->module, &module) < 0)
        return false;
    if (kmod_module_get_initstate(module) == KMOD_MODULE_BUILTIN)
        return true;
    if (!kmod_module_get_path(module))
        return false;
    add_module(closure, module);
    return true;
}

static void note_missing(struct closure *closure, const struct driver *driver, enum driver_state state) {
    bool is_transport = false;

    for (const struct driver *other = closure->transport->drivers; other->module; other++)
        is_transport |= other == driver;
    strv_append(&closure->missing, driver->symbol);
    if (driver->requires)
        strv_append(&closure->required, driver->requires);
    if (state == DRIVER_MODULE)
        strv_append(&closure->lost, driver->module);
    else if (is_transport)
        closure->lacks_transport = true;
}

static int find_driver(struct closure *closure, struct built_in *built_in, const struct driver *driver,
                       bool need_overlay, struct error **ret_error) {
    enum driver_state state;
    bool needed = driver->need == DRIVER_ALWAYS || (driver->need == DRIVER_OVERLAY && need_overlay);
    if (find_in_modules(closure, driver) || !needed)
        return 0;
    int r = built_in_ask(built_in, driver, &state, ret_error);
    if (r == 0 && state != DRIVER_BUILT_IN)
        note_missing(closure, driver, state);
    return r;
}

/* "A=y, B=y" or, where modules could be loaded, "A, B". */
static char *symbols_wanted(const struct closure *closure) {
    _cleanup_free_ char *missing = strv_join(&closure->missing, closure->modules->directory ? ", " : "=y, ");
    _cleanup_free_ char *required = strv_join(&closure->required, ", ");
    return xasprintf("%s%s%s%s%s", missing, closure->modules->directory ? "" : "=y",
                     closure->required.count ? " (and " : "", required, closure->required.count ? " for them)" : "");
}

static int report_missing(const struct closure *closure, struct error **ret_error) {
    const struct kernel *kernel = closure->kernel;
    _cleanup_free_ char *symbols = symbols_wanted(closure);
    _cleanup_free_ char *lost = strv_join(&closure->lost, ", ");
    _cleanup_free_ char *searched = strv_join(&closure->modules->searched, ", ");
    if (!closure->modules->directory)
        return error_new(
            ret_error, ENOENT,
            "%s: no modules found for %s, and it has not built in all that a guest needs: switch on %s, or "
            "name the directory of its modules (`modules`); searched %s",
            kernel->path, kernel->release, symbols, searched);
    if (closure->lost.count > 0)
        return error_new(ret_error, ENOENT,
                         "%s: the modules of %s lack %s, which its configuration has as modules: install the package "
                         "that has them, or switch on %s; searched %s",
                         kernel->path, kernel->release, lost, symbols, searched);
    return error_new(ret_error, ENOENT, "%s: the kernel %s %s: switch on %s%s%s; searched %s", kernel->path,
                     kernel->release,
                     closure->lacks_transport ? closure->transport->kernel_lacks : "lacks drivers that a guest needs",
                     symbols, closure->lacks_transport ? ", or " : "",
                     closure->lacks_transport ? closure->transport->kernel_advice : "", searched);
}

int modules_closure(const struct kernel *kernel, const struct modules *modules, const struct share_transport *transport,
                    bool need_overlay, struct module_file **ret_files, size_t *ret_count, struct error **ret_error) {
    _cleanup_(closure_deinit) struct closure closure = {.kernel = kernel, .modules = modules, .transport = transport};
    _cleanup_(built_in_deinit) struct built_in built_in = {.kernel = kernel, .modules_directory = modules->directory};
    int r = open_kmod(&closure, ret_error);
    size_t i = 0;
    for (; i < n_drivers && r == 0 && drivers[i].need == DRIVER_ALWAYS; i++)
        r = find_driver(&closure, &built_in, &drivers[i], need_overlay, ret_error);
    for (const struct driver *driver = transport->drivers; driver->module && r == 0; driver++)
        r = find_driver(&closure, &built_in, driver, need_overlay, ret_error);
    for (; i < n_drivers && r == 0; i++)
        r = find_driver(&closure, &built_in, &drivers[i], need_overlay, ret_error);
    if (r == 0 && closure.missing.count > 0)
        r = report_missing(&closure, ret_error);
    if (r < 0)
        return r;
    *ret_files = TAKE_PTR(closure.files);
    *ret_count = closure.count;
    closure.count = 0;
    return 0;
}
