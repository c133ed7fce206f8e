/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an event means for the run: QEMU's end, a panic, silence. A panic's line on the console alone proves nothing
 * once programs run in the guest, since anyone can write it to /dev/kmsg: pvpanic, QEMU's end or silence has to bear
 * it out.
 */
#include "base/log.h"
#include "guest/kmsg.h"
#include "guest/panic.h"
#include "run/boot-console.h"
#include "run/machine.h"

#define PANIC_MARK "Kernel panic - not syncing"
#define PANIC_GRACE_KVM (2 * NSEC_PER_SEC)
#define PANIC_GRACE_TCG (5 * NSEC_PER_SEC)
#define PANIC_GRACE_BOOT (NSEC_PER_SEC / 2)
/* How long the console must be silent after a sign that the boot has come to its end. */
#define DOOM_GRACE (5 * NSEC_PER_SEC)
#define PING_EVERY (10 * NSEC_PER_SEC)
#define LOST_AFTER_KVM (60 * NSEC_PER_SEC)
#define LOST_AFTER_TCG (300 * NSEC_PER_SEC)
/* What a guest that goes down may take for it once its agent has ended. */
#define AGENT_GRACE (10 * NSEC_PER_SEC)
#define QEMU_MAJOR_FLOOR 7
#define TAIL_LINES 40

/* Put into the console's text when an image reboots on its way up. */
#define REBOOT_MARK KMSG_REBOOT_MARK

/* The console since the guest's last reboot. Never NULL. */
static const char *this_boot(const struct machine *machine) {
    const char *text = machine->console.data ? machine->console.data : "";

    for (const char *mark; (mark = strstr(text, REBOOT_MARK)) != NULL;)
        text = mark + strlen(REBOOT_MARK);
    return text;
}

