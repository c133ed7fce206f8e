# SPDX-License-Identifier: Apache-2.0
"""One start of vmtest (an act): the command line, the faults that strike it, and how it may end."""
import base64
import fcntl
import glob
import json
import os
import pty
import shlex
import signal
import subprocess
import termios
import time
from dataclasses import dataclass, field

import procs

STAGES = ("prepare", "boot", "setup", "command")
PIECE = 1 << 16


@dataclass
class Fault:
    """What strikes an act `delay` seconds after `anchor`: its start, a stage, the command's first output, or the first
    sign of a template that is being made (draft)."""
    kind: str  # qemu, worker, vmtest, both, signal
    number: int = signal.SIGKILL
    anchor: str = "start"
    delay: float = 0.0
    again: float = 0.0  # for a signal: once more after so many seconds
    target: str = ""  # of several, the one whose stage or output is waited for
    due: float = None
    struck: float = None  # seconds after the act's start
    stage: str = ""  # the last that was shown by then

    def __str__(self):
        when = f"at {self.struck:.3f} s, stage {self.stage or '-'}" if self.struck is not None else "never struck"
        return f"{self.kind} {signal.Signals(self.number).name} {self.delay:.3f} s after {self.anchor}: {when}"

    def strike(self, pid):
        """False: there is nobody to strike yet."""
        if self.kind == "qemu":
            qemu, worker = procs.find_qemu(pid)
            return qemu is not None and procs.send(qemu, worker, self.number)
        if self.kind == "worker":
            worker = procs.find_worker(pid)
            return worker is not None and procs.send(worker, pid, self.number)
        if self.kind == "both":
            worker = procs.find_worker(pid)
            if worker is None:
                return False
            # Stopped first, so that it does not see its worker's end.
            procs.send(pid, os.getpid(), signal.SIGSTOP)
            procs.send(worker, pid, self.number)
        return procs.send(pid, os.getpid(), self.number)


@dataclass
class Ending:
    """One way in which an act may end; None: whatever it is."""
    verdict: str
    status: int
    stages: tuple = STAGES
    reason: str = ""
    when: object = None  # a function of the act that says whether this ending is open to it

    def fits(self, act):
        end = act.finished[-1] if act.finished else None
        if act.status != self.status or (self.when and not self.when(act)):
            return False
        if not act.json or self.verdict is None:
            return True
        return (end is not None and end["verdict"] == self.verdict and end["stage"] in self.stages
                and end["status"] == self.status and self.reason in end["reason"])

    def __str__(self):
        return f"{self.verdict} {self.status}" + (f" '{self.reason}'" if self.reason else "")


