/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of the QEMU guest agent. It numbers nothing but guest-sync, and may be restarted at any time: each connection
 * begins by a sync of its own, and a call fails as soon as the port was closed or opened anew.
 */
#include "machine/qga-call.h"

#include "base/log.h"

#define SYNC_WAIT (NSEC_PER_SEC / 4)
#define SYNC_WAIT_MAX (4 * NSEC_PER_SEC)
#define STATUS_WAIT (4 * NSEC_PER_MSEC)
#define STATUS_WAIT_MAX (NSEC_PER_SEC / 4)
/* Ids stay small: old guest agents read them into an int. */
#define SYNC_ID_FIRST 4096u

static bool is_open(const struct machine *machine) {
    return machine->qmp.qga_open || machine->qemu_gone;
}

static bool is_synced_or_gone(const struct machine *machine) {
    return machine->qga.synced || qga_call_is_gone(machine);
}

static bool is_answered_or_gone(const struct machine *machine) {
    return qga_answered(&machine->qga) || qga_call_is_gone(machine);
}

/*
 * Until it answers it is asked again, at intervals that double: a guest agent may have its port open before it reads,
 * or be restarted. Only the newest question counts, so that an answer of long ago is never taken for one of now.
 */
bool qga_call_connect(struct machine *machine, deadline_t deadline) {
    uint64_t wait = SYNC_WAIT;
    uint64_t id = SYNC_ID_FIRST;

    for (;;) {
        if (!machine_wait(machine, is_open, deadline) || machine->qemu_gone)
            return false;
        machine->qga_opening = machine->qmp.qga_opened;
        log_debug("guest agent: asking for %llu", (unsigned long long)id);
        qga_sync(&machine->qga, id++);
        if (machine_wait(machine, is_synced_or_gone, deadline_earlier(deadline, deadline_in(wait))) &&
            machine->qga.synced)
            return true;
        if (machine->ended || deadline_passed(deadline))
            return false;
        wait = wait < SYNC_WAIT_MAX ? 2 * wait : wait;
    }
}

bool qga_call(struct machine *machine, const char *command, json_t *arguments, deadline_t deadline) {
    qga_request(&machine->qga, command, arguments);
    return machine_wait(machine, is_answered_or_gone, deadline) && qga_answered(&machine->qga);
}

bool qga_call_is_gone(const struct machine *machine) {
    return machine->qemu_gone || !machine->qmp.qga_open || machine->qmp.qga_opened != machine->qga_opening;
}

/* Starts the program; its process id is the guest's. */
static enum qga_exec_result exec_start(struct machine *machine, const struct qga_program *program, deadline_t deadline,
                                       int64_t *ret_pid) {
    json_t *arguments =
        qga_exec_arguments(program->path, program->arguments, NULL, program->input, program->input_size);

    if (!arguments) {
        machine_end(machine, VERDICT_ERROR, 0,
                    "the command is not valid UTF-8, and the guest agent accepts nothing else; put the command into a script");
        return QGA_EXEC_NO_ANSWER;
    }
    if (!qga_call(machine, "guest-exec", arguments, deadline))
        return QGA_EXEC_NO_ANSWER;
    if (machine->qga.error)
        return QGA_EXEC_REFUSED;

    _cleanup_error_ struct error *error = NULL;
    if (qga_parse_exec(machine->qga.reply, ret_pid, &error) == 0)
        return QGA_EXEC_EXITED;
    machine_end(machine, VERDICT_ERROR, 0, "%s", error_message(error));
    return QGA_EXEC_NO_ANSWER;
}

static enum qga_exec_result exec_status(struct machine *machine, int64_t pid, deadline_t deadline,
                                        struct qga_exec_status *ret_status) {
    _cleanup_error_ struct error *error = NULL;
    deadline_t patience = deadline_in(machine_lost_after(machine));

    if (!qga_call(machine, "guest-exec-status", qga_exec_status_arguments(pid), deadline_earlier(deadline, patience))) {
        if (!machine->ended && !qga_call_is_gone(machine) && !deadline_passed(deadline) && machine->agentless)
            machine_end(machine, VERDICT_LOST, 0, "the guest agent no longer answers");
        return QGA_EXEC_NO_ANSWER;
    }
    if (machine->qga.error)
        return QGA_EXEC_FORGOTTEN;
    if (qga_parse_exec_status(machine->qga.reply, ret_status, &error) == 0)
        return QGA_EXEC_EXITED;
    machine_end(machine, VERDICT_LOST, 0, "%s", error_message(error));
    return QGA_EXEC_NO_ANSWER;
}

enum qga_exec_result qga_call_exec(struct machine *machine, const struct qga_program *program,
                                   bool (*stop)(const struct machine *), deadline_t deadline,
                                   struct qga_exec_status *ret_status) {
    uint64_t wait = STATUS_WAIT;
    int64_t pid;
    enum qga_exec_result result = exec_start(machine, program, deadline, &pid);

    *ret_status = (struct qga_exec_status){0};
    while (result == QGA_EXEC_EXITED) {
        if (machine_wait(machine, stop ? stop : machine_never, deadline_earlier(deadline, deadline_in(wait))))
            return QGA_EXEC_STOPPED;
        if (machine->ended || deadline_passed(deadline))
            return QGA_EXEC_NO_ANSWER;
        result = exec_status(machine, pid, deadline, ret_status);
        if (result != QGA_EXEC_EXITED || ret_status->exited)
            return result;
        qga_exec_status_deinit(ret_status);
        wait = wait * 3 / 2 < STATUS_WAIT_MAX ? wait * 3 / 2 : STATUS_WAIT_MAX;
    }
    return result;
}

enum qga_exec_result qga_call_script(struct machine *machine, const char *script, const struct strv *arguments,
                                     deadline_t deadline, struct qga_exec_status *ret_status) {
    _cleanup_strv_ struct strv all = {0};
    const struct qga_program program = {.path = "/bin/sh", .arguments = &all};

    strv_append(&all, "-c");
    strv_append(&all, script);
    if (arguments) {
        strv_append(&all, "vmtest");
        strv_copy(&all, arguments);
    }
    return qga_call_exec(machine, &program, NULL, deadline, ret_status);
}
