/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host sends to the agent in the guest: agent/serve.c, command.c, queue.c, setup.c and spawn.c as they are,
 * compiled with harmless.h. Nothing is started or mounted: a command is a number of a process that does not exist, and
 * what mounts, reboots or waits is replaced below. serve.c and command.c are included, to be put back into their first
 * state before each input.
 */
#pragma GCC diagnostic ignored "-Wshadow"
#include "../../agent/command.c"
#include "../../agent/serve.c"

#include <setjmp.h>
#include <stdio.h>
#include <sys/mman.h>

#include "fuzz.h"

/* More than any system hands out. */
#define CHILD (1 << 23)

enum role role;
static jmp_buf powered_off;
static int port = -1;

pid_t fuzz_fork(void) {
    return CHILD;
}

int fuzz_kill(pid_t pid, int number) {
    FUZZ_CHECK(pid == CHILD || pid == -CHILD);
    errno = ESRCH;
    return -1;
}

int fuzz_chdir(const char *path) {
    if (strlen(path) % 2 == 0)
        return 0;
    errno = ENOENT;
    return -1;
}

int fuzz_clock_settime(clockid_t clock, const struct timespec *now) {
    FUZZ_CHECK(now->tv_sec != 0 && role != ROLE_SOCKET);
    return 0;
}

int fuzz_sethostname(const char *name, size_t size) {
    return 0;
}

/* Terminals are a scarce thing on some machines. */
int fuzz_posix_openpt(int flags) {
    errno = EMFILE;
    return -1;
}

void fuzz_sync(void) {
}

int fail(struct failure *failure, const char *format, ...) {
    va_list args;

    va_start(args, format);
    (void)vsnprintf(failure->text, sizeof(failure->text), format, args);
    va_end(args);
    return -1;
}

void log_line(const char *format, ...) {
    char line[512];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
}

void power_off(void) {
    longjmp(powered_off, 1);
}

void settle(uint32_t limit_msec) {
}

void shield_from_oom(void) {
}

void unshield_from_oom(void) {
}

int entropy_add(const unsigned char *bytes, size_t size) {
    unsigned sum = 0;

    for (size_t i = 0; i < size; i++)
        sum += bytes[i];
    FUZZ_CHECK(sum <= size * 255);
    return 0;
}

void tasks_show(void) {
}

static void check_entry(const struct mount_entry *entry) {
    FUZZ_CHECK(strnlen(entry->source, sizeof(entry->source)) < sizeof(entry->source));
    FUZZ_CHECK(strnlen(entry->second, sizeof(entry->second)) < sizeof(entry->second));
    FUZZ_CHECK(strnlen(entry->path, sizeof(entry->path)) < sizeof(entry->path));
}

void beside_begin(const struct setup *what) {
    size_t n_entries = 0;

    FUZZ_CHECK(role != ROLE_SOCKET && what->n_entries <= MAX_MOUNTS && what->root <= WIRE_ROOT_OWN);
    setup_apply(what);
    if (what->modules) {
        FUZZ_CHECK(what->modules->kind == WIRE_MOUNT_MODULES);
        check_entry(what->modules);
    }
    for (char **entry = what->shell_environment; *entry; entry++)
        n_entries += strlen(*entry) < WIRE_PAYLOAD_MAX;
    FUZZ_CHECK(n_entries <= 32);
}

void beside_wait(void) {
}

void mounts_load_drivers(void) {
}

int mounts_enter_root(const struct mount_entry *entries, size_t count, enum wire_root root, struct failure *failure) {
    FUZZ_CHECK(role == ROLE_INIT && count > 0 && entries[0].kind == WIRE_MOUNT_ROOT && root < WIRE_ROOT_OWN);
    for (size_t i = 0; i < count; i++)
        check_entry(&entries[i]);
    return 0;
}

int mounts_add(const struct mount_entry *entry, struct failure *failure) {
    check_entry(entry);
    return entry->kind > WIRE_MOUNT_MODULES ? fail(failure, "a mount of an unknown kind: %s", entry->path) : 0;
}

void mounts_finish(enum wire_root root) {
}

static void start(enum role as) {
    role = as;
    state = STATE_HELLO;
    command = (struct command){.in = -1, .out = -1, .err = -1};
    received_size = 0;
    syncing = settling = 0;
    sync_wanted = input_closed = false;
    input_first = input_last = 0;
    if (port < 0) {
        port = memfd_create("fuzz-port", MFD_CLOEXEC);
        (void)signal(SIGPIPE, SIG_IGN);
    }
    if (port < 0 || ftruncate(port, 0) < 0 || lseek(port, 0, SEEK_SET) < 0)
        abort();
    queue_init(port);
    send_hello();
}

/* As serve() does it, with the input in place of the port. */
static void converse(const uint8_t *data, size_t size, size_t piece) {
    while (size > 0) {
        size_t length = size < piece ? size : piece;

        if (length > sizeof(received) - received_size)
            length = sizeof(received) - received_size;
        if (length == 0)
            return; /* input that no command reads; serve() would wait */
        memcpy(received + received_size, data, length);
        received_size += length;
        data += length;
        size -= length;
        take_frames();
        FUZZ_CHECK(queue_flush());
    }
}

static void end_command(void) {
    struct rusage usage = {0};

    command_reaped(&command, CHILD, 0, &usage);
    for (int i = 0; i < 4 && command.pid > 0 && !command_done(&command); i++) {
        command.credit += WIRE_DATA_MAX;
        command_pump(&command, false);
        command_pump(&command, true);
    }
    if (state == STATE_RUNNING && command_done(&command))
        send_exited();
    FUZZ_CHECK(queue_flush());
}

/* What the agent has said is frames, whole ones. */
static void check_said(void) {
    off_t size = lseek(port, 0, SEEK_END);
    struct wire_frame frame;
    size_t used;
    unsigned char *said = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, port, 0);

    if (said == MAP_FAILED)
        abort();
    for (size_t at = 0; at < (size_t)size; at += used)
        FUZZ_CHECK(wire_parse(said + at, (size_t)size - at, &frame, &used) == WIRE_OK);
    (void)munmap(said, (size_t)size);
}

/* The agent may power off at any point of it. */
static void live(const uint8_t *data, size_t size, size_t piece) {
    if (setjmp(powered_off) != 0)
        return;
    converse(data, size, piece);
    end_command();
    check_said();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t choice = fuzz_choice(&data, &size);

    start((enum role)(choice % 3));
    live(data, size, choice < 3 ? sizeof(received) : choice);
    command_close(&command);
    return 0;
}
