/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random numbers after a machine was cloned (random(4)). The host's entropy is credited, and the generator is reseeded
 * from it at once. Kernels before 5.18 still hand out the old numbers that each processor has in store, 64 bytes, to
 * users in the kernel such as the randomisation of addresses. Starting processes uses them up: each takes eight bytes
 * for its stack's canary.
 */
#include "agent/entropy.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/log.h"

/* A processor's store holds eight numbers; one that is partly used is filled anew first. */
#define STORED_NUMBERS 9
#define FIRST_MAJOR 5
#define FIRST_MINOR 18

static bool keeps_stores(void) {
    struct utsname name;
    int major = 0;
    int minor = 0;

    if (uname(&name) < 0 || sscanf(name.release, "%d.%d", &major, &minor) != 2)
        return false;
    return major < FIRST_MAJOR || (major == FIRST_MAJOR && minor < FIRST_MINOR);
}

static void use_up_store(void) {
    for (unsigned i = 0; i < STORED_NUMBERS; i++) {
        pid_t pid = fork();

        if (pid == 0)
            _exit(0);
        while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
}

static void use_up_stores(void) {
    cpu_set_t all, one;

    if (sched_getaffinity(0, sizeof(all), &all) < 0)
        return;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &all))
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        if (sched_setaffinity(0, sizeof(one), &one) == 0)
            use_up_store();
    }
    (void)sched_setaffinity(0, sizeof(all), &all);
}

int entropy_add(const unsigned char *bytes, size_t size) {
    /* struct rand_pool_info ends in an array of words of no fixed length. */
    uint32_t pool[2 + 64];
    struct rand_pool_info info = {0};
    _cleanup_close_ int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
    int r;

    if (size > sizeof(pool) - sizeof(info))
        size = sizeof(pool) - sizeof(info);
    info.entropy_count = (int)size * 8;
    info.buf_size = (int)size;
    memcpy(pool, &info, sizeof(info));
    memcpy((unsigned char *)pool + sizeof(info), bytes, size);
    r = fd < 0 || ioctl(fd, RNDADDENTROPY, pool) < 0 ? -errno : 0;
    if (r < 0)
        log_line("adding entropy: %s", strerror(-r));
    if (fd >= 0)
        (void)ioctl(fd, RNDRESEEDCRNG);
    if (keeps_stores())
        use_up_stores();
    return r;
}
