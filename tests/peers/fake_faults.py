# SPDX-License-Identifier: Apache-2.0
"""A QEMU and a guest that hang, or only seem to: silence, and signs that are borne out or dispelled by an answer.

The plan's "line" is what the console says of another kernel, "end" and "reset" what follows upon a panic, "dump" what
becomes of dump-guest-memory, and "pipe" a path where the guest makes a pipe before that.
"""
import os
import signal
import struct
import sys
import threading
import time

from fake_machine import PANIC, PONG, SILENCE, STDOUT, SYNC, QmpError, exited, frame, scenario
from fake_notes import fault, hang


PANIC_END = b"[    4.9] ---[ end " + PANIC[len("[    4.2] "):-2] + b" ]---\r\n"


# A QEMU that hangs.

@scenario
def qmp_hangs_before_it_greets(fake):
    hang()


@scenario
def qmp_falls_silent_in_the_boot(fake):
    fake.qmp.answer_beats = False
    fake.greet()
    hang()


@scenario
def qmp_falls_silent_during_the_command(fake):
    fake.qmp.answer_beats = False
    fake.run()
    while True:
        fake.listen(60)


@scenario
def qmp_answers_late(fake):
    """Within its time: seconds of vmtest's, whose clock is fast."""
    query_status = fake.qmp.commands["query-status"]

    def answer(arguments):
        time.sleep(0.5)
        fake.qmp.event("RTC_CHANGE", '{"offset": 3}')
        return query_status(arguments)

    fake.qmp.commands["query-status"] = answer
    go_on_for_three_beats(fake)


@scenario
def qmp_answers_with_errors(fake):
    def answer(_):
        fake.qmp.query_status(None)
        raise QmpError("the fake does not tell")

    fake.qmp.commands["query-status"] = answer
    go_on_for_three_beats(fake)


def go_on_for_three_beats(fake):
    fake.run()
    end = time.monotonic() + 60
    while fake.qmp.beats < 3 and time.monotonic() < end:
        fake.listen(0.1)
    fake.listen(1)
    fake.finish()


# Panics.

@scenario
def panic_behind_an_answer(fake):
    """A ping is on its way, and answered, when the kernel panics; nothing is answered any more."""
    fake.run()
    fake.answer_pings = False
    wait_for_ping(fake)
    fake.console.sendall(PANIC)
    time.sleep(0.2)
    fake.send(frame(PONG, struct.pack("<Q", fake.cookies[0])))
    fake.listen(100)


@scenario
def panic_after_a_line_that_reads_like_one(fake):
    fake.run()
    fake.console.sendall(PANIC)
    wait_for_ping(fake, 2)
    fake.listen(1)
    fake.answer_pings = False
    fake.console.sendall(PANIC.replace(b"Attempted to kill init! exitcode=0x00000100", b"sysrq triggered crash"))
    fake.listen(100)


@scenario
def panic_that_is_answered_while_it_is_written(fake):
    """Another processor still runs the agent; then all of them stop, and the last line comes, or the machine resets."""
    fake.run()
    fake.console.sendall(PANIC)
    wait_for_ping(fake)
    fake.listen(0.3)
    fake.answer_pings = False
    if fake.plan.get("reset"):
        fake.qmp.event("SHUTDOWN", '{"guest": true, "reason": "guest-reset"}')
        sys.exit(0)
    if fake.plan.get("end"):
        fake.console.sendall(PANIC_END)
    fake.listen(100)


@scenario
def panic_lines_faster_than_answers(fake):
    """Somebody writes a panic to /dev/kmsg all the time; each ping is answered, some time later."""
    fake.run()
    fake.answer_pings = False
    asked = []
    end = time.monotonic() + 3.5  # longer than vmtest waits for the answer to a panic's last line
    while time.monotonic() < end:
        fake.console.sendall(PANIC + PANIC_END)
        fake.listen(0.02)
        asked += [(cookie, time.monotonic()) for cookie in fake.cookies]
        fake.cookies = []
        while asked and time.monotonic() - asked[0][1] > 0.3:
            fake.send(frame(PONG, struct.pack("<Q", asked.pop(0)[0])))
    fake.answer_pings = True
    if fake.plan.get("panic"):
        fake.answer_pings = False
        fake.console.sendall(b"[    9.900000] Kernel panic - not syncing: sysrq triggered crash\r\n")
        fake.listen(100)
    for cookie, _ in asked:
        fake.send(frame(PONG, struct.pack("<Q", cookie)))
    fake.finish(7)


