/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events: what a run tells the outside. A worker makes them, the supervisor hands each to the sinks. Everything that a
 * user sees of a run goes through here.
 */
#ifndef VMTEST_EVENT_EVENT_H
#define VMTEST_EVENT_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event/subresult.h"
#include "event/run-plan.h"
#include "event/verdict.h"

enum event_type {
    EVENT_STARTED,   /* a target's run begins; `text`: the directory for its artifacts, or NULL */
    EVENT_STAGE,     /* `stage` begins; `from_template`: the machine comes out of a template */
    EVENT_CONSOLE,   /* `data`: bytes of the guest's console */
    EVENT_OUTPUT,    /* `data`: bytes that the command wrote to `stream` */
    EVENT_NOTICE,    /* `text`: one line for the user, e.g. why the run is emulated */
    EVENT_FINISHED,  /* `result`; the last event of a target */
    EVENT_SUBRESULT, /* `subresult`: of one of the tests that the command ran */
    EVENT_RETRY,     /* `result` of an attempt that did not pass; EVENT_STARTED of the next one follows */
    EVENT_TYPE_COUNT,
};

enum stage { STAGE_PREPARE, STAGE_BOOT, STAGE_SETUP, STAGE_COMMAND, STAGE_COUNT };
enum output_stream { OUTPUT_STDOUT = 1, OUTPUT_STDERR = 2 };

/* A report of the guest's kernel (console/findings.h). */
struct run_finding {
    const char *kind;  /* "oops", "warn" ... */
    const char *title; /* its first line, without the time */
    const char *text;  /* its first lines */
};

#define RUN_FINDINGS_MAX 32

/* How a target ended. Strings are owned by whoever made the event, valid during the call of the sink. */
struct run_result {
    enum verdict verdict;
    int detail;         /* see verdict_exit_status() */
    const char *reason; /* one line, never NULL: "", or e.g. "the command exited with code 1" */
    enum stage stage;   /* the stage in which it ended */
    const char
        *console; /* the console's last lines, "" when there are none or the run passed; may hold any byte but NUL */
    const char *accel;                            /* "kvm", "tcg", or "" when nothing was started */
    const char *kernel_release;                   /* of the running guest, else of the kernel file, else "" */
    uint64_t nsec[STAGE_COUNT];                   /* duration of each stage, 0 when not reached */
    uint64_t user_usec, system_usec, max_rss_kib; /* of the command */

    struct run_finding findings[RUN_FINDINGS_MAX]; /* whatever the verdict */
    size_t n_findings;
    unsigned n_more_findings; /* that there was no room for */
    const char *output;       /* the last lines of what the command wrote, as `console` */
    const char *tasks;        /* where the time was up: the guest's blocked tasks, or why they are not known; else "" */
    const char *qemu_version; /* "7.2.22", or "" when QEMU did not get so far */
    const char *kernel_hash;  /* XXH3-128 of the kernel's file, as `xxhsum -H2` prints it; "" when nobody asked */
    unsigned n_subresults[SUBRESULT_COUNT]; /* how many of each status the command's tests gave */
};

/* A result with nothing in it, so that none of its strings is NULL. */
#define RUN_RESULT_EMPTY                                                                                               \
    ((struct run_result){.reason = "",                                                                                 \
                         .console = "",                                                                                \
                         .accel = "",                                                                                  \
                         .kernel_release = "",                                                                         \
                         .output = "",                                                                                 \
                         .tasks = "",                                                                                  \
                         .qemu_version = "",                                                                           \
                         .kernel_hash = ""})

struct event {
    enum event_type type;
    const char *target;    /* the job's name; never NULL */
    const struct job *job; /* set by the supervisor */
    unsigned slot;         /* which of the plan's slots it runs in, from 0 */
    unsigned attempt;      /* from 1; 0: never started */
    uint64_t nsec;         /* since vmtest started */
    enum stage stage;
    bool from_template;
    enum output_stream stream;
    const void *data;
    size_t size;
    const char *text;
    int directory; /* a descriptor of the one that `text` names, of EVENT_STARTED; the maker's */
    const struct run_result *result;
    const struct run_subresult *subresult;
};

/* "pass", "fail", "skip", "todo" */
const char *subresult_status_name(enum subresult_status status);

/* "prepare", "boot", "setup", "command" */
const char *stage_name(enum stage stage);
/* "Preparing", "Booting", "Setting up VM", "Running command" */
const char *stage_title(enum stage stage);

/* What came of a plan. Everything that counts (the exit status, the summary, the reports) counts these. */
struct run_summary {
    unsigned n_targets;           /* jobs: each has a verdict */
    unsigned n_of[VERDICT_COUNT]; /* how many of each */
    unsigned n_not_passed;
    int status;    /* vmtest's exit status, as far as the verdicts make it */
    uint64_t nsec; /* since vmtest started */
};

/*
 * A sink: a consumer of events. handle() is called in order, once for each event, of several targets mixed where they
 * run at once; finish() once at the end. free() releases it.
 */
struct sink {
    void (*handle)(struct sink *sink, const struct event *event);
    void (*finish)(struct sink *sink, const struct run_summary *summary);
    void (*free)(struct sink *sink);
    /* Called several times a second while targets run, with the time since vmtest started; may be NULL. */
    void (*tick)(struct sink *sink, uint64_t nsec);
};

/*
 * How sinks write: all of it, in order, to a descriptor that may be slow. The supervisor's implementation keeps
 * handling signals meanwhile; tests use their own. Output to a reader that has gone away is dropped.
 */
struct writer {
    void (*write)(struct writer *writer, int fd, const void *data, size_t size);
};

#endif
