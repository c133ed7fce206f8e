/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker's life, straight down: prepare, launch, boot, set up, run the command, give the verdict, take down.
 * Whatever goes wrong on the way ends in machine_end(); each step begins by nothing when the run has ended.
 */
#include "run/worker.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/log.h"
#include "qemu/argv.h"
#include "run/machine.h"
#include "run/prepare.h"

#define BOOT_TIMEOUT_KVM (60 * NSEC_PER_SEC)
#define BOOT_TIMEOUT_TCG (300 * NSEC_PER_SEC)
#define KILL_AFTER (5 * NSEC_PER_SEC)
#define SYNC_TIMEOUT (60 * NSEC_PER_SEC)
#define OUTPUT_CREDIT (1u << 20)

extern char **environ;

struct worker {
    const struct target *target;
    const struct worker_options *options;
    struct machine machine;
    struct preparation preparation;
    uint64_t durations[STAGE_COUNT];
};

static void enter(struct worker *worker, enum stage stage) {
    struct machine *machine = &worker->machine;

    worker->durations[machine->stage] = clock_now() - machine->stage_start;
    machine_enter(machine, stage);
}

static void end_by_error(struct machine *machine, const struct error *error) {
    machine_end(machine, VERDICT_ERROR, 0, "%s", error_message(error));
}

static void stage_prepare(struct worker *worker) {
    _cleanup_error_ struct error *error = NULL;
    struct machine *machine = &worker->machine;

    if (prepare(worker->target, machine_notice, machine, &worker->preparation, &error) < 0)
        end_by_error(machine, error);
    machine->accel = worker->preparation.accel;
}

/* A pair of connected sockets, ours non-blocking. */
static int make_socket(int *ret_ours, int *ret_theirs, struct error **ret_error) {
    int pair[2];
    int r;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return error_errno(ret_error, errno, "socketpair");
    r = fd_set_nonblocking(pair[0]);
    if (r < 0) {
        (void)close(pair[0]);
        (void)close(pair[1]);
        return error_errno(ret_error, r, "socketpair");
    }
    *ret_ours = pair[0];
    *ret_theirs = pair[1];
    return 0;
}

static int start_qemu(struct worker *worker, const int *theirs, struct error **ret_error) {
    const struct target *target = worker->target;
    const struct preparation *preparation = &worker->preparation;
    _cleanup_free_ char *kernel = xasprintf("/proc/self/fd/%d", preparation->kernel_fd);
    _cleanup_free_ char *initrd = xasprintf("/proc/self/fd/%d", preparation->initrd_fd);
    _cleanup_strv_ struct strv argv = {0};
    const struct qemu_config config = {
        .arch = preparation->arch,
        .accel = preparation->accel,
        .program = preparation->program,
        .cpu = preparation->accel == ACCEL_KVM ? target->kvm_cpu_args : preparation->arch->cpu_tcg,
        .num_cpus = target->num_cpus,
        .memory = target->memory,
        .kernel = kernel,
        .initrd = initrd,
        .kernel_args = target->kernel_args,
        .shares = preparation->shares,
        .n_shares = preparation->n_shares,
        .extra_args = &target->extra_args,
        .qmp_fd = theirs[0],
        .agent_fd = theirs[1],
        .console_fd = theirs[2],
    };
    const int keep[] = {theirs[0], theirs[1], theirs[2], preparation->kernel_fd, preparation->initrd_fd};

    qemu_argv(&config, &argv);
    if (log_enabled()) {
        for (size_t i = 0; i < argv.count; i++)
            log_debug("argv[%zu]: %s", i, argv.items[i]);
    }
    return qemu_process_start(&argv, keep, ARRAY_SIZE(keep), &worker->machine.qemu, ret_error);
}

static void stage_launch(struct worker *worker) {
    _cleanup_error_ struct error *error = NULL;
    struct machine *machine = &worker->machine;
    int theirs[3] = {-1, -1, -1};
    int r;

    if (machine->ended)
        return;
    enter(worker, STAGE_BOOT);
    r = make_socket(&machine->qmp_fd, &theirs[0], &error);
    if (r == 0)
        r = make_socket(&machine->agent_fd, &theirs[1], &error);
    if (r == 0)
        r = make_socket(&machine->console_fd, &theirs[2], &error);
    if (r == 0)
        r = start_qemu(worker, theirs, &error);
    if (r < 0)
        end_by_error(machine, error);
    for (size_t i = 0; i < ARRAY_SIZE(theirs); i++)
        (void)fd_close(theirs[i]);
}

static bool said_hello(const struct machine *machine) {
    return machine->agent.state != AGENT_SILENT;
}

