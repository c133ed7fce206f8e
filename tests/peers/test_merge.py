# SPDX-License-Identifier: Apache-2.0
"""`vmtest merge`: reports of shards become one result, and what is no whole run never passes."""
import copy
import json
import subprocess

import pytest

LIST = "0123456789abcdef" * 2
OTHER = "f" * 32
STAGES = {"prepare": 0, "boot": 0, "setup": 0, "command": 0}


def entry(name, verdict="pass", shard=1, **changes):
    """A target as a report has it; without a verdict where that is None."""
    result = {"verdict": verdict, "detail": 3, "status": 3, "reason": "the reason", "stage": "command",
              "stages_nsec": STAGES, "accel": "tcg", "kernel": "6.1", "kernel_xxh128": "", "qemu": "7.2", "user_usec": 0,
              "system_usec": 0, "max_rss_kib": 0, "findings": [], "more_findings": 0,
              "subresult_counts": {"pass": 0, "fail": 0, "skip": 0, "todo": 0}, "tasks": ""}
    return {"name": name, "target": name, "axes": [], "slot": 0, "shard": shard, "start_nsec": 1000, "end_nsec": 2000,
            "stage_starts_nsec": STAGES, "from_template": False, "attempts": [], "finished": verdict is not None,
            "result": result if verdict else None, "subresults": [], "console": "", "output": "", "again": "vmtest",
            "artifacts": "", **changes}


def report(index, count, *entries, **changes):
    failed = sum(not each["finished"] or each["result"]["verdict"] not in ("pass", "flaky") for each in entries)
    document = {"format": "vmtest report", "version": 1, "list": LIST, "shard": {"index": index, "count": count},
                "seed": None, "slots": 2, "started_at_usec": 1700000000000000 + index, "targets": list(entries),
                "summary": {"targets": len(entries), "verdicts": {}, "not_passed": failed, "status": min(failed, 125),
                            "nsec": 5000}}
    for each in entries:
        each["shard"] = index
    document.update(changes)
    return document


@pytest.fixture
def merge(vmtest, tmp_path):
    """Writes reports into a directory and merges it: (exit status, output, errors, the merged report or None)."""
    def run(reports, *arguments):
        directory = tmp_path / "reports"
        for name, content in reports.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content if isinstance(content, str) else json.dumps(content))
        directory.mkdir(exist_ok=True)
        merged = tmp_path / "merged.json"
        argv = [vmtest, "merge", *(arguments or [directory]), "--report", f"json={merged}"]
        done = subprocess.run(argv, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                              check=False)
        return done.returncode, done.stdout, done.stderr, json.loads(merged.read_text()) if merged.exists() else None
    return run


def good():
    """Three shards, one of them empty."""
    return {"1.json": report(1, 3, entry("a"), entry("c")), "2/r.json": report(2, 3, entry("b")), "3.json": report(3, 3)}


def test_all_shards_that_passed_are_one_run_that_passed(merge):
    status, output, errors, merged = merge(good())
    assert (status, errors) == (0, "")
    assert output == "3 targets in 3 shards, 3 pass; 0 did not pass\n"
    assert [each["name"] for each in merged["targets"]] == ["a", "b", "c"]
    assert [each["shard"] for each in merged["targets"]] == [1, 2, 1]
    assert merged["shard"] is None and merged["list"] == LIST
    assert (merged["summary"]["targets"], merged["summary"]["status"]) == (3, 0)


def test_targets_stand_in_the_order_of_the_versions_in_their_names(merge):
    names = ["on 5.10", "on 6.1", "on 6.6", "on 6.12", "on 6.012"]
    _, _, _, merged = merge({"1.json": report(1, 2, *map(entry, names[::-2])), "2.json": report(2, 2, *map(entry, names[1::2]))})
    assert [each["name"] for each in merged["targets"]] == ["on 5.10", "on 6.012", "on 6.1", "on 6.6", "on 6.12"]


def test_times_count_from_the_first_start_and_slots_are_a_shards_own(merge):
    _, _, _, merged = merge(good())
    a, b, _ = merged["targets"]
    assert merged["started_at_usec"] == 1700000000000001 and merged["slots"] == 6
    assert (a["start_nsec"], b["start_nsec"]) == (1000, 2000)
    assert (a["slot"], b["slot"]) == (0, 2)


