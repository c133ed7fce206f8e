/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Results of the command's own tests. TAP is parsed from its standard output as it comes; JUnit files are fetched from
 * the guest after the command, and those that it has not written are refused. A pass becomes a failure if a test
 * failed, or if the results cannot be trusted.
 */
#include "worker/subresults.h"

#include "base/log.h"
#include "guest/fetched-files.h"
#include "machine/image-way.h"
#include "testresults/junit-reader.h"
#include "testresults/tap-reader.h"

/* Limit for all files together, in bytes. */
#define FILES_LIMIT ((uint64_t)64 << 20)
#define NAMES_SHOWN 3u
#define NAME_SHOWN_MAX 80u

struct subresults {
    struct machine *machine;
    const char *directory; /* where the command runs, in the guest */
    struct tap *tap;       /* NULL: files are read */
    const char *path;      /* theirs, or a pattern */
    char *before;          /* what the guest's shell said of the file before the command, where it has no agent */
    unsigned n_of[SUBRESULT_COUNT];
    struct buffer failed; /* names of the first ones, with commas between them */
    char *failure;        /* why they cannot be trusted, or NULL */
};

static void subresult_take(void *context, const struct run_subresult *subresult) {
    struct subresults *results = context;

    if (subresult->status == SUBRESULT_FAIL && results->n_of[SUBRESULT_FAIL] < NAMES_SHOWN) {
        size_t length = strlen(subresult->name);

        length = utf8_valid_prefix(subresult->name, length < NAME_SHOWN_MAX ? length : NAME_SHOWN_MAX);
        buffer_printf(&results->failed, "%s%.*s", results->failed.size > 0 ? ", " : "", (int)length, subresult->name);
    }
    results->n_of[subresult->status]++;
    machine_emit(results->machine, &(struct event){.type = EVENT_SUBRESULT, .subresult = subresult});
}

/* Without data: some of the output is lost, and what is left of it is no pass, whatever it says. */
static void read_stdout(void *context, const void *data, size_t size) {
    struct subresults *results = context;

    if (results->tap && data)
        tap_feed(results->tap, data, size);
    else if (results->tap && !results->failure)
        results->failure = xstrdup("the guest agent cut the command's output off: some tests may be missing");
}

struct subresults *subresults_new(struct machine *machine, const struct target *target,
                                  const struct preparation *preparation) {
    struct subresults *results;

    if (!target->results || target->interactive)
        return NULL;
    results = xcalloc(1, sizeof(*results));
    results->machine = machine;
    results->directory = preparation->directory;
    results->path = str_skip_prefix(target->results, "junit:");
    if (!results->path)
        results->tap = tap_new(subresult_take, results);
    machine->read_stdout = read_stdout;
    machine->read_context = results;
    return results;
}

void subresults_free(struct subresults *results) {
    if (!results)
        return;
    tap_free(results->tap);
    free(results->before);
    buffer_deinit(&results->failed);
    free(results->failure);
    free(results);
}

/* Prints something that changes when a file is written or replaced. */
static const char look_script[] = "cd \"$2\" 2>/dev/null; stat -L -c '%i %s %y %z' -- \"$1\" 2>/dev/null || "
                                  "ls -lin -- \"$1\" 2>/dev/null || true";
static const char read_script[] = "cd \"$2\" 2>/dev/null; test -f \"$1\" && exec cat -- \"$1\"";

static char *run_script(const struct subresults *results, const char *script, deadline_t deadline,
                        const char **ret_why) {
    _cleanup_strv_ struct strv arguments = {0};

    strv_append(&arguments, results->path);
    strv_append(&arguments, results->directory);
    return results->machine->way->run_script(results->machine, script, &arguments, deadline, ret_why);
}

bool subresults_begin(struct subresults *results, deadline_t deadline) {
    _cleanup_error_ struct error *error = NULL;
    struct machine *machine = results->machine;
    const char *why;

    if (results->tap)
        return true;
    if (!machine->agentless) {
        if (agent_client_fetch(&machine->agent, results->directory, results->path, FILES_LIMIT, true, &error) < 0)
            machine_end(machine, VERDICT_ERROR, 0, "results: %s", error_message(error));
        return !machine->ended;
    }
    if (!machine->windows && !strpbrk(results->path, "*?["))
        results->before = run_script(results, look_script, deadline, &why);
    return !machine->ended && !deadline_passed(deadline);
}

