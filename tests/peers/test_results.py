# SPDX-License-Identifier: Apache-2.0
"""The key `results`: what the command's own tests gave, in the verdict, the events and the reports."""
import html
import json
import xml.etree.ElementTree as ElementTree

import pytest

GOOD = "<testsuite name='s'><testcase name='a' time='0.5'/><testcase name='b'><skipped message='no'/></testcase></testsuite>"
BAD = "<testsuite name='s'><testcase name='c'><failure message='why'>story</failure></testcase></testsuite>"


def given(result):
    return [(event["name"], event["status"]) for event in result.events if event["event"] == "subresult"]


def run_tap(bench, says, exit_code=0, **keywords):
    bench.plan(says=says, exit=exit_code)
    return bench.run_json("says", "--results", "tap", **keywords)


def run_junit(bench, files, *options, exit_code=0, path="out/*.xml"):
    bench.plan(files=files, exit=exit_code)
    return bench.run_json("leaves", "--results", f"junit:{path}", *options)


def test_tests_that_passed_are_told_and_pass(bench):
    result = run_tap(bench, "1..3\nok 1 - a\nok 2 - b # SKIP no\nnot ok 3 - c # TODO later\n")
    finished = result.expect(0, "pass")
    assert given(result) == [("a", "pass"), ("b", "skip"), ("c", "todo")]
    assert finished["subresults"] == {"pass": 1, "fail": 0, "skip": 1, "todo": 1}
    text = "".join(event["text"] for event in result.events
                   if event["event"] == "output" and event["stream"] == "stdout")
    assert text == "1..3\nok 1 - a\nok 2 - b # SKIP no\nnot ok 3 - c # TODO later\n"


@pytest.mark.parametrize("says, words", [
    ("1..2\nok 1 - a\nnot ok 2 - b\n", ["1 of 2 tests failed: b"]),
    ("1..5\n" + "".join(f"not ok {i} - t{i}\n" for i in range(1, 6)), ["5 of 5 tests failed: t1, t2, t3 and 2 more"]),
    ("1..3\nok 1\n", ["3 tests were planned, 1 ran"]),
    ("1..3\nnot ok 1 - a\n", ["1 of 1 tests failed: a; 3 tests were planned, 1 ran"]),
    ("ok 1\n", ["no plan (1..N)"]),
    ("1..2\nok 1\nBail out! no disk\n", ["bailed out: no disk"]),
    ("all is well\n", ["no test results"]),
])
def test_a_command_that_passed_fails_by_its_tests(bench, says, words):
    finished = run_tap(bench, says).expect(1, "fail", *words)
    assert finished["stage"] == "command"


def test_a_command_that_failed_stays_what_it_is(bench):
    result = run_tap(bench, "1..2\nnot ok 1 - a\n", exit_code=7)
    assert result.expect(7, "fail", "exited with code 7")["subresults"]["fail"] == 1
    assert given(result) == [("a", "fail")]


def test_without_the_key_nothing_is_read(bench):
    bench.plan(says="1..2\nnot ok 1 - a\n")
    result = bench.run_json("says")
    assert "subresults" not in result.expect(0, "pass") and given(result) == []


def test_files_are_read(bench):
    result = run_junit(bench, [["name", "a.xml"], ["data", GOOD[:20]], ["data", GOOD[20:]]])
    assert result.expect(0, "pass")["subresults"] == {"pass": 1, "fail": 0, "skip": 1, "todo": 0}
    assert given(result) == [("s / a", "pass"), ("s / b", "skip")]
    assert [event.get("seconds") for event in result.events if event["event"] == "subresult"] == [0.5, None]
    assert bench.note("noted") == "out/*.xml"


def test_a_test_that_failed_in_one_of_several_files_fails_all(bench):
    result = run_junit(bench, [["name", "a.xml"], ["data", GOOD], ["name", "b.xml"], ["data", BAD]])
    result.expect(1, "fail", "1 of 3 tests failed: s / c")