@pytest.mark.parametrize("verdicts, status", [
    (["fail"], 1), (["signal", "timeout"], 2), (["panic", "pass", "flaky"], 1), (["lost", "error", "skipped"], 3),
    (["cancelled"], 1), ([None], 1), (["fail"] * 200, 125),
])
def test_the_exit_status_is_the_number_that_did_not_pass_in_all_shards(merge, verdicts, status):
    reports = good()
    reports["3.json"] = report(3, 3, *(entry(f"x{i}", verdict) for i, verdict in enumerate(verdicts)))
    result, output, _, merged = merge(reports)
    assert result == status == merged["summary"]["status"]
    assert f"{len([v for v in verdicts if v not in ('pass', 'flaky')])} did not pass" in output


def test_a_target_without_a_verdict_is_named(merge):
    reports = good()
    reports["3.json"] = report(3, 3, entry("killed", None))
    status, output, _, merged = merge(reports)
    assert status == 1
    assert "killed: cancelled: the run ended without a verdict (shard 3)" in output and "1 without a verdict" in output
    assert [each["finished"] for each in merged["targets"]] == [True, True, True, False]


def without(*names):
    return {name: content for name, content in good().items() if name not in names}


def changed(name, **changes):
    reports = good()
    reports[name].update(changes)
    return reports


@pytest.mark.parametrize("reports, message", [
    ({}, "there is no report"),
    (without("1.json"), "shard 1 of 3 is missing"),
    (without("3.json"), "shard 3 of 3 is missing"),
    (without("2/r.json", "3.json"), "shards 2 to 3 of 3 are missing"),
    ({**good(), "4.json": report(2, 3, entry("b"))}, "shard 2 is there twice"),
    ({**good(), "4.json": report(2, 3, entry("b", "cancelled"))}, "shard 2 is there twice"),
    (changed("3.json", list=OTHER), "are not of the same list"),
    (changed("3.json", list=f"{LIST}-{OTHER}"), "were not split by the same --timings"),
    (changed("3.json", list=""), "does not say of which list it is"),
    (changed("3.json", shard={"index": 3, "count": 4}), "is of 3 shards"),
    (changed("3.json", shard=None), "is of a run without --shard"),
    (changed("3.json", version=2), "version 2"),
    (changed("3.json", slots="x"), "'slots' is not"),
    ({"1.json": report(1, 2), "2.json": report(2, 2)}, "no shard has run any target"),
    ({"1.json": report(1, 2, entry("a")), "2.json": report(2, 2, entry("a"))}, "the target 'a' is in two shards"),
    ({**without("3.json"), "3.json": json.dumps(report(3, 3, entry("d")))[:-20]}, "3.json: line 1: it is not JSON"),
    ({**good(), "4.json": json.dumps(report(3, 3, entry("d", "fail")))[:100]}, "4.json: line 1: it is not JSON"),
])
def test_what_is_no_whole_run_fails_and_is_told(merge, reports, message):
    status, output, errors, merged = merge(copy.deepcopy(reports))
    assert (status, output, merged) == (69, "", None)
    assert message in errors


def test_a_shard_whose_run_failed_otherwise_is_no_success(merge):
    reports = good()
    reports["3.json"]["summary"]["status"] = 69
    status, _, errors, _ = merge(reports)
    assert status == 69 and "exit status 69, though all of its targets passed" in errors


def test_a_shard_that_claims_less_than_its_targets_say_is_not_believed(merge):
    reports = good()
    reports["3.json"] = report(3, 3, entry("d", "fail"))
    reports["3.json"]["summary"].update(not_passed=0, status=0)
    assert merge(reports)[0] == 1


@pytest.mark.parametrize("verdict", ["cancelled", None])
def test_a_shard_that_was_interrupted_and_ran_again_counts_once(merge, verdict):
    reports = good()
    reports["2/first.json"] = report(2, 3, entry("b", verdict), started_at_usec=1600000000000000)
    status, _, errors, merged = merge(reports)
    assert status == 0
    assert "shard 2 was interrupted and ran again" in errors and "2/r.json counts" in errors
    assert [each["result"]["verdict"] for each in merged["targets"]] == ["pass"] * 3


def test_a_shard_that_failed_and_ran_again_is_there_twice(merge):
    reports = good()
    reports["2/first.json"] = report(2, 3, entry("b", "fail"), started_at_usec=1600000000000000)
    status, _, errors, _ = merge(reports)
    assert status == 69 and "shard 2 is there twice" in errors


