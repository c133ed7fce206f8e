/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an event means for the run: QEMU's end, a panic, silence. A panic's line on the console alone proves nothing
 * once programs run in the guest, since anyone can write it to /dev/kmsg: pvpanic, QEMU's end or silence has to bear
 * it out.
 */
#include <assert.h>

#include "base/log.h"
#include "console/kmsg.h"
#include "console/panic.h"
#include "console/boot-console.h"
#include "machine/machine.h"

#define PANIC_MARK "Kernel panic - not syncing"
/* The last line of a panic: the kernel does nothing more on purpose. */
#define PANIC_END_MARK "---[ end Kernel panic"
#define KEXEC_MARK "kexec_core: Starting new kernel"
#define BANNER_MARK "] Linux version "
#define PANIC_GRACE_KVM (2 * NSEC_PER_SEC)
#define PANIC_GRACE_TCG (5 * NSEC_PER_SEC)
/* Upon the last line. */
#define PANIC_GRACE_END (17 * NSEC_PER_SEC / 10)
#define PANIC_ASK_AGAIN (2 * NSEC_PER_SEC)
#define PANIC_GRACE_BOOT (NSEC_PER_SEC / 2)
/* How long the console must be silent after a sign that the boot has come to its end. */
#define DOOM_GRACE (5 * NSEC_PER_SEC)
#define DOOM_GRACE_PANIC (3 * NSEC_PER_SEC / 2)
static_assert(PANIC_GRACE_END < 2 * NSEC_PER_SEC && DOOM_GRACE_PANIC < 2 * NSEC_PER_SEC, "a panic is told within 2 s");
#define PING_EVERY (10 * NSEC_PER_SEC)
#define LOST_AFTER_KVM (60 * NSEC_PER_SEC)
#define LOST_AFTER_TCG (300 * NSEC_PER_SEC)
/* How often QEMU is asked whether it is alive, and how long it may take to answer, and to start. */
#define BEAT_EVERY (10 * NSEC_PER_SEC)
#define BEAT_PATIENCE (30 * NSEC_PER_SEC)
#define GREETING_PATIENCE (60 * NSEC_PER_SEC)
/* What a guest that goes down may take for it once its agent has ended. */
#define AGENT_GRACE_KVM (10 * NSEC_PER_SEC)
#define AGENT_GRACE_TCG (30 * NSEC_PER_SEC)
#define QEMU_MAJOR_FLOOR 7
/* What is kept of the console from before a panic's line, and in all. */
#define PANIC_BEFORE (8u << 10)
#define PANIC_KEPT (32u << 10)
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

/* What a text tells of a panic, at least its words. Caller frees; NULL: nothing. */
static char *describe_panic(const char *text) {
    char *line = text ? panic_describe(text) : NULL;
    const char *words = line || !text ? NULL : strstr(text, PANIC_MARK);

    return words ? xstrndup(words, strcspn(words, "\r\n")) : line;
}

static const char *during(const struct machine *machine) {
    return machine->stage == STAGE_COMMAND ? "during the command" : "while it was being set up";
}

static void end_by_kexec(struct machine *machine) {
    machine_end(machine, VERDICT_LOST, 0, "the guest started another kernel (kexec) %s", during(machine));
}

