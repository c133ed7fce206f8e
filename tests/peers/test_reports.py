# SPDX-License-Identifier: Apache-2.0
"""Reports: valid whatever the guests wrote, and of one mind with the exit status and the summary."""
import os
import re
import signal
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest
import yaml

from conftest import FAKE

SEEDS = range(25)
# Element: its attributes (those that have to be there in capitals), and the elements in it. junit-10.xsd says so.
RERUN = ("message TYPE", "stackTrace system-out system-err")
JUNIT = {
    "testsuites": ("name time tests failures errors", "testsuite"),
    "testsuite": ("NAME TESTS FAILURES ERRORS group time skipped timestamp hostname id package file log url",
                  "testsuite properties testcase system-out system-err"),
    "properties": ("", "property"),
    "property": ("NAME VALUE", ""),
    "testcase": ("NAME time classname group",
                 "skipped error failure rerunFailure rerunError flakyFailure flakyError system-out system-err"),
    "failure": ("type message", ""), "error": ("type message", ""), "skipped": ("type message", ""),
    "system-out": ("", ""), "system-err": ("", ""), "flakyFailure": RERUN, "rerunFailure": RERUN,
}


@pytest.fixture(scope="session")
def sample(vmtest):
    """Runs report-sample, which lies beside the program under test."""
    program = f"{os.path.dirname(vmtest)}/tests/unit/report-sample"

    def run(kind, seed):
        done = subprocess.run([program, kind, str(seed)], capture_output=True, check=True, timeout=60)
        return done.stdout, [int(word) for word in done.stderr.split()]
    return run


def check_element(element):
    attributes, children = JUNIT[element.tag]
    assert {name.lower() for name in attributes.split()} >= set(element.attrib), element.attrib
    assert {name.lower() for name in attributes.split() if name.isupper()} <= set(element.attrib), element.attrib
    for name in ("tests", "failures", "errors", "skipped"):
        assert re.fullmatch(r"[0-9]+", element.get(name, "0"))
    assert re.fullmatch(r"[0-9]+\.[0-9]{3}", element.get("time", "0.000"))
    for child in element:
        assert child.tag in children.split(), f"{child.tag} in {element.tag}"
        check_element(child)


def count(suite, *tags):
    return sum(any(case.find(tag) is not None for tag in tags) for case in suite.iter("testcase"))


def read_junit(text):
    root = ElementTree.fromstring(text)
    assert root.tag == "testsuites"
    check_element(root)
    for suite in root:
        assert int(suite.get("tests")) == len(list(suite.iter("testcase")))
        for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.get(attribute)) == count(suite, tag), attribute
    for attribute in ("tests", "failures", "errors"):
        assert int(root.get(attribute)) == sum(int(suite.get(attribute)) for suite in root)
    return root


class Point:
    """A test point of TAP with what belongs to it."""

    def __init__(self, match):
        self.ok = match[1] is None
        self.number = int(match[2])
        self.description = re.sub(r"\\([\\#])", r"\1", match[3])
        self.diagnostics = None
        self.subtest = []


def read_tap(text, indent=""):
    """The points of a document or a subtest, and the reason of a bail out."""
    lines = [line[len(indent):] for line in text.split("\n")[:-1]]
    points, pending, plan, bail_out = [], [], None, None
    block = None
    for line in lines:
        if block is not None:
            if line == "  ...":
                points[-1].diagnostics = yaml.safe_load("\n".join(block))
                block = None
            else:
                block.append(line[2:])
        elif line == "  ---":
            block = []
        elif line.startswith("    "):
            pending.append(line)
        elif match := re.fullmatch(r"(not )?ok ([0-9]+) - (.*)", line):
            points.append(Point(match))
            if pending:
                points[-1].subtest = read_tap("\n".join(pending) + "\n", "    ")[0]
                pending = []
        elif match := re.fullmatch(r"1\.\.([0-9]+)( # SKIP.*)?", line):
            assert plan is None
            plan = int(match[1])
        elif match := re.fullmatch(r"Bail out! (.*)", line):
            bail_out = match[1]
        else:
            assert line == "TAP version 14" or line.startswith("# "), line
    assert block is None and pending == []
    assert [point.number for point in points] == list(range(1, plan + 1))
    return points, bail_out


