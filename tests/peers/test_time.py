# SPDX-License-Identifier: Apache-2.0
"""Time that runs out, in the boot and in the command."""
import subprocess


def test_a_boot_without_hello_times_out(bench):
    finished = bench.run_json("boot_is_silent", "--boot-timeout", "1").expect(
        124, "timeout", "the boot took longer than 1 s", "--boot-timeout)")
    assert finished["stage"] == "boot"


def test_a_setup_that_never_ends_counts_as_boot(bench):
    finished = bench.run_json("setup_is_silent", "--boot-timeout", "1").expect(124, "timeout", "--boot-timeout)")
    assert finished["stage"] == "setup"


def test_a_console_that_is_flooded_does_not_stop_the_clock(bench):
    finished = bench.run_json("boot_floods_the_console", "--boot-timeout", "1").expect(124, "timeout", "--boot-timeout)")
    assert "the console never ends" in finished["console"]
    assert len(finished["console"]) < 1 << 20


def test_a_flood_that_nobody_reads_does_not_stop_the_clock(bench):
    """Standard error is a pipe that is full: the flood's lines go nowhere, yet the run ends once it is read."""
    process = bench.start("boot_floods_the_console", "--boot-timeout", "1")
    bench.wait_for_note("pid", process)
    try:
        process.wait(3)
    except subprocess.TimeoutExpired:
        pass
    result = bench.finish(process)
    assert result.status == 124
    assert b"--boot-timeout)" in result.stderr


def test_a_command_that_ignores_sigterm_times_out_all_the_same(bench):
    result = bench.run_json("command_ignores_signals", "--timeout", "1")
    result.expect(124, "timeout", "the command took longer than 1 s", "(--timeout)")
    assert result.output("stdout") == b"still here\n"
    assert bench.note("signalled").split()[0] == "15"


def test_kill_after_is_the_time_that_a_command_has_after_sigterm(bench, fast_clock):
    """A second of the command's is ten of vmtest's."""
    fast_clock(10)
    result = bench.run_json("command_ends_late_after_sigterm", "--timeout", "1", "--kill-after", "60")
    result.expect(124, "timeout", "the command took longer than 1 s")
    assert bench.note("signalled") == "15"
    assert result.output("stdout") == b"at last\n"


def test_a_command_that_ends_on_sigterm_has_timed_out_and_its_last_output_is_kept(bench):
    result = bench.run_json("command_honours_signals", "--timeout", "1")
    result.expect(124, "timeout", "the command took longer than 1 s")
    assert bench.note("signalled") == "15"
    assert result.output("stdout") == b"signal 15\n"


def test_a_command_within_its_time_passes(bench):
    bench.run_json("passes", "--timeout", "1h", "--boot-timeout", "1h").expect(0, "pass")


def test_a_command_whose_time_is_up_tells_what_its_guest_was_at(bench):
    """Before it is asked to end: afterwards the task that hangs is gone."""
    result = bench.run_json("command_honours_signals", "--timeout", "1")
    finished = result.expect(124, "timeout")
    assert finished["tasks"].splitlines()[0].endswith("sysrq: Show Blocked State")
    assert "task:stuck" in finished["tasks"] and "task:init" not in finished["tasks"]
    assert "sysrq" not in finished["console"]
    assert bench.note("broken") is None
    console = "".join(event.get("text", "") for event in result.events if event["event"] == "console")
    assert "task:init" in console


def test_a_guest_whose_agent_shows_no_tasks_is_asked_on_its_console(bench, fast_clock):
    fast_clock(10)
    finished = bench.run_json("agent_shows_no_tasks", "--timeout", "1").expect(124, "timeout")
    assert bench.note("keys") == "9tlw"
    assert bench.note("broken") == "console"
    assert "task:stuck" in finished["tasks"]


def test_a_guest_that_shows_its_tasks_to_nobody_is_told(bench, fast_clock):
    fast_clock(10)
    finished = bench.run_json("nobody_shows_tasks", "--timeout", "1").expect(124, "timeout")
    assert finished["tasks"] == ("the guest did not show its tasks (SysRq): neither its agent nor its "
                                 "console answers")


def test_a_boot_that_takes_all_of_the_runs_time_has_timed_out(bench):
    finished = bench.run_json("boot_is_silent", "--run-timeout", "1", "--boot-timeout", "1h").expect(
        124, "timeout", "the run took longer than 1 s (--run-timeout), while the guest booted")
    assert finished["stage"] == "boot"


def test_a_command_that_takes_all_of_the_runs_time_has_timed_out(bench):
    result = bench.run_json("command_honours_signals", "--run-timeout", "2", "--timeout", "1h")
    result.expect(124, "timeout", "the run took longer than 2 s (--run-timeout), while the command ran")
    assert bench.note("signalled") == "15"
    assert result.output("stdout") == b"signal 15\n"


def test_a_run_within_its_time_passes(bench):
    bench.run_json("passes", "--run-timeout", "1h").expect(0, "pass")
