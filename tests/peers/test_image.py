# SPDX-License-Identifier: Apache-2.0
"""Image targets: the way in through the guest agent, the way out where vmtest's agent does not run, what goes wrong.

The disk holds random bytes: what the machine does with it is the fake's affair (fake_image.py, fake_guest_agent.py).
"""
import base64
import hashlib
import json
import signal
import time

import pytest

from conftest import FAKE

PLACES = ("/dev/shm", "/var/tmp", "/tmp", "/root")
OSINFO = {"id": "debian", "machine": "x86_64", "kernel-release": "6.1.0-guest"}
WINDOWS = {"id": "mswindows", "machine": "x86_64", "kernel-release": "20348"}
NOEXEC = {"exitcode": 126, "err-data": base64.b64encode(b"/bin/sh: 1: Permission denied\n").decode()}
REASON_SILENT = "its guest agent was started, but does not answer"


def data(value):
    return base64.b64encode(value).decode()


def executed(bench):
    return json.loads(bench.note("executed") or "[]")


def places(bench):
    """Where the agent was tried, in order."""
    return [words[4] for words in executed(bench) if len(words) > 4 and "--attach" in words[2]]


def fallback(**plan):
    """A plan in which vmtest's agent does not run."""
    return {"start": 126, **plan}


# The good way.

def test_an_image_comes_up_and_runs_the_command(bench):
    """The root, the clock, the host name, the environment: fake_machine.py looks at them."""
    bench.plan(sync="after garbage")
    result = bench.run_image("image", command=("exit", "0"))
    finished = result.expect(0, "pass")
    assert (result.output("stdout"), result.output("stderr")) == (b"out\n", b"err\n")
    assert (finished["kernel"], finished["reason"]) == ("6.1.0-image", "")
    assert (result.stages, result.notices) == (["prepare", "boot", "setup", "command"], [])
    assert places(bench) == ["/dev/shm"]
    assert bench.note("mounts") == "[(1, 1, b'vmtest', b'', b'/mnt/vmtest')]"


def test_the_agent_that_the_image_is_given_is_the_one_in_vmtest(bench):
    bench.run_image("image", command=("exit", "0")).expect(0, "pass")
    with open(bench.vmtest, "rb") as file:
        program = file.read()
    digests = set()
    begin = 4
    while (begin := program.find(b"\x7fELF", begin)) >= 0:
        sections, size, count = (int.from_bytes(program[begin + at:begin + at + length], "little")
                                 for at, length in ((40, 8), (58, 2), (60, 2)))
        digests.add(hashlib.sha256(program[begin:begin + sections + size * count]).hexdigest())
        begin += 4
    assert bench.note("agent") in digests


def test_without_shares_nothing_is_mounted(bench):
    bench.run_image("image", "--share", "none", command=("exit", "0")).expect(0, "pass")
    assert bench.note("mounts") == "[]"


@pytest.mark.parametrize("code", [1, 42, 255])
def test_the_exit_code_of_an_images_command_arrives(bench, code):
    bench.run_image("image", command=("exit", str(code))).expect(code, "fail", f"exited with code {code}")


def test_the_signal_of_an_images_command_arrives(bench):
    bench.run_image("image", command=("signal", "9")).expect(137, "signal", "signal 9")


def test_a_hello_after_the_end_of_guest_exec_is_waited_for(bench):
    bench.plan(hello="late")
    bench.run_image("image", command=("exit", "0")).expect(0, "pass")


def test_replies_byte_by_byte_are_replies(bench):
    bench.plan(sync="after garbage", piece=1)
    bench.run_image("image", command=("exit", "7")).expect(7, "fail")


# The guest agent's answer to the first question.

def test_a_guest_agent_that_answers_at_the_third_time_is_taken_by_the_newest_question(bench):
    bench.plan(sync="third time")
    bench.run_image("image", command=("exit", "0")).expect(0, "pass")
    asked = bench.note("synced").split()
    assert len(asked) == len(set(asked)) == 3


