#!/usr/bin/python3 -IS
# SPDX-License-Identifier: Apache-2.0
"""A QEMU that plays a part: speaks QMP and the agent's protocol (src/wire/frame.h) over the descriptors that vmtest
passes, as a scenario tells it to.

FAKE_QEMU_SCENARIO names the scenario; the word `fake=NAME` on the kernel's command line does so for one target.
FAKE_QEMU_PLAN is a JSON object with what a scenario is to do otherwise than a good machine would: fake.plan.
FAKE_QEMU_DIR is a directory for what the test wants to know:

    pid        our process id
    faults     what vmtest did against the protocol, one a line; a test expects that the file is not there
    NAME       made by note(NAME): a point that the scenario has reached, with its figures

and for what the test tells us: wait_for(NAME) waits until the test has made the file NAME.

Nothing here ends by itself because vmtest has gone: that QEMU is gone within its time is what the tests look at. An
alarm after two minutes keeps a failed test from leaving a process behind.
"""
import sys

if sys.argv[1:] == ["--version"]:  # before anything else is read, which takes longer than the answer
    print("QEMU emulator version 8.2.0 (a fake)")
    sys.exit()

import os
import random
import signal
import socket
import struct
import threading
import time
import zlib

# The interpreter is started isolated, so that nothing of the user's gets in: not even this directory.
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import fake_faults  # noqa: E402,F401: registers scenarios
import fake_image  # noqa: E402,F401
import fake_parallel  # noqa: E402,F401
import fake_results  # noqa: E402,F401
import fake_template  # noqa: E402,F401
from fake_machine import (CREDIT, DATA_MAX, FAILED, HELLO, PANIC, POWEROFF, READY, SCENARIOS, STDERR,  # noqa: E402
                          STDIN, STDOUT, SYNC, SYNCED, TASKS_SHOWN, Fake, exited, frame, hello, scenario, string)
from fake_notes import fault, hang, is_told, note, wait_for  # noqa: E402



# How a command ends.

@scenario
def passes(fake):
    fake.run()
    fake.finish()


@scenario
def as_told(fake):
    fake.run()
    fake.obey()


@scenario
def environment(fake):
    """Gives the command's words and one variable back on standard output."""
    fake.run()
    fake.output(STDOUT, repr(fake.command).encode() + b"\n" + fake.environment.get(b"PEERS_TEST", b"-"))
    fake.finish()


@scenario
def workflow_commands(fake):
    """Writes what GitHub's runner would take for commands, and leaves its last line open."""
    fake.run()
    fake.output(STDOUT, b"::error::of the guest\n::stop-commands::guest\n::add-mask::vmtest")
    fake.finish(3)


@scenario
def axes(fake):
    """Tells the command and where in a matrix it stands."""
    fake.run()
    fake.tell_axes()
    fake.finish()


