/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker's life, straight down: prepare, launch, boot, set up, run the command, give the verdict, take down.
 * Whatever goes wrong on the way ends in machine_end(); each step begins by nothing when the run has ended.
 */
#include "worker/worker.h"

#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/log.h"
#include "base/subprocess.h"
#include "machine/image-way.h"
#include "machine/launch.h"
#include "machine/machine.h"
#include "machine/timeouts.h"
#include "prepare/kernel-cache.h"
#include "prepare/prepare.h"
#include "worker/blocked-tasks.h"
#include "worker/command-by-agent.h"
#include "worker/image-shutdown.h"
#include "worker/subresults.h"
#include "worker/template-run.h"
#include "worker/worker-artifacts.h"

#define BOOT_TIMEOUT_KVM (60 * NSEC_PER_SEC)
#define BOOT_TIMEOUT_TCG (300 * NSEC_PER_SEC)
/* A clone that takes longer to set up is not worth waiting for. */
#define CLONE_TIMEOUT_KVM (20 * NSEC_PER_SEC)
#define CLONE_TIMEOUT_TCG (60 * NSEC_PER_SEC)
/* The interval of looks for a template that another worker makes. */
#define TEMPLATE_POLL (100 * NSEC_PER_MSEC)
#define CLOCK_ERROR (40 * NSEC_PER_MSEC)
#define CLOCK_TRIES 10u

extern char **environ;

struct worker {
    const struct target *target;
    const struct worker_options *options;
    struct machine machine;
    struct preparation preparation;
    struct template_run template;
    struct subresults *results; /* of the command's own tests; NULL: none are wanted, or it was not started */
    uint64_t durations[STAGE_COUNT];
    char *kernel_hash; /* of the kernel's file, or NULL */
};

static void worker_enter(struct worker *worker, enum stage stage, bool from_template) {
    struct machine *machine = &worker->machine;

    worker->durations[machine->stage] += clock_now() - machine->stage_start;
    machine_enter(machine, stage, from_template);
}

static void end_by_error(struct machine *machine, const struct error *error) {
    machine_end(machine, VERDICT_ERROR, 0, "%s", error_message(error));
}

static void prepare_stage(struct worker *worker) {
    _cleanup_error_ struct error *error = NULL;
    struct machine *machine = &worker->machine;
    int r = preparation_make(worker->target, machine->signal_fd, worker->options->kernel_cache, machine_notice, machine,
                             &worker->preparation, &error);

    if (r == -ECANCELED)
        (void)machine_wait(machine, machine_never, deadline_in(0)); /* the signal tells how it ends */
    if (r < 0)
        end_by_error(machine, error);
    machine->accel = worker->preparation.accel;
    machine->lost_after = worker->target->lost_after;
    if (!machine->ended && deadline_passed(machine->run_deadline))
        machine_end_by_timeout(machine, "the run", 0, machine->run_timeout_name, NULL);
}

static void stage_launch(struct worker *worker) {
    _cleanup_error_ struct error *error = NULL;
    struct machine *machine = &worker->machine;
    struct qemu_snapshot snapshot;
    bool has_snapshot = template_run_snapshot(&worker->template, &snapshot);

    if (machine->ended)
        return;
    worker_enter(worker, STAGE_BOOT, worker->template.found);
    machine->way = worker->target->image ? &image_way_qga : NULL;
    if (machine_launch(machine, worker->target, &worker->preparation, has_snapshot ? &snapshot : NULL, &error) < 0)
        end_by_error(machine, error);
}

static bool is_set_up(const struct machine *machine) {
    return machine->agent.state == AGENT_READY || machine->agent.state == AGENT_FAILED;
}

static uint64_t boot_timeout(const struct worker *worker) {
    uint64_t timeout = worker->machine.accel == ACCEL_KVM ? BOOT_TIMEOUT_KVM : BOOT_TIMEOUT_TCG;

    if (worker->target->boot_timeout)
        return worker->target->boot_timeout;
    return worker->target->image ? 2 * timeout : timeout;
}