@scenario
def panic_right_behind_a_feigned_one(fake):
    """The feigned one is asked about; that is answered, but only once a real one's line has come."""
    fake.run()
    fake.answer_pings = False
    fake.console.sendall(PANIC + PANIC_END)
    fake.listen(0.5)
    fake.console.sendall(b"[    9.900000] Kernel panic - not syncing: sysrq triggered crash\r\n")
    time.sleep(0.5)
    for cookie in fake.cookies:
        fake.send(frame(PONG, struct.pack("<Q", cookie)))
    fake.listen(100)


@scenario
def panic_after_the_commands_end(fake):
    """It exits with 0, and the machine resets before its files are written back."""
    fake.run()
    fake.send(exited(0, 0))
    fake.expect(SYNC)
    fake.console.sendall(PANIC)
    fake.qmp.event("SHUTDOWN", '{"guest": true, "reason": "guest-reset"}')
    sys.exit(0)


@scenario
def panic_that_ends_in_silence(fake):
    """Its lines stand on the console, and questions are never answered."""
    fake.run()
    fake.answer_pings = False
    fake.console.sendall(PANIC + PANIC_END)
    fake.listen(100)


def core(notes):
    """The beginning of an ELF core."""
    text = b"".join(struct.pack("<III", len(name) + 1, 4, 0) + name + bytes(4 - len(name) % 4) + b"text" for name in notes)
    return struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 4, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0) + \
        struct.pack("<IIQQQQQQ", 4, 0, 120, 0, 0, len(text), len(text), 0) + text


def write_memory(fake):
    """dump-guest-memory: a core's notes, zeroes, and something at their end."""
    how = fake.plan.get("dump")
    if how == "silent":
        return SILENCE
    if how == "refused":
        raise QmpError("dump: not now")

    def write():
        status = {"result": {"status": "completed"}}
        memory = fake.qmp.descriptors["memory"]
        try:
            os.write(memory, core([b"CORE", b"QEMU"] if how == "early" else [b"CORE", b"VMCOREINFO"]))
            for _ in range(fake.plan.get("zeroes", 1)):
                os.write(memory, bytes(1 << 20))
            for _ in range(fake.plan.get("pieces", 1)):
                os.write(memory, b"memory" * 10000)
            if how == "fails":
                raise OSError("dump: failed to save memory")
        except OSError as error:
            status = {"result": {"status": "failed"}, "error": str(error)}
        os.close(memory)
        fake.qmp.event("DUMP_COMPLETED", status)

    threading.Thread(target=write, daemon=True).start()
    return {}


@scenario
def panic_with_memory(fake):
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    fake.qmp.commands["dump-guest-memory"] = lambda _: write_memory(fake)
    fake.run()
    fake.answer_pings = False
    if "pipe" in fake.plan:
        os.mkfifo(fake.plan["pipe"])
    fake.console.sendall(PANIC)
    fake.qmp.event("GUEST_PANICKED", '{"action": "pause"}')
    hang()


# A guest that hangs, or is another one.

def wait_for_ping(fake, count=1):
    end = time.monotonic() + 60
    while len(fake.cookies) < count and time.monotonic() < end:
        fake.listen(0.1)


@scenario
def guest_locks_up(fake):
    fake.run()
    fake.answer_pings = False
    lines = [b"line %d\n" % i for i in range(20000)]
    fake.credit -= sum(map(len, lines))
    fake.send(b"".join(frame(STDOUT, line) for line in lines))
    fake.listen(100)


@scenario
def guest_writes_and_answers_late(fake):
    fake.run()
    fake.answer_pings = False
    wait_for_ping(fake)
    end = time.monotonic() + 4
    while time.monotonic() < end:
        fake.output(STDOUT, b"x")
        fake.listen(0.2)
    for cookie in fake.cookies:
        fake.send(frame(PONG, struct.pack("<Q", cookie)))
    fake.finish()


@scenario
def waits_for_two_pings(fake):
    fake.run()
    wait_for_ping(fake, 2)
    fake.finish()


@scenario
def kexec(fake):
    fake.run()
    fake.answer_pings = False
    fake.console.sendall(b"[    9.0] %s\r\n" % fake.plan["line"].encode())
    fake.listen(100)


@scenario
def kexec_is_only_a_line(fake):
    fake.run()
    fake.console.sendall(b"[    9.0] %s\r\n" % fake.plan["line"].encode())
    wait_for_ping(fake)
    fake.listen(2)  # 8 s of vmtest's, whose clock is fast: more than the grace for an answer
    fake.finish()


def wait_for_signal(fake):
    while not fake.signals:
        if not fake.handle(*fake.receive()):
            fault("an unexpected frame during the command")


@scenario
def qemu_dies_on_sigterm(fake):
    fake.run()
    wait_for_signal(fake)
    os.kill(os.getpid(), signal.SIGKILL)


@scenario
def garbage_on_sigterm(fake):
    fake.run()
    wait_for_signal(fake)
    fake.send(b"GET / HTTP/1.1\r\n\r\n")
    hang()
