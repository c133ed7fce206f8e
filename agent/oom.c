/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/oom.h"

#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"

static void oom_set_score(const char *score) {
    _cleanup_close_ int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (fd >= 0)
        (void)!write(fd, score, strlen(score));
}

void oom_shield(void) {
    oom_set_score("-1000");
}

void oom_unshield(void) {
    oom_set_score("0");
}