def test_an_answer_to_an_older_question_is_none(bench):
    bench.plan(sync="old id")
    bench.run_image("image", "--boot-timeout", "3").expect(124, "timeout", "--boot-timeout)", REASON_SILENT)
    assert len(bench.note("synced").split()) >= 3
    assert executed(bench) == []


def test_a_guest_agent_that_never_opens_its_port_times_out_with_the_likely_reason(bench):
    bench.plan(console="[  OK  ] Started Getty.\r\nfake login: ")
    finished = bench.run_image("image_says_nothing", "--boot-timeout", "1").expect(
        124, "timeout", "the boot took longer than 1 s", "it asks for a login", "install qemu-guest-agent")
    assert finished["stage"] == "boot" and "fake login:" in finished["console"]


def test_an_image_of_which_nothing_is_seen_times_out_with_what_that_may_mean(bench):
    bench.run_image("image_says_nothing", "--boot-timeout", "1").expect(124, "timeout", "shows nothing", "uefi")


def test_a_guest_agent_that_opens_its_port_and_never_answers_times_out_with_another_reason(bench):
    bench.plan(sync="never")
    bench.run_image("image", "--boot-timeout", "2").expect(124, "timeout", "--boot-timeout)", REASON_SILENT)


@pytest.mark.parametrize("plan", [{"hello": "never"}, {"start": None}])
def test_a_guest_agent_that_has_answered_is_not_blamed_for_the_silence_of_vmtests_agent(bench, plan):
    bench.plan(**plan)
    finished = bench.run_image("image", "--boot-timeout", "2").expect(124, "timeout", "--boot-timeout)")
    assert REASON_SILENT not in finished["reason"]


def test_a_person_sees_the_reason_first_then_what_to_do(bench):
    bench.plan(sync="never")
    result = bench.run_image("image", "--boot-timeout", "1", json_format=False)
    usual = ("=> ", "===> ", "note: run as root")
    lines = [line for line in result.stderr.decode().splitlines() if not line.startswith(usual)]
    assert (result.status, result.stdout, len(lines)) == (124, b"", 5), lines
    assert lines[0] == "SeaBIOS (fake)" and lines[1].startswith("timeout: the boot took longer")
    assert lines[2:4] == ["The guest's blocked tasks:",
                          "the guest did not show its tasks (SysRq): neither its agent nor its console answers"]
    assert lines[4].startswith("Run it again: ") and " --boot-timeout 1 " in lines[4]


# Reboots.

@pytest.mark.parametrize("point", ["guest-sync-delimited", "guest-info", "guest-get-osinfo", "guest-exec",
                                   "guest-exec-status"])
def test_an_image_that_reboots_on_its_way_up_works(bench, point):
    """After the sync the question is lost with the system that was asked."""
    bench.plan(reboot=point)
    bench.run_image("image_reboots_on_its_way_up", "--boot-timeout", "15", command=("exit", "3")).expect(3, "fail")
    assert bench.note("rebooted") is not None


def test_a_guest_agent_that_is_restarted_on_the_way_up_works(bench):
    bench.run_image("image_restarts_its_guest_agent", "--boot-timeout", "15", command=("exit", "3")).expect(3, "fail")


@pytest.mark.parametrize("scenario, words", [
    ("image_reboots_after_hello", "the guest rebooted while it was being set up"),
    ("image_reboots_during_the_command", "the guest rebooted during the command"),
])
def test_a_reboot_after_hello_is_lost(bench, scenario, words):
    bench.run_image(scenario, timeout=30).expect(69, "lost", words)


def test_a_reboot_while_the_guest_agent_runs_the_command_is_lost(bench):
    bench.plan(**fallback(command=None, status="silent"))
    bench.run_image("image_reboots_during_the_guest_agents_command", timeout=30).expect(
        69, "lost", "the guest rebooted during the command")