static void end_by_boot_timeout(struct worker *worker) {
    struct machine *machine = &worker->machine;
    _cleanup_free_ char *why = machine->way && !machine_is_up(machine) ? machine->way->why_not(machine) : NULL;

    if (machine->ended)
        return;
    machine_end_by_timeout(machine, "the boot", boot_timeout(worker), target_key_name(worker->target, KEY_BOOT_TIMEOUT),
                           why);
    _cleanup_closing_ struct machine *closing = machine_begin_closing(machine);
    blocked_tasks_ask(machine);
}

static enum wire_root wire_root(const struct target *target) {
    if (target->image)
        return WIRE_ROOT_OWN;
    switch (target->rootfs_mode) {
    case ROOTFS_OVERLAY:
        return WIRE_ROOT_OVERLAY;
    case ROOTFS_RO:
        return WIRE_ROOT_RO;
    case ROOTFS_RW:
        break;
    }
    return WIRE_ROOT_RW;
}

/*
 * Emulated, a shell's first start takes long: one beside the mounts, with the variables that make it read files, makes
 * the command's own quicker. There is nothing to be had from one processor, or where QEMU emulates them in turn.
 */
static void add_shell_environment(const struct worker *worker, struct strv *environment) {
    const struct target *target = worker->target;

    if (worker->machine.accel != ACCEL_TCG || target->image || target->argv.count > 0 || target->num_cpus < 2 ||
        worker->preparation.single_threaded_tcg)
        return;
    strv_append(environment, "PATH=/usr/local/bin:/usr/bin:/bin");
    for (char **entry = environ; *entry; entry++) {
        if (target_passes(target, *entry) && (strncmp(*entry, "LANG", 4) == 0 || strncmp(*entry, "LC_", 3) == 0))
            strv_append(environment, *entry);
    }
}

/* The agent could not set the guest up. An image, unlike a kernel, can run without shares. */
static void end_by_setup(struct machine *machine, const struct target *target, const struct preparation *preparation) {
    _cleanup_free_ char *none = target_setting(target, KEY_SHARE, "none");
    bool optional = target->image && preparation->n_shares > 0;

    machine_end(machine, VERDICT_ERROR, 0, "%s%s%s", machine->agent.failure,
                optional ? "; to run without shares, set " : "", optional ? none : "");
}

/* False when the deadline has passed or the run has ended. */
static bool set_up(struct worker *worker, deadline_t deadline) {
    struct machine *machine = &worker->machine;
    _cleanup_error_ struct error *error = NULL;
    _cleanup_strv_ struct strv environment = {0};
    _cleanup_strv_ struct strv drivers = {0};
    const struct agent_setup setup = {
        .hostname = worker->target->image ? "" : "vmtest",
        .keep_clock = worker->target->image && !worker->template.found,
        .root = wire_root(worker->target),
        .mounts = worker->preparation.mounts,
        .n_mounts = worker->preparation.n_mounts,
        .drivers = &drivers,
        .shell_environment = &environment,
    };

    add_shell_environment(worker, &environment);
    if (worker->target->image)
        share_driver_names(share_transport(worker->target->share_choice), &drivers);
    if (machine->agentless)
        return machine->way->set_up(machine, worker->target, &worker->preparation, deadline);
    if (agent_client_setup(&machine->agent, &setup, &error) < 0)
        end_by_error(machine, error);
    else if (!machine_wait(machine, is_set_up, deadline))
        return false;
    if (machine->agent.state == AGENT_FAILED)
        end_by_setup(machine, worker->target, &worker->preparation);
    return !machine->ended;
}

/* Makes the template if there is one to be made. Returns the deadline of the boot, which is not charged for that. */
static deadline_t template_freeze(struct worker *worker, deadline_t deadline) {
    uint64_t begin = clock_now();

    template_run_freeze(&worker->template, &worker->machine, worker->target, worker->preparation.overlay_fd);
    return deadline + (clock_now() - begin);
}