@scenario
def exits_and_hangs(fake):
    """Says that the command has ended, then nothing, and no signal but SIGKILL ends it."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    fake.run()
    fake.finish(3)


@scenario
def exits_and_never_syncs(fake):
    fake.run()
    fake.send(exited(0, 0))
    hang()


@scenario
def exits_and_qemu_goes(fake):
    fake.run()
    fake.send(exited(0, 0))
    fake.expect(SYNC)
    sys.exit(0)


# QEMU itself.

@scenario
def qemu_exits_at_once(fake):
    print("qemu-system-x86_64: -device nonsense: 'nonsense' is not a valid device model name", file=sys.stderr)
    sys.exit(1)


@scenario
def qemu_exits_without_a_word(fake):
    sys.exit(0)


@scenario
def qemu_asserts(fake):
    fake.run()
    print("qemu-system-x86_64: ../hw/virtio/virtio.c:1: fake_fn: Assertion `false' failed.", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGABRT)


@scenario
def qemu_is_killed_before_hello(fake):
    fake.greet()
    os.kill(os.getpid(), signal.SIGKILL)


@scenario
def qemu_is_killed_after_hello(fake):
    fake.run()
    os.kill(os.getpid(), signal.SIGKILL)


@scenario
def qemu_crashes(fake):
    fake.run()
    fake.output(STDOUT, b"the last words of the command\n")
    os.kill(os.getpid(), signal.SIGSEGV)


@scenario
def qemu_floods_its_stderr(fake):
    fake.greet()
    for _ in range(64):
        os.write(2, b"w" * 65536 + b"\n")
    os.write(2, b"the reason\n")
    sys.exit(1)


# QMP.

@scenario
def qmp_is_too_old(fake):
    fake.qmp.greet(6, 2, 0)
    fake.qmp.serve()
    hang()


@scenario
def qmp_sends_garbage(fake):
    fake.qmp.send("SeaBIOS (version 1.16.2)\n")
    hang()


@scenario
def qmp_sends_garbage_during_the_command(fake):
    fake.run()
    fake.qmp.send("\0\1\2 nonsense\n")
    hang()


@scenario
def qmp_sends_a_line_without_end(fake):
    for _ in range(64):
        fake.qmp.send(" " * 65536)
    hang()


@scenario
def qmp_never_greets(fake):
    fake.send(hello())
    fake.take_setup()
    fake.send(frame(READY))
    fake.take_exec()
    fake.finish()


@scenario
def qmp_closes(fake):
    fake.run()
    fake.qmp.sock.shutdown(socket.SHUT_RDWR)
    fake.qmp.sock.close()
    fake.listen(0.5)
    fake.finish()


@scenario
def qmp_sends_events_in_between(fake):
    fake.qmp.event("NIC_RX_FILTER_CHANGED", '{"name": "n0", "path": "/machine"}')
    fake.qmp.greet()
    for byte in b'{"event": "RTC_CHANGE", "data": {"offset": 3, "qom-path": "/machine"}}\n':
        fake.qmp.send(bytes([byte]))
    fake.qmp.serve('{"event": "RESUME", "timestamp": {"seconds": 1, "microseconds": 2}}\r\n',
                   '{"event": "VSERPORT_CHANGE", "data": {"open": true, "id": "x"}}\n')
    fake.send(hello())
    fake.take_setup()
    fake.qmp.event("BALLOON_CHANGE", '{"actual": 1}')
    fake.send(frame(READY))
    fake.take_exec()
    fake.qmp.send('{"error": {"class": "CommandNotFound", "desc": "never asked for"}}\n')
    fake.finish()


@scenario
def guest_powers_off(fake):
    fake.run()
    fake.qmp.event("SHUTDOWN", '{"guest": true, "reason": "guest-shutdown"}')
    sys.exit(0)


@scenario
def guest_reboots(fake):
    fake.run()
    fake.qmp.event("SHUTDOWN", '{"guest": true, "reason": "guest-reset"}')
    sys.exit(0)


@scenario
def guest_powers_off_in_boot(fake):
    fake.greet()
    fake.qmp.event("SHUTDOWN", '{"guest": true, "reason": "guest-shutdown"}')
    sys.exit(0)


# The agent.

def malformed(data, stage="boot"):
    def run(fake):
        if stage == "boot":
            fake.greet()
        elif stage == "setup":
            fake.boot()
            fake.take_setup()
        else:
            fake.run()
        fake.send(data)
        hang()
    return run


SCENARIOS.update({
    "hello_is_malformed": malformed(frame(HELLO, b"\1\0\0\0\377\0\0\0x")),
    "hello_is_of_another_version": malformed(hello(version=99)),
    "garbage_before_hello": malformed(b"GET / HTTP/1.1\r\n\r\n"),
    "garbage_in_setup": malformed(b"\xde\xad\xbe\xef" * 16, "setup"),
    "garbage_during_the_command": malformed(b"GET / HTTP/1.1\r\n\r\n", "command"),
    "frame_of_4_gb_before_hello": malformed(struct.pack("<II", 0xffffffff, HELLO)),
    "frame_of_4_gb_during_the_command": malformed(struct.pack("<II", 0xffffffff, STDOUT) + b"x" * 65536, "command"),
    "output_before_ready": malformed(frame(STDOUT, b"early"), "setup"),
    "hello_twice": malformed(hello(), "command"),
    "an_end_before_there_is_a_command": malformed(frame(READY) + exited(0, 0), "setup"),
    "exit_status_is_malformed": malformed(exited(7, 7), "command"),
    "synced_before_it_is_asked": malformed(exited(0, 0) + frame(SYNCED), "command"),
    "setup_fails": malformed(frame(FAILED, string("cannot mount the root over 9p: No such device")), "setup"),
    "exec_fails": malformed(frame(FAILED, string("cannot run 'prog': No such file or directory")), "command"),
})


@scenario
def half_a_frame_then_the_end(fake):
    fake.run()
    fake.send(frame(STDOUT, b"x" * 1000)[:500])
    fake.agent.shutdown(socket.SHUT_RDWR)
    fake.agent.close()
    hang()


@scenario
def port_closes_after_hello(fake):
    fake.boot()
    fake.take_setup()
    fake.agent.shutdown(socket.SHUT_RDWR)
    fake.agent.close()
    hang()


@scenario
def port_closes_before_hello(fake):
    fake.greet()
    fake.agent.shutdown(socket.SHUT_RDWR)
    fake.agent.close()
    hang()


# Time.

@scenario
def boot_is_silent(fake):
    fake.greet()
    hang()


@scenario
def setup_is_silent(fake):
    fake.boot()
    fake.take_setup()
    hang()


@scenario
def boot_floods_the_console(fake):
    fake.greet()
    data = b"".join(b"[%9d.0] the console never ends\r\n" % i for i in range(2000))
    while True:
        try:
            fake.console.sendall(data)
        except OSError:
            hang()


@scenario
def command_ignores_signals(fake):
    fake.run()
    fake.output(STDOUT, b"still here\n")
    fake.expect(POWEROFF)


@scenario
def agent_shows_no_tasks(fake):
    """The agent is deaf to it; the console takes keys, each after a break."""
    fake.shows_tasks = False

    def keys():
        pressed = b""
        while not pressed.endswith(b"w"):
            pressed += fake.console.recv(1)
            note("keys", pressed.decode())
            fake.console.sendall(TASKS_SHOWN if pressed.endswith(b"w") else b"sysrq: Changing Loglevel\r\n")

    threading.Thread(target=keys, daemon=True).start()
    fake.run()
    fake.expect(POWEROFF)


@scenario
def nobody_shows_tasks(fake):
    fake.shows_tasks = False
    fake.run()
    fake.expect(POWEROFF)


@scenario
def command_ends_late_after_sigterm(fake):
    fake.run()
    while not fake.signals:
        if not fake.handle(*fake.receive()):
            fault("an unexpected frame during the command")
    time.sleep(1)
    fake.output(STDOUT, b"at last\n")
    fake.finish()


@scenario
def command_honours_signals(fake):
    fake.run()
    while not fake.signals:
        if not fake.handle(*fake.receive()):
            fault("an unexpected frame during the command")
    fake.output(STDOUT, b"signal %d\n" % fake.signals[0])
    fake.finish(fake.signals[0], 1)


# Output.

@scenario
def odd_output(fake):
    """Random bytes in frames of odd sizes, both streams in turn, over a port that cuts them anywhere."""
    fake.run()
    chance = random.Random(int(fake.command[0]))
    streams = {kind: bytearray(chance.randbytes(300_000)) for kind in (STDOUT, STDERR)}
    for kind, data in streams.items():
        note("stdout" if kind == STDOUT else "stderr", data.hex())
    fake.credit -= sum(map(len, streams.values()))
    pieces = b""
    while any(streams.values()):
        kind = chance.choice([kind for kind, data in streams.items() if data])
        size = chance.choice([0, 1, 2, 3, 7, 100, 4095, 4096, 4097, 65536])
        piece = bytes(streams[kind][:size])
        del streams[kind][:size]
        pieces += frame(kind, piece)
    while pieces:
        size = chance.choice([1, 5, 8, 9, 1000, 70000])
        fake.send(pieces[:size])
        pieces = pieces[size:]
    fake.finish()


def patterned(total):
    """The bytes of a big output, 64 KiB at a time; the tests make the same."""
    block = bytes(range(256)) * 256
    for number in range(total // DATA_MAX):
        yield struct.pack("<Q", number) + block[8:]


@scenario
def much_output(fake):
    """50 MB within the credit, then waits until the test has looked."""
    fake.run()
    wait_for("go")
    for piece in patterned(50 << 20):
        fake.output(STDOUT, piece)
    note("sent", fake.sent)
    wait_for("looked")
    fake.finish()


@scenario
def output_beyond_the_credit(fake):
    """Sends as fast as the port takes it, whatever was granted."""
    fake.run()
    wait_for("go")
    total = 0
    for piece in patterned(192 << 20):
        fake.send(frame(STDOUT, piece))
        total += len(piece)
        note("sent", total)
    note("done")
    hang()


@scenario
def endless_output(fake):
    fake.run()
    while True:
        fake.output(STDOUT, b"y\n" * 512)


# Input.

@scenario
def reads_its_input_late(fake):
    """Takes nothing until nothing more comes, then all of it, and grants what it has taken."""
    fake.run()
    size, untold, checksum, held = 0, 0, 0, True
    patience = lambda: 2 if size >= 1 << 20 else 30
    while (got := fake.receive(patience() if held else None)) is None or got[0] != STDIN or got[1]:
        if got is None:
            note("held", size)
            held = False
        elif got[0] == STDIN:
            size += len(got[1])
            untold += len(got[1])
            checksum = zlib.crc32(got[1], checksum)
        elif not fake.handle(*got):
            fault(f"a frame of type {got[0]} during the command")
        if untold >= DATA_MAX and not held:
            fake.send(frame(CREDIT, struct.pack("<Q", untold)))
            untold = 0
    fake.output(STDOUT, b"%d %d\n" % (size, checksum))
    fake.finish()


# Panics.

@scenario
def panic_with_pvpanic(fake):
    fake.run()
    fake.answer_pings = False
    fake.console.sendall(PANIC.replace(b"Attempted to kill init! exitcode=0x00000100", b"sysrq triggered crash"))
    fake.qmp.event("GUEST_PANICKED", '{"action": "pause"}')
    hang()


@scenario
def panic_while_the_agent_still_answers(fake):
    """Another processor runs the agent until all of them are stopped; only then the panic is reported."""
    fake.run()
    fake.console.sendall(PANIC)
    while not is_told("pinged"):
        fake.listen(0.1)
    fake.listen(0.5)
    fake.console.sendall(b"[    4.3] more of it\r\n")
    fake.qmp.event("GUEST_PANICKED", '{"action": "pause"}')
    hang()


@scenario
def panic_that_goes_on_printing(fake):
    """More than is kept of a console stands behind the panic's line."""
    fake.run()
    fake.answer_pings = False
    fake.console.sendall(PANIC + b"[    4.3] and on and on and on and on\r\n" * 20000)
    hang()


