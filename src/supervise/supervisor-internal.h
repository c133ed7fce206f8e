/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the supervisor share: supervisor.c (the loop, signals), slot.c (a running job), sink-writer.c. */
#ifndef VMTEST_SUPERVISE_SUPERVISOR_INTERNAL_H
#define VMTEST_SUPERVISE_SUPERVISOR_INTERNAL_H

#include <poll.h>
#include <signal.h>
#include <termios.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/str.h"
#include "prepare/kernel-cache.h"
#include "supervise/schedule.h"
#include "supervise/supervisor.h"

/* A place in which one job runs at a time, in attempts that are a worker each. */
struct slot {
    struct supervisor *supervisor;
    unsigned index;
    const struct job *job; /* NULL: free */
    unsigned attempt;      /* from 1 */
    char *artifacts;       /* the attempt's directory, as it is shown, or NULL */
    int directory;         /* a descriptor of it, or -1 */
    struct child worker;
    int channel;               /* to the worker; -1: none */
    struct buffer in;          /* records from the worker */
    struct buffer out;         /* records for the worker */
    deadline_t write_deadline; /* of a target with a timeout: nobody's reading may hold it up longer */
    bool interactive;          /* standard input belongs to this worker */
    bool judged;               /* the attempt has a verdict */
    bool again;                /* and another follows */
};

struct supervisor {
    struct writer writer; /* the first member: the writer is the supervisor */
    struct supervisor_options options;
    int signal_fd;
    sigset_t old_mask;
    int cancelled;         /* the signal that stopped us, 0: none */
    uint64_t cancelled_at; /* clock_now() of it */
    bool killed;           /* a second signal has come */
    bool output_abandoned; /* the run is cancelled, and nobody reads our output */
    int output_error;      /* errno of a write that lost output, other than EPIPE; 0: none */
    struct strv notices;   /* each is shown once */
    char *artifacts_real;  /* see artifacts_make_attempt() */
    bool input_open;
    bool raw;
    struct termios terminal;

    const struct run_plan *plan;
    struct schedule *schedule;
    struct kernel_cache *kernel_cache; /* kernels that workers have prepared, for the workers that follow */
    struct slot *slots;                /* as many as the plan has */
    struct pollfd *polls;              /* the signals', the input's, and one for each slot */
    const struct job *failed;          /* of a plan that stops there: the first that did not pass */
    bool seed_told;
    enum verdict last_verdict; /* of the job that ended last, which counts where it is the only one */
    int last_detail;
    struct sink *const *sinks;
    size_t n_sinks;
    struct run_summary summary;
};

/* supervisor.c */
void supervisor_cancel(struct supervisor *supervisor, int signal_number);
void supervisor_on_signal(struct supervisor *supervisor);
void supervisor_window_size(const struct supervisor *supervisor, unsigned *ret_rows, unsigned *ret_columns);
void supervisor_make_raw(struct supervisor *supervisor);
void supervisor_restore_terminal(struct supervisor *supervisor);
/* Completes an event and hands it to the sinks; counts the verdict of one that ends its job. */
void supervisor_tell(struct supervisor *supervisor, const struct slot *slot, const struct job *job,
                     struct event *event);

/* slot.c */
void slot_init(struct slot *slot, struct supervisor *supervisor, unsigned index);
void slot_deinit(struct slot *slot);
/* Starts the job in a free slot; it may have ended when this returns: the slot is free again then. */
void slot_begin(struct slot *slot, const struct job *job);
/* What poll() is to wait for. */
short slot_events(const struct slot *slot);
/* Moves records; at the worker's end the job ends, or begins its next attempt. True when the slot has become free. */
bool slot_serve(struct slot *slot, short revents);

/* sink-writer.c */
void output_write(struct writer *writer, int fd, const void *data, size_t size);

#endif