@pytest.mark.parametrize("seed", SEEDS)
def test_junit_is_valid_whatever_the_guests_wrote(sample, seed):
    text, (n_targets, n_not_passed, n_subresults, n_failed) = sample("junit", seed)
    root = read_junit(text)
    suites = list(root)
    cases = [next(suite.iter("testcase")) for suite in suites]
    assert len(suites) == n_targets
    assert sum(any(case.find(tag) is not None for tag in ("failure", "error", "skipped")) for case in cases) == n_not_passed
    assert len(list(root.iter("testcase"))) == n_targets + n_subresults
    assert sum(case.find("failure") is not None
               for suite in suites for case in list(suite.iter("testcase"))[1:]) == n_failed


@pytest.mark.parametrize("seed", SEEDS)
def test_tap_is_valid_whatever_the_guests_wrote(sample, seed):
    text, (n_targets, n_not_passed, n_subresults, n_failed) = sample("tap", seed)
    assert text.startswith(b"TAP version 14\n")
    points, _ = read_tap(text.decode())
    assert len(points) == n_targets
    assert sum(not point.ok for point in points) == n_not_passed
    assert all((point.diagnostics["verdict"] in ("pass", "flaky")) == point.ok for point in points)
    assert sum(len(point.subtest) for point in points) == n_subresults
    failed = [sub for point in points for sub in point.subtest if not sub.ok and " # TODO" not in sub.description]
    assert len(failed) >= n_failed # a name of one may look like a directive once it is unescaped


@pytest.mark.parametrize("seed", SEEDS)
def test_markdown_closes_every_fence_and_shows_no_markup_of_the_guests(sample, seed):
    text, (n_targets, *_) = sample("markdown", seed)
    fence = None
    for line in text.decode().split("\n"):
        if fence is None and (match := re.fullmatch(r"(`{3,})text", line)):
            fence = match[1]
        elif fence is not None and line.startswith(fence) and line.strip("`") == "":
            fence = None
        elif fence is None:
            assert "<" not in line.replace("<br>", ""), line
            assert not re.search(r"(?<!\\)`", line), line
    assert fence is None
    if n_targets:
        assert len(re.findall(r"^\| [^|\n]", text.decode(), re.MULTILINE)) >= 1
    assert len(text) < 1 << 20


@pytest.mark.parametrize("seed", SEEDS)
def test_github_takes_no_command_of_the_guests(sample, seed):
    text, (n_targets, *_) = sample("github", seed)
    token = None
    groups = 0
    for line in text.decode().split("\n"):
        if token:
            token = None if line == f"::{token}::" else token
            continue
        if match := re.fullmatch(r"::stop-commands::([0-9a-f]{32})", line):
            token = match[1]
            continue
        groups += line.startswith("::group::")
        assert re.match(r"::(group::|endgroup::|(error|warning) title=)", line) or line == "", line
    assert token is None
    assert groups == n_targets


def write(bench, targets):
    text = ""
    for name, command, scenario, more in targets:
        kernel = "/no/such/kernel" if scenario == "missing" else bench.kernel
        text += (f"[[target]]\nname = '{name}'\nkernel = '{kernel}'\nkernel_args = 'fake={scenario}'\n"
                 f"command = '{command}'\nqemu_command = '{FAKE}'\naccel = 'tcg'\n{more}")
    (bench.share / "vmtest.toml").write_text(text)


ALL = [
    ("passes", "exit 0", "as_told", "", "pass"),
    ("fails", "exit 3", "as_told", "", "fail"),
    ("is killed", "signal 9", "as_told", "", "signal"),
    ("never ends", "hang", "as_told", "timeout = 1\nkill_after = 1\n", "timeout"),
    ("panics", "x", "panic_with_pvpanic", "", "panic"),
    ("is lost", "x", "qemu_is_killed_after_hello", "", "lost"),
    ("has no kernel", "x", "missing", "", "error"),
    ("writes <]]>&", "5", "odd_output", "", "pass"),
]


def reports(bench):
    read = {name: (bench.share / name).read_bytes() for name in ("j.xml", "t.tap", "m.md")}
    return read_junit(read["j.xml"]), read_tap(read["t.tap"].decode()), read["m.md"].decode()


