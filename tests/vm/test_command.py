# SPDX-License-Identifier: Apache-2.0
"""The command of a one-liner: its words, its output, its end."""
import hashlib
import json
import os
import signal
import subprocess

import pytest

from conftest import PYTHON, marked_processes, read_file, wait_for, wait_for_no_processes, write_file


@pytest.mark.parametrize("command, status, message", [
    ("exit 255", 255, "Command failed with exit code: 255"),
    ("no-such-command-anywhere", 127, "Command failed with exit code: 127"),
    ("kill -9 $$", 137, "Command was ended by signal: 9 (SIGKILL)"),
    ("kill -SEGV $$", 139, "Command was ended by signal: 11 (SIGSEGV)"),
])
def test_exit_code_and_death_by_signal_arrive_exactly(run, project, kernel, command, status, message):
    result = run(["-k", kernel, "--num-cpus", "1", command], cwd=project)
    assert result.status == status, str(result)
    assert message in result.err.splitlines(), str(result)
    assert result.stdout == b"", str(result)


class TestStreams:
    @pytest.fixture(scope="class")
    def result(self, run, project, kernel):
        # Words are joined by blanks and go to the shell.
        return run(["-k", kernel, r"printf", r"'a\0b\377'", r";", r"printf", r"'err\0'", ">&2", ";", "exit", "42"],
                   cwd=project)

    def test_standard_output_is_the_commands_alone_byte_for_byte(self, result):
        assert result.stdout == b"a\0b\377", str(result)

    def test_standard_error_carries_the_commands_bytes_and_our_lines(self, result, kernel):
        lines = result.stderr.split(b"\n")
        assert lines[0] == f"=> {os.path.basename(kernel)}".encode(), str(result)
        assert lines.count(b"===> Booting") + lines.count(b"===> Booting (from template)") == 1, str(result)
        for stage in (b"===> Setting up VM", b"===> Running command"):
            assert lines.count(stage) == 1, str(result)
        assert b"err\0" in result.stderr.split(b"===> Running command\n")[1], str(result)

    def test_a_one_liner_prints_no_pass_and_no_failed(self, result):
        assert b"PASS" not in result.stderr and b"FAILED" not in result.stderr

    def test_the_codes_line_begins_at_the_beginning_of_a_line(self, result):
        assert b"Command failed with exit code: 42" in result.stderr.splitlines(), str(result)

    def test_exit_status_is_the_commands(self, result):
        assert result.status == 42, str(result)


def test_several_words_after_two_dashes_are_the_argument_vector_exactly(run, project, kernel):
    words = ["a b", "", "x\ny", "*", "$HOME", "'\"\\", "--", "-c", "\u00e4"]
    result = run(["-k", kernel, "--", PYTHON, "-c", "import sys, json; print(json.dumps(sys.argv[1:]))", *words],
                 cwd=project)
    assert result.status == 0, str(result)
    assert json.loads(result.stdout) == words


def test_one_word_after_two_dashes_goes_to_the_shell(run, project, kernel):
    result = run(["-k", kernel, "--", "echo $((40 + 2)) 'a  b' | cat"], cwd=project)
    assert (result.stdout, result.status) == (b"42 a  b\n", 0), str(result)


