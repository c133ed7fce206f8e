# SPDX-License-Identifier: Apache-2.0
"""Image targets with small images: the way in, what the command sees, what is left of what it did.

tests/images/README.md says what each image is. The full systems are in test_image_systems.py, images that do not come up
in test_image_failures.py.
"""
import hashlib
import json
import os
import re
import signal
import subprocess

import pytest

from conftest import read_file, wait_for, write_file

FALLBACK = "the guest agent runs the command"


def digest(path):
    return hashlib.sha256(read_file(path)).hexdigest()


class TestCommand:
    """One run looked at from many sides."""

    SCRIPT = r"""
        echo to stdout; echo to stderr >&2
        pwd
        echo "home $HOME, ${VMTEST_TEST_SECRET:-no secret}"
        cat /proc/$$/oom_score_adj
        echo shared > /mnt/vmtest/result
        cat <(echo substituted)
        echo written > /written; cat /written
        ls /dev/shm /var/tmp /tmp /root -A
        (sleep 300 >/dev/null 2>&1 &)
        exit 7
    """

    @pytest.fixture(scope="class")
    def result(self, run, image_of, project):
        path = image_of("mini")
        before = digest(path), os.stat(path).st_mtime_ns
        result = run(["-i", path, "--accel", "tcg", self.SCRIPT], cwd=project, timeout=200,
                     env={"VMTEST_TEST_SECRET": "1"})
        result.untouched = before == (digest(path), os.stat(path).st_mtime_ns)
        return result

    def test_the_code_is_the_commands(self, result):
        assert result.status == 7, str(result)

    def test_the_streams_are_apart(self, result):
        assert result.out.startswith("to stdout\n"), str(result)
        assert "to stderr" not in result.out
        assert "to stderr\n" in result.err

    def test_it_runs_in_the_root_with_the_images_environment(self, result):
        assert "\n/\nhome /, no secret\n" in result.out, str(result)

    def test_it_is_not_shielded_from_the_oom_killer(self, result):
        assert ", no secret\n0\n" in result.out, str(result)

    def test_the_shared_directory_is_written_through(self, result, project):
        assert read_file(f"{project}/result") == b"shared\n"

    def test_bash_runs_it_where_the_image_has_one(self, result):
        assert "substituted\n" in result.out

    def test_it_can_write_and_the_image_is_untouched(self, result):
        assert "\nwritten\n" in result.out
        assert result.untouched

    def test_the_agent_leaves_no_file(self, result):
        assert "vmtest-agent" not in result.out, str(result)

    def test_the_agent_itself_ran_it(self, result):
        assert FALLBACK not in result.err, str(result)

    def test_a_background_process_does_not_hold_it_up(self, result):
        assert result.seconds < 200


def test_exit_codes_signals_and_timeouts(run, image_of, project):
    write_file(f"{project}/vmtest.toml", "".join(f"""
[[target]]
name = "{name}"
image = {json.dumps(image_of("mini"))}
command = {json.dumps(command)}
{extra}
""" for name, command, extra in [
        ("passes", "true", ""),
        ("signal", "kill -SEGV $$", ""),
        ("timeout", "sleep 1000", 'timeout = "3s"'),
        ("passed on", "env | grep VMTEST_A", 'env_pass = ["VMTEST_A?"]'),
        ("not passed on", "env | grep VMTEST_A", ""),
    ]))
    result = run(["--format", "json"], cwd=project, timeout=300, env={"VMTEST_AB": "ab", "VMTEST_ABC": "abc"})
    ends = {event["target"]: event for event in map(json.loads, result.out.splitlines())
            if event["event"] == "finished"}
    assert {name: end["verdict"] for name, end in ends.items()} == \
        {"passes": "pass", "signal": "signal", "timeout": "timeout", "passed on": "pass", "not passed on": "fail"}, \
        str(result)
    assert "VMTEST_AB=ab" in result.out and "VMTEST_ABC" not in result.out, str(result)
    assert result.status == 3, str(result)


@pytest.mark.parametrize("name,args", [("mini-uefi", ["--uefi"]), ("mini", [])])
def test_firmware(run, image_of, project, name, args):
    result = run(["-i", image_of(name), *args, "test -d /sys/firmware/efi && echo uefi || echo bios"], cwd=project,
                 timeout=200)
    assert result.out == ("uefi\n" if args else "bios\n"), str(result)
    assert result.status == 0


@pytest.mark.parametrize("suffix", ["qcow2", *(pytest.param(suffix, marks=pytest.mark.slow)
                                               for suffix in ("vmdk", "vdi", "vhdx"))])
