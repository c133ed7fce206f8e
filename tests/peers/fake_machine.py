# SPDX-License-Identifier: Apache-2.0
"""The parts of a scripted machine: QMP, the agent's protocol (src/wire/frame.h), and the stages that a good guest
passes. fake_qemu.py says how a test and its machine talk to each other."""
import json
import os
import select
import socket
import struct
import threading
import time

from fake_guest_agent import GuestAgent
from fake_notes import fault, hang, note

(HELLO, SETUP, READY, FAILED, EXEC, STDOUT, STDERR, STDIN, CREDIT, WINDOW, SIGNAL, EXITED, PING, PONG, POWEROFF,
 SYNC, SYNCED, SETTLE, SETTLED, CLOCK, TASKS, SHOWN, FETCH, FETCHED) = range(1, 25)
ROOT_OWN = 3
MOUNT_ROOT, MOUNT_SHARE, MOUNT_BIND, MOUNT_MODULES = range(4)
INHERIT = 16
DATA_MAX = 64 << 10
CREDIT_MAX = 1 << 20
PANIC = b"[    4.2] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100\r\n"

TASKS_SHOWN = (b"[    5.1] sysrq: Show State\r\n[    5.1] task:init state:R\r\n"
               b"[    5.2] sysrq: Show Blocked State\r\n[    5.2] task:stuck state:D\r\n[    5.2]  io_schedule+0x1/0x2\r\n")


def frame(kind, payload=b""):
    return struct.pack("<II", len(payload), kind) + payload


def string(text):
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<I", len(data)) + data


def hello(version=2, release="6.1.0-fake"):
    return frame(HELLO, struct.pack("<I", version) + string(release))


def exited(kind, status):
    return frame(EXITED, struct.pack("<IIQQQ", kind, status, 1000, 2000, 3000))


class Reader:
    """A payload; a field that is not there is a fault of vmtest's."""

    def __init__(self, what, payload):
        self.what, self.payload, self.offset = what, payload, 0

    def take(self, size):
        if self.offset + size > len(self.payload):
            fault(f"{self.what}: cut short")
        self.offset += size
        return self.payload[self.offset - size:self.offset]

    def number(self, form):
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))[0]

    def bytes(self):
        return self.take(self.number("I"))

    def list(self, entry):
        return [entry() for _ in range(self.number("I"))]

    def done(self):
        if self.offset != len(self.payload):
            fault(f"{self.what}: {len(self.payload) - self.offset} bytes too many")


class QmpError(Exception):
    """A command's error reply."""


# What a command's function gives when there is to be no reply.
SILENCE = object()


class Qmp:
    """QEMU's monitor. Replies to each command from a thread, as QEMU does beside the guest."""

    def __init__(self, sock):
        self.sock = sock
        self.lock = threading.Lock()
        self.commands = {"getfd": self.getfd, "chardev-send-break": self.send_break,
                         "query-status": self.query_status}
        self.beats = 0
        self.answer_beats = True
        self.passed = []
        self.descriptors = {}

    def send(self, text):
        with self.lock:
            try:
                self.sock.sendall(text.encode() if isinstance(text, str) else text)
            except OSError:
                pass

    def greet(self, major=7, minor=2, micro=19):
        self.send('{"QMP": {"version": {"qemu": {"micro": %d, "minor": %d, "major": %d}, "package": ""}, '
                  '"capabilities": ["oob"]}}\r\n' % (micro, minor, major))

    def event(self, name, data="{}"):
        data = data if isinstance(data, str) else json.dumps(data)
        self.send('{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "%s", "data": %s}\r\n' % (name, data))

    def query_status(self, _):
        """vmtest's question whether QEMU is alive."""
        self.beats += 1
        note("beats", self.beats)
        return {"status": "running", "singlestep": False, "running": True} if self.answer_beats else SILENCE

    def getfd(self, arguments):
        """The descriptor that came with the command."""
        if not self.passed:
            fault("QMP: getfd without a descriptor")
        self.descriptors[arguments["fdname"]] = self.passed.pop(0)
        return {}

    def send_break(self, arguments):
        note("broken", arguments["id"])
        return {}

    def lines(self):
        unread = b""
        while True:
            try:
                data, descriptors, _, _ = socket.recv_fds(self.sock, 1 << 16, 8)
            except OSError:
                return
            if not data:
                return
            self.passed += descriptors
            *lines, unread = (unread + data).split(b"\n")
            yield from lines

    def reply(self, command):
        """What a command is answered with, as text; nothing for SILENCE."""
        name = command["execute"]
        if name not in self.commands:
            fault(f"QMP: nobody plays '{name}' here")
        try:
            answer = {"return": self.commands[name](command.get("arguments", {}))}
        except QmpError as error:
            answer = {"error": {"class": "GenericError", "desc": str(error)}}
        if answer.get("return") is SILENCE:
            return ""
        if "id" in command:
            answer["id"] = command["id"]
        return json.dumps(answer) + "\r\n"

    def serve(self, before="", after=""):
        """Replies from now on, with those texts around each reply."""
        def run():
            ready = False
            for line in self.lines():
                try:
                    command = json.loads(line)
                except ValueError:
                    fault(f"QMP: {line!r}")
                if not ready and command["execute"] != "qmp_capabilities":
                    fault(f"QMP: '{command['execute']}' before qmp_capabilities")
                ready = True
                self.send(before + self.reply(command) + after)

        self.commands.setdefault("qmp_capabilities", lambda _: {})
        threading.Thread(target=run, daemon=True).start()


