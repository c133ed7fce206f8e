/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMTEST_AGENT_SETTINGS_H
#define VMTEST_AGENT_SETTINGS_H

#include <time.h>

#include "wire/frame.h"

/* The settings of the running kernel in a SETUP frame. */
struct settings {
    struct timespec now; /* 0 s: the clock is left alone */
    const unsigned char *entropy;
    size_t entropy_size;
    char hostname[65]; /* empty: it is left alone */
    int entropy_error; /* of settings_apply(): negative errno when the kernel did not take the host's entropy */
};

/* Reads a time of the wall clock. */
struct timespec settings_get_time(struct wire_reader *reader);
void settings_set_clock(const struct timespec *now);
/* Sets the clock, the host name, and gives entropy. */
void settings_apply(struct settings *settings);

#endif
