# SPDX-License-Identifier: Apache-2.0
"""Sub-results of commands in real guests, from programs that write TAP and JUnit and from the kernel's log."""
import json

import pytest

from conftest import PYTHON, write_file

PERL_TESTS = r"""
use Test::More tests => 3;
ok(1, "plain");
subtest "nested" => sub { plan tests => 2; ok(1, "inner"); ok($ENV{LIE}, "lying"); };
TODO: { local $TODO = "not done"; ok(0, "later"); }
exit 0;
"""
PYTHON_TESTS = """
import pytest
def test_good(): pass
def test_odd(): assert "]]>\\x01" == open("/proc/version").read()
@pytest.mark.skip(reason="no such thing")
def test_skipped(): pass
"""
GOOD = '<testsuite><testcase classname="s" name="a"/></testsuite>'
BAD = '<testsuite><testcase classname="s" name="a"/><testcase classname="s" name="b"><failure/></testcase></testsuite>'


def run_targets(run, project, common, rows):
    """Runs targets, each a (name, results, command), with the keys that are common to all."""
    write_file(f"{project}/vmtest.toml", "".join(
        f"[[target]]\nname = {json.dumps(name)}\nresults = {json.dumps(results)}\n"
        f"command = {json.dumps(command)}\n{common}\n"
        for name, results, command in rows))
    result = run(["--format", "json"], cwd=project, timeout=300)
    result.events = [json.loads(line) for line in result.out.splitlines()]
    result.ends = {event["target"]: event for event in result.events if event["event"] == "finished"}
    assert set(result.ends) == {name for name, _, _ in rows}, str(result)
    return result


def given(result, target):
    return [(event["name"], event["status"]) for event in result.events
            if event["event"] == "subresult" and event["target"] == target]


class TestKernelTarget:
    @pytest.fixture(scope="class")
    def result(self, run, kernel, project):
        write_file(f"{project}/t.pl", PERL_TESTS)
        write_file(f"{project}/test_of_guest.py", PYTHON_TESTS)
        write_file(f"{project}/old.xml", GOOD)
        write_file(f"{project}/rewritten.xml", GOOD)
        pytest_here = f"{PYTHON} -m pytest -q -p no:cacheprovider test_of_guest.py"
        common = f'kernel = "{kernel}"\naccel = "tcg"\nvm = {{ num_cpus = 1, memory = "1G" }}'
        return run_targets(run, project, common, [
            ("perl passes", "tap", "LIE=1 perl t.pl"),
            ("perl lies", "tap", "perl t.pl; true"),
            ("cut off", "tap", "perl t.pl | head -n 2"),
            ("says nothing", "tap", "true"),
            ("kernel log", "tap", r"""
                printf '%s\n' 'KTAP version 1' '1..1' '    KTAP version 1' '    # Subtest: suite' '    1..2' \
                    '    ok 1 first' '    # second: EXPECTATION FAILED' '    not ok 2 second' 'not ok 1 suite' |
                    while IFS= read -r line; do printf '<6>%s\n' "$line" > /dev/kmsg; done
                dmesg | grep -A100 'KTAP version' | head -n 9"""),
            ("panics", "tap", "echo 1..3; echo ok 1 - before; sleep 1; echo c > /proc/sysrq-trigger; sleep 100"),
            ("pytest", "junit:out.xml", f"{pytest_here} --junitxml=out.xml || true"),
            ("away from the share", "junit:/tmp/r*.xml",
             f"{pytest_here} --junitxml=/tmp/r1.xml -k 'good or skipped'; cp /tmp/r1.xml /tmp/r2.xml"),
            ("stale", "junit:old.xml", "cat old.xml"),
            ("rewritten", "junit:rewritten.xml", f"printf '%s' '{BAD}' > rewritten.xml"),
            ("none", "junit:none/*.xml", "true"),
        ])

    @pytest.mark.parametrize("target, verdict, words", [
        ("perl passes", "pass", ""),
        ("perl lies", "fail", "1 of 4 tests failed: nested / lying"),
        ("cut off", "fail", "3"),
        ("says nothing", "fail", ""),
        ("kernel log", "fail", "1 of 2 tests failed: suite / second"),
        ("panics", "panic", "sysrq"),
        ("pytest", "fail", "1 of 3 tests failed: test_of_guest / test_odd"),
        ("away from the share", "pass", ""),
        ("stale", "fail", "old.xml"),
        ("rewritten", "fail", "1 of 2 tests failed: s / b"),
        ("none", "fail", "/none: No such file"),
    ])
    def test_verdict(self, result, target, verdict, words):
        end = result.ends[target]
        assert (end["verdict"], words in end["reason"]) == (verdict, True), str(result)

    @pytest.mark.parametrize("target, subresults", [
        ("perl passes", [("plain", "pass"), ("nested / inner", "pass"), ("nested / lying", "pass"), ("later", "todo")]),
        ("perl lies", [("plain", "pass"), ("nested / inner", "pass"), ("nested / lying", "fail"), ("later", "todo")]),
        ("kernel log", [("suite / first", "pass"), ("suite / second", "fail")]),
        ("panics", [("before", "pass")]),
        ("pytest", [("test_of_guest / test_good", "pass"), ("test_of_guest / test_odd", "fail"),
                    ("test_of_guest / test_skipped", "skip")]),
        ("away from the share", 2 * [("test_of_guest / test_good", "pass"), ("test_of_guest / test_skipped", "skip")]),
        ("stale", []),
        ("rewritten", [("s / a", "pass"), ("s / b", "fail")]),
    ])
    def test_subresults(self, result, target, subresults):
        assert given(result, target) == subresults, str(result)


class TestImage:
    """With vmtest's agent in the guest, and where the guest agent alone has to give the files."""

    @pytest.fixture(scope="class", params=["mini", pytest.param("mini-noexec", marks=pytest.mark.slow)])
    def result(self, request, run, image_of, project):
        write_file(f"{project}/old.xml", GOOD)
        return run_targets(run, project, f"image = {json.dumps(image_of(request.param))}", [
            ("tap", "tap", "printf 'ok 1 - a\\nnot ok 2 - b\\n1..2\\n'"),
            ("shared", "junit:/mnt/vmtest/new.xml", f"printf '%s' '{BAD}' > /mnt/vmtest/new.xml"),
            ("its own", "junit:/tmp/its own.xml", f"printf '%s' '{GOOD}' > '/tmp/its own.xml'"),
            ("relative", "junit:relative.xml", f"printf '%s' '{GOOD}' > relative.xml"),
            ("stale", "junit:/mnt/vmtest/old.xml", "cat /mnt/vmtest/old.xml"),
            ("none", "junit:/tmp/none.xml", "true"),
        ])

    def test_verdicts(self, result):
        assert {name: end["verdict"] for name, end in result.ends.items()} == {
            "tap": "fail", "shared": "fail", "its own": "pass", "relative": "pass", "stale": "fail", "none": "fail",
        }, str(result)

    def test_subresults(self, result):
        assert {name: given(result, name) for name in result.ends} == {
            "tap": [("a", "pass"), ("b", "fail")], "shared": [("s / a", "pass"), ("s / b", "fail")],
            "its own": [("s / a", "pass")], "relative": [("s / a", "pass")], "stale": [], "none": [],
        }, str(result)