def test_a_hundred_megabytes_arrive_without_loss(start, project, kernel):
    size, digest = 100_000_000, hashlib.sha256()
    with open(f"{project}/big", "wb") as file:
        for _ in range(100):
            piece = os.urandom(size // 100)
            file.write(piece)
            digest.update(piece)
    process = start(["-k", kernel, "cat big"], cwd=project, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL)
    got, seen = 0, hashlib.sha256()
    while piece := process.stdout.read(1 << 20):
        got += len(piece)
        seen.update(piece)
    process.stdout.close()
    assert (process.wait(60), got) == (0, size)
    assert seen.hexdigest() == digest.hexdigest()


ORPHANS = r"""
for i in 1 2 3 4 5 6 7 8; do (sh -c 'sleep 0.1' &) ; done
sleep 1.5
echo "zombies: $(cat /proc/[0-9]*/stat 2>/dev/null | sed 's/.*) //' | grep -c '^Z')"
sleep 1000 &
(setsid sleep 1000 &)
echo done
"""


class TestBackground:
    @pytest.fixture(scope="class")
    def result(self, run, project, kernel):
        return run(["-k", kernel, ORPHANS], cwd=project, timeout=90)

    def test_zombies_are_reaped(self, result):
        assert result.out.startswith("zombies: 0\n"), str(result)

    def test_a_background_process_that_keeps_the_output_open_does_not_hold_the_run_up(self, result):
        assert result.out.endswith("done\n"), str(result)
        assert result.status == 0, str(result)


def test_a_reader_that_goes_away_ends_the_run(start, project, kernel):
    process = start(["-k", kernel, "yes"], cwd=project, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL)
    head = subprocess.run(["head", "-1"], stdin=process.stdout, stdout=subprocess.PIPE, timeout=90)
    process.stdout.close()
    assert head.stdout == b"y\n"
    assert process.wait(30) == 128 + signal.SIGPIPE
    assert wait_for_no_processes() == []


class TestBootTimeout:
    @pytest.fixture(scope="class")
    def result(self, run, project, kernel):
        return run(["-k", kernel, "--no-template", "--boot-timeout", "300ms", "true"], cwd=project, timeout=120)

    def test_a_boot_that_takes_too_long_ends_with_124(self, result):
        assert result.status == 124, str(result)

    def test_the_line_says_which_time_ran_out(self, result):
        assert [line for line in result.err.splitlines() if line.startswith("timeout: ") and "boot" in line
                and "0.3 s" in line], str(result)


@pytest.mark.parametrize("command", ["echo begun; sleep 1000", "trap '' TERM; echo begun; sleep 1000; sleep 1000"],
                         ids=["obeys SIGTERM", "ignores SIGTERM"])
def test_a_command_that_takes_too_long_ends_with_124(run, project, kernel, command):
    result = run(["-k", kernel, "--timeout", "5", command], cwd=project, timeout=60)
    assert result.status == 124, str(result)
    assert result.stdout == b"begun\n", str(result)
    assert [line for line in result.err.splitlines() if line.startswith("timeout: ") and "command" in line
            and "5 s" in line], str(result)


def qemus():
    return [pid for pid, line in marked_processes() if "qemu-system" in line.split(" ")[0]]


@pytest.mark.parametrize("command, verdict, word", [
    ("echo c > /proc/sysrq-trigger; sleep 100", "panic", "sysrq"),
    ("echo o > /proc/sysrq-trigger; sleep 100", "lost", "powered off"),
], ids=["panic", "power off"])
def test_a_guest_that_dies_under_the_command_is_told_as_such(run, project, kernel, command, verdict, word):
    result = run(["-k", kernel, command], cwd=project, timeout=90)
    assert result.status == 69, str(result)
    assert [line for line in result.err.splitlines() if line.startswith(f"{verdict}: ") and word in line], str(result)


def test_a_qemu_that_is_killed_under_the_command_is_lost(start, project, kernel):
    process = start(["-k", kernel, "echo begun; sleep 1000"], cwd=project, stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"begun\n"
    (qemu,) = qemus()
    os.kill(qemu, signal.SIGKILL)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 69, errors
    assert b"\nlost: QEMU was killed by signal 9" in errors, errors


@pytest.mark.parametrize("number, status", [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGKILL, -9)])
def test_a_signal_to_vmtest_during_the_boot_leaves_nothing_running(start, project, kernel, number, status):
    process = start(["-k", kernel, "true"], cwd=project, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL)
    wait_for(qemus, 30)
    process.send_signal(number)
    assert process.wait(20) == status
    assert wait_for_no_processes() == []


def test_a_cancelled_run_starts_no_further_target(start, project, kernel):
    target = '[[target]]\nname = "{}"\nkernel = "{}"\ncommand = "echo begun; sleep 1000"\n'
    write_file(f"{project}/vmtest.toml", "".join(target.format(name, kernel) for name in ("a", "b")))
    process = start(["--format", "json"], cwd=project, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    events = []
    for line in process.stdout:
        events.append(json.loads(line))
        if events[-1].get("text") == "begun\n":
            process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    process.stdout.close()
    finished = [(event["target"], event["verdict"], event["status"]) for event in events
                if event["event"] == "finished"]
    assert finished == [("a", "cancelled", 130), ("b", "cancelled", 130)], events[-4:]
    assert [event["target"] for event in events if event["event"] == "started"] == ["a"]


def aborting_qemu(directory, times):
    """A QEMU that fails an assertion in its first `times` starts of a machine."""
    write_file(f"{directory}/my-qemu", f"""#!/bin/sh
if [ "$1" = --version ]; then exec qemu-system-x86_64 --version; fi
echo started >> {directory}/starts
if [ "$(wc -l < {directory}/starts)" -le {times} ]; then echo 'my-qemu: assertion failed' >&2; kill -ABRT $$; fi
exec qemu-system-x86_64 "$@"
""", 0o755)
    return f"{directory}/my-qemu"


def test_an_emulator_that_aborts_while_it_boots_is_started_once_more(run, kernel, tmp_path):
    result = run(["-k", kernel, "--accel", "tcg", "-q", aborting_qemu(tmp_path, 1), "echo ran; exit 4"], cwd=tmp_path)
    assert (result.out, result.status) == ("ran\n", 4), str(result)
    assert "assertion failed; starting it once more" in result.err, str(result)


def test_an_emulator_that_aborts_twice_is_an_error(run, kernel, tmp_path):
    result = run(["-k", kernel, "--accel", "tcg", "-q", aborting_qemu(tmp_path, 9), "true"], cwd=tmp_path)
    assert result.status == 69 and "error: QEMU was killed by signal 6" in result.err, str(result)
    assert len(read_file(f"{tmp_path}/starts").split()) == 2


@pytest.mark.parametrize("setting, seen", [
    ('env_pass = ["VMTEST_A*", "HOME"]', ["HOME", "VMTEST_AB", "VMTEST_ABC"]),
    ("env_pass = []", []),
    ("sandbox = false", ["HOME", "VMTEST_AB", "VMTEST_ABC", "VMTEST_OTHER"]),
])
def test_the_command_gets_the_variables_that_the_file_says(run, tmp_path, kernel, setting, seen):
    names = "HOME VMTEST_AB VMTEST_ABC VMTEST_OTHER"
    write_file(tmp_path / "vmtest.toml", f"""
[[target]]
name = "environment"
kernel = "{kernel}"
command = 'for name in {names}; do [ -z "${{!name+x}}" ] || echo "$name"; done > seen; type -P cat'
{setting}
""")
    result = run([], cwd=tmp_path, env={"VMTEST_AB": "1", "VMTEST_ABC": "", "VMTEST_OTHER": "1"})
    assert (result.status, read_file(tmp_path / "seen").decode().split()) == (0, seen), str(result)