@pytest.mark.parametrize("again, word", [(True, "restarted"), (False, "stopped")])
def test_a_guest_agent_that_leaves_its_command_alone_is_lost(bench, fast_clock, again, word):
    fast_clock(10)
    bench.plan(again=again, **fallback(command=None, status="silent"))
    bench.run_image("image_stops_its_guest_agent_during_the_command", timeout=30).expect(
        69, "lost", f"the guest agent, which ran the command, was {word}")


# Where the agent is started from.

@pytest.mark.parametrize("count", range(4))
def test_a_place_that_runs_no_programs_is_followed_by_the_next(bench, count):
    bench.plan(places={place: NOEXEC for place in PLACES[:count]})
    result = bench.run_image("image", command=("exit", "3"))
    result.expect(3, "fail")
    assert (places(bench), result.notices) == (list(PLACES[:count + 1]), [])


def test_a_start_that_a_signal_ended_is_followed_by_the_next_place(bench):
    bench.plan(places={"/dev/shm": {"signal": 9}})
    bench.run_image("image", command=("exit", "3")).expect(3, "fail")
    assert places(bench) == list(PLACES[:2])


def test_no_place_at_all_is_told_once_and_the_guest_agent_runs_the_command(bench):
    bench.plan(**fallback(places={"/root": NOEXEC}, command={"exitcode": 3, "out-data": data(b"a\xffb")}))
    result = bench.run_image("image", command=("exit", "3"))
    result.expect(3, "fail", "exited with code 3")
    assert places(bench) == list(PLACES)
    (notice,) = result.notices
    assert "does not run in this image" in notice and "Permission denied" in notice
    assert result.output("stdout") == b"a\xffb"
    assert result.stages == ["prepare", "boot", "setup", "command"]


def test_an_agent_that_ran_and_could_not_attach_is_tried_nowhere_else(bench):
    bench.plan(start={"exitcode": 3, "err-data": data(b"x\nno port org.vmtest.agent.0\n")})
    result = bench.run_image("image")
    result.expect(0, "pass")
    assert places(bench) == ["/dev/shm"]
    assert len(result.notices) == 1 and "(no port org.vmtest.agent.0)" in result.notices[0]


def test_a_shell_that_is_refused_is_asked_for_once(bench):
    bench.plan(start={"error": "Guest agent command failed, error was 'Failed to execute /bin/sh'"}, mount=0)
    result = bench.run_image("image", "--share", "none")
    result.expect(0, "pass")
    assert len(result.notices) == 1 and "Failed to execute /bin/sh" in result.notices[0]
    assert places(bench) == ["/dev/shm"]


@pytest.mark.parametrize("osinfo, words", [
    ({**OSINFO, "machine": "aarch64"}, "aarch64"),
    (WINDOWS, "Windows"),
])
def test_a_system_that_the_agent_is_not_made_for_falls_back_at_once(bench, osinfo, words):
    bench.plan(osinfo=osinfo, command={"exitcode": 5})
    result = bench.run_image("image", "--share", "none")
    finished = result.expect(5, "fail")
    assert places(bench) == [] and finished["kernel"] == osinfo["kernel-release"]
    assert len(result.notices) == 1 and words in result.notices[0]


def write_target(bench, command, **keys):
    text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
    (bench.share / "vmtest.toml").write_text(
        f"[[target]]\nname = 'disk'\nimage = '{bench.image}'\nqemu_command = '{FAKE}'\n"
        f"accel = 'tcg'\ncommand = {json.dumps(command)}\n{text}")


def test_windows_runs_the_command_by_cmd_exe_and_has_nothing_to_write_back(bench):
    bench.plan(osinfo=WINDOWS)
    write_target(bench, "dir & ver", share="none")
    bench.finish(bench.start_vmtest(["--format", "json"], "image")).expect(0, "pass")
    assert executed(bench) == [["cmd.exe", "/c", "dir & ver"]]


