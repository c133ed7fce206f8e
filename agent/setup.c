/* SPDX-License-Identifier: Apache-2.0 */
/* The SETUP frame (wire/frame.h): what it holds, and the order in which it is done. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"

#define MAX_SHELL_ENVIRONMENT 32

static struct setup setup;
static int entropy_error; /* negative errno: the kernel did not take the host's entropy */
static struct mount_entry entries[MAX_MOUNTS];
static char shell_text[4096];
static char *shell_entries[MAX_SHELL_ENVIRONMENT + 1];

void setup_get_time(struct wire_reader *reader, struct timespec *ret) {
    ret->tv_sec = (time_t)wire_get_u64(reader);
    ret->tv_nsec = (long)wire_get_u32(reader);
}

void setup_set_clock(const struct timespec *now) {
    if (role != ROLE_SOCKET && now->tv_sec != 0 && clock_settime(CLOCK_REALTIME, now) < 0)
        log_line("setting the clock: %s", strerror(errno));
}

void setup_apply(const struct setup *what) {
    if (role == ROLE_SOCKET)
        return;
    setup_set_clock(&what->now);
    entropy_error = entropy_add(what->entropy, what->entropy_size);
    if (what->hostname[0] && sethostname(what->hostname, strlen(what->hostname)) < 0)
        log_line("setting the host name: %s", strerror(errno));
}

/* What does not fit is left out: it only serves to be quick. */
static void get_shell_environment(struct wire_reader *reader) {
    uint32_t count = wire_get_u32(reader);
    size_t used = 0;
    size_t n_entries = 0;

    for (uint32_t i = 0; i < count && !reader->failed; i++) {
        size_t size;
        const unsigned char *bytes = wire_get_bytes(reader, &size);

        if (!bytes || n_entries == MAX_SHELL_ENVIRONMENT || size >= sizeof(shell_text) - used)
            continue;
        shell_entries[n_entries++] = memcpy(shell_text + used, bytes, size);
        shell_text[used + size] = '\0';
        used += size + 1;
    }
}

static int parse(const struct wire_frame *frame, struct failure *failure) {
    struct wire_reader reader;

    /* Nothing is left of a set-up that was refused. */
    setup = (struct setup){.shell_environment = shell_entries};
    memset(shell_entries, 0, sizeof(shell_entries));
    wire_reader_init(&reader, frame);
    setup_get_time(&reader, &setup.now);
    setup.entropy = wire_get_bytes(&reader, &setup.entropy_size);
    wire_get_string(&reader, setup.hostname, sizeof(setup.hostname));
    setup.root = wire_get_u32(&reader);
    setup.n_entries = wire_get_u32(&reader);
    if (setup.n_entries > MAX_MOUNTS)
        return fail(failure, "%zu mounts are more than the %d that the guest can have", setup.n_entries, MAX_MOUNTS);
    for (size_t i = 0; i < setup.n_entries; i++) {
        struct mount_entry *entry = &entries[i];

        entry->kind = wire_get_u32(&reader);
        entry->flags = wire_get_u32(&reader);
        wire_get_string(&reader, entry->source, sizeof(entry->source));
        wire_get_string(&reader, entry->second, sizeof(entry->second));
        wire_get_string(&reader, entry->path, sizeof(entry->path));
        if (entry->kind == WIRE_MOUNT_MODULES && role == ROLE_INIT)
            setup.modules = entry;
    }
    get_shell_environment(&reader);
    if (!wire_reader_done(&reader) || setup.root > WIRE_ROOT_OWN)
        return fail(failure, "the set-up frame is malformed");
    if (role != ROLE_SOCKET && (setup.root == WIRE_ROOT_OWN) != (role == ROLE_PROCESS))
        return fail(failure, "the set-up frame is for another kind of target");
    if (role == ROLE_INIT && (setup.n_entries == 0 || entries[0].kind != WIRE_MOUNT_ROOT))
        return fail(failure, "the set-up frame has no root");
    return 0;
}

/* Mounts what a system of its own gets beside it. */
static int mount_shares(struct failure *failure) {
    if (setup.n_entries > 0)
        mounts_load_drivers();
    for (size_t i = 0; i < setup.n_entries; i++) {
        if (mounts_add(&entries[i], failure) < 0)
            return -1;
    }
    return 0;
}

static int mount_everything(struct failure *failure) {
    int r = mounts_enter_root(entries, setup.n_entries, (enum wire_root)setup.root, failure);

    for (size_t i = 1; r == 0 && i < setup.n_entries; i++) {
        if (entries[i].kind == WIRE_MOUNT_MODULES)
            beside_wait();
        r = mounts_add(&entries[i], failure);
    }
    if (r == 0)
        mounts_finish((enum wire_root)setup.root);
    return r;
}

int setup_take(const struct wire_frame *frame, struct failure *failure) {
    int r = parse(frame, failure);

    if (r < 0 || role == ROLE_SOCKET)
        return r;
    beside_begin(&setup);
    r = role == ROLE_PROCESS ? mount_shares(failure) : mount_everything(failure);
    beside_wait();
    /* A machine that kept its clock is no clone, and has its own. */
    if (r == 0 && entropy_error < 0 && setup.now.tv_sec != 0)
        return fail(failure, "the guest's kernel takes no entropy, and would repeat another run's random numbers: %s",
                    strerror(-entropy_error));
    return r;
}
