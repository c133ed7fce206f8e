# SPDX-License-Identifier: Apache-2.0
"""Several targets at once, further attempts, and what chooses among targets."""
import json
import os
import signal
import time

import pytest

from conftest import FAKE, children, wait_until


def write(bench, targets):
    """A vmtest.toml of (name, command, scenario) or (name, command, scenario, "further keys")."""
    text = ""
    for name, command, scenario, *keys in targets:
        vm = "vm = { num_cpus = 1, memory = '256M' }" if not keys else keys[0]
        text += (f"[[target]]\nname = '{name}'\nkernel = '{bench.kernel}'\nkernel_args = 'fake={scenario}'\n"
                 f"command = '{command}'\nqemu_command = '{FAKE}'\naccel = 'tcg'\n{vm}\n")
    (bench.share / "vmtest.toml").write_text(text)


def start(bench, *options):
    return bench.start_vmtest(["--format", "json", *options])


def run(bench, *options):
    result = bench.finish(start(bench, *options))
    assert result.events[-1]["event"] == "summary", result
    return result


def of(result, kind):
    return [event for event in result.events if event["event"] == kind]


def names(result, kind="finished"):
    return [event["target"] for event in of(result, kind)]


def verdicts(result):
    return {event["target"]: event["verdict"] for event in of(result, "finished")}


# Several at once.

def test_two_targets_run_at_once(bench):
    write(bench, [("a", "a b", "meets"), ("b", "b a", "meets")])
    result = run(bench, "-j2")
    assert (result.status, verdicts(result)) == (0, {"a": "pass", "b": "pass"})
    for name in "ab":
        kinds = [event["event"] for event in result.events if event.get("target") == name]
        assert kinds[0] == "started" and kinds[-1] == "finished" and kinds.count("finished") == 1
        text = "".join(event["text"] for event in of(result, "output") if event["target"] == name)
        assert text == f"{name} waits\n{name} met\n"


def concurrency(bench):
    """The sets of targets that ran at once."""
    running, seen = set(), []
    for line in bench.note("log").splitlines():
        sign, name = line.split()
        (running.add if sign == "+" else running.remove)(name)
        seen.append(frozenset(running))
    return seen


def test_no_more_than_so_many_run_at_once(bench):
    write(bench, [(f"t{i}", f"t{i}", "overlaps") for i in range(6)])
    assert run(bench, "-j2").status == 0
    assert max(len(running) for running in concurrency(bench)) == 2


def test_one_job_at_a_time_is_the_order_of_the_list(bench):
    write(bench, [(f"t{i}", f"t{i}", "overlaps") for i in range(4)])
    result = run(bench, "-j1")
    assert names(result) == names(result, "started") == ["t0", "t1", "t2", "t3"]
    assert max(len(running) for running in concurrency(bench)) == 1


def memory_of_host(field):
    """In MiB."""
    with open("/proc/meminfo") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(f"{field}:")) // 1024


def test_memory_is_never_promised_twice(bench):
    """A target that needs more than half of the host does not run beside another that does, -j or not."""
    large = f"vm = {{ num_cpus = 1, memory = '{memory_of_host('MemAvailable') * 6 // 10}M' }}"
    write(bench, [("large1", "large1", "overlaps", large), ("large2", "large2", "overlaps", large),
                  ("small", "small", "overlaps")])
    assert run(bench, "-j8").status == 0
    assert not any({"large1", "large2"} <= running for running in concurrency(bench))


def test_a_target_larger_than_the_host_runs_alone_with_a_warning(bench):
    # More than is free, but no more than there is, which the kernel would refuse.
    large = f"vm = {{ num_cpus = 1, memory = '{(memory_of_host('MemAvailable') + memory_of_host('MemTotal')) // 2}M' }}"
    write(bench, [("small1", "small1", "overlaps"), ("huge", "huge", "overlaps", large),
                  ("small2", "small2", "overlaps"), ("small3", "small3", "overlaps")])
    result = run(bench, "-j4")
    assert result.status == 0, result
    assert frozenset({"huge"}) in concurrency(bench)
    assert not any("huge" in running and len(running) > 1 for running in concurrency(bench))
    (warning,) = [event for event in of(result, "notice") if "runs alone" in event["text"]]
    assert warning["target"] == "huge" and "warning" in warning["text"]