def test_elsewhere_a_shell_runs_the_command(bench):
    bench.plan(**fallback())
    write_target(bench, "echo \"$HOME\"")
    bench.finish(bench.start_vmtest(["--format", "json"], "image")).expect(0, "pass")
    mount, command, write_back = executed(bench)[4:]
    kind, options, tag, place, *drivers = mount[4:]
    assert (kind, tag, place) == ("9p", "vmtest", "/mnt/vmtest") and options.endswith(",rw")
    assert drivers == ["9p", "9pnet_virtio"]
    assert command[:2] == ["/bin/sh", "-c"] and command[-1] == "echo \"$HOME\""
    assert write_back == ["/bin/sh", "-c", "sync"]


def test_exact_words_are_run_as_they_are(bench):
    bench.plan(**fallback())
    bench.run_image("image", command=("prog", "a b", "", "$x")).expect(0, "pass")
    assert ["prog", "a b", "", "$x"] in executed(bench)


# The guest agent runs the command.

@pytest.mark.parametrize("outcome, status, verdict", [
    ({"exitcode": 0}, 0, "pass"), ({"exitcode": 255}, 255, "fail"), ({"signal": 15}, 143, "signal"),
    ({"exitcode": 256}, 1, "fail"), ({"exitcode": -1073741819}, 5, "fail"), ({"signal": 3221225477}, 137, "signal"),
])
def test_how_a_command_of_the_guest_agent_ended(bench, outcome, status, verdict):
    bench.plan(**fallback(command=outcome))
    bench.run_image("image").expect(status, verdict)


@pytest.mark.parametrize("outcome", [
    {}, {"exitcode": "0"}, {"exitcode": None}, {"exitcode": 0, "out-data": "!"}, {"exitcode": 0, "out-data": 1},
    {"exited": "yes"},
])
def test_an_end_that_is_not_told_properly_is_no_pass(bench, outcome):
    bench.plan(**fallback(command=outcome))
    bench.run_image("image").expect(69, "lost", "guest agent")


def test_the_output_of_a_command_of_the_guest_agent_arrives(bench):
    out, err = bytes(range(256)) * 5000, b"err\n"
    # FAKE_QEMU_PLAN is one string of the environment, which the kernel limits.
    outcome = {"exitcode": 0, "out-data": data(out)[:60_000], "err-data": data(err)}
    bench.plan(**fallback(command=outcome))
    result = bench.run_image("image")
    result.expect(0, "pass")
    assert result.output("stdout") == out[:45_000] and result.output("stderr") == err
    assert len(result.notices) == 1


def test_output_that_was_cut_off_is_told(bench):
    outcome = {"exitcode": 1, "out-data": data(b"o"), "out-truncated": True, "err-truncated": True}
    bench.plan(**fallback(command=outcome))
    result = bench.run_image("image")
    result.expect(1, "fail")
    assert len(result.notices) == 3
    assert "cut the command's output off" in result.notices[1]
    assert "cut the command's standard error off" in result.notices[2]


def test_test_results_that_were_cut_off_are_no_pass(bench):
    """What is behind the end of the first document may say of a failure."""
    outcome = {"exitcode": 0, "out-data": data(b"1..1\nok 1 - a\n"), "out-truncated": True}
    bench.plan(**fallback(command=outcome))
    bench.run_image("image", "--results", "tap").expect(1, "fail", "cut the command's output off")


def test_a_program_that_is_not_there_is_127_with_the_guest_agents_words(bench):
    bench.plan(**fallback(command={"error": "Failed to execute child process \"prog\""}))
    result = bench.run_image("image", command=("prog",))
    result.expect(127, "fail", "exited with code 127")
    assert result.output("stderr") == b"vmtest: Failed to execute child process \"prog\"\n"


def test_a_command_that_the_guest_agent_forgets_is_no_command_that_exited(bench):
    """Such as one whose guest agent was restarted: nobody knows how the command ended."""
    bench.plan(**fallback(command=None, status="error"))
    bench.run_image("image").expect(69, "lost")


