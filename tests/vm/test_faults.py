# SPDX-License-Identifier: Apache-2.0
"""What a guest, QEMU and the user can do to spoil a run: the verdict, why, and that nothing is left behind."""
import json
import os
import shutil
import signal
import struct
import subprocess
import time

import pytest

from conftest import PYTHON, marked_processes, package_of, wait_for, wait_for_no_processes, write_file

# The SysRq that panics the kernel at once.
CRASH = "echo c > /proc/sysrq-trigger; sleep 1000"


def finished(result):
    """The finished event of a run with --format json."""
    return [event for event in map(json.loads, result.out.splitlines()) if event["event"] == "finished"][-1]


def output(result):
    return "".join(event.get("text", "") for event in map(json.loads, result.out.splitlines())
                   if event["event"] == "output" and event["stream"] == "stdout")


@pytest.fixture
def verdict(run, kernel, project):
    """verdict(args, ...) runs a one-liner that boots the kernel; gives its result and its finished event."""

    def verdict(args, *, timeout=120, **options):
        write_file(f"{project}/.keep", "")
        result = run(["-k", kernel, "--format", "json", *args], cwd=project, timeout=timeout, **options)
        end = finished(result)
        assert "\n" not in end["reason"], str(result)
        return result, end

    return verdict


def expect(end, status, name, *words):
    assert (end["status"], end["verdict"]) == (status, name), end
    for word in words:
        assert word in end["reason"], end


# Panics.

def test_a_panic_at_boot_is_told_by_its_line(verdict):
    _, end = verdict(["--kargs", "rdinit=/nonsense", "true"])
    expect(end, 69, "panic", "Kernel panic - not syncing: VFS: Unable to mount root fs")
    assert end["stage"] == "boot"
    assert "Unable to mount root fs" in end["console"]


@pytest.mark.parametrize("before", ["", "modprobe -r pvpanic_mmio pvpanic_pci;"], ids=["pvpanic", "no pvpanic"])
def test_a_panic_during_the_command_is_told_by_its_line(verdict, before):
    result, end = verdict([f"{before} ls -d /sys/module/pvpanic_mmio; echo begun; {CRASH}"])
    assert output(result) == ("begun\n" if before else "/sys/module/pvpanic_mmio\nbegun\n"), str(result)
    expect(end, 69, "panic", "Kernel panic - not syncing: sysrq triggered crash")
    assert end["stage"] == "command"


def test_a_panics_line_that_the_command_writes_is_none(verdict):
    """The whole of it, and more than once, while the command is busy."""
    line = "Kernel panic - not syncing: not at all"
    _, end = verdict([f"for i in 1 2 3; do echo '<0>{line}' > /dev/kmsg; "
                      f"echo '<0>---[ end {line} ]---' > /dev/kmsg; sleep 2; done; exit 7"])
    expect(end, 7, "fail")
    assert end["console"].count("---[ end Kernel panic") == 3, end


def test_a_panics_lines_that_the_command_writes_all_the_time_are_none(verdict):
    """Faster than a guest that is as busy as that answers."""
    line = "Kernel panic - not syncing: not at all"
    _, end = verdict([f"end=$((SECONDS + 8)); while [ $SECONDS -lt $end ]; do "
                      f"echo '<0>{line}' > /dev/kmsg; echo '<0>---[ end {line} ]---' > /dev/kmsg; done; exit 7"])
    expect(end, 7, "fail")
    assert end["console"].count("---[ end Kernel panic") > 5, end


# Memory.

EATER = "import os; open('/proc/self/oom_score_adj', 'w').write('1000'); held = []\nwhile True: held.append(b'x' * (1 << 24))"


@pytest.mark.parametrize("shell", [False, True], ids=["the command", "a child of the shell"])
def test_out_of_memory_kills_the_command_and_that_is_told(verdict, shell):
    write_code = ["--", "sh", "-c", 'echo begun; "$@"; exit $?', "sh", PYTHON, "-c", EATER] if shell else \
        ["--", PYTHON, "-c", "print('begun', flush=True)\n" + EATER]
    result, end = verdict(["--memory", "512M", "--timeout", "90s", *write_code], timeout=180)
    assert output(result) == "begun\n", str(result)
    expect(end, 137, "fail" if shell else "signal", "137" if shell else "signal 9")
    assert "Out of memory" in end["console"], end
    assert [finding["kind"] for finding in end["findings"]] == ["oom"], end
    assert end["findings"][0]["title"].startswith("Out of memory: Killed process"), end


