/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QMP, the QEMU Machine Protocol: JSON objects, one a line. The client is fed with bytes and keeps what matters of
 * them; it does no I/O, so that a test can feed it anything. See QEMU's docs/interop/qmp-spec.
 */
#ifndef VMTEST_QEMU_QMP_H
#define VMTEST_QEMU_QMP_H

#include <jansson.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/str.h"

struct qmp {
    struct buffer in;             /* an unfinished line */
    bool greeted;                 /* the greeting has come */
    int version[3];               /* QEMU's major, minor and micro version, from the greeting */
    char *shutdown;               /* reason of the SHUTDOWN event ("guest-reset", ...), or NULL */
    bool panicked;                /* GUEST_PANICKED or GUEST_CRASHLOADED was seen */
    char *failure;                /* description of an error reply since the last qmp_execute(), or NULL */
    unsigned id;                  /* of the last command of qmp_execute() */
    bool answered;                /* its reply has come: an error if `failure` is set */
    unsigned heartbeats_sent;     /* questions of qmp_heartbeat() */
    unsigned heartbeats_answered; /* the newest of them that has a reply */
    char *migration;              /* status of the last MIGRATION event: "active", "completed", "failed" ..., or NULL */
    unsigned resets;              /* how often the guest has rebooted */
    bool qga_open;                /* the guest has the port with the device id QMP_QGA_ID open */
    bool agent_closed;            /* the guest has closed the port with the device id QMP_AGENT_ID */
    unsigned qga_opened;          /* how often it has opened it */
    char *io_error;               /* what the first error of a disk was, or NULL */
    bool dump_ended;              /* a dump of the guest's memory has come to its end */
    char *dump_failure;           /* why it failed, or NULL */
    bool no_space;                /* and whether it was that the host's disk is full */
};

/* The device ids of the guest agent's port, and of our own agent's. */
#define QMP_QGA_ID "qga"
#define QMP_AGENT_ID "agent"
/* Presses the power button. */
#define QMP_POWERDOWN "{\"execute\":\"system_powerdown\"}\n"

/* The longest line that is accepted. */
#define QMP_LINE_MAX (1u << 20)
/* To be sent after the greeting. */
#define QMP_CAPABILITIES "{\"execute\":\"qmp_capabilities\"}\n"

/*
 * Appends a command to `out`, to be written once the greeting has been answered. Steals `arguments`, NULL for none.
 * What came before is forgotten: one command at a time is waited for.
 */
void qmp_execute(struct qmp *qmp, struct buffer *out, const char *command, json_t *arguments);

/* Whether a command of qmp_execute() has no reply yet. */
bool qmp_is_busy(const struct qmp *qmp);

/* Appends a question that changes nothing, besides whatever else is under way: its answer says that QEMU is alive. */
void qmp_heartbeat(struct qmp *qmp, struct buffer *out);

void qmp_deinit(struct qmp *qmp);
/* Takes bytes from QEMU. -EPROTO for what is no QMP; everything unknown but well-formed is passed over. */
int qmp_feed(struct qmp *qmp, const void *data, size_t size, struct error **ret_error) _must_check_;

#endif