def test_formats_are_found_out(run, image_of, tmp_path, project, suffix):
    path = tmp_path / f"odd, name = {suffix}.img"
    subprocess.run(["qemu-img", "convert", "-O", suffix, image_of("mini"), f"./{path.name}"], check=True, cwd=tmp_path)
    before = digest(path)
    result = run(["-i", path, "uname -s"], cwd=project, timeout=200)
    assert (result.out, result.status) == ("Linux\n", 0), str(result)
    assert digest(path) == before


@pytest.mark.slow
class TestFallback:
    """An image where no program of ours can run: the guest agent alone does it."""

    @pytest.fixture(scope="class")
    def result(self, run, image_of, project):
        write_file(f"{project}/in/file", "seen\n")
        write_file(f"{project}/vmtest.toml", "".join(f"""
[[target]]
name = "{name}"
image = {json.dumps(image_of("mini-noexec"))}
command = {json.dumps(command)}
{extra}
""" for name, command, extra in [
            ("code", "echo out $VMTEST_AB; echo err >&2; cat /mnt/vmtest/in/file; echo kept > /mnt/vmtest/kept; exit 3",
             'env_pass = ["VMTEST_A*"]'),
            ("signal", "kill -KILL $$", ""),
            ("timeout", "sleep 1000", 'timeout = "3s"'),
        ]))
        result = run(["--format", "json"], cwd=project, timeout=300, env={"VMTEST_AB": "passed on"})
        result.events = [json.loads(line) for line in result.out.splitlines()]
        result.ends = {event["target"]: event for event in result.events
                       if event["event"] == "finished"}
        return result

    def test_verdicts(self, result):
        assert {name: end["verdict"] for name, end in result.ends.items()} == \
            {"code": "fail", "signal": "signal", "timeout": "timeout"}, str(result)

    def test_output(self, result):
        for stream, text in [("stdout", "out passed on\nseen\n"), ("stderr", "err\n")]:
            assert "".join(event["text"] for event in result.events
                           if event["event"] == "output" and event["stream"] == stream) == text, str(result)

    def test_the_share_is_written(self, result, project):
        assert read_file(f"{project}/kept") == b"kept\n", str(result)

    def test_it_is_said_once_for_each_target(self, result):
        notices = [event for event in result.events if event["event"] == "notice" and FALLBACK in event["text"]]
        assert [event["target"] for event in notices] == ["code", "signal", "timeout"], str(result)
        assert all("ermission denied" in event["text"] for event in notices), str(result)


def test_interactive_shell(terminal, image_of, project):
    shell = terminal(["-i", image_of("mini"), "-"], cwd=project)
    shell.expect.expect(r"[#$] ", timeout=200)
    shell.expect.send("echo $((6 * 7)) $TERM; exit 5\n")
    shell.expect.expect(r"\n42 \S+\r\n")
    assert shell.wait() == 5
    assert shell.is_restored()


class TestMounts:
    def test_mounts_and_extra_shares(self, run, image_of, project):
        os.makedirs(f"{project}/ro")
        os.makedirs(f"{project}/rw")
        write_file(f"{project}/ro/a", "from the host\n")
        write_file(f"{project}/vmtest.toml", f"""
[[target]]
name = "mounts"
image = {json.dumps(image_of("mini"))}
command = "cat /data/in/a; ! touch /data/in/b && touch /data/out/c"
[target.vm.mounts]
"/data/in" = {{ host_path = "ro" }}
"/data/out" = {{ host_path = "rw", writable = true }}
""")
        result = run([], cwd=project, timeout=200)
        assert result.status == 0, str(result)
        assert "from the host\n" in result.out
        assert os.path.exists(f"{project}/rw/c")

    def test_no_9p_in_the_image(self, run, image_of, project):
        result = run(["-i", image_of("mini-no9p"), "true"], cwd=project, timeout=200)
        assert result.status == 69, str(result)
        assert len(result.errors) == 1 and "9p" in result.errors[0] and "--share none" in result.errors[0], str(result)

    def test_no_9p_in_the_image_and_none_wanted(self, run, image_of, project):
        result = run(["-i", image_of("mini-no9p"), "--share", "none", "ls -d /mnt/vmtest; echo on"], cwd=project,
                     timeout=200)
        assert (result.status, result.out) == (0, "on\n"), str(result)


