/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A slot: one job at a time, from its started event to its finished one. Each attempt of the job is a worker of its
 * own. The worker's records become events; its verdict ends the job, or the attempt where another may follow. A worker
 * that ends without a verdict has crashed, which costs its own job only.
 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/file.h"
#include "event/artifact-directory.h"
#include "event/ipc.h"
#include "supervise/supervisor-internal.h"
#include "worker/worker.h"

#define READ_SIZE (256u << 10)
#define WRITE_GRACE (30 * NSEC_PER_SEC)

void slot_init(struct slot *slot, struct supervisor *supervisor, unsigned index) {
    *slot = (struct slot){
        .supervisor = supervisor,
        .index = index,
        .worker = CHILD_NONE,
        .channel = -1,
        .directory = -1,
        .write_deadline = DEADLINE_NONE,
    };
}

void slot_deinit(struct slot *slot) {
    (void)fd_close(slot->channel);
    (void)fd_close(slot->directory);
    buffer_deinit(&slot->in);
    buffer_deinit(&slot->out);
    free(slot->artifacts);
}

static void tell(struct slot *slot, struct event *event) {
    supervisor_tell(slot->supervisor, slot, slot->job, event);
}

/* Of a job that has passed at last. */
static char *judge_flaky(const struct slot *slot, struct run_result *result) {
    const struct run_plan *plan = slot->supervisor->plan;
    char *reason = xasprintf("passed at attempt %u of %u%s", slot->attempt, plan->retries + 1,
                             plan->flaky_fails ? " (--flaky-fails)" : "");

    result->verdict = plan->flaky_fails ? VERDICT_FAIL : VERDICT_FLAKY;
    result->detail = 0;
    result->reason = reason;
    return reason;
}

/* The attempt has ended so: a finished event, or one that says that there is another attempt. */
static void judge(struct slot *slot, struct run_result *result, uint64_t nsec) {
    const struct supervisor *supervisor = slot->supervisor;
    char *reason = NULL;
    struct event event = {.type = EVENT_FINISHED, .nsec = nsec, .result = result};

    if (result->verdict == VERDICT_CANCELLED && supervisor->cancelled)
        result->detail = supervisor->cancelled;
    slot->judged = true;
    slot->again = !verdict_passed(result->verdict) && result->verdict != VERDICT_CANCELLED && !supervisor->cancelled &&
                  slot->attempt <= supervisor->plan->retries;
    if (slot->again)
        event.type = EVENT_RETRY;
    else if (result->verdict == VERDICT_PASS && slot->attempt > 1)
        reason = judge_flaky(slot, result);
    tell(slot, &event);
    free(reason);
}

/* The end of an attempt that no worker reports. */
static void judge_as(struct slot *slot, enum verdict verdict, int detail, const char *reason) {
    struct run_result result = RUN_RESULT_EMPTY;

    result.verdict = verdict;
    result.detail = detail;
    result.reason = reason;
    judge(slot, &result, clock_now() - slot->supervisor->plan->start);
}

/*
 * Our ends to the workers, which this one closes: with a copy in its hands, the others would not see that we are gone.
 * With them the workers' pidfds, which are of no use to it.
 */
static int *channels_of_others(const struct slot *slot, size_t *ret_count) {
    const struct supervisor *supervisor = slot->supervisor;
    int *channels = xcalloc(2 * (size_t)supervisor->plan->n_slots + 1, sizeof(*channels));

    *ret_count = 0;
    for (unsigned i = 0; i < supervisor->plan->n_slots; i++) {
        if (supervisor->slots[i].channel >= 0)
            channels[(*ret_count)++] = supervisor->slots[i].channel;
        if (supervisor->slots[i].worker.pidfd >= 0)
            channels[(*ret_count)++] = supervisor->slots[i].worker.pidfd;
    }
    if (supervisor->kernel_cache->read_fd >= 0)
        channels[(*ret_count)++] = supervisor->kernel_cache->read_fd;
    return channels;
}

static void start_worker(struct slot *slot) {
    struct supervisor *supervisor = slot->supervisor;
    const struct target *target = slot->job->target;
    _cleanup_error_ struct error *error = NULL;
    size_t n_others;
    _cleanup_free_ int *others = channels_of_others(slot, &n_others);
    struct worker_options options = {
        .start = supervisor->plan->start,
        .artifacts = slot->artifacts,
        .directory = slot->directory,
        .terminal = supervisor->options.input_fd >= 0 && isatty(supervisor->options.input_fd),
        .parent_fds = others,
        .n_parent_fds = n_others,
        .kernel_cache = supervisor->kernel_cache,
        .cpus_overcommitted = supervisor->plan->cpus_overcommitted,
    };

    supervisor_window_size(supervisor, &options.rows, &options.columns);
    if (worker_start(target, &options, &slot->worker, &slot->channel, &error) < 0) {
        judge_as(slot, VERDICT_ERROR, 0, error_message(error));
        return;
    }
    /* Nobody can talk to two at once. */
    slot->interactive = target->interactive && supervisor->plan->n_slots == 1;
    supervisor->input_open = slot->interactive && supervisor->options.input_fd >= 0;
}

