/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One worker at a time, in the order of the targets. The first signal is passed on to the worker, which cancels its
 * run in good order; the second kills it, and QEMU dies with it. A reader of standard output that went away counts as
 * a signal too (SIGPIPE), since nobody is left to be told.
 */
#include "run/supervisor.h"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>

#include "base/clock.h"
#include "base/file.h"
#include "run/artifacts.h"
#include "run/record.h"
#include "run/worker.h"

/* What a pipe or terminal that poll() calls writable takes without blocking. */
#define WRITE_PIECE 4096u
#define READ_SIZE (256u << 10)
#define INPUT_LIMIT (64u << 10)
#define SAME_SIGNAL (NSEC_PER_SEC / 4)
#define CANCELLED_WRITE_MSEC 1000
#define WRITE_GRACE (30 * NSEC_PER_SEC)

struct supervisor {
    struct writer writer; /* the first member: the writer is the supervisor */
    struct supervisor_options options;
    int signal_fd;
    sigset_t old_mask;
    int cancelled;             /* the signal that stopped us, 0: none */
    uint64_t cancelled_at;     /* clock_now() of it */
    bool killed;               /* a second signal has come */
    bool deaf;                 /* the run is cancelled, and whoever reads our output does not */
    deadline_t write_deadline; /* of a target with a timeout: nobody's reading may hold it up longer */
    int output_error;          /* errno of a write that lost output, other than EPIPE; 0: none */
    pid_t worker;
    int channel;
    struct buffer in;    /* records from the worker */
    struct buffer out;   /* records for the worker */
    struct strv notices; /* each is shown once */
    bool interactive;    /* standard input belongs to the running worker */
    bool input_open;
    bool raw;
    struct termios terminal;

    const struct run_plan *plan;
    struct sink *const *sinks;
    size_t n_sinks;
    struct run_summary summary;
};

static void terminal_restore(struct supervisor *supervisor) {
    if (supervisor->raw)
        (void)tcsetattr(supervisor->options.input_fd, TCSANOW, &supervisor->terminal);
    supervisor->raw = false;
}

static void terminal_make_raw(struct supervisor *supervisor) {
    struct termios raw;

    if (supervisor->raw || tcgetattr(supervisor->options.input_fd, &supervisor->terminal) < 0)
        return;
    raw = supervisor->terminal;
    cfmakeraw(&raw);
    supervisor->raw = tcsetattr(supervisor->options.input_fd, TCSANOW, &raw) == 0;
}

static void cancel(struct supervisor *supervisor, int signal_number) {
    if (!supervisor->cancelled) {
        supervisor->cancelled = signal_number;
        supervisor->cancelled_at = clock_now();
    } else if (clock_now() - supervisor->cancelled_at < SAME_SIGNAL) {
        return; /* whoever sends it to us and to our process group as well means one */
    } else {
        supervisor->killed = true;
    }
    if (supervisor->worker <= 0)
        return;
    if (supervisor->killed)
        (void)kill(supervisor->worker, SIGKILL);
    else
        (void)kill(supervisor->worker, signal_number == SIGPIPE ? SIGTERM : signal_number);
}

