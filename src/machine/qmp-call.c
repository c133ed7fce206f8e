/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QMP commands, one at a time, each with its reply. A descriptor goes with the getfd command itself (SCM_RIGHTS), so
 * that command is written to the socket here, once all that is queued has gone.
 */
#include "machine/qmp-call.h"

#include <poll.h>
#include <sys/socket.h>

#include "base/log.h"

#define CONT_PATIENCE (5 * NSEC_PER_SEC)
#define CONT_WAIT (5 * NSEC_PER_MSEC)

static bool is_ready(const struct machine *machine) {
    return machine->qmp.greeted && machine->qmp_out.size == 0;
}

static bool is_answered(const struct machine *machine) {
    return machine->qmp.answered;
}

static bool migration_has_ended(const struct machine *machine) {
    return str_equal(machine->qmp.migration, "completed") || str_equal(machine->qmp.migration, "failed");
}

bool qmp_call_ready(struct machine *machine, deadline_t deadline) {
    return machine_wait(machine, is_ready, deadline);
}

static bool wait_for_reply(struct machine *machine, const char *command, deadline_t deadline) {
    if (!machine_wait(machine, is_answered, deadline))
        return false;
    if (machine->qmp.failure)
        log_debug("qmp: %s: %s", command, machine->qmp.failure);
    return !machine->qmp.failure;
}

bool qmp_call(struct machine *machine, const char *command, json_t *arguments, deadline_t deadline) {
    qmp_execute(&machine->qmp, &machine->qmp_out, command, arguments);
    return wait_for_reply(machine, command, deadline);
}

bool qmp_call_cont(struct machine *machine, deadline_t deadline) {
    deadline_t patience = deadline_earlier(deadline, deadline_in(CONT_PATIENCE));

    while (!qmp_call(machine, "cont", NULL, deadline)) {
        if (machine->ended || !machine->qmp.failure || deadline_passed(patience))
            return false;
        (void)machine_wait(machine, machine_never, deadline_in(CONT_WAIT));
    }
    return true;
}

/* Writes a whole message with a descriptor to a socket that is all but empty. */
static bool send_with_fd(int socket, const struct buffer *text, int fd) {
    struct iovec piece = {.iov_base = text->data, .iov_len = text->size};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    const struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};

    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
    return sendmsg(socket, &message, MSG_NOSIGNAL) == (ssize_t)text->size;
}

bool qmp_call_getfd(struct machine *machine, const char *name, int fd, deadline_t deadline) {
    _cleanup_buffer_ struct buffer text = {0};

    if (!machine_wait(machine, is_ready, deadline) || machine->qmp_fd < 0)
        return false;
    qmp_execute(&machine->qmp, &text, "getfd", json_pack("{s:s}", "fdname", name));
    return send_with_fd(machine->qmp_fd, &text, fd) && wait_for_reply(machine, "getfd", deadline);
}

bool qmp_call_migration_capabilities(struct machine *machine, deadline_t deadline) {
    return qmp_call(machine, "migrate-set-capabilities",
                    json_pack("{s:[{s:s,s:b},{s:s,s:b}]}", "capabilities", "capability", "x-ignore-shared", "state", 1,
                              "capability", "events", "state", 1),
                    deadline);
}

bool qmp_call_migration_end(struct machine *machine, deadline_t deadline) {
    return machine_wait(machine, migration_has_ended, deadline) && str_equal(machine->qmp.migration, "completed");
}
