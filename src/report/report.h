/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A report: what a run was and how each of its jobs ended, as the writers of the report formats want it. It is filled
 * by the sink of report/collect.c as the run goes on, or read back from the JSON reports of the shards of a run.
 */
#ifndef VMTEST_REPORT_REPORT_H
#define VMTEST_REPORT_REPORT_H

#include "base/error.h"
#include "base/str.h"
#include "event/event.h"

/* The tails that are kept of each job, in bytes. */
#define REPORT_TAIL_MAX (16U << 10)

/*
 * Of what a job's sub-results say, messages and outputs together, in bytes: what is behind that is left out, so that
 * memory does not grow with what they write. A failure is told of more.
 */
#define REPORT_SUBRESULTS_MAX (1U << 20)
#define REPORT_FAILURES_MAX (4U << 20)

/* The place of a job in the matrix. */
struct report_axis {
    char *name;  /* "kernel", "test" ... */
    char *value; /* as it stands in names: "vmlinuz-6.1.0-44-amd64" */
};

/* An attempt that did not pass and was followed by another. */
struct report_attempt {
    enum verdict verdict;
    char *reason; /* as result_reason_line() says it */
    uint64_t start_nsec, end_nsec;
};

struct report_subresult {
    char *name;
    enum subresult_status status;
    char *message;
    char *output;
    uint64_t nsec; /* 0: not known */
};

/* A job. Times are nanoseconds since the run's start. Strings are never NULL. Any byte but NUL may be in them. */
struct report_entry {
    char *name;   /* the job's */
    char *target; /* its target's, as -f takes it */
    struct report_axis *axes;
    size_t n_axes;
    unsigned slot;       /* of its last attempt */
    unsigned shard;      /* from 1; 0: the run was not split */
    uint64_t start_nsec; /* of its last attempt; 0 with an end of 0: never started */
    uint64_t end_nsec;
    uint64_t stage_start_nsec[STAGE_COUNT]; /* of its last attempt, 0: not reached */
    bool from_template;
    struct report_attempt *attempts; /* those before the last one */
    size_t n_attempts;
    struct buffer record;     /* what the strings of `result` point into (event/ipc.h) */
    struct run_result result; /* of the last attempt, its console and output tails replaced by the two below */
    struct report_subresult *subresults;
    size_t n_subresults;
    size_t subresults_size; /* of what they say */
    char *console;          /* its last REPORT_TAIL_MAX bytes, whatever the verdict, from the beginning of a line */
    char *output;           /* the same of standard output and error as they came */
    char *again;            /* a command line that runs it again */
    char *artifacts;        /* the directory of its evidence, or "" */
    bool finished;          /* false: the run ended without a verdict for it, which is no pass */
};

struct report {
    char *list_hash;                   /* of the expanded list before it was split, or "" */
    unsigned shard_index, shard_count; /* as in struct run_plan */
    bool shuffled;
    uint64_t seed;
    unsigned n_slots;
    int64_t started_at;           /* microseconds since the epoch */
    struct report_entry *entries; /* in the order of the plan's jobs */
    size_t n_entries;
    struct run_summary summary;
};

struct report *report_new(const struct run_plan *plan);
void report_free(struct report *report);
DEFINE_CLEANUP(cleanup_report, struct report *, report_free)
#define _cleanup_report_ _cleanup_(cleanup_report)

/*
 * Counts the verdicts of the entries. An entry without one counts as not passed and is in none of `n_of`. The status is
 * that of many targets, the time that of the last end.
 */
struct run_summary report_count(const struct report *report);

/*
 * Writers of one format each, pure: the whole text into `out`. Every byte of the guest's comes out valid in the format.
 */
void report_write_junit(const struct report *report, struct buffer *out);
void report_write_tap(const struct report *report, struct buffer *out);
void report_write_json(const struct report *report, struct buffer *out);
void report_write_markdown(const struct report *report, struct buffer *out);
void report_write_html(const struct report *report, struct buffer *out);

/*
 * Reads what report_write_json() wrote, from a file that may be anybody's. -EBADMSG for a file that is no report at
 * all; -EINVAL with what is wrong of it; the errno of reading it.
 */
int report_read_json(const char *path, struct report **ret_report, struct error **ret_error) _must_check_;

#endif
