/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decides how a run ends when its machine does: by QEMU's exit, a panic, a reboot, silence. Signs are fed to the state
 * machines of liveness.c and heartbeat.c, and what they ask for is done here.
 */
#include <assert.h>

#include "base/log.h"
#include "console/boot-console.h"
#include "console/kmsg.h"
#include "console/panic.h"
#include "machine/machine.h"

#define KEXEC_MARK "kexec_core: Starting new kernel"
#define BANNER_MARK "] Linux version "
#define PANIC_GRACE_KVM (2 * NSEC_PER_SEC)
#define PANIC_GRACE_TCG (5 * NSEC_PER_SEC)
/* Silence of the console after a sign that the boot has failed, before it is believed. */
#define BOOT_FAILURE_GRACE (5 * NSEC_PER_SEC)
#define BOOT_PANIC_GRACE (3 * NSEC_PER_SEC / 2)
static_assert(BOOT_PANIC_GRACE < 2 * NSEC_PER_SEC, "a panic is reported within 2 s");
#define LOST_AFTER_KVM (60 * NSEC_PER_SEC)
#define LOST_AFTER_TCG (300 * NSEC_PER_SEC)
/* The time that a guest takes to go down once its agent has ended. */
#define PORT_GRACE_KVM (10 * NSEC_PER_SEC)
#define PORT_GRACE_TCG (30 * NSEC_PER_SEC)
/* The same once the socket itself is closed: only QEMU's end does that. */
#define LOST_PORT_GRACE (2 * NSEC_PER_SEC)
#define QEMU_MAJOR_FLOOR 7
/* Bytes of the console that are kept: from before a panic's line, and in all. */
#define PANIC_BEFORE (8u << 10)
#define PANIC_KEPT (32u << 10)
#define TAIL_LINES 40

const char *machine_boot_text(const struct machine *machine) {
    const char *text = machine->console.data ? machine->console.data : "";

    for (const char *mark; (mark = strstr(text, KMSG_REBOOT_MARK)) != NULL;)
        text = mark + strlen(KMSG_REBOOT_MARK);
    return text;
}

/*
 * Keeps what stands around a panic, of which the console's last `size` bytes are new: a guest that goes on printing
 * would drive it out of the console's buffer.
 */
static void keep_panic(struct machine *machine, size_t size) {
    size_t wanted = machine->panic_text.size > 0 ? size : size + PANIC_BEFORE;
    size_t past = machine->panic_text.size > 0 ? 0 : machine->console_past;

    if (wanted > machine->console.size - past)
        wanted = machine->console.size - past;
    if (machine->panic_text.size < PANIC_KEPT)
        buffer_append(&machine->panic_text, machine->console.data + machine->console.size - wanted, wanted);
}

/* The panic that a text shows, at least the words of its first line. Caller frees; NULL: none. */
static char *describe_panic(const char *text) {
    char *line = text ? panic_describe(text) : NULL;
    const char *words = line || !text ? NULL : strstr(text, PANIC_MARK);

    return words ? xstrndup(words, strcspn(words, "\r\n")) : line;
}

static const char *describe_stage(const struct machine *machine) {
    return machine->stage == STAGE_COMMAND ? "during the command" : "while it was being set up";
}

static void end_by_kexec(struct machine *machine) {
    machine_end(machine, VERDICT_LOST, 0, "the guest started another kernel (kexec) %s", describe_stage(machine));
}

static void end_by_panic(struct machine *machine) {
    _cleanup_free_ char *line =
        describe_panic(machine->console.data ? machine->console.data + machine->console_past : NULL);

    /* One that somebody seemed to disprove at first: another processor may answer while one panics. */
    if (!line)
        line = describe_panic(machine->panic_text.data);
    machine_end(machine, VERDICT_PANIC, 0, "the guest kernel panicked: %s", line ? line : "no message on the console");
}

/* QEMU's own last words in one line, "" when it said nothing. Caller frees. */
static char *last_words(const struct machine *machine) {
    _cleanup_free_ char *text = xstrdup(machine->qemu_output.data ? machine->qemu_output.data : "");
    struct buffer line = {0};
    char *rest = text;
    char *piece;

    while ((piece = strsep(&rest, "\r\n")) != NULL) {
        if (*piece)
            buffer_printf(&line, "%s%s", line.size ? "; " : ": ", piece);
    }
    return buffer_take(&line);
}

