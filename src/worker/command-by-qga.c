/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The QEMU guest agent as a way into an image, and in the place of vmtest's agent: a shell in the guest mounts the
 * shares, guest-exec runs the command, and the command's output comes at its end. The guest agent cannot end a command.
 */
#include "machine/image-way.h"

#include <signal.h>

#include "machine/qga-call.h"
#include "wire/guest.h"
#include "worker/image-boot.h"
#include "worker/image-shutdown.h"

#define SYNC_TIMEOUT (60 * NSEC_PER_SEC)
#define EXIT_NOT_FOUND 127
/* A guest agent that was stopped is back within this time, if the system reboots or starts it anew. */
#define GONE_GRACE (30 * NSEC_PER_SEC)

/* $1: file system type, $2: options, $3: mount tag, $4: mount point; then the drivers. */
static const char mount_script[] = "t=$1 o=$2 s=$3 p=$4; shift 4; modprobe -a -q \"$@\" 2>/dev/null; "
                                   "mkdir -p \"$p\" && mount -t \"$t\" -o \"$o\" \"$s\" \"$p\"";

/* $1: the command. */
static const char shell_script[] = "s=$(command -v bash) || s=$(command -v sh); exec \"$s\" -c \"$1\"";

/* $1: the SysRq keys. The kernel obeys them even where the mask in kernel.sysrq forbids them on a keyboard. */
static const char tasks_script[] = "k=$1; while [ \"$k\" ]; do r=${k#?}; "
                                   "echo \"${k%\"$r\"}\" > /proc/sysrq-trigger || exit; k=$r; done";

static bool is_down_or_answered(const struct machine *machine) {
    return image_is_down(machine) || qga_answered(&machine->qga);
}

static void end_by_mount(struct machine *machine, const struct target *target, const struct agent_mount *mount,
                         const struct qga_exec_status *status) {
    _cleanup_free_ char *words = xstrndup(status->err.data ? status->err.data : "", status->err.size);

    _cleanup_free_ char *none = target_setting(target, KEY_SHARE, "none");

    words[strcspn(words, "\r\n")] = '\0';
    machine_end(machine, VERDICT_ERROR, 0, "mounting %s in the guest failed (%s); a guest without %s can run with %s",
                mount->path, words, mount->type, none);
}

static bool share_mount(struct machine *machine, const struct target *target, const struct agent_mount *mount,
                        deadline_t deadline) {
    _cleanup_strv_ struct strv arguments = {0};
    _cleanup_qga_exec_status_ struct qga_exec_status status = {0};
    enum qga_exec_result result;

    strv_append(&arguments, mount->type);
    strv_append_printf(&arguments, "%s,%s", mount->options, mount->writable ? "rw" : "ro");
    strv_append(&arguments, mount->source);
    strv_append(&arguments, mount->path);
    share_driver_names(share_transport(target->share_choice), &arguments);
    result = qga_call_script(machine, mount_script, &arguments, deadline, &status);
    if (result == QGA_EXEC_REFUSED || result == QGA_EXEC_FORGOTTEN) {
        _cleanup_free_ char *none = target_setting(target, KEY_SHARE, "none");

        machine_end(machine, VERDICT_ERROR, 0,
                    "mounting %s in the guest failed (%s); a guest without a shell can run with %s", mount->path,
                    machine->qga.error, none);
    } else if (result == QGA_EXEC_EXITED && (status.signalled || status.status != 0))
        end_by_mount(machine, target, mount, &status);
    return result != QGA_EXEC_NO_ANSWER && !machine->ended;
}

static bool shares_mount(struct machine *machine, const struct target *target, const struct preparation *preparation,
                         deadline_t deadline) {
    for (size_t i = 0; i < preparation->n_mounts; i++) {
        if (!share_mount(machine, target, &preparation->mounts[i], deadline))
            return false;
    }
    return true;
}

static void emit_output(struct machine *machine, enum output_stream stream, const struct buffer *text, bool truncated) {
    if (text->size > 0)
        machine_output(machine, stream, text->data, text->size);
    if (truncated)
        machine_notice(machine, stream == OUTPUT_STDERR
                                    ? "the guest agent cut the command's standard error off: it was too long"
                                    : "the guest agent cut the command's output off: it was too long");
}

static bool disks_sync(struct machine *machine, deadline_t deadline) {
    _cleanup_qga_exec_status_ struct qga_exec_status status = {0};

    return machine->windows || qga_call_script(machine, "sync", NULL, deadline, &status) == QGA_EXEC_EXITED;
}

/* The last question about the command may not have been answered: synchronize with the guest agent first. */
static bool disks_sync_after_timeout(struct machine *machine, deadline_t deadline) {
    return machine->windows || (qga_call_connect(machine, deadline) && disks_sync(machine, deadline));
}

/* The same here. */
static bool tasks_show(struct machine *machine, deadline_t deadline) {
    _cleanup_qga_exec_status_ struct qga_exec_status status = {0};
    _cleanup_strv_ struct strv keys = {0};

    strv_append(&keys, GUEST_TASK_KEYS);
    return !machine->windows && qga_call_connect(machine, deadline) &&
           qga_call_script(machine, tasks_script, &keys, deadline, &status) == QGA_EXEC_EXITED && !status.signalled &&
           status.status == 0;
}