static bool is_set_up(const struct machine *machine) {
    return machine->agent.state == AGENT_READY || machine->agent.state == AGENT_FAILED;
}

static bool has_exited(const struct machine *machine) {
    return machine->agent.state == AGENT_EXITED || machine->agent.state == AGENT_FAILED;
}

static bool is_synced(const struct machine *machine) {
    return machine->agent.state == AGENT_SYNCED || machine->qemu_gone;
}

/* "90 s", "1.5 s". Caller frees. */
static char *describe_duration(uint64_t nsec) {
    return xasprintf("%.10g s", (double)nsec / (double)NSEC_PER_SEC);
}

static void end_by_boot_timeout(struct machine *machine, uint64_t timeout) {
    _cleanup_free_ char *time = describe_duration(timeout);

    machine_end(machine, VERDICT_TIMEOUT, 0, "the boot took longer than %s (boot_timeout)", time);
}

static void stage_boot(struct worker *worker) {
    struct machine *machine = &worker->machine;
    uint64_t timeout = worker->target->boot_timeout;

    if (machine->ended)
        return;
    if (timeout == 0)
        timeout = machine->accel == ACCEL_KVM ? BOOT_TIMEOUT_KVM : BOOT_TIMEOUT_TCG;

    deadline_t deadline = deadline_in(timeout);
    if (!machine_wait(machine, said_hello, deadline)) {
        end_by_boot_timeout(machine, timeout);
        return;
    }

    _cleanup_error_ struct error *error = NULL;
    const struct agent_setup setup = {
        .hostname = "vmtest",
        .root = worker->target->rootfs_mode == ROOTFS_OVERLAY ? WIRE_ROOT_OVERLAY
                : worker->target->rootfs_mode == ROOTFS_RO    ? WIRE_ROOT_RO
                                                              : WIRE_ROOT_RW,
        .mounts = worker->preparation.mounts,
        .n_mounts = worker->preparation.n_mounts,
    };
    enter(worker, STAGE_SETUP);
    if (agent_client_setup(&machine->agent, &setup, &error) < 0)
        end_by_error(machine, error);
    else if (!machine_wait(machine, is_set_up, deadline))
        end_by_boot_timeout(machine, timeout);
    if (machine->agent.state == AGENT_FAILED)
        machine_end(machine, VERDICT_ERROR, 0, "%s", machine->agent.failure);
}

/*
 * An emulator that fails an assertion of its own while it boots: QEMU 7.2 does so about once in a thousand boots, when
 * one processor moves a device's registers while another uses some.
 */
static bool emulator_failed(const struct machine *machine) {
    return machine->ended && machine->verdict == VERDICT_ERROR && machine->accel == ACCEL_TCG && machine->qemu_gone &&
           machine->agent.state == AGENT_SILENT && WIFSIGNALED(machine->qemu_status) &&
           WTERMSIG(machine->qemu_status) == SIGABRT;
}

/* Launches and boots; a second time, and no third, when the emulator has failed. */
static void stage_machine(struct worker *worker) {
    struct machine *machine = &worker->machine;

    stage_launch(worker);
    stage_boot(worker);
    if (!emulator_failed(machine))
        return;

    _cleanup_free_ char *line = xasprintf("%s; starting it once more", machine->reason);
    machine_notice(machine, line);
    machine_reset(machine);
    stage_launch(worker);
    stage_boot(worker);
}

static int send_exec(struct worker *worker, struct error **ret_error) {
    const struct target *target = worker->target;
    _cleanup_strv_ struct strv argv = {0};
    struct agent_exec exec = {
        .credit = OUTPUT_CREDIT,
        .directory = worker->preparation.directory,
        .argv = &argv,
        .environment = environ,
    };

    if (target->interactive) {
        exec.flags = WIRE_EXEC_SHELL | WIRE_EXEC_LOGIN;
        exec.flags |= worker->options->terminal ? WIRE_EXEC_TERMINAL : WIRE_EXEC_STDIN;
        exec.rows = worker->options->rows;
        exec.columns = worker->options->columns;
    } else if (target->argv.count > 0) {
        strv_copy(&argv, &target->argv);
    } else {
        exec.flags = WIRE_EXEC_SHELL;
        strv_append(&argv, target->command);
    }
    worker->machine.credit = OUTPUT_CREDIT;
    return agent_client_exec(&worker->machine.agent, &exec, ret_error);
}

