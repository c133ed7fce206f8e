# SPDX-License-Identifier: Apache-2.0
"""How a command ends, and what vmtest makes of a QEMU that does not end well."""
import signal

import pytest

from conftest import FAKE


def test_a_command_that_exits_with_zero_passes(bench):
    result = bench.run_json("passes")
    finished = result.expect(0, "pass")
    assert finished["reason"] == ""
    assert finished["stage"] == "command"
    assert finished["kernel"] == "6.1.0-fake"
    assert [event["stage"] for event in result.events if event["event"] == "stage"] == ["prepare", "boot", "setup", "command"]


@pytest.mark.parametrize("code", [1, 42, 255])
def test_the_exit_code_arrives_exactly(bench, code):
    bench.run_json("as_told", command=("exit", str(code))).expect(code, "fail", f"exited with code {code}")


@pytest.mark.parametrize("number, status", [(9, 137), (15, 143), (1, 129)])
def test_a_signal_that_ended_the_command_adds_128(bench, number, status):
    bench.run_json("as_told", command=("signal", str(number))).expect(status, "signal", f"signal {number}")


def test_a_person_is_told_the_code_and_the_signal(bench):
    assert b"Command failed with exit code: 42\n" in bench.run("as_told", command=("exit", "42")).stderr
    assert b"Command was ended by signal: 9 (SIGKILL)\n" in bench.run("as_told", command=("signal", "9")).stderr


def test_the_words_behind_the_dashes_and_the_environment_arrive_exactly(bench):
    bench.env["PEERS_TEST"] = "a b\n$x"
    result = bench.run("environment", command=("prog", "a b", "", "-k", "'"))
    assert result.stdout == b"['prog', 'a b', '', '-k', \"'\"]\na b\n$x"
    assert result.status == 0


def test_qemu_that_hangs_after_the_end_is_ended(bench):
    bench.run_json("exits_and_hangs").expect(3, "fail")


def test_qemu_that_goes_before_the_files_are_written_back_is_lost(bench):
    bench.run_json("exits_and_qemu_goes").expect(69, "lost", "before its files were written back")


def test_a_guest_that_never_writes_its_files_back_is_lost(bench, fast_clock):
    fast_clock(10)
    bench.run_json("exits_and_never_syncs", timeout=150).expect(69, "lost", "write its files back")


# QEMU itself.

def test_qemu_that_exits_at_once_is_an_error_with_its_own_message(bench):
    finished = bench.run_json("qemu_exits_at_once").expect(
        69, "error", "QEMU exited with status 1", "'nonsense' is not a valid device model name")
    assert "\n" not in finished["reason"]
    assert finished["stage"] == "boot"


def test_a_person_sees_the_message_of_qemu_as_well(bench):
    result = bench.run("qemu_exits_at_once")
    assert result.status == 69
    assert b"'nonsense' is not a valid device model name" in result.stderr
    assert result.stdout == b""


def test_qemu_that_exits_at_once_without_a_word_is_an_error(bench):
    bench.run_json("qemu_exits_without_a_word").expect(69, "error", "QEMU exited with status 0")


def test_qemu_that_fails_an_assertion_is_lost_with_its_last_words(bench):
    bench.run_json("qemu_asserts").expect(69, "lost", "signal 6", "Assertion `false' failed")


def test_qemu_killed_before_hello_is_an_error(bench):
    bench.run_json("qemu_is_killed_before_hello").expect(69, "error", "QEMU was killed by signal 9")


def test_qemu_killed_after_hello_is_lost(bench):
    finished = bench.run_json("qemu_is_killed_after_hello").expect(69, "lost", "QEMU was killed by signal 9")
    assert finished["stage"] == "command"


def test_qemu_that_crashes_is_lost_and_what_the_command_wrote_is_kept(bench):
    result = bench.run_json("qemu_crashes")
    result.expect(69, "lost", "QEMU was killed by signal 11")
    assert result.output("stdout") == b"the last words of the command\n"


def test_qemu_that_floods_its_standard_error_is_still_judged_by_its_last_words(bench):
    finished = bench.run_json("qemu_floods_its_stderr").expect(69, "error", "the reason")
    assert len(finished["reason"]) < 100_000


def test_how_qemu_ended_is_known_whoever_started_vmtest_does_with_its_children(bench):
    process = bench.start("qemu_is_killed_before_hello", json_format=True,
                          preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    bench.finish(process).expect(69, "error", "QEMU was killed by signal 9")


@pytest.mark.parametrize("scenario, status", [("exits_and_hangs", 3), ("qemu_is_killed_after_hello", 69)])
def test_a_script_that_starts_qemu_as_its_child_takes_it_along(bench, scenario, status):
    script = bench.share / "qemu"
    script.write_text(f'#!/bin/sh\n{FAKE} "$@"\nexit 5\n')
    script.chmod(0o755)
    assert bench.run(scenario, "-q", str(script)).status == status


@pytest.mark.parametrize("name, words", [
    ("/nonexistent/qemu", "/nonexistent/qemu"),
    ("/", "'/' is a directory"),
    ("/etc/passwd", "/etc/passwd"),
    ("no-such-qemu", "no 'no-such-qemu' on PATH"),
])
def test_a_qemu_that_cannot_be_run_is_an_error_that_names_it(bench, name, words):
    bench.run_json("passes", "-q", name).expect(69, "error", words)


def test_a_qemu_of_another_format_is_an_error(bench):
    program = bench.share / "qemu"
    program.write_bytes(b"\x7fELF nonsense")
    program.chmod(0o755)
    bench.run_json("passes", "-q", str(program)).expect(69, "error", f"cannot run QEMU '{program}'")


# QMP.

def test_a_qemu_that_is_too_old_is_an_error_that_names_both_versions(bench):
    bench.run_json("qmp_is_too_old").expect(69, "error", "6.2.0 is too old", "7.0")


def test_garbage_on_qmp_is_an_error(bench):
    bench.run_json("qmp_sends_garbage").expect(69, "error", "QMP")


def test_garbage_on_qmp_during_the_command_is_lost(bench):
    bench.run_json("qmp_sends_garbage_during_the_command").expect(69, "lost", "QMP")


def test_a_line_on_qmp_that_never_ends_is_an_error(bench):
    bench.run_json("qmp_sends_a_line_without_end").expect(69, "error", "QMP: a line of over")


def test_a_silent_qmp_does_not_matter_while_the_agent_works(bench):
    bench.run_json("qmp_never_greets").expect(0, "pass")


def test_a_qmp_that_closes_does_not_matter_while_the_agent_works(bench):
    bench.run_json("qmp_closes").expect(0, "pass")


def test_events_and_errors_on_qmp_in_between_do_not_matter(bench):
    bench.run_json("qmp_sends_events_in_between").expect(0, "pass")


@pytest.mark.parametrize("scenario, words", [
    ("guest_powers_off", "the guest powered off during the command"),
    ("guest_reboots", "the guest rebooted during the command"),
])
def test_a_guest_that_goes_during_the_command_is_lost_and_it_is_said_how(bench, scenario, words):
    bench.run_json(scenario).expect(69, "lost", words)


def test_a_guest_that_powers_off_before_hello_is_an_error(bench):
    bench.run_json("guest_powers_off_in_boot").expect(69, "error", "the guest powered off during the boot")
