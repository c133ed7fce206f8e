# SPDX-License-Identifier: Apache-2.0
"""[[matrix]] and `vmtest list`: what runs, what arrives at the command, and what is only shown."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from conftest import FAKE

MATRIX = f"""
[defaults]
qemu_command = '{FAKE}'
accel = 'tcg'
env_pass = ['VMTEST_*']
[[matrix]]
name = "{{test}} on {{kernel.name}}"
kernel = ["kernels/*/boot/vmlinuz*"]
test = ["xdp", "tc"]
command = "./run {{test}} ${{test}} {{{{test}} {{none}}"
exclude = [{{ kernel = "*/6.2/*", test = "tc" }}]
"""


@pytest.fixture
def two_kernels(bench):
    """Two directories beside vmtest.toml as of two releases; in fact the same kernel."""
    root = os.path.dirname(os.path.dirname(bench.kernel))
    (bench.share / "kernels").mkdir()
    for version in ("6.10", "6.2"):
        (bench.share / "kernels" / version).symlink_to(root)
    (bench.share / "vmtest.toml").write_text(MATRIX)
    return [f"{bench.share}/kernels/{version}/boot/{os.path.basename(bench.kernel)}" for version in ("6.2", "6.10")]


def run_list(bench, *options):
    return bench.finish(bench.start_vmtest(["list", *options], sandbox=True))  # which adds no option


def outputs(result):
    """What each target's command told of itself."""
    return {event["target"]: json.loads(event["text"]) for event in result.events
            if event["event"] == "output" and event["stream"] == "stdout"}


def test_a_matrix_runs_each_combination_and_tells_the_command_which(bench, two_kernels):
    old, new = two_kernels
    bench.env["VMTEST_AXIS_TEST"] = "of a vmtest around this one"
    result = bench.finish(bench.start_vmtest(["-j1", "--format", "json"], scenario="axes"))
    assert result.status == 0, result
    command = "./run {0} ${{test}} {{test}} {{none}}"
    assert outputs(result) == {
        "xdp on 6.2": [[command.format("xdp")], {"VMTEST_AXIS_KERNEL": old, "VMTEST_AXIS_TEST": "xdp"}],
        "xdp on 6.10": [[command.format("xdp")], {"VMTEST_AXIS_KERNEL": new, "VMTEST_AXIS_TEST": "xdp"}],
        "tc on 6.10": [[command.format("tc")], {"VMTEST_AXIS_KERNEL": new, "VMTEST_AXIS_TEST": "tc"}],
    }


def test_the_axes_arrive_in_an_image_as_well(bench):
    (bench.share / "vmtest.toml").write_text(f"""
[[matrix]]
name = "{{vm.num_cpus}}"
image = "{bench.image}"
qemu_command = '{FAKE}'
accel = 'tcg'
command = "c"
vm.num_cpus = [1, 2]
""")
    result = bench.finish(bench.start_vmtest(["-j1", "--format", "json"], scenario="image_axes"))
    assert result.status == 0, result
    assert outputs(result) == {"1": [["c"], {"VMTEST_AXIS_VM_NUM_CPUS": "1"}],
                               "2": [["c"], {"VMTEST_AXIS_VM_NUM_CPUS": "2"}]}


def test_list_shows_what_a_run_would_run_and_runs_nothing(bench, two_kernels):
    result = run_list(bench)
    assert (result.status, result.stderr) == (0, b"")
    assert result.stdout == b"xdp on 6.2\nxdp on 6.10\ntc on 6.10\n"
    assert os.listdir(bench.notes) == []
    chosen = run_list(bench, "-c", "vmtest.toml", "-f", "^tc", "--strict")
    assert chosen.stdout == b"tc on 6.10\n"


def test_list_gives_a_job_matrix_whose_filters_choose_one_target_each(bench, two_kernels):
    result = run_list(bench, "--format", "json")
    (line,) = result.stdout.splitlines()
    include = json.loads(line)["include"]
    assert [(entry["kernel"], entry["test"]) for entry in include] == \
        [(two_kernels[0], "xdp"), (two_kernels[1], "xdp"), (two_kernels[1], "tc")]
    assert include[0]["axes"]["kernel"] == {"value": two_kernels[0], "label": "6.2"}
    for entry in include:
        assert run_list(bench, "-f", entry["filter"]).stdout.decode() == entry["name"] + "\n"