static const char *describe_shutdown(const char *reason) {
    if (str_equal(reason, "guest-shutdown"))
        return "the guest powered off";
    if (str_equal(reason, "guest-reset"))
        return "the guest rebooted";
    return NULL;
}

void machine_judge_qemu_exit(struct machine *machine) {
    _cleanup_free_ char *how = qemu_describe_exit(machine->qemu_status);
    _cleanup_free_ char *words = last_words(machine);
    const char *shutdown = machine->qmp.shutdown ? describe_shutdown(machine->qmp.shutdown) : NULL;
    bool hello = machine_is_up(machine);
    /* A panic may end in a reset, never in a guest that powers off. */
    bool panicked = machine->qmp.panicked ||
                    (liveness_in_panic(&machine->liveness) && str_equal(machine->qmp.shutdown, "guest-reset"));

    /* Once the command has ended, who waits for its files says that they are lost. */
    if (machine->closing || machine->agent.state == AGENT_SYNCED || (machine->agent.state == AGENT_EXITED && !panicked))
        return;
    if (panicked && machine->liveness.kexec)
        end_by_kexec(machine);
    else if (panicked)
        end_by_panic(machine);
    else if (shutdown)
        machine_end(machine, hello ? VERDICT_LOST : VERDICT_ERROR, 0, "%s %s", shutdown,
                    machine->stage == STAGE_COMMAND ? "during the command" : "during the boot");
    else if (strstr(words, "Is another process using the image"))
        machine_end(machine, VERDICT_ERROR, 0,
                    "the image is in use by another process that writes to it, or this run would write to it while "
                    "another uses it; wait for that to end");
    else
        machine_end(machine, hello ? VERDICT_LOST : VERDICT_ERROR, 0, "QEMU %s%s", how, words);
}

uint64_t machine_lost_after(const struct machine *machine) {
    if (machine->lost_after)
        return machine->lost_after;
    return machine->accel == ACCEL_KVM ? LOST_AFTER_KVM : LOST_AFTER_TCG;
}

static struct liveness_times liveness_times(const struct machine *machine) {
    bool kvm = machine->accel == ACCEL_KVM;

    return (struct liveness_times){
        .lost_after = machine_lost_after(machine),
        .panic_grace = kvm ? PANIC_GRACE_KVM : PANIC_GRACE_TCG,
    };
}

/* Answers so far: of our agent, or of the guest agent where that runs the command. */
static uint64_t count_answers(const struct machine *machine) {
    return machine->agent.pongs + machine->qga_answers;
}

/*
 * Asks the guest whether it is alive. An answer to an earlier question may have been given before the sign that is the
 * reason to ask again, so it does not count.
 */
static void ask_guest(struct machine *machine) {
    /* The guest agent is asked for the command's end all the time. */
    uint64_t open = machine->agentless ? 1 : machine->agent.pings - machine->agent.pongs;

    if (!machine->agentless)
        agent_client_ping(&machine->agent, clock_now());
    machine->answers_awaited = count_answers(machine) + open;
}

static const char *describe_closed_port(const struct machine *machine) {
    if (!machine->qmp.agent_closed)
        return "the agent's port was closed, though QEMU still runs";
    if (machine->qga_fd >= 0)
        return "vmtest's agent in the guest has ended, though the guest still runs";
    /* The end of PID 1 would be a panic. */
    return "the guest has closed the agent's port, though it still runs: it may have started another kernel (kexec) "
           "without a word";
}

static void act_on_liveness(struct machine *machine, enum liveness_action action) {
    switch (action) {
    case LIVENESS_NOTHING:
        break;
    case LIVENESS_ASK:
        ask_guest(machine);
        break;
    case LIVENESS_ALIVE:
        machine->console_past = machine->console.size;
        break;
    case LIVENESS_END_LOST:
        machine_end(machine, VERDICT_LOST, 0, "the guest no longer answers: no reply to a ping in %.10g s",
                    (double)machine_lost_after(machine) / (double)NSEC_PER_SEC);
        break;
    case LIVENESS_END_PANIC:
        end_by_panic(machine);
        break;
    case LIVENESS_END_KEXEC:
        end_by_kexec(machine);
        break;
    case LIVENESS_END_PORT:
        machine_end(machine, machine_is_up(machine) ? VERDICT_LOST : VERDICT_ERROR, 0, "%s",
                    describe_closed_port(machine));
        break;
    }
}