static void end_by_panic(struct machine *machine) {
    _cleanup_free_ char *line =
        describe_panic(machine->console.data ? machine->console.data + machine->console_past : NULL);

    /* Another kernel was started before, and it is that one that came to no good end. */
    if (machine->kexec_suspected) {
        end_by_kexec(machine);
        return;
    }
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
    bool panicked =
        machine->qmp.panicked || (machine->panic_suspected && str_equal(machine->qmp.shutdown, "guest-reset"));

    /* Once the command has ended, who waits for its files says that they are lost. */
    if (machine->closing || machine->agent.state == AGENT_SYNCED || (machine->agent.state == AGENT_EXITED && !panicked))
        return;
    if (panicked)
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

/* How long a guest that is alive may take to say so. */
static uint64_t panic_grace(const struct machine *machine) {
    return machine->accel == ACCEL_KVM ? PANIC_GRACE_KVM : PANIC_GRACE_TCG;
}

/* What the guest has answered so far: our agent, or the guest agent where that runs the command. */
static uint64_t answers(const struct machine *machine) {
    return machine->agent.pongs + machine->qga_answers;
}

/*
 * Asks the guest whether it is alive. The answer to what it was asked before may have been given before the sign that
 * is the reason to ask again: it does not count.
 */
static void ping(struct machine *machine, uint64_t patience) {
    /* The guest agent is asked for the command's end all the time. */
    uint64_t under_way = machine->by_qga ? 1 : machine->agent.pings - machine->agent.pongs;

    if (!machine->by_qga)
        agent_client_ping(&machine->agent, clock_now());
    machine->pinged = true;
    machine->pongs_seen = answers(machine) + under_way;
    machine->pong_due = deadline_earlier(machine->pong_due, deadline_in(patience));
}

/* The guest is alive after all. */
static void dispel(struct machine *machine) {
    machine->pong_due = DEADLINE_NONE;
    machine->panic_suspected = false;
    machine->panic_asked = false;
    machine->end_asked = false;
    machine->kexec_suspected = false;
    machine->pinged = false;
    machine->again_due = DEADLINE_NONE;
    machine->console_past = machine->console.size;
}

/*
 * A panic's last line has come: an answer to what is asked from now on says that the guest lives. Where somebody writes
 * that line time and again, each question has its answer waited for, or no answer would ever be the newest's.
 */
static void ask_after_panic(struct machine *machine) {
    machine->panic_asked = true;
    machine->again_due = DEADLINE_NONE;
    machine->end_again = machine->end_asked;
    if (!machine->end_asked)
        ping(machine, PANIC_GRACE_END);
    machine->end_asked = true;
}

/* The guest has answered the newest question. */
static void take_answer(struct machine *machine) {
    if (machine->end_again) {
        machine->end_asked = false;
        machine->pong_due = DEADLINE_NONE;
        ask_after_panic(machine);
        return;
    }
    if (!machine->panic_suspected || machine->panic_asked) {
        dispel(machine);
        return;
    }
    machine->panic_asked = true;
    machine->pong_due = DEADLINE_NONE;
    machine->pinged = false;
    machine->again_due = deadline_in(PANIC_ASK_AGAIN);
}

/* Before the guest has been talked to, what its console shows counts once the console falls silent over it. */
static void judge_boot_console(struct machine *machine) {
    if (machine->qga_fd < 0 || machine_is_up(machine))
        return;

    const char *text = this_boot(machine);
    uint64_t grace = boot_console_has_panicked(text) ? DOOM_GRACE_PANIC : DOOM_GRACE;

    machine->doomed = boot_console_doom(text) != NULL;
    machine->doom_due = machine->doomed ? deadline_in(grace) : DEADLINE_NONE;
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

/* Whether a mark stands in the console's last `size` bytes; it may have been begun before them. */
static bool has_come(const struct machine *machine, const char *mark, size_t size) {
    size_t back = size + strlen(mark) - 1;
    const char *from = machine->console.data + (machine->console.size > back ? machine->console.size - back : 0);

    return strstr(from, mark) != NULL;
}

/*
 * A kernel that panics writes its line and what it knows while its other processors still run, and the agent on one of
 * them: only once the last line stands there an answer says that it lives. Without that line it is asked twice.
 */
static void suspect_panic(struct machine *machine) {
    log_debug("a panic stands on the console");
    buffer_deinit(&machine->panic_text);
    machine->panic_suspected = true;
    if (!machine_is_up(machine))
        machine->pong_due = deadline_in(PANIC_GRACE_BOOT);
    else
        ping(machine, panic_grace(machine));
}

/* A guest that is up and starts a kernel has left its agent behind. Anyone can write such a line, so it is asked. */
static void suspect_kexec(struct machine *machine) {
    log_debug("the start of another kernel stands on the console");
    machine->kexec_suspected = true;
    ping(machine, panic_grace(machine));
}

void machine_judge_console(struct machine *machine, const char *data, size_t size) {
    if (!data || size == 0 || machine->ended)
        return;
    judge_boot_console(machine);
    if (machine->qga_fd >= 0 && !machine_is_up(machine))
        return;
    if (!machine->panic_suspected && has_come(machine, PANIC_MARK, size))
        suspect_panic(machine);
    else if (machine->end_asked && has_come(machine, PANIC_MARK, size))
        machine->end_again = true; /* perhaps a real one: what was asked before it tells nothing of it */
    if (machine->panic_suspected)
        keep_panic(machine, size);
    if (machine->panic_suspected && machine_is_up(machine) && machine->pongs_seen != UINT64_MAX &&
        has_come(machine, PANIC_END_MARK, size))
        ask_after_panic(machine);
    if (machine_is_up(machine) && !machine->panic_suspected && !machine->kexec_suspected &&
        (has_come(machine, KEXEC_MARK, size) || has_come(machine, BANNER_MARK, size)))
        suspect_kexec(machine);
}

/* Our agent's end of its port: closed for good, unless the guest goes down, which may take it some time. */
static void judge_port(struct machine *machine) {
    if (machine->qmp.agent_closed && machine->port_due == DEADLINE_NONE && machine->agent.state != AGENT_SILENT)
        machine->port_due = deadline_in(machine->accel == ACCEL_KVM ? AGENT_GRACE_KVM : AGENT_GRACE_TCG);
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
        machine_end(machine, VERDICT_LOST, 0, "the guest rebooted %s", during(machine));
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

/*
 * Whether QEMU itself still runs, which an emulated guest's silence does not tell. While a command of ours is under way
 * it may be busy, and whoever waits for that has a deadline.
 */
static void judge_heartbeat(struct machine *machine) {
    struct qmp *qmp = &machine->qmp;

    if (machine->qmp_fd < 0 || qmp_is_busy(qmp)) {
        machine->beat_due = machine->beat_lost = DEADLINE_NONE;
    } else if (qmp->greeted && qmp->beats_back == qmp->beats) {
        machine->beat_lost = DEADLINE_NONE;
        if (machine->beat_due == DEADLINE_NONE)
            machine->beat_due = deadline_in(BEAT_EVERY);
        if (!deadline_passed(machine->beat_due))
            return;
        qmp_beat(qmp, &machine->qmp_out);
        machine->beat_due = DEADLINE_NONE;
        machine->beat_lost = deadline_in(BEAT_PATIENCE);
    } else if (machine->beat_lost == DEADLINE_NONE) {
        machine->beat_lost = deadline_in(qmp->greeted ? BEAT_PATIENCE : GREETING_PATIENCE);
    } else if (deadline_passed(machine->beat_lost)) {
        machine_end(machine, machine_is_up(machine) ? VERDICT_LOST : VERDICT_ERROR, 0,
                    "QEMU no longer answers: no %s in %llu s", qmp->greeted ? "reply to QMP" : "greeting by QMP",
                    (unsigned long long)((qmp->greeted ? BEAT_PATIENCE : GREETING_PATIENCE) / NSEC_PER_SEC));
    }
}

/* A ping that was not answered in time. */
static void judge_missing_pong(struct machine *machine) {
    uint64_t patience = machine_lost_after(machine);

    if (machine->panic_suspected && !machine->pinged && machine_is_up(machine) && machine->pongs_seen != UINT64_MAX) {
        /* It was suspected before the hello, which has come since: the guest is asked. */
        machine->pong_due = DEADLINE_NONE;
        ping(machine, panic_grace(machine));
    } else if (machine->panic_suspected) {
        end_by_panic(machine);
    } else if (machine->kexec_suspected) {
        end_by_kexec(machine);
    } else {
        machine_end(machine, VERDICT_LOST, 0, "the guest no longer answers: no reply to a ping in %.10g s",
                    (double)patience / (double)NSEC_PER_SEC);
    }
}

static const char *closed_port(const struct machine *machine) {
    if (!machine->qmp.agent_closed)
        return "the agent's port was closed, though QEMU goes on";
    if (machine->qga_fd >= 0)
        return "vmtest's agent in the guest has ended, though the guest goes on";
    /* The end of PID 1 would be a panic. */
    return "the guest has closed the agent's port, though it goes on: it may have started another kernel (kexec) "
           "without a word";
}

void machine_judge_silence(struct machine *machine) {
    if (machine->ended || machine->qemu_gone || machine->closing)
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
        else if (machine->kexec_suspected)
            end_by_kexec(machine);
        machine_end(machine, machine_is_up(machine) ? VERDICT_LOST : VERDICT_ERROR, 0, "%s", closed_port(machine));
        return;
    }
    if (machine->agent.heard && machine->agent.state != AGENT_SILENT) {
        machine->ping_due = deadline_in(PING_EVERY);
        /* Output is a sign of life too: the answer may stand behind much of it. */
        if (machine->pinged && !machine->panic_suspected && !machine->kexec_suspected)
            machine->pong_due = DEADLINE_NONE;
    }
    machine->agent.heard = false;

    if (machine->pong_due != DEADLINE_NONE && machine->pongs_seen != UINT64_MAX &&
        answers(machine) > machine->pongs_seen)
        take_answer(machine);
    if (deadline_passed(machine->again_due)) {
        machine->again_due = DEADLINE_NONE;
        ping(machine, panic_grace(machine));
    }
    if (deadline_passed(machine->pong_due)) {
        judge_missing_pong(machine);
    } else if (deadline_passed(machine->ping_due)) {
        machine->ping_due = deadline_in(PING_EVERY);
        if (machine->pong_due == DEADLINE_NONE)
            ping(machine, machine_lost_after(machine));
    }
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
