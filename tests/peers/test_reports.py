# SPDX-License-Identifier: Apache-2.0
"""Reports: valid whatever the guests wrote, and of one mind with the exit status and the summary."""
import base64
import hashlib
import html
import html.parser
import json
import os
import re
import signal
import subprocess
import tempfile
import xml.etree.ElementTree as ElementTree

import pytest
import yaml

from conftest import FAKE, wait_until

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

    def run(kind, seed, *more):
        done = subprocess.run([program, kind, *map(str, (seed, *more))], capture_output=True, check=True, timeout=60)
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


# It takes no version above 13 in the releases that Debian 12 has; nothing that is written here is of 14 alone to it.
PERL = r"""
use TAP::Parser;
my $parser = TAP::Parser->new({tap => do { local $/; <STDIN> =~ s/^TAP version 14\n/TAP version 13\n/r }});
my ($passed, $failed, $blocks) = (0, 0, 0);
while (my $result = eval { $parser->next }) {
    $result->is_test and ($result->is_actual_ok ? $passed++ : $failed++);
    $blocks++ if $result->is_yaml and exists $result->data->{verdict};
}
print join("|", $passed, $failed, $blocks, $@, $parser->parse_errors), "\n";
"""


@pytest.mark.parametrize("seed", SEEDS)
def test_perl_reads_the_tap_whatever_the_guests_wrote(sample, seed):
    text, (n_targets, n_not_passed, *_) = sample("tap", seed)
    read = subprocess.run(["perl", "-e", PERL], input=text, capture_output=True, timeout=60, check=True)
    assert read.stdout.decode() == f"{n_targets - n_not_passed}|{n_not_passed}|{n_targets}|\n", read.stderr


def markdown_lines(text):
    """The lines outside of fences, all of which are closed."""
    fence = None
    for line in text.decode().split("\n"):
        if fence is None and (match := re.fullmatch(r"(`{3,})text", line)):
            fence = match[1]
        elif fence is not None and line.startswith(fence) and line.strip("`") == "":
            fence = None
        elif fence is None:
            yield line
    assert fence is None


@pytest.mark.parametrize("seed", SEEDS)
def test_markdown_closes_every_fence_and_shows_no_markup_of_the_guests(sample, seed):
    text, (n_targets, *_) = sample("markdown", seed)
    rows = []
    for line in markdown_lines(text):
        assert "<" not in line.replace("<br>", ""), line
        assert not re.search(r"(?<!\\)`", line), line
        if re.match(r"\| [^|]", line):
            rows.append(line)
    if n_targets and seed % 2 == 0:
        assert len(rows) == 1 + n_targets
    elif n_targets: # those of a matrix of four kernels
        assert len(rows) == (n_targets + 3) // 4
        assert sum(len(re.findall(r"\| \S+ [a-z]+(?= )", row)) for row in rows) == n_targets


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("size", [(400, 20), (20, 3000)])
def test_markdown_fits_into_a_step_summary_and_says_what_does_not(sample, seed, size):
    text, (n_targets, *_) = sample("markdown", seed, *size)
    assert len(text) < 1 << 20
    lines = list(markdown_lines(text))

    def left_out(pattern):
        (number,) = [int(match[1]) for line in lines if (match := re.fullmatch(pattern, line))] or [0]
        return number
    details = sum(line.startswith("### ") for line in lines)
    details += left_out(r"The details of ([0-9]+) more targets are left out\.")
    assert n_targets // 2 <= details <= n_targets # few of them are a plain pass
    if seed % 2 == 0 and n_targets:
        rows = sum(line.startswith("| ") for line in lines) - 1
        assert rows + left_out(r"([0-9]+) more targets are left out here\.") == n_targets


