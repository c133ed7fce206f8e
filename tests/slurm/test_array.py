# SPDX-License-Identifier: Apache-2.0
"""examples/slurm on a real Slurm: an array of four, one task killed and requeued, and the merged result."""
import json
import os
import subprocess

import pytest

from conftest import FAKE, PATIENCE, TOP, wait_until

# The first machine of the target `blocked` never says a word, and leaves a mark; the next ones are as the others.
QEMU = f"""\
#!/bin/sh
case "$*" in *blocks=once*) mkdir "$MARKS/blocked" 2>/dev/null && exec sleep 600 ;; esac
exec {FAKE} "$@"
"""
PASSING = 9


@pytest.fixture(scope="module")
def kernel():
    path = os.environ.get("VMTEST_KERNEL")
    if not path:
        path = subprocess.run([f"{TOP}/scripts/fetch-kernel", "bookworm"], stdout=subprocess.PIPE, check=True, text=True,
                              timeout=1800).stdout.strip()
    return path


@pytest.fixture
def project(tmp_path, kernel):
    """Ten targets that pass, of which one is blocked at first, and one that fails."""
    qemu = tmp_path / "qemu"
    qemu.write_text(QEMU)
    qemu.chmod(0o755)
    (tmp_path / "marks").mkdir()
    targets = [(f"passes {i}", "exit 0", "as_told") for i in range(PASSING)]
    targets += [("blocked", "exit 0", "as_told blocks=once"), ("fails", "exit 3", "as_told")]
    (tmp_path / "vmtest.toml").write_text("".join(
        f"[[target]]\nname = '{name}'\nkernel = '{kernel}'\nkernel_args = 'fake={arguments}'\ncommand = '{command}'\n"
        f"qemu_command = '{qemu}'\naccel = 'tcg'\nsandbox = false\ntemplate = false\nvm = {{ memory = '64M' }}\n"
        for name, command, arguments in targets))
    return tmp_path


def environment(project):
    vmtest = os.path.realpath(os.environ.get("VMTEST", f"{TOP}/build/vmtest"))
    (project / "notes").mkdir()
    return {"VMTEST": vmtest, "MARKS": str(project / "marks"), "FAKE_QEMU_DIR": str(project / "notes"),
            "FAKE_QEMU_SCENARIO": "as_told",
            "VMTEST_CACHE_DIR": str(project / "cache"), "VMTEST_CACHE_SIZE": "0",
            "XDG_STATE_HOME": str(project / "state")}


def array_of(cluster):
    """The array's number once it is there."""
    lines = wait_until(lambda: cluster.call("squeue", "-h", "-t", "all", "-n", "vmtest", "-o", "%F").stdout.split(),
                       "the array")
    return lines[-1]


@pytest.mark.slow
def test_a_task_that_is_killed_and_requeued_leaves_the_result_whole(cluster, project):
    submit = subprocess.Popen([f"{TOP}/examples/slurm/submit"], cwd=project, env={**cluster.env, **environment(project)},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        array = array_of(cluster)
        wait_until((project / "marks" / "blocked").exists, "the target that hangs")
        wait_until(lambda: list(cluster.states(array).values()).count("RUNNING") == 1, "the end of the other tasks")
        states = cluster.states(array)
        assert sorted(states) == [1, 2, 3, 4]
        (killed,) = (index for index, state in states.items() if state == "RUNNING")
        cluster.call("scontrol", "requeue", f"{array}_{killed}")
        output, _ = submit.communicate(timeout=PATIENCE)
    finally:
        submit.kill()
        submit.wait()

    reports = {path.name: json.loads(path.read_text()) for path in (project / "reports" / array).iterdir()}
    # The run that was killed has a report of its own, which is not the one that counts.
    assert sorted(reports) == sorted([*(f"shard-{i}.run-0.json" for i in range(1, 5)), f"shard-{killed}.run-1.json"])
    for name, report in reports.items():
        assert report["shard"] == {"index": int(name[len("shard-")]), "count": 4}
    assert f"shard {killed} was interrupted and ran again" in output
    # The task that was requeued has the index and the count that it had before.
    log = (project / f"vmtest-{array}_{killed}.log").read_text()
    assert log.count(f"shard {killed} of 4") == 2
    merged = json.loads((project / "reports" / f"{array}.json").read_text())
    verdicts = {entry["target"]: entry["result"]["verdict"] for entry in merged["targets"]}
    assert verdicts == {**{f"passes {i}": "pass" for i in range(PASSING)}, "blocked": "pass", "fails": "fail"}
    assert merged["summary"]["not_passed"] == 1
    assert "fails: Command failed with exit code: 3" in output
    assert submit.returncode == 1
