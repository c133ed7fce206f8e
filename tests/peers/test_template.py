# SPDX-License-Identifier: Apache-2.0
"""Templates: a machine that is frozen on its way up, clones of it, what goes wrong with either (fake_template.py)."""
import os
import re
import resource
import signal
import subprocess

import pytest

from conftest import FAKE, wait_until

COLD = ["prepare", "boot", "setup", "command"]
CLONED = ["prepare", "boot from template", "setup", "command"]


class Store:
    """A cache of the test's own; what vmtest knows of modules comes from the one that all tests share."""

    def __init__(self, bench, shared, directory):
        self.directory = directory / "cache"
        self.directory.mkdir()
        shared.mkdir(exist_ok=True)
        for name in ("kernels", "modules"):
            (shared / name).mkdir(exist_ok=True)
            (self.directory / name).symlink_to(shared / name)
        bench.env["VMTEST_CACHE_DIR"] = str(self.directory)
        del bench.env["VMTEST_CACHE_SIZE"]

    def entries(self):
        """All that lies where the templates are."""
        try:
            return sorted(os.listdir(self.directory / "templates"))
        except FileNotFoundError:
            return []

    @property
    def key(self):
        (entry,) = self.entries()
        assert re.fullmatch("[0-9a-f]{32}", entry), entry
        return entry


@pytest.fixture
def store(bench, cache, tmp_path):
    return Store(bench, cache, tmp_path)


def boots(bench):
    """How each QEMU was started, in order."""
    return (bench.note("boots") or "").splitlines()


def run(bench, *options, command="exit 0", **keywords):
    return bench.run_json("template", *options, command=command.split(), **keywords)


def make(bench, store):
    """A template, by a run that is looked at elsewhere; what it has noted is forgotten."""
    run(bench).expect(0, "pass")
    key = store.key
    for note in bench.notes.iterdir():
        note.unlink()
    return key


# The good way.

def test_the_first_run_makes_a_template_and_runs_its_command(bench, store):
    result = run(bench, command="exit 3")
    result.expect(3, "fail", "exited with code 3")
    assert (result.stages, result.notices, boots(bench)) == (COLD, [], ["cold, to be frozen"])
    path = store.directory / "templates" / store.key
    assert sorted(os.listdir(path)) == ["memory", "meta.json", "state", "used"]
    assert (path / "memory").stat().st_blocks * 512 < 1 << 20, "the holes of the memory are not holes"


def test_the_second_run_is_cloned_from_what_the_first_has_frozen(bench, store):
    """No hello comes. The memory is that of the freezing: the first machine has gone on writing to it."""
    key = make(bench, store)
    result = run(bench, command="exit 4")
    finished = result.expect(4, "fail")
    assert (result.stages, result.notices, boots(bench)) == (CLONED, [], ["clone"])
    assert bench.note("restored") == "whole"
    assert finished["kernel"] == "6.1.0-fake"
    assert store.key == key


def test_a_boot_in_which_the_kernel_reported_something_becomes_no_template(bench, store):
    """A clone of it would not boot, and so not tell: each run does."""
    bench.plan(console="WARNING: suspicious RCU usage\r\nOut of memory: Killed process 7 (early) total-vm:1kB\r\n")
    for _ in range(2):
        result = run(bench, "--fail-on", "oom")
        result.expect(1, "fail", "Out of memory")
        assert result.notices == ["no template is made of this boot, because the guest's kernel reported something"]
        assert store.entries() == []
    assert boots(bench) == ["cold, to be frozen"] * 2


def test_a_qemu_that_cannot_be_started_costs_no_template(bench, store, tmp_path):
    interpreter, script = tmp_path / "interpreter", bench.share / "qemu"
    for path, text in ((interpreter, f'#!/bin/sh\nshift\nexec {FAKE} "$@"\n'), (script, f"#!{interpreter}\n")):
        path.write_text(text)
        path.chmod(0o755)
    run(bench, "-q", str(script)).expect(0, "pass")
    key = store.key
    interpreter.unlink()
    result = run(bench, "-q", str(script))
    result.expect(69, "error", f"cannot run QEMU '{script}'")
    assert (result.stages, store.key) == (CLONED[:2], key)


def test_few_files_are_told_before_anything_else(bench):
    result = bench.finish(bench.start("passes", json_format=True,
                                      preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))))
    result.expect(69, "error", "only 20 files may be open at a time (ulimit -n)")
    assert (result.stages, result.notices) == (["prepare"], [])


def test_a_clone_is_told_the_time_again(bench, store):
    make(bench, store)
    run(bench).expect(0, "pass")
    assert bench.note("clocked") is not None