class TestPersist:
    @pytest.fixture(scope="class")
    def copy(self, image_of, tmp_path_factory):
        path = tmp_path_factory.mktemp("persist") / "disk.raw"
        subprocess.run(["cp", "--sparse=always", image_of("mini"), path], check=True)
        return path

    def test_what_is_written_stays(self, run, copy, project):
        first = run(["-i", copy, "--persist", "echo kept > /kept"], cwd=project, timeout=300)
        assert first.status == 0, str(first)
        second = run(["-i", copy, "cat /kept; echo lost > /lost"], cwd=project, timeout=200)
        assert (second.status, second.out) == (0, "kept\n"), str(second)
        third = run(["-i", copy, "--persist", "test ! -e /lost && dmesg | grep -i 'recovery complete'"], cwd=project,
                    timeout=300)
        assert (third.status, third.out) == (1, ""), str(third)

    def test_two_at_once(self, run, start, copy, project):
        running = f"{project}/running"
        first = start(["-i", copy, "--persist", "touch /mnt/vmtest/running; sleep 1000"], cwd=project,
                      stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: os.path.exists(running), 200)
            second = run(["-i", copy, "--persist", "true"], cwd=project)
            reader = run(["-i", copy, "true"], cwd=project)
        finally:
            first.send_signal(signal.SIGINT)
            status = first.wait(300)
        assert status == 130
        assert second.status == 69 and "another run" in second.errors[0], str(second)
        assert reader.status == 69 and "in use" in reader.errors[0], str(reader)

    @pytest.mark.slow
    def test_a_format_that_a_guest_may_have_written(self, run, tmp_path, image_of, project):
        path = tmp_path / "disk.raw"
        subprocess.run(["cp", "--sparse=always", image_of("mini"), path], check=True)
        state = {"XDG_STATE_HOME": str(tmp_path / "state")}
        assert run(["-i", path, "--persist", "true"], cwd=project, env=state, timeout=300).status == 0
        with open(path, "r+b") as file:
            file.write(qcow2_header())
        result = run(["-i", path, "--persist", "true"], cwd=project, env=state)
        assert result.status == 69, str(result)
        assert len(result.errors) == 1, str(result)
        assert "raw" in result.errors[0] and "qcow2" in result.errors[0], str(result)


def qcow2_header():
    """The head of an empty qcow2 file."""
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "/tmp/vmtest-head.qcow2", "64M"], check=True)
    try:
        return read_file("/tmp/vmtest-head.qcow2")
    finally:
        os.unlink("/tmp/vmtest-head.qcow2")


def test_nothing_is_left_behind(run, image_of, project, empty_tmp):
    result = run(["-i", image_of("mini"), "true"], cwd=project, env={"TMPDIR": empty_tmp}, timeout=200)
    assert result.status == 0, str(result)


def test_nothing_is_left_behind_by_sigkill(start, run, image_of, project, tmp_path):
    """The overlay has no name while QEMU runs; what little could be left is swept by the next run."""
    tmp = tmp_path / "tmp"
    tmp.mkdir()
    running = f"{project}/running"
    process = start(["-i", image_of("mini"), "touch /mnt/vmtest/running; sleep 1000"], cwd=project,
                    env={"TMPDIR": str(tmp)}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL)
    wait_for(lambda: os.path.exists(running), 200)
    process.kill()
    process.wait(20)
    assert os.listdir(tmp) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_is_told_and_the_image_stays_whole(run, image_of, project, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "small", small], check=True)
    try:
        before = digest(image_of("mini"))
        result = run(["-i", image_of("mini"), "dd if=/dev/urandom of=/big bs=1M count=64; sync; echo unreached"], cwd=project,
                     env={"TMPDIR": str(small)}, timeout=300)
        assert digest(image_of("mini")) == before
    finally:
        subprocess.run(["umount", "-l", small], check=True)
    assert result.status == 69, str(result)
    assert len(result.errors) == 1 and "no space is left" in result.errors[0], str(result)
    assert "unreached" not in result.out


def test_output_is_streamed(start, image_of, project):
    process = start(["-i", image_of("mini"), "echo first; read -t 1000 x < <(sleep 1000)"], cwd=project,
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout.readline() == b"first\n"
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
        process.stdout.close()


def test_the_guest_agent_may_be_restarted(run, image_of, project):
    """The command outlives the guest agent that brought it in."""
    result = run(["-i", image_of("mini"), "pkill -x qemu-ga || killall qemu-ga; sleep 1; echo still here"], cwd=project,
                 timeout=200)
    assert (result.status, result.out) == (0, "still here\n"), str(result)


def test_a_command_that_reboots_the_guest_is_lost(run, image_of, project):
    result = run(["-i", image_of("mini"), "sync; echo b > /proc/sysrq-trigger; sleep 100"], cwd=project, timeout=200)
    assert result.status == 69, str(result)
    assert re.search("rebooted during the command", result.err), str(result)