class Page(html.parser.HTMLParser):
    """A document whose elements are all closed where they have to be; what is found in it."""

    VOID = ("meta", "link", "input")
    # Where SVG closes an element in its own tag, HTML's parser says so.
    TAGS = set("""html head meta title link style body a header h1 h2 h3 h4 p dl div dt dd main section table caption thead tbody tr
        th td bdi span small svg rect text g ul ol li details summary pre b label input fieldset legend output kbd script"""
               .split())

    def __init__(self, text):
        super().__init__()
        self.open, self.targets, self.raw, self.policy, self.ids, self.links = [], [], {}, "", [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_decl(self, decl):
        assert decl == "DOCTYPE html"

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")

    def handle_starttag(self, tag, attributes):
        assert tag in self.TAGS or (tag == "title" and "svg" in self.open), tag
        names = dict(attributes)
        assert len(names) == len(attributes)
        assert not any(name.startswith("on") or name in ("style", "src", "autofocus") for name in names), names
        assert names.get("href", "#").startswith("#") or (tag == "link" and names["href"].startswith("data:")), names
        if "href" in names and tag == "a":
            self.links.append(names["href"][1:])
        if "id" in names:
            self.ids.append(names["id"])
        if tag == "details" and names["class"] == "target":
            self.targets.append(names)
            assert "details" not in self.open
        if names.get("http-equiv") == "Content-Security-Policy":
            self.policy = names["content"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        assert tag == "rect"
        self.handle_starttag(tag, attributes)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("style", "script"):
            self.raw.setdefault(self.open[-1], []).append(data)
        else:
            assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]", data)


@pytest.mark.parametrize("seed", SEEDS)
def test_html_is_whole_and_shows_no_markup_of_the_guests(sample, seed):
    text, (n_targets, n_not_passed, *_) = sample("html", seed, 100)
    page = Page(text.decode())
    assert len(page.targets) == n_targets
    assert sum("data-not-passed" in target for target in page.targets) == n_not_passed
    assert len(page.ids) == len(set(page.ids))
    assert set(page.links) <= set(page.ids)
    assert {f"t{number}" for number in range(n_targets)} <= set(page.links)


def test_html_allows_the_style_and_script_that_are_in_it_and_nothing_else(sample):
    page = Page(sample("html", 1)[0].decode())
    def hash_of(tag):
        return base64.b64encode(hashlib.sha256("".join(page.raw[tag]).encode()).digest()).decode()
    assert page.policy == (f"default-src 'none'; img-src data:; style-src 'sha256-{hash_of('style')}'; "
                           f"script-src 'sha256-{hash_of('script')}'; base-uri 'none'; form-action 'none'")


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


@pytest.mark.parametrize("seed", SEEDS)
def test_no_number_of_warnings_hides_an_error_from_github(sample, seed):
    text, (_, n_not_passed, *_) = sample("github", seed, 400)
    commands = [command for command, _ in workflow_commands(text.decode())]
    assert commands.count("error") == min(n_not_passed, 50)
    assert commands.count("warning") <= 50


def workflow_commands(text):
    """What the runner takes for commands in a step's output, with what stands behind them."""
    stopped = None
    for line in text.split("\n"):
        match = re.match(r"\s*::([^\s:]+)[^:]*::(.*)", line)
        if not match:
            continue
        if stopped:
            stopped = None if match[1] == stopped else stopped
        elif match[1] == "stop-commands":
            stopped = match[2]
        else:
            yield match[1], match[2]


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
    ("passes late", "late 1", "tries", "", "flaky"),
]


def reports(bench):
    read = {name: (bench.share / name).read_bytes() for name in ("j.xml", "t.tap", "m.md")}
    return read_junit(read["j.xml"]), read_tap(read["t.tap"].decode()), read["m.md"].decode()


FILES = {"junit": "j.xml", "tap": "t.tap", "markdown": "m.md", "json": "r.json", "html": "r.html"}
REPORTS = [word for kind, file in FILES.items() for word in ("--report", f"{kind}={file}")]


def json_says(text):
    targets = json.loads(text)["targets"]
    return {target["name"]: target["result"]["verdict"] for target in targets if target["finished"]}