/* The command's time is up: it is asked to end, then the verdict stands whatever it does. */
static void end_by_timeout(struct worker *worker) {
    struct machine *machine = &worker->machine;
    _cleanup_free_ char *time = describe_duration(worker->target->timeout);

    agent_client_signal(&machine->agent, SIGTERM);
    if (!machine_wait(machine, has_exited, deadline_in(KILL_AFTER)) && !machine->ended) {
        agent_client_signal(&machine->agent, SIGKILL);
        (void)machine_wait(machine, has_exited, deadline_in(KILL_AFTER));
    }
    /* What the command has written so far belongs to the user. */
    if (!machine->ended && machine->agent.state == AGENT_EXITED) {
        agent_client_sync(&machine->agent);
        (void)machine_wait(machine, is_synced, deadline_in(KILL_AFTER));
    }
    machine_end(machine, VERDICT_TIMEOUT, 0, "the command took longer than %s (timeout)", time);
}

static void stage_command(struct worker *worker) {
    _cleanup_error_ struct error *error = NULL;
    struct machine *machine = &worker->machine;
    uint64_t timeout = worker->target->timeout;

    if (machine->ended)
        return;
    enter(worker, STAGE_COMMAND);
    if (send_exec(worker, &error) < 0) {
        end_by_error(machine, error);
        return;
    }
    if (!machine_wait(machine, has_exited, timeout ? deadline_in(timeout) : DEADLINE_NONE)) {
        if (!machine->ended)
            end_by_timeout(worker);
        return;
    }

    const struct agent_client *agent = &machine->agent;
    if (agent->state == AGENT_FAILED)
        machine_end(machine, VERDICT_ERROR, 0, "%s", agent->failure);
    else if (!machine_wait(machine, is_synced, (agent_client_sync(&machine->agent), deadline_in(SYNC_TIMEOUT))))
        machine_end(machine, VERDICT_LOST, 0, "the guest did not write its files back in time");
    else if (agent->state != AGENT_SYNCED)
        machine_end(machine, VERDICT_LOST, 0, "the machine went away before its files were written back");
    else if (agent->signalled)
        machine_end(machine, VERDICT_SIGNAL, (int)agent->status, "the command was ended by signal %d (%s)",
                    (int)agent->status, strsignal((int)agent->status));
    else if (agent->status != 0)
        machine_end(machine, VERDICT_FAIL, (int)agent->status, "the command exited with code %d", (int)agent->status);
    else
        machine_end(machine, VERDICT_PASS, 0, "%s", "");
}

static void report(struct worker *worker) {
    struct machine *machine = &worker->machine;
    const char *release = machine->agent.release ? machine->agent.release : worker->preparation.release;
    struct run_result result = {
        .verdict = machine->verdict,
        .detail = machine->detail,
        .reason = machine->reason,
        .stage = machine->stage,
        .console = machine->verdict == VERDICT_PASS ? "" : machine_console_tail(machine),
        .accel = machine->stage == STAGE_PREPARE ? "" : accel_name(machine->accel),
        .kernel_release = release ? release : "",
        .user_usec = machine->agent.user_usec,
        .system_usec = machine->agent.system_usec,
        .max_rss_kib = machine->agent.max_rss_kib,
    };

    worker->durations[machine->stage] = clock_now() - machine->stage_start;
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
    (void)sigaddset(&signals, SIGHUP);
    (void)sigprocmask(SIG_SETMASK, &signals, NULL);

    _cleanup_close_ int signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    machine_init(machine, channel, signal_fd, options->start);
    worker.preparation = (struct preparation){.kernel_fd = -1, .initrd_fd = -1};
    machine_enter(machine, STAGE_PREPARE);
    stage_prepare(&worker);
    stage_machine(&worker);
    stage_command(&worker);
    (void)qemu_process_kill(&machine->qemu);
    report(&worker);
    preparation_deinit(&worker.preparation);
    machine_deinit(machine);
}

int worker_start(const struct target *target, const struct worker_options *options, pid_t *ret_pid, int *ret_channel,
                 struct error **ret_error) {
    pid_t parent = getpid();
    int ours = -1;
    int theirs = -1;
    int r;

    r = make_socket(&ours, &theirs, ret_error);
    if (r < 0)
        return r;

    pid_t pid = fork();
    if (pid < 0) {
        r = error_errno(ret_error, errno, "cannot start a worker");
        (void)close(ours);
        (void)close(theirs);
        return r;
    }
    if (pid == 0) {
        (void)close(ours);
        (void)setpgid(0, 0);
        if (prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && getppid() == parent)
            worker_run(target, options, theirs);
        _exit(0);
    }
    (void)close(theirs);
    *ret_pid = pid;
    *ret_channel = ours;
    return 0;
}
