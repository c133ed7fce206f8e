/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent: PID 1 of a kernel target, or a process of an image target's system. It boots the guest far enough to talk
 * (boot.c, port.c) or attaches to one that is up (attach.c), mounts what the run asks for (mounts.c, skeleton.c), runs
 * the command and carries its output (command.c, serve.c). PID 1 never exits: whatever cannot go on powers the machine
 * off. Every buffer is static; the C library alone allocates, for the thread beside (beside.c) and to read files.
 */
#ifndef VMTEST_AGENT_H
#define VMTEST_AGENT_H

#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <time.h>

#include "wire/frame.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PATH_SIZE 4096

/* How the agent was started. */
enum role {
    ROLE_SOCKET,  /* an ordinary process that serves a descriptor and changes nothing in the system (tests) */
    ROLE_INIT,    /* PID 1 of a kernel target: losing the host means powering off */
    ROLE_PROCESS, /* a process of an image target's system */
};
extern enum role role;

/* boot.c */
/* Mounts the pseudo file systems, loads the modules, brings `lo` up, sets the limits. */
void boot_early(void);
/* Opens the agent's port, waiting for it to appear. Never returns without it: powers off. */
int boot_open_port(void);

/* attach.c */
/* Exit status of `vmtest-agent --attach` when it could be run but not attached; standard error says why. */
#define ATTACH_FAILED 3
/*
 * Opens the port and goes on in a child that serves it. Returns the exit status once that is done or has failed.
 */
int attach(const sigset_t *signals);
/* Keeps the OOM killer away from this process, as it keeps away from PID 1 anyway; commands are not shielded. */
void shield_from_oom(void);
void unshield_from_oom(void);

/* Why something was not possible: one line, cut to fit. */
struct failure {
    char text[1024];
};