static void window_size(const struct supervisor *supervisor, unsigned *ret_rows, unsigned *ret_columns) {
    struct winsize size = {0};

    *ret_rows = 24;
    *ret_columns = 80;
    if (ioctl(supervisor->options.input_fd, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col) {
        *ret_rows = size.ws_row;
        *ret_columns = size.ws_col;
    }
}

static void on_signal(struct supervisor *supervisor) {
    struct signalfd_siginfo info;

    if (read(supervisor->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    if (info.ssi_signo == SIGWINCH) {
        unsigned rows;
        unsigned columns;

        window_size(supervisor, &rows, &columns);
        if (supervisor->interactive)
            record_put_window(&supervisor->out, rows, columns);
        return;
    }
    cancel(supervisor, (int)info.ssi_signo);
}

/* In milliseconds. A reader that takes nothing holds the end of a cancelled run up only once. */
static int write_patience(const struct supervisor *supervisor) {
    if (supervisor->killed || supervisor->deaf)
        return 0;
    if (supervisor->cancelled)
        return CANCELLED_WRITE_MSEC;
    return deadline_poll_timeout(supervisor->write_deadline);
}

/* The signal that a failed write stands for. A terminal that went away sends SIGHUP as well, sooner or later. */
static int signal_of_write_error(int fd, int code) {
    struct stat status;

    if (code == EIO && fstat(fd, &status) == 0 && S_ISCHR(status.st_mode))
        return SIGHUP;
    return code == EPIPE ? SIGPIPE : SIGTERM;
}

static void write_for_sink(struct writer *writer, int fd, const void *data, size_t size) {
    struct supervisor *supervisor = (struct supervisor *)writer;
    const char *bytes = data;

    while (size > 0) {
        struct pollfd polls[] = {
            {.fd = fd, .events = POLLOUT},
            {.fd = supervisor->signal_fd, .events = POLLIN},
        };

        int ready = poll(polls, 2, write_patience(supervisor));
        if (ready < 0)
            continue;
        if (polls[1].revents)
            on_signal(supervisor);
        if (ready == 0 || (supervisor->killed && !polls[0].revents)) {
            if (!supervisor->cancelled && !supervisor->output_error)
                supervisor->output_error = ETIMEDOUT;
            supervisor->deaf = true;
            return;
        }
        if (!polls[0].revents)
            continue;

        ssize_t written = write(fd, bytes, size < WRITE_PIECE ? size : WRITE_PIECE);
        if (written >= 0) {
            bytes += written;
            size -= (size_t)written;
        } else if (errno != EAGAIN && errno != EINTR) {
            int code = errno;
            int number = signal_of_write_error(fd, code);

            if (number == SIGTERM && !supervisor->output_error)
                supervisor->output_error = code;
            if (!supervisor->cancelled)
                cancel(supervisor, number);
            return;
        }
    }
}

int supervisor_new(const struct supervisor_options *options, struct supervisor **ret, struct error **ret_error) {
    sigset_t signals;
    struct supervisor *supervisor = xcalloc(1, sizeof(*supervisor));

    *supervisor = (struct supervisor){
        .writer.write = write_for_sink, .options = *options, .channel = -1, .write_deadline = DEADLINE_NONE};
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
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

void supervisor_free(struct supervisor *supervisor) {
    if (!supervisor)
        return;
    terminal_restore(supervisor);
    (void)fd_close(supervisor->signal_fd);
    (void)fd_close(supervisor->channel);
    if (!supervisor->cancelled) /* one more of the signals that cancelled it must not change the exit status */
        (void)sigprocmask(SIG_SETMASK, &supervisor->old_mask, NULL);
    buffer_deinit(&supervisor->in);
    buffer_deinit(&supervisor->out);
    strv_deinit(&supervisor->notices);
    free(supervisor);
}

int supervisor_output_error(const struct supervisor *supervisor) {
    return supervisor->output_error;
}

struct writer *supervisor_writer(struct supervisor *supervisor) {
    return &supervisor->writer;
}

static void tell(struct supervisor *supervisor, const struct job *job, struct event *event) {
    event->job = job;
    event->target = job->name;
    event->attempt = 1;
    /* What is said of the host before the machine starts is the same for each target. */
    if (event->type == EVENT_NOTICE && event->stage == STAGE_PREPARE) {
        if (strv_contains(&supervisor->notices, event->text))
            return;
        strv_append(&supervisor->notices, event->text);
    }
    if (event->type == EVENT_FINISHED)
        terminal_restore(supervisor);
    for (size_t i = 0; i < supervisor->n_sinks; i++)
        supervisor->sinks[i]->handle(supervisor->sinks[i], event);
}

/* The end of a target that no worker reports. */
static void tell_finished(struct supervisor *supervisor, const struct job *job, enum verdict verdict, int detail,
                          const char *reason) {
    struct run_result result = RUN_RESULT_EMPTY;
    struct event event = {.type = EVENT_FINISHED, .nsec = clock_now() - supervisor->plan->start, .result = &result};

    result.verdict = verdict;
    result.detail = detail;
    result.reason = reason;
    tell(supervisor, job, &event);
}

/* The verdict of a target that has finished, and what belongs to it. */
struct outcome {
    bool known;
    enum verdict verdict;
    int detail;
};

static void take_records(struct supervisor *supervisor, const struct job *job, struct outcome *outcome) {
    const struct target *target = job->target;
    size_t offset = 0;
    size_t used;
    struct record record;

    while ((used = record_get(supervisor->in.data + offset, supervisor->in.size - offset, &record)) > 0) {
        struct run_result result;
        struct event event;

        offset += used;
        if (outcome->known || !record_to_event(&record, &event, &result))
            continue;
        if (event.type == EVENT_FINISHED) {
            *outcome = (struct outcome){.known = true, .verdict = result.verdict, .detail = result.detail};
            if (result.verdict == VERDICT_CANCELLED && supervisor->cancelled)
                outcome->detail = result.detail = supervisor->cancelled;
        }
        if (event.type == EVENT_STAGE && event.stage == STAGE_COMMAND) {
            if (target->timeout)
                supervisor->write_deadline = deadline_in(target->timeout + target->kill_after + WRITE_GRACE);
            if (supervisor->interactive)
                terminal_make_raw(supervisor);
        }
        tell(supervisor, job, &event);
    }
    buffer_consume(&supervisor->in, offset);
}

static void read_input(struct supervisor *supervisor) {
    char data[4096];
    ssize_t got = read(supervisor->options.input_fd, data, sizeof(data));

    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (got <= 0)
        supervisor->input_open = false;
    record_put_stdin(&supervisor->out, data, got > 0 ? (size_t)got : 0);
}

/* Moves records until the worker has closed its end. */
static void pump(struct supervisor *supervisor, const struct job *job, struct outcome *outcome) {
    for (;;) {
        bool want_input = supervisor->input_open && supervisor->out.size < INPUT_LIMIT;
        struct pollfd polls[] = {
            {.fd = supervisor->channel, .events = (short)(POLLIN | (supervisor->out.size ? POLLOUT : 0))},
            {.fd = supervisor->signal_fd, .events = POLLIN},
            {.fd = want_input ? supervisor->options.input_fd : -1, .events = POLLIN},
        };

        if (poll(polls, ARRAY_SIZE(polls), -1) < 0)
            continue;
        if (polls[1].revents)
            on_signal(supervisor);
        if (polls[2].revents)
            read_input(supervisor);
        if (polls[0].revents & POLLOUT && supervisor->out.size) {
            ssize_t sent = send(supervisor->channel, supervisor->out.data, supervisor->out.size, MSG_NOSIGNAL);

            if (sent > 0)
                buffer_consume(&supervisor->out, (size_t)sent);
        }
        if (polls[0].revents & (POLLIN | POLLHUP | POLLERR)) {
            ssize_t got = read(supervisor->channel, buffer_reserve(&supervisor->in, READ_SIZE), READ_SIZE);

            if (got < 0 && (errno == EAGAIN || errno == EINTR))
                continue;
            if (got <= 0)
                return;
            supervisor->in.size += (size_t)got;
            take_records(supervisor, job, outcome);
        }
    }
}

static char *describe_crash(int status) {
    if (WIFSIGNALED(status))
        return xasprintf("the worker was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    return xasprintf("the worker ended with status %d without a verdict", WEXITSTATUS(status));
}

static void run_job(struct supervisor *supervisor, const struct job *job, const char *artifacts,
                    struct outcome *outcome) {
    const struct target *target = job->target;
    _cleanup_error_ struct error *error = NULL;
    struct worker_options options = {
        .start = supervisor->plan->start,
        .artifacts = artifacts,
        .terminal = supervisor->options.input_fd >= 0 && isatty(supervisor->options.input_fd),
    };
    int status = 0;

    window_size(supervisor, &options.rows, &options.columns);
    if (worker_start(target, &options, &supervisor->worker, &supervisor->channel, &error) < 0) {
        *outcome = (struct outcome){.known = true, .verdict = VERDICT_ERROR};
        tell_finished(supervisor, job, VERDICT_ERROR, 0, error_message(error));
        return;
    }
    supervisor->write_deadline = DEADLINE_NONE;
    supervisor->interactive = target->interactive;
    supervisor->input_open = target->interactive && supervisor->options.input_fd >= 0;
    pump(supervisor, job, outcome);
    while (waitpid(supervisor->worker, &status, 0) < 0 && errno == EINTR)
        ;
    supervisor->worker = 0;
    supervisor->channel = fd_close(supervisor->channel);
    supervisor->interactive = supervisor->input_open = false;
    buffer_deinit(&supervisor->in);
    buffer_deinit(&supervisor->out);
    terminal_restore(supervisor);

    if (!outcome->known) {
        _cleanup_free_ char *crash = describe_crash(status);
        enum verdict verdict = supervisor->cancelled ? VERDICT_CANCELLED : VERDICT_ERROR;

        *outcome = (struct outcome){.known = true, .verdict = verdict, .detail = supervisor->cancelled};
        tell_finished(supervisor, job, verdict, supervisor->cancelled, crash);
    }
}

/* One job, from its started event to its finished one. */
static void begin_job(struct supervisor *supervisor, const struct job *job, struct outcome *outcome) {
    _cleanup_error_ struct error *error = NULL;
    _cleanup_free_ char *artifacts = NULL;
    struct event started = {.type = EVENT_STARTED, .nsec = clock_now() - supervisor->plan->start};
    int r = 0;

    if (supervisor->options.artifacts)
        r = artifacts_make(supervisor->options.artifacts, job->name, &artifacts, &error);
    started.text = artifacts;
    tell(supervisor, job, &started);
    if (r == 0) {
        run_job(supervisor, job, artifacts, outcome);
        return;
    }
    *outcome = (struct outcome){.known = true, .verdict = VERDICT_ERROR};
    tell_finished(supervisor, job, VERDICT_ERROR, 0, error_message(error));
}

/* vmtest's exit status, as far as the verdicts make it; `last` is the last job's outcome. */
static int exit_status(const struct supervisor *supervisor, const struct outcome *last) {
    unsigned n_not_passed = supervisor->summary.n_not_passed;

    if (supervisor->cancelled && n_not_passed > 0)
        return verdict_exit_status(VERDICT_CANCELLED, supervisor->cancelled);
    if (supervisor->plan->n_jobs == 1)
        return verdict_exit_status(last->verdict, last->detail);
    return verdict_exit_status_of_many(n_not_passed);
}

int supervisor_run(struct supervisor *supervisor, const struct run_plan *plan, struct sink *const *sinks,
                   size_t n_sinks) {
    struct run_summary *summary = &supervisor->summary;
    struct outcome outcome = {0};

    supervisor->plan = plan;
    supervisor->sinks = sinks;
    supervisor->n_sinks = n_sinks;
    summary->n_targets = (unsigned)plan->n_jobs;
    for (size_t i = 0; i < plan->n_jobs; i++) {
        const struct job *job = &plan->jobs[i];

        outcome = (struct outcome){0};
        if (supervisor->cancelled) {
            outcome = (struct outcome){.verdict = VERDICT_CANCELLED, .detail = supervisor->cancelled};
            tell_finished(supervisor, job, VERDICT_CANCELLED, supervisor->cancelled, "not started");
        } else {
            begin_job(supervisor, job, &outcome);
        }
        summary->n_of[outcome.verdict]++;
        summary->n_not_passed += !verdict_passed(outcome.verdict);
    }
    summary->status = exit_status(supervisor, &outcome);
    summary->nsec = clock_now() - plan->start;
    for (size_t i = 0; i < n_sinks; i++)
        sinks[i]->finish(sinks[i], summary);
    return supervisor->output_error ? EXIT_STATUS_UNAVAILABLE : summary->status;
}
