/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>

#include "base/clock.h"
#include "base/file.h"

static int log_fd = -1;

void log_set_fd(int fd) {
    log_fd = fd;
}

int log_enabled(void) {
    return log_fd >= 0;
}

void log_debug(const char *format, ...) {
    uint64_t now = clock_now();
    va_list args;

    if (log_fd < 0)
        return;
    va_start(args, format);
    _cleanup_free_ char *text = xvasprintf(format, args);
    va_end(args);

    _cleanup_free_ char *line = xasprintf("[%llu.%06llu %d] %s\n", (unsigned long long)(now / NSEC_PER_SEC),
                                          (unsigned long long)(now % NSEC_PER_SEC / 1000), (int)getpid(), text);
    (void)!write(log_fd, line, strlen(line));
}