def test_a_third_run_gets_the_same_as_the_second(bench, store):
    make(bench, store)
    for _ in range(2):
        run(bench).expect(0, "pass")
        assert bench.note("restored") == "whole"
    assert boots(bench) == ["clone", "clone"]
    done = subprocess.run([bench.vmtest, "cache", "verify"], env=bench.env, stdout=subprocess.PIPE, timeout=60)
    assert (done.returncode, done.stdout) == (0, b"1 template is sound.\n")


def test_a_person_sees_that_the_boot_is_from_a_template(bench, store):
    cold = bench.run("template", command=("exit", "0"))
    clone = bench.run("template", command=("exit", "0"))
    assert b"===> Booting\n" in cold.stderr and b"from template" not in cold.stderr
    assert b"===> Booting (from template)\n" in clone.stderr
    assert (cold.status, clone.status, clone.stdout) == (0, 0, b"")


@pytest.mark.parametrize("version, readonly", [((7, 2, 19), "False"), ((8, 1, 5), "False"), ((8, 2, 0), "True"),
                                               ((10, 0, 2), "True")])
def test_the_memory_is_opened_read_only_by_a_qemu_that_can(bench, store, version, readonly):
    bench.plan(version=version)
    make(bench, store)
    run(bench).expect(0, "pass")
    assert (bench.note("readonly"), bench.note("restored")) == (readonly, "whole")


def test_a_template_is_found_again_only_for_the_same_machine(bench, store):
    make(bench, store)
    (bench.share / "vmtest.toml").write_text(
        f"[[target]]\nname = 'other'\nkernel = '{bench.kernel}'\ncommand = 'exit 0'\nqemu_command = '{FAKE}'\n"
        "accel = 'tcg'\n[target.vm]\nmemory = '1G'\n")
    bench.finish(bench.start_vmtest(["--format", "json"], "template")).expect(0, "pass")
    assert boots(bench) == ["cold, to be frozen"] and len(store.entries()) == 2


def test_two_runs_at_once_make_one_template(bench, store):
    bench.tell("hold_boot")
    first = bench.start("template", json_format=True, command=("exit", "3"))
    assert wait_until(lambda: len(boots(bench)) == 1)
    second = bench.start("template", json_format=True, command=("exit", "4"))
    assert wait_until(lambda: len(boots(bench)) == 2)
    bench.tell("go")
    # The second may outlive the first, whose processes have the same mark.
    results = []
    for process in (first, second):
        process.wait(60)
    for process in (first, second):
        results.append(bench.finish(process))
    results[0].expect(3, "fail")
    results[1].expect(4, "fail")
    assert results[0].notices == results[1].notices == []
    assert boots(bench) == ["cold, to be frozen", "cold"]
    assert store.key


# Images.

def test_an_image_is_frozen_once_it_has_settled_and_its_disk_with_it(bench, store):
    result = bench.run_image("template", command=("exit", "3"))
    result.expect(3, "fail")
    assert (result.stages, result.notices, boots(bench)) == (COLD, [], ["cold, to be frozen"])
    assert 1000 <= int(bench.note("settled")) <= 300_000
    assert sorted(os.listdir(store.directory / "templates" / store.key)) == ["disk", "memory", "meta.json", "state",
                                                                            "used"]
    result = bench.run_image("template", command=("exit", "4"))
    finished = result.expect(4, "fail")
    assert (result.stages, finished["kernel"]) == (CLONED, "6.1.0-image")
    assert (bench.note("restored"), bench.note("frozen_disk"), bench.note("fdsets")) == ("whole", "True", "1 3")


def test_an_image_whose_clone_fails_boots_cold_from_a_fresh_disk(bench, store):
    """Not from what the clone has written: that belongs on top of the frozen disk."""
    bench.run_image("template", command=("exit", "0")).expect(0, "pass")
    bench.plan(awake="exits")
    bench.run_image("template", command=("exit", "3")).expect(3, "fail")
    assert boots(bench) == ["cold, to be frozen", "clone", "cold"]
    assert bench.note("overlay_is_fresh") == "True"


def test_an_image_in_which_the_agent_does_not_run_makes_no_template(bench, store):
    bench.plan(start=126, command={"exitcode": 3})
    bench.run_image("template").expect(3, "fail")
    assert store.entries() == [] and bench.note("settled") is None


def test_an_image_that_is_persistent_makes_no_template(bench, store):
    bench.run_image("template", "--persist", command=("exit", "0")).expect(0, "pass")
    assert store.entries() == [] and boots(bench) == ["cold"]


# What goes wrong while a machine is frozen.

