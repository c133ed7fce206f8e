# SPDX-License-Identifier: Apache-2.0
"""The guest's memory (--dump), and what may come between it and its file."""
import os
import resource

import pytest

MEGABYTE = 1 << 20


def start(bench, scenario="panic_with_memory", **keywords):
    return bench.start(scenario, "--dump", "--artifacts", "kept", json_format=True, **keywords)


@pytest.fixture
def kept(bench):
    """The directory of the one target."""
    return bench.share / "kept" / os.path.basename(bench.kernel)


def expect_none(result, kept, *words):
    """The verdict stands, why there is no memory is told in one line, and nothing half-written is there."""
    result.expect(69, "panic", "Attempted to kill init!")
    (notice,) = result.notices
    assert notice.startswith("the guest's memory is not kept: "), notice
    for word in words:
        assert word in notice, notice
    assert [path.name for path in kept.glob("memory*")] == []


def test_the_memory_of_a_guest_that_panicked_is_kept(bench, kept):
    result = bench.finish(start(bench))
    result.expect(69, "panic")
    assert result.notices == []
    assert (kept / "memory.elf").read_bytes().endswith(b"text" + bytes(MEGABYTE) + b"memory" * 10000)
    assert [path.name for path in kept.glob("memory*")] == ["memory.elf"]


def test_a_pipe_that_the_guest_has_put_in_its_place_holds_nothing_up(bench, kept):
    """Where the directory is shared with it; whoever opens a pipe waits for its reader."""
    bench.plan(pipe=str(kept / "memory.elf.new"))
    bench.finish(start(bench), 30).expect(69, "panic")
    assert (kept / "memory.elf").read_bytes().endswith(b"text" + bytes(MEGABYTE) + b"memory" * 10000)


@pytest.mark.parametrize("how, words", [("refused", "dump: not now"), ("fails", "dump: failed to save memory")])
def test_memory_that_qemu_does_not_give_is_told(bench, kept, how, words):
    bench.plan(dump=how)
    expect_none(bench.finish(start(bench)), kept, "QEMU did not write the guest's memory", words)


def test_a_qemu_that_does_not_begin_to_write_is_given_up(bench, kept, fast_clock):
    fast_clock(10)
    bench.plan(dump="silent")
    expect_none(bench.finish(start(bench), 30), kept, "timed out")


def test_a_disk_that_is_full_leaves_nothing_half_written(bench, kept):
    """As a limit on the size of files shows it too. QEMU notices as well, and does not know why."""
    bench.plan(zeroes=600, pieces=100)
    limit = 600 * MEGABYTE
    process = start(bench, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    expect_none(bench.finish(process), kept, "memory.elf: File too large")


def test_memory_of_a_kernel_that_had_not_come_to_tell_where_it_is_is_kept_and_that_is_told(bench, kept):
    bench.plan(dump="early")
    result = bench.finish(start(bench))
    result.expect(69, "panic")
    (notice,) = result.notices
    assert "without VMCOREINFO" in notice and "CONFIG_FW_CFG_SYSFS" in notice
    assert (kept / "memory.elf").exists()


def test_memory_that_is_gone_with_the_machine_is_told(bench, kept):
    expect_none(bench.finish(start(bench, "panic_that_ends_qemu")), kept, "QEMU has ended")