/* What the user is to know of the run itself stands with the first job that it is about. */
static void tell_plan(struct slot *slot) {
    struct supervisor *supervisor = slot->supervisor;
    const struct run_plan *plan = supervisor->plan;
    struct event event = {.type = EVENT_NOTICE, .stage = STAGE_PREPARE, .nsec = clock_now() - plan->start};
    _cleanup_free_ char *line = NULL;

    if (plan->shuffled && !supervisor->seed_told) {
        _cleanup_free_ char *seed =
            xasprintf("the targets run in the order of --shuffle=%llu", (unsigned long long)plan->seed);

        supervisor->seed_told = true;
        event.text = seed;
        tell(slot, &event);
    }
    if (!schedule_is_too_large(plan, slot->job->target))
        return;
    line =
        xasprintf("warning: this host has %llu MiB for guests, and a target with %llu MiB of memory needs %llu: it "
                  "runs alone",
                  (unsigned long long)(plan->memory_limit >> 20), (unsigned long long)(slot->job->target->memory >> 20),
                  (unsigned long long)(schedule_memory(slot->job->target) >> 20));
    event.text = line;
    tell(slot, &event);
}

static void begin_attempt(struct slot *slot) {
    struct supervisor *supervisor = slot->supervisor;
    _cleanup_error_ struct error *error = NULL;
    struct event started = {.type = EVENT_STARTED, .nsec = clock_now() - supervisor->plan->start};
    int r = 0;

    slot->attempt++;
    slot->judged = slot->again = false;
    if (supervisor->options.artifacts)
        r = artifacts_make_attempt(supervisor->options.artifacts, slot->job->name, slot->attempt,
                                   &supervisor->artifacts_real, &slot->directory, &slot->artifacts, &error);
    started.text = slot->artifacts;
    started.directory = slot->directory;
    tell(slot, &started);
    if (slot->attempt == 1)
        tell_plan(slot);
    if (r < 0)
        judge_as(slot, VERDICT_ERROR, 0, error_message(error));
    else
        start_worker(slot);
}

static void end_attempt(struct slot *slot) {
    free(slot->artifacts);
    slot->artifacts = NULL;
    slot->directory = fd_close(slot->directory);
    child_deinit(&slot->worker);
    slot->channel = fd_close(slot->channel);
    slot->interactive = false;
    slot->write_deadline = DEADLINE_NONE;
    buffer_deinit(&slot->in);
    buffer_deinit(&slot->out);
}

/* Begins attempts until there is a worker or nothing more to try; the job's end frees the slot. */
static void go_on(struct slot *slot) {
    while (slot->worker.pid == 0) {
        end_attempt(slot);
        if (!slot->again) {
            slot->job = NULL;
            return;
        }
        if (slot->supervisor->cancelled) {
            judge_as(slot, VERDICT_CANCELLED, slot->supervisor->cancelled, "not started again");
            continue;
        }
        begin_attempt(slot);
    }
}

void slot_begin(struct slot *slot, const struct job *job) {
    slot->job = job;
    slot->attempt = 0;
    slot->again = true;
    go_on(slot);
}

short slot_events(const struct slot *slot) {
    return (short)(POLLIN | (slot->out.size ? POLLOUT : 0));
}

static void take_records(struct slot *slot) {
    const struct target *target = slot->job->target;
    size_t offset = 0;
    size_t used;
    struct record record;

    while ((used = record_get(slot->in.data + offset, slot->in.size - offset, &record)) > 0) {
        struct run_result result;
        struct run_subresult subresult;
        struct event event;

        offset += used;
        if (slot->judged || !record_to_event(&record, &event, &result, &subresult))
            continue;
        if (event.type == EVENT_FINISHED) {
            judge(slot, &result, event.nsec);
            continue;
        }
        if (event.type == EVENT_STAGE && event.stage == STAGE_COMMAND) {
            if (target->timeout)
                slot->write_deadline = deadline_in(target->timeout + target->kill_after + WRITE_GRACE);
            if (slot->interactive)
                supervisor_make_raw(slot->supervisor);
        }
        tell(slot, &event);
    }
    buffer_consume(&slot->in, offset);
}

static char *describe_crash(int status) {
    if (WIFSIGNALED(status))
        return xasprintf("the worker was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    return xasprintf("the worker ended with status %d without a verdict", WEXITSTATUS(status));
}

/* The worker has closed its end. */
static void reap(struct slot *slot) {
    struct supervisor *supervisor = slot->supervisor;
    int status = child_reap(&slot->worker);

    if (slot->interactive) {
        supervisor->input_open = false;
        supervisor_restore_terminal(supervisor);
    }
    if (!slot->judged) {
        _cleanup_free_ char *crash = describe_crash(status);

        judge_as(slot, supervisor->cancelled ? VERDICT_CANCELLED : VERDICT_ERROR, supervisor->cancelled, crash);
    }
}

bool slot_serve(struct slot *slot, short revents) {
    if (revents & POLLOUT && slot->out.size) {
        ssize_t sent = send(slot->channel, slot->out.data, slot->out.size, MSG_NOSIGNAL);

        if (sent > 0)
            buffer_consume(&slot->out, (size_t)sent);
    }
    if (!(revents & (POLLIN | POLLHUP | POLLERR)))
        return false;

    ssize_t got = read(slot->channel, buffer_reserve(&slot->in, READ_SIZE), READ_SIZE);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (got > 0) {
        slot->in.size += (size_t)got;
        take_records(slot);
        return false;
    }
    reap(slot);
    go_on(slot);
    return !slot->job;
}
