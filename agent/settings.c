/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/settings.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "agent/entropy.h"
#include "agent/log.h"

struct timespec settings_get_time(struct wire_reader *reader) {
    time_t seconds = (time_t)wire_get_u64(reader);

    return (struct timespec){.tv_sec = seconds, .tv_nsec = (long)wire_get_u32(reader)};
}

void settings_set_clock(const struct timespec *now) {
    if (role != ROLE_SOCKET && now->tv_sec != 0 && clock_settime(CLOCK_REALTIME, now) < 0)
        log_line("setting the clock: %s", strerror(errno));
}

void settings_apply(struct settings *settings) {
    settings_set_clock(&settings->now);
    settings->entropy_error = entropy_add(settings->entropy, settings->entropy_size);
    if (settings->hostname[0] && sethostname(settings->hostname, strlen(settings->hostname)) < 0)
        log_line("setting the host name: %s", strerror(errno));
}
