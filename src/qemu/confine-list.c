/* SPDX-License-Identifier: Apache-2.0 */
/* Which files of the host a QEMU needs, by its command line. */
#include "base/file.h"
#include "qemu/confine.h"

/* Where systems have programs, libraries, firmware and what all programs read. */
static const char *const system_paths[] = {
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/opt",
    "/nix/store",
    "/gnu/store",
    "/run/current-system",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/etc/localtime",
    "/etc/qemu",
    "/etc/crypto-policies",
    "/etc/gcrypt",
    "/etc/gnutls",
    "/etc/pki/tls/openssl.cnf",
    "/etc/ssl/openssl.cnf",
    /* What the host's kernel and processors are. */
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/sys",
    "/sys/devices/system",
    "/sys/kernel/mm",
};

static const char *const devices[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"};

/* Beside PREFIX/bin, where a QEMU that somebody has built himself has its libraries, modules, BIOS and option ROMs. */
static const char *const beside_bin[] = {"lib",        "lib32",         "lib64",         "libexec",
                                         "share/qemu", "share/seabios", "share/vgabios", "share/ipxe"};

void confine_rules_deinit(struct confine_rules *rules) {
    for (size_t i = 0; i < rules->count; i++)
        free(rules->items[i].path);
    free(rules->items);
    *rules = (struct confine_rules){0};
}

static struct confine_rule *rules_add(struct confine_rules *rules, enum confine_access access) {
    struct confine_rule *rule;

    rules->items = xreallocarray(rules->items, rules->count + 1, sizeof(*rules->items));
    rule = &rules->items[rules->count++];
    *rule = (struct confine_rule){.fd = -1, .access = access};
    return rule;
}

static void rules_require(struct confine_rules *rules, const char *path, enum confine_access access) {
    rules_add(rules, access)->path = xstrdup(path);
}

static void rules_allow(struct confine_rules *rules, const char *path, enum confine_access access) {
    struct confine_rule *rule = rules_add(rules, access);

    rule->path = xstrdup(path);
    rule->optional = true;
}

static void require_fd(struct confine_rules *rules, int fd, enum confine_access access) {
    if (fd >= 0)
        rules_add(rules, access)->fd = fd;
}

/*
 * The program may be a script that starts the one beside it, and a QEMU that lies where it was built has its files
 * there; but a program in the home directory does not open all of that.
 */
static void add_program(struct confine_rules *rules, const char *program, const char *home) {
    _cleanup_free_ char *directory = path_parent(program);
    _cleanup_free_ char *prefix = path_parent(directory);
    bool holds_home = home && path_is_below(home, directory);

    rules_allow(rules, program, CONFINE_READ);
    if (program[0] != '/' || str_equal(directory, "/") || holds_home)
        return;
    rules_allow(rules, directory, CONFINE_READ);
    if (!str_equal(path_basename(directory), "bin"))
        return;
    for (size_t i = 0; i < ARRAY_SIZE(beside_bin); i++) {
        _cleanup_free_ char *path = path_resolve(prefix, beside_bin[i]);

        rules_allow(rules, path, CONFINE_READ);
    }
}

static void add_library_path(struct confine_rules *rules, const char *library_path) {
    _cleanup_free_ char *copy = xstrdup(library_path ? library_path : "");
    char *rest = copy;
    char *directory;

    while ((directory = strsep(&rest, ":;")) != NULL) {
        if (directory[0] == '/')
            rules_allow(rules, directory, CONFINE_READ);
    }
}

static void add_system(struct confine_rules *rules, const struct qemu_config *config, const struct confine_host *host) {
    for (size_t i = 0; i < ARRAY_SIZE(system_paths); i++)
        rules_allow(rules, system_paths[i], CONFINE_READ);
    for (size_t i = 0; i < ARRAY_SIZE(devices); i++)
        rules_allow(rules, devices[i], CONFINE_DEVICE);
    if (config->accel == ACCEL_KVM)
        rules_allow(rules, "/dev/kvm", CONFINE_DEVICE);
    add_program(rules, config->program, host->home);
    if (!str_equal(config->program, host->program_resolved))
        add_program(rules, host->program_resolved, host->home);
    add_library_path(rules, host->library_path);
}

static void require_all(struct confine_rules *rules, const struct strv *paths, enum confine_access access) {
    for (size_t i = 0; paths && i < paths->count; i++)
        rules_require(rules, paths->items[i], access);
}

static void add_disk(struct confine_rules *rules, const struct qemu_disk *disk, const struct confine_host *host) {
    enum confine_access access = disk->overlay_fd >= 0 ? CONFINE_DISK_READ : CONFINE_DEVICE;

    rules_require(rules, disk->path, access);
    require_all(rules, host->parts, access);
    require_all(rules, host->backing, CONFINE_DISK_READ);
    require_all(rules, host->backing_parts, CONFINE_DISK_READ);
    /* The limits of its queue. */
    if (disk->device)
        rules_allow(rules, "/sys/devices", CONFINE_READ);
}

void confine_list(const struct qemu_config *config, const struct confine_host *host, struct confine_rules *ret_rules) {
    add_system(ret_rules, config, host);
    require_fd(ret_rules, host->kernel_fd, CONFINE_READ);
    require_fd(ret_rules, host->initrd_fd, CONFINE_READ);
    if (config->snapshot)
        require_fd(ret_rules, config->snapshot->memory_fd, config->snapshot->readonly ? CONFINE_READ : CONFINE_WRITE);
    for (size_t i = 0; i < config->n_shares; i++)
        rules_require(ret_rules, config->shares[i].path, config->shares[i].writable ? CONFINE_WRITE : CONFINE_READ);
    if (config->disk)
        add_disk(ret_rules, config->disk, host);
    if (config->firmware)
        rules_require(ret_rules, config->firmware->code, CONFINE_READ);
}
