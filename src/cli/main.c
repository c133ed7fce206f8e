/* SPDX-License-Identifier: Apache-2.0 */
/* vmtest's main(): the command line to targets, targets to the supervisor, its result to an exit status. */
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "cli/cache.h"
#include "cli/help.h"
#include "cli/options.h"
#include "config/config.h"
#include "report/sink.h"
#include "run/supervisor.h"

static int fail(const struct error *error, int status) {
    (void)fprintf(stderr, "vmtest: %s\n", error_message(error));
    if (status == EXIT_STATUS_USAGE)
        (void)fprintf(stderr, "Try 'vmtest --help'.\n");
    return status;
}

static bool environment_set(const char *name) {
    return !str_empty(getenv(name));
}

/* VMTEST_LOG: to .vmtest.log while the terminal is in use, else to standard error. */
static void start_log(void) {
    if (!environment_set("VMTEST_LOG"))
        return;
    if (isatty(STDOUT_FILENO))
        log_set_fd(open(".vmtest.log", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600));
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

static int load_one_liner(const struct options *options, struct config **ret_config, struct error **ret_error) {
    _cleanup_config_ struct config *config = xcalloc(1, sizeof(*config));
    char cwd[PATH_MAX];
    int r;

    if (!getcwd(cwd, sizeof(cwd)))
        return error_errno(ret_error, errno, "the current directory");
    config->targets = xcalloc(1, sizeof(*config->targets));
    r = options_to_target(options, cwd, &config->targets[0], ret_error);
    if (r < 0)
        return r;
    config->n_targets = 1;
    r = target_check(config->targets[0], ret_error);
    if (r == 0)
        *ret_config = TAKE_PTR(config);
    return r;
}

static int load_targets(const struct options *options, struct config **ret_config, struct error **ret_error) {
    int r;

    if (options_is_one_liner(options))
        return load_one_liner(options, ret_config, ret_error);
    r = config_load(options->config ? options->config : "vmtest.toml", options->strict, ret_config, ret_error);
    if (r == 0 && options->filter) {
        r = config_filter(*ret_config, options->filter, ret_error);
        if (r < 0)
            error_context(ret_error, "--filter");
    }
    for (size_t i = 0; r == 0 && i < (*ret_config)->n_targets; i++)
        r = target_check((*ret_config)->targets[i], ret_error);
    return r;
}

/* What is for every target of a run. */
static void apply_options(const struct options *options, struct config *config) {
    for (size_t i = 0; i < config->n_targets; i++) {
        if (options->given[OPTION_BOOT_TIMEOUT])
            config->targets[i]->boot_timeout = options->boot_timeout;
        if (options->given[OPTION_TIMEOUT])
            config->targets[i]->timeout = options->timeout;
        if (options->given[OPTION_KILL_AFTER])
            config->targets[i]->kill_after = options->kill_after;
        if (options->given[OPTION_RUN_TIMEOUT])
            config->targets[i]->run_timeout = options->run_timeout;
        if (options->given[OPTION_FAIL_ON])
            config->targets[i]->fail_on = options->fail_on;
        config->targets[i]->dump = config->targets[i]->dump || options->dump;
        if (options->given[OPTION_LOST_AFTER])
            config->targets[i]->lost_after = options->lost_after;
        config->targets[i]->sandbox = config->targets[i]->sandbox && !options->no_sandbox;
        if (options->no_template) {
            config->targets[i]->template = false;
            free(config->targets[i]->where[KEY_TEMPLATE]);
            config->targets[i]->where[KEY_TEMPLATE] = xstrdup("--no-template");
        }
    }
}

static struct sink *make_sink(const struct options *options, const struct config *config, const char *again,
                              struct writer *writer) {
    bool one_liner = options_is_one_liner(options);
    bool out_tty = isatty(STDOUT_FILENO);
    bool err_tty = isatty(STDERR_FILENO);
    /* A terminal that cannot move its cursor gets everything as it comes. */
    bool tty = (one_liner ? err_tty : out_tty) && !str_equal(getenv("TERM"), "dumb");
    const struct terminal_options terminal = {
        .out_fd = STDOUT_FILENO,
        .err_fd = STDERR_FILENO,
        .window = tty && !environment_set("VMTEST_NO_UI"),
        .color = tty && !environment_set("NO_COLOR"),
        .one_liner = one_liner,
        .interactive = config->targets[0]->interactive,
        .again = again,
    };

    if (options->format == FORMAT_JSON)
        return sink_json_new(STDOUT_FILENO, writer);
    return sink_terminal_new(&terminal, writer);
}

/* Says what of the run could not be told. Returns the exit status, which is no success then. */
static int end_sinks(struct supervisor *supervisor, struct sink *artifacts, int status) {
    const struct error *error = artifacts ? sink_artifacts_error(artifacts) : NULL;

    if (supervisor_output_error(supervisor) != 0)
        (void)fprintf(stderr, "vmtest: the output could not be written: %s\n",
                      strerror(supervisor_output_error(supervisor)));
    if (!error)
        return status;
    (void)fprintf(stderr, "vmtest: the artifacts are not complete: %s\n", error_message(error));
    return status == 0 ? EXIT_STATUS_UNAVAILABLE : status;
}

static int run(const struct options *options, const struct config *config, const char *again, uint64_t start) {
    _cleanup_error_ struct error *error = NULL;
    _cleanup_supervisor_ struct supervisor *supervisor = NULL;
    const struct supervisor_options supervisor_options = {
        .start = start, .artifacts = options->artifacts, .input_fd = STDIN_FILENO};
    struct sink *sinks[2];
    size_t n_sinks = 0;

    if (supervisor_new(&supervisor_options, &supervisor, &error) < 0)
        return fail(error, EXIT_STATUS_UNAVAILABLE);

    /* The artifacts come first: they are whole when the terminal says that a target has ended. */
    struct sink *artifacts = options->artifacts ? sink_artifacts_new(again, options_is_one_liner(options)) : NULL;
    if (artifacts)
        sinks[n_sinks++] = artifacts;
    sinks[n_sinks++] = make_sink(options, config, again, supervisor_writer(supervisor));
    int status = supervisor_run(supervisor, config->targets, config->n_targets, sinks, n_sinks);
    status = end_sinks(supervisor, artifacts, status);
    for (size_t i = 0; i < n_sinks; i++)
        sinks[i]->free(sinks[i]);
    return status;
}

static int print_help(const struct options *options) {
    _cleanup_free_ char *text = options->help ? help_text() : xstrdup(help_version());

    return fputs(text, stdout) < 0 || fflush(stdout) != 0 ? EXIT_STATUS_UNAVAILABLE : 0;
}

/* `vmtest cache ...`: a verb, since no option comes before it that asks for a guest. */
static int run_cache(int argc, char **argv) {
    _cleanup_error_ struct error *error = NULL;

    start_log();
    int status = cache_main(argc, argv, &error);
    return error ? fail(error, status) : status;
}

int main(int argc, char **argv) {
    uint64_t start = clock_now();
    _cleanup_error_ struct error *error = NULL;
    _cleanup_options_ struct options options = {0};
    _cleanup_config_ struct config *config = NULL;

    open_standard_descriptors();
    (void)signal(SIGXFSZ, SIG_IGN); /* a limit on files' sizes is an error that is told */
    (void)setlocale(LC_CTYPE, "");
    if (argc > 1 && str_equal(argv[1], "cache"))
        return run_cache(argc - 1, argv + 1);
    if (options_parse(argc, argv, &options, &error) < 0)
        return fail(error, EXIT_STATUS_USAGE);
    if (options.help || options.version)
        return print_help(&options);
    start_log();
    if (load_targets(&options, &config, &error) < 0 || !config)
        return fail(error, EXIT_STATUS_UNAVAILABLE);
    for (size_t i = 0; i < config->warnings.count; i++)
        (void)fprintf(stderr, "vmtest: warning: %s\n", config->warnings.items[i]);
    apply_options(&options, config);

    _cleanup_free_ char *again = options_again(&options, argc, argv);
    return run(&options, config, again, start);
}