def test_a_command_of_the_guest_agent_times_out(bench):
    bench.plan(**fallback(command=None))
    finished = bench.run_image("image", "--timeout", "1").expect(
        124, "timeout", "the command took longer than 1 s (--timeout)")
    assert "task:stuck" in finished["tasks"] and bench.note("tasks") is not None, finished


def test_garbage_while_the_guest_agent_runs_the_command_is_lost(bench):
    bench.plan(**fallback(command=None, status="garbage"))
    bench.run_image("image", timeout=30).expect(69, "lost", "guest agent", "other than a JSON object")


def test_a_guest_agent_that_answers_no_more_during_the_command_is_lost(bench, fast_clock):
    fast_clock(30)
    bench.plan(**fallback(command=None, status="silent"))
    bench.run_image("image", "--lost-after", "60s", timeout=30).expect(69, "lost")


def test_a_mount_that_fails_is_an_error_with_the_shells_words(bench):
    bench.plan(**fallback(mount={"exitcode": 32, "err-data": data(b"mount: unknown filesystem type '9p'.\n")}))
    bench.run_image("image").expect(69, "error", "/mnt/vmtest", "unknown filesystem type '9p'", "share")


def test_the_environment_of_a_command_of_the_guest_agent_stands_in_no_log(bench):
    bench.env.update(VMTEST_LOG="1", CI_TOKEN="hunter2")
    bench.plan(**fallback())
    write_target(bench, "true", env_pass=["CI_*"])
    result = bench.finish(bench.start_vmtest([], "image"))
    assert result.status == 0, result
    assert any("CI_TOKEN=hunter2" in words for words in executed(bench))
    assert b"qga: sent guest-exec" in result.stderr and b"hunter2" not in result.stderr, result


def test_an_interactive_shell_needs_the_agent(bench):
    bench.plan(**fallback())
    result = bench.run_image("image", command=("-",), json_format=False)
    assert result.status == 69 and b"error: an interactive shell needs vmtest's agent" in result.stderr


# A guest agent that may not run anything.

@pytest.mark.parametrize("plan, words", [
    ("disabled guest-exec", ("guest-exec switched off", "block-rpcs")),
    ("disabled guest-exec-status", ("guest-exec-status switched off", "block-rpcs")),
    ("unknown guest-exec", ("does not know guest-exec:", "7.2.19")),
    ("unknown guest-exec-status", ("does not know guest-exec-status:", "7.2.19")),
])
def test_a_guest_agent_that_may_not_run_programs_is_an_error_that_names_what_is_missing(bench, plan, words):
    bench.plan(info=plan)
    finished = bench.run_image("image", timeout=30).expect(69, "error", *words)
    assert finished["stage"] == "boot" and executed(bench) == []


# The disk.

@pytest.mark.parametrize("error, words", [
    ({"action": "stop", "nospace": True, "reason": "No space left on device"}, "no space is left on the host's disk"),
    ({"action": "report", "nospace": False, "reason": "Input/output error"}, "disk failed: Input/output error"),
])
def test_a_disk_that_fails_ends_the_run_with_what_it_was(bench, error, words):
    bench.plan(error=error)
    bench.run_image("image_has_a_disk_error", timeout=30).expect(69, "error", words)


def test_a_disk_error_that_is_to_be_ignored_is(bench):
    bench.plan(error={"action": "ignore", "nospace": False, "reason": "Input/output error"})
    bench.run_image("image_has_a_disk_error", command=("exit", "0")).expect(0, "pass")


def test_an_image_in_use_is_told_in_plain_words(bench):
    finished = bench.run_image("image_is_locked").expect(69, "error", "the image is in use by another process")
    assert "write\" lock" not in finished["reason"]


def test_an_emulator_that_fails_in_the_boot_is_started_once_more(bench):
    result = bench.run_image("emulator_fails_once", command=("exit", "4"))
    result.expect(4, "fail")
    assert len(result.notices) == 1 and "starting it once more" in result.notices[0]


