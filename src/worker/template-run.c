/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Templates in a run. QEMU writes its state into a file (migrate), while the guest's memory is a file already, mapped
 * into QEMU. A clone gets that file as private memory and reads the state (migrate-incoming).
 */
#include "worker/template-run.h"

#include <sys/mman.h>

#include "base/file.h"
#include "base/log.h"
#include "machine/qmp-call.h"
#include "worker/template-inputs.h"

/* Time limit for each of QEMU's steps, which take milliseconds. */
#define STEP_TIMEOUT (30 * NSEC_PER_SEC)
/* Time limit for an image's system to settle. */
#define SETTLE_KVM (30 * NSEC_PER_SEC)
#define SETTLE_TCG (120 * NSEC_PER_SEC)
#define FD_NAME "state"
/* From here on QEMU can open a memory backend's file read-only. */
#define READONLY_MAJOR 8
#define READONLY_MINOR 2

static bool is_wanted(const struct target *target) {
    switch (target_template_choice(target)) {
    case TEMPLATE_ON:
        return true;
    case TEMPLATE_OFF:
        return false;
    case TEMPLATE_AUTO:
        break;
    }
    /* The user's own arguments may do anything to a frozen machine. */
    return !target->persist && target->extra_args.count == 0;
}

static int make_memory(const struct target *target, int *ret_fd) {
    int fd = memfd_create("vmtest-memory", MFD_CLOEXEC);

    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)target->memory) < 0) {
        (void)close(fd);
        return -errno;
    }
    *ret_fd = fd;
    return 0;
}

/* The cache cannot be used. */
static void warn_of_cache(const struct error *error, notice_fn *notice, void *context) {
    _cleanup_free_ char *line = xasprintf("no template is kept, so every boot is cold: %s", error_message(error));

    notice(context, line);
}

/* -EEXIST: it has been made meanwhile. */
static int begin_draft(struct template_run *run, const struct target *target, notice_fn *notice, void *context) {
    _cleanup_error_ struct error *error = NULL;
    int r = template_draft(run->key, &run->draft, &error);

    if (r == 0 && make_memory(target, &run->memory_fd) < 0) {
        template_draft_discard(&run->draft);
        return -ENOMEM;
    }
    run->drafting = r == 0;
    run->busy = r == -EBUSY;
    if (r == -EBUSY || r == -EEXIST || r == -EDQUOT)
        log_debug("template: %s", error_message(error));
    else if (r < 0)
        warn_of_cache(error, notice, context);
    return r;
}

void template_run_begin(struct template_run *run, const struct target *target, struct preparation *preparation,
                        notice_fn *notice, void *context) {
    _cleanup_error_ struct error *error = NULL;

    if (!is_wanted(target))
        return;
    if (template_inputs_key(target, preparation, &run->key, &error) < 0)
        log_debug("template: %s", error_message(error));
    else
        template_run_look(run, target, notice, context);
}

void template_run_look(struct template_run *run, const struct target *target, notice_fn *notice, void *context) {
    _cleanup_error_ struct error *error = NULL;
    int r;

    run->busy = false;
    r = template_open(run->key, &run->template, &error);
    run->found = r == 0;
    log_debug("template %s: %s", run->key, r == 0 ? "found" : error_message(error));
    if (r < 0 && r != -ENOENT)
        warn_of_cache(error, notice, context);
    if (r == -ENOENT && begin_draft(run, target, notice, context) == -EEXIST)
        run->found = template_open(run->key, &run->template, NULL) == 0;
}

void template_run_end(struct template_run *run) {
    template_close(&run->template);
    template_draft_discard(&run->draft);
    (void)fd_close(run->memory_fd);
    free(run->key);
    *run = TEMPLATE_RUN_NONE;
}

static bool can_open_readonly(const struct template_run *run) {
    int major = 0;
    int minor = 0;

    if (!run->template.extra || sscanf(run->template.extra, "%d.%d", &major, &minor) != 2)
        return false;
    return major > READONLY_MAJOR || (major == READONLY_MAJOR && minor >= READONLY_MINOR);
}

bool template_run_snapshot(const struct template_run *run, struct qemu_snapshot *ret_snapshot) {
    if (run->found)
        *ret_snapshot = (struct qemu_snapshot){
            .memory_fd = run->template.memory_fd,
            .disk_fd = run->template.disk_fd,
            .incoming = true,
            .readonly = can_open_readonly(run),
        };
    else if (run->drafting)
        *ret_snapshot = (struct qemu_snapshot){.memory_fd = run->memory_fd, .disk_fd = -1, .share = true};
    return run->found || run->drafting;
}