@pytest.mark.parametrize("files, words", [
    ("nothing", ["the guest returned no file"]),
    ([["error", "/d/out.xml: there is no such file"]], ["/d/out.xml: there is no such file"]),
    ([["name", "a.xml"], ["data", GOOD], ["error", "b.xml: Input/output error"]], ["b.xml: Input/output error"]),
    ([["name", "a.xml"], ["data", GOOD], ["name", "b.xml"], ["data", "<testsuite>"]], ["b.xml: line 1: no element found"]),
    ([["name", "a.xml"]], ["a.xml: line 1: no element found"]),
    ([["name", "a.xml"], ["data", "<testsuites/>"]], ["a.xml: it holds no test case"]),
    ("garbage", ["malformed files"]),
    ("flood", ["did not return it"]),
    ("gone", ["did not return it"]),
])
def test_files_that_cannot_be_read_fail_a_command_that_passed(bench, files, words):
    run_junit(bench, files).expect(1, "fail", "the command passed, but its results cannot be read", *words)


def test_a_guest_that_never_gives_them_is_not_waited_for_long(bench):
    run_junit(bench, "hang", "--lost-after", "2s").expect(1, "fail", "did not return it")


def test_a_command_that_failed_needs_no_files(bench):
    run_junit(bench, "nothing", exit_code=3).expect(3, "fail", "exited with code 3")


@pytest.mark.parametrize("value, words", [("xunit", ["'xunit'", "tap or junit:PATH"]), ("junit:", ["tap or junit:PATH"])])
def test_a_value_that_is_none_is_told(bench, value, words):
    result = bench.run("passes", "--results", value)
    assert result.status == 2 and all(word in result.stderr.decode() for word in words), result
    (bench.share / "vmtest.toml").write_text(f'[[target]]\nname = "a"\nkernel = "k"\ncommand = "c"\nresults = "{value}"\n')
    result = bench.finish(bench.start_vmtest([]))
    assert result.status == 69 and "vmtest.toml:5:11: " in result.stderr.decode(), result


def test_all_reports_have_them(bench):
    bench.plan(says="1..2\nok 1 - a\nnot ok 2 - b & <c>\n")
    kinds = {"junit": "o.xml", "tap": "o.tap", "json": "o.json", "markdown": "o.md", "html": "o.html"}
    options = [word for kind, name in kinds.items() for word in ("--report", f"{kind}={name}")]
    result = bench.run("says", "--results", "tap", *options)
    assert result.status == 1
    texts = {kind: (bench.share / name).read_text() for kind, name in kinds.items()}
    suite = ElementTree.fromstring(texts["junit"])[0]
    assert [case.get("name") for case in suite.iter("testcase")][1:] == ["a", "b & <c>"]
    assert "    ok 1 - a\n    not ok 2 - b & <c>\n" in texts["tap"]
    (target,) = json.loads(texts["json"])["targets"]
    assert [(each["name"], each["status"]) for each in target["subresults"]] == [("a", "pass"), ("b & <c>", "fail")]
    assert "1 of 2 tests failed" in texts["markdown"].replace("\\", "")
    assert "b & <c>" not in texts["html"] and '<th scope="row"><bdi>b & <c></bdi></th>' in html.unescape(texts["html"])
    assert b"Tests: 1 passed, 1 failed\n" in result.stderr and b"  failed: b & <c>\n" in result.stderr


def test_markdown_names_those_that_failed(bench):
    says = "1..60\n" + "".join(f"not ok {i} - t{i}\n" for i in range(1, 61))
    bench.plan(says=says)
    assert bench.run("says", "--results", "tap", "--report", "markdown=o.md").status == 1
    text = (bench.share / "o.md").read_text()
    assert "- failed: t1\n- failed: t2\n" in text and "- failed: t50\n- and 10 more\n\n" in text
    assert "t51" not in text.split("Last lines")[0]
    bench.plan(says="not ok 1 - a\n  ---\n  message: why\n  ...\n1..1\n")
    assert bench.run("says", "--results", "tap", "--report", "markdown=o.md").status == 1
    assert "- failed: a — why\n\n" in (bench.share / "o.md").read_text()