# A command that does not behave.

FORKS = "trap '' TERM; echo begun; f() { f | f & f; }; f"


@pytest.mark.parametrize("command", [
    "trap '' TERM; echo begun; while :; do :; done",
    "echo begun; exec >&- 2>&-; sleep 1000",
    "echo begun; dd if=/dev/zero of=/fill bs=1M 2>/dev/null; sleep 1000",
], ids=["ignores SIGTERM and spins", "closes its output", "fills the guest's disk"])
def test_a_command_without_end_times_out(verdict, command):
    result, end = verdict(["--memory", "512M", "--timeout", "12", "--kill-after", "1", command], timeout=150)
    expect(end, 124, "timeout", "the command took longer than 12 s")
    assert output(result) == "begun\n", str(result)


@pytest.mark.slow
def test_a_command_that_forks_without_end_times_out(verdict):
    result, end = verdict(["--memory", "512M", "--timeout", "10", "--kill-after", "1", FORKS], timeout=180)
    # The machine may run out of memory first, and the killer may take the shell.
    assert end["verdict"] in ("timeout", "signal"), end
    assert output(result) == "begun\n", str(result)


def test_children_that_are_left_do_not_hold_the_run_up(verdict):
    """They ignore everything, hold the output open, and one has left the session."""
    result, end = verdict(["(trap '' TERM HUP; sleep 1000) & (trap '' TERM HUP; setsid sleep 1000) & echo done; exit 3"])
    expect(end, 3, "fail")
    assert output(result) == "done\n", str(result)


def test_a_guest_whose_disk_is_full_gives_the_commands_own_error(verdict):
    result, end = verdict(["--memory", "512M", "dd if=/dev/zero of=/tmp/fill bs=1M 2>&1 | grep -o 'No space left'; exit 28"])
    expect(end, 28, "fail")
    assert output(result) == "No space left\n", str(result)


def peak_memory(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("VmHWM:"))


