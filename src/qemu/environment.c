/* SPDX-License-Identifier: Apache-2.0 */
#include "qemu/environment.h"

#include <fnmatch.h>

/*
 * CI jobs keep their secrets in the environment, and the guest's command may get them; QEMU has no use for them.
 * QEMU_* are its own and, by that name, a wrapper script's.
 */
static const char *const passed[] = {
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TZ",
    "TMPDIR",
    "XDG_*",
    "LD_LIBRARY_PATH",
    "LOCALE_ARCHIVE",
    "QEMU_*",
    "GLIBC_TUNABLES",
    "MALLOC_*",
    "G_*",
    "*SAN_OPTIONS",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
};

static bool is_passed(const char *entry) {
    _cleanup_free_ char *name = xstrndup(entry, strcspn(entry, "="));

    for (size_t i = 0; i < ARRAY_SIZE(passed); i++) {
        if (fnmatch(passed[i], name, 0) == 0)
            return true;
    }
    return false;
}

void qemu_environment(char *const *environment, struct strv *ret_environment) {
    for (; environment && *environment; environment++) {
        if (is_passed(*environment))
            strv_append(ret_environment, *environment);
    }
}
