/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks a guest that has run out of time which of its tasks are blocked. First through its agent; if that is silent, by
 * a break and the SysRq keys on its serial console. The kernel answers on the console in either case, so the answer
 * ends when the console falls silent.
 */
#include "worker/blocked-tasks.h"

#include <unistd.h>

#include "base/log.h"
#include "machine/image-way.h"
#include "machine/qmp-call.h"
#include "wire/guest.h"

/* Time limit for everything. A healthy guest begins at once; an emulated one writes some 100 kB/s to its console. */
#define PATIENCE_KVM (10 * NSEC_PER_SEC)
#define PATIENCE_TCG (30 * NSEC_PER_SEC)
/* Time limit for the console alone: a guest that has not come up may not listen there. */
#define CONSOLE_PATIENCE_KVM (4 * NSEC_PER_SEC)
#define CONSOLE_PATIENCE_TCG (10 * NSEC_PER_SEC)
/* Give up on a silent agent after 1/2 of the patience, on a silent console after 1/4 of its own. */
#define AGENT_PART 2
#define KEY_PART 4
/* A console that has been silent for so long has been written to the end. */
#define SILENCE (NSEC_PER_SEC / 4)
#define SHOWN_LINES 40

/* The kernel's words before the action of each key, and after that of the last one. */
#define MARK "sysrq: "
#define MARK_BLOCKED "Show Blocked State"

static bool have_been_shown(const struct machine *machine) {
    return machine->agent.shown || machine->qemu_gone;
}

static void wait_for_silence(struct machine *machine, deadline_t limit) {
    uint64_t before;

    do {
        before = machine->console_bytes;
        (void)machine_wait(machine, machine_never, deadline_earlier(limit, deadline_in(SILENCE)));
    } while (machine->console_bytes > before && !machine->ended && !machine->qemu_gone && !deadline_passed(limit));
}

/* The console since `start`, as far as it is kept. */
static const char *console_since(const struct machine *machine, uint64_t start) {
    uint64_t size = machine->console_bytes - start;

    if (!machine->console.data)
        return "";
    return machine->console.data + (size < machine->console.size ? machine->console.size - size : 0);
}

/* Asks vmtest's agent, or the way into the image that does its work. */
static bool ask_agent(struct machine *machine, uint64_t patience, deadline_t limit) {
    bool alive = machine->agent.state != AGENT_SILENT && machine->agent_fd >= 0 && !machine->qmp.agent_closed;
    bool shown;

    if (machine->agentless) {
        shown = machine->way->show_tasks(machine, deadline_in(patience / AGENT_PART));
    } else {
        if (!alive || machine->qemu_gone)
            return false;
        agent_client_tasks(&machine->agent);
        (void)machine_wait(machine, have_been_shown, deadline_in(patience / AGENT_PART));
        shown = machine->agent.shown;
    }
    /* A guest that has begun is given the time to finish. */
    wait_for_silence(machine, limit);
    return shown || machine->agent.shown;
}

static bool has_spoken(const struct machine *machine) {
    return machine->console_bytes > machine->console_heard || machine->qemu_gone;
}

static void press_keys(struct machine *machine, deadline_t limit) {
    uint64_t patience = machine->accel == ACCEL_KVM ? CONSOLE_PATIENCE_KVM : CONSOLE_PATIENCE_TCG;

    limit = deadline_earlier(limit, deadline_in(patience));
    for (const char *key = GUEST_TASK_KEYS; *key && !machine->qemu_gone && machine->console_fd >= 0; key++) {
        if (!qmp_call_ready(machine, limit) ||
            !qmp_call(machine, "chardev-send-break", json_pack("{s:s}", "id", "console"), limit) ||
            write(machine->console_fd, key, 1) != 1)
            return;
        machine->console_heard = machine->console_bytes;
        if (!machine_wait(machine, has_spoken, deadline_earlier(limit, deadline_in(patience / KEY_PART))))
            return;
        wait_for_silence(machine, limit);
    }
}

/* The first lines of a text, without the last one's end. */
static char *first_lines(const char *text) {
    const char *end = text;

    for (unsigned lines = 0; *end && lines < SHOWN_LINES; end++)
        lines += *end == '\n';
    while (end > text && (end[-1] == '\n' || end[-1] == '\r'))
        end--;
    return xstrndup(text, (size_t)(end - text));
}

static char *tasks_text(struct machine *machine) {
    uint64_t start = machine->console_bytes;
    uint64_t patience = machine->accel == ACCEL_KVM ? PATIENCE_KVM : PATIENCE_TCG;
    deadline_t limit = deadline_in(patience);
    const char *text;
    const char *blocked;

    if (machine->qemu_gone)
        return xstrdup("");
    if (!ask_agent(machine, patience, limit) && !strstr(console_since(machine, start), MARK))
        press_keys(machine, limit);

    text = console_since(machine, start);
    blocked = strstr(text, MARK_BLOCKED);
    log_debug("tasks: %zu bytes of the console", strlen(text));
    if (strstr(text, "This sysrq operation is disabled"))
        return xstrdup("the guest refuses to show its tasks (kernel.sysrq)");
    if (!blocked && !strstr(text, MARK))
        return xstrdup(
            "the guest did not show its tasks (SysRq): neither its agent nor its console answers");
    if (!blocked)
        return xstrdup("the guest began to show its tasks but did not finish; see the console");
    if (!strchr(blocked, '\n') || strchr(blocked, '\n')[1] == '\0')
        return xstrdup("none of the guest's tasks is blocked in the kernel");
    /* From the line's beginning. */
    while (blocked > text && blocked[-1] != '\n')
        blocked--;
    return first_lines(blocked);
}

void blocked_tasks_ask(struct machine *machine) {
    /* The result shows the console from before: its reader looks for that, not for the tasks. */
    free(machine->console_kept);
    machine->console_kept = NULL;
    machine->console_kept = xstrdup(machine_console_tail(machine));
    free(machine->tasks);
    machine->tasks = tasks_text(machine);
}