@scenario
def panic_without_pvpanic(fake):
    """The agent answers no more; the console goes on for ever."""
    fake.run()
    fake.console.sendall(PANIC)
    while True:
        fake.console.sendall(b"[    5.0] and on\r\n")
        time.sleep(0.1)


@scenario
def panic_before_hello(fake):
    fake.greet()
    for byte in PANIC + b"[    4.3] CPU: 0 PID: 1 Comm: init\r\n":
        fake.console.sendall(bytes([byte]))
    hang()


@scenario
def panic_that_ends_qemu(fake):
    fake.run()
    fake.console.sendall(PANIC)
    fake.qmp.event("SHUTDOWN", '{"guest": true, "reason": "guest-reset"}')
    sys.exit(0)


@scenario
def panics_line_and_power_off(fake):
    """Somebody wrote a panic's line to /dev/kmsg, and then the machine is powered off, as no panic does it."""
    fake.run()
    fake.console.sendall(PANIC)
    fake.qmp.event("SHUTDOWN", '{"guest": true, "reason": "guest-shutdown"}')
    sys.exit(0)


@scenario
def reports(fake):
    """The kernel reports something, in the boot or right before the command's end: the plan's lines."""
    plan = fake.plan
    if plan.get("boot"):
        fake.console.sendall(plan["boot"].encode())
    fake.run()
    if plan.get("command"):
        fake.console.sendall(plan["command"].encode())
    fake.finish()


@scenario
def panic_is_only_a_line(fake):
    """Somebody wrote a panic's line to /dev/kmsg, and the command goes on well beyond any grace."""
    fake.run()
    fake.console.sendall(PANIC)
    end = time.monotonic() + 20
    while not is_told("pinged") and time.monotonic() < end:
        fake.listen(0.1)
    fake.listen(2.5)  # 7.5 s of vmtest's, whose clock is fast
    fake.finish()


def main():
    signal.alarm(120)
    note("pid", os.getpid())
    fake = Fake(sys.argv)
    name = os.environ["FAKE_QEMU_SCENARIO"]
    for word in fake.option("-append").split() if "-append" in sys.argv else ():
        if word.startswith("fake="):
            name = word[len("fake="):]
    SCENARIOS[name](fake)


if __name__ == "__main__":
    main()