static void feed_liveness(struct machine *machine, enum liveness_event event) {
    struct liveness_times times = liveness_times(machine);
    enum liveness_state before = machine->liveness.state;

    act_on_liveness(machine, liveness_on(&machine->liveness, event, &times, clock_now()));
    if (machine->liveness.state != before)
        log_debug("liveness: %s", liveness_state_name(machine->liveness.state));
}

/* Either agent may be the first to answer, and a clone's has answered before. */
static void notice_up(struct machine *machine) {
    if (machine_is_up(machine))
        feed_liveness(machine, LIVENESS_ON_UP);
}

/* Before the guest has answered, a sign of failure on its console counts once the console falls silent over it. */
static void judge_boot_console(struct machine *machine) {
    if (machine->qga_fd < 0 || machine_is_up(machine))
        return;

    const char *text = machine_boot_text(machine);

    if (boot_console_failure(text))
        machine->boot_failure_due =
            deadline_in(boot_console_has_panicked(text) ? BOOT_PANIC_GRACE : BOOT_FAILURE_GRACE);
    else
        machine->boot_failure_due = DEADLINE_NONE;
}

static void end_by_boot_failure(struct machine *machine) {
    if (strstr(machine_boot_text(machine), PANIC_MARK))
        end_by_panic(machine);
    else
        machine_end(machine, VERDICT_ERROR, 0, "%s", boot_console_failure(machine_boot_text(machine)));
}

/* True if a mark ends within the console's last `size` bytes. */
static bool has_come(const struct machine *machine, const char *mark, size_t size) {
    size_t back = size + strlen(mark) - 1;
    const char *from = machine->console.data + (machine->console.size > back ? machine->console.size - back : 0);

    return strstr(from, mark) != NULL;
}

void machine_judge_console(struct machine *machine, const char *data, size_t size) {
    if (!data || size == 0 || machine->ended)
        return;
    judge_boot_console(machine);
    if (machine->qga_fd >= 0 && !machine_is_up(machine))
        return;
    notice_up(machine);
    if (has_come(machine, PANIC_MARK, size)) {
        if (!liveness_in_panic(&machine->liveness))
            buffer_deinit(&machine->panic_text);
        feed_liveness(machine, LIVENESS_ON_PANIC);
    }
    if (liveness_in_panic(&machine->liveness))
        keep_panic(machine, size);
    if (has_come(machine, PANIC_END_MARK, size))
        feed_liveness(machine, LIVENESS_ON_PANIC_END);
    if (has_come(machine, KEXEC_MARK, size) || has_come(machine, BANNER_MARK, size))
        feed_liveness(machine, LIVENESS_ON_KEXEC);
}

void machine_judge_lost_port(struct machine *machine) {
    machine->liveness.port_due = deadline_in(LOST_PORT_GRACE);
}

/* The guest's end of the agent's port: closed for good, unless the guest goes down, which may take it some time. */
static void judge_port(struct machine *machine) {
    if (machine->qmp.agent_closed && machine->agent.state != AGENT_SILENT)
        liveness_port_closed(&machine->liveness, machine->accel == ACCEL_KVM ? PORT_GRACE_KVM : PORT_GRACE_TCG,
                             clock_now());
    else if (!machine->qmp.agent_closed && machine->agent_fd >= 0)
        liveness_port_opened(&machine->liveness);
}

/* An image may reboot before anybody talks to it; afterwards that loses the command. */
static void judge_reset(struct machine *machine) {
    if (machine->qmp.resets == machine->resets_taken || machine->closing)
        return;
    machine->resets_taken = machine->qmp.resets;
    if (machine->boot_failure_due != DEADLINE_NONE && strstr(machine_boot_text(machine), PANIC_MARK))
        end_by_panic(machine);
    else if (machine_is_up(machine))
        machine_end(machine, VERDICT_LOST, 0, "the guest rebooted %s", describe_stage(machine));
    machine->boot_failure_due = DEADLINE_NONE;
    buffer_append_string(&machine->console, "\n" KMSG_REBOOT_MARK "\n");
}