@pytest.mark.slow
def test_a_gigabyte_of_output_arrives_and_costs_no_memory(start, kernel, project):
    process = start(["-k", kernel, "head -c 1073741824 /dev/zero"], cwd=project, stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    got, peaks = 0, []
    while piece := process.stdout.read(1 << 20):
        assert piece.count(0) == len(piece)
        got += len(piece)
        if got % (64 << 20) == 0:
            ours = [pid for pid, line in marked_processes() if "qemu" not in line.split(" ")[0]]
            assert len(ours) == 2
            peaks += map(peak_memory, ours)
    process.stdout.close()
    assert (process.wait(60), got) == (0, 1 << 30)
    assert max(peaks) < 256 << 20, peaks


# A guest that goes.

@pytest.mark.parametrize("key, words", [("o", "powered off"), ("b", "rebooted")])
def test_a_guest_that_goes_during_the_command_is_lost(verdict, key, words):
    result, end = verdict([f"echo begun; sleep 1; echo {key} > /proc/sysrq-trigger; sleep 1000"])
    expect(end, 69, "lost", f"the guest {words} during the command")
    assert output(result) == "begun\n", str(result)


# kexec_file_load(2) of a kernel without an initramfs, then the jump, as root of the guest.
KEXEC = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
kernel = os.open(sys.argv[1], os.O_RDONLY)
line = b"console=ttyS0 panic=0\\0"
if libc.syscall(320, kernel, -1, ctypes.c_ulong(len(line)), line, ctypes.c_ulong(4)) != 0:
    sys.exit(os.strerror(ctypes.get_errno()))
print("loaded", flush=True)
if len(sys.argv) > 2:
    open("/proc/sys/kernel/printk", "w").write(sys.argv[2])
libc.syscall(169, ctypes.c_uint(0xfee1dead), 672274793, 0x45584543, None)
sys.exit(os.strerror(ctypes.get_errno()))
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the system calls' numbers are x86-64's")
@pytest.mark.parametrize("words, reason", [
    (["8"], "the guest started another kernel (kexec) during the command"),
    # Its console says nothing of it at vmtest's log level; the new kernel's may come too late.
    pytest.param([], "another kernel (kexec)", marks=pytest.mark.slow),
], ids=["loud", "quiet"])
def test_a_guest_that_starts_another_kernel_is_lost_and_it_is_said_so(verdict, kernel, project, words, reason):
    shutil.copy(kernel, f"{project}/next")
    result, end = verdict(["--", PYTHON, "-c", KEXEC, "next", *words], timeout=180)
    assert output(result) == "loaded\n", str(result)
    expect(end, 69, "lost", reason)


def section_offset(data, wanted):
    """Where a section of an ELF64 object begins in its file."""
    (headers,) = struct.unpack_from("<Q", data, 0x28)
    count, names = struct.unpack_from("<HH", data, 0x3c)
    sections = [struct.unpack_from("<IIQQQQ", data, headers + 64 * i) for i in range(count)]
    for section in sections:
        name = sections[names][4] + section[0]
        if data[name:data.index(b"\0", name)] == wanted:
            return section[4]
    raise AssertionError(f"no section {wanted}")


def module_that_runs(kernel, code):
    """A module of the kernel's own without its signature, whose init begins with that: what is relocated lies behind."""
    with open(f"{package_of(kernel).modules}/kernel/fs/nls/nls_utf8.ko", "rb") as file:
        data = bytearray(file.read())
    mark = b"~Module signature appended~\n"
    if data.endswith(mark):
        (size,) = struct.unpack_from(">I", data, len(data) - len(mark) - 4)
        del data[len(data) - len(mark) - 12 - size:]
    start = section_offset(data, b".init.text")
    assert data[start] == 0xe8, "init does not begin with the tracer's call"
    assert len(code) <= 4
    data[start + 5:start + 5 + len(code)] = code
    return bytes(data)


LOCK_UP = b"\xfa\xeb\xfe"  # cli; jmp to itself
SPIN = b"\xeb\xfe"
WRITE_TO_NULL = b"\x31\xc0\x89\x00"  # xor %eax,%eax; mov %eax,(%rax)
BUG = b"\x0f\x0b"  # ud2


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the code is x86-64's")
def test_a_guest_that_locks_up_hard_is_lost_and_what_it_wrote_before_arrives(verdict, kernel, project):
    write_file(f"{project}/spin.ko", module_that_runs(kernel, LOCK_UP))
    # The only processor belongs to the agent while the shell sleeps.
    result, end = verdict(["--num-cpus", "1", "--lost-after", "5s",
                           "seq 20000; echo written; sleep 2; insmod ./spin.ko; echo unreached"])
    expect(end, 69, "lost", "the guest no longer answers: no reply to a ping in 5 s")
    assert output(result) == "".join(f"{i}\n" for i in range(1, 20001)) + "written\n"


# What the kernel reports while the command passes.

@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the code is x86-64's")
@pytest.mark.parametrize("code, title", [(WRITE_TO_NULL, "BUG: kernel NULL pointer dereference, address: "),
                                         (BUG, "invalid opcode: 0000 [#1]")], ids=["bad pointer", "BUG"])
def test_an_oops_is_a_finding_and_fail_on_makes_it_a_failure(verdict, kernel, project, code, title):
    write_file(f"{project}/oops.ko", module_that_runs(kernel, code))
    for options, status, name in (["--fail-on", "warn,rcu_stall"], 0, "pass"), (["--fail-on", "warn,oops"], 1, "fail"):
        result, end = verdict([*options, "insmod ./oops.ko; echo went on"])
        expect(end, status, name, *([title] if status else []))
        assert "went on\n" in output(result), str(result)
        (finding,) = end["findings"]
        assert finding["kind"] == "oops" and title in finding["title"], end
        assert "RIP: 0010:" in finding["text"], end


@pytest.mark.slow
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the code is x86-64's")
def test_a_processor_that_is_stuck_in_the_kernel_is_reported(verdict, kernel, project):
    """The other one runs the command, which ends once the kernel has noticed in both ways."""
    write_file(f"{project}/spin.ko", module_that_runs(kernel, SPIN))
    _, end = verdict(["--num-cpus", "2", "echo 2 > /proc/sys/kernel/watchdog_thresh; "
                      "echo 3 > /sys/module/rcupdate/parameters/rcu_cpu_stall_timeout; "
                      "insmod ./spin.ko & "
                      "until dmesg | grep -q 'rcu: INFO:' && dmesg | grep -q 'soft lockup'; do sleep 1; done"],
                     timeout=300)
    expect(end, 0, "pass")
    assert {finding["kind"] for finding in end["findings"]} == {"rcu_stall", "soft_lockup"}, end


# A QEMU that goes, or hangs.

def qemus():
    return [pid for pid, line in marked_processes() if "qemu-system" in line.split(" ")[0]]


@pytest.fixture
def begun(start, kernel, project):
    """A run whose command has begun and never ends."""
    process = start(["-k", kernel, "echo begun; sleep 1000"], cwd=project, stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"begun\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT])
def test_a_qemu_that_crashes_during_the_command_is_lost(begun, number):
    (qemu,) = qemus()
    os.kill(qemu, number)
    _, errors = begun.communicate(timeout=60)
    assert begun.returncode == 69, errors
    assert f"\nlost: QEMU was killed by signal {int(number)}".encode() in errors, errors


@pytest.mark.slow
def test_a_qemu_that_hangs_is_given_up(begun):
    (qemu,) = qemus()
    os.kill(qemu, signal.SIGSTOP)
    _, errors = begun.communicate(timeout=120)
    assert begun.returncode == 69, errors
    assert b"\nlost: QEMU no longer answers: no reply to QMP in 30 s" in errors, errors


# What is left behind.

def name_of_locked(path):
    """What a file is called in /proc/locks. An inode alone may be another file system's as well."""
    status = os.lstat(path)
    return f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"


class Place:
    """A part of the host that only the runs of one test write to, so that all that they leave can be seen."""

    PLACES = ("/tmp", "/var/tmp", "/dev/shm")

    def __init__(self, start, run, uncovered):
        mounts = " && ".join(f"mount -t tmpfs none {path}" for path in self.PLACES)
        self.holder = subprocess.Popen(["unshare", "-m", "sh", "-c", f"{mounts} && echo ready && exec sleep 3600"],
                                       stdout=subprocess.PIPE)
        assert self.holder.stdout.readline() == b"ready\n"
        self.start_vmtest, self.run_vmtest = start, run
        self.directory, self.cache = os.path.dirname(uncovered.directory), uncovered.env["VMTEST_CACHE_DIR"]
        self.options = {
            "cwd": uncovered.directory, "env": uncovered.env, "program": uncovered.vmtest,
            "prefix": ["nsenter", f"--mount=/proc/{self.holder.pid}/ns/mnt", f"--wd={uncovered.directory}", "--"]}
        self.pids = set()

    def start(self, *args, **options):
        return self.start_vmtest(args, **self.options, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, **options)

    def run(self, *args, timeout=200):
        return self.run_vmtest(args, **self.options, timeout=timeout)

    def files(self):
        found = []
        for path in [f"/proc/{self.holder.pid}/root{place}" for place in self.PLACES] + [self.directory]:
            for top, directories, files in os.walk(path):
                found += [f"{top}/{name}" for name in directories + files]
        return sorted(found)

    def locks(self):
        """Locks of a process of the run, or on a file of it."""
        files = {name_of_locked(path) for path in self.files() if os.path.lexists(path)}
        with open("/proc/locks") as file:
            lines = [line.replace("-> ", "").split() for line in file]
        return [words for words in lines if int(words[4]) in self.pids or words[5] in files]

    def note_processes(self):
        """vmtest, its worker and QEMU, in this order."""
        processes = dict(marked_processes())
        self.pids |= set(processes)
        (qemu,) = [pid for pid, line in processes.items() if "qemu-system" in line.split(" ")[0]]
        worker = parent(qemu)
        assert parent(worker) in processes, processes
        return parent(worker), worker, qemu

    def close(self):
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()


def parent(pid):
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[1])


@pytest.fixture(scope="class")
def place(start, run, uncovered):
    place = Place(start, run, uncovered)
    yield place
    place.close()


ENDINGS = {
    "SIGINT": (130, [("vmtest", signal.SIGINT)]),
    "SIGINT twice": (130, [("vmtest", signal.SIGINT), (None, 0.5), ("vmtest", signal.SIGINT)]),
    "SIGTERM": (143, [("vmtest", signal.SIGTERM)]),
    "SIGHUP": (129, [("vmtest", signal.SIGHUP)]),
    "SIGKILL of vmtest": (-9, [("vmtest", signal.SIGKILL)]),
    "SIGKILL of the worker": (69, [("worker", signal.SIGKILL)]),
    "SIGSEGV of the worker": (69, [("worker", signal.SIGSEGV)]),
    "SIGKILL of both": (-9, [("vmtest", signal.SIGSTOP), ("worker", signal.SIGKILL), ("vmtest", signal.SIGKILL)]),
    "standard output is closed": (141, []),
}


def end_run(place, process, ending):
    """Ends a run whose command has begun; waits for vmtest."""
    status, steps = ENDINGS[ending]
    victims = dict(zip(("vmtest", "worker"), place.note_processes()))
    if not steps:
        process.stdout.close()
    for name, number in steps:
        if name:
            os.kill(victims[name], number)
        else:
            time.sleep(number)
    assert process.wait(30) == status


@pytest.mark.skipif(os.geteuid() != 0, reason="a part of the host for itself needs root")
class TestLeftovers:
    """Within two seconds nothing is left of a run, however it was ended: no process, no file, no lock."""

    @pytest.fixture(scope="class")
    def args(self, place, kernel):
        args = ("-k", kernel)
        result = place.run(*args, "true")
        assert result.status == 0, str(result)
        assert place.locks() == []
        return args

    @pytest.mark.parametrize("ending", ENDINGS)
    def test_nothing_is_left_of_a_run(self, place, args, ending):
        files = place.files()
        assert "meta.json" in " ".join(files)
        process = place.start(*args, "while echo begun; do sleep 1; done")
        assert process.stdout.readline() == b"begun\n"
        assert place.locks() != [], "the test is blind"
        end_run(place, process, ending)
        left = wait_for_no_processes(2)
        assert left == []
        assert place.files() == files
        assert place.locks() == []
        process.stdout.close()

    def test_what_is_left_of_a_template_that_was_being_made_is_swept_by_the_next_start(self, place, args):
        files = place.files()
        process = place.start(*args, "--num-cpus", "1", "true")
        drafts = wait_for(lambda: [path for path in place.files() if path not in files])
        wait_for(qemus)
        end_now = place.note_processes()
        os.kill(end_now[0], signal.SIGSTOP)
        for pid in (end_now[1], end_now[0]):
            os.kill(pid, signal.SIGKILL)
        process.communicate(timeout=30)
        assert wait_for_no_processes(2) == []
        assert place.locks() == []
        assert [path for path in drafts if os.path.exists(path)] != [], "the test is blind"
        assert place.run(*args, "true").status == 0
        assert place.files() == files
        assert place.locks() == []


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="a part of the host for itself needs root")
class TestLeftoversOfAnImage:
    def test_what_a_sigkill_of_all_has_left_is_gone_after_the_next_start(self, place, image_of, kernel):
        result = place.run("-i", image_of("mini"), "true", timeout=300)
        assert result.status == 0, str(result)
        files = place.files()
        process = place.start("-i", image_of("mini"), "while echo begun; do sleep 1; done")
        assert process.stdout.readline() == b"begun\n"
        end_run(place, process, "SIGKILL of both")
        assert wait_for_no_processes(2) == []
        assert place.files() == files
        assert place.locks() == []
        process.stdout.close()

        # What is on disk only for a moment, as if the moment had been the last one.
        for name in ("vmtest-run-dead1", "vmtest-run-dead2"):
            write_file(f"/proc/{place.holder.pid}/root/var/tmp/{name}/overlay", "x")
        write_file(f"{place.cache}/kernels/0123.vmlinux.abcdef.vmtest-new", "x")
        assert place.run("-k", kernel, "--no-template", "true").status == 0
        # The kernel's own entries are new in the cache.
        assert [path for path in place.files() if path not in files and f"{place.cache}/" not in path] == []
        assert not [path for path in place.files() if path.endswith("-new")]


