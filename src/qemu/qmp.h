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
    struct buffer in; /* an unfinished line */
    bool greeted;     /* the greeting has come */
    int version[3];   /* QEMU's major, minor and micro version, from the greeting */
    char *shutdown;   /* reason of the SHUTDOWN event ("guest-reset", ...), or NULL */
    bool panicked;    /* GUEST_PANICKED or GUEST_CRASHLOADED was seen */
    char *failure;    /* description of an error reply, or NULL */
};

/* The longest line that is accepted. */
#define QMP_LINE_MAX (1u << 20)
/* To be sent after the greeting. */
#define QMP_CAPABILITIES "{\"execute\":\"qmp_capabilities\"}\n"

void qmp_deinit(struct qmp *qmp);
/* Takes bytes from QEMU. -EPROTO for what is no QMP; everything unknown but well-formed is passed over. */
int qmp_feed(struct qmp *qmp, const void *data, size_t size, struct error **ret_error) _must_check_;

#endif