static void read_file(struct subresults *results, const char *name, const void *data, size_t size) {
    _cleanup_error_ struct error *error = NULL;

    if (junit_read(data, size, subresult_take, results, &error) < 0 && !results->failure)
        results->failure = xasprintf("%s: %s", name, error_message(error));
}

static bool has_fetched(const struct machine *machine) {
    return !machine->agent.fetching || machine->qemu_gone || machine->qmp.agent_closed;
}

static void read_files(struct subresults *results, deadline_t deadline) {
    _cleanup_error_ struct error *error = NULL;
    _cleanup_fetched_ struct fetched fetched = {0};
    struct machine *machine = results->machine;
    const struct buffer *files = &machine->agent.files;

    if (agent_client_fetch(&machine->agent, results->directory, results->path, FILES_LIMIT, false, &error) < 0 ||
        !machine_wait(machine, has_fetched, deadline) || machine->agent.fetching) {
        results->failure = xasprintf("%s: the guest did not return it", results->path);
        return;
    }
    if (fetched_parse(files->data ? files->data : "", files->size, &fetched, &error) < 0) {
        results->failure = xstrdup(error_message(error));
        return;
    }
    for (size_t i = 0; i < fetched.n_files; i++)
        read_file(results, fetched.files[i].name, fetched.files[i].content.data ? fetched.files[i].content.data : "",
                  fetched.files[i].content.size);
    if (fetched.n_files == 0)
        results->failure = xasprintf("%s: the guest returned no file", results->path);
}

static void read_agentless(struct subresults *results, deadline_t deadline) {
    _cleanup_free_ char *after = NULL;
    _cleanup_free_ char *text = NULL;
    const char *why = NULL;

    if (results->machine->windows)
        why = "files of a Windows guest are not read";
    else if (strpbrk(results->path, "*?["))
        why = "a pattern needs vmtest's agent in the image";
    else
        after = run_script(results, look_script, deadline, &why);
    if (after && results->before && after[0] && str_equal(after, results->before))
        why = "it is older than the command, which has not written to it";
    if (!why)
        text = run_script(results, read_script, deadline, &why);
    if (why)
        results->failure = xasprintf("%s: %s", results->path, why);
    else
        read_file(results, results->path, text, strlen(text));
}

/* The guest has to be there yet, and at an end that leaves it so. */
static bool can_be_asked(const struct machine *machine) {
    bool ended =
        machine->verdict == VERDICT_PASS || machine->verdict == VERDICT_FAIL || machine->verdict == VERDICT_SIGNAL;

    return ended && !machine->qemu_gone && (machine->agentless || machine->agent.state == AGENT_SYNCED);
}

static void end_by_failure(const struct subresults *results) {
    struct machine *machine = results->machine;
    unsigned n_failed = results->n_of[SUBRESULT_FAIL];
    unsigned n_all = 0;
    struct buffer reason = {0};

    for (size_t i = 0; i < SUBRESULT_COUNT; i++)
        n_all += results->n_of[i];
    if (n_failed > 0) {
        buffer_printf(&reason, "%u of %u tests failed: %s", n_failed, n_all, results->failed.data);
        if (n_failed > NAMES_SHOWN)
            buffer_printf(&reason, " and %u more", n_failed - NAMES_SHOWN);
    }
    if (results->failure)
        buffer_printf(&reason, "%s%s%s", n_failed > 0 ? "; " : "",
                      results->tap ? "" : "the command passed, but its results cannot be read: ", results->failure);
    machine->verdict = VERDICT_FAIL;
    free(machine->reason);
    machine->reason = buffer_take(&reason);
}

void subresults_end(struct subresults *results) {
    struct machine *machine = results->machine;

    if (results->tap) {
        tap_end(results->tap);
        if (tap_failure(results->tap) && !results->failure)
            results->failure = xstrdup(tap_failure(results->tap));
    } else if (can_be_asked(machine)) {
        deadline_t deadline = deadline_earlier(deadline_in(machine_lost_after(machine)), machine->run_deadline);

        _cleanup_closing_ struct machine *closing = machine_begin_closing(machine);
        if (machine->agentless)
            read_agentless(results, deadline);
        else
            read_files(results, deadline);
    }
    if (results->failure)
        log_debug("results: %s", results->failure);
    if (machine->verdict == VERDICT_PASS && (results->failure || results->n_of[SUBRESULT_FAIL] > 0))
        end_by_failure(results);
}

void subresults_count(const struct subresults *results, unsigned counts[SUBRESULT_COUNT]) {
    memcpy(counts, results->n_of, sizeof(results->n_of));
}
