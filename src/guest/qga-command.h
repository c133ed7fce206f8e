/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of the QEMU guest agent that vmtest uses: their arguments and the values they return (QEMU's
 * docs/interop/qemu-ga-ref). The parsers answer -EPROTO to a value of another shape.
 */
#ifndef VMTEST_GUEST_QGA_COMMAND_H
#define VMTEST_GUEST_QGA_COMMAND_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

/* guest-info: the agent's version, and how far it supports the commands that vmtest needs. */
enum qga_support { QGA_UNKNOWN, QGA_DISABLED, QGA_ENABLED };

struct qga_info {
    char *version;
    enum qga_support exec, exec_status;
};

int qga_parse_info(const json_t *reply, struct qga_info *ret, struct error **ret_error) _must_check_;
void qga_info_deinit(struct qga_info *info);
#define _cleanup_qga_info_ _cleanup_(qga_info_deinit)

/* guest-get-osinfo: each is NULL when the agent does not report it. */
struct qga_osinfo {
    char *id;
    char *name; /* pretty-name */
    char *kernel_release;
    char *machine;
};

int qga_parse_osinfo(const json_t *reply, struct qga_osinfo *ret, struct error **ret_error) _must_check_;
void qga_osinfo_deinit(struct qga_osinfo *osinfo);
#define _cleanup_qga_osinfo_ _cleanup_(qga_osinfo_deinit)

/*
 * Arguments of guest-exec, whose output is captured. `path` becomes argv[0], `arguments` (may be NULL) what follows it.
 * `environment` is NULL-terminated; NULL for the agent's own. `input` becomes the standard input; NULL for /dev/null.
 * Gives NULL when a string is no valid UTF-8, which JSON cannot carry. (Noncharacters such as U+FFFE are sent, but the
 * agent refuses the request with a GenericError.)
 */
json_t *qga_exec_arguments(const char *path, const struct strv *arguments, char *const *environment, const void *input,
                           size_t input_size) _must_check_;
/* guest-exec: the number by which guest-exec-status knows the process. */
int qga_parse_exec(const json_t *reply, int64_t *ret_pid, struct error **ret_error) _must_check_;

/* Arguments of guest-exec-status. */
json_t *qga_exec_status_arguments(int64_t pid) _must_check_;

/*
 * guest-exec-status. Only `exited` is valid before the process has exited. The agent reports the end once and forgets
 * the process then. It reports no end while a descendant keeps the captured streams open.
 */
struct qga_exec_status {
    bool exited;
    bool signalled;
    int status; /* exit code, or signal; 32 bits of Windows (an exit code, an exception) as they are */
    struct buffer out, err;
    bool out_truncated, err_truncated; /* the agent has thrown the rest away */
};

int qga_parse_exec_status(const json_t *reply, struct qga_exec_status *ret, struct error **ret_error) _must_check_;
void qga_exec_status_deinit(struct qga_exec_status *status);
#define _cleanup_qga_exec_status_ _cleanup_(qga_exec_status_deinit)

#endif
