/* SPDX-License-Identifier: Apache-2.0 */
/* A worker: the process that runs one target, from looking at its files to the verdict. */
#ifndef VMTEST_WORKER_WORKER_H
#define VMTEST_WORKER_WORKER_H

#include "base/child.h"
#include "base/error.h"
#include "config/target.h"

struct kernel_cache;

struct worker_options {
    uint64_t start;         /* clock_now() when vmtest started: events count from there */
    unsigned rows, columns; /* of the terminal, for an interactive target */
    const char *artifacts;  /* the target's directory for evidence, as it is shown, or NULL */
    int directory;          /* a descriptor of it */
    bool terminal;          /* standard input is a terminal: an interactive target gets one of its own */
    const int *parent_fds;  /* descriptors of the caller's that the worker closes */
    size_t n_parent_fds;
    const struct kernel_cache *kernel_cache; /* kernels that other workers have prepared, or NULL */
    bool cpus_overcommitted;                 /* others may run on the same CPUs: see template_run_begin() */
};

/*
 * Runs a target and reports over `channel`, a socket to the supervisor (event/ipc.h). SIGTERM, SIGINT or SIGHUP cancel
 * it. Called in a process of its own; returns when all is reported and nothing of the run is left.
 */
void worker_run(const struct target *target, const struct worker_options *options, int channel);

/* Forks a worker in a process group of its own, which gets SIGTERM when the caller dies. *ret_channel is our end. */
int worker_start(const struct target *target, const struct worker_options *options, struct child *ret_worker,
                 int *ret_channel, struct error **ret_error) _must_check_;

#endif