@dataclass
class Act:
    args: list
    endings: list
    faults: list = field(default_factory=list)
    json: bool = True
    start_after: float = 0.0
    input: bytes = None
    close_after: int = None  # bytes of its output after which nobody reads on
    slow: bool = False  # its output is read slowly, through a pipe
    terminal: bool = False
    typed: bytes = b""  # on the terminal, once the command runs
    env: dict = field(default_factory=dict)
    check: object = None  # a function of the act that returns a list of what is wrong
    targets: int = 1
    is_run: bool = True  # and not a verb of the cache

    process = None
    status = None
    began = ended = 0.0
    hung = False

    def prepare(self, number, directory, work, program, env):
        self.number, self.work = number, work
        self.argv = [program, *(["--format", "json"] if self.json and self.is_run else []), *self.args]
        self.full_env = {**env, **self.env}
        self.out, self.err, self.in_ = (f"{directory}/act{number}.{name}" for name in ("out", "err", "in"))
        self.events, self.partial, self.offset = [], b"", 0
        self.reader = self.master = self.slave = None
        self.got = 0

    def start(self):
        options = {"cwd": self.work, "env": self.full_env, "start_new_session": True}
        stdin = subprocess.DEVNULL
        if self.input is not None:
            with open(self.in_, "wb") as file:
                file.write(self.input)
            feeder = subprocess.Popen(["cat", self.in_], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL)
            self.feeder, stdin = feeder, feeder.stdout
        self.began = time.monotonic()
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            if self.terminal:
                self.master, self.slave = pty.openpty()
                self.before = termios.tcgetattr(self.slave)
                options["preexec_fn"] = lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)
                self.process = subprocess.Popen(self.argv, stdin=self.slave, stdout=self.slave, stderr=self.slave,
                                                **options)
                self.reader = self.master
            elif self.slow or self.close_after is not None:
                self.process = subprocess.Popen(self.argv, stdin=stdin, stdout=subprocess.PIPE, stderr=err, **options)
                self.reader = self.process.stdout.fileno()
            else:
                self.process = subprocess.Popen(self.argv, stdin=stdin, stdout=out, stderr=err, **options)
        if self.input is not None:
            stdin.close()
        if self.reader is not None:
            os.set_blocking(self.reader, False)

    def read(self):
        """Takes a piece of what has come through the pipe or the terminal into the file."""
        while self.reader is not None:
            try:
                piece = os.read(self.reader, PIECE)
            except BlockingIOError:
                return
            except OSError:
                piece = b""  # a terminal's other end is closed
            if self.close_after is not None:
                piece = piece[:self.close_after - self.got]
            self.got += len(piece)
            with open(self.out, "ab") as file:
                file.write(piece)
            if not piece or self.got == self.close_after:
                self.close()
            if self.slow and self.process.poll() is None:
                return

    def close(self):
        if self.reader is None:
            return
        if self.terminal:
            os.close(self.master)
        else:
            self.process.stdout.close()
        self.reader = None

    def take_events(self):
        with open(self.out, "rb") as file:
            file.seek(self.offset)
            data = file.read()
        self.offset += len(data)
        *lines, self.partial = (self.partial + data).split(b"\n")
        for line in lines:
            try:
                self.events.append(json.loads(line))
            except ValueError:
                self.events.append({"event": "nonsense", "line": line.decode(errors="replace")})

    def of(self, kind):
        return [event for event in self.events if event.get("event") == kind]

    @property
    def finished(self):
        return self.of("finished")

    @property
    def stages(self):
        return [event["stage"] for event in self.of("stage")]

    @property
    def booted_twice(self):
        return self.stages.count("boot") > 1

    @property
    def from_template(self):
        return any(event.get("from_template") for event in self.of("stage"))

    def output(self, stream="stdout"):
        """What the command wrote."""
        return b"".join(base64.b64decode(event["base64"]) if "base64" in event else event["text"].encode()
                        for event in self.of("output") if event["stream"] == stream)

    def file(self, name="out"):
        with open(getattr(self, name), "rb") as file:
            return file.read()

    def reached(self, anchor, target=""):
        if anchor == "start":
            return True
        if anchor == "draft":
            return bool(glob.glob(f"{self.full_env['XDG_CACHE_HOME']}/vmtest/templates/.draft-*/state"))
        if not self.json:
            return f"===> {'Running' if anchor in ('command', 'output') else 'Booting'}".encode() in (
                self.file("out") if self.terminal else self.file("err"))
        if anchor == "output":
            return any(target in ("", event["target"]) for event in self.of("output"))
        return any(STAGES.index(event["stage"]) >= STAGES.index(anchor) for event in self.of("stage")
                   if target in ("", event["target"]))

    def step(self):
        """Moves what is due; False once it has ended."""
        self.read()
        if self.json and self.is_run and not self.terminal:
            self.take_events()
        if self.typed and self.reached("command") and self.reader is not None:
            os.write(self.master, self.typed)
            self.typed = b""
        if self.process.poll() is not None:
            self.ended = time.monotonic()
            self.status = self.process.returncode
            if self.input is not None:
                self.feeder.kill()
                self.feeder.wait()
            self.slow = False
            self.finish_reading()
            return False
        for fault in self.faults:
            self.try_fault(fault)
        return True

    def finish_reading(self):
        if self.terminal:
            self.is_restored = termios.tcgetattr(self.slave) == self.before
            os.close(self.slave)
        self.read()
        self.close()
        if self.json and self.is_run and not self.terminal:
            self.take_events()

    def try_fault(self, fault):
        now = time.monotonic()
        if fault.struck is not None:
            if fault.again and now >= fault.due + fault.again:
                fault.again = 0.0
                fault.strike(self.process.pid)
            return
        if fault.due is None and self.reached(fault.anchor, fault.target):
            fault.due = now + fault.delay
        if fault.due is not None and now >= fault.due and fault.strike(self.process.pid):
            fault.struck, fault.due = time.monotonic() - self.began, time.monotonic()
            fault.stage = self.stages[-1] if self.stages else ""

    def struck(self, kind):
        return any(fault.kind == kind and fault.struck is not None for fault in self.faults)

    def problems(self):
        """What is wrong with how it went."""
        wrong = []
        if not any(ending.fits(self) for ending in self.endings):
            said = [f"{end['verdict']} {end['status']} in {end['stage']} ({end['reason']})" for end in self.finished]
            wrong.append(f"act {self.number} ended with status {self.status}, {'; '.join(said) or 'no verdict'}; "
                         "expected " + " or ".join(map(str, self.endings)))
        if self.json and self.is_run and self.status >= 0 and self.close_after is None:
            wrong += [f"act {self.number}: {line}" for line in self.bad_events()]
        if self.terminal and self.status >= 0 and not self.is_restored:
            wrong.append(f"act {self.number}: the terminal was left in another state")
        if self.check and not wrong:
            wrong += [f"act {self.number}: {line}" for line in self.check(self)]
        return wrong

    def bad_events(self):
        """docs/events.md, for a vmtest that ended by itself."""
        if not self.events and not self.partial:
            return ["no event was written"]
        wrong = [f"not an event: {event['line'][:100]}" for event in self.of("nonsense")]
        if self.partial:
            wrong.append("the last line has no end")
        if self.events[-1].get("event") != "summary":
            wrong.append("the last event is not the summary")
        if len(self.finished) != self.targets:
            wrong.append(f"{len(self.finished)} targets have finished, not {self.targets}")
        if self.targets == 1 and self.finished and self.finished[0]["status"] != self.status:
            wrong.append(f"the finished event says {self.finished[0]['status']}, the exit status is {self.status}")
        return wrong

    def describe(self):
        lines = ["env -i " + " ".join(f"{key}={shlex.quote(value)}" for key, value in self.full_env.items()),
                 f"cd {shlex.quote(self.work)}", shlex.join(self.argv)]
        lines += [f"# fault: {fault}" for fault in self.faults]
        seconds = f"{self.ended - self.began:.2f} s" if self.ended else "not ended"
        return "\n".join(lines + [f"# status {self.status}, {seconds}", ""])
