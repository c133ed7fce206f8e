/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Talking to the QEMU guest agent of a running machine: one request at a time, each wait bounded. Where a function says
 * false, the deadline has passed or the run has ended (machine->ended).
 */
#ifndef VMTEST_MACHINE_QGA_CALL_H
#define VMTEST_MACHINE_QGA_CALL_H

#include "guest/qga-command.h"
#include "machine/machine.h"

/* Waits for the guest agent to open its port, and for an answer that is not a stale one. */
bool qga_call_connect(struct machine *machine, deadline_t deadline);

/* The guest agent that was connected to is gone: it or the system was started anew. */
bool qga_call_is_gone(const struct machine *machine);

/*
 * Sends a request (`arguments` are stolen) and waits for its answer, in machine->qga. False as well when the guest
 * agent is gone.
 */
bool qga_call(struct machine *machine, const char *command, json_t *arguments, deadline_t deadline);

/* A program to be run in the guest. */
struct qga_program {
    const char *path; /* looked up on the guest agent's PATH */
    const struct strv *arguments;
    const void *input; /* its standard input */
    size_t input_size;
};

enum qga_exec_result {
    QGA_EXEC_EXITED,    /* status is filled, to be released by the caller */
    QGA_EXEC_REFUSED,   /* the guest agent did not start it; machine->qga.error says why */
    QGA_EXEC_FORGOTTEN, /* it was started, and the guest agent does not know any more how it ended; as above */
    QGA_EXEC_STOPPED,   /* `stop` said so */
    QGA_EXEC_NO_ANSWER  /* the deadline has passed, the guest agent is gone, or the run has ended */
};

/*
 * Runs a program by guest-exec to its end, which is asked for at intervals that grow from milliseconds to a quarter of
 * a second. `stop` (may be NULL) ends the wait as soon as it says true.
 */
enum qga_exec_result qga_call_exec(struct machine *machine, const struct qga_program *program,
                                   bool (*stop)(const struct machine *), deadline_t deadline,
                                   struct qga_exec_status *ret_status);

/* Runs a script by /bin/sh, with `arguments` (may be NULL) from $1 on. */
enum qga_exec_result qga_call_script(struct machine *machine, const char *script, const struct strv *arguments,
                                     deadline_t deadline, struct qga_exec_status *ret_status);

#endif
