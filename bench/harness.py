# SPDX-License-Identifier: Apache-2.0
"""Common to all measurements: running commands with a time limit, vmtest's events as numbers, and the report.

A measurement is a function of a Bench and a Report. It raises BenchError if it fails; the others continue.
"""
import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
MEMORY, CPUS = "4G", "2"
RUN_SECONDS = 180
IMAGE_SECONDS = 600
LOG_KEPT = 4000


class BenchError(Exception):
    pass


def compile_c(name, output, *flags):
    subprocess.run(["cc", "-std=gnu17", "-O2", "-Wall", "-D_GNU_SOURCE", *flags, "-o", output, f"{TOP}/bench/{name}"],
                   check=True, timeout=60)


def printed_path(argv):
    """The last line of a script's output, a path."""
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, check=True, timeout=1800)
    except (OSError, subprocess.SubprocessError) as error:
        raise BenchError(f"{argv[0]} failed: {error}") from error
    return done.stdout.decode().strip().splitlines()[-1]


def cpio_entry(name, mode, data=b"", number=0):
    fields = [number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def kill_group(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


class Run:
    """One `vmtest --format json`, ended. Times are seconds since its start."""

    def __init__(self, text, seconds):
        self.events = [json.loads(line) for line in text.splitlines()]
        self.seconds = seconds

    def one(self, kind, **wanted):
        for event in self.events:
            if event["event"] == kind and all(event.get(key) == value for key, value in wanted.items()):
                return event
        raise BenchError(f"vmtest printed no event {kind} {wanted or ''}")

    def stage(self, name):
        return self.one("stage", stage=name)["time"]

    @property
    def from_template(self):
        return self.one("stage", stage="boot").get("from_template", False)

    @property
    def first_output(self):
        return self.one("output")["time"]

    @property
    def last_output(self):
        return [event for event in self.events if event["event"] == "output"][-1]["time"]

    @property
    def qemu_to_ready(self):
        """From QEMU's start to the agent ready for the command."""
        return self.stage("command") - self.stage("boot")

    def parts(self):
        """(name, seconds) of each stage, and `exit`: from the report of the end to vmtest's own."""
        finished = self.one("finished")
        return [*finished["durations"].items(), ("exit", self.seconds - finished["time"])]


def stages_line(runs):
    """The medians of the stages, to show where the time goes."""
    columns = zip(*(run.parts() for run in runs))
    return ", ".join(f"{column[0][0]} {statistics.median(seconds for _, seconds in column) * 1000:.0f} ms"
                     for column in columns)


class Report:
    """Prints results as they come, and remembers which exceed their limits."""

    def __init__(self):
        self.name, self.over = "", []

    def begin(self, name):
        self.name = name
        print(f"{name}", flush=True)

    def line(self, label, text):
        print(f"  {label:<34} {text}", flush=True)

    def values(self, label, values, form, unit):
        low, high = form % min(values), form % max(values)
        self.line(label, f"{form % statistics.median(values)} {unit} ({low} to {high})")

    def limit(self, label, value, limit, form="%.2f", unit=""):
        above = value > limit
        self.line(label, f"{form % value}{unit}, limit {form % limit}{unit}{'  <-- exceeded' if above else ''}")
        if above:
            self.over.append(f"{self.name}: {label}")

    def failed(self, error):
        self.line("FAILED", str(error))
        self.over.append(f"{self.name}: failed")


class Bench:
    def __init__(self, arguments, directory):
        self.runs = arguments.runs
        # An image takes a minute per run.
        self.image_runs = max(3, self.runs // 2)
        self.selected = arguments.names
        self.directory = directory
        self.cache = f"{directory}/cache"
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("VMTEST_")}
        self.environment["VMTEST_CACHE_DIR"] = self.cache
        os.mkdir(self.cache)
        self.qemu = shutil.which("qemu-system-x86_64")
        if not self.qemu:
            raise BenchError("qemu-system-x86_64 is missing")
        # Measure a copy, so that a build meanwhile does not change the program.
        self.vmtest = f"{directory}/vmtest"
        try:
            shutil.copy(arguments.vmtest, self.vmtest)
        except OSError as error:
            raise BenchError(f"{error}; run make first") from error
        self.kernel = arguments.kernel or printed_path([f"{TOP}/scripts/fetch-kernel", "bookworm"])
        self.image_path = None
        self.image_loop = None
        # vmtest's default memory and processors, spelled out because plain QEMU must get the same.
        self.machine = ["--accel", "tcg", "--memory", MEMORY, "--num-cpus", CPUS]
        self.warm_liner = [self.vmtest, "-k", self.kernel, *self.machine]
        self.cold_liner = [*self.warm_liner, "--no-template"]
        self.log = open(f"{directory}/log", "w+b")
        self.initramfs = f"{directory}/poweroff.cpio"
        compile_c("poweroff.c", f"{directory}/poweroff", "-static")
        with open(f"{directory}/poweroff", "rb") as program, open(self.initramfs, "wb") as image:
            image.write(cpio_entry("init", 0o100755, program.read(), 1) + cpio_entry("TRAILER!!!", 0))

    @property
    def bare_qemu(self):
        return [self.qemu, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-accel", "tcg",
                "-cpu", "max", "-m", MEMORY, "-smp", CPUS, "-kernel", self.kernel, "-initrd", self.initramfs,
                "-append", "quiet"]

    @property
    def image(self):
        if not self.image_path:
            self.image_path = printed_path([f"{TOP}/tests/images/build", "debian12-bios"])
        return self.image_path

    def wants(self, name):
        return name in self.selected

    def forget_templates(self):
        """Removes the templates; unpacked kernels and modules stay in the cache."""
        shutil.rmtree(f"{self.cache}/templates", ignore_errors=True)

    def fail(self, argv, what):
        self.log.seek(0)
        sys.stderr.write(self.log.read().decode(errors="replace")[-LOG_KEPT:])
        raise BenchError(f"{what}: {' '.join(argv)}")

    def start(self, argv, stdout=None, **options):
        self.log.seek(0)
        self.log.truncate()
        return subprocess.Popen(argv, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=stdout or self.log,
                                stderr=self.log, start_new_session=True, env=self.environment, **options)

    def timed(self, argv, limit=RUN_SECONDS, **options):
        """Runs a command to its end and returns its duration in seconds."""
        begin = time.monotonic()
        process = self.start(argv, **options)
        try:
            status = process.wait(limit)
            seconds = time.monotonic() - begin
        except subprocess.TimeoutExpired:
            self.fail(argv, f"not done after {limit} s")
        finally:
            kill_group(process)
        if status != 0:
            self.fail(argv, f"exit status {status}")
        return seconds

    def vmtest_run(self, argv, template=None, limit=RUN_SECONDS):
        """Returns a whole run; `template` requires (True) or forbids (False) that it comes from a template."""
        argv = [argv[0], "--format", "json", *argv[1:]]
        with open(f"{self.directory}/events", "w+b") as file:
            seconds = self.timed(argv, limit, stdout=file)
            file.seek(0)
            run = Run(file.read(), seconds)
        if template is not None and run.from_template != template:
            self.fail(argv, f"booted {'cold' if template else 'from a template'}")
        return run