def test_an_emulator_that_is_started_once_more_gets_a_fresh_disk(bench):
    """The guest's system has been cut off in the middle of its boot, and that is no fault of the image."""
    bench.run_image("emulator_fails_once", command=("exit", "4")).expect(4, "fail")
    assert bench.note("overlay_is_fresh") == "True"


# The console.

NO_DEVICE = "Booting from Hard Disk...\r\nBoot failed: not a bootable disk\r\n\r\nNo bootable device.\r\n"
PANIC = "[    2.1] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\r\n"


def test_a_bios_that_finds_nothing_to_boot_is_an_error_long_before_the_timeout(bench, fast_clock):
    fast_clock(5)
    bench.plan(console=[[0, NO_DEVICE]])
    finished = bench.run_image("image_shows", "--boot-timeout", "100", timeout=90).expect(
        69, "error", "the BIOS found no boot loader", "--uefi")
    assert "No bootable device." in finished["console"]


def test_a_bios_that_goes_on_after_all_works(bench, fast_clock):
    fast_clock(2)
    bench.plan(console=[[0, NO_DEVICE], [1.5, "Retrying\r\n"], [1.5, "Booting from Hard Disk...\r\n"]], then="work")
    bench.run_image("image_shows", command=("exit", "3")).expect(3, "fail")


def test_a_system_that_starts_after_all_and_is_quiet_for_a_while_works(bench, fast_clock):
    """The console has gone beyond the sign: it means nothing any more."""
    fast_clock(4)
    kernel = "".join(f"[    0.{i:06}] Linux version 6.1.0, line {i}\r\n" for i in range(100))
    bench.plan(console=[[0, NO_DEVICE], [0.25, kernel]], pause=2, then="work")
    bench.run_image("image_shows", command=("exit", "3")).expect(3, "fail")


@pytest.mark.parametrize("then", ["hang", "reset", "pvpanic"])
def test_a_panic_on_the_way_up_is_one(bench, fast_clock, then):
    fast_clock(3)
    bench.plan(console=[[0, PANIC[:30]], [0.3, PANIC[30:]], [0.1, "[    2.2] CPU: 0 PID: 1 Comm: swapper/0\r\n"]],
               pause=0.3, then=then)
    finished = bench.run_image("image_shows", "--boot-timeout", "100", timeout=30).expect(
        69, "panic", "Kernel panic - not syncing: VFS: Unable to mount root fs")
    assert finished["stage"] == "boot"


def test_a_panic_on_the_way_up_is_told_long_before_the_boots_time_is_up(bench):
    bench.plan(console=[[0, PANIC], [0.1, PANIC.replace("] Kernel", "] ---[ end Kernel").replace("\r", " ]---\r")]])
    result = bench.run_image("image_shows", "--boot-timeout", "100", timeout=30)
    result.expect(69, "panic", "Kernel panic - not syncing: VFS: Unable to mount root fs")


def test_a_panic_that_only_pvpanic_knows_of_is_one(bench):
    bench.plan(console=[[0, "Linux version 6.1.0\r\n"]], then="pvpanic")
    bench.run_image("image_shows", "--boot-timeout", "100", timeout=30).expect(69, "panic", "no message on the console")


def test_a_line_that_reads_like_a_panic_does_not_hurt_a_system_that_comes_up(bench):
    bench.plan(console=[[0, PANIC]], pause=1, then="work")
    bench.run_image("image_shows", command=("exit", "3")).expect(3, "fail")


def test_a_panic_during_an_images_command_is_one(bench, fast_clock):
    fast_clock(5)
    bench.run_image("image_panics_during_the_command", timeout=30).expect(69, "panic", "Attempted to kill init!")


