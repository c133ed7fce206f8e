/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events and input on the socket between the supervisor and a worker, both on this host and from the same binary: a
 * record is a native u32 size, a u32 type and a payload. Types below EVENT_TYPE_COUNT are events, the others input.
 */
#ifndef VMTEST_EVENT_IPC_H
#define VMTEST_EVENT_IPC_H

#include "base/str.h"
#include "event/event.h"

enum record_type {
    RECORD_STDIN = 100, /* supervisor -> worker: bytes typed by the user; empty: end of file */
    RECORD_WINDOW,      /* supervisor -> worker: u32 rows, u32 columns */
};

/* Appends an event, without its target, which the supervisor knows. */
void record_put_event(struct buffer *out, const struct event *event);
void record_put_stdin(struct buffer *out, const void *data, size_t size);
void record_put_window(struct buffer *out, unsigned rows, unsigned columns);

struct record {
    uint32_t type;
    const char *payload;
    size_t size;
};

/* Finds a record at the start of `data`. Returns its size, 0 when it is not complete. */
size_t record_get(const char *data, size_t size, struct record *ret_record);

/*
 * Decodes an event record. Strings and data point into the payload; `result` is used for EVENT_FINISHED,
 * `subresult` for EVENT_SUBRESULT; where that is NULL, none is taken. False when
 * the record is malformed.
 */
bool record_to_event(const struct record *record, struct event *ret_event, struct run_result *result,
                     struct run_subresult *subresult);

#endif
