/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMTEST_AGENT_COMMAND_STREAMS_H
#define VMTEST_AGENT_COMMAND_STREAMS_H

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "wire/frame.h"

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

/* Reads a piece of output into the queue. */
void command_pump(struct command *command, bool error_stream);
/* Notes the command's end; other processes are no concern. */
void command_reaped(struct command *command, pid_t pid, int status, const struct rusage *usage);
/* Gives up the streams: whoever still writes gets SIGPIPE. */
void command_close(struct command *command);
/* True once the command has ended and all its output is queued. */
bool command_done(const struct command *command);
/* False: there is no room for so much yet. */
bool command_input(struct command *command, const void *data, size_t size);
void command_flush_input(struct command *command);
/* The descriptor that takes the input which waits; -1: none waits. */
int command_input_fd(const struct command *command);
/* Bytes of input that the command has read since the last call; 0 until they are worth a frame. */
uint64_t command_input_taken(void);
void command_window(const struct command *command, unsigned rows, unsigned columns);
void command_signal(const struct command *command, int number);

#endif