@pytest.mark.parametrize("first", [
    [entry("b", None), entry("c2", "fail")],
    [entry("b", "cancelled"), entry("c2", "timeout")],
    [entry("b", None, attempts=[{"verdict": "panic", "reason": "r", "start_nsec": 1, "end_nsec": 2}]), entry("c2")],
    [entry("b", "cancelled", attempts=[{"verdict": "fail", "reason": "r", "start_nsec": 1, "end_nsec": 2}]),
     entry("c2", "skipped")],
], ids=["killed", "cancelled", "killed at a further attempt", "cancelled at a further attempt"])
def test_an_interrupted_shard_that_knows_of_a_failure_is_not_set_aside(merge, first):
    reports = good()
    reports["2/r.json"] = report(2, 3, entry("b"), entry("c2"))
    reports["2/first.json"] = report(2, 3, *copy.deepcopy(first), started_at_usec=1600000000000000)
    status, _, errors, _ = merge(reports)
    assert status == 69 and "shard 2 is there twice" in errors


def test_an_interrupted_shard_with_a_flaky_target_is_set_aside(merge):
    reports = good()
    reports["2/r.json"] = report(2, 3, entry("b"), entry("c2"))
    flaky = entry("c2", "flaky", attempts=[{"verdict": "fail", "reason": "r", "start_nsec": 1, "end_nsec": 2}])
    reports["2/first.json"] = report(2, 3, entry("b", None), flaky, started_at_usec=1600000000000000)
    assert merge(reports)[0] == 0


def test_other_files_of_a_directory_are_passed_over_with_a_note(merge):
    reports = {**good(), "other.json": '{"a": 1}', "broken.json": "{", "notes.txt": "x"}
    status, _, errors, _ = merge(reports)
    assert status == 0
    assert "other.json: it is not a report of vmtest is skipped" in errors and "broken.json" in errors
    assert "notes.txt" not in errors


def test_a_file_that_is_named_must_be_a_report(merge, tmp_path):
    merge(good())
    (tmp_path / "x.json").write_text("{}")
    status, _, errors, _ = merge({}, tmp_path / "reports", tmp_path / "x.json")
    assert status == 69 and "it is not a report of vmtest" in errors


def test_files_may_be_named_and_a_second_mention_is_no_second_report(merge, tmp_path):
    merge(good())
    names = [tmp_path / "reports" / name for name in ("1.json", "2/r.json", "3.json")]
    assert merge({}, *names)[0] == 0
    assert merge({}, tmp_path / "reports", names[0])[0] == 0


def test_what_it_writes_into_the_directory_is_not_read_the_next_time(vmtest, merge, tmp_path):
    merge(good())
    argv = [vmtest, "merge", "--report=json=reports/all.json", "reports"]
    for _ in range(2):
        assert subprocess.run(argv, cwd=tmp_path, timeout=60, check=False).returncode == 0


def test_two_reports_of_one_file_are_an_error_and_so_is_one_that_is_read(vmtest, merge, tmp_path):
    merge(good())
    reports = tmp_path / "reports"
    for arguments, message in (
        ([reports, "--report", f"junit={tmp_path}/o", "--report", f"tap={tmp_path}/./o"], "is requested twice"),
        ([reports / "1.json", reports / "2/r.json", reports / "3.json", "--report", f"markdown={reports}/1.json"],
         "--report would overwrite it"),
    ):
        done = subprocess.run([vmtest, "merge", *arguments], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode in (2, 69) and message in done.stderr
    assert not (tmp_path / "o").exists() and json.loads((reports / "1.json").read_text())["version"] == 1


@pytest.mark.parametrize("arguments, message", [
    ([], "usage: vmtest merge DIR"), (["--report"], "KIND=FILE"), (["--report", "json", "."], "json=FILE"),
    (["--report", "json=", "."], "json=FILE"), (["--report", "nonsense=x", "."], "json"), (["--what", "."], "unknown option"),
    ([""], "empty"),
])
def test_a_wrong_command_line_is_told(vmtest, tmp_path, arguments, message):
    done = subprocess.run([vmtest, "merge", *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode == 2 and message in done.stderr


def test_nothing_in_a_name_reaches_the_terminal(merge):
    reports = good()
    reports["3.json"] = report(3, 3, entry("evil\x1b[2J\n", "fail"))
    status, output, _, _ = merge(reports)
    assert status == 1 and "\x1b" not in output and len(output.splitlines()) == 2


def test_a_directory_that_is_not_there_is_no_success(merge, tmp_path):
    status, _, errors, _ = merge(good(), tmp_path / "reports", tmp_path / "nowhere")
    assert status == 69 and "nowhere" in errors
