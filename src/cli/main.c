/* SPDX-License-Identifier: Apache-2.0 */
/* vmtest's main(): the command line to targets, targets to the supervisor, its result to an exit status. */
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/heap.h"
#include "base/log.h"
#include "cli/help.h"
#include "cli/history.h"
#include "cli/load.h"
#include "cli/make-plan.h"
#include "cli/sinks.h"
#include "cli/verbs.h"
#include "config/config.h"
#include "supervise/supervisor.h"

static int error_print(const struct error *error, int status) {
    (void)fprintf(stderr, "vmtest: %s\n", error_message(error));
    if (status == EXIT_STATUS_USAGE)
        (void)fprintf(stderr, "Try 'vmtest --help'.\n");
    return status;
}

/* VMTEST_LOG: to .vmtest.log while the terminal is in use, else to standard error. */
static void start_log(void) {
    if (str_empty(getenv("VMTEST_LOG")))
        return;
    if (isatty(STDOUT_FILENO))
        log_set_fd(open(".vmtest.log", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600));
    else
        log_set_fd(STDERR_FILENO);
}

/* A closed standard descriptor would be taken by the next file that is opened, and written to. */
static void open_standard_descriptors(void) {
    int fd;

    do
        fd = open("/dev/null", O_RDONLY | O_CLOEXEC); /* what is written there is an error, not lost */
    while (fd >= 0 && fd <= STDERR_FILENO);
    (void)fd_close(fd);
}

static void say_shard(const struct run_plan *plan, size_t n_all) {
    if (plan->shard_count > 0)
        (void)fprintf(stderr, "vmtest: shard %u of %u: %zu of %zu runs%s\n", plan->shard_index, plan->shard_count,
                      plan->n_jobs, n_all, plan->n_jobs == 0 ? "; it is empty, so nothing is run" : "");
}

static struct run_plan *make_plan(const struct options *options, const struct shard *shard, const struct config *config,
                                  const char *history_file, uint64_t start, struct error **ret_error) {
    _cleanup_history_ struct history *history = history_load(history_file);
    struct run_plan *plan = NULL;
    struct host host;

    host_look_here(&host);
    if (plan_make(options, shard, config, history, &host, start, &plan, ret_error) < 0)
        return NULL;
    say_shard(plan, config->n_targets * (options->repeat > 0 ? options->repeat : 1));
    return plan;
}

static int run_targets(const struct options *options, const struct shard *shard, const struct config *config,
                       const char *again, uint64_t start) {
    _cleanup_error_ struct error *error = NULL;
    _cleanup_free_ char *history = history_path(config);
    _cleanup_run_plan_ struct run_plan *plan = make_plan(options, shard, config, history, start, &error);
    _cleanup_supervisor_ struct supervisor *supervisor = NULL;
    const struct supervisor_options supervisor_options = {.artifacts = options->artifacts, .input_fd = STDIN_FILENO};
    struct sinks sinks;

    if (!plan)
        return error_print(error, EXIT_STATUS_UNAVAILABLE);
    if (supervisor_new(&supervisor_options, &supervisor, &error) < 0)
        return error_print(error, EXIT_STATUS_UNAVAILABLE);
    int r = sinks_make(&sinks, options, plan, again, supervisor_writer(supervisor), &error);
    if (r < 0) {
        sinks_deinit(&sinks);
        return error_print(error, r == -EINVAL ? EXIT_STATUS_USAGE : EXIT_STATUS_UNAVAILABLE);
    }
    if (history) {
        _cleanup_error_ struct error *kept = NULL;

        if (history_begin(history, plan, &kept) < 0)
            (void)fprintf(stderr, "vmtest: warning: %s\n", error_message(kept));
        sinks.items[sinks.n_items++] = sink_history_new(history, plan);
    }
    heap_settle(); /* every worker begins as a copy of this process */
    int status = supervisor_run(supervisor, plan, sinks.items, sinks.n_items);
    if (supervisor_output_error(supervisor) != 0)
        (void)fprintf(stderr, "vmtest: the output could not be written: %s\n",
                      strerror(supervisor_output_error(supervisor)));
    status = sinks_end(&sinks, status);
    sinks_deinit(&sinks);
    return status;
}

/* Runs a verb, or prints the help or the version that its options or those of a run ask for. */
static int print_text(const struct verb *verb, const struct options *options) {
    _cleanup_error_ struct error *error = NULL;
    int status = 0;

    if (options->help) {
        _cleanup_free_ char *text = help_text(verb);

        (void)fputs(text, stdout);
    } else if (options->version) {
        (void)fputs(help_version(), stdout);
    } else {
        start_log();
        status = verb->run(options, &error);
    }
    if ((ferror(stdout) || fflush(stdout) != 0) && status != EXIT_STATUS_UNAVAILABLE) {
        status = EXIT_STATUS_UNAVAILABLE;
        (void)error_errno(&error, errno, "the output could not be written");
    }
    return error ? error_print(error, status) : status;
}

int main(int argc, char **argv) {
    uint64_t start = clock_now();
    _cleanup_error_ struct error *error = NULL;
    _cleanup_options_ struct options options = {0};
    _cleanup_config_ struct config *config = NULL;
    struct shard shard = {0};
    size_t used = 0;

    open_standard_descriptors();
    (void)signal(SIGXFSZ, SIG_IGN); /* a limit on files' sizes is an error that is reported */
    (void)signal(SIGCHLD, SIG_DFL); /* if the caller ignores it, nobody learns how a child ended */
    (void)setlocale(LC_CTYPE, "");
    const struct verb *verb = argc > 1 ? verb_find(argv + 1, (size_t)argc - 1, &used) : NULL;
    if (options_parse(verb, argc - (int)used, argv + used, &options, &error) < 0)
        return error_print(error, EXIT_STATUS_USAGE);
    if (verb || options.help || options.version)
        return print_text(verb, &options);
    if (shard_of_options(&options, &shard, &error) < 0)
        return error_print(error, EXIT_STATUS_USAGE);
    start_log();
    if (targets_load(&options, &config, &error) < 0 || !config)
        return error_print(error, EXIT_STATUS_UNAVAILABLE);

    _cleanup_free_ char *again = options_again(&options, argc, argv);
    return run_targets(&options, &shard, config, again, start);
}