/* Fills a failure. Always returns -1, so that a function can return it. */
int fail(struct failure *failure, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* port.c */
/* Begins to listen for devices that appear; to be called before the port's driver is loaded. */
void port_listen(void);
/* Opens the port, waiting for it to appear at most so long (-1: for ever), and until the host has its end open. */
int port_open(int patience_msec, struct failure *failure);

/* A line for the kernel's log. */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* power.c */
/* Writes everything back and powers the machine off; an agent that is not PID 1 takes the command along and exits. */
_Noreturn void power_off(void);

/* mounts.c */
struct mount_entry {
    uint32_t kind;  /* enum wire_mount */
    uint32_t flags; /* WIRE_MOUNT_* */
    char source[64];
    char second[64];
    char path[PATH_SIZE];
};

#define MAX_MOUNTS 64

/* Mounts the modules where the guest does not see it, so that mounts_add() has only to move them. */
void mounts_stage_modules(const struct mount_entry *entry);
/* Mounts the root share, the first entry, and makes it the root; the others tell which mount points it must have. */
int mounts_enter_root(const struct mount_entry *entries, size_t count, enum wire_root root, struct failure *failure);
/* Loads what the shares of an image target's system need, as far as it has it. */
void mounts_load_drivers(void);
/* Mounts one entry of SETUP below the root. */
int mounts_add(const struct mount_entry *entry, struct failure *failure);
/* After the last: a read-only root has its helpers made read-only, too. */
void mounts_finish(enum wire_root root);

/* setup.c */
struct setup {
    struct timespec now; /* 0 s: the clock is left alone */
    const unsigned char *entropy;
    size_t entropy_size;
    char hostname[65]; /* empty: it is left alone */
    uint32_t root;     /* enum wire_root */
    size_t n_entries;
    const struct mount_entry *modules; /* of a kernel target, NULL: none */
    char **shell_environment;          /* for a first start of the shell; empty: none */
};
/* Does what a SETUP frame asks for. */
int setup_take(const struct wire_frame *frame, struct failure *failure);
/* Sets the clock, the host name, and gives entropy. */
void setup_apply(const struct setup *what);
void setup_get_time(struct wire_reader *reader, struct timespec *ret);
void setup_set_clock(const struct timespec *now);

/* beside.c: what is done on another processor meanwhile; without one, at once. */
/* Makes the thread. To be called before HELLO. */
void beside_start(void);
/* Begins with the settings and the modules. */
void beside_begin(const struct setup *what);
/* The root's files are there, though it is not entered yet: the shell can be started. The descriptor stays open. */
void beside_root_ready(int fd);
/* Waits for the settings, which need /dev: before that is moved. */
void beside_wait_applied(void);
/* Waits for the settings and the modules. */
void beside_wait(void);

/* spawn.c */
/* Fills in the arguments, at most four, with which the guest's shell runs `script`. False: it has no shell. */
bool spawn_shell(const char *argv[5], const char *script);

/* skeleton.c */
/* Makes the directory `path` to mount on. Missing parts never appear in a share: see skeleton.c. */
int skeleton_make(const char *path, struct failure *failure);
/* The root is no overlay: nothing is to be made in the file system at `path`. */
void skeleton_root(const char *path);
/* Covers `directory`, which will be called `later` once the root has been entered. */
int skeleton_cover(const char *directory, const char *later, struct failure *failure);
void skeleton_make_readonly(void);

/* entropy.c */
/*
 * Gives the kernel entropy of the host's, so that nobody draws the numbers of another clone of the same machine.
 * Negative errno when it does not take it.
 */
int entropy_add(const unsigned char *bytes, size_t size);

/* settle.c */
/* Waits until the system has come up and is quiet, at most so long. For a child: it blocks. */
void settle(uint32_t limit_msec);

/* tasks.c */
/* Has the kernel show its tasks on its console. Blocks until they stand there. */
void tasks_show(void);

/* fetch.c: files that the host wants once the command has ended. */
/* Notes what is there now of the files that a FETCH frame asks for. */
void fetch_note(const struct wire_frame *frame);
/* Starts to read them. Returns a descriptor that gives the records, at its end no more; -1 with a failure. */
int fetch_start(const struct wire_frame *frame, struct failure *failure);
/* Whether a FETCH frame is one to note. */
bool fetch_is_note(const struct wire_frame *frame);

/* serve.c */
/* Kills the command that runs, if any. */
void serve_kill_command(void);
/* Talks to the host until that goes away. */
_Noreturn void serve(int port, sigset_t *signals);

/* queue.c: what waits to be written to the port. */
void queue_init(int port);
size_t queue_room(void);
bool queue_pending(void);
/* Writes as much as the port takes. False when the host is gone. */
bool queue_flush(void);
void queue_frame(const void *frame, size_t size);
/* A buffer for a data frame of at most `size` bytes of payload, and its completion (0: none after all). */
unsigned char *queue_reserve(size_t size);
void queue_commit(uint32_t type, size_t size);

/* command.c */
struct command {
    pid_t pid;     /* 0: none has been started */
    bool ended;    /* it has been reaped */
    bool terminal; /* runs on a pseudo terminal: out is its master */
    int in;        /* our end of its standard input, or -1 */
    int out, err;  /* our ends of its outputs, or -1 */
    uint64_t credit;
    uint64_t out_left, err_left; /* after its end: what has to be drained yet */
    int status;                  /* wait status */
    uint64_t user_usec, system_usec, max_rss_kib;
};

/* Starts the command of an EXEC frame. */
int command_start(struct command *command, const struct wire_frame *frame, struct failure *failure);
/* Reads a piece of output into the queue. */
void command_pump(struct command *command, bool error_stream);
/* Notes the command's end; other processes are no concern. */
void command_reaped(struct command *command, pid_t pid, int status, const struct rusage *usage);
/* Gives up the streams: whoever still writes gets SIGPIPE. */
void command_close(struct command *command);
/* Whether the command has ended and everything it wrote is queued. */
bool command_done(const struct command *command);
/* False: there is no room for so much yet. */
bool command_input(struct command *command, const void *data, size_t size);
void command_flush_input(struct command *command);
bool command_input_pending(void);
/* How much of it the command has read since the last time, in pieces worth a frame: 0 until it is one. */
uint64_t command_input_taken(void);
void command_window(const struct command *command, unsigned rows, unsigned columns);
void command_signal(const struct command *command, int number);

#endif