@pytest.mark.parametrize("options, status, words", [
    (["nonsense"], 2, "list: unexpected argument 'nonsense'"),
    (["-k", "kernel", "true"], 2, "list: --kernel does not go with the targets of a file"),
    (["--no-such"], 2, "no-such"),
    (["-f", "nothing there"], 69, "matches the filter 'nothing there'"),
    (["-c", "no such file"], 69, "no such file"),
])
def test_list_says_what_is_wrong(bench, two_kernels, options, status, words):
    result = run_list(bench, *options)
    assert (result.status, result.stdout) == (status, b"")
    assert words in result.stderr.decode()


def test_list_help(bench):
    result = run_list(bench, "--help")
    assert result.status == 0 and result.stdout.startswith(b"Usage: vmtest list ")


def test_list_says_that_its_output_was_lost(bench, two_kernels):
    with open("/dev/full", "w") as full:
        process = bench.start_vmtest(["list"], sandbox=True, stdout=full)
        result = bench.finish(process)
    assert result.status == 69 and b"could not be written" in result.stderr


def test_combinations_of_one_name_are_refused(bench, two_kernels):
    with open(bench.share / "vmtest.toml", "a") as file:
        file.write("kernel_args = ['quiet', 'debug']\n")
    for arguments in (["list"], []):
        result = bench.finish(bench.start_vmtest(arguments, sandbox=True))
        assert result.status == 69 and b"write {kernel_args.name} in it" in result.stderr


def test_what_a_pattern_matches_must_be_readable_and_there(bench, two_kernels):
    toml = (bench.share / "vmtest.toml").read_text()
    (bench.share / "vmtest.toml").write_text(toml.replace("kernels/*/boot", "kernels/*/none"))
    result = run_list(bench)
    assert result.status == 69
    assert result.stderr.decode().startswith("vmtest: vmtest.toml:8:11: 'kernel': no file matches the pattern "
                                             "'kernels/*/none/vmlinuz*'; patterns are taken from ")


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes somebody else for a moment")
@pytest.mark.parametrize("pattern", ["k/*/boot/vmlinuz", "k/*/.b*/x", "k/*/boot/v*", "k/a/*/vmlinuz"])
def test_a_directory_that_cannot_be_read_is_no_empty_one(bench, pattern):
    with tempfile.TemporaryDirectory() as name:
        top = pathlib.Path(name)
        top.chmod(0o755)
        for name in ("a", "b"):
            (top / "k" / name / "boot").mkdir(parents=True)
            (top / "k" / name / "boot" / "vmlinuz").touch()
            (top / "k" / name / ".b").mkdir()
        (top / "vmtest.toml").write_text(f"[[matrix]]\nkernel = ['{pattern}', 'plain']\ncommand = 'c'\n")
        closed = top / "k" / ("a/boot" if pattern.startswith("k/a/") else "b")
        closed.chmod(0o700)
        program = top / "vmtest"
        shutil.copy(bench.vmtest, program)
        done = subprocess.run([program, "list", "-c", top / "vmtest.toml"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, user=65534, group=65534, extra_groups=[], timeout=60, check=False)
        assert done.returncode == 69
        assert done.stderr.decode().endswith(f"'{pattern}': {closed}: Permission denied\n"), done


def test_a_directory_called_as_a_pattern_is_itself_alone(bench, two_kernels):
    odd = bench.share / "[ab] *?"
    odd.mkdir()
    (bench.share / "a").mkdir()
    for directory in (odd, bench.share / "a"):
        (directory / "k1").touch()
    (odd / "vmtest.toml").write_text("[[matrix]]\nkernel = ['k*']\nname = '{kernel}'\ncommand = 'c'\n")
    assert run_list(bench, "-c", "[ab] *?/vmtest.toml").stdout.decode() == f"{odd}/k1\n"


def test_list_shows_the_targets_of_a_shard(bench, two_kernels):
    every = run_list(bench).stdout.decode().splitlines()
    shards = [run_list(bench, "--shard", f"{index}/2").stdout.decode().splitlines() for index in (1, 2)]
    assert len(every) > 2 and sorted(shards[0] + shards[1]) == sorted(every)
    assert shards[0] == [name for name in every if name in sorted(every)[::2]]
    assert run_list(bench, "--shard", "99/99").stdout == b""
    bench.env.update(CI_NODE_INDEX="2", CI_NODE_TOTAL="2")
    auto = run_list(bench, "--shard", "auto")
    assert auto.stdout.decode().splitlines() == shards[1]
    for wrong in (["--shard", "3/2"], ["--timings", "times.json"]):
        assert run_list(bench, *wrong).status == 2
    missing = run_list(bench, "--shard", "1/2", "--timings", "times.json")
    assert missing.status == 69 and b"times.json" in missing.stderr
