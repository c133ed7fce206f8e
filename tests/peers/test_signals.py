# SPDX-License-Identifier: Apache-2.0
"""Signals: to vmtest, to its worker. Whatever is ended, QEMU is gone within two seconds (Bench.check)."""
import os
import signal
import time

import pytest

from conftest import children, wait_until


def start_hanging(bench, **keywords):
    """A run whose command never ends, and that has come to its command."""
    process = bench.start("as_told", command=("hang",), **keywords)
    bench.wait_for_note("hanging", process)
    assert int(bench.note("pid")) in bench.processes()
    return process


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_to_vmtest_cancels_the_run(bench, number, status):
    process = start_hanging(bench, json_format=True)
    process.send_signal(number)
    bench.finish(process, 20).expect(status, "cancelled")


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_during_the_boot_cancels_the_run(bench, number, status):
    process = bench.start("boot_is_silent", json_format=True)
    bench.wait_for_note("pid", process)
    process.send_signal(number)
    bench.finish(process, 20).expect(status, "cancelled")


def test_a_hangup_is_nothing_to_a_run_that_was_started_to_survive_it(bench):
    process = start_hanging(bench, json_format=True,
                            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    process.send_signal(signal.SIGHUP)
    time.sleep(1)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    bench.finish(process, 20).expect(143, "cancelled")


def test_a_signal_while_output_flows_cancels_the_run(bench):
    process = bench.start("endless_output")
    bench.wait_for_note("running", process)
    process.send_signal(signal.SIGINT)
    assert bench.finish(process, 20).status == 130


def test_a_signal_while_nobody_reads_the_output_cancels_the_run_at_the_second_time(bench):
    """The pipe is full and stays so: the first signal stops the run, the second the writing."""
    process = bench.start("endless_output")
    bench.wait_for_note("waiting", process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    assert wait_until(lambda: not bench.processes(), 2), bench.processes()


def test_a_second_signal_ends_a_worker_that_does_not_react(bench):
    process = start_hanging(bench, json_format=True)
    (worker,) = children(process.pid)
    os.kill(worker, signal.SIGSTOP)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    bench.finish(process, 20).expect(130, "cancelled")


def test_two_signals_at_once_cancel_the_run(bench):
    process = start_hanging(bench)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    assert bench.finish(process, 20).status in (130, 143)


def test_a_vmtest_that_is_killed_takes_worker_and_qemu_along(bench):
    process = start_hanging(bench)
    process.kill()
    assert process.wait(20) == -signal.SIGKILL
    assert wait_until(lambda: not bench.processes(), 2), bench.processes()


def test_a_vmtest_that_is_killed_while_output_flows_takes_worker_and_qemu_along(bench):
    process = bench.start("endless_output")
    bench.wait_for_note("waiting", process)
    process.kill()
    assert process.wait(20) == -signal.SIGKILL
    assert wait_until(lambda: not bench.processes(), 2), bench.processes()


def test_killing_vmtest_and_its_worker_takes_qemu_along(bench):
    process = start_hanging(bench)
    (worker,) = children(process.pid)
    os.kill(process.pid, signal.SIGSTOP)
    os.kill(worker, signal.SIGKILL)
    process.kill()
    assert process.wait(20) == -signal.SIGKILL
    assert wait_until(lambda: not bench.processes(), 2), bench.processes()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_a_worker_that_is_killed_is_an_error(bench, number):
    # A sanitizer would make an exit of a crash.
    bench.env["ASAN_OPTIONS"] = bench.env.get("ASAN_OPTIONS", "") + ":handle_segv=0:handle_abort=0"
    process = start_hanging(bench, json_format=True)
    (worker,) = children(process.pid)
    os.kill(worker, number)
    bench.finish(process, 20).expect(69, "error", f"signal {int(number)}")
