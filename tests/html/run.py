# SPDX-License-Identifier: Apache-2.0
"""Made-up runs, as JSON reports, out of which `vmtest merge` makes HTML reports."""

KERNELS = [f"vmlinuz-{release}" for release in ("5.10.0-32-amd64", "6.1.0-44-amd64", "6.12.30-amd64", "7.0.2-amd64")]
REASONS = {
    "pass": "", "flaky": "passed at attempt 2 of 3", "fail": "the command exited with code 3", "signal": "",
    "timeout": "the command ran for longer than 60 s", "panic": "Kernel panic - not syncing: Fatal exception",
    "lost": "QEMU was ended by signal 9", "error": "kernel 'x': No such file or directory",
    "cancelled": "stopped by SIGINT", "skipped": "another target had not passed",
}
GOOD = ("pass", "flaky")
STAGES = ("prepare", "boot", "setup", "command")
SECOND = 1_000_000_000
OOPS = """BUG: kernel NULL pointer dereference, address: 0000000000000000
#PF: supervisor write access in kernel mode
CPU: 0 PID: 123 Comm: xdp_prog Not tainted 6.1.0-44-amd64 #1
Call Trace:
 <TASK>
 veth_xdp_rcv_one+0x1b2/0x3d0 [veth]
 __napi_poll+0x28/0x160
 </TASK>
"""


def target(name, verdict="pass", *, axes=(), slot=0, start=0.0, seconds=4.0, **more):
    """A target as docs/report-format.md says; `more` replaces members of it and, in `result`, of its result."""
    begin = max(1, int(start * SECOND))
    ran = verdict not in ("skipped",)
    spans = dict(zip(STAGES, (0.02 * seconds, 0.3 * seconds, 0.1 * seconds, 0.58 * seconds)))
    starts, at = {}, begin
    for stage, length in spans.items():
        starts[stage] = at if ran else 0
        at += int(length * SECOND)
    result = {
        "verdict": verdict, "detail": {"fail": 3, "signal": 11}.get(verdict, 0), "status": 0, "reason": REASONS[verdict],
        "stage": "command", "stages_nsec": {stage: int(length * SECOND) if ran else 0 for stage, length in spans.items()},
        "accel": "tcg" if ran else "", "kernel": "6.1.0-44-amd64" if ran else "", "kernel_xxh128": "",
        "qemu": "7.2.22" if ran else "", "user_usec": 420000, "system_usec": 110000, "max_rss_kib": 5120, "findings": [],
        "more_findings": 0, "subresult_counts": {"pass": 0, "fail": 0, "skip": 0, "todo": 0}, "tasks": "",
    }
    result.update(more.pop("result", {}))
    return {
        "name": name, "target": name, "axes": [{"name": key, "value": value} for key, value in axes], "slot": slot,
        "shard": 1, "start_nsec": begin if ran else 0, "end_nsec": at if ran else 0, "stage_starts_nsec": starts,
        "from_template": False, "attempts": [], "finished": True, "result": result, "subresults": [],
        "console": f"[    0.000000] Linux version 6.1.0\n[    1.204211] Run /init as init process\nconsole of {name}\n",
        "output": f"output of {name}\nok 1\n", "again": f"vmtest -f '^{name}$'", "artifacts": "", **more}


def report(targets, slots=2):
    verdicts = [target["result"]["verdict"] for target in targets]
    n_not_passed = sum(verdict not in GOOD for verdict in verdicts)
    return {
        "format": "vmtest report", "version": 1, "list": "0123456789abcdef0123456789abcdef", "shard": {"index": 1, "count": 1}, "seed": None,
        "slots": slots, "started_at_usec": 1_790_000_000_000_000,
        "summary": {"targets": len(targets), "verdicts": {verdict: verdicts.count(verdict) for verdict in REASONS},
                    "not_passed": n_not_passed, "status": min(n_not_passed, 125),
                    "nsec": max((target["end_nsec"] for target in targets), default=0)},
        "targets": targets}


def twelve():
    """Four kernels by three tests: each verdict at least once, and all that can be said of a target."""
    verdicts = ["pass", "fail", "pass", "flaky", "pass", "panic", "timeout", "signal", "lost", "error", "skipped", "cancelled"]
    free = [0.0, 0.0]
    targets = []
    for index, verdict in enumerate(verdicts):
        kernel, test = KERNELS[index // 3], ("xdp", "tc", "lsm")[index % 3]
        slot = free.index(min(free))
        seconds = 3 + index * 7 % 5
        more = {}
        if verdict == "flaky":
            more["attempts"] = [{"verdict": "timeout", "reason": "timeout: the command ran for longer than 2 s",
                                 "start_nsec": int(free[slot] * SECOND), "end_nsec": int((free[slot] + 2) * SECOND)}]
            free[slot] += 2
        if verdict == "fail":
            more["subresults"] = [
                {"name": f"xdp / case {number}", "status": status, "message": message, "output": output,
                 "nsec": 12_000_000 * number}
                for number, (status, message, output) in enumerate([
                    ("pass", "", ""), ("fail", "expected 3 packets, got 2", "# packet 1\n# packet 2\n"),
                    ("skip", "no such device", ""), ("todo", "not there yet", ""), ("pass", "", "")])]
            more["result"] = {"subresult_counts": {"pass": 2, "fail": 1, "skip": 1, "todo": 1}}
        if verdict in ("panic", "pass") and index in (5, 4):
            more["result"] = {"findings": [{"kind": "oops", "title": OOPS.split("\n")[0], "text": OOPS}]}
        if verdict == "timeout":
            more["result"] = {"tasks": "task:mount state:D stack:0 pid:201\n  io_schedule+0x46/0x80\n"}
        targets.append(target(f"load on {kernel}: {test}", verdict, axes=[("kernel", kernel), ("test", test)], slot=slot,
                              start=free[slot], seconds=seconds, **more))
        if verdict != "skipped":
            free[slot] += seconds + 0.1
    return report(targets)


def many(count=500, tail=4000):
    """Kernels by images by tests, on eight slots, with long tails; one in 25 fails."""
    free = [0.0] * 8
    targets = []
    for index in range(count):
        kernel, image, test = KERNELS[index % 4], ("debian12", "mini")[index // 4 % 2], f"test-{index // 8:02}"
        slot = free.index(min(free))
        seconds = 1 + index * 13 % 7
        verdict = "fail" if index % 25 == 7 else "timeout" if index % 125 == 60 else "pass"
        name = f"{test} in {image} on {kernel}"
        targets.append(target(name, verdict, axes=[("kernel", kernel), ("image", image), ("test", test)], slot=slot,
                              start=free[slot], seconds=seconds,
                              output="".join(f"line {line} of {index}\n" for line in range(tail // 16))))
        free[slot] += seconds + 0.1
    return report(targets, slots=8)
