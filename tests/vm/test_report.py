# SPDX-License-Identifier: Apache-2.0
"""What a run prints and how it ends, for the targets of a file."""
import base64
import json
import os
import re

import pytest

from conftest import write_file

PASS_AND_FAIL = """
[[target]]
name = "one that passes"
kernel = "{kernel}"
command = "echo first; pwd > where.txt; cat <(echo 'by process substitution')"

[[target]]
name = "one that fails"
kernel = "{kernel}"
command = "printf 'to stdout\\n'; printf 'to stderr\\n' >&2; false"
[target.vm]
num_cpus = 1
memory = "512M"
"""


def without_console(text):
    """The output without what the guest's console and the notices said, which depends on machine and kernel."""
    text = re.sub(r"(?m)^note: .*\n", "", text)
    return re.sub(r"(?s)(===> Booting\n).*?(===> Setting up VM\n).*?(===> Running command\n)", r"\1\2\3", text)


class TestPassAndFail:
    @pytest.fixture(scope="class")
    def result(self, run, project, kernel):
        write_file(f"{project}/vmtest.toml", PASS_AND_FAIL.format(kernel=kernel))
        return run([], cwd=project)

    def test_output_that_is_no_terminal_is_plain_and_complete(self, result):
        before, after = "=> one that fails\n", ["to stdout\nto stderr\n", "to stderr\nto stdout\n"]
        text = without_console(result.out).replace(" (from template)", "")
        first, second = text.split(before)
        assert first == ("=> one that passes\n===> Booting\n===> Setting up VM\n===> Running command\n"
                         "first\nby process substitution\nPASS\n"), str(result)
        stages = "===> Booting\n===> Setting up VM\n===> Running command\n"
        assert second.startswith(stages), str(result)
        # Standard output and standard error are two streams: which of them comes first is not told.
        assert re.sub("Run it again: .* -f '\\^one that fails\\$'\n", "AGAIN\n", second[len(stages):]) in [
            streams + "Command failed with exit code: 1\nAGAIN\nFAILED\n1 of 2 targets did not pass\n"
            for streams in after], str(result)

    def test_nothing_goes_to_standard_error(self, result):
        assert result.err == ""

    def test_exit_status_is_the_number_that_did_not_pass(self, result):
        assert result.status == 1, str(result)

    def test_default_file_makes_its_directory_the_working_directory(self, result, project):
        with open(f"{project}/where.txt") as file:
            assert file.read() == project + "\n"

    def test_notices_are_given_once_for_all_targets(self, result):
        notices = re.findall(r"(?m)^note: .*$", result.out)
        assert len(notices) == len(set(notices)), str(result)


def test_filter_and_config_choose_one_target_whose_code_is_the_exit_status(run, project, kernel):
    write_file(f"{project}/sub/other.toml", f"""
[[target]]
name = "not this one"
image = "missing.qcow2"
command = "true"
[[target]]
name = "needle-in-hay"
kernel = "{os.path.relpath(kernel, project + '/sub')}"
command = "pwd; exit 7"
""")
    result = run(["-c", "sub/other.toml", "-f", "^needle.in"], cwd=project)
    assert result.status == 7, str(result)
    assert f"\n{project}/sub\n" in result.out, str(result)
    assert "not this one" not in result.out, str(result)
    assert re.search(r"Command failed with exit code: 7\nRun it again: \S+ (--no-template )?--config sub/other.toml "
                     r"-f '\^needle-in-hay\$'\nFAILED\n", result.out), str(result)


JSON_TARGET = r"""
[[target]]
name = "json \u00e4"
kernel = "{kernel}"
command = '''{command}'''
"""
# A character in two pieces, one that never gets complete, stray bytes, NULs, no line feed at the end.
JSON_COMMAND = r"""printf 'a\303'; sleep 0.3; printf '\244b\000\377c\360\237'
printf '\001\002no line feed' >&2
cat random
exit 3"""


class TestJson:
    @pytest.fixture(scope="class")
    def random(self):
        # Among it what Python's splitlines takes for the end of a line.
        return os.urandom(100000) + "\x85\u2028\u2029\x1e\x7f".encode()

    @pytest.fixture(scope="class")
    def result(self, run, project, kernel, random):
        write_file(f"{project}/random", random)
        write_file(f"{project}/vmtest.toml", JSON_TARGET.format(kernel=kernel, command=JSON_COMMAND))
        return run(["--format", "json"], cwd=project)

    @pytest.fixture(scope="class")
    def events(self, result):
        assert result.stdout.endswith(b"\n"), str(result)
        return [json.loads(line) for line in result.stdout.decode("utf-8").splitlines()]

    @staticmethod
    def stream(events, name):
        data = b""
        for event in events:
            if event["event"] == "output" and event["stream"] == name:
                assert ("text" in event) != ("base64" in event), event
                data += event["text"].encode() if "text" in event else base64.b64decode(event["base64"], validate=True)
        return data

    def test_every_line_is_an_object_with_event_and_time(self, events):
        assert all(isinstance(event["event"], str) and event["time"] >= 0 for event in events)
        times = [event["time"] for event in events]
        assert times == sorted(times)

    def test_every_event_but_the_summary_names_its_target(self, events):
        assert {event.get("target") for event in events[:-1]} == {"json \u00e4"}
        assert "target" not in events[-1]

    def test_standard_output_is_byte_for_byte_what_was_written(self, events, random):
        assert self.stream(events, "stdout") == b"a\303\244b\0\377c\360\237" + random

    def test_standard_error_is_byte_for_byte_what_was_written(self, events):
        assert self.stream(events, "stderr") == b"\1\2no line feed"

    def test_a_character_written_in_two_pieces_is_one_text(self, events):
        texts = [event["text"] for event in events if event["event"] == "output" and "text" in event]
        assert any("\u00e4" in text for text in texts), texts[:5]

    def test_stages_come_in_order(self, events):
        stages = [event["stage"] for event in events if event["event"] == "stage"]
        assert stages == ["prepare", "boot", "setup", "command"]

    def test_first_is_started_and_last_of_the_target_is_finished(self, events):
        assert events[0]["event"] == "started"
        assert [event["event"] for event in events[-2:]] == ["finished", "summary"]

    def test_finished_tells_verdict_status_and_reason(self, events, result):
        finished = events[-2]
        assert (finished["verdict"], finished["status"], finished["stage"]) == ("fail", 3, "command"), finished
        assert "code 3" in finished["reason"]
        assert finished["accel"] in ("kvm", "tcg")
        assert result.status == 3

    def test_finished_tells_durations_usage_and_the_console(self, events, kernel):
        finished = events[-2]
        assert set(finished["durations"]) == {"prepare", "boot", "setup", "command"}
        assert all(value > 0 for value in finished["durations"].values()), finished
        assert finished["usage"]["max_rss_kib"] > 0, finished
        assert finished["usage"]["user_seconds"] + finished["usage"]["system_seconds"] > 0, finished
        assert finished["kernel"] and finished["kernel"] in os.path.realpath(kernel), finished
        assert isinstance(finished["console"], str)

    def test_summary_counts(self, events):
        assert (events[-1]["targets"], events[-1]["not_passed"]) == (1, 1), events[-1]

    def test_nothing_else_is_written(self, result):
        assert result.err == "", str(result)
