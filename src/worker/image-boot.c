/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Boots an image: waits for the QEMU guest agent, has it write vmtest's agent into the guest and start it, and waits
 * for its hello. Where the agent cannot run, the guest agent takes its place; a guest agent without guest-exec is an
 * error.
 */
#include "worker/image-boot.h"

#include "base/log.h"
#include "console/boot-console.h"
#include "machine/qga-call.h"
#include "wire/guest.h"

/* The agent, embedded in this program. */
extern const char agent_blob[];
extern const char agent_blob_end[];

/* Directories for the agent, tried in this order: a system may mount some of them noexec. */
static const char *const places[] = {"/dev/shm", "/var/tmp", "/tmp", "/root"};

/* $1: the place. The agent comes on standard input, and goes on in the background once its port is open. */
static const char start_script[] = "umask 077; f=\"$1/.vmtest-agent-$$\"; cat >\"$f\" && chmod 700 \"$f\" && "
                                   "\"$f\" --attach; r=$?; rm -f \"$f\"; exit $r";

/* One line of what a program wrote to its standard error, without the newline. Caller frees. */
static char *last_line(const struct buffer *text) {
    size_t end = text->size;

    while (end > 0 && strchr("\r\n ", text->data[end - 1]))
        end--;
    size_t begin = end;
    while (begin > 0 && text->data[begin - 1] != '\n')
        begin--;
    return xstrndup(text->data ? text->data + begin : "", end - begin);
}

/* Replaces a reason by a newer one. */
static void set_reason(char **reason, char *text) {
    free(*reason);
    *reason = text;
}

/* Reads guest-get-osinfo, which a guest agent may not know or may have switched off. */
static bool learn_system(struct machine *machine, const struct arch *arch, deadline_t deadline, char **reason) {
    struct qga_osinfo osinfo = {0};

    if (!qga_call(machine, "guest-get-osinfo", NULL, deadline))
        return false;
    if (machine->qga.error || qga_parse_osinfo(machine->qga.reply, &osinfo, NULL) < 0)
        return true;
    log_debug("guest: %s, kernel %s, %s", osinfo.name ? osinfo.name : "?",
              osinfo.kernel_release ? osinfo.kernel_release : "?", osinfo.machine ? osinfo.machine : "?");
    machine->windows = str_equal(osinfo.id, "mswindows");
    if (machine->windows)
        set_reason(reason, xstrdup("the system is Windows"));
    else if (osinfo.machine && !str_equal(osinfo.machine, arch->name))
        set_reason(reason, xasprintf("the system is built for %s", osinfo.machine));
    if (!machine->agent.release && osinfo.kernel_release)
        machine->agent.release = xstrdup(osinfo.kernel_release);
    qga_osinfo_deinit(&osinfo);
    return true;
}

/* False when the run has ended: a guest agent without guest-exec can do nothing for us. */
static bool check_commands(struct machine *machine, deadline_t deadline) {
    _cleanup_error_ struct error *error = NULL;
    struct qga_info info = {0};
    const char *missing = NULL;
    bool disabled;

    if (!qga_call(machine, "guest-info", NULL, deadline))
        return false;
    if (machine->qga.error)
        return true; /* guest-exec itself will tell */
    if (qga_parse_info(machine->qga.reply, &info, &error) < 0) {
        machine_end(machine, VERDICT_ERROR, 0, "%s", error_message(error));
        return false;
    }
    if (info.exec != QGA_ENABLED)
        missing = "guest-exec";
    else if (info.exec_status != QGA_ENABLED)
        missing = "guest-exec-status";
    disabled = (info.exec != QGA_ENABLED ? info.exec : info.exec_status) == QGA_DISABLED;
    if (missing && disabled)
        machine_end(machine, VERDICT_ERROR, 0,
                    "the image's guest agent has %s switched off: in the image, take it out of 'block-rpcs' (or "
                    "'blacklist', or add it to 'allow-rpcs') in /etc/qemu/qemu-ga.conf, or change FILTER_RPC_ARGS or "
                    "BLACKLIST_RPC in /etc/sysconfig/qemu-ga",
                    missing);
    else if (missing)
        machine_end(machine, VERDICT_ERROR, 0, "the image's guest agent (%s) does not know %s: install a newer one",
                    info.version ? info.version : "of unknown version", missing);
    qga_info_deinit(&info);
    return !missing;
}

