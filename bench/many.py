# SPDX-License-Identifier: Apache-2.0
"""Many targets: what the scheduler makes of two cores, and what the supervisor and the sinks take for each target."""
import json
import os
import resource
import subprocess
import time

from harness import BenchError

SHORT_TARGETS, SHORT_LIMIT = 40, 1.15
FAKE_TARGETS, FAKE_PER_SECOND = 10000, 500
# The supervisor keeps the list, the plan and the history: by target, some hundred bytes of each.
FAKE_KB_PER_TARGET = 4
FAKE_SECONDS = 3600
FAKE_QEMU = "int main(void) { return 1; }\n"
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
            self.peak_kb = peak_memory(process, seconds)
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


def peak_memory(process, seconds):
    """Waits for the end; the largest resident size of the supervisor itself that was seen, in kB."""
    peak, deadline = 0, time.monotonic() + seconds
    while process.poll() is None:
        if time.monotonic() > deadline:
            process.kill()
            process.wait()
            raise BenchError(f"not done after {seconds} s")
        try:
            with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
                peak = max([peak, *(int(line.split()[1]) for line in file if line.startswith("VmHWM:"))])
        except OSError:
            pass
        time.sleep(0.02)
    return peak


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


def many_fake(bench, report):
    """Every target ends with its fake QEMU, so that what is measured is vmtest: the worker's preparation included."""
    qemu = f"{bench.directory}/fake-qemu"
    subprocess.run(["cc", "-static", "-O2", "-x", "c", "-o", qemu, "-"], input=FAKE_QEMU.encode(), check=True, timeout=60)
    more = f'qemu_command = "{qemu}"\nsandbox = false\ntemplate = false'
    few = directory_of(bench, "few", FAKE_TARGETS // 10, bench.kernel, more)
    all_of_them = directory_of(bench, "fake", FAKE_TARGETS, bench.kernel, more)
    peaks = [Many(bench, path, "-j4", seconds=FAKE_SECONDS) for path in (few, all_of_them)]
    for run, count in zip(peaks, (FAKE_TARGETS // 10, FAKE_TARGETS)):
        if run.summary["verdicts"]["error"] != count:
            raise BenchError(f"not every one of {count} targets ended with its QEMU: {run.summary}")
    report.line(f"{FAKE_TARGETS} targets", f"{peaks[1].wall:.0f} s, {peaks[1].processor:.0f} s of processor time, "
                                           f"{FAKE_TARGETS / peaks[1].wall:.0f} a second")
    report.limit("seconds for each target", peaks[1].wall / FAKE_TARGETS, 1 / FAKE_PER_SECOND, "%.4f", " s")
    report.line("the supervisor's memory", f"{peaks[0].peak_kb} kB with {FAKE_TARGETS // 10} targets, "
                                           f"{peaks[1].peak_kb} kB with all")
    growth = (peaks[1].peak_kb - peaks[0].peak_kb) / (FAKE_TARGETS - FAKE_TARGETS // 10)
    report.limit("what one more target adds", growth, FAKE_KB_PER_TARGET, "%.2f", " kB")
