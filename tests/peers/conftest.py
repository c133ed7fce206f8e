# SPDX-License-Identifier: Apache-2.0
"""Runs vmtest with fake_qemu.py in QEMU's place.

VMTEST names the program (default: build/vmtest of this checkout; one with sanitizers will do), VMTEST_KERNEL the kernel
(default: Debian 12's, by scripts/fetch-kernel). The kernel is never booted, but vmtest looks at it.
"""
import base64
import json
import os
import signal
import subprocess
import time
import uuid

import pytest

HERE = os.path.dirname(os.path.realpath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
FAKE = f"{HERE}/fake_qemu.py"
# Long enough for a loaded machine with sanitizers; what is measured for its own sake says so.
PATIENCE = 60


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes long, left to make check-all")


@pytest.fixture(scope="session")
def vmtest():
    """The path of the program under test."""
    path = os.environ.get("VMTEST", f"{TOP}/build/vmtest")
    assert os.access(path, os.X_OK), f"{path} is missing: run make first"
    return os.path.realpath(path)


@pytest.fixture(scope="session")
def sanitized(vmtest):
    """Whether it was built with AddressSanitizer, which needs more memory."""
    with open(vmtest, "rb") as file:
        return b"__asan_init" in file.read()


@pytest.fixture(scope="session")
def kernel():
    path = os.environ.get("VMTEST_KERNEL")
    if not path:
        done = subprocess.run([f"{TOP}/scripts/fetch-kernel", "bookworm"], stdout=subprocess.PIPE, check=True,
                              timeout=1800)
        path = done.stdout.decode().strip()
    assert os.path.isfile(path), path
    return path


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """One cache for all tests, those in other processes of pytest-xdist as well."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "vmtest-cache"


def wait_until(condition, seconds=PATIENCE):
    """What the condition gives once it is true; its last value when the time is over."""
    end = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return value


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


class Bench:
    """A directory of a test and what runs in it."""

    def __init__(self, vmtest, kernel, cache, directory):
        self.vmtest, self.kernel = vmtest, kernel
        self.mark = uuid.uuid4().hex
        self.notes = directory / "notes"
        self.share = directory / "share"
        for path in (self.notes, self.share):
            path.mkdir()
        self.scratch = directory / "scratch"
        self.scratch.mkdir()
        # A machine that comes out of a template boots otherwise: only tests of templates have some.
        self.env = {**os.environ, "VMTEST_CACHE_DIR": str(cache), "VMTEST_CACHE_SIZE": "0",
                    "XDG_STATE_HOME": str(directory / "state"), "TMPDIR": str(self.scratch),
                    "FAKE_QEMU_DIR": str(self.notes), "PEERS_MARK": self.mark}
        for name in ("VMTEST_LOG", "VMTEST_NO_UI", "FAKE_QEMU_SCENARIO", "FAKE_QEMU_PLAN"):
            self.env.pop(name, None)
        self.running = []

    def note(self, name):
        """What the fake has written under that name, None when it has not."""
        try:
            return (self.notes / name).read_text()
        except FileNotFoundError:
            return None

    def tell(self, name):
        (self.notes / name).touch()

    def processes(self):
        """All processes of this test: they have its mark in their environment."""
        found = []
        for entry in os.listdir("/proc"):
            try:
                if entry.isdigit() and self.mark.encode() in open(f"/proc/{entry}/environ", "rb").read():
                    found.append(int(entry))
            except OSError:
                pass
        return found

    def start(self, scenario, *options, command=("true",), json_format=False, **keywords):
        """Starts a one-liner over the fake; ends with the test."""
        argv = ["-k", self.kernel, "-q", FAKE, "--accel", "tcg", "-r", "/"]
        if json_format:
            argv += ["--format", "json"]
        return self.start_vmtest([*argv, *options, "--", *command], scenario, **keywords)

    def plan(self, **steps):
        """What the fake does otherwise than a good machine would, from now on."""
        self.env["FAKE_QEMU_PLAN"] = json.dumps(steps)

    @property
    def image(self):
        """A disk: its bytes look like a boot loader's, and nobody runs them."""
        path = self.notes.parent / "disk.raw"
        if not path.exists():
            path.write_bytes(os.urandom(1 << 20))
        return path

    def start_image(self, scenario, *options, command=("true",), json_format=True, **keywords):
        """Starts a one-liner that boots an image."""
        argv = ["-i", self.image, "-q", FAKE, "--accel", "tcg", *(["--format", "json"] if json_format else [])]
        return self.start_vmtest([*argv, *options, "--", *command], scenario, **keywords)

    def run_image(self, scenario, *options, timeout=PATIENCE, **keywords):
        return self.finish(self.start_image(scenario, *options, **keywords), timeout)

    def start_vmtest(self, arguments, scenario="as_told", sandbox=False, **keywords):
        # The fake writes its notes and gets its part from the environment: both is kept from a QEMU that is confined.
        arguments = [*([] if sandbox else ["--no-sandbox"]), *arguments]
        keywords = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, **keywords}
        process = subprocess.Popen([self.vmtest, *arguments], cwd=self.share, start_new_session=True,
                                   env={**self.env, "FAKE_QEMU_SCENARIO": scenario}, **keywords)
        self.running.append(process)
        return process

    def finish(self, process, timeout=PATIENCE):
        """Waits for the end and looks at what is left behind."""
        stdout, stderr = process.communicate(timeout=timeout)
        result = Result(process.returncode, stdout or b"", stderr or b"")
        self.check(result)
        return result

    def check(self, result):
        assert b"Sanitizer" not in result.stderr and b"runtime error:" not in result.stderr, result.stderr.decode()
        left = wait_until(lambda: not self.processes(), 2)
        assert left, f"processes are left: {self.processes()}"
        assert self.note("faults") is None, self.note("faults")
        assert os.listdir(self.scratch) == [], "files are left behind"

    def run(self, scenario, *options, timeout=PATIENCE, **keywords):
        return self.finish(self.start(scenario, *options, **keywords), timeout)

    def run_json(self, scenario, *options, **keywords):
        return self.run(scenario, *options, json_format=True, **keywords)

    def wait_for_note(self, name, process=None):
        """Waits until the fake has got that far."""
        value = wait_until(lambda: self.note(name) is not None or (process and process.poll() is not None))
        assert value and self.note(name) is not None, f"the fake never got to '{name}': {self.note('faults')}"
        return self.note(name)

    def clean_up(self):
        for process in self.running:
            if process.poll() is None:
                process.kill()
            for stream in (process.stdout, process.stderr, process.stdin):
                if stream:
                    stream.close()
            process.wait()
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


