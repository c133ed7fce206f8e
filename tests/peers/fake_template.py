# SPDX-License-Identifier: Apache-2.0
"""What a machine does that becomes a template, and one that comes out of it.

The plan's "freeze" and "clone" name the step that goes wrong and how, such as "migrate error" or "migrate-incoming
exit"; "awake" says what a clone does once it runs, "set_up_takes" how many seconds the setup takes, "version" which
QEMU it is.
"""
import os
import signal
import sys
import threading
import time

import fake_image
from fake_machine import PANIC, READY, SILENCE, QmpError, frame, hello, scenario
from fake_notes import add_note, fault, hang, is_told, note, wait_for

STATE = b"the state of the fake machine\n" * 1000
# Offsets from the memory's beginning, or its end, and what the guest has written there.
MEMORY = {0: b"\xeb\xfe the first bytes", 5 << 20: b"in the middle" * 1000, 7 << 20 | 0xff0: b"across a page" * 10,
          -16: b"the very last 16"}
HOLE = 64 << 20
CAPABILITIES = {"x-ignore-shared", "events"}


class Memory:
    """The file that -object memory-backend-file names, opened as QEMU does."""

    def __init__(self, fake):
        fields = dict(field.partition("=")[::2] for field in fake.option("-object").split(","))
        if "memory-backend=memory" not in fake.option("-machine").split(",") or fields["id"] != "memory":
            fault("memory: the machine does not use it")
        if fake.option("-m") != "size=" + fields["size"] or not fields["size"].endswith("k"):
            fault("memory: two sizes")
        self.size = int(fields["size"][:-1]) * 1024
        self.shared = fields["share"] == "on"
        readonly = fields.get("readonly") == "on"
        if readonly and fields["rom"] != "off":
            fault("memory: it cannot be written to")
        note("readonly", readonly)
        self.fd = os.open(fields["mem-path"], os.O_RDONLY if readonly else os.O_RDWR)
        if os.fstat(self.fd).st_size != self.size:
            fault("memory: the file has another size")

    def write(self):
        for offset, data in MEMORY.items():
            os.pwrite(self.fd, data, offset % self.size)

    def spoil(self):
        """What the guest goes on to write after it was frozen."""
        for offset in (*MEMORY, HOLE):
            os.pwrite(self.fd, b"\xee" * 4096, min(offset % self.size, self.size - 4096))

    def is_whole(self):
        expected = {**MEMORY, HOLE: bytes(4096), (5 << 20) - 4096: bytes(4096)}
        return all(os.pread(self.fd, len(data), offset % self.size) == data for offset, data in expected.items())


