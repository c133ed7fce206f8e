/* SPDX-License-Identifier: Apache-2.0 */
/* The table of architectures. */
#include "arch/arch.h"

#include <string.h>
#include <sys/utsname.h>

#include "arch/rows.h"
#include "base/str.h"

static const struct arch *const arches[] = {
    &arch_x86_64,
};

const struct arch *arch_find(const char *name) {
    for (size_t i = 0; i < ARRAY_SIZE(arches); i++) {
        if (str_equal(arches[i]->name, name))
            return arches[i];
    }
    return NULL;
}

const struct arch *arch_host(void) {
    for (size_t i = 0; i < ARRAY_SIZE(arches); i++) {
        if (arches[i]->is_host)
            return arches[i];
    }
    return NULL;
}

const char *arch_host_name(void) {
    static struct utsname host;

    if (arch_host())
        return arch_host()->name;
    return uname(&host) == 0 ? host.machine : "unknown";
}

const char *arch_names(void) {
    static char names[64];

    names[0] = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(arches); i++) {
        size_t used = strlen(names);

        (void)snprintf(names + used, sizeof(names) - used, "%s%s", i > 0 ? ", " : "", arches[i]->name);
    }
    return names;
}