# A host that is short of something.

SHORT = {
    "open files": ("ulimit -n 40", "only 40 files may be open at a time (ulimit -n)"),
    "the size of files": ("ulimit -f 100", "File too large"),
    "memory": ("ulimit -v 1000000", "the host does not give a machine '4G' of memory"),
}


@pytest.mark.parametrize("what", SHORT)
def test_a_limit_of_the_host_is_told_as_what_it_is(run, kernel, project, what):
    limit, words = SHORT[what]
    result = run(["-k", kernel, "--no-template", "true"], cwd=project,
                 prefix=["sh", "-c", f'{limit}; exec "$@"', "sh"])
    assert result.status == 69, str(result)
    assert len(result.errors) == 1 and words in result.errors[0], str(result)


def test_a_soft_limit_of_open_files_is_no_limit(run, kernel, project):
    result = run(["-k", kernel, "true"], cwd=project, prefix=["sh", "-c", 'ulimit -S -n 40; exec "$@"', "sh"])
    assert result.status == 0, str(result)


@pytest.mark.skipif(os.geteuid() != 0, reason="another user is needed, to whom the limit applies")
def test_a_limit_of_processes_is_told_as_what_it_is(run, user, project):
    result = run(["-k", user.kernel, "true"], cwd=user.home, env={"HOME": user.home, "VMTEST_CACHE_DIR": None,
                 "XDG_STATE_HOME": None}, program=user.vmtest, prefix=["prlimit", "--nproc=1", "--", *user.prefix])
    assert result.status == 69, str(result)
    assert len(result.errors) == 1 and "cannot start a worker: Resource temporarily unavailable" in result.errors[0], \
        str(result)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