def markdown_says(text):
    return {re.sub(r"&#([0-9]+);", lambda match: chr(int(match[1])), re.sub(r"\\(.)", r"\1", name)): verdict
            for name, verdict in re.findall(r"^\| (.+?) \| \S+ ([a-z]+) \|", text.decode(), re.MULTILINE)}


def html_says(text):
    return {html.unescape(name): verdict for verdict, name in re.findall(
        r'<details class="target" data-verdict="([a-z]+)".*?<h3><bdi>(.*?)</bdi></h3>', text.decode(), re.DOTALL)}


# The verdicts that each report gives.
SAYS = {
    "junit": lambda text: {suite.get("name"): suite.find("properties/property[@name='verdict']").get("value")
                           for suite in read_junit(text)},
    "tap": lambda text: {point.description: point.diagnostics["verdict"] for point in read_tap(text.decode())[0]},
    "markdown": markdown_says,
    "json": json_says,
    "html": html_says,
}


def check_agreement(bench, result, expected, status=None):
    """The events, the summary, the exit status and every report say the same."""
    good = ("pass", "flaky")
    n_not_passed = sum(verdict not in good for verdict in expected.values())
    assert {name: event["verdict"] for name, event in result.finished.items()} == expected
    summary = result.events[-1]
    assert summary["not_passed"] == n_not_passed
    assert {verdict: n for verdict, n in summary["verdicts"].items() if n} == \
        {verdict: list(expected.values()).count(verdict) for verdict in expected.values()}
    assert result.status == (n_not_passed if status is None else status)

    for kind, file in FILES.items():
        assert SAYS[kind]((bench.share / file).read_bytes()) == expected, kind
    junit, (points, bail_out), markdown = reports(bench)
    cases = {suite.get("name"): next(suite.iter("testcase")) for suite in junit}
    assert {name: "fail" if case.find("failure") is not None else "error" if case.find("error") is not None else
            "skip" if case.find("skipped") is not None else "pass" for name, case in cases.items()} == \
        {name: {"pass": "pass", "flaky": "pass", "fail": "fail", "signal": "fail", "skipped": "skip"}.get(verdict, "error")
         for name, verdict in expected.items()}
    assert [point.ok for point in points] == [verdict in good for verdict in expected.values()]
    assert bool(bail_out) == ("cancelled" in expected.values())
    assert markdown.startswith(f"## vmtest: {'not passed' if n_not_passed else 'passed'}\n")
    counts = re.search(rf"^{len(expected)} targets: (.*) in [0-9.]+ s\.$", markdown, re.MULTILINE)[1]
    assert dict(reversed(count.split(" ")) for count in counts.split(", ")) == \
        {verdict: str(list(expected.values()).count(verdict)) for verdict in expected.values()}
    report = json.loads((bench.share / "r.json").read_text())
    assert report["summary"]["not_passed"] == n_not_passed
    assert report["summary"]["status"] == result.status


def test_reports_the_summary_and_the_exit_status_agree_over_all_verdicts(bench):
    write(bench, [target[:4] for target in ALL])
    result = bench.finish(bench.start_vmtest(["--format", "json", "--retries", "1", *REPORTS]))
    check_agreement(bench, result, {target[0]: target[4] for target in ALL})
    junit, *_ = reports(bench)
    attempts = {suite.get("name"): [child.tag for child in suite.find("testcase") if "Failure" in child.tag]
                for suite in junit}
    assert attempts["passes late"] == ["flakyFailure"]
    assert attempts["fails"] == ["rerunFailure"]
    assert attempts["passes"] == []


def test_all_agree_about_what_was_not_started(bench):
    write(bench, [("good", "exit 0", "as_told", ""), ("bad", "exit 3", "as_told", ""),
                  ("never", "exit 0", "as_told", "")])
    result = bench.finish(bench.start_vmtest(["--format", "json", "-j1", "--fail-fast", *REPORTS]))
    check_agreement(bench, result, {"good": "pass", "bad": "fail", "never": "skipped"})