static void end_by_panic(struct machine *machine) {
    _cleanup_free_ char *line = panic_describe(machine->console.data);

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

    if (machine->closing || machine->agent.state == AGENT_EXITED || machine->agent.state == AGENT_SYNCED)
        return;
    if (machine->qmp.panicked || (machine->panic_suspected && shutdown))
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

/* How long a guest that is alive may take to say so. */
static uint64_t panic_grace(const struct machine *machine) {
    return machine->accel == ACCEL_KVM ? PANIC_GRACE_KVM : PANIC_GRACE_TCG;
}

/* What the guest has answered so far: our agent, or the guest agent where that runs the command. */
static uint64_t answers(const struct machine *machine) {
    return machine->agent.pongs + machine->qga_answers;
}

static void ping(struct machine *machine, uint64_t patience) {
    if (machine->pong_due != DEADLINE_NONE && machine->pong_due <= deadline_in(patience))
        return;
    if (machine->pong_due == DEADLINE_NONE) {
        /* The guest agent is asked for the command's end all the time. */
        if (!machine->by_qga)
            agent_client_ping(&machine->agent, clock_now());
        machine->pinged = true;
        machine->pongs_seen = answers(machine);
    }
    machine->pong_due = deadline_in(patience);
}

/* Before the guest has been talked to, what its console shows counts once the console falls silent over it. */
static void judge_boot_console(struct machine *machine) {
    if (machine->qga_fd < 0 || machine_is_up(machine))
        return;
    machine->doomed = boot_console_doom(this_boot(machine)) != NULL;
    machine->doom_due = machine->doomed ? deadline_in(DOOM_GRACE) : DEADLINE_NONE;
}

static void end_by_doom(struct machine *machine) {
    if (strstr(this_boot(machine), PANIC_MARK))
        end_by_panic(machine);
    else
        machine_end(machine, VERDICT_ERROR, 0, "%s", boot_console_doom(this_boot(machine)));
}

char *machine_likely_reason(const struct machine *machine) {
    if (machine->qga_answers > 0)
        return xstrdup("its guest agent answers, but vmtest's agent, which it starts, did not come up; give it more "
                       "time (boot_timeout)");
    return boot_console_guess(this_boot(machine), machine->qmp.qga_opened > 0);
}

void machine_judge_console(struct machine *machine, const char *data, size_t size) {
    if (data && size > 0 && !machine->ended)
        judge_boot_console(machine);
    if (machine->panic_suspected || machine->ended || (machine->qga_fd >= 0 && !machine_is_up(machine)))
        return;
    /* The mark may be cut by the end of a read: the tail is searched from a mark's length before the new bytes. */
    size_t back = size + strlen(PANIC_MARK);
    const char *from = machine->console.data + (machine->console.size > back ? machine->console.size - back : 0);
    if (!data || !memmem(from, strlen(from), PANIC_MARK, strlen(PANIC_MARK)))
        return;
    log_debug("a panic stands on the console");
    machine->panic_suspected = true;
    if (!machine_is_up(machine))
        machine->pong_due = deadline_in(PANIC_GRACE_BOOT);
    else
        ping(machine, panic_grace(machine));
}

/* Our agent's end of its port: closed for good, unless the guest goes down, which may take it some time. */
static void judge_port(struct machine *machine) {
    if (machine->qmp.agent_closed && machine->port_due == DEADLINE_NONE && machine->agent.state != AGENT_SILENT)
        machine->port_due = deadline_in(AGENT_GRACE);
    else if (!machine->qmp.agent_closed && machine->agent_fd >= 0)
        machine->port_due = DEADLINE_NONE;
}

/* An image may reboot before anybody talks to it; afterwards that loses the command. */
static void judge_reset(struct machine *machine) {
    if (machine->qmp.resets == machine->resets_taken || machine->closing)
        return;
    machine->resets_taken = machine->qmp.resets;
    if (machine->doomed && strstr(this_boot(machine), PANIC_MARK))
        end_by_panic(machine);
    else if (machine_is_up(machine))
        machine_end(machine, VERDICT_LOST, 0, "the guest rebooted %s",
                    machine->stage == STAGE_COMMAND ? "during the command" : "while it was being set up");
    machine->doomed = false;
    machine->doom_due = DEADLINE_NONE;
    buffer_append_string(&machine->console, "\n" REBOOT_MARK "\n");
}

void machine_judge_qmp(struct machine *machine) {
    if (machine->qmp.greeted && machine->qmp.version[0] < QEMU_MAJOR_FLOOR)
        machine_end(machine, VERDICT_ERROR, 0,
                    "QEMU %d.%d.%d is too old: install QEMU %d.0 or newer, or set qemu_command",
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
    /* Half a second lets the kernel finish its message; it is stopped by then anyhow. */
    if (machine->qmp.panicked && !machine->ended) {
        machine->panic_suspected = true;
        machine->pong_due = deadline_earlier(machine->pong_due, deadline_in(PANIC_GRACE_BOOT));
        machine->pongs_seen = UINT64_MAX;
    }
}

void machine_judge_silence(struct machine *machine) {
    uint64_t patience = machine->accel == ACCEL_KVM ? LOST_AFTER_KVM : LOST_AFTER_TCG;

    if (machine->ended || machine->qemu_gone)
        return;
    if (machine->closing)
        return;
    if (machine_is_up(machine))
        machine->doom_due = DEADLINE_NONE;
    if (deadline_passed(machine->doom_due)) {
        end_by_doom(machine);
        return;
    }
    if (deadline_passed(machine->port_due)) {
        if (machine->panic_suspected)
            end_by_panic(machine);
        machine_end(machine, machine_is_up(machine) ? VERDICT_LOST : VERDICT_ERROR, 0,
                    machine->qmp.agent_closed ? "vmtest's agent in the guest has ended, though the guest goes on"
                                              : "the agent's port was closed, though QEMU goes on");
        return;
    }
    if (machine->agent.heard && machine->agent.state != AGENT_SILENT)
        machine->ping_due = deadline_in(PING_EVERY);
    machine->agent.heard = false;

    if (machine->pong_due != DEADLINE_NONE && machine->pongs_seen != UINT64_MAX &&
        answers(machine) > machine->pongs_seen) {
        machine->pong_due = DEADLINE_NONE;
        machine->panic_suspected = false;
        machine->pinged = false;
    }
    if (deadline_passed(machine->pong_due)) {
        if (machine->panic_suspected && !machine->pinged && machine_is_up(machine) &&
            machine->pongs_seen != UINT64_MAX) {
            /* It was suspected before the hello, which has come since: the guest is asked. */
            machine->pong_due = DEADLINE_NONE;
            ping(machine, panic_grace(machine));
        } else if (machine->panic_suspected)
            end_by_panic(machine);
        else
            machine_end(machine, VERDICT_LOST, 0, "the guest no longer answers: no reply to a ping in %llu s",
                        (unsigned long long)(patience / NSEC_PER_SEC));
    } else if (deadline_passed(machine->ping_due)) {
        machine->ping_due = deadline_in(PING_EVERY);
        if (machine->pong_due == DEADLINE_NONE)
            ping(machine, patience);
    }
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