class Migration:
    """QEMU's side of it. Its steps go wrong as the plan says."""

    def __init__(self, fake):
        self.fake = fake
        self.memory = Memory(fake) if "-object" in fake.argv else None
        if fake.incoming and (not self.memory or self.memory.shared):
            fault("a clone must keep its changes of the memory to itself")
        if self.memory and not fake.incoming and not self.memory.shared:
            fault("what is written to the memory must get into the file")
        self.wrong, _, self.how = fake.plan.get("clone" if fake.incoming else "freeze", "").partition(" ")
        self.refusals = fake.plan.get("refusals", 0)
        self.stopped = fake.incoming
        self.loaded = not fake.incoming
        self.ready = set()
        self.going = threading.Event()
        fake.qmp.commands.update({
            "stop": self.stop, "cont": self.go_on, "migrate-set-capabilities": self.set_capabilities,
            "migrate": self.save, "migrate-incoming": self.load})

    def fail(self, step):
        """Does what the plan has for this step; True when there is to be no reply."""
        if self.wrong != step:
            return False
        if self.how == "error":
            raise QmpError(f"the fake refuses '{step}'")
        if self.how == "exit":
            print("qemu-system-x86_64: load of migration failed: Input/output error", file=sys.stderr, flush=True)
            os._exit(1)
        if self.how == "abort":
            os.kill(os.getpid(), signal.SIGABRT)
            hang()
        if self.how == "wait":
            note("waiting_at", step)
            hang()
        if self.how.startswith("slow"):
            time.sleep(float(self.how.split()[1]))
        return self.how == "silent"

    def events(self, *words):
        for word in words:
            self.fake.qmp.event("MIGRATION", {"status": word})

    def set_capabilities(self, arguments):
        if self.fail("migrate-set-capabilities"):
            return SILENCE
        self.ready |= {entry["capability"] for entry in arguments["capabilities"] if entry["state"] is True}
        return {}

    def check(self, what, arguments):
        if not self.memory:
            fault(f"{what}: of a machine without a file for its memory")
        if self.ready != CAPABILITIES:
            fault(f"{what}: the capabilities are {self.ready}")
        if not arguments["uri"].startswith("fd:"):
            fault(f"{what}: {arguments}")
        return self.fake.qmp.descriptors.pop(arguments["uri"][3:])

    def stop(self, _):
        if self.fail("stop"):
            return SILENCE
        self.stopped = True
        self.fake.qmp.event("STOP")
        return {}

    def save(self, arguments):
        fd = self.check("migrate", arguments)
        if not self.stopped:
            fault("migrate: the machine runs")
        silent = self.fail("migrate")
        self.events("setup", "active")
        os.write(fd, STATE if self.how != "failed" else STATE[:100])
        os.close(fd)
        if not silent:
            self.events("failed" if (self.wrong, self.how) == ("migrate", "failed") else "completed")
        return SILENCE if silent else {}

    def load(self, arguments):
        fd = self.check("migrate-incoming", arguments)
        if not self.fake.incoming or self.loaded:
            fault("migrate-incoming: not of this machine, or twice")
        silent = self.fail("migrate-incoming")
        self.events("setup", "active")
        if (self.wrong, self.how) == ("migrate-incoming", "failed"):
            self.events("failed")
            return {}
        state = b""
        while data := os.read(fd, 1 << 16):
            state += data
        note("restored", "whole" if state == STATE and self.memory.is_whole() else "wrong")
        if not silent:
            self.loaded = True
            self.events("completed")
        return SILENCE if silent else {}

    def go_on(self, _):
        if not self.loaded:
            fault("cont: the state has not been loaded")
        if self.refusals > 0:
            self.refusals -= 1
            raise QmpError("Migration is not finalized yet")
        if self.fail("cont"):
            return SILENCE
        self.stopped = False
        if self.memory and self.memory.shared:
            self.memory.spoil()
        self.fake.qmp.event("RESUME")
        self.going.set()
        return {}


def boot(fake, migration):
    """A cold one, to the agent's hello."""
    if fake.guest:
        fake_image.begin(fake)
        fake_image.write_to_disk(fake)
    else:
        fake.greet()
        fake.console.sendall(b"[    0.1] a fake kernel boots\r\n")
    if migration.memory:
        migration.memory.write()
    if is_told("hold_boot"):
        wait_for("go")
    if fake.guest:
        fake_image.come_up(fake)
    else:
        fake.send(hello())


def wake_up(fake, migration):
    """A clone, to where it hears the setup. Its agent has said hello in the life before."""
    if fake.guest:
        sets = fake_image.fdsets(fake)
        note("frozen_disk", b"written by the guest" in os.pread(sets["3"], 1 << 20, 0))
        os.pwrite(sets["1"], b"written by the clone", 600 << 10)
    fake.qmp.greet(*fake.plan.get("version", ()))
    fake.qmp.serve()
    migration.going.wait()
    then = fake.plan.get("awake")
    if then == "panics":
        fake.console.sendall(PANIC)
        fake.qmp.event("GUEST_PANICKED", {"action": "pause"})
        hang()
    elif then == "exits":
        sys.exit(1)
    elif then == "powers off":
        fake.qmp.event("SHUTDOWN", {"guest": True, "reason": "guest-shutdown"})
        sys.exit(0)
    elif then == "talks nonsense":
        fake.send(b"GET / HTTP/1.1\r\n\r\n")
        hang()
    elif then == "is silent":
        hang()


@scenario
def template(fake):
    migration = Migration(fake)
    kind = "clone" if fake.incoming else "cold, to be frozen" if migration.memory else "cold"
    add_note("boots", kind)
    if fake.incoming:
        wake_up(fake, migration)
    else:
        if "version" in fake.plan:
            fake.qmp.greet = lambda greet=fake.qmp.greet: greet(*fake.plan["version"])
        if "console" in fake.plan:
            fake.console.sendall(fake.plan["console"].encode())
        boot(fake, migration)
    fake.take_setup()
    if migration.stopped:
        fault("setup: the machine stands still")
    note("set_up", kind)
    time.sleep(fake.plan.get("set_up_takes", 0))
    fake.send(frame(READY))
    fake.take_exec()
    note("running")
    fake.obey()