class Fake:
    def __init__(self, argv):
        self.argv = argv
        descriptors = {}
        for option, value in zip(argv, argv[1:]):
            if option == "-chardev":
                fields = dict(field.split("=", 1) for field in value.split(",") if "=" in field)
                descriptors[fields["id"]] = int(fields["fd"])
        self.qmp = Qmp(socket.socket(fileno=descriptors["qmp"]))
        self.agent = socket.socket(fileno=descriptors["agent"])
        self.console = socket.socket(fileno=descriptors["console"])
        self.plan = json.loads(os.environ.get("FAKE_QEMU_PLAN", "{}"))
        # An image target's.
        self.guest = GuestAgent(socket.socket(fileno=descriptors["qga"]), self.plan) if "qga" in descriptors else None
        self.incoming = "-incoming" in argv
        self.unread = b""
        self.credit = 0
        self.sent = 0
        self.signals = []
        self.cookies = []
        self.command = []
        self.environment = {}
        self.flags = 0
        self.mounts = []
        self.is_set_up = False
        self.answer_pings = True
        self.shows_tasks = True

    def option(self, name):
        return self.argv[self.argv.index(name) + 1]

    # The agent's port.

    def send(self, data):
        """All of it, whatever vmtest does meanwhile; a vmtest that is gone ends nothing here."""
        try:
            self.agent.sendall(data)
        except OSError:
            hang()

    def receive(self, timeout=None):
        """The next frame as (type, payload), None when none comes within the time."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            if len(self.unread) >= 8:
                size, kind = struct.unpack("<II", self.unread[:8])
                if size > 4 << 20 or not 1 <= kind <= FETCHED:
                    fault(f"a frame of type {kind} and {size} bytes")
                if len(self.unread) >= 8 + size:
                    payload, self.unread = self.unread[8:8 + size], self.unread[8 + size:]
                    return kind, payload
            left = None if end is None else max(0, end - time.monotonic())
            if not select.select([self.agent], [], [], left)[0]:
                return None
            try:
                data = self.agent.recv(1 << 16)
            except OSError:
                data = b""
            if not data:
                hang()
            self.unread += data

    def handle(self, kind, payload):
        """What may come at any time; False for all else."""
        reader = Reader(f"frame {kind}", payload)
        if kind == PING:
            cookie = reader.number("Q")
            reader.done()
            self.cookies.append(cookie)
            if self.answer_pings:
                self.send(frame(PONG, struct.pack("<Q", cookie)))
            note("pinged")
        elif kind == CREDIT:
            self.credit += reader.number("Q")
            reader.done()
            if self.credit > CREDIT_MAX:
                fault(f"a credit of {self.credit} bytes is outstanding")
        elif kind == SIGNAL:
            self.signals.append(reader.number("I"))
            reader.done()
            note("signalled", " ".join(map(str, self.signals)))
        elif kind == SETTLE:
            if self.is_set_up or not self.guest:
                fault("settle: not before the setup, or of no image")
            note("settled", reader.number("I"))
            if reader.list(reader.bytes) not in ([b"9p", b"9pnet_virtio"], []):
                fault("settle: the drivers are wrong")
            reader.done()
            self.send(frame(SETTLED))
        elif kind == CLOCK:
            self.check_clock(reader)
            reader.done()
            if not self.incoming:
                fault("clock: of a machine that is no clone")
            note("clocked")
        elif kind == TASKS:
            reader.done()
            note("tasks")
            if self.shows_tasks:
                self.console.sendall(TASKS_SHOWN)
                self.send(frame(SHOWN))
        else:
            return False
        return True

    def expect(self, wanted, timeout=None):
        """The payload of the next frame, which is of this type; None when the time runs out."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            got = self.receive(None if end is None else max(0, end - time.monotonic()))
            if got is None:
                return None
            kind, payload = got
            if kind == wanted:
                return payload
            if not self.handle(kind, payload):
                fault(f"a frame of type {kind} where {wanted} was expected")

    def listen(self, seconds):
        """Handles frames for that long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            got = self.receive(left)
            if got and not self.handle(*got):
                fault(f"a frame of type {got[0]} during the command")

    def check_clock(self, reader):
        """The seconds; 0 for a clock that is to be left alone."""
        seconds, nanoseconds = reader.number("Q"), reader.number("I")
        if (seconds and abs(seconds - time.time()) > self.plan.get("clock_error", 600)) or nanoseconds >= 10**9:
            fault("the wall clock is wrong")
        return seconds

    def take_setup(self):
        reader = Reader("setup", self.expect(SETUP))
        # A system of its own has set its clock itself, unless it has stood still in a template.
        if bool(self.check_clock(reader)) != (self.incoming or not self.guest):
            fault("setup: the clock is to be set, or not to be")
        if len(reader.bytes()) < 16:
            fault("setup: too little entropy")
        if reader.bytes() != (b"" if self.guest else b"vmtest"):
            fault("setup: the host name is wrong")
        mode = reader.number("I")
        if mode > ROOT_OWN or (mode == ROOT_OWN) != bool(self.guest):
            fault(f"setup: the root's mode is {mode}")
        mounts = reader.list(lambda: (reader.number("I"), reader.number("I"), *(reader.bytes() for _ in range(5))))
        self.mounts = [(kind, flags, *words[2:]) for kind, flags, *words in mounts]
        drivers = reader.list(reader.bytes)
        variables = reader.list(reader.bytes)
        reader.done()
        if any(b"=" not in variable for variable in variables) or (variables and self.guest):
            fault("setup: the environment of the first shell is wrong")
        roots = [i for i, mount in enumerate(self.mounts) if mount[0] == MOUNT_ROOT or mount[4] == b"/"]
        for kind, _, file_system, options, *_ in mounts:
            loose = options.endswith(b",cache=loose")
            if (file_system, bool(options)) != ((b"", False) if kind == MOUNT_BIND else (b"9p", True)):
                fault(f"setup: a mount of kind {kind} is of type {file_system} with {options}")
            if loose and kind not in (MOUNT_ROOT, MOUNT_MODULES):
                fault("setup: the guest caches a share that others may change")
        if drivers != ([b"9p", b"9pnet_virtio"] if self.guest and mounts else []):
            fault(f"setup: the drivers are {drivers}")
        if roots != ([] if self.guest else [0]):
            fault("setup: the root is not the first mount, or an image has one")
        self.is_set_up = True

    def take_exec(self):
        reader = Reader("exec", self.expect(EXEC))
        self.flags = reader.number("I")
        self.credit = reader.number("Q")
        reader.number("I")
        reader.number("I")
        reader.bytes()
        self.command = [word.decode() for word in reader.list(reader.bytes)]
        entries = [word.partition(b"=")[::2] for word in reader.list(reader.bytes)]
        self.environment = dict(entries)
        reader.done()
        if len(self.environment) < len(entries):
            fault("exec: a variable is there twice")
        if self.credit > CREDIT_MAX:
            fault(f"exec: a credit of {self.credit} bytes")
        if bool(self.flags & INHERIT) != bool(self.guest):
            fault(f"exec: the flags are {self.flags}")
        if self.guest and any(not name.startswith(b"VMTEST_AXIS_") for name in self.environment):
            fault("exec: the host's environment in an image")

    def tell_axes(self):
        """The command and the variables VMTEST_AXIS_*, on standard output."""
        axes = {name.decode(): value.decode() for name, value in self.environment.items()
                if name.startswith(b"VMTEST_AXIS_")}
        self.output(STDOUT, json.dumps([self.command, axes]).encode() + b"\n")

    def output(self, kind, data):
        """One frame of output, once there is credit for it."""
        while self.credit < len(data):
            note("waiting", self.sent)
            if not self.handle(*self.receive()):
                fault("an unexpected frame during the command")
        self.credit -= len(data)
        self.sent += len(data)
        self.send(frame(kind, data))

    # The stages, as a good guest passes them.

    def greet(self):
        self.qmp.greet()
        self.qmp.serve()

    def boot(self):
        self.greet()
        self.console.sendall(b"[    0.1] a fake kernel boots\r\n")
        self.send(hello())

    def set_up(self):
        self.boot()
        self.take_setup()
        self.send(frame(READY))

    def run(self):
        self.set_up()
        self.take_exec()
        note("running")

    def finish(self, status=0, kind=0):
        self.send(exited(kind, status))
        if self.expect(SYNC) is not None:
            self.send(frame(SYNCED))
        hang()

    def obey(self):
        """The command says what happens: `exit N`, `signal N`, `hang`."""
        word, _, number = " ".join(self.command).partition(" ")
        if word == "hang":
            note("hanging", os.getpid())
            self.expect(POWEROFF)
        self.finish(int(number or 0), 1 if word == "signal" else 0)


SCENARIOS = {}


def scenario(function):
    SCENARIOS[function.__name__] = function
    return function
