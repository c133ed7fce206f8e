/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kept beside the index: the modules that every guest loads, unpacked. To do that in each run would cost 30 ms, half of
 * all that a run costs vmtest itself.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "kernel/unpack.h"
#include "modules/depmod-internal.h"
#include "modules/drivers.h"

static int unpack_one(const struct depmod_modules *modules, const struct depmod_module *module, const char *target,
                      struct error **ret_error) {
    _cleanup_free_ char *from = xasprintf("%s/%s", modules->directory, module->path);
    _cleanup_free_ char *to = xasprintf("%s/%s.ko", target, module->name);
    _cleanup_buffer_ struct buffer content = {0};
    if (str_has_suffix(module->path, ".ko") || path_exists(to))
        return 0;
    int r = unpack_module(from, &content, ret_error);
    return r < 0 ? r : file_write_atomically(to, content.data, content.size, 0644, ret_error);
}

int depmod_unpack(const struct depmod_modules *modules, const char *target, struct error **ret_error) {
    int r = 0;
    for (size_t i = 0; i < modules->count && r == 0; i++) {
        const struct depmod_module *module = &modules->items[i];
        if (!driver_is_known(module->name))
            continue;
        r = unpack_one(modules, module, target, ret_error);
        for (size_t j = 0; j < module->n_dependencies && r == 0; j++)
            r = unpack_one(modules, &modules->items[module->dependencies[j]], target, ret_error);
    }
    return r;
}
