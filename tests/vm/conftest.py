# SPDX-License-Identifier: Apache-2.0
"""What the tests with real VMs share: the program under test, the kernels that it boots, and a way to run it.

A boot costs seconds without KVM, so tests that look at one run share it: they stand in a class with a class-scoped
fixture that makes the run, and the scheduler below keeps a class on one worker of pytest-xdist.
"""
import functools
import fcntl
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import termios
import time
import uuid
from dataclasses import dataclass

import pexpect
import pexpect.fdpexpect
import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
# The interpreter of the distribution, at the same path in a guest over the host's root.
PYTHON = "/usr/bin/python3"
SUITES = ["bullseye", "bookworm", "trixie", "sid"]
NOBODY = 65534
# In the environment of everything that the tests of this process start; QEMU gets it by that name too.
MARK = f"QEMU_TEST_MARK={os.getpid()}-{uuid.uuid4().hex}"


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes long, left to make check-all")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from xdist.scheduler import LoadScopeScheduling

    class OneWorkerAClass(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            name = nodeid.split("[")[0]
            if name.count("::") < 2:
                return nodeid
            # The runs of a class that is made for each of several kernels go to several workers.
            suite = re.search(rf"[\[-]({'|'.join(SUITES)})[\]-]", nodeid)
            return name.rsplit("::", 1)[0] + (suite[1] if suite else "")

    return OneWorkerAClass(config, log)


@functools.lru_cache(maxsize=None)
def fetch_kernel(suite, flavour="generic"):
    """The path of a distribution's stock kernel, fetched when it is not there; a failure is an error, never a skip."""
    done = subprocess.run([f"{TOP}/scripts/fetch-kernel", suite, flavour], stdout=subprocess.PIPE, check=True,
                          timeout=1800)
    return done.stdout.decode().strip()


@functools.lru_cache(maxsize=None)
def build_image(name):
    """The path of a test image, built when it is not there; a failure is an error, never a skip."""
    done = subprocess.run([f"{TOP}/tests/images/build", name], stdout=subprocess.PIPE, check=True, timeout=1800)
    return done.stdout.decode().splitlines()[-1]


@pytest.fixture(scope="session")
def image_of():
    """A function from the name of a test image (tests/images/README.md) to its path."""
    return build_image


@pytest.fixture(scope="session")
def vmtest():
    """The path of the program under test."""
    path = os.path.abspath(os.environ.get("VMTEST", f"{TOP}/build/vmtest"))
    assert os.access(path, os.X_OK), f"{path} is missing: run make first"
    return path


@pytest.fixture(scope="session")
def kernel():
    """Debian 12's kernel, the one that most tests boot."""
    return os.path.abspath(os.environ.get("VMTEST_KERNEL") or fetch_kernel("bookworm"))


@pytest.fixture(scope="session")
def kernel_of():
    """A function from a suite, and if need be a flavour, to its kernel."""
    return fetch_kernel


@pytest.fixture(scope="class",
                params=[suite if suite == "bookworm" else pytest.param(suite, marks=pytest.mark.slow)
                        for suite in SUITES])
def kernels(request):
    """Each of the stock kernels in turn."""
    return fetch_kernel(request.param)


class Result:
    """How a run of vmtest went: what it wrote, as bytes, and its exit status."""

    def __init__(self, stdout, stderr, status, seconds):
        self.stdout, self.stderr, self.status, self.seconds = stdout, stderr, status, seconds

    @property
    def out(self):
        return self.stdout.decode(errors="replace")

    @property
    def err(self):
        return self.stderr.decode(errors="replace")

    @property
    def errors(self):
        """The lines that say what went wrong."""
        return [line for line in (self.err + "\n" + self.out).splitlines()
                if line.startswith(("vmtest: ", "error: ")) and not line.startswith("vmtest: warning: ")]

    def __repr__(self):
        return (f"status {self.status} after {self.seconds:.1f} s\n--- stdout\n{self.out[-6000:]}\n"
                f"--- stderr\n{self.err[-6000:]}\n---")


def marked_processes():
    """Processes that the tests have started and that still run, as (pid, command line)."""
    mark, found = MARK.encode(), []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                if mark not in file.read().split(b"\0"):
                    continue
            with open(f"/proc/{name}/cmdline", "rb") as file:
                found.append((int(name), file.read().replace(b"\0", b" ").decode(errors="replace")))
        except OSError:
            continue
    return found


def wait_for_no_processes(seconds=5.0):
    """Gives what has just been stopped a moment to end; returns what is still there after it."""
    deadline = time.monotonic() + seconds
    while (left := marked_processes()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def kill_marked():
    for pid, _ in marked_processes():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


@pytest.fixture(autouse=True)
def no_process_remains():
    """Whatever a test does, no QEMU and no vmtest outlives it."""
    yield
    left = wait_for_no_processes()
    kill_marked()
    assert not left, f"left running: {left}"


@pytest.fixture(scope="session")
def environment():
    """The environment that vmtest is run in."""
    env = {key: value for key, value in os.environ.items()
           if not key.startswith(("PYTEST", "VMTEST")) and key not in ("TMPDIR", "NO_COLOR")}
    key, value = MARK.split("=")
    # Kernels are unpacked once for all tests, and the user's own directories are left alone.
    return {**env, key: value, "VMTEST_CACHE_DIR": f"{TOP}/build/vm-cache", "XDG_STATE_HOME": f"{TOP}/build/vm-state"}


def cold(args):
    """What goes in front of the arguments to have every machine booted."""
    verb = args and os.fspath(args[0]) in ("cache", "list")
    return ["--no-template"] if os.environ.get("VMTEST_COLD") and not verb else []


@pytest.fixture(scope="session")
def start(vmtest, environment):
    """start(args, ...) starts vmtest and returns the Popen object; env is added to the environment."""

    def start(args, cwd=None, env=None, program=None, prefix=(), **options):
        full = {**environment, **(env or {})}
        full = {key: value for key, value in full.items() if value is not None}
        argv = [program or vmtest, *cold(args), *map(os.fspath, args)]
        return subprocess.Popen([*prefix, *argv], cwd=cwd or TOP, env=full,
                                start_new_session=True, **options)

    return start


@pytest.fixture(scope="session")
def run(start):
    """run(args, cwd, env, timeout, input) runs vmtest to its end and returns a Result."""

    def run(args, cwd=None, env=None, timeout=120, input=None, **options):
        began = time.monotonic()
        process = start(args, cwd, env, stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
        try:
            stdout, stderr = process.communicate(input, timeout=timeout)
        except subprocess.TimeoutExpired as expired:
            process.kill()
            kill_marked()
            stdout, stderr = process.communicate(timeout=20)
            pytest.fail(f"vmtest {args} took longer than {timeout} s: "
                        f"{Result(stdout, stderr, None, time.monotonic() - began)} {expired}")
        return Result(stdout, stderr, process.returncode, time.monotonic() - began)

    return run


def wait_for(condition, seconds=60.0):
    """Waits until condition() is true and returns what it gave."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain"
        time.sleep(0.02)
    return value


def make_directory(base):
    os.makedirs(base, exist_ok=True)
    return tempfile.mkdtemp(dir=base)


@pytest.fixture(scope="class")
def project():
    """A directory that is shared, at a path that the guest has no fresh file system on."""
    base = f"{TOP}/build/vmtmp"
    path = make_directory(base if not base.startswith("/tmp/") else "/var/tmp")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@dataclass
class Uncovered:
    """A directory that is shared, and a copy of the program beside it."""

    directory: str
    vmtest: str
    env: dict


@pytest.fixture(scope="class")
def uncovered(vmtest):
    """Where a test sees them that has file systems of its own in /tmp, /var/tmp and the like, wherever this checkout is."""
    base = f"{TOP}/build/vmtmp"
    path = make_directory("/var/lib" if base.startswith(("/tmp/", "/var/tmp/", "/dev/shm/")) else base)
    os.mkdir(f"{path}/project")
    yield Uncovered(f"{path}/project", shutil.copy2(vmtest, f"{path}/vmtest"),
                    {"VMTEST_CACHE_DIR": f"{path}/cache", "XDG_STATE_HOME": f"{path}/state"})
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="class")
def project_in_tmp():
    """A directory that is shared, below /tmp, which is fresh in the guest."""
    path = make_directory("/tmp")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def empty_tmp(tmp_path):
    """An empty directory for TMPDIR, and the check that it is empty afterwards."""
    path = tmp_path / "empty-tmp"
    path.mkdir()
    yield str(path)
    assert os.listdir(path) == [], "left behind in TMPDIR"


def write_file(path, text, mode=None):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(text.encode() if isinstance(text, str) else text)
    if mode is not None:
        os.chmod(path, mode)
    return str(path)


def read_file(path):
    with open(path, "rb") as file:
        return file.read()


def copy_tree(source, target):
    """Copies a directory by hard links where that is possible."""

    def copy(from_path, to_path, **_):
        try:
            os.link(from_path, to_path)
        except OSError:
            shutil.copy2(from_path, to_path)

    return shutil.copytree(source, target, copy_function=copy, symlinks=True)


@dataclass
class Package:
    """An unpacked kernel package: where its kernel and its modules are."""

    kernel: str
    release: str
    modules: str

    def config(self):
        for path in (f"{os.path.dirname(self.kernel)}/config-{self.release}", f"{self.modules}/config"):
            if os.path.exists(path):
                return path
        return None


def package_of(kernel):
    """The package that a kernel file belongs to."""
    directory = os.path.dirname(kernel)
    if os.path.isdir(f"{directory}/kernel"):
        return Package(kernel, os.path.basename(directory), directory)
    release = os.path.basename(kernel).replace("vmlinuz-", "")
    for place in ("../lib/modules", "../usr/lib/modules"):
        modules = os.path.normpath(f"{directory}/{place}/{release}")
        if os.path.isdir(modules):
            return Package(kernel, release, modules)
    raise AssertionError(f"there are no modules beside {kernel}")


@dataclass
class User:
    """An ordinary user: what to put in front of a command, and a directory of their own."""

    prefix: list
    uid: int
    home: str
    vmtest: str
    kernel: str


@pytest.fixture(scope="class")
def user(vmtest, kernel):
    """nobody, with a home, a copy of the program and of the kernel package; the caller, if that is not root."""
    base = make_directory("/var/tmp")
    os.chmod(base, 0o755)
    package = package_of(kernel)
    program = shutil.copy2(vmtest, f"{base}/vmtest")
    os.makedirs(f"{base}/package/boot")
    copy_tree(package.modules, f"{base}/package/lib/modules/{package.release}")
    copied = shutil.copy(kernel, f"{base}/package/boot/vmlinuz-{package.release}")
    os.chmod(copied, 0o644)
    os.mkdir(f"{base}/home")
    if os.geteuid() == 0:
        os.chown(f"{base}/home", NOBODY, NOBODY)
        prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all",
                  "--bounding-set=-all", "--"]
        yield User(prefix, NOBODY, f"{base}/home", program, copied)
    else:
        yield User([], os.geteuid(), f"{base}/home", program, copied)
    shutil.rmtree(base, ignore_errors=True)


class Terminal:
    """vmtest on a terminal of its own, which is looked at before and after."""

    def __init__(self, start, args, rows=24, columns=80, **options):
        self.master, self.slave = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.slave)
        self.process = start(args, stdin=self.slave, stdout=self.slave, stderr=self.slave,
                             preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0), **options)
        self.expect = pexpect.fdpexpect.fdspawn(self.master, timeout=60)

    def resize(self, rows, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & termios.ECHO

    def is_restored(self):
        return termios.tcgetattr(self.slave) == self.before

    def wait(self, seconds=60):
        """The exit status; what is written meanwhile is read, so that nobody waits for us."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < deadline:
            self.expect.expect([pexpect.TIMEOUT, r".+"], timeout=0.1)
        return self.process.wait(1)

    def close(self):
        kill_marked()
        self.process.wait(20)
        os.close(self.slave)
        os.close(self.master)


@pytest.fixture
def terminal(start):
    """terminal(args, ...) starts vmtest on a terminal."""
    made = []

    def terminal(args, **options):
        made.append(Terminal(start, args, **options))
        return made[-1]

    yield terminal
    for one in made:
        one.close()
