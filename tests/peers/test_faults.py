# SPDX-License-Identifier: Apache-2.0
"""What can spoil a run from outside and is too rare, too slow or too dangerous to be done to a real machine."""
import fcntl
import os
import signal
import termios
import time

import pytest

from conftest import children, wait_until


# A QEMU that hangs.

@pytest.mark.parametrize("scenario, verdict, stage", [
    ("qmp_falls_silent_in_the_boot", "error", "boot"),
    ("qmp_falls_silent_during_the_command", "lost", "command"),
])
def test_a_qemu_that_answers_qmp_no_more_is_given_up_in_bounded_time(bench, fast_clock, scenario, verdict, stage):
    fast_clock(10)
    finished = bench.run_json(scenario).expect(69, verdict, "QEMU no longer answers: no reply to QMP in 30 s")
    assert finished["stage"] == stage
    assert int(bench.note("beats")) == 1


def test_a_qemu_that_never_greets_is_an_error_in_bounded_time(bench, fast_clock):
    fast_clock(20)
    bench.run_json("qmp_hangs_before_it_greets").expect(69, "error", "QEMU no longer answers: no greeting by QMP")


def test_a_qemu_that_is_stopped_is_given_up_in_bounded_time(bench, fast_clock):
    fast_clock(10)
    process = bench.start("as_told", command=("hang",), json_format=True)
    qemu = int(bench.wait_for_note("hanging", process))
    os.kill(qemu, signal.SIGSTOP)
    bench.finish(process).expect(69, "lost", "QEMU no longer answers: no reply to QMP in 30 s")


@pytest.mark.parametrize("scenario", ["qmp_answers_late", "qmp_answers_with_errors"])
def test_a_qemu_that_answers_somehow_is_alive(bench, fast_clock, scenario):
    fast_clock(10)
    bench.run_json(scenario).expect(0, "pass")
    assert int(bench.note("beats")) >= 3


# A guest that hangs.

def test_lost_after_is_how_long_a_guest_may_leave_a_ping_unanswered(bench, fast_clock):
    fast_clock(5)
    bench.run_json("guest_locks_up", "--lost-after", "2s", "--accel", "tcg").expect(
        69, "lost", "the guest no longer answers: no reply to a ping in 2 s")


def test_what_a_guest_wrote_before_it_locked_up_arrives(bench, fast_clock):
    fast_clock(5)
    result = bench.run_json("guest_locks_up", "--lost-after", "2s")
    result.expect(69, "lost", "no reply to a ping")
    assert result.output("stdout") == b"".join(b"line %d\n" % i for i in range(20000))


def test_output_is_a_sign_of_life(bench, fast_clock):
    """The answer to the ping comes late, behind output that never ceases."""
    fast_clock(10)
    bench.run_json("guest_writes_and_answers_late", "--lost-after", "20s").expect(0, "pass")
    assert bench.note("pinged") is not None


def test_an_answer_to_an_older_ping_does_not_dispel_a_panic(bench, fast_clock):
    fast_clock(10)
    bench.run_json("panic_behind_an_answer", timeout=40).expect(69, "panic", "Attempted to kill init!")


@pytest.mark.parametrize("plan", [{"end": True}, {}, {"reset": True}], ids=["last line", "no last line", "reset"])
def test_a_panic_that_a_ping_was_answered_in_the_middle_of_is_one(bench, fast_clock, plan):
    fast_clock(3)
    bench.plan(**plan)
    bench.run_json("panic_that_is_answered_while_it_is_written", timeout=40).expect(
        69, "panic", "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100")


def test_the_panic_is_told_by_its_own_line_not_by_one_that_somebody_wrote_before(bench, fast_clock):
    fast_clock(3)
    bench.run_json("panic_after_a_line_that_reads_like_one", timeout=40).expect(69, "panic", "sysrq triggered crash")


def test_lines_of_a_panic_that_never_cease_are_none_while_the_guest_answers(bench):
    bench.run_json("panic_lines_faster_than_answers").expect(7, "fail")