class TestPoorHost:
    @pytest.fixture
    def small(self, tmp_path):
        path = tmp_path / "small"
        path.mkdir()
        return str(path)

    @staticmethod
    def with_mounts(*mounts):
        """What goes in front of a command to have a tmpfs with these options at each place."""
        script = " && ".join(f"mount -t tmpfs -o {options} none '{path}'" for path, options in mounts)
        return ["unshare", "-m", "sh", "-c", f'{script} && exec "$@"', "sh"]

    def test_without_tmp_and_shm_a_kernel_boots(self, run, kernel, uncovered):
        poor = self.with_mounts(("/tmp", "ro"), ("/var/tmp", "ro"), ("/dev/shm", "ro,size=4k"))
        result = run(["-k", kernel, "echo ran"], cwd=uncovered.directory, program=uncovered.vmtest, env=uncovered.env,
                     prefix=poor)
        assert (result.status, result.out) == (0, "ran\n"), str(result)

    def test_a_run_directory_that_cannot_be_made_is_named(self, run, image_of, uncovered):
        result = run(["-i", image_of("mini"), "--no-template", "true"], cwd=uncovered.directory,
                     program=uncovered.vmtest, prefix=self.with_mounts(("/var/tmp", "ro")))
        assert result.status == 69, str(result)
        assert len(result.errors) == 1 and "(TMPDIR): cannot make a directory in /var/tmp: Read-only file system" in result.errors[0], str(result)

    def test_a_home_that_is_read_only_costs_only_the_cache(self, run, kernel, project, small):
        result = run(["-k", kernel, "echo ran"], cwd=project, prefix=self.with_mounts((small, "ro")),
                     env={"HOME": small, "VMTEST_CACHE_DIR": None, "XDG_STATE_HOME": None, "XDG_CACHE_HOME": None})
        assert (result.status, result.out) == (0, "ran\n"), str(result)

    @pytest.mark.parametrize("size", ["1m", pytest.param("30m", marks=pytest.mark.slow), "100m"])
    def test_a_cache_that_is_full_keeps_nothing_half_written(self, run, kernel, project, small, size):
        """Each size is used up somewhere else: the modules' index, the unpacked kernel, the template."""
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", small], check=True)
        try:
            result = run(["-k", kernel, "echo ran"], cwd=project, env={"VMTEST_CACHE_DIR": small})
            names = [name for _, directories, files in os.walk(small) for name in directories + files]
        finally:
            subprocess.run(["umount", "-l", small], check=True)
        assert not [name for name in names if name.startswith(("building-", "draft", ".")) or name.endswith("-new")]
        if result.status != 0:
            assert len(result.errors) == 1 and "No space left on device" in result.errors[0], str(result)
        else:
            assert result.out == "ran\n", str(result)


