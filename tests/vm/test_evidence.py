# SPDX-License-Identifier: Apache-2.0
"""What is told and kept of a run: the kernel's reports, the guest's tasks, --artifacts, the guest's memory."""
import json
import os
import re
import struct
import subprocess

import pytest

from conftest import read_file, write_file

# As the kernel's own stand on the console: which of the two wrote them cannot be told (src/console/findings.h).
WARNING = ["------------[ cut here ]------------", "WARNING: CPU: 0 PID: 77 at kernel/test.c:12 provoked+0x16/0x20 [test]",
           "Modules linked in: test", "Call Trace:", " <TASK>", " do_one_initcall+0x44/0x200", " </TASK>",
           "---[ end trace 0000000000000000 ]---"]
OOPS = ["BUG: kernel NULL pointer dereference, address: 0000000000000000", "#PF: supervisor write access in kernel mode",
        "Oops: 0002 [#1] PREEMPT SMP NOPTI", "RIP: 0010:provoked+0x16/0x20 [test]", "---[ end trace 0000000000000000 ]---"]


def kmsg(lines):
    return "".join(f"echo '<2>{line}' > /dev/kmsg; " for line in lines)


FREEZE = ("dd if=/dev/zero of=/tmp/disk bs=1M count=16 status=none && /sbin/mkfs.ext4 -q /tmp/disk && mkdir /tmp/mnt && modprobe loop && "
          "mount -o loop /tmp/disk /tmp/mnt && /sbin/fsfreeze -f /tmp/mnt && echo frozen && ")


def finished(result):
    events = [json.loads(line) for line in result.out.splitlines()]
    (found,) = [event for event in events if event["event"] == "finished"]
    return found


def kinds(result):
    return [finding["kind"] for finding in finished(result)["findings"]]


class TestReportsOfTheKernel:
    def test_a_warning_is_shown_and_changes_nothing(self, run, project, kernel):
        result = run(["-k", kernel, kmsg(WARNING)], cwd=project)
        assert result.status == 0, str(result)
        assert "The guest's kernel reported (warn): " in result.err, str(result)
        assert "provoked" in result.err, str(result)

    def test_fail_on_makes_it_a_failure(self, run, project, kernel):
        result = run(["-k", kernel, "--format", "json", "--fail-on", "oops,warn", kmsg(WARNING)],
                     cwd=project)
        end = finished(result)
        assert (result.status, end["verdict"], kinds(result)) == (1, "fail", ["warn"]), str(result)
        assert re.fullmatch(r"the command passed, but the guest's kernel reported WARNING: .*provoked.* \(--fail-on\)",
                            end["reason"]), str(result)
        assert "provoked" in end["findings"][0]["text"]

    def test_fail_on_is_about_its_kinds_alone(self, run, project, kernel):
        result = run(["-k", kernel, "--format", "json", "--fail-on", "oops", kmsg(WARNING)], cwd=project)
        assert (result.status, kinds(result)) == (0, ["warn"]), str(result)

    def test_reports_stand_beside_any_other_verdict(self, run, project, kernel):
        result = run(["-k", kernel, "--format", "json", "--fail-on", "any", kmsg(OOPS) + kmsg(WARNING) + "exit 7"],
                     cwd=project)
        assert (result.status, finished(result)["verdict"]) == (7, "fail"), str(result)
        assert kinds(result) == ["oops", "warn"], str(result)

    def test_a_task_that_the_kernel_reports_as_hung_is_one(self, run, project, kernel):
        script = ("echo 2 > /proc/sys/kernel/hung_task_timeout_secs; " + FREEZE + "(touch /tmp/mnt/file & sleep 12; "
                  "/sbin/fsfreeze -u /tmp/mnt; wait)")
        result = run(["-k", kernel, "--format", "json", "--fail-on", "hung_task", script], cwd=project)
        assert (result.status, finished(result)["verdict"]) == (1, "fail"), str(result)
        assert set(kinds(result)) == {"hung_task"}, str(result)
        assert "task touch:" in finished(result)["reason"], str(result)

    def test_a_process_that_is_killed_for_want_of_memory_is_reported(self, run, project, kernel):
        script = "exec /usr/bin/python3 -c 'x = []\nwhile True: x.append(bytearray(1 << 24))'"
        result = run(["-k", kernel, "--format", "json", "--memory", "256M", script], cwd=project)
        assert (result.status, finished(result)["verdict"]) == (137, "signal"), str(result)
        assert "oom" in kinds(result), str(result)

    def test_a_clean_run_has_none(self, run, project, kernels):
        result = run(["-k", kernels, "--format", "json", "--fail-on", "any", "--no-template", "true"], cwd=project)
        assert (result.status, kinds(result)) == (0, []), str(result)


