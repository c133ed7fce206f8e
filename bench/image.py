# SPDX-License-Identifier: Apache-2.0
"""A Debian image with systemd: booted from scratch, the run that makes its template, and warm runs.

All image measurements share one loop, because an emulated boot takes a minute.
"""
import base64
import re
import statistics
import sys
from dataclasses import dataclass, field

from harness import IMAGE_SECONDS, BenchError, stages_line

LIMIT_FIRST_OUTPUT = 1.1
LIMIT_EXIT_MS = 300
LIMIT_WARM = 0.05
LIMIT_MAKING = 1.15
ANSI = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")
AGENT_STARTED = re.compile(rb"Started .{0,3}qemu-guest-agent\.service")
TAIL = 512
# Warm runs after each run that makes a template.
WARM_RUNS = 2
COMMAND = "echo done"


@dataclass
class Loop:
    """The runs of each kind."""

    cold: list = field(default_factory=list)
    making: list = field(default_factory=list)
    warm: list = field(default_factory=list)


def console_says(run, pattern):
    """
    The time at which the console showed the pattern, or None. udev may find the agent's port only after systemd has reported
    the end of the boot; the start of the agent's unit is not shown then.
    """
    tail = b""
    for event in run.events:
        if event["event"] != "console":
            continue
        data = event["text"].encode() if "text" in event else base64.b64decode(event["base64"])
        tail = (tail + data)[-TAIL - len(data):]
        if pattern.search(ANSI.sub(b"", tail)):
            return event["time"]
    return None


def loop_of(bench):
    if bench.image_loop:
        return bench.image_loop
    loop = Loop()
    argv = [bench.vmtest, "-i", bench.image, *bench.machine]

    def add(runs, flags, template):
        runs.append(bench.vmtest_run([*argv, *flags, COMMAND], template, IMAGE_SECONDS))
        print(f"image: a run of {runs[-1].seconds:.1f} s", file=sys.stderr, flush=True)

    for _ in range(bench.image_runs):
        add(loop.cold, ["--no-template"], False)
        if bench.wants("template-image"):
            bench.forget_templates()
            add(loop.making, [], False)
            for _ in range(WARM_RUNS):
                add(loop.warm, [], True)
    bench.forget_templates()
    bench.image_loop = loop
    return loop


def image_output(bench, report):
    runs = loop_of(bench).cold
    pairs = [(run.first_output - run.stage("boot"), shown - run.stage("boot"))
             for run, shown in ((run, console_says(run, AGENT_STARTED)) for run in runs) if shown]
    if not pairs:
        raise BenchError("no run's console showed that the guest agent was started")
    if len(pairs) < len(runs):
        report.line("left out", f"{len(runs) - len(pairs)} of {len(runs)} runs, whose console never showed the agent")
    report.values("QEMU's start to the first output", [ours for ours, _ in pairs], "%.2f", "s")
    report.values("... to the console's agent started", [theirs for _, theirs in pairs], "%.2f", "s")
    ratios = [ours / theirs for ours, theirs in pairs]
    report.values("ratios of the runs", ratios, "%.3f", "")
    report.limit("median ratio", statistics.median(ratios), LIMIT_FIRST_OUTPUT)


def image_exit(bench, report):
    ends = [(run.seconds - run.last_output) * 1000 for run in loop_of(bench).cold]
    own = [run.parts()[-1][1] * 1000 for run in loop_of(bench).cold]
    report.values("last output to vmtest's exit", ends, "%.0f", "ms")
    report.values("of it after the report of the end", own, "%.0f", "ms")
    report.limit("median", statistics.median(ends), LIMIT_EXIT_MS, "%.0f", " ms")


def template_image(bench, report):
    loop = loop_of(bench)
    cold = statistics.median(run.seconds for run in loop.cold)
    warm = statistics.median(run.seconds for run in loop.warm)
    making = statistics.median(run.seconds for run in loop.making)
    report.values("cold", [run.seconds for run in loop.cold], "%.2f", "s")
    report.line("cold, stages", stages_line(loop.cold))
    report.values("cold, and makes the template", [run.seconds for run in loop.making], "%.2f", "s")
    report.line("makes the template, stages", stages_line(loop.making))
    report.values("warm", [run.seconds for run in loop.warm], "%.2f", "s")
    report.line("warm, stages", stages_line(loop.warm))
    report.limit("warm against cold", warm / cold, LIMIT_WARM, "%.3f")
    report.limit("making the template against cold", making / cold, LIMIT_MAKING)
