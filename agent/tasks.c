/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel's tasks are at (Documentation/admin-guide/sysrq.rst): what is written to the trigger's file is obeyed
 * whatever the mask in kernel.sysrq forbids to keys. The console shows it only once all of the kernel's messages go
 * there.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"

/* Each takes one key at a time. The blocked tasks come last, so that they are what stands at the console's end. */
static const char keys[] = {'9', 't', 'l', 'w'};

void tasks_show(void) {
    if (role == ROLE_SOCKET)
        return; /* the kernel is the host's */
    for (size_t i = 0; i < COUNT(keys); i++) {
        int fd = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);

        if (fd < 0 || write(fd, &keys[i], 1) != 1)
            log_line("/proc/sysrq-trigger: %s", strerror(errno));
        if (fd >= 0)
            (void)close(fd);
    }
}