def test_a_worker_that_is_killed_costs_only_its_own_target_of_several(bench):
    write(bench, [("killed", "killed", "hangs"), ("other", "other later", "meets"), ("later", "later other", "meets")])
    process = start(bench, "-j2")
    qemu = int(bench.wait_for_note("hangs-killed", process))
    bench.wait_for_note("met-other", process)
    (worker,) = [pid for pid in children(process.pid) if qemu in children(pid)]
    os.kill(worker, signal.SIGKILL)
    assert wait_until(lambda: qemu not in bench.processes(), 2)
    result = bench.finish(process)
    assert verdicts(result) == {"killed": "error", "other": "pass", "later": "pass"}
    assert result.status == 1


def start_hanging(bench):
    write(bench, [("a", "a", "hangs"), ("b", "b", "hangs"), ("never", "exit 0", "as_told")])
    process = start(bench, "-j2")
    for name in "ab":
        bench.wait_for_note(f"hangs-{name}", process)
    return process


def test_a_signal_cancels_all_that_run_and_those_that_follow(bench):
    process = start_hanging(bench)
    process.send_signal(signal.SIGINT)
    result = bench.finish(process, 20)
    assert verdicts(result) == {"a": "cancelled", "b": "cancelled", "never": "cancelled"}
    assert result.finished["never"]["reason"] == "not started"
    assert "attempt" not in result.finished["never"]
    assert result.status == 130


def test_a_second_signal_ends_workers_that_do_not_react(bench):
    process = start_hanging(bench)
    for worker in children(process.pid):
        os.kill(worker, signal.SIGSTOP)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    result = bench.finish(process, 20)
    assert set(verdicts(result).values()) == {"cancelled"} and len(verdicts(result)) == 3
    assert result.status == 143


def test_a_vmtest_that_is_killed_takes_all_workers_and_qemus_along(bench):
    process = start_hanging(bench)
    process.kill()
    assert process.wait(20) == -signal.SIGKILL
    assert wait_until(lambda: not bench.processes(), 2), bench.processes()


# Further attempts, and stopping.

def test_a_target_that_passes_at_a_further_attempt_is_flaky(bench):
    write(bench, [("once", "once 1", "tries"), ("never", "never 9", "tries"), ("good", "good 0", "tries")])
    result = run(bench, "--retries", "2", "-j2")
    assert verdicts(result) == {"once": "flaky", "never": "fail", "good": "pass"}
    assert result.status == 1
    assert result.finished["once"]["reason"] == "passed at attempt 2 of 3"
    assert [(event["event"], event["attempt"]) for event in result.events
            if event.get("target") == "once" and "attempt" in event] == \
        [("started", 1), ("retry", 1), ("started", 2), ("finished", 2)]
    assert [event["status"] for event in of(result, "retry") if event["target"] == "never"] == [7, 7]
    assert result.finished["never"]["attempt"] == 3
    summary = result.events[-1]
    assert (summary["targets"], summary["not_passed"]) == (3, 1)
    assert (summary["verdicts"]["pass"], summary["verdicts"]["flaky"], summary["verdicts"]["fail"]) == (1, 1, 1)
    assert sum(summary["verdicts"].values()) == 3


def test_a_flaky_target_fails_where_that_is_said(bench):
    write(bench, [("once", "once 1", "tries")])
    result = run(bench, "--retries=1", "--flaky-fails")
    result.expect(1, "fail", "passed at attempt 2 of 2")


def test_a_one_liner_is_tried_again_as_well(bench):
    result = bench.run("tries", "--retries=1", command=("me", "1"), json_format=True)
    result.expect(0, "flaky", "passed at attempt 2 of 2")


def test_a_crashed_worker_is_tried_again(bench):
    write(bench, [("a", "a", "hangs")])
    process = start(bench, "--retries=1")
    for _ in range(2):
        bench.wait_for_note("hangs-a", process)
        (worker,) = children(process.pid)
        (bench.notes / "hangs-a").unlink()
        os.kill(worker, signal.SIGKILL)
        assert wait_until(lambda: worker not in children(process.pid))
    result = bench.finish(process)
    assert len(of(result, "retry")) == 1
    result.expect(69, "error", "signal 9")


