/* SPDX-License-Identifier: Apache-2.0 */
#include "prepare/confinement.h"

#include <limits.h>

#include "base/log.h"
#include "qemu/confine.h"
#include "qemu/environment.h"

/* A backing file of the image that is not named by a path, such as a URL or json:{...}; or NULL. */
static const char *unknown_backing(const struct preparation *preparation) {
    for (size_t i = 0; i < preparation->image.backing.count; i++) {
        if (preparation->image.backing.items[i][0] != '/')
            return preparation->image.backing.items[i];
    }
    return NULL;
}

static bool is_confined(const struct target *target, const struct preparation *preparation) {
    return target->sandbox && target->extra_args.count == 0 && !unknown_backing(preparation);
}

void confinement_notice(const struct target *target, const struct preparation *preparation, notice_fn *notice,
                        void *context) {
    const char *backing = unknown_backing(preparation);

    if (!target->sandbox || is_confined(target, preparation) || !confine_available())
        return;
    if (target->extra_args.count > 0) {
        notice(context, "with vm.extra_args, which may name any file, QEMU is not confined to the run's files "
                        "(Landlock)");
    } else {
        _cleanup_free_ char *line = xasprintf("the image's backing file '%s' is not named by a path: QEMU is not "
                                              "confined to the run's files (Landlock)",
                                              backing);

        notice(context, line);
    }
}

int confinement_make(const struct target *target, const struct preparation *preparation,
                     const struct qemu_config *config, int *ret_fd, struct error **ret_error) {
    _cleanup_confine_rules_ struct confine_rules rules = {0};
    char resolved[PATH_MAX];
    const struct confine_host host = {
        .program_resolved = realpath(config->program, resolved) ? resolved : config->program,
        .home = getenv("HOME"),
        .library_path = getenv("LD_LIBRARY_PATH"),
        .parts = &preparation->image.parts,
        .backing = &preparation->image.backing,
        .backing_parts = &preparation->image.backing_parts,
        .kernel_fd = preparation->kernel_fd,
        .initrd_fd = preparation->initrd_fd,
    };

    *ret_fd = -1;
    if (!is_confined(target, preparation))
        return 0;
    if (!confine_available()) {
        log_debug("the kernel has no Landlock, or its first version: QEMU is not confined to the run's files");
        return 0;
    }
    confine_list(config, &host, &rules);
    return confine_make(&rules, ret_fd, ret_error);
}

void confinement_environment(const struct target *target, struct strv *ret_environment) {
    if (target->sandbox) {
        qemu_environment(environ, ret_environment);
        return;
    }
    for (char **entry = environ; *entry; entry++)
        strv_append(ret_environment, *entry);
}