class TestTasks:
    def test_a_command_that_hangs_in_the_kernel_is_named(self, run, project, kernel):
        """A reader of a frozen file system waits where no signal reaches it."""
        result = run(["-k", kernel, "--timeout", "15", "--kill-after", "1", FREEZE + "touch /tmp/mnt/file"], cwd=project, timeout=120)
        assert result.status == 124, str(result)
        assert result.stdout == b"frozen\n", str(result)
        shown = result.err.split("The guest's blocked tasks:\n")[1]
        assert "task:touch" in shown, str(result)
        assert result.err.index("timeout: the command took longer than 15 s") < result.err.index("blocked tasks")

    @pytest.mark.slow
    def test_a_boot_that_hangs_is_asked_on_its_console(self, run, project, kernel):
        """Without the port's driver there is no agent to ask."""
        result = run(["-k", kernel, "--format", "json", "--boot-timeout", "60", "--no-template", "--kargs",
                      "module_blacklist=virtio_console", "true"], cwd=project)
        assert (result.status, finished(result)["verdict"]) == (124, "timeout"), str(result)
        console = "".join(event.get("text", "") for event in map(json.loads, result.out.splitlines())
                          if event["event"] == "console")
        assert "Show State" in console and "task:init" in console and "Show Blocked State" in console, str(result)
        assert "did not show" not in finished(result)["tasks"]


def notes_of(core):
    """The notes of an ELF core, as {name: content}; of several with one name, the last."""
    data = core.read(64)
    assert data[:4] == b"\x7fELF" and data[4] == 2 and struct.unpack_from("<H", data, 16)[0] == 4, "no 64-bit core"
    offset, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    notes = {}
    for i in range(count):
        core.seek(offset + i * size)
        kind, _, begin, _, _, length = struct.unpack_from("<IIQQQQ", core.read(size))
        if kind != 4:
            continue
        core.seek(begin)
        text = core.read(length)
        at = 0
        while at + 12 <= len(text):
            name_size, content_size, _ = struct.unpack_from("<III", text, at)
            name = text[at + 12:at + 12 + name_size].rstrip(b"\0").decode()
            at += 12 + (name_size + 3) // 4 * 4
            notes[name] = text[at:at + content_size]
            at += (content_size + 3) // 4 * 4
    return notes