static char *script_run(struct machine *machine, const char *script, const struct strv *arguments, deadline_t deadline,
                        const char **ret_why) {
    _cleanup_qga_exec_status_ struct qga_exec_status status = {0};

    *ret_why = NULL;
    if (qga_call_script(machine, script, arguments, deadline, &status) != QGA_EXEC_EXITED)
        *ret_why = "the guest agent did not return it";
    else if (status.signalled || status.status != 0)
        *ret_why = "there is no such file, or it cannot be read";
    else if (status.out_truncated)
        *ret_why = "it is longer than the guest agent can return";
    return *ret_why ? NULL : buffer_take(&status.out);
}

/* The guest may not answer the request: it is on its way down. An error says that it will not go. */
static void guest_shut_down(struct machine *machine, deadline_t deadline) {
    if (!machine->qmp.qga_open || !qga_call_connect(machine, deadline))
        return;
    qga_request(&machine->qga, "guest-shutdown", json_pack("{s:s}", "mode", "powerdown"));
    (void)machine_wait(machine, is_down_or_answered, deadline);
    if (!image_is_down(machine) && !machine->qga.error)
        (void)machine_wait(machine, image_is_down, deadline);
}

static void end_by_status(struct machine *machine, const struct qga_exec_status *status) {
    emit_output(machine, OUTPUT_STDOUT, &status->out, status->out_truncated);
    if (status->out_truncated && machine->read_stdout)
        machine->read_stdout(machine->read_context, NULL, 0);
    emit_output(machine, OUTPUT_STDERR, &status->err, status->err_truncated);
    if (!disks_sync(machine, deadline_in(SYNC_TIMEOUT)))
        machine_end(machine, VERDICT_LOST, 0, "the guest did not write its files back");
    if (status->signalled)
        machine_end(machine, VERDICT_SIGNAL, status->status, "the command was ended by signal %d (%s)", status->status,
                    strsignal(status->status));
    else if (status->status != 0)
        machine_end(machine, VERDICT_FAIL, status->status, "the command exited with code %d", status->status);
    else
        machine_end(machine, VERDICT_PASS, 0, "%s", "");
}

static bool is_back(const struct machine *machine) {
    return machine->qmp.qga_open && !machine->qemu_gone && qga_call_is_gone(machine);
}

/* Nobody can tell how the command ended. A system that goes down stops its guest agent first. */
static void end_by_loss(struct machine *machine, enum qga_exec_result result, deadline_t deadline) {
    bool back = result == QGA_EXEC_FORGOTTEN ||
                machine_wait(machine, is_back, deadline_earlier(deadline, deadline_in(GONE_GRACE)));

    if (machine->ended || (!back && deadline_passed(deadline)))
        return;
    machine_end(machine, VERDICT_LOST, 0,
                "the guest agent, which ran the command, was %s: how the command ended is not known",
                back ? "restarted" : "stopped");
}

/* The program could not be started: reported as our agent does it, on standard error and by the shell's code. */
static void end_by_refusal(struct machine *machine) {
    _cleanup_free_ char *line = xasprintf("vmtest: %s\n", machine->qga.error);

    machine_output(machine, OUTPUT_STDERR, line, strlen(line));
    machine_end(machine, VERDICT_FAIL, EXIT_NOT_FOUND, "the command exited with code %d", EXIT_NOT_FOUND);
}

/* The path to be run; its arguments are appended. */
static const char *compose_command(const struct machine *machine, const struct target *target, struct strv *arguments) {
    if (target->argv.count > 0) {
        for (size_t i = 1; i < target->argv.count; i++)
            strv_append(arguments, target->argv.items[i]);
        return target->argv.items[0];
    }
    if (machine->windows) {
        strv_append(arguments, "/c");
        strv_append(arguments, target->command);
        return "cmd.exe";
    }
    strv_append(arguments, "-c");
    strv_append(arguments, shell_script);
    strv_append(arguments, "vmtest");
    strv_append(arguments, target->command);
    return "/bin/sh";
}

static bool command_by_qga_run(struct machine *machine, const struct target *target, const struct strv *environment,
                               deadline_t deadline) {
    _cleanup_strv_ struct strv arguments = {0};
    _cleanup_strv_ struct strv with_environment = {0};
    struct qga_program program = {.arguments = &arguments};
    _cleanup_qga_exec_status_ struct qga_exec_status status = {0};
    enum qga_exec_result result;

    if (target->interactive) {
        machine_end(machine, VERDICT_ERROR, 0, "an interactive shell needs vmtest's agent in the image");
        return true;
    }
    program.path = compose_command(machine, target, &arguments);
    if (environment->count > 0 && machine->windows) {
        machine_notice(machine, target->where[KEY_ENV_PASS]
                                    ? "env_pass does nothing here: it needs vmtest's agent in the image"
                                    : "VMTEST_AXIS_* are not set here: that needs vmtest's agent in the image");
    } else if (environment->count > 0) {
        strv_copy(&with_environment, environment);
        strv_append(&with_environment, program.path);
        strv_copy(&with_environment, &arguments);
        program = (struct qga_program){.path = "env", .arguments = &with_environment};
    }
    result = qga_call_exec(machine, &program, NULL, deadline, &status);
    if (result == QGA_EXEC_EXITED)
        end_by_status(machine, &status);
    else if (result == QGA_EXEC_REFUSED)
        end_by_refusal(machine);
    else if (!machine->ended && (result == QGA_EXEC_FORGOTTEN || qga_call_is_gone(machine)))
        end_by_loss(machine, result, deadline);
    return machine->ended;
}

const struct image_way image_way_qga = {
    .connect = image_boot_by_qga,
    .why_not = image_boot_why_not,
    .shut_down = guest_shut_down,
    .set_up = shares_mount,
    .run = command_by_qga_run,
    .sync = disks_sync_after_timeout,
    .show_tasks = tasks_show,
    .run_script = script_run,
};