static void stage_boot(struct worker *worker, deadline_t deadline) {
    struct machine *machine = &worker->machine;
    bool up;

    if (machine->ended)
        return;
    up = machine->way ? machine->way->connect(machine, &worker->preparation, deadline)
                      : machine_wait(machine, machine_is_up, deadline);
    if (up)
        deadline = deadline_earlier(template_freeze(worker, deadline), machine->run_deadline);
    if (up && !machine->ended) {
        worker_enter(worker, STAGE_SETUP, false);
        up = set_up(worker, deadline);
    }
    if (!up)
        end_by_boot_timeout(worker);
}

static bool has_ponged(const struct machine *machine) {
    return machine->agent.pongs > machine->clock_pongs;
}

/*
 * The clock of a clone, which has stood still since the template was made, to within CLOCK_ERROR: a clone that has just
 * woken up may take long to hear the time, which the answer tells; then it is told again.
 */
static void adjust_clock(struct machine *machine) {
    for (unsigned tries = 0; tries < CLOCK_TRIES && !machine->ended; tries++) {
        uint64_t sent = clock_now();

        machine->clock_pongs = machine->agent.pongs;
        agent_client_clock(&machine->agent);
        agent_client_ping(&machine->agent, sent);
        if (machine_wait(machine, has_ponged, deadline_in(NSEC_PER_SEC)) && clock_now() - sent <= CLOCK_ERROR)
            return;
    }
}

/* Replaces a machine that has failed; the next one gets a fresh disk. */
static void machine_begin_anew(struct worker *worker) {
    _cleanup_error_ struct error *error = NULL;
    struct machine *machine = &worker->machine;

    (void)qemu_process_end(&machine->qemu);
    machine_reset(machine);
    if (prepare_anew(worker->target, &worker->preparation, &error) < 0)
        end_by_error(machine, error);
}

/* The machine out of the template, set up. False when the template was of no use: the run boots cold then. */
static bool stage_clone(struct worker *worker, deadline_t boot_deadline) {
    struct machine *machine = &worker->machine;
    uint64_t patience = machine->accel == ACCEL_KVM ? CLONE_TIMEOUT_KVM : CLONE_TIMEOUT_TCG;
    deadline_t deadline = deadline_earlier(boot_deadline, deadline_in(patience));
    bool up = false;

    if (machine->ended)
        return true;
    stage_launch(worker);
    if (machine->ended)
        return true; /* QEMU could not be started: a cold boot would fail in the same way */
    if (template_run_restore(&worker->template, machine, deadline)) {
        worker_enter(worker, STAGE_SETUP, false);
        up = set_up(worker, deadline);
    }
    if (up)
        adjust_clock(machine);
    else if (!machine->ended && deadline_passed(boot_deadline))
        end_by_boot_timeout(worker);
    up = up && !machine->ended;
    /* A refusal by the guest, and a cancellation by the user, are not the template's fault. */
    if (up || machine->agent.state == AGENT_FAILED || (machine->ended && machine->verdict == VERDICT_CANCELLED))
        return true;
    if (machine->ended && machine->verdict == VERDICT_TIMEOUT && deadline_passed(machine->run_deadline))
        return true; /* nor is the timeout of the whole run */
    log_debug("the clone failed: %s", machine->ended ? machine->reason : "out of time");
    template_run_reject(&worker->template);
    if (machine->ended && machine->verdict == VERDICT_TIMEOUT)
        return true;
    machine_begin_anew(worker);
    return false;
}

/*
 * An emulator that fails an assertion of its own while it boots: QEMU 7.2 does so about once in a thousand boots, when
 * one processor moves a device's registers while another uses some.
 */