@pytest.mark.parametrize("step", ["stop error", "migrate-set-capabilities error", "migrate error", "migrate failed"])
def test_a_machine_that_cannot_be_frozen_goes_on(bench, store, step):
    bench.plan(freeze=step)
    result = run(bench, command="exit 3")
    result.expect(3, "fail")
    assert (result.stages, result.notices) == (COLD, [])
    assert store.entries() == []
    bench.plan()
    assert run(bench).stages == COLD
    assert store.key


@pytest.mark.parametrize("step", ["stop", "migrate-set-capabilities", "migrate", "cont"])
@pytest.mark.parametrize("how, words", [("exit", "QEMU exited with status 1"), ("abort", "signal 6")])
def test_a_qemu_that_dies_while_it_is_frozen_is_lost(bench, store, step, how, words):
    bench.plan(freeze=f"{step} {how}")
    result = run(bench, timeout=30)
    finished = result.expect(69, "lost", words)
    assert finished["stage"] == "boot" and len(boots(bench)) == 1
    assert store.entries() == []


def test_a_machine_that_goes_on_only_somewhat_after_its_migration_has_ended_makes_its_template(bench, store):
    bench.plan(refusals=3)
    assert run(bench, command="exit 3").expect(3, "fail")
    assert len(boots(bench)) == 1 and store.key


def test_a_machine_that_does_not_go_on_after_it_was_frozen_is_an_error(bench, store):
    bench.plan(freeze="cont error")
    run(bench, timeout=30).expect(69, "error", "did not continue", "the fake refuses 'cont'")
    assert store.entries() == []


@pytest.mark.parametrize("step", ["stop silent", "migrate-set-capabilities silent", "migrate silent"])
def test_a_qemu_that_never_replies_while_it_is_frozen_costs_only_time(bench, store, fast_clock, step):
    fast_clock(10)
    bench.plan(freeze=step)
    run(bench, command="exit 3", timeout=40).expect(3, "fail")
    assert store.entries() == []


def test_the_time_that_freezing_takes_is_not_the_guests(bench, store):
    """boot_timeout bounds the guest's boot, which has come to its hello at once."""
    bench.plan(freeze="migrate slow 4", set_up_takes=0.5)
    run(bench, "--boot-timeout", "3", command="exit 3").expect(3, "fail")


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_a_machine_is_frozen_cancels_the_run(bench, store, number, status):
    bench.plan(freeze="migrate wait")
    process = bench.start("template", json_format=True)
    bench.wait_for_note("waiting_at", process)
    process.send_signal(number)
    bench.finish(process, 20).expect(status, "cancelled")
    assert store.entries() == []


def test_a_vmtest_that_is_killed_while_it_freezes_leaves_nothing_in_the_way(bench, store):
    bench.plan(freeze="migrate wait")
    process = bench.start("template")
    bench.wait_for_note("waiting_at", process)
    process.kill()
    process.wait(20)
    assert wait_until(lambda: not bench.processes(), 5)
    bench.plan()
    run(bench).expect(0, "pass")
    assert store.key


# What goes wrong with a clone.

@pytest.mark.parametrize("plan", [
    {"clone": "migrate-set-capabilities error"}, {"clone": "migrate-incoming error"},
    {"clone": "migrate-incoming failed"}, {"clone": "migrate-incoming exit"}, {"clone": "migrate-incoming abort"},
    {"clone": "cont error"}, {"clone": "cont exit"}, {"awake": "exits"}, {"awake": "panics"}, {"awake": "powers off"},
    {"awake": "talks nonsense"},
], ids=lambda plan: " ".join(plan.values()).replace(" ", "-"))
def test_a_template_that_does_not_come_up_is_removed_and_the_run_boots_cold(bench, store, plan):
    make(bench, store)
    bench.plan(**plan)
    result = run(bench, command="exit 3", timeout=30)
    finished = result.expect(3, "fail")
    assert (finished["stage"], result.notices) == ("command", [])
    stages = [stage for stage in result.stages if stage != "setup"]
    assert stages == ["prepare", "boot from template", "boot", "command"]
    assert boots(bench) == ["clone", "cold"] and bench.note("set_up") == "cold"
    assert store.entries() == []
    # Nor is the next one hurt.
    bench.plan()
    assert run(bench).stages == COLD and run(bench).stages == CLONED


@pytest.mark.parametrize("plan", [{"clone": "migrate-incoming silent"}, {"clone": "cont silent"},
                                  {"awake": "is silent"}], ids=lambda plan: " ".join(plan.values()).replace(" ", "-"))
def test_a_clone_that_is_silent_is_given_up_in_time_and_the_run_boots_cold(bench, store, fast_clock, plan):
    make(bench, store)
    fast_clock(10)
    bench.plan(**plan)
    run(bench, command="exit 3", timeout=90).expect(3, "fail")
    assert boots(bench) == ["clone", "cold"]
    assert store.entries() == []