enum start_result {
    START_DONE,  /* it has said hello */
    START_NEXT,  /* not from this place */
    START_NEVER, /* from no place */
    START_ENDED, /* time or the run is over */
};

static enum start_result judge_start(const struct qga_exec_status *status, char **reason) {
    if (!status->signalled && status->status == 0)
        return START_DONE;

    char *line = last_line(&status->err);
    if (*line == '\0') {
        free(line);
        line = xasprintf("it ended with %s %d", status->signalled ? "signal" : "status", status->status);
    }
    set_reason(reason, line);
    return !status->signalled && status->status == GUEST_ATTACH_FAILED ? START_NEVER : START_NEXT;
}

static enum start_result start_agent(struct machine *machine, const char *place, deadline_t deadline, char **reason) {
    _cleanup_strv_ struct strv arguments = {0};
    const struct qga_program program = {
        .path = "/bin/sh",
        .arguments = &arguments,
        .input = agent_blob,
        .input_size = (size_t)(agent_blob_end - agent_blob),
    };
    _cleanup_qga_exec_status_ struct qga_exec_status status = {0};

    strv_append(&arguments, "-c");
    strv_append(&arguments, start_script);
    strv_append(&arguments, "vmtest");
    strv_append(&arguments, place);
    switch (qga_call_exec(machine, &program, machine_is_up, deadline, &status)) {
    case QGA_EXEC_STOPPED:
        return START_DONE;
    case QGA_EXEC_EXITED:
        return judge_start(&status, reason);
    case QGA_EXEC_FORGOTTEN:
        set_reason(reason, xstrdup(machine->qga.error));
        return START_NEXT;
    case QGA_EXEC_REFUSED:
        set_reason(reason, xstrdup(machine->qga.error));
        return START_NEVER;
    case QGA_EXEC_NO_ANSWER:
        break;
    }
    return START_ENDED;
}

static void fall_back(struct machine *machine, const char *reason) {
    _cleanup_free_ char *line = xasprintf("vmtest's agent does not run in this image (%s): the guest agent runs the "
                                          "command, and its output comes at its end",
                                          reason);

    machine_notice(machine, line);
    machine->agentless = true;
}

static bool is_up_or_gone(const struct machine *machine) {
    return machine_is_up(machine) || qga_call_is_gone(machine);
}

/* One conversation with the guest agent. False when it did not come to its end. */
static bool enter_by_qga(struct machine *machine, const struct preparation *preparation, deadline_t deadline) {
    _cleanup_free_ char *reason = NULL;
    enum start_result result = START_NEXT;

    if (!qga_call_connect(machine, deadline) || !check_commands(machine, deadline) ||
        !learn_system(machine, preparation->arch, deadline, &reason))
        return false;
    if (reason)
        result = START_NEVER;
    for (size_t i = 0; i < ARRAY_SIZE(places) && result == START_NEXT; i++) {
        log_debug("starting the agent in %s", places[i]);
        result = start_agent(machine, places[i], deadline, &reason);
    }
    if (result == START_ENDED)
        return false;
    if (result == START_DONE)
        return machine_wait(machine, is_up_or_gone, deadline) && machine_is_up(machine);
    fall_back(machine, reason ? reason : "it could not be started");
    return true;
}

bool image_boot_by_qga(struct machine *machine, const struct preparation *preparation, deadline_t deadline) {
    while (!enter_by_qga(machine, preparation, deadline)) {
        if (machine->ended || deadline_passed(deadline))
            return false;
        log_debug("the guest agent, or the system, was started anew");
    }
    return true;
}

char *image_boot_why_not(const struct machine *machine) {
    if (machine->qga_answers > 0)
        return xstrdup("its guest agent answers, but vmtest's agent, which it starts, did not come up; increase "
                       "the boot timeout");
    return boot_console_guess(machine_boot_text(machine), machine->qmp.qga_opened > 0);
}
