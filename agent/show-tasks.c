/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Has the kernel show its tasks (Documentation/admin-guide/sysrq.rst). It obeys the keys written to the trigger's file
 * even where the mask in kernel.sysrq forbids them on a keyboard.
 */
#include "agent/show-tasks.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent/log.h"
#include "wire/guest.h"

void tasks_show(void) {
    if (role == ROLE_SOCKET)
        return; /* the kernel is the host's */
    for (const char *key = GUEST_TASK_KEYS; *key; key++) {
        /* One write(2) takes one key. */
        _cleanup_close_ int fd = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);

        if (fd < 0 || write(fd, key, 1) != 1)
            log_line("/proc/sysrq-trigger: %s", strerror(errno));
    }
}