class Result:
    """How a run of vmtest ended."""

    def __init__(self, status, stdout, stderr):
        self.status, self.stdout, self.stderr = status, stdout, stderr

    def __repr__(self):
        return f"status {self.status}\n{self.stdout[-2000:].decode(errors='replace')}\n" \
               f"{self.stderr[-2000:].decode(errors='replace')}"

    @property
    def events(self):
        return [json.loads(line) for line in self.stdout.splitlines()]

    @property
    def finished(self):
        """The finished event, by target where there are several."""
        events = [event for event in self.events if event["event"] == "finished"]
        assert events, self
        return events[0] if len(events) == 1 else {event["target"]: event for event in events}

    def output(self, stream):
        """The bytes of a stream, put together again from the events."""
        return b"".join(event["text"].encode() if "text" in event else base64.b64decode(event["base64"])
                        for event in self.events if event["event"] == "output" and event["stream"] == stream)

    @property
    def notices(self):
        """What was told, but for what depends on who runs the tests, and whether for the first time."""
        usual = ("run as root: ", "indexing the modules ")
        return [event["text"] for event in self.events
                if event["event"] == "notice" and not event["text"].startswith(usual)]

    @property
    def stages(self):
        """The stages in their order, those of a clone being marked."""
        return [event["stage"] + (" from template" if event.get("from_template") else "")
                for event in self.events if event["event"] == "stage"]

    def expect(self, status, verdict, *words):
        """The exit status, the verdict, and words that the reason holds."""
        finished = self.finished
        assert self.stderr == b"", self.stderr.decode()
        assert (self.status, finished["verdict"]) == (status, verdict), finished
        assert finished["status"] == status
        for word in words:
            assert word in finished["reason"], finished["reason"]
        assert "\n" not in finished["reason"]
        return finished


@pytest.fixture(scope="session")
def clock_library(tmp_path_factory):
    library = tmp_path_factory.mktemp("clock") / "clock.so"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, f"{HERE}/clock.c"], check=True, timeout=60)
    return library


@pytest.fixture
def fast_clock(bench, clock_library):
    """Makes vmtest's clock, and no other, run so many times as fast; and its time of day jump, where that is wanted."""
    def set_factor(factor, jumping=False):
        # The sanitizer wants to be the first library.
        options = bench.env.get("ASAN_OPTIONS", "")
        bench.env.update(LD_PRELOAD=str(clock_library), FAST_CLOCK=str(factor), JUMPING_CLOCK=str(int(jumping)),
                         ASAN_OPTIONS=f"{options}:verify_asan_link_order=0".lstrip(":"))
    return set_factor


@pytest.fixture
def bench(vmtest, kernel, cache, tmp_path):
    bench = Bench(vmtest, kernel, cache, tmp_path)
    yield bench
    bench.clean_up()
