# SPDX-License-Identifier: Apache-2.0
"""Several targets in one vmtest.toml: what happens to one does not touch the others."""
import os
import signal

import pytest

from conftest import FAKE, children, wait_until


def write(bench, targets):
    """A vmtest.toml of (name, command, scenario)."""
    text = "".join(f"[[target]]\nname = '{name}'\nkernel = '{bench.kernel}'\nkernel_args = 'fake={scenario}'\n"
                   f"command = '{command}'\nqemu_command = '{FAKE}'\naccel = 'tcg'\n"
                   for name, command, scenario in targets)
    (bench.share / "vmtest.toml").write_text(text)


def verdicts(result):
    return {name: event["verdict"] for name, event in result.finished.items()}


@pytest.mark.parametrize("commands, status", [
    (["exit 0", "exit 0", "exit 0"], 0),
    (["exit 0", "exit 42", "exit 0"], 1),
    (["exit 3", "signal 9", "exit 0"], 2),
    (["exit 3", "signal 9", "exit 255"], 3),
])
def test_the_exit_status_is_the_number_that_did_not_pass(bench, commands, status):
    write(bench, [(f"t{i}", command, "as_told") for i, command in enumerate(commands)])
    result = bench.finish(bench.start_vmtest(["--format", "json"]))
    assert result.status == status
    assert sum(verdict != "pass" for verdict in verdicts(result).values()) == status
    summary = result.events[-1]
    assert (summary["event"], summary["targets"], summary["not_passed"]) == ("summary", 3, status)


def test_faults_of_one_target_leave_the_others_alone(bench):
    write(bench, [("dies", "x", "qemu_is_killed_after_hello"), ("talks nonsense", "x", "garbage_during_the_command"),
                  ("panics", "x", "panic_with_pvpanic"), ("is fine", "exit 0", "as_told")])
    result = bench.finish(bench.start_vmtest(["--format", "json"]))
    assert verdicts(result) == {"dies": "lost", "talks nonsense": "lost", "panics": "panic", "is fine": "pass"}
    assert result.status == 3


def test_one_target_after_filtering_has_the_exit_status_of_a_single_run(bench):
    write(bench, [("first", "exit 1", "as_told"), ("second", "exit 42", "as_told")])
    result = bench.finish(bench.start_vmtest(["--format", "json", "-f", "second"]))
    result.expect(42, "fail")


def test_a_worker_that_is_killed_costs_only_its_own_target(bench):
    write(bench, [("killed", "hang", "as_told"), ("next", "exit 0", "as_told")])
    process = bench.start_vmtest(["--format", "json", "-j1"])
    qemu = int(bench.wait_for_note("hanging", process))
    (worker,) = children(process.pid)
    os.kill(worker, signal.SIGKILL)
    assert wait_until(lambda: qemu not in bench.processes(), 2)
    result = bench.finish(process)
    assert verdicts(result) == {"killed": "error", "next": "pass"}
    assert "signal 9" in result.finished["killed"]["reason"]
    assert result.status == 1


def test_a_signal_cancels_the_running_target_and_those_that_follow(bench):
    write(bench, [("first", "exit 0", "as_told"), ("running", "hang", "as_told"), ("never", "exit 0", "as_told")])
    process = bench.start_vmtest(["--format", "json", "-j1"])
    bench.wait_for_note("hanging", process)
    process.send_signal(signal.SIGTERM)
    result = bench.finish(process)
    assert verdicts(result) == {"first": "pass", "running": "cancelled", "never": "cancelled"}
    assert result.finished["never"]["reason"] == "not started"
    assert result.status == 143


def test_a_person_sees_which_target_failed(bench):
    write(bench, [("good", "exit 0", "as_told"), ("bad", "exit 7", "as_told")])
    result = bench.finish(bench.start_vmtest(["-j1"]))
    lines = result.stdout.decode().splitlines()
    assert lines.index("=> good") < lines.index("PASS") < lines.index("=> bad")
    assert lines.index("=> bad") < lines.index("Command failed with exit code: 7") < lines.index("FAILED")
    assert result.status == 1
