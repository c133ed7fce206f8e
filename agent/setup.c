/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SETUP frame (wire/frame.h): what it holds, and the order in which it is done. While the root is mounted here, the
 * set-up's thread applies the settings and mounts the modules.
 */
#include "agent/setup.h"

#include <string.h>

#include "agent/drivers.h"
#include "agent/mount-points.h"
#include "agent/root.h"
#include "agent/setup-thread.h"

#define MAX_SHELL_ENVIRONMENT 32

static struct {
    struct settings settings;
    enum wire_root root;
    size_t n_entries;
    const struct mount_entry *modules; /* of a kernel target, NULL: none */
} setup;
static struct mount_entry entries[MAX_MOUNTS];
static char shell_text[4096];
static char *shell_environment[MAX_SHELL_ENVIRONMENT + 1]; /* for a first start of the shell; empty: none */

/* Variables that do not fit are left out: they only speed the shell up. */
static void read_shell_environment(struct wire_reader *reader) {
    uint32_t count = wire_get_u32(reader);
    size_t used = 0;
    size_t n_strings = 0;

    memset(shell_environment, 0, sizeof(shell_environment));
    for (uint32_t i = 0; i < count && !reader->failed; i++) {
        size_t size;
        const unsigned char *bytes = wire_get_bytes(reader, &size);

        if (!bytes || n_strings == MAX_SHELL_ENVIRONMENT || size >= sizeof(shell_text) - used)
            continue;
        shell_environment[n_strings++] = memcpy(shell_text + used, bytes, size);
        shell_text[used + size] = '\0';
        used += size + 1;
    }
}

static void read_mount(struct wire_reader *reader, struct mount_entry *entry) {
    entry->kind = wire_get_u32(reader);
    entry->flags = wire_get_u32(reader);
    wire_get_string(reader, entry->type, sizeof(entry->type));
    wire_get_string(reader, entry->options, sizeof(entry->options));
    wire_get_string(reader, entry->source, sizeof(entry->source));
    wire_get_string(reader, entry->second, sizeof(entry->second));
    wire_get_string(reader, entry->path, sizeof(entry->path));
    if (entry->kind == WIRE_MOUNT_MODULES && role == ROLE_INIT)
        setup.modules = entry;
}

static int setup_parse(const struct wire_frame *frame, struct failure *failure) {
    struct wire_reader reader;
    struct settings *settings = &setup.settings;
    uint32_t root;

    memset(&setup, 0, sizeof(setup)); /* nothing is left of a set-up that was refused */
    wire_reader_init(&reader, frame);
    settings->now = settings_get_time(&reader);
    settings->entropy = wire_get_bytes(&reader, &settings->entropy_size);
    wire_get_string(&reader, settings->hostname, sizeof(settings->hostname));
    root = wire_get_u32(&reader);
    setup.n_entries = wire_get_u32(&reader);
    if (setup.n_entries > MAX_MOUNTS)
        return failure_set(failure, "%zu mounts are more than the %d that the guest can have", setup.n_entries,
                           MAX_MOUNTS);
    for (size_t i = 0; i < setup.n_entries; i++)
        read_mount(&reader, &entries[i]);
    drivers_read(&reader);
    read_shell_environment(&reader);
    if (!wire_reader_done(&reader) || root > WIRE_ROOT_OWN)
        return failure_set(failure, "the set-up frame is malformed");
    setup.root = (enum wire_root)root;
    if (role != ROLE_SOCKET && (root == WIRE_ROOT_OWN) != (role == ROLE_PROCESS))
        return failure_set(failure, "the set-up frame is for another kind of target");
    if (role == ROLE_INIT && (setup.n_entries == 0 || entries[0].kind != WIRE_MOUNT_ROOT))
        return failure_set(failure, "the set-up frame has no root");
    return 0;
}

static int enter_root(struct failure *failure) {
    int fd = root_mount_share(&entries[0], setup.root, failure);

    if (fd < 0)
        return -1;
    setup_thread_root_ready(fd);
    if (root_complete(entries, setup.n_entries, setup.root, failure) < 0)
        return -1;
    setup_thread_wait_applied();
    return root_enter(failure);
}

/* Mounts the root of a kernel target and what lies in it; or what a system of its own gets beside it. */
static int mount_everything(struct failure *failure) {
    size_t i = 0;

    if (role == ROLE_PROCESS)
        drivers_load();
    else if (enter_root(failure) < 0)
        return -1;
    else
        i = 1;
    for (; i < setup.n_entries; i++) {
        if (entries[i].kind == WIRE_MOUNT_MODULES)
            setup_thread_wait();
        if (mounts_add(&entries[i], failure) < 0)
            return -1;
    }
    if (role == ROLE_INIT && setup.root == WIRE_ROOT_RO)
        mount_points_make_readonly();
    return 0;
}

int setup_take(const struct wire_frame *frame, struct failure *failure) {
    int r = setup_parse(frame, failure);

    if (r < 0 || role == ROLE_SOCKET)
        return r;
    setup_thread_begin(&setup.settings, setup.modules, shell_environment);
    r = mount_everything(failure);
    setup_thread_wait();
    /* A machine that kept its clock is no clone, and has its own. */
    if (r == 0 && setup.settings.entropy_error < 0 && setup.settings.now.tv_sec != 0)
        return failure_set(failure,
                           "the guest's kernel takes no entropy, and would repeat another run's random numbers: %s",
                           strerror(-setup.settings.entropy_error));
    return r;
}