def test_all_agree_about_a_pass(bench):
    write(bench, [("one", "exit 0", "as_told", ""), ("other", "exit 0", "as_told", "")])
    result = bench.finish(bench.start_vmtest(["--format", "json", *REPORTS]))
    check_agreement(bench, result, {"one": "pass", "other": "pass"})


def test_an_interrupted_run_leaves_whole_reports(bench):
    write(bench, [("first", "exit 0", "as_told", ""), ("running", "hang", "as_told", ""),
                  ("never", "exit 0", "as_told", "")])
    process = bench.start_vmtest(["--format", "json", *REPORTS])
    bench.wait_for_note("hanging", process)
    process.send_signal(signal.SIGTERM)
    check_agreement(bench, bench.finish(process), {"first": "pass", "running": "cancelled", "never": "cancelled"}, 143)


def test_a_run_that_is_killed_leaves_reports_that_are_no_pass(bench):
    write(bench, [("running", "hang", "as_told", "")])
    process = bench.start_vmtest(REPORTS)
    bench.wait_for_note("hanging", process)
    process.kill()
    process.wait()
    junit, (points, _), _ = reports(bench)
    assert [point.ok for point in points] == [False]
    assert count(junit, "error") == 1


@pytest.fixture
def quick_report():
    """A report's path in memory, where writing it takes no time that vmtest would have to save elsewhere."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        yield f"{directory}/report.json"


def last_but_one(path):
    """The entry of the last target that has ended; those in front of it have used up the time of the first report."""
    with open(path) as file:
        return json.load(file)["targets"][-2]


# A failure at once: a run that is killed, and begun again elsewhere, must not forget it.
@pytest.mark.parametrize("command, verdict, limit", [("exit 3", "fail", 3), ("exit 0", "pass", 20)])
def test_what_has_ended_is_written_while_another_target_runs_on(bench, quick_report, command, verdict, limit):
    write(bench, [("before", "exit 0", "as_told", ""), ("ends", command, "as_told", ""), ("running", "hang", "as_told", "")])
    process = bench.start_vmtest(["-j1", "--report", f"json={quick_report}"])
    bench.wait_for_note("hanging", process)
    assert wait_until(lambda: last_but_one(quick_report)["finished"], limit)
    assert last_but_one(quick_report)["result"]["verdict"] == verdict
    process.kill()
    process.wait()


def test_an_attempt_that_failed_is_written_while_the_next_one_runs(bench, quick_report):
    write(bench, [("flaky", "me", "fails_then_hangs", ""), ("never", "exit 0", "as_told", "")])
    process = bench.start_vmtest(["-j1", "--retries", "1", "--report", f"json={quick_report}"])
    bench.wait_for_note("hangs-me", process)
    assert wait_until(lambda: last_but_one(quick_report)["attempts"], 3)
    assert [attempt["verdict"] for attempt in last_but_one(quick_report)["attempts"]] == ["fail"]
    process.kill()
    process.wait()


@pytest.mark.parametrize("arguments, words", [
    (["junit"], "'junit' needs a file: junit=FILE"),
    (["junit="], "'junit=' needs a file"),
    (["github=x"], "'github' takes no file"),
    (["xunit=x"], "'xunit' is no kind of report; give junit=FILE, tap=FILE"),
    (["tap=x", "junit=x"], "'x' is asked for twice"),
    (["tap=x", "junit=./x"], "'./x' is asked for twice"),
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


@pytest.mark.parametrize("make, words", [
    (os.mkfifo, "is no regular file"),
    (os.mkdir, "is no regular file"),
])
def test_what_is_no_file_is_not_replaced_by_a_report(bench, make, words):
    path = bench.share / "there"
    make(path)
    before = path.stat()
    result = bench.run("as_told", "--report", "tap=there")
    assert (result.status, result.stdout) == (69, b"")
    assert words in result.stderr.decode()
    assert (path.stat().st_ino, path.stat().st_mode) == (before.st_ino, before.st_mode)


def test_a_report_does_not_replace_the_file_that_the_output_goes_to(bench):
    write(bench, [("good", "exit 0", "as_told", "")])
    with open(bench.share / "out", "wb") as out:
        result = bench.finish(bench.start_vmtest(["--report", "tap=out"], stdout=out))
    assert result.status == 69
    assert "is where standard output goes" in result.stderr.decode()
    assert bench.note("argv") is None


def test_a_report_is_written_behind_no_link(bench):
    os.symlink("t.real", bench.share / "t.tap")
    (bench.share / "t.real").write_text("old")
    os.symlink("nowhere", bench.share / "u.tap")
    write(bench, [("good", "exit 0", "as_told", "")])
    for name in ("t.tap", "u.tap"):
        result = bench.finish(bench.start_vmtest(["--report", f"tap={name}"]))
        assert result.status == 69 and f"{name}: is a symbolic link".encode() in result.stderr
    assert os.readlink(bench.share / "t.tap") == "t.real" and (bench.share / "t.real").read_text() == "old"
    assert not (bench.share / "nowhere").exists()


def test_a_guest_leads_no_report_elsewhere(bench, tmp_path):
    """What it can change in a shared directory while it runs: the file, and the directories on the way."""
    (bench.share / "reports/deep").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "victim").write_text("kept")
    write(bench, [("a", "a", "hangs", ""), ("b", "exit 0", "as_told", "")])
    process = bench.start_vmtest(["-j1", "--report", "tap=reports/deep/r.tap", "--report", "json=r.json"])
    bench.wait_for_note("hangs-a", process)
    (bench.share / "reports/deep").rename(bench.share / "reports/moved")
    os.symlink(tmp_path / "elsewhere", bench.share / "reports/deep")
    (bench.share / "r.json").unlink()
    os.symlink(tmp_path / "victim", bench.share / "r.json")
    process.send_signal(signal.SIGINT)
    assert bench.finish(process, 20).status == 130
    assert list((tmp_path / "elsewhere").iterdir()) == [] and (tmp_path / "victim").read_text() == "kept"
    assert not (bench.share / "r.json").is_symlink()
    assert json.loads((bench.share / "r.json").read_text())["summary"]["not_passed"] == 2
    assert len(read_tap((bench.share / "reports/moved/r.tap").read_text())[0]) == 2


def test_a_report_keeps_the_mode_of_the_file_that_it_replaces(bench):
    (bench.share / "r.tap").write_text("old")
    (bench.share / "r.tap").chmod(0o600)
    write(bench, [("good", "exit 0", "as_told", "")])
    assert bench.finish(bench.start_vmtest(["--report", "tap=r.tap"])).status == 0
    assert (bench.share / "r.tap").stat().st_mode & 0o777 == 0o600


def test_github_takes_no_command_out_of_what_a_guest_writes_while_it_runs(bench):
    write(bench, [("guest", "x", "workflow_commands", "")])
    result = bench.finish(bench.start_vmtest(["--report", "github"]))
    text = result.stdout.decode()
    assert text.count("::error::of the guest") >= 2 # as it came, and as the output's last lines
    assert list(workflow_commands(text)) == [("group", "guest: fail"), ("endgroup", ""),
                                             ("error", "Command failed with exit code: 3")]


def test_github_gets_annotations_with_their_place_and_a_step_summary(bench):
    write(bench, [("good", "exit 0", "as_told", ""), ("bad, one: 1%", "exit 3", "as_told", "")])
    summary = bench.share / "summary.md"
    bench.env["GITHUB_STEP_SUMMARY"] = str(summary)
    summary.write_text("what another step wrote\n")
    result = bench.finish(bench.start_vmtest(["--report", "github"]))
    lines = result.stdout.decode().splitlines()
    assert "::error title=bad%2C one%3A 1%25,file=vmtest.toml,line=9::Command failed with exit code: 3" in lines
    assert summary.read_text().startswith("what another step wrote\n## vmtest: not passed\n")