def test_a_panic_during_the_guest_agents_command_is_one(bench, fast_clock):
    fast_clock(5)
    bench.plan(**fallback(command=None, status="silent"))
    bench.run_image("image_shows_a_panic_during_the_guest_agents_command", timeout=30).expect(
        69, "panic", "Attempted to kill init!")


def test_a_line_that_reads_like_a_panic_does_not_hurt_a_guest_agent_that_answers(bench, fast_clock):
    fast_clock(3)
    bench.plan(**fallback(command=3, asks=35))
    finished = bench.run_image("image_shows_a_panic_during_the_guest_agents_command").expect(3, "fail")
    assert finished["durations"]["command"] > 6, "the command has ended within any grace"


# What is persistent.

def persist(bench, *options, **keywords):
    return bench.start_image("image", "--persist", *options, **keywords)


@pytest.mark.parametrize("command, status, verdict", [("exit 0", 0, "pass"), ("exit 3", 3, "fail"),
                                                      ("signal 9", 137, "signal")])
def test_a_persistent_guest_is_shut_down_and_the_verdict_is_the_commands(bench, command, status, verdict):
    result = bench.finish(persist(bench, command=command.split()))
    result.expect(status, verdict)
    assert result.notices == []
    assert bench.note("asked_to_shut_down") is not None and bench.note("powered_off") is not None
    assert bench.note("button") is None


def test_a_persistent_guest_without_vmtests_agent_is_shut_down(bench):
    bench.plan(**fallback(command={"exitcode": 3}))
    bench.finish(persist(bench)).expect(3, "fail")
    assert bench.note("asked_to_shut_down") is not None and bench.note("powered_off") is not None


def test_a_guest_agent_that_refuses_to_shut_down_is_followed_by_the_power_button(bench):
    bench.plan(shutdown="error")
    bench.finish(persist(bench, command=("exit", "0")), 40).expect(0, "pass")
    assert bench.note("button") is not None and bench.note("powered_off") is not None


def test_a_guest_that_hears_neither_is_stopped_and_that_is_no_pass(bench, fast_clock):
    fast_clock(30)
    bench.plan(shutdown="error", button="dead")
    bench.finish(persist(bench, command=("exit", "0")), 50).expect(69, "error", "without having shut down", "check")
    assert bench.note("button") is not None


def test_a_failed_command_stays_one_when_its_guest_does_not_shut_down(bench, fast_clock):
    fast_clock(30)
    bench.plan(shutdown="error", button="dead")
    result = bench.finish(persist(bench, command=("exit", "3")), 50)
    result.expect(3, "fail")
    assert len(result.notices) == 1 and "without having shut down" in result.notices[0]


def test_a_cancelled_persistent_run_shuts_its_guest_down(bench):
    process = persist(bench, command=("hang",))
    bench.wait_for_note("hanging", process)
    process.send_signal(signal.SIGINT)
    result = bench.finish(process, 30)
    result.expect(130, "cancelled")
    assert bench.note("powered_off") is not None
    assert len(result.notices) == 1 and "stop once more to kill it" in result.notices[0]


def test_a_second_signal_kills_a_guest_that_is_being_shut_down(bench):
    bench.plan(shutdown="error", button="dead")
    process = persist(bench, command=("hang",))
    bench.wait_for_note("hanging", process)
    process.send_signal(signal.SIGINT)
    bench.wait_for_note("button", process)
    # One that comes right behind the first counts as the same, so it is sent until it is heard.
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    bench.finish(process, 20).expect(130, "cancelled")
    assert bench.note("powered_off") is None


def test_a_timed_out_persistent_run_shuts_its_guest_down(bench):
    bench.plan(**fallback(command=None))
    bench.finish(persist(bench, "--timeout", "1")).expect(124, "timeout")
    assert bench.note("powered_off") is not None


def test_a_run_that_is_not_persistent_asks_for_no_shutdown(bench):
    bench.run_image("image", command=("exit", "0")).expect(0, "pass")
    assert bench.note("asked_to_shut_down") is None and bench.note("button") is None
