/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/drivers.h"

#include <errno.h>
#include <sys/wait.h>

#include "agent/program.h"

#define MAX_DRIVERS 8
#define FIRST 3

static char names[MAX_DRIVERS][64];
static const char *modprobe[FIRST + MAX_DRIVERS + 1] = {"modprobe", "-a", "-q"};

void drivers_read(struct wire_reader *reader) {
    uint32_t count = wire_get_u32(reader);

    if (count > MAX_DRIVERS) {
        reader->failed = true;
        count = 0;
    }
    for (uint32_t i = 0; i < MAX_DRIVERS; i++) {
        if (i < count)
            wire_get_string(reader, names[i], sizeof(names[i]));
        modprobe[FIRST + i] = i < count ? names[i] : NULL;
    }
}

void drivers_load(void) {
    pid_t pid = modprobe[FIRST] ? program_start(modprobe) : -1;

    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}