static bool emulator_failed(const struct machine *machine) {
    return machine->ended && machine->verdict == VERDICT_ERROR && machine->accel == ACCEL_TCG && machine->qemu_gone &&
           !machine_is_up(machine) && WIFSIGNALED(machine->qemu_status) && WTERMSIG(machine->qemu_status) == SIGABRT;
}

/*
 * Looks for the template. While another worker makes it, this one boots cold: with CPUs of its own that costs nobody
 * anything, and the run is over sooner. If the CPUs are overcommitted, all guests would boot slower for it: then it
 * waits for the template, but no longer than a boot may take.
 */
static void begin_template(struct worker *worker) {
    struct machine *machine = &worker->machine;
    deadline_t deadline = deadline_earlier(deadline_in(boot_timeout(worker)), machine->run_deadline);

    template_run_begin(&worker->template, worker->target, &worker->preparation, machine_notice, machine);
    while (worker->template.busy && worker->options->cpus_overcommitted && !machine->ended &&
           !deadline_passed(deadline)) {
        (void)machine_wait(machine, machine_never, deadline_earlier(deadline, deadline_in(TEMPLATE_POLL)));
        if (!machine->ended)
            template_run_look(&worker->template, worker->target, machine_notice, machine);
    }
}

/* Launches and boots; a second time, and no third, when the emulator has failed. */
static void stage_machine(struct worker *worker) {
    struct machine *machine = &worker->machine;
    deadline_t deadline;

    if (!machine->ended)
        begin_template(worker);
    if (!machine->ended && worker->target->kernel)
        kernel_cache_offer(worker->options->kernel_cache, worker->target, &worker->preparation);
    deadline = timeout_deadline(machine, boot_timeout(worker));
    if (worker->template.found && stage_clone(worker, deadline))
        return;
    stage_launch(worker);
    stage_boot(worker, deadline);
    if (!emulator_failed(machine))
        return;

    _cleanup_free_ char *line = xasprintf("%s; starting it once more", machine->reason);
    machine_notice(machine, line);
    machine_begin_anew(worker);
    template_run_end(&worker->template); /* its memory has been used */
    stage_launch(worker);
    stage_boot(worker, deadline);
}

static char *describe_qemu(const struct qmp *qmp) {
    return qmp->greeted ? xasprintf("%d.%d.%d", qmp->version[0], qmp->version[1], qmp->version[2]) : xstrdup("");
}

static_assert(RUN_FINDINGS_MAX >= FINDINGS_MAX, "a result has room for what is kept");

static void add_findings(struct run_result *result, const struct findings *findings) {
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->items[i];

        result->findings[i] = (struct run_finding){
            .kind = finding_kind_name(finding->kind),
            .title = finding->title,
            .text = finding->text.data ? finding->text.data : "",
        };
    }
    result->n_findings = findings->count;
    result->n_more_findings = (unsigned)(findings->n_total - findings->count);
}

/* The first of the findings that `fail_on` names, or NULL. */
static const struct finding *find_failure(const struct findings *findings, unsigned fail_on) {
    for (size_t i = 0; i < findings->count; i++) {
        if (FINDING_BIT(findings->items[i].kind) & fail_on)
            return &findings->items[i];
    }
    return NULL;
}

/* Turns a pass into a failure if the kernel has reported something that `fail_on` names. */
static void judge_findings(struct machine *machine, const struct target *target) {
    const struct finding *finding;

    machine_drain_console(machine);
    findings_end(&machine->findings);
    if (machine->verdict != VERDICT_PASS || !(findings_mask(&machine->findings) & target->fail_on))
        return;
    finding = find_failure(&machine->findings, target->fail_on);
    machine->verdict = VERDICT_FAIL;
    free(machine->reason);
    machine->reason = xasprintf("the command passed, but the guest's kernel reported %s (%s)",
                                finding ? finding->title : "more than vmtest keeps, including such reports",
                                target_key_name(target, KEY_FAIL_ON));
}