def test_a_template_that_has_taken_all_of_the_boots_time_hurts_no_further_run(bench, store, fast_clock):
    """The run itself may time out, but not every one from then on."""
    make(bench, store)
    fast_clock(4)
    bench.plan(awake="is silent")
    assert run(bench, "--boot-timeout", "12", timeout=30).status in (0, 124)
    assert store.entries() == []


def test_a_clone_that_works_and_is_lost_during_its_command_keeps_its_template(bench, store):
    key = make(bench, store)
    process = bench.start("template", json_format=True, command=("hang",))
    bench.wait_for_note("hanging", process)
    os.kill(int(bench.note("pid")), signal.SIGKILL)
    bench.finish(process, 20).expect(69, "lost", "QEMU was killed by signal 9")
    assert boots(bench) == ["clone"] and store.key == key


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_a_clone_is_loaded_cancels_the_run_and_keeps_the_template(bench, store, number, status):
    key = make(bench, store)
    bench.plan(clone="migrate-incoming wait")
    process = bench.start("template", json_format=True)
    bench.wait_for_note("waiting_at", process)
    process.send_signal(number)
    bench.finish(process, 20).expect(status, "cancelled")
    assert boots(bench) == ["clone"] and store.key == key


@pytest.mark.parametrize("name", ["memory", "state", "meta.json"])
def test_a_template_that_was_damaged_is_made_anew(bench, store, name):
    key = make(bench, store)
    path = store.directory / "templates" / key / name
    path.write_bytes(b"x" if name == "memory" else path.read_bytes()[:-2])
    result = run(bench, command="exit 3")
    result.expect(3, "fail")
    assert (result.stages, result.notices, boots(bench)) == (COLD, [], ["cold, to be frozen"])
    assert store.key == key


# Without templates.

def test_no_template_is_made_or_used_with_the_option_against_it(bench, store):
    assert run(bench, "--no-template").stages == COLD
    assert store.entries() == []
    key = make(bench, store)
    assert run(bench, "--no-template").stages == COLD
    assert boots(bench) == ["cold"] and store.key == key


@pytest.mark.parametrize("value, entries, stages", [("false", 0, [COLD, COLD]), ("true", 1, [COLD, CLONED])])
def test_a_target_may_say_whether_it_has_a_template(bench, store, value, entries, stages):
    (bench.share / "vmtest.toml").write_text(
        f"[[target]]\nname = 'one'\nkernel = '{bench.kernel}'\ncommand = 'exit 0'\nqemu_command = '{FAKE}'\n"
        f"accel = 'tcg'\ntemplate = {value}\n")
    for expected in stages:
        result = bench.finish(bench.start_vmtest(["--format", "json"], "template"))
        result.expect(0, "pass")
        assert result.stages == expected
    assert len(store.entries()) == entries


def test_a_cache_that_may_take_nothing_is_a_wish_and_not_told(bench, store):
    bench.env["VMTEST_CACHE_SIZE"] = "0"
    for _ in range(2):
        result = run(bench)
        result.expect(0, "pass")
        assert (result.stages, result.notices) == (COLD, [])
    assert store.entries() == [] and boots(bench) == ["cold", "cold"]


@pytest.mark.parametrize("size, words", [("ten", "VMTEST_CACHE_SIZE='ten'")])
def test_a_limit_that_is_none_is_told_and_the_run_boots_cold(bench, store, size, words):
    bench.env["VMTEST_CACHE_SIZE"] = size
    result = run(bench, command="exit 3")
    result.expect(3, "fail")
    assert result.stages == COLD and store.entries() == []
    assert len(result.notices) == 1 and words in result.notices[0]


def test_a_template_that_is_larger_than_the_cache_is_not_kept(bench, store):
    bench.env["VMTEST_CACHE_SIZE"] = "4k"
    result = run(bench, command="exit 3")
    result.expect(3, "fail")
    assert (result.stages, result.notices, store.entries()) == (COLD, [], [])


def test_a_cache_that_cannot_be_written_is_told_once_and_the_run_boots_cold(bench, store):
    (store.directory / "templates").write_text("in the way")
    result = run(bench, command="exit 3")
    result.expect(3, "fail")
    assert (result.stages, boots(bench)) == (COLD, ["cold"])
    assert len(result.notices) == 1
    assert f"{store.directory}/templates" in result.notices[0] and "every boot is cold" in result.notices[0]


def test_a_cache_that_others_can_write_to_is_not_used(bench, store):
    make(bench, store)
    (store.directory / "templates").chmod(0o777)
    result = run(bench, command="exit 3")
    result.expect(3, "fail")
    assert (result.stages, boots(bench)) == (COLD, ["cold"])
    assert len(result.notices) == 1 and "can be written to by other users" in result.notices[0]