class TestArtifacts:
    @pytest.fixture(scope="class")
    def result(self, run, project, kernel):
        write_file(f"{project}/vmtest.toml", f"""
[[target]]
name = "good"
kernel = "{kernel}"
command = "echo out; echo err >&2"
vm = {{ memory = "512M" }}
[[target]]
name = "bad one"
kernel = "{kernel}"
command = "echo $SECRET_OF_THE_TEST | wc -c; exit 3"
vm = {{ memory = "512M" }}
""")
        return run(["--artifacts", "kept"], cwd=project, env={"SECRET_OF_THE_TEST": "hunter2hunter2"})

    @pytest.fixture(scope="class")
    def kept(self, result, project):
        assert result.status == 1, str(result)
        names = sorted(os.listdir(f"{project}/kept"))
        assert len(names) == 2 and names[1] == "good" and names[0].startswith("bad_one-"), names
        return {"good": f"{project}/kept/good", "bad": f"{project}/kept/{names[0]}"}

    def test_each_stream_is_kept_as_it_was(self, kept):
        assert read_file(f"{kept['good']}/stdout.log") == b"out\n"
        assert read_file(f"{kept['good']}/stderr.log") == b"err\n"
        assert read_file(f"{kept['bad']}/stdout.log") == b"15\n"

    def test_the_result_is_json(self, kept, kernel):
        with open(f"{kept['bad']}/result.json") as file:
            result = json.load(file)
        assert (result["target"], result["verdict"], result["status"]) == ("bad one", "fail", 3)
        hashed = subprocess.run(["xxhsum", "-H2", kernel], stdout=subprocess.PIPE, check=True, timeout=60)
        assert hashed.stdout.decode().split()[0] == result["kernel_xxh128"]
        assert re.fullmatch(r"\d+\.\d+\.\d+", result["qemu"])
        assert set(result["durations"]) == {"prepare", "boot", "setup", "command"}

    def test_the_events_are_those_of_the_target(self, kept):
        with open(f"{kept['bad']}/events.jsonl") as file:
            events = [json.loads(line) for line in file]
        assert {event["target"] for event in events} == {"bad one"}
        assert (events[0]["event"], events[-1]["event"]) == ("started", "finished")

    def test_the_line_to_run_it_again_runs_that_target(self, kept, run, project):
        line = read_file(f"{kept['bad']}/run-again").decode()
        again = subprocess.run(["sh", "-c", line], cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               timeout=120)
        assert again.returncode == 3, again.stdout
        assert b"=> bad one\n" in again.stdout and b"=> good\n" not in again.stdout

    def test_the_terminal_shows_that_line_too(self, result, kept):
        assert "\nRun it again: " + read_file(f"{kept['bad']}/run-again").decode() in result.out

    def test_qemus_line_boots_the_machine(self, kept):
        """Up to the agent, which nobody answers there."""
        line = read_file(f"{kept['good']}/qemu-command").decode()
        assert line.count("\n") == 1
        process = subprocess.Popen(["sh", "-c", "exec " + line.replace("loglevel=5", "loglevel=7")],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        seen = b""
        try:
            while b"Run /init as init process" not in seen:
                piece = os.read(process.stdout.fileno(), 65536)
                assert piece, seen[-3000:]
                seen += piece
        finally:
            process.kill()
            process.wait(20)

    def test_the_environment_is_in_none_of_them(self, kept):
        for directory in kept.values():
            for name in os.listdir(directory):
                assert b"hunter2" not in read_file(f"{directory}/{name}"), name

    def test_the_initramfs_is_one(self, kept):
        assert read_file(f"{kept['good']}/initramfs.cpio")[:6] == b"070701"


class TestMemory:
    @pytest.fixture(scope="class")
    def core(self, run, project, kernel):
        result = run(["-k", kernel, "--memory", "256M", "--dump", "--artifacts", "kept",
                      "echo c > /proc/sysrq-trigger; sleep 100"], cwd=project)
        assert result.status == 69, str(result)
        assert "panic: the guest kernel panicked: Kernel panic - not syncing: sysrq triggered crash" in result.err, \
            str(result)
        return f"{project}/kept/{os.path.basename(kernel)}/memory.elf"

    def test_a_panicked_guests_memory_is_a_core_with_what_its_reader_needs(self, core, kernel):
        release = os.path.basename(kernel).removeprefix("vmlinuz-")
        with open(core, "rb") as file:
            notes = notes_of(file)
        assert f"OSRELEASE={release}\n".encode() in notes["VMCOREINFO"]

    def test_its_zeroes_take_no_room(self, core):
        status = os.stat(core)
        assert status.st_size > 256 << 20
        assert status.st_blocks * 512 < 200 << 20

    def test_nothing_else_is_left_beside_it(self, core):
        assert [name for name in os.listdir(os.path.dirname(core)) if name.endswith(".new")] == []

    def test_a_guest_whose_time_is_up_leaves_its_memory_too(self, run, project, kernel):
        result = run(["-k", kernel, "--memory", "256M", "--dump", "--artifacts", "late", "--timeout", "1", "sleep 100"],
                     cwd=project)
        assert result.status == 124, str(result)
        with open(f"{project}/late/{os.path.basename(kernel)}/memory.elf", "rb") as file:
            assert "VMCOREINFO" in notes_of(file)

    def test_a_pass_leaves_none(self, run, project, kernel):
        result = run(["-k", kernel, "--memory", "256M", "--dump", "--artifacts", "passed", "true"], cwd=project)
        assert result.status == 0, str(result)
        assert not os.path.exists(f"{project}/passed/{os.path.basename(kernel)}/memory.elf")

    def test_without_a_place_for_it_that_is_said(self, run, project, kernel):
        result = run(["-k", kernel, "--memory", "256M", "--dump", "echo c > /proc/sysrq-trigger; sleep 100"],
                     cwd=project)
        assert "note: the guest's memory is not kept: give a directory for it with --artifacts" in result.err, str(result)
