/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host sends to the agent in the guest: agent/serve.c and the files that read its frames as they are, compiled
 * with harmless.h. Nothing is started or mounted: a command is a number of a process that does not exist, and what
 * mounts, reboots or waits is replaced below. serve.c and command-streams.c are included, to be put back into their
 * first state before each input.
 */
#pragma GCC diagnostic ignored "-Wshadow"
#include "../../agent/command-streams.c"
#include "../../agent/serve.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>

#include "agent/entropy.h"
#include "agent/mount-points.h"
#include "agent/oom.h"
#include "agent/root.h"
#include "agent/setup-thread.h"
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

int failure_set(struct failure *failure, const char *format, ...) {
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

void settle_wait(uint32_t limit_msec) {
}

void oom_unshield(void) {
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

void power_before_exit(void (*callback)(void)) {
}

#define CHECK_ENDS(text) FUZZ_CHECK(strnlen(text, sizeof(text)) < sizeof(text))

static void check_entry(const struct mount_entry *entry) {
    CHECK_ENDS(entry->type);
    CHECK_ENDS(entry->options);
    CHECK_ENDS(entry->source);
    CHECK_ENDS(entry->second);
    CHECK_ENDS(entry->path);
}

void setup_thread_begin(struct settings *settings, const struct mount_entry *modules, char **environment) {
    size_t n_strings = 0;

    FUZZ_CHECK(role != ROLE_SOCKET);
    settings_apply(settings);
    if (modules) {
        FUZZ_CHECK(modules->kind == WIRE_MOUNT_MODULES);
        check_entry(modules);
    }
    for (char **string = environment; *string; string++)
        n_strings += strlen(*string) < WIRE_PAYLOAD_MAX;
    FUZZ_CHECK(n_strings <= 32);
}

void setup_thread_root_ready(int fd) {
}

void setup_thread_wait_applied(void) {
}

void setup_thread_wait(void) {
}

int root_mount_share(const struct mount_entry *share, enum wire_root mode, struct failure *failure) {
    FUZZ_CHECK(role == ROLE_INIT && share->kind == WIRE_MOUNT_ROOT && mode < WIRE_ROOT_OWN);
    return 0;
}

int root_complete(const struct mount_entry *entries, size_t count, enum wire_root mode, struct failure *failure) {
    FUZZ_CHECK(count > 0 && count <= MAX_MOUNTS);
    for (size_t i = 0; i < count; i++)
        check_entry(&entries[i]);
    return 0;
}

int root_enter(struct failure *failure) {
    return 0;
}

int mounts_add(const struct mount_entry *entry, struct failure *failure) {
    check_entry(entry);
    return entry->kind > WIRE_MOUNT_MODULES ? failure_set(failure, "a mount of an unknown kind: %s", entry->path) : 0;
}

void mount_points_make_readonly(void) {
}

static void start(enum role as) {
    role = as;
    state = STATE_HELLO;
    command = (struct command){.in = -1, .out = -1, .err = -1};
    received_size = 0;
    for (size_t i = 0; i < ARRAY_SIZE(errands); i++)
        errands[i].child = 0;
    input_closed = false;
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

/* As serve_host() does it, with the input in place of the port. */
static void converse(const uint8_t *data, size_t size, size_t piece) {
    while (size > 0) {
        size_t length = size < piece ? size : piece;

        if (length > sizeof(received) - received_size)
            length = sizeof(received) - received_size;
        if (length == 0)
            return; /* input that no command reads; serve_host() would wait */
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
