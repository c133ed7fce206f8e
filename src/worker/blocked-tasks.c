/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/blocked-tasks.h"

#include <unistd.h>

#include "base/log.h"
#include "machine/image-way.h"
#include "machine/qmp-call.h"
#include "wire/guest.h"

/* For all of it. A healthy guest begins at once; an emulated one writes some 100 kB a second to its console. */
#define PATIENCE_KVM (10 * NSEC_PER_SEC)
#define PATIENCE_TCG (30 * NSEC_PER_SEC)
/* For the console alone: a guest that has not come up may not listen there. */
#define CONSOLE_PATIENCE_KVM (4 * NSEC_PER_SEC)
#define CONSOLE_PATIENCE_TCG (10 * NSEC_PER_SEC)
/* The parts of it after which an agent, or a console, that says nothing is given up. */
#define AGENT_PART 2
#define KEY_PART 4
/* A console that has been silent for so long has been written to the end. */
#define SILENCE (NSEC_PER_SEC / 4)
#define SHOWN_LINES 40

/* What the kernel puts in front of a key's action, and of the last key's. */
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

/* What the console shows since `start`, as far as it is kept. */
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
            "the guest did not show its tasks when asked (SysRq): neither its agent nor its console answers");
    if (!blocked)
        return xstrdup("the guest began to show its tasks and did not come to its end; see the console");
    if (!strchr(blocked, '\n') || strchr(blocked, '\n')[1] == '\0')
        return xstrdup("none of the guest's tasks is blocked in the kernel");
    /* From the line's beginning. */
    while (blocked > text && blocked[-1] != '\n')
        blocked--;
    return first_lines(blocked);
}

void blocked_tasks_ask(struct machine *machine) {
    /* What stood there before is what its reader looks for. */
    free(machine->console_kept);
    machine->console_kept = NULL;
    machine->console_kept = xstrdup(machine_console_tail(machine));
    free(machine->tasks);
    machine->tasks = tasks_text(machine);
}