bool template_run_restore(struct template_run *run, struct machine *machine, deadline_t deadline) {
    deadline = deadline_earlier(deadline, deadline_in(STEP_TIMEOUT));
    if (!qmp_call_ready(machine, deadline) || !qmp_call_migration_capabilities(machine, deadline) ||
        !qmp_call_getfd(machine, FD_NAME, run->template.state_fd, deadline) ||
        !qmp_call(machine, "migrate-incoming", json_pack("{s:s}", "uri", "fd:" FD_NAME), deadline) ||
        !qmp_call_migration_end(machine, deadline) || !qmp_call(machine, "cont", NULL, deadline))
        return false;
    agent_client_resume(&machine->agent, run->template.kernel_release);
    return true;
}

void template_run_reject(struct template_run *run) {
    _cleanup_error_ struct error *error = NULL;

    log_debug("template %s: thrown away", run->key);
    template_close(&run->template);
    run->found = false;
    if (template_remove(run->key, &error) < 0)
        log_debug("template: %s", error_message(error));
}

/* The machine's state and memory into the draft. The machine stands still meanwhile. */
static bool save_machine(struct template_run *run, struct machine *machine, const struct target *target, int overlay_fd,
                         struct error **ret_error) {
    deadline_t deadline = deadline_in(STEP_TIMEOUT);
    int state;

    if (template_draft_state(&run->draft, &state, ret_error) < 0)
        return false;
    if (!qmp_call_migration_capabilities(machine, deadline) || !qmp_call_getfd(machine, FD_NAME, state, deadline) ||
        !qmp_call(machine, "migrate", json_pack("{s:s}", "uri", "fd:" FD_NAME), deadline) ||
        !qmp_call_migration_end(machine, deadline)) {
        (void)error_new(ret_error, EIO, "QEMU did not save the machine's state: %s",
                        machine->qmp.failure ? machine->qmp.failure : "no answer");
        return false;
    }
    if (template_draft_memory(&run->draft, run->memory_fd, target->memory, ret_error) < 0)
        return false;
    return overlay_fd < 0 || template_draft_disk(&run->draft, overlay_fd, ret_error) == 0;
}

static bool has_settled(const struct machine *machine) {
    return machine->agent.settled || machine->agent.state == AGENT_FAILED;
}

/* A system is frozen once it has come up and is quiet, or so much time has passed. False when the run has ended. */
static bool settle_system(struct machine *machine, const struct target *target) {
    _cleanup_strv_ struct strv drivers = {0};
    uint64_t limit = machine->accel == ACCEL_KVM ? SETTLE_KVM : SETTLE_TCG;

    share_driver_names(share_transport(target->share_choice), &drivers);
    agent_client_settle(&machine->agent, (uint32_t)(limit / NSEC_PER_MSEC), &drivers);
    return machine_wait(machine, has_settled, deadline_in(limit + STEP_TIMEOUT)) && machine->agent.settled;
}

void template_run_freeze(struct template_run *run, struct machine *machine, const struct target *target,
                         int overlay_fd) {
    _cleanup_error_ struct error *error = NULL;
    _cleanup_free_ char *version =
        xasprintf("%d.%d.%d", machine->qmp.version[0], machine->qmp.version[1], machine->qmp.version[2]);
    const struct template_meta meta = {
        .source = target->kernel ? target->kernel : target->image,
        .kernel_release = machine->agent.release,
        .qemu_version = version,
        .extra = version,
    };
    deadline_t deadline = deadline_in(STEP_TIMEOUT);
    bool saved;

    if (!run->drafting || machine->ended || machine->agentless)
        return;
    machine_drain_console(machine);
    if (machine->findings.count > 0) {
        /* Clones would not boot, and so not tell. */
        machine_notice(machine, "no template is made of this boot, because the guest's kernel reported something");
        template_draft_discard(&run->draft);
        run->drafting = false;
        return;
    }
    if (target->image && !settle_system(machine, target))
        return;
    saved = qmp_call(machine, "stop", NULL, deadline) && save_machine(run, machine, target, overlay_fd, &error);
    if (!machine->ended && !qmp_call_cont(machine, deadline_in(STEP_TIMEOUT)))
        machine_end(machine, VERDICT_ERROR, 0, "QEMU did not continue after the freeze for a template: %s",
                    machine->qmp.failure ? machine->qmp.failure : "no answer");
    if (saved && !machine->ended)
        saved = template_publish(&run->draft, &meta, &error) == 0;
    template_draft_discard(&run->draft);
    run->drafting = false;
    if (!saved)
        log_debug("no template was made: %s", error_message(error));
}