def test_a_cancelled_target_is_not_tried_again(bench):
    write(bench, [("a", "a", "hangs")])
    process = start(bench, "--retries=3")
    bench.wait_for_note("hangs-a", process)
    process.send_signal(signal.SIGINT)
    result = bench.finish(process, 20)
    assert of(result, "retry") == []
    result.expect(130, "cancelled")


def test_each_attempt_keeps_its_artifacts(bench):
    write(bench, [("a", "a 2", "tries")])
    kept = bench.notes.parent / "kept"
    assert run(bench, "--retries=2", "--artifacts", str(kept)).status == 0
    outputs = {path: (kept / path / "stdout.log").read_text() for path in ("a", "a/attempt-2", "a/attempt-3")}
    assert outputs == {"a": "attempt 1\n", "a/attempt-2": "attempt 2\n", "a/attempt-3": "attempt 3\n"}
    results = [json.loads((kept / path / "result.json").read_text())["verdict"] for path in outputs]
    assert results == ["fail", "fail", "flaky"]
    # A later run that needs no further attempt leaves none of an earlier one there.
    assert run(bench, "--artifacts", str(kept)).status == 0
    assert not (kept / "a/attempt-2").exists()
    assert (kept / "a/stdout.log").read_text() == "attempt 4\n"


def test_nothing_is_started_behind_a_failure_with_fail_fast(bench):
    write(bench, [("first", "exit 0", "as_told"), ("bad", "bad 9", "tries"), ("c", "exit 0", "as_told"),
                  ("d", "exit 0", "as_told")])
    result = run(bench, "-j1", "--fail-fast", "--retries=1")
    assert verdicts(result) == {"first": "pass", "bad": "fail", "c": "skipped", "d": "skipped"}
    assert result.finished["c"]["reason"] == "not started, since 'bad' did not pass (--fail-fast)"
    assert result.status == 3


def test_what_runs_beside_a_failure_goes_on_with_fail_fast(bench):
    write(bench, [("bad", "bad 9", "tries"), ("other", "other go", "meets"), ("c", "exit 0", "as_told")])
    process = start(bench, "-j2", "--fail-fast")
    bench.wait_for_note("met-other", process)
    assert wait_until(lambda: bench.note("tries-bad") and len(children(process.pid)) == 1)
    bench.tell("met-go")
    result = bench.finish(process)
    assert verdicts(result) == {"bad": "fail", "other": "pass", "c": "skipped"}
    assert result.status == 2


def test_a_repeated_target_is_a_job_for_each_time(bench):
    write(bench, [("a", "a 2", "tries"), ("b", "exit 0", "as_told")])
    result = run(bench, "--repeat=3", "-j1", "-f", "^a$")
    assert verdicts(result) == {"a (1 of 3)": "fail", "a (2 of 3)": "fail", "a (3 of 3)": "pass"}
    assert result.status == 2
    kept = bench.notes.parent / "kept"
    run(bench, "--repeat=2", "-j1", "-f", "^a$", "--artifacts", str(kept))
    lines = [path.read_text() for path in kept.glob("*/run-again")]
    assert len(lines) == 2 and all(line.rstrip().endswith("-f '^a$'") for line in lines), lines


def test_a_shuffled_run_can_be_had_again(bench):
    write(bench, [(f"t{i}", "exit 0", "as_told") for i in range(8)])
    first = run(bench, "-j1", "--shuffle")
    (seed,) = [event["text"].split("--shuffle=")[1] for event in of(first, "notice") if "--shuffle=" in event["text"]]
    again = run(bench, "-j1", f"--shuffle={seed}")
    assert names(first) == names(again)
    assert sorted(names(first)) == [f"t{i}" for i in range(8)]
    assert names(run(bench, "-j1", "--shuffle=1")) != names(run(bench, "-j1", "--shuffle=2"))