REPORTS = ["--report", "junit=j.xml", "--report", "tap=t.tap", "--report", "markdown=m.md"]


def test_reports_the_summary_and_the_exit_status_agree_over_all_verdicts(bench):
    write(bench, [target[:4] for target in ALL])
    result = bench.finish(bench.start_vmtest(["--format", "json", *REPORTS]))
    expected = {target[0]: target[4] for target in ALL}
    assert {name: event["verdict"] for name, event in result.finished.items()} == expected
    n_not_passed = sum(verdict != "pass" for verdict in expected.values())
    assert result.status == result.events[-1]["not_passed"] == n_not_passed

    junit, (points, bail_out), markdown = reports(bench)
    properties = {suite.get("name"): suite.find("properties/property[@name='verdict']").get("value") for suite in junit}
    assert properties == expected
    assert count(junit, "failure", "error") == n_not_passed
    assert {point.description: point.diagnostics["verdict"] for point in points} == expected
    assert [point.ok for point in points] == [verdict == "pass" for verdict in expected.values()]
    assert bail_out is None
    counts = ", ".join(f"{list(expected.values()).count(verdict)} {verdict}" for verdict in dict.fromkeys(
        ["pass", "fail", "signal", "timeout", "panic", "lost", "error"]))
    assert f"{len(ALL)} targets: {counts} in " in markdown


def test_an_interrupted_run_leaves_whole_reports(bench):
    write(bench, [("first", "exit 0", "as_told", ""), ("running", "hang", "as_told", ""),
                  ("never", "exit 0", "as_told", "")])
    process = bench.start_vmtest(["--format", "json", *REPORTS])
    bench.wait_for_note("hanging", process)
    process.send_signal(signal.SIGTERM)
    assert bench.finish(process).status == 143
    junit, (points, bail_out), _ = reports(bench)
    assert [point.diagnostics["verdict"] for point in points] == ["pass", "cancelled", "cancelled"]
    assert bail_out
    assert count(junit, "error") == 2


def test_a_run_that_is_killed_leaves_reports_that_are_no_pass(bench):
    write(bench, [("running", "hang", "as_told", "")])
    process = bench.start_vmtest(REPORTS)
    bench.wait_for_note("hanging", process)
    process.kill()
    process.wait()
    junit, (points, _), _ = reports(bench)
    assert [point.ok for point in points] == [False]
    assert count(junit, "error") == 1


@pytest.mark.parametrize("arguments, words", [
    (["junit"], "'junit' needs a file: junit=FILE"),
    (["junit="], "'junit=' needs a file"),
    (["github=x"], "'github' takes no file"),
    (["xunit=x"], "'xunit' is no kind of report; give junit=FILE, tap=FILE"),
    (["tap=x", "junit=x"], "'x' is asked for twice"),
    (["github", "github"], "'github' is asked for twice"),
])
def test_a_wrong_request_is_told_before_anything_runs(bench, arguments, words):
    options = [word for argument in arguments for word in ("--report", argument)]
    result = bench.run("as_told", *options)
    assert (result.status, result.stdout) == (2, b"")
    assert words in result.stderr.decode()
    assert bench.note("argv") is None


def test_a_report_that_cannot_be_written_is_told_before_anything_runs(bench):
    result = bench.run("as_told", "--report", "junit=missing/j.xml")
    assert (result.status, result.stdout) == (69, b"")
    assert "the junit report: missing/j.xml: No such file or directory" in result.stderr.decode()


def test_github_gets_annotations_with_their_place_and_a_step_summary(bench):
    write(bench, [("good", "exit 0", "as_told", ""), ("bad, one: 1%", "exit 3", "as_told", "")])
    summary = bench.share / "summary.md"
    bench.env["GITHUB_STEP_SUMMARY"] = str(summary)
    summary.write_text("what another step wrote\n")
    result = bench.finish(bench.start_vmtest(["--report", "github"]))
    lines = result.stdout.decode().splitlines()
    assert "::error title=bad%2C one%3A 1%25,file=vmtest.toml,line=9::Command failed with exit code: 3" in lines
    assert summary.read_text().startswith("what another step wrote\n## vmtest: not passed\n")
