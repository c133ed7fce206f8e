# SPDX-License-Identifier: Apache-2.0
"""What a worker has made of a kernel serves those behind it, as long as the kernel's file is the same."""
import os
import time

import pytest

from conftest import wait_until

GRAIN = 3  # seconds after which a file's change cannot be mistaken for an earlier one

# Each way to put another kernel there while a target runs.
SWAPS = {
    "renamed over": 'mv "$new" "$kernel"',
    "written in place": 'cat "$new" > "$kernel"',
    "written in place with its old time": 'touch -r "$kernel" "$new.time"; cat "$new" > "$kernel"; '
                                          'touch -r "$new.time" "$kernel"',
}


def lay_out(bench, swap):
    """A kernel of one's own with its modules, another release of it beside, and a QEMU that puts that in its place."""
    root = bench.share / "root"
    (root / "boot").mkdir(parents=True)
    (root / "lib").symlink_to(os.path.join(os.path.dirname(os.path.dirname(bench.kernel)), "lib"))
    release = os.path.basename(bench.kernel).removeprefix("vmlinuz-")
    kernel, new = root / "boot" / "vmlinuz", root / "boot" / "new"
    content = open(bench.kernel, "rb").read()
    kernel.write_bytes(content)
    other = "9" + release[1:]
    assert other != release
    new.write_bytes(content.replace(release.encode(), other.encode()))
    qemu = bench.share / "qemu"
    qemu.write_text(f"#!/bin/sh\nnew='{new}' kernel='{kernel}'\ncase \"$*\" in *swap*) {swap};; esac\nexit 1\n")
    qemu.chmod(0o755)
    return kernel, qemu, release, other


def run(bench, kernel, qemu, arguments):
    targets = (f"[[target]]\nname = 't{i}'\nkernel = '{kernel}'\nkernel_args = '{text}'\ncommand = 'true'\naccel = 'tcg'\n"
               f"qemu_command = '{qemu}'\ntemplate = false\nvm = {{ num_cpus = 1, memory = '256M' }}\n"
               for i, text in enumerate(arguments))
    (bench.share / "vmtest.toml").write_text("".join(targets))
    bench.env["VMTEST_LOG"] = "1"
    result = bench.finish(bench.start_vmtest(["--format", "json", "-j1"]))
    reasons = {event["target"]: event["reason"] for event in result.events if event["event"] == "finished"}
    return result.stderr.decode(errors="replace").count("the kernel is prepared already"), reasons


@pytest.mark.parametrize("swap", SWAPS.values(), ids=SWAPS)
def test_a_kernel_is_prepared_once_until_its_file_is_another(bench, swap):
    kernel, qemu, _, other = lay_out(bench, swap)
    run(bench, kernel, qemu, ["first"])  # the cache has all that it keeps
    last = time.time()
    wait_until(lambda: time.time() > last + GRAIN)
    taken, reasons = run(bench, kernel, qemu, ["first", "second", "swap", "behind"])
    assert [reasons[f"t{i}"] for i in range(3)] == ["QEMU exited with status 1"] * 3
    assert other in reasons["t3"], reasons
    assert taken == 2, reasons


def test_what_has_just_been_written_serves_nobody_else(bench):
    kernel, qemu, _, _ = lay_out(bench, ":")
    run(bench, kernel, qemu, ["first"])
    later = time.time() + 3600  # so that it stays new however slow the host is
    os.utime(kernel, (later, later))
    taken, reasons = run(bench, kernel, qemu, ["first", "second"])
    assert set(reasons.values()) == {"QEMU exited with status 1"}
    assert taken == 0
