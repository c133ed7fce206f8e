/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A running machine as its worker sees it: QEMU, its sockets, the two protocols, and the one primitive, "wait until X,
 * or the machine has ended, or the deadline passes".
 */
#ifndef VMTEST_MACHINE_MACHINE_H
#define VMTEST_MACHINE_MACHINE_H

#include "base/clock.h"
#include "console/findings.h"
#include "event/event.h"
#include "guest/agent-client.h"
#include "guest/qga.h"
#include "machine/heartbeat.h"
#include "machine/liveness.h"
#include "qemu/accel.h"
#include "qemu/process.h"
#include "qemu/qmp.h"

/* Output that the supervisor has not taken yet: beyond this the guest is not granted more, and its console waits. */
#define MACHINE_QUEUE_LIMIT (1u << 20)

struct image_way;

/* A piece of the command's standard output; without `data`, some of it was lost. */
typedef void machine_stdout_fn(void *context, const void *data, size_t size);

struct machine {
    int channel;   /* socket to the supervisor */
    int signal_fd; /* SIGTERM, SIGINT, SIGHUP */
    int qmp_fd;
    int agent_fd;
    int console_fd;
    int qga_fd; /* an image target's guest agent; -1 without one */
    struct qemu_process qemu;
    int qemu_status; /* wait status, once reaped */
    bool qemu_gone;

    struct qmp qmp;
    struct buffer qmp_out;
    struct agent_client agent;
    struct qga qga;
    bool writes_image;              /* there is no overlay: what the guest writes stays */
    bool windows;                   /* the guest agent says so */
    const struct image_way *way;    /* into an image (machine/image-way.h); NULL: a kernel target */
    bool agentless;                 /* vmtest's agent does not run there: the way does its work */
    unsigned qga_opening;           /* the opening of the guest agent's port since which it is talked to */
    uint64_t qga_answers;           /* how many requests it has answered */
    unsigned resets_taken;          /* reboots that have been judged */
    bool closing;                   /* the verdict is known, and the guest is being shut down */
    struct buffer qemu_output;      /* QEMU's own last words */
    struct buffer console;          /* the console's last bytes */
    struct findings findings;       /* what the guest's kernel reported on it */
    uint64_t console_bytes;         /* how much has come of it */
    uint64_t console_heard;         /* how much of that somebody who waits for more has seen */
    struct buffer panic_text;       /* of the console, around the panic that stands there */
    char *console_kept;             /* its tail from before the tasks were shown, or NULL */
    char *tasks;                    /* what the guest's tasks are at (worker/blocked-tasks.h), or NULL */
    struct buffer output;           /* the last bytes of what the command wrote, both streams */
    machine_stdout_fn *read_stdout; /* somebody else who reads what the command writes to it, or NULL */
    void *read_context;
    size_t console_past;  /* how much of it is of no interest any more to who looks for a panic */
    struct buffer queue;  /* records for the supervisor */
    size_t queue_sent;    /* how much of it has gone */
    struct buffer input;  /* records from the supervisor */
    uint64_t credit;      /* output that the guest may still send */
    uint64_t credit_owed; /* output taken from the guest, for which it is granted as much anew once the supervisor keeps
                             up */

    uint64_t start;               /* clock_now() of vmtest's start */
    uint64_t run_timeout;         /* nanoseconds; 0: none */
    const char *run_timeout_name; /* target_key_name() of it */
    deadline_t run_deadline;      /* machine/timeouts.h */
    enum stage stage;
    uint64_t stage_start;
    enum accel accel;

    /* The end: set once, by the first cause. */
    bool ended;
    enum verdict verdict;
    int detail;
    char *reason;

    uint64_t lost_after; /* the user's limit for a ping's answer; 0: the default for the acceleration in use */
    struct liveness liveness;
    uint64_t answers_awaited; /* the newest ping is answered once there are more than this */
    uint64_t clock_pongs;     /* the same of the ping that measures how late a clone's clock is */
    struct heartbeat heartbeat;
    deadline_t boot_failure_due; /* an image's console shows that it will not come up, unless it goes on until then */
};

void machine_init(struct machine *machine, int channel, int signal_fd, uint64_t start);
void machine_deinit(struct machine *machine);

/* Forgets a machine that has ended, so that another can be started; what is queued for the supervisor stays. */
void machine_reset(struct machine *machine);

/* Queues an event for the supervisor. */
void machine_emit(struct machine *machine, const struct event *event);
void machine_notice(void *machine, const char *line);
void machine_enter(struct machine *machine, enum stage stage, bool from_template);
/*
 * The verdict is known, and the guest is still to be talked to: within this scope machine_wait() waits, and the verdict
 * stays as it is.
 *
 *     _cleanup_closing_ struct machine *closing = machine_begin_closing(machine);
 */
struct machine *machine_begin_closing(struct machine *machine);
static inline void machine_end_closing(struct machine **machine) {
    (*machine)->ended = true;
}
#define _cleanup_closing_ _unused_ _cleanup_(machine_end_closing)

/* Takes bytes that the command wrote. */
void machine_output(struct machine *machine, enum output_stream stream, const void *data, size_t size);
/* Sets how the run ended, unless that is known already. */
void machine_end(struct machine *machine, enum verdict verdict, int detail, const char *format, ...) _printf_(4, 5);

/*
 * Moves bytes until `done` says true, the run has ended (machine->ended), or the deadline has passed. True when `done`
 * was reached.
 */
bool machine_wait(struct machine *machine, bool (*done)(const struct machine *), deadline_t deadline);
/* For machine_wait(): only the run's end or the deadline ends the wait. */
bool machine_never(const struct machine *machine);

/*
 * Takes what stands on the console already: what the kernel wrote before the command ended is there by then, and may be
 * what decides the verdict.
 */
void machine_drain_console(struct machine *machine);

/* The time that the guest may leave a ping unanswered, in nanoseconds. */
uint64_t machine_lost_after(const struct machine *machine);

/* The guest is up: an agent of either kind has answered. */
bool machine_is_up(const struct machine *machine);

/* Writes everything that is queued to the supervisor, however long that takes; a supervisor that is gone drops it. */
void machine_flush(struct machine *machine);

/* machine/machine-judge.c: what an event means for the run. */
void machine_judge_qemu_exit(struct machine *machine);
void machine_judge_console(struct machine *machine, const char *data, size_t size);
void machine_judge_time(struct machine *machine);
/* The agent's socket was closed. */
void machine_judge_lost_port(struct machine *machine);
void machine_judge_qmp(struct machine *machine);
/* The console since the guest's last reboot. Never NULL. */
const char *machine_boot_text(const struct machine *machine);
/* The last lines of the console, as text; never NULL, owned by the machine. */
const char *machine_console_tail(struct machine *machine);
/* The same of what the command wrote. */
const char *machine_output_tail(struct machine *machine);

#endif
