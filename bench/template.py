# SPDX-License-Identifier: Apache-2.0
"""Templates of a kernel target: the speed of a clone, the cost of making the template, the memory of clones."""
import contextlib
import os
import re
import signal
import socket
import statistics
import subprocess
import time

from harness import RUN_SECONDS, BenchError, kill_group, stages_line

LIMIT_WARM = 0.08
LIMIT_TOTAL_STARTS = 5
LIMIT_READY_STARTS = 2
LIMIT_MAKING = 1.15
LIMIT_DISK_MB = 200
CLONES = 8
# A descriptor's number in vmtest's arguments for QEMU.
DESCRIPTOR = re.compile(r"(?<=\bfd=)\d+|(?<=/proc/self/fd/)\d+")
QUIT = b'{"execute":"qmp_capabilities"}\n{"execute":"quit"}\n'


def children_of(pid):
    found = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                found += [int(child) for child in file.read().split()]
    return found


def qemu_below(bench, pid):
    """The process ID of the QEMU that vmtest, process `pid`, started."""
    for child in children_of(pid):
        with contextlib.suppress(OSError):
            if os.path.samefile(f"/proc/{child}/exe", bench.qemu):
                return child
        found = qemu_below(bench, child)
        if found:
            return found
    return None


@contextlib.contextmanager
def clones_at_rest(bench, count):
    """Yields the process IDs of the QEMUs of `count` concurrent warm runs, whose commands have started and sleep."""
    argv = [bench.vmtest, "--format", "json", *bench.warm_liner[1:], "echo ready; exec sleep 1000"]
    paths = [f"{bench.directory}/clone{number}" for number in range(count)]
    processes = []
    try:
        for path in paths:
            with open(path, "wb") as file:
                processes.append(bench.start(argv, file))
        for path, process in zip(paths, processes):
            wait_for_ready(bench, argv, path, process)
        time.sleep(1)
        yield [qemu_below(bench, process.pid) or bench.fail(argv, "no QEMU runs") for process in processes]
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            kill_group(process)
            process.wait()


def wait_for_ready(bench, argv, path, process):
    deadline = time.monotonic() + RUN_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with open(path, "rb") as file:
            events = file.read()
        if b'"text":"ready' in events:
            if b'"from_template":true' not in events:
                bench.fail(argv, "booted cold")
            return
        time.sleep(0.05)
    bench.fail(argv, "the command did not start")


class Starter:
    """Starts the machine of a warm run with exactly vmtest's arguments, and quits it before it runs."""

    def __init__(self, bench):
        self.bench = bench
        self.files = {}
        with clones_at_rest(bench, 1) as (pid,):
            with open(f"/proc/{pid}/cmdline", encoding="utf-8") as file:
                self.argv = file.read().rstrip("\0").split("\0")
            self.argv[0] = bench.qemu
            for number in {found for argument in self.argv for found in DESCRIPTOR.findall(argument)}:
                path = f"/proc/{pid}/fd/{number}"
                # Each start needs new sockets.
                is_socket = os.readlink(path).startswith("socket:")
                self.files[number] = None if is_socket else os.open(path, os.O_RDONLY)
        if not any("share=off" in argument for argument in self.argv):
            raise BenchError("this would write to the template: its memory is not mapped privately")
        where = self.argv.index("-incoming")
        self.argv[where:where + 2] = ["-S"]

    def close(self):
        for file in self.files.values():
            if file is not None:
                os.close(file)

    def seconds(self):
        """Seconds from start to end."""
        with contextlib.ExitStack() as stack:
            peers, own = {}, {}
            for number, file in self.files.items():
                if file is None:
                    peers[number], end = (stack.enter_context(one) for one in socket.socketpair())
                    file = end.fileno()
                own[number] = file
            argv = [DESCRIPTOR.sub(lambda match: str(own[match[0]]), argument) for argument in self.argv]
            qmp = next(re.search(r"\d+$", argument)[0] for argument in self.argv if "id=qmp," in argument)
            peers[qmp].sendall(QUIT)
            seconds = self.bench.timed(argv, pass_fds=tuple(own.values()))
            if b'"return": {}' not in peers[qmp].recv(1 << 16):
                self.bench.fail(argv, "QEMU did not answer")
            return seconds