void machine_judge_qmp(struct machine *machine) {
    if (machine->qmp.greeted && machine->qmp.version[0] < QEMU_MAJOR_FLOOR)
        machine_end(machine, VERDICT_ERROR, 0, "QEMU %d.%d.%d is too old; use QEMU %d.0 or newer",
                    machine->qmp.version[0], machine->qmp.version[1], machine->qmp.version[2], QEMU_MAJOR_FLOOR);
    if (machine->qmp.io_error && machine->qmp.no_space)
        machine_end(machine, VERDICT_ERROR, 0,
                    machine->writes_image
                        ? "no space is left on the host's disk that the image lies on; free some"
                        : "no space is left on the host's disk for what the guest writes; free some, or set TMPDIR "
                          "to a directory with more");
    else if (machine->qmp.io_error)
        machine_end(machine, VERDICT_ERROR, 0, "the guest's disk failed: %s", machine->qmp.io_error);
    judge_reset(machine);
    judge_port(machine);
    if (machine->qmp.panicked && !machine->ended)
        feed_liveness(machine, LIVENESS_ON_PVPANIC);
}

static enum heartbeat_state heartbeat_state(const struct machine *machine) {
    if (machine->qmp_fd < 0 || qmp_is_busy(&machine->qmp))
        return HEARTBEAT_OFF;
    if (!machine->qmp.greeted)
        return HEARTBEAT_GREETING;
    return machine->qmp.heartbeats_answered == machine->qmp.heartbeats_sent ? HEARTBEAT_IDLE : HEARTBEAT_OPEN;
}

static void judge_heartbeat(struct machine *machine) {
    enum heartbeat_state state = heartbeat_state(machine);

    switch (heartbeat_on(&machine->heartbeat, state, clock_now())) {
    case HEARTBEAT_NOTHING:
        break;
    case HEARTBEAT_ASK:
        qmp_heartbeat(&machine->qmp, &machine->qmp_out);
        break;
    case HEARTBEAT_END:
        machine_end(machine, machine_is_up(machine) ? VERDICT_LOST : VERDICT_ERROR, 0,
                    "QEMU no longer answers: no %s in %llu s",
                    state == HEARTBEAT_GREETING ? "greeting by QMP" : "reply to QMP",
                    (unsigned long long)(heartbeat_patience(state) / NSEC_PER_SEC));
        break;
    }
}

void machine_judge_time(struct machine *machine) {
    struct liveness_times times = liveness_times(machine);

    if (machine->ended || machine->qemu_gone || machine->closing)
        return;
    notice_up(machine);
    if (machine_is_up(machine))
        machine->boot_failure_due = DEADLINE_NONE;
    if (deadline_passed(machine->boot_failure_due)) {
        end_by_boot_failure(machine);
        return;
    }
    if (machine->agent.heard)
        feed_liveness(machine, LIVENESS_ON_HEARD);
    machine->agent.heard = false;
    if (count_answers(machine) > machine->answers_awaited)
        feed_liveness(machine, LIVENESS_ON_ANSWER);
    act_on_liveness(machine, liveness_tick(&machine->liveness, &times, clock_now()));
    judge_heartbeat(machine);
}

/* The last TAIL_LINES lines of a text. */
static const char *tail_of(const struct buffer *buffer) {
    const char *text = buffer->data ? buffer->data : "";
    const char *from = text + strlen(text);
    unsigned lines = 0;

    while (from > text && lines <= TAIL_LINES) {
        from--;
        if (*from == '\n')
            lines++;
    }
    return *from == '\n' && lines > TAIL_LINES ? from + 1 : from;
}

const char *machine_console_tail(struct machine *machine) {
    return machine->console_kept ? machine->console_kept : tail_of(&machine->console);
}

const char *machine_output_tail(struct machine *machine) {
    return tail_of(&machine->output);
}
