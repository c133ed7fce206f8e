/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of the boot that does not depend on the run. The initramfs holds /modules/load, a list of module files in
 * load order.
 */
#include "agent/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/log.h"
#include "agent/port.h"
#include "agent/power.h"

struct early_mount {
    const char *type;
    const char *path;
    unsigned long flags;
    const char *options;
    bool optional; /* a kernel may be built without it */
};

static const struct early_mount early_mounts[] = {
    {"proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, false},
    {"sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, false},
    {"devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "mode=620,gid=5,ptmxmode=666", true},
    {"tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777", true},
    {"mqueue", "/dev/mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, true},
    {"tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=755", false},
    {"tmpfs", "/tmp", MS_NOSUID | MS_NODEV, "mode=1777", false},
    {"tmpfs", "/overlay", 0, "mode=755", false},
    {"cgroup2", "/sys/fs/cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, true},
    {"bpf", "/sys/fs/bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=700", true},
    {"debugfs", "/sys/kernel/debug", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, true},
    {"tracefs", "/sys/kernel/tracing", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, true},
    {"securityfs", "/sys/kernel/security", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, true},
    {"configfs", "/sys/kernel/config", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, true},
};

static void mount_early(const struct early_mount *entry) {
    if (strncmp(entry->path, "/sys/", 5) != 0 && mkdir(entry->path, 0755) < 0 && errno != EEXIST)
        log_line("mkdir %s: %s", entry->path, strerror(errno));
    if (mount(entry->type, entry->path, entry->type, entry->flags, entry->options) == 0)
        return;
    if (entry->optional && (errno == ENODEV || errno == ENOENT))
        return;
    log_line("mounting %s on %s: %s", entry->type, entry->path, strerror(errno));
    if (!entry->optional)
        power_off();
}

static void load_module(const char *path) {
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST))
        log_line("loading %s: %s", path, strerror(errno));
}

static void load_modules(void) {
    char line[PATH_MAX];
    _cleanup_fclose_ FILE *list = fopen("/modules/load", "re");

    while (list && fgets(line, sizeof(line), list)) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0])
            load_module(line);
    }
}

static void link_devices(void) {
    static const char *const links[][2] = {
        {"/proc/self/fd", "/dev/fd"},       {"/proc/self/fd/0", "/dev/stdin"}, {"/proc/self/fd/1", "/dev/stdout"},
        {"/proc/self/fd/2", "/dev/stderr"}, {"/proc/kcore", "/dev/core"},      {"pts/ptmx", "/dev/ptmx"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
        if (symlink(links[i][0], links[i][1]) < 0 && errno != EEXIST)
            log_line("linking %s: %s", links[i][1], strerror(errno));
    }
}

static void bring_loopback_up(void) {
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        log_line("bringing lo up: %s", strerror(errno));
}

/* BPF on 5.10 charges maps to MEMLOCK, hence no limit there. */
static void set_limits(void) {
    const struct rlimit memlock = {RLIM_INFINITY, RLIM_INFINITY};
    const struct rlimit files = {1024, 1048576};

    if (setrlimit(RLIMIT_MEMLOCK, &memlock) < 0)
        log_line("RLIMIT_MEMLOCK: %s", strerror(errno));
    if (setrlimit(RLIMIT_NOFILE, &files) < 0)
        log_line("RLIMIT_NOFILE: %s", strerror(errno));
}

void boot_early(void) {
    if (mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=755") < 0)
        log_line("mounting devtmpfs: %s; the kernel needs CONFIG_DEVTMPFS", strerror(errno));
    port_listen();
    load_modules();
    for (size_t i = 0; i < ARRAY_SIZE(early_mounts); i++)
        mount_early(&early_mounts[i]);
    link_devices();
    bring_loopback_up();
    set_limits();
}

int boot_open_port(void) {
    struct failure failure;
    int port = port_open(DEADLINE_NONE, &failure);

    if (port < 0) {
        log_line("%s", failure.text);
        power_off();
    }
    return port;
}
