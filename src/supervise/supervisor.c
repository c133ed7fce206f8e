/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop over all slots, and signals. The schedule says which job starts, a slot runs it (slot.c), what the sinks
 * write goes through sink-writer.c.
 *
 * The first signal is passed on to the workers, which cancel their runs in good order; the second kills them, and their
 * QEMUs die with them. A reader of standard output that went away counts as a signal too (SIGPIPE), since nobody is
 * left to be told.
 */
#include "supervise/supervisor.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>

#include "base/file.h"
#include "base/subprocess.h"
#include "event/ipc.h"
#include "supervise/supervisor-internal.h"

#define INPUT_LIMIT (64u << 10)
#define TICK_MSEC 250
#define SAME_SIGNAL (NSEC_PER_SEC / 4)

/* Where in the polls what is. */
enum { POLL_SIGNAL, POLL_INPUT, POLL_KERNEL_CACHE, POLL_SLOTS };

void supervisor_restore_terminal(struct supervisor *supervisor) {
    if (supervisor->raw)
        (void)tcsetattr(supervisor->options.input_fd, TCSANOW, &supervisor->terminal);
    supervisor->raw = false;
}

void supervisor_make_raw(struct supervisor *supervisor) {
    struct termios raw;

    if (supervisor->raw || tcgetattr(supervisor->options.input_fd, &supervisor->terminal) < 0)
        return;
    raw = supervisor->terminal;
    cfmakeraw(&raw);
    supervisor->raw = tcsetattr(supervisor->options.input_fd, TCSANOW, &raw) == 0;
}

static unsigned n_slots(const struct supervisor *supervisor) {
    return supervisor->slots ? supervisor->plan->n_slots : 0;
}

void supervisor_cancel(struct supervisor *supervisor, int signal_number) {
    if (!supervisor->cancelled) {
        supervisor->cancelled = signal_number;
        supervisor->cancelled_at = clock_now();
    } else if (clock_now() - supervisor->cancelled_at < SAME_SIGNAL) {
        return; /* whoever sends it to us and to our process group as well means one */
    } else {
        supervisor->killed = true;
    }
    for (unsigned i = 0; i < n_slots(supervisor); i++) {
        int signal_sent = supervisor->killed ? SIGKILL : signal_number == SIGPIPE ? SIGTERM : signal_number;

        child_kill(&supervisor->slots[i].worker, signal_sent);
    }
}

