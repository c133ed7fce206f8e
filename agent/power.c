/* SPDX-License-Identifier: Apache-2.0 */
/* The end of the agent. PID 1 must not exit, so it powers the machine off. */
#include "agent/power.h"

#include <sys/reboot.h>
#include <unistd.h>

#include "agent/log.h"

static void (*before_exit)(void);

void power_before_exit(void (*callback)(void)) {
    before_exit = callback;
}

void power_off(void) {
    if (role != ROLE_INIT) {
        if (before_exit)
            before_exit();
        _exit(0);
    }
    sync();
    (void)reboot(RB_POWER_OFF);
    (void)reboot(RB_AUTOBOOT); /* a machine that cannot be powered off: QEMU runs with -no-reboot */
    for (;;)
        (void)pause();
}
