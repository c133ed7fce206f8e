# SPDX-License-Identifier: Apache-2.0
"""Many targets: how well the scheduler uses two cores, and the cost of supervisor and sinks per target."""
import glob
import json
import os
import resource
import statistics
import subprocess
import time

from harness import BenchError

SHORT_TARGETS, SHORT_LIMIT = 40, 1.15
FAKE_TARGETS, FAKE_PER_SECOND = 10000, 500
# The list and the plan exist from the start; during the run, the supervisor keeps the verdict of each target.
FAKE_KB_PER_TARGET = 0.5
# Each target prepares a kernel again that was written less than two seconds ago (src/prepare/kernel-cache.c).
SETTLE_SECONDS = 3
FAKE_SECONDS = 3600
FAKE_QEMU = "int main(void) { return 0; }\n"
TARGET = """
[[target]]
name = "t{number}"
kernel = "{kernel}"
command = "true"
accel = "tcg"
vm = {{ num_cpus = 1, memory = "512M" }}
{more}
"""


def directory_of(bench, name, count, kernel, more=""):
    path = f"{bench.directory}/{name}"
    os.makedirs(path, exist_ok=True)
    with open(f"{path}/vmtest.toml", "w", encoding="utf-8") as file:
        file.write("".join(TARGET.format(number=number, kernel=kernel, more=more) for number in range(count)))
    return path


class Many:
    """A run of all targets of a directory, within two processors."""

    def __init__(self, bench, path, *options, seconds=1800):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        begin = time.monotonic()
        environment = {**bench.environment, "XDG_STATE_HOME": f"{path}/state"}
        with open(f"{path}/events", "wb") as output:
            # pylint: disable=consider-using-with
            process = subprocess.Popen([bench.vmtest, "--format", "json", *options], cwd=path, env=environment,
                                       stdin=subprocess.DEVNULL, stdout=output, start_new_session=True,
                                       preexec_fn=lambda: os.sched_setaffinity(0, two_processors()))
            self.memory_kb = resident_memory(process, seconds)
        self.status = process.returncode
        self.wall = time.monotonic() - begin
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        with open(f"{path}/events", encoding="utf-8") as file:
            for line in file:
                pass
        self.summary = json.loads(line)


def two_processors():
    return set(sorted(os.sched_getaffinity(0))[:2])


def resident_memory(process, seconds):
    """Waits for the end; the resident size of the supervisor itself over the time, in kB."""
    sizes, deadline = [], time.monotonic() + seconds
    while process.poll() is None:
        if time.monotonic() > deadline:
            process.kill()
            process.wait()
            raise BenchError(f"not done after {seconds} s")
        try:
            with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
                sizes += [int(line.split()[1]) for line in file if line.startswith("VmRSS:")]
        except OSError:
            pass
        time.sleep(0.02)
    return sizes


def many_short(bench, report):
    path = directory_of(bench, "short", SHORT_TARGETS, bench.kernel)
    runs = {}
    for jobs in (2, 1):
        bench.forget_templates()
        runs[jobs] = Many(bench, path, f"-j{jobs}")
        if runs[jobs].status != 0:
            raise BenchError(f"-j{jobs}: exit status {runs[jobs].status}")
        report.line(f"-j{jobs}", f"{runs[jobs].wall:.1f} s, {runs[jobs].processor:.1f} s of processor time")
    report.limit("-j2: wall time of half the processor time", runs[2].wall / (runs[2].processor / 2), SHORT_LIMIT)
    report.line("-j2 of -j1", f"{runs[2].wall / runs[1].wall:.2f}")


def fake_run(bench, name, count, more):
    """Runs `count` targets whose QEMU exits at once, so that each is an error."""
    run = Many(bench, directory_of(bench, name, count, bench.kernel, more), "-j4", seconds=FAKE_SECONDS)
    if run.summary["verdicts"]["error"] != count:
        raise BenchError(f"not every one of {count} targets ended with its QEMU: {run.summary}")
    return run


def fake_line(report, label, run, count):
    report.line(label, f"{count / run.wall:.0f} a second; {run.processor / count * 1000:.1f} ms of processor time each")


def qemu_alone(qemu, count):
    """Processor time in seconds of `count` times fork, exec and exit of the fake QEMU."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(["sh", "-c", f"i=0; while [ $i -lt {count} ]; do {qemu}; i=$((i + 1)); done"], check=True, timeout=600)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def many_fake(bench, report):
    """Every target ends with its fake QEMU, so this measures vmtest itself, including the worker's preparation.

    The limit is for a kernel whose modules have an index, as an installed one has. For one that is only unpacked, each worker
    checks some nine hundred directories for changes.
    """
    qemu = f"{bench.directory}/fake-qemu"
    subprocess.run(["cc", "-static", "-O2", "-x", "c", "-o", qemu, "-"], input=FAKE_QEMU.encode(), check=True, timeout=60)
    unpacked = f'qemu_command = "{qemu}"\nsandbox = false\ntemplate = false'
    fake_run(bench, "once", 1, unpacked)  # unpacks the kernel and builds the index
    time.sleep(SETTLE_SECONDS)
    views = glob.glob(f"{bench.cache}/modules/*/view")
    installed = f'{unpacked}\nmodules = "{views[0]}"' if views else unpacked
    few = FAKE_TARGETS // 10
    report.line("the fake QEMU alone", f"{qemu_alone(qemu, few) / few * 1000:.1f} ms of processor time each")
    fake_line(report, f"{few} targets", fake_run(bench, "few", few, installed), few)
    if views:
        fake_line(report, f"{few} targets, modules without index", fake_run(bench, "unpacked", few, unpacked), few)
    run = fake_run(bench, "fake", FAKE_TARGETS, installed)
    fake_line(report, f"{FAKE_TARGETS} targets", run, FAKE_TARGETS)
    report.limit("seconds for each target", run.wall / FAKE_TARGETS, 1 / FAKE_PER_SECOND, "%.4f", " s")
    tenth = len(run.memory_kb) // 10
    begin = statistics.median(run.memory_kb[tenth:2 * tenth])
    end = statistics.median(run.memory_kb[-2 * tenth:-tenth])
    report.line("the supervisor's memory", f"{begin:.0f} kB with a fifth of them done, {end:.0f} kB with nine tenths, "
                                           f"{max(run.memory_kb[-tenth:])} kB when the history is written")
    report.limit("added per target", (end - begin) / (FAKE_TARGETS * 7 // 10), FAKE_KB_PER_TARGET, "%.2f", " kB")