# A boot that never ends.

# A kernel for PVH of QEMU's that does nothing, or writes to the first serial port for ever, as fast as the port takes it.
ENDLESS = r"""
.section .note.Xen, "a", @note
.long 4, 4, 18
.asciz "Xen"
.long start
.section .text, "ax"
.code32
.globl start
start:
    xor %ecx, %ecx
1:
#ifdef FLOOD
    mov $0x3fd, %edx
2:  in %dx, %al
    test $0x20, %al
    jz 2b
    mov $0x3f8, %edx
    mov $'x', %al
    inc %ecx
    cmp $72, %ecx
    jne 3f
    mov $'\n', %al
    xor %ecx, %ecx
3:  out %al, %dx
#endif
    jmp 1b
.section .rodata, "a"
.asciz "Linux version RELEASE (test) #1 SMP"
"""


def endless_kernel(kernel, directory, *flags):
    """It says that it is the stock kernel, so that its modules are found."""
    source = write_file(f"{directory}/endless.S", ENDLESS.replace("RELEASE", package_of(kernel).release))
    subprocess.run(["cc", *flags, "-nostdlib", "-static", "-no-pie", "-Wl,-Ttext-segment=0x1000000,-e,start,"
                    "--build-id=none", "-o", f"{directory}/vmlinux", source], check=True, timeout=60)
    return ["-k", f"{directory}/vmlinux", "--modules", package_of(kernel).modules]


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the code is x86-64's")
@pytest.mark.parametrize("flags", [[], ["-DFLOOD"]], ids=["spins", "floods its console"])
def test_a_kernel_that_never_comes_up_times_out_with_the_consoles_tail(run, kernel, project, flags):
    result = run([*endless_kernel(kernel, project, *flags), "--format", "json", "--boot-timeout", "5", "true"],
                 cwd=project, timeout=90)
    ended = finished(result)
    expect(ended, 124, "timeout", "the boot took longer than 5 s (--boot-timeout)")
    assert ended["stage"] == "boot"
    if flags:
        lines = ended["console"].splitlines()
        assert lines[-2] == "x" * 71 and 10 < len(lines) < 1000
    else:
        assert ended["console"] == ""


