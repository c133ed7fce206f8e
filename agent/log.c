/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/log.h"

#include <fcntl.h>
#include <stdarg.h>
#include <string.h>

enum role role;

int failure_set(struct failure *failure, const char *format, ...) {
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
