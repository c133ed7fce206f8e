# SPDX-License-Identifier: Apache-2.0
"""The command's output and input: every byte, both streams apart, and no more memory than was agreed on."""
import hashlib
import os
import subprocess
import time
import zlib

import pytest

from conftest import PATIENCE, Result, children, wait_until
from fake_qemu import patterned


def peak_memory(pid):
    """VmHWM of a process in bytes."""
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:"))


def reset_peak(pid):
    with open(f"/proc/{pid}/clear_refs", "w") as file:
        file.write("5")


def processes_of_vmtest(process):
    """vmtest and its worker."""
    workers = children(process.pid)
    assert len(workers) == 1
    return [process.pid, workers[0]]


@pytest.mark.parametrize("seed", range(4))
def test_arbitrary_bytes_in_odd_frames_arrive_exactly(bench, seed):
    result = bench.run("odd_output", command=(str(seed),))
    assert result.status == 0
    assert result.stdout == bytes.fromhex(bench.note("stdout"))
    head, separator, rest = result.stderr.partition(b"===> Running command\n")
    assert separator and rest == bytes.fromhex(bench.note("stderr"))


def test_arbitrary_bytes_arrive_exactly_in_json_too(bench):
    result = bench.run_json("odd_output", command=("9",))
    result.expect(0, "pass")
    assert result.output("stdout") == bytes.fromhex(bench.note("stdout"))
    assert result.output("stderr") == bytes.fromhex(bench.note("stderr"))


def test_a_slow_reader_slows_the_writer_and_loses_nothing(bench, sanitized):
    """Nothing is read until the guest has no more credit; then all of it."""
    if sanitized:
        bench.env["ASAN_OPTIONS"] = bench.env.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"
    process = bench.start("much_output", stderr=subprocess.DEVNULL)
    bench.wait_for_note("running", process)
    pids = processes_of_vmtest(process)
    for pid in pids:
        reset_peak(pid)
    bench.tell("go")

    bench.wait_for_note("waiting", process)
    held = -1
    while held != (held := int(bench.note("waiting"))):
        time.sleep(1)
    assert held < 8 << 20, f"{held} bytes were taken from the guest though nobody reads"

    digest = hashlib.sha256()
    received = 0
    os.set_blocking(process.stdout.fileno(), True)
    while received < 50 << 20:
        data = os.read(process.stdout.fileno(), 1 << 16)
        assert data, received
        digest.update(data)
        received += len(data)
    bench.wait_for_note("sent", process)
    peaks = [peak_memory(pid) for pid in pids]
    bench.tell("looked")
    result = bench.finish(process)
    assert result.status == 0 and result.stdout == b""
    assert received == 50 << 20
    assert digest.digest() == hashlib.sha256(b"".join(patterned(50 << 20))).digest()
    assert max(peaks) < (256 if sanitized else 64) << 20, peaks


def test_an_agent_that_sends_more_than_it_may_costs_no_memory(bench, sanitized):
    if sanitized:
        bench.env["ASAN_OPTIONS"] = bench.env.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"
    process = bench.start("output_beyond_the_credit", json_format=True)
    bench.wait_for_note("running", process)
    pids = processes_of_vmtest(process)
    for pid in pids:
        reset_peak(pid)
    peaks = [0]

    def settled():
        """The fake has sent everything, or is held up, or the run is over."""
        before = bench.note("sent")
        for pid in pids:
            try:
                peaks.append(peak_memory(pid))
            except (OSError, StopIteration):
                pass
        time.sleep(0.5)
        return bench.note("done") is not None or process.poll() is not None or \
            (before is not None and before == bench.note("sent"))

    bench.tell("go")
    assert wait_until(settled)
    settled()
    assert max(peaks) < (256 if sanitized else 64) << 20, f"{max(peaks) >> 20} MiB"
    bench.finish(process).expect(69, "lost", "credit")


def test_a_reader_that_goes_ends_the_run_as_a_broken_pipe_does(bench):
    process = bench.start("endless_output")
    head = subprocess.Popen(["head", "-1"], stdin=process.stdout, stdout=subprocess.PIPE)
    process.stdout.close()
    process.stdout = None
    try:
        assert head.communicate(timeout=PATIENCE)[0] == b"y\n"
    finally:
        head.kill()
        head.wait()
    assert bench.finish(process).status == 141


def test_a_standard_output_that_is_closed_from_the_start_hurts_nothing(bench):
    process = bench.start("passes", stdout=None, preexec_fn=lambda: os.close(1))
    assert bench.finish(process).status == 0


def test_a_full_disk_under_standard_output_ends_the_run(bench):
    with open("/dev/full", "wb") as full:
        process = bench.start("endless_output", stdout=full)
        assert bench.finish(process).status != 0


# Input.

def test_input_that_is_not_read_waits_on_the_host_and_leaves_the_port_free(bench):
    """In the guest it would stand in the way of the ping that asks whether the guest is alive."""
    data = os.urandom(5 << 20)
    process = bench.start("reads_its_input_late", command=("-",), stdin=subprocess.PIPE)
    stdout, stderr = process.communicate(data, timeout=PATIENCE)
    bench.check(Result(process.returncode, stdout, stderr))
    assert (process.returncode, stdout) == (0, b"%d %d\n" % (len(data), zlib.crc32(data))), stderr
    assert 1 << 20 <= int(bench.note("held")) < (1 << 20) + (64 << 10)