def template_warm(bench, report):
    argv = [*bench.warm_liner, "--", "true"]
    bench.vmtest_run(argv)
    bench.vmtest_run(argv, True)
    with contextlib.closing(Starter(bench)) as starter:
        warm, auto, starts, bare = [], [], [], []
        for _ in range(bench.runs):
            auto.append(bench.vmtest_run([bench.vmtest, "-k", bench.kernel, "--", "true"]))
            warm.append(bench.vmtest_run(argv, True))
            starts.append(starter.seconds())
            bare.append(bench.timed(bench.bare_qemu))
    total = [run.seconds for run in warm]
    ready = [run.qemu_to_ready for run in warm]
    start = statistics.median(starts)
    report.values("warm vmtest true", total, "%.3f", "s")
    report.line("its stages", stages_line(warm))
    report.values("... accelerator not given", [run.seconds for run in auto], "%.3f", "s")
    report.line("its stages", stages_line(auto))
    report.values("QEMU's start to the agent ready", ready, "%.3f", "s")
    report.values("QEMU's own start and quit", starts, "%.3f", "s")
    report.values("plain QEMU", bare, "%.2f", "s")
    report.limit("warm against plain QEMU", statistics.median(total) / statistics.median(bare), LIMIT_WARM, "%.3f")
    report.limit("warm against start and quit", statistics.median(total) / start, LIMIT_TOTAL_STARTS)
    report.limit("agent ready against start and quit", statistics.median(ready) / start, LIMIT_READY_STARTS)


def disk_use(directory):
    return sum(os.lstat(f"{parent}/{name}").st_blocks * 512
               for parent, _, names in os.walk(directory) for name in names)


def template_making(bench, report):
    bench.timed([*bench.cold_liner, "--", "true"])
    making, cold, disk = [], [], 0
    for _ in range(bench.runs):
        bench.forget_templates()
        making.append(bench.vmtest_run([*bench.warm_liner, "--", "true"], False))
        disk = disk_use(f"{bench.cache}/templates")
        cold.append(bench.vmtest_run([*bench.cold_liner, "--", "true"], False))
    if disk < 1 << 20:
        raise BenchError("no template was made")
    seconds = [statistics.median(run.seconds for run in runs) for runs in (making, cold)]
    report.values("makes the template", [run.seconds for run in making], "%.2f", "s")
    report.line("its stages", stages_line(making))
    report.values("--no-template", [run.seconds for run in cold], "%.2f", "s")
    report.line("its stages", stages_line(cold))
    report.limit("ratio", seconds[0] / seconds[1], LIMIT_MAKING)
    report.limit("disk use of a 4 GiB template", disk / 1e6, LIMIT_DISK_MB, "%.0f", " MB")


def memory_of(pid):
    """The figures of smaps_rollup in MB."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        lines = [line.split() for line in file.readlines()[1:]]
    return {line[0].rstrip(":"): int(line[1]) * 1024 / 1e6 for line in lines}


def template_memory(bench, report):
    bench.vmtest_run([*bench.warm_liner, "--", "true"])
    alone = []
    for _ in range(3):
        with clones_at_rest(bench, 1) as (pid,):
            alone.append(memory_of(pid))
    with clones_at_rest(bench, CLONES) as pids:
        together = [memory_of(pid) for pid in pids]
    touched = statistics.median(one["Private_Dirty"] for one in alone)
    pss = sum(one["Pss"] for one in together)
    anonymous = sum(one["Pss_Anon"] for one in together)
    report.values("one alone: private and dirty", [one["Private_Dirty"] for one in alone], "%.0f", "MB")
    report.values("one alone: PSS", [one["Pss"] for one in alone], "%.0f", "MB")
    report.line(f"{CLONES} at once: sum of PSS", f"{pss:.0f} MB, of which anonymous {anonymous:.0f} MB")
    report.line(f"{CLONES} times 4 GiB, for comparison", f"{CLONES * (4 << 30) / 1e6:.0f} MB")
    report.limit(f"sum of anonymous PSS, of {CLONES} times one", anonymous / (CLONES * touched), 1.0, "%.3f")
    report.line(f"sum of PSS, of {CLONES} times one", f"{pss / (CLONES * touched):.3f}")