def test_what_is_said_of_the_run_itself_is_not_left_out_by_quiet(bench):
    write(bench, [("a", "exit 0", "as_told"), ("b", "exit 0", "as_told")])
    result = bench.finish(bench.start_vmtest(["--quiet", "--shuffle=7"]))
    assert result.status == 0
    lines = result.stdout.decode().splitlines()
    assert lines[0] == "note: the targets run in the order of --shuffle=7"
    assert len(lines) == 2 and "2 pass" in lines[1], lines


# Choosing.

def test_filters_add_up_and_what_is_excluded_is_left_out(bench):
    write(bench, [(name, "exit 0", "as_told") for name in ("xdp old", "xdp new", "tc old", "tc new", "lsm")])
    assert names(run(bench, "-j1", "-f", "xdp", "-f", "lsm")) == ["xdp old", "xdp new", "lsm"]
    assert names(run(bench, "-j1", "-f", "xdp", "-f", "tc", "--exclude", "old$")) == ["xdp new", "tc new"]
    assert names(run(bench, "-j1", "--exclude", "xdp", "--exclude", "tc")) == ["lsm"]
    none = bench.finish(start(bench, "--exclude", "."))
    assert none.status == 69 and b"--exclude" in none.stderr
    half = bench.finish(start(bench, "-j1", "-f", "lsm", "-f", "nothing"))
    assert half.status == 0 and b"warning" in half.stderr and b"'nothing'" in half.stderr


def test_failed_runs_what_did_not_pass_the_last_time(bench):
    targets = [("good", "exit 0", "as_told"), ("bad", "bad 1", "tries"), ("flaky", "flaky 1", "tries")]
    write(bench, targets)
    nothing = bench.finish(start(bench, "--failed"))
    assert nothing.status == 69 and b"--failed" in nothing.stderr
    assert run(bench, "-j1", "-f", "good", "-f", "bad").status == 1
    assert names(run(bench, "-j1", "--failed", "--retries=1")) == ["bad", "flaky"]  # what was not run did not pass
    empty = run(bench, "--failed")
    assert (empty.status, names(empty)) == (0, [])
    assert empty.stderr == b"vmtest: every target passed last time\n"
    assert empty.events[-1]["targets"] == 0


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_what_a_stopped_run_did_not_end_has_not_passed(bench, stop):
    targets = [(name, "exit 0", "as_told") for name in ("a", "b", "c", "other")]
    write(bench, targets)
    assert run(bench, "-j1").status == 0
    write(bench, [("a", "exit 0", "as_told"), ("b", "b", "hangs"), *targets[2:]])
    process = start(bench, "-j1", "--exclude", "other")
    bench.wait_for_note("hangs-b", process)
    process.send_signal(stop)
    bench.finish(process, 20)
    write(bench, targets)
    # Who was killed could not tell that a had passed.
    assert names(run(bench, "-j1", "--failed")) == (["b", "c"] if stop == signal.SIGINT else ["a", "b", "c"])


def test_what_is_skipped_has_not_passed(bench):
    write(bench, [(name, "exit 0", "as_told") for name in "abc"])
    assert run(bench, "-j1").status == 0
    write(bench, [(name, f"exit {int(name == 'b')}", "as_told") for name in "abc"])
    assert verdicts(run(bench, "-j1", "--fail-fast")) == {"a": "pass", "b": "fail", "c": "skipped"}
    assert names(run(bench, "-j1", "--failed")) == ["b", "c"]


def test_a_history_that_can_be_neither_written_nor_removed_is_told(bench, tmp_path):
    write(bench, [("a", "exit 0", "as_told")])
    bench.env["XDG_STATE_HOME"] = str(tmp_path / "state")
    assert run(bench).status == 0
    (kept,) = (tmp_path / "state/vmtest/history").iterdir()
    kept.unlink()
    kept.mkdir()
    result = run(bench)
    assert result.status == 0
    assert result.stderr.startswith(b"vmtest: warning: ") and b"--failed" in result.stderr


@pytest.mark.parametrize("state", ["/proc/nowhere", "/dev/null"])
def test_a_home_that_cannot_be_written_is_no_error(bench, state):
    write(bench, [("a", "exit 0", "as_told")])
    bench.env["XDG_STATE_HOME"] = state
    result = run(bench)
    assert result.status == 0 and result.stderr == b""