void supervisor_window_size(const struct supervisor *supervisor, unsigned *ret_rows, unsigned *ret_columns) {
    struct winsize size = {0};

    *ret_rows = 24;
    *ret_columns = 80;
    if (ioctl(supervisor->options.input_fd, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col) {
        *ret_rows = size.ws_row;
        *ret_columns = size.ws_col;
    }
}

/* The slot that standard input belongs to, or NULL. */
static struct slot *interactive_slot(struct supervisor *supervisor) {
    return n_slots(supervisor) == 1 && supervisor->slots[0].interactive ? &supervisor->slots[0] : NULL;
}

void supervisor_on_signal(struct supervisor *supervisor) {
    struct signalfd_siginfo info;

    if (read(supervisor->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    if (info.ssi_signo == SIGWINCH) {
        struct slot *slot = interactive_slot(supervisor);
        unsigned rows;
        unsigned columns;

        supervisor_window_size(supervisor, &rows, &columns);
        if (slot)
            record_put_window(&slot->out, rows, columns);
        return;
    }
    supervisor_cancel(supervisor, (int)info.ssi_signo);
}

int supervisor_new(const struct supervisor_options *options, struct supervisor **ret, struct error **ret_error) {
    sigset_t signals;
    struct supervisor *supervisor = xcalloc(1, sizeof(*supervisor));

    *supervisor = (struct supervisor){.writer.write = output_write, .options = *options};
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    if (!process_ignores(SIGHUP)) /* what is blocked is not ignored any more, and signalfd() would bring it */
        (void)sigaddset(&signals, SIGHUP);
    (void)sigaddset(&signals, SIGWINCH);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigprocmask(SIG_BLOCK, &signals, &supervisor->old_mask);
    supervisor->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (supervisor->signal_fd < 0) {
        int r = error_errno(ret_error, errno, "signalfd");

        supervisor_free(supervisor);
        return r;
    }
    *ret = supervisor;
    return 0;
}

static void free_slots(struct supervisor *supervisor) {
    for (unsigned i = 0; i < n_slots(supervisor); i++)
        slot_deinit(&supervisor->slots[i]);
    free(supervisor->slots);
    free(supervisor->polls);
    schedule_free(supervisor->schedule);
    kernel_cache_free(supervisor->kernel_cache);
    supervisor->slots = NULL;
    supervisor->polls = NULL;
    supervisor->schedule = NULL;
    supervisor->kernel_cache = NULL;
}

void supervisor_free(struct supervisor *supervisor) {
    if (!supervisor)
        return;
    supervisor_restore_terminal(supervisor);
    (void)fd_close(supervisor->signal_fd);
    free_slots(supervisor);
    if (!supervisor->cancelled) /* one more of the signals that cancelled it must not change the exit status */
        (void)sigprocmask(SIG_SETMASK, &supervisor->old_mask, NULL);
    strv_deinit(&supervisor->notices);
    free(supervisor->artifacts_real);
    free(supervisor);
}

int supervisor_output_error(const struct supervisor *supervisor) {
    return supervisor->output_error;
}

struct writer *supervisor_writer(struct supervisor *supervisor) {
    return &supervisor->writer;
}

/* A job has its verdict. */
static void count(struct supervisor *supervisor, const struct job *job, const struct run_result *result) {
    bool passed = verdict_passed(result->verdict);

    supervisor->summary.n_of[result->verdict]++;
    supervisor->summary.n_not_passed += !passed;
    supervisor->last_verdict = result->verdict;
    supervisor->last_detail = result->detail;
    if (!passed && supervisor->plan->fail_fast && !supervisor->failed)
        supervisor->failed = job;
}

void supervisor_tell(struct supervisor *supervisor, const struct slot *slot, const struct job *job,
                     struct event *event) {
    event->job = job;
    event->target = job->name;
    event->slot = slot ? slot->index : 0;
    event->attempt = slot ? slot->attempt : 0;
    /* What is said of the host before the machine starts is the same for each target. */
    if (event->type == EVENT_NOTICE && event->stage == STAGE_PREPARE) {
        if (strv_contains(&supervisor->notices, event->text))
            return;
        strv_append(&supervisor->notices, event->text);
    }
    if (event->type == EVENT_FINISHED)
        count(supervisor, job, event->result);
    if (event->type == EVENT_FINISHED || event->type == EVENT_RETRY)
        supervisor_restore_terminal(supervisor);
    for (size_t i = 0; i < supervisor->n_sinks; i++)
        supervisor->sinks[i]->handle(supervisor->sinks[i], event);
}

static void read_input(struct supervisor *supervisor, struct slot *slot) {
    char data[4096];
    ssize_t got = read(supervisor->options.input_fd, data, sizeof(data));

    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (got <= 0)
        supervisor->input_open = false;
    record_put_stdin(&slot->out, data, got > 0 ? (size_t)got : 0);
}

static struct slot *free_slot(struct supervisor *supervisor) {
    for (unsigned i = 0; i < n_slots(supervisor); i++) {
        if (!supervisor->slots[i].job)
            return &supervisor->slots[i];
    }
    return NULL;
}

static bool may_start(const struct supervisor *supervisor) {
    return !supervisor->cancelled && !supervisor->failed;
}

/* Starts what may start. A job that could not be started has ended by now, and makes room for another. */
static void start_jobs(struct supervisor *supervisor) {
    struct slot *slot;
    size_t job;

    while (may_start(supervisor) && (slot = free_slot(supervisor)) != NULL &&
           schedule_next(supervisor->schedule, &job)) {
        slot_begin(slot, &supervisor->plan->jobs[job]);
        if (!slot->job)
            schedule_done(supervisor->schedule, job);
    }
}

static bool is_running(const struct supervisor *supervisor) {
    for (unsigned i = 0; i < n_slots(supervisor); i++) {
        if (supervisor->slots[i].job)
            return true;
    }
    return false;
}

static bool has_ticking(const struct supervisor *supervisor) {
    for (size_t i = 0; i < supervisor->n_sinks; i++) {
        if (supervisor->sinks[i]->tick)
            return true;
    }
    return false;
}

/* Nothing has come for a while. */
static void tick(const struct supervisor *supervisor) {
    for (size_t i = 0; i < supervisor->n_sinks; i++) {
        if (supervisor->sinks[i]->tick)
            supervisor->sinks[i]->tick(supervisor->sinks[i], clock_now() - supervisor->plan->start);
    }
}

/* One turn of the loop: each slot that has something gets one piece of it read, so that none starves the others. */
static void serve(struct supervisor *supervisor) {
    struct pollfd *polls = supervisor->polls;
    struct slot *interactive = interactive_slot(supervisor);
    bool want_input = interactive && supervisor->input_open && interactive->out.size < INPUT_LIMIT;

    polls[POLL_SIGNAL] = (struct pollfd){.fd = supervisor->signal_fd, .events = POLLIN};
    polls[POLL_INPUT] = (struct pollfd){.fd = want_input ? supervisor->options.input_fd : -1, .events = POLLIN};
    polls[POLL_KERNEL_CACHE] = (struct pollfd){.fd = supervisor->kernel_cache->read_fd, .events = POLLIN};
    for (unsigned i = 0; i < n_slots(supervisor); i++) {
        const struct slot *slot = &supervisor->slots[i];

        polls[POLL_SLOTS + i] = (struct pollfd){.fd = slot->channel, .events = slot_events(slot)};
    }
    int ready = poll(polls, POLL_SLOTS + n_slots(supervisor), has_ticking(supervisor) ? TICK_MSEC : -1);
    if (ready < 0)
        return;
    if (ready == 0)
        tick(supervisor);
    if (polls[POLL_SIGNAL].revents)
        supervisor_on_signal(supervisor);
    if (polls[POLL_INPUT].revents)
        read_input(supervisor, interactive);
    if (polls[POLL_KERNEL_CACHE].revents)
        kernel_cache_receive(supervisor->kernel_cache);
    for (unsigned i = 0; i < n_slots(supervisor); i++) {
        const struct job *job = supervisor->slots[i].job;

        if (polls[POLL_SLOTS + i].revents && slot_serve(&supervisor->slots[i], polls[POLL_SLOTS + i].revents))
            schedule_done(supervisor->schedule, job->index);
    }
}

/* Those that never start, in the order of the list. */
static void drop_jobs(struct supervisor *supervisor) {
    _cleanup_free_ char *because =
        supervisor->failed ? xasprintf("not started, since '%s' did not pass (--fail-fast)", supervisor->failed->name)
                           : NULL;
    size_t index;

    while (schedule_drop(supervisor->schedule, &index)) {
        struct run_result result = RUN_RESULT_EMPTY;
        struct event event = {.type = EVENT_FINISHED, .nsec = clock_now() - supervisor->plan->start, .result = &result};

        result.verdict = supervisor->cancelled ? VERDICT_CANCELLED : VERDICT_SKIPPED;
        result.detail = supervisor->cancelled;
        result.reason = supervisor->cancelled ? "not started" : because;
        supervisor_tell(supervisor, NULL, &supervisor->plan->jobs[index], &event);
    }
}

/* vmtest's exit status, as far as the verdicts make it. */
static int exit_status(const struct supervisor *supervisor) {
    unsigned n_not_passed = supervisor->summary.n_not_passed;

    if (supervisor->cancelled && n_not_passed > 0)
        return verdict_exit_status(VERDICT_CANCELLED, supervisor->cancelled);
    if (supervisor->plan->n_jobs == 1)
        return verdict_exit_status(supervisor->last_verdict, supervisor->last_detail);
    return verdict_exit_status_of_many(n_not_passed);
}

static void make_slots(struct supervisor *supervisor, const struct run_plan *plan) {
    supervisor->plan = plan;
    supervisor->schedule = schedule_new(plan);
    supervisor->kernel_cache = kernel_cache_new();
    supervisor->slots = xcalloc(plan->n_slots, sizeof(*supervisor->slots));
    supervisor->polls = xcalloc(POLL_SLOTS + plan->n_slots, sizeof(*supervisor->polls));
    for (unsigned i = 0; i < plan->n_slots; i++)
        slot_init(&supervisor->slots[i], supervisor, i);
}

int supervisor_run(struct supervisor *supervisor, const struct run_plan *plan, struct sink *const *sinks,
                   size_t n_sinks) {
    struct run_summary *summary = &supervisor->summary;

    supervisor->sinks = sinks;
    supervisor->n_sinks = n_sinks;
    summary->n_targets = (unsigned)plan->n_jobs;
    make_slots(supervisor, plan);
    for (start_jobs(supervisor); is_running(supervisor); start_jobs(supervisor))
        serve(supervisor);
    drop_jobs(supervisor);
    summary->status = exit_status(supervisor);
    summary->nsec = clock_now() - plan->start;
    for (size_t i = 0; i < n_sinks; i++)
        sinks[i]->finish(sinks[i], summary);
    return supervisor->output_error ? EXIT_STATUS_UNAVAILABLE : summary->status;
}
