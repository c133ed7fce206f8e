/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the command by vmtest's agent, and decides how the run ends: by its exit, its signal, or its timeout. Files are
 * written back (sync) before an end is reported.
 */
#include "worker/command-by-agent.h"

#include <signal.h>

#include "machine/image-way.h"
#include "machine/timeouts.h"
#include "worker/blocked-tasks.h"
#include "worker/subresults.h"

/* Grace period after a timeout: kill the command, and drain its output. */
#define LAST_WORDS (5 * NSEC_PER_SEC)
#define SYNC_TIMEOUT (60 * NSEC_PER_SEC)
#define OUTPUT_CREDIT (1u << 20)

extern char **environ;

static bool has_exited(const struct machine *machine) {
    return machine->agent.state == AGENT_EXITED || machine->agent.state == AGENT_FAILED;
}

static bool has_exited_or_gone(const struct machine *machine) {
    return has_exited(machine) || machine->qemu_gone || machine->qmp.agent_closed;
}

static bool is_synced(const struct machine *machine) {
    return machine->agent.state == AGENT_SYNCED || machine->qemu_gone;
}

/* True if "NAME=VALUE" sets the variable of an axis: vmtest may itself run within a matrix. */
static bool is_set_by(const struct strv *axes, const char *entry) {
    size_t length = strcspn(entry, "=");

    for (size_t i = 0; i < axes->count; i++) {
        if (strncmp(axes->items[i], entry, length) == 0 && axes->items[i][length] == '=')
            return true;
    }
    return false;
}

/*
 * Composes the command's environment: the variables that are passed on, those of the matrix axes, and the terminal's
 * type for an interactive shell in an image.
 */
static void choose_environment(const struct target *target, struct strv *environment) {
    const char *type = getenv("TERM");
    _cleanup_strv_ struct strv axes = {0};

    for (size_t i = 0; i < target->n_axes; i++) {
        _cleanup_free_ char *name = target_axis_variable(target->axes[i].name);

        strv_append_printf(&axes, "%s=%s", name, target->axes[i].value);
    }
    for (char **entry = environ; *entry; entry++) {
        if (target_passes(target, *entry) && !is_set_by(&axes, *entry))
            strv_append(environment, *entry);
    }
    for (size_t i = 0; i < axes.count; i++)
        strv_append(environment, axes.items[i]);
    if (target->image && target->interactive)
        strv_append_printf(environment, "TERM=%s", type ? type : "dumb");
}

static int send_exec(struct machine *machine, const struct target *target, const struct preparation *preparation,
                     const struct worker_options *options, struct error **ret_error) {
    _cleanup_strv_ struct strv argv = {0};
    struct agent_exec exec = {
        .credit = OUTPUT_CREDIT,
        .directory = preparation->directory,
        .argv = &argv,
    };
    _cleanup_strv_ struct strv environment = {0};

    choose_environment(target, &environment);
    exec.environment = environment.count > 0 ? environment.items : (char *const[]){NULL};
    if (target->image)
        exec.flags |= WIRE_EXEC_INHERIT;
    if (target->interactive) {
        exec.flags |= WIRE_EXEC_SHELL | WIRE_EXEC_LOGIN;
        exec.flags |= options->terminal ? WIRE_EXEC_TERMINAL : WIRE_EXEC_STDIN;
        exec.rows = options->rows;
        exec.columns = options->columns;
    } else if (target->argv.count > 0) {
        strv_copy(&argv, &target->argv);
    } else {
        exec.flags |= WIRE_EXEC_SHELL;
        strv_append(&argv, target->command);
    }
    machine->credit = OUTPUT_CREDIT;
    return agent_client_exec(&machine->agent, &exec, ret_error);
}

/*
 * The command's time is up, and the verdict is certain. Dump blocked tasks first, before killing anything changes their
 * state; then end the command and drain its output.
 */
static void end_by_timeout(struct machine *machine, const struct target *target) {
    machine_end_by_timeout(machine, "the command", target->timeout, target_key_name(target, KEY_TIMEOUT), NULL);

    _cleanup_closing_ struct machine *closing = machine_begin_closing(machine);
    blocked_tasks_ask(machine);
    agent_client_signal(&machine->agent, SIGTERM);
    if (!machine_wait(machine, has_exited_or_gone, deadline_in(target->kill_after)) && !machine->ended) {
        agent_client_signal(&machine->agent, SIGKILL);
        (void)machine_wait(machine, has_exited_or_gone, deadline_in(LAST_WORDS));
    }
    if (!machine->ended && !machine->qemu_gone && machine->agent.state == AGENT_EXITED) {
        agent_client_sync(&machine->agent);
        (void)machine_wait(machine, is_synced, deadline_in(LAST_WORDS));
    }
}

/* By the way into the image, which may have no means to end a command: then the verdict stands all the same. */
static void run_agentless(struct machine *machine, const struct target *target) {
    _cleanup_strv_ struct strv environment = {0};

    choose_environment(target, &environment);
    if (machine->way->run(machine, target, &environment, timeout_deadline(machine, target->timeout)) || machine->ended)
        return;
    machine_end_by_timeout(machine, "the command", target->timeout, target_key_name(target, KEY_TIMEOUT), NULL);

    _cleanup_closing_ struct machine *closing = machine_begin_closing(machine);
    blocked_tasks_ask(machine);
    (void)machine->way->sync(machine, deadline_in(LAST_WORDS));
}

/* The command has ended. Its files must be on the host before that is reported. */
static void end_by_exit(struct machine *machine) {
    const struct agent_client *agent = &machine->agent;

    agent_client_sync(&machine->agent);
    if (!machine_wait(machine, is_synced, deadline_in(SYNC_TIMEOUT)))
        machine_end(machine, VERDICT_LOST, 0, "the guest did not write its files back in time");
    else if (agent->state != AGENT_SYNCED)
        machine_end(machine, VERDICT_LOST, 0, "the machine ended before its files were written back");
    else if (agent->signalled)
        machine_end(machine, VERDICT_SIGNAL, (int)agent->status, "the command was ended by signal %d (%s)",
                    (int)agent->status, strsignal((int)agent->status));
    else if (agent->status != 0)
        machine_end(machine, VERDICT_FAIL, (int)agent->status, "the command exited with code %d", (int)agent->status);
    else
        machine_end(machine, VERDICT_PASS, 0, "%s", "");
}

void command_run(struct machine *machine, const struct target *target, const struct preparation *preparation,
                 const struct worker_options *options, struct subresults *results) {
    _cleanup_error_ struct error *error = NULL;

    if (results && !subresults_begin(results, timeout_deadline(machine, target->timeout))) {
        machine_end_by_timeout(machine, "the command", target->timeout, target_key_name(target, KEY_TIMEOUT), NULL);
        return;
    }
    if (machine->agentless) {
        run_agentless(machine, target);
        return;
    }
    if (send_exec(machine, target, preparation, options, &error) < 0) {
        machine_end(machine, VERDICT_ERROR, 0, "%s", error_message(error));
        return;
    }
    if (!machine_wait(machine, has_exited, timeout_deadline(machine, target->timeout))) {
        if (!machine->ended)
            end_by_timeout(machine, target);
    } else if (machine->agent.state == AGENT_FAILED) {
        machine_end(machine, VERDICT_ERROR, 0, "%s", machine->agent.failure);
    } else {
        end_by_exit(machine);
    }
}