@pytest.mark.slow
def test_a_kernel_that_waits_for_ever_times_out_with_the_consoles_tail(verdict):
    _, ended = verdict(["--kargs", "rdinit=/nonsense root=/dev/nothing rootwait loglevel=7", "--no-template",
                        "--boot-timeout", "25", "true"])
    expect(ended, 124, "timeout", "the boot took longer than 25 s (--boot-timeout)")
    assert "Waiting for root device /dev/nothing" in ended["console"]


# An agent that goes.

def test_a_kernel_guest_that_loses_its_port_powers_off_and_is_lost(verdict):
    """PID 1 ends the machine as soon as the host is gone."""
    result, ended = verdict(["echo begun; sleep 1; cd /sys/bus/virtio/drivers/virtio_console; "
                             "for device in virtio*; do echo $device > unbind; done; sleep 1000"])
    expect(ended, 69, "lost", "the guest powered off during the command")
    assert output(result) == "begun\n", str(result)


def image_verdict(run, image, project, *args):
    result = run(["-i", image, "--format", "json", *args], cwd=project, timeout=300)
    return result, finished(result)


@pytest.mark.slow
def test_an_agent_of_an_image_that_is_killed_is_lost(run, image_of, project):
    result, ended = image_verdict(run, image_of("mini"), project, "echo begun; sleep 1; kill -9 $PPID; sleep 1000")
    expect(ended, 69, "lost", "vmtest's agent in the guest has ended, though the guest still runs")
    assert output(result) == "begun\n", str(result)


@pytest.mark.slow
@pytest.mark.parametrize("modules, loaded", [("-r", "no"), ("-a", "yes")], ids=["no pvpanic", "pvpanic"])
def test_a_panic_in_an_image_is_told_by_its_line(run, image_of, project, modules, loaded):
    result, ended = image_verdict(
        run, image_of("mini"), project,
        f"modprobe {modules} pvpanic-mmio pvpanic-pci; "
        f"[ -d /sys/module/pvpanic_mmio/drivers ] && echo yes || echo no; "
        f"echo 1 > /proc/sys/kernel/sysrq; sleep 1; {CRASH}")
    expect(ended, 69, "panic", "Kernel panic - not syncing: sysrq triggered crash")
    assert output(result) == f"{loaded}\n", str(result)
