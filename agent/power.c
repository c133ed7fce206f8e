/* SPDX-License-Identifier: Apache-2.0 */
/* The end: PID 1 must not exit, so it powers off; and what it has to say goes to the kernel's log. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "agent.h"

enum role role;

int fail(struct failure *failure, const char *format, ...) {
    va_list args;

    va_start(args, format);
    (void)vsnprintf(failure->text, sizeof(failure->text), format, args);
    va_end(args);
    return -1;
}

void log_line(const char *format, ...) {
    static int kmsg = -1;
    char line[512] = "<5>vmtest-agent: ";
    size_t used = strlen(line);
    va_list args;

    if (kmsg < 0)
        kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
    va_start(args, format);
    (void)vsnprintf(line + used, sizeof(line) - used, format, args);
    va_end(args);
    if (role != ROLE_SOCKET && kmsg >= 0)
        (void)!write(kmsg, line, strlen(line));
}

void power_off(void) {
    if (role != ROLE_INIT) {
        serve_kill_command();
        _exit(0);
    }
    sync();
    (void)reboot(RB_POWER_OFF);
    (void)reboot(RB_AUTOBOOT); /* a machine that cannot be powered off: QEMU runs with -no-reboot */
    for (;;)
        (void)pause();
}