static void worker_report(struct worker *worker) {
    struct machine *machine = &worker->machine;
    const char *release = machine->agent.release ? machine->agent.release : worker->preparation.release;
    _cleanup_free_ char *qemu_version = describe_qemu(&machine->qmp);
    bool passed = machine->verdict == VERDICT_PASS;
    struct run_result result = {
        .verdict = machine->verdict,
        .detail = machine->detail,
        .reason = machine->reason,
        .stage = machine->stage,
        .console = passed ? "" : machine_console_tail(machine),
        .output = passed ? "" : machine_output_tail(machine),
        .tasks = machine->tasks ? machine->tasks : "",
        .accel = machine->stage == STAGE_PREPARE ? "" : accel_name(machine->accel),
        .kernel_release = release ? release : "",
        .kernel_hash = worker->kernel_hash ? worker->kernel_hash : "",
        .qemu_version = qemu_version,
        .user_usec = machine->agent.user_usec,
        .system_usec = machine->agent.system_usec,
        .max_rss_kib = machine->agent.max_rss_kib,
    };

    add_findings(&result, &machine->findings);
    if (worker->results)
        subresults_count(worker->results, result.n_subresults);
    worker->durations[machine->stage] += clock_now() - machine->stage_start;
    memcpy(result.nsec, worker->durations, sizeof(result.nsec));
    machine_emit(machine, &(struct event){.type = EVENT_FINISHED, .result = &result});
    machine_flush(machine);
}

void worker_run(const struct target *target, const struct worker_options *options, int channel) {
    struct worker worker = {.target = target, .options = options};
    struct machine *machine = &worker.machine;
    sigset_t signals;

    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    if (!process_ignores(SIGHUP)) /* as the supervisor does */
        (void)sigaddset(&signals, SIGHUP);
    (void)sigprocmask(SIG_SETMASK, &signals, NULL);

    _cleanup_close_ int signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    machine_init(machine, channel, signal_fd, options->start);
    run_timeout_begin(machine, target, clock_now());
    worker.preparation = PREPARATION_EMPTY;
    worker.template = TEMPLATE_RUN_NONE;
    machine->writes_image = target->persist;
    machine_enter(machine, STAGE_PREPARE, false);
    prepare_stage(&worker);
    if (!machine->ended && options->artifacts)
        worker_artifacts_keep_inputs(machine, target, &worker.preparation, options->artifacts, options->directory,
                                     &worker.kernel_hash);
    stage_machine(&worker);
    if (!machine->ended) {
        worker_enter(&worker, STAGE_COMMAND, false);
        worker.results = subresults_new(machine, target, &worker.preparation);
        command_run(machine, target, &worker.preparation, options, worker.results);
    }
    judge_findings(machine, target);
    if (worker.results)
        subresults_end(worker.results);
    worker_artifacts_keep_memory(machine, target, options->artifacts ? options->directory : -1);
    if (target->persist)
        image_shut_down(machine);
    (void)qemu_process_end(&machine->qemu);
    worker_report(&worker);
    template_run_end(&worker.template);
    preparation_deinit(&worker.preparation);
    subresults_free(worker.results);
    free(worker.kernel_hash);
    machine_deinit(machine);
}

int worker_start(const struct target *target, const struct worker_options *options, struct child *ret_worker,
                 int *ret_channel, struct error **ret_error) {
    int ours = -1;
    int theirs = -1;
    int r = fd_socket_pair(&ours, &theirs, ret_error);

    if (r < 0)
        return r;
    r = child_fork(SIGTERM, ret_worker);
    if (r == 0) {
        (void)close(ours);
        for (size_t i = 0; i < options->n_parent_fds; i++)
            (void)close(options->parent_fds[i]);
        (void)setpgid(0, 0);
        worker_run(target, options, theirs);
        _exit(0);
    }
    (void)close(theirs);
    if (r < 0) {
        (void)close(ours);
        return error_errno(ret_error, r, "cannot start a worker");
    }
    *ret_channel = ours;
    return 0;
}