def test_a_panic_among_lines_that_read_like_one_is_one(bench):
    bench.plan(panic=True)
    bench.run_json("panic_lines_faster_than_answers", timeout=40).expect(69, "panic", "sysrq triggered crash")


def test_a_panic_right_behind_a_feigned_one_is_one(bench):
    """The answer to what was asked about the first tells nothing of the second."""
    bench.run_json("panic_right_behind_a_feigned_one", timeout=40).expect(69, "panic", "sysrq triggered crash")


def test_a_panic_that_ends_in_silence_is_one(bench, fast_clock):
    fast_clock(5)
    bench.run_json("panic_that_ends_in_silence").expect(69, "panic", "Attempted to kill init!")


def test_a_panic_before_the_files_are_written_back_outranks_their_loss(bench):
    bench.run_json("panic_after_the_commands_end", timeout=40).expect(69, "panic", "Attempted to kill init!")


# Another kernel.

@pytest.mark.parametrize("line", ["kexec_core: Starting new kernel", "Linux version 6.1.0-99-amd64 (gcc) #1"])
def test_a_guest_that_starts_another_kernel_is_lost_and_it_is_said_so(bench, fast_clock, line):
    fast_clock(10)
    bench.plan(line=line)
    bench.run_json("kexec", timeout=40).expect(69, "lost", "the guest started another kernel (kexec)")


@pytest.mark.parametrize("line", ["kexec_core: Starting new kernel", "Linux version 6.1.0-99-amd64 (gcc) #1"])
def test_a_line_that_only_reads_like_another_kernels_start_is_none(bench, fast_clock, line):
    fast_clock(4)
    bench.plan(line=line)
    bench.run_json("kexec_is_only_a_line", timeout=40).expect(0, "pass")


# Time that is up.

@pytest.mark.parametrize("scenario", ["qemu_dies_on_sigterm", "garbage_on_sigterm"])
def test_a_timeout_outranks_what_gets_lost_behind_it(bench, scenario):
    bench.run_json(scenario, "--timeout", "1", "--kill-after", "1h").expect(124, "timeout", "longer than 1 s")


def processor_time(pid):
    with open(f"/proc/{pid}/stat") as file:
        return sum(map(int, file.read().rpartition(")")[2].split()[11:13])) / os.sysconf("SC_CLK_TCK")


def test_a_command_that_has_time_to_end_is_waited_for_without_work(bench):
    """The vmtest that waits has questions open that are answered no more."""
    process = bench.start("panic_that_ends_in_silence", "--timeout", "1", "--kill-after", "5s", json_format=True)
    bench.wait_for_note("signalled", process)
    (worker,) = children(process.pid)
    time.sleep(2)
    before = processor_time(worker)
    time.sleep(4)
    assert processor_time(worker) - before < 0.4
    bench.finish(process).expect(124, "timeout")


# The user.

@pytest.mark.parametrize("options, command", [((), "hang"), (("--format", "json"), "hang")], ids=["plain", "json"])
def test_a_terminal_that_goes_away_cancels_the_run(bench, options, command):
    master, slave = os.openpty()
    process = bench.start("as_told", *options, command=(command,), stdin=slave, stdout=slave, stderr=slave,
                          preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
    os.close(slave)
    bench.wait_for_note("hanging", process)
    os.close(master)
    assert process.wait(20) == 129
    assert wait_until(lambda: not bench.processes(), 2), bench.processes()
    assert os.listdir(bench.scratch) == []


# The host.

def test_a_host_clock_that_jumps_has_no_say_in_how_long_anything_takes(bench, fast_clock):
    """Each look at the time of day is years from the last one, forwards and backwards."""
    fast_clock(5, jumping=True)
    bench.plan(clock_error=20 * 365 * 24 * 3600)
    finished = bench.run_json("waits_for_two_pings", "--boot-timeout", "60", "--timeout", "60", timeout=80).expect(
        0, "pass")
    assert sum(finished["durations"].values()) < 60
    bench.run_json("boot_is_silent", "--boot-timeout", "1").expect(124, "timeout", "longer than 1 s")
