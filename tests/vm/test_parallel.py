# SPDX-License-Identifier: Apache-2.0
"""Several real machines at once over one kernel."""
import json

from conftest import read_file, write_file

TARGET = """
[[target]]
name = "{me}"
kernel = "{kernel}"
command = "echo {me} is here; touch met-{me}; until test -e met-{other}; do sleep 0.2; done; echo {me} has met {other}"
boot_timeout = "300s"
timeout = "300s"
vm = {{ num_cpus = 1, memory = "512M" }}
"""


def events_of(result, target):
    return [event for event in map(json.loads, result.stdout.splitlines()) if event.get("target") == target]


def test_two_machines_that_wait_for_each_other_both_pass(run, project, kernel):
    """One makes the template, if there is none; each has its own output, and both write into the shared directory."""
    write_file(f"{project}/vmtest.toml", "".join(TARGET.format(me=me, other=other, kernel=kernel)
                                                 for me, other in (("a", "b"), ("b", "a"))))
    result = run(["-j2", "--format", "json"], cwd=project, timeout=600, env={"XDG_STATE_HOME": f"{project}/state"})
    assert result.status == 0, result
    for me, other in (("a", "b"), ("b", "a")):
        events = events_of(result, me)
        text = "".join(event["text"] for event in events if event["event"] == "output")
        assert text == f"{me} is here\n{me} has met {other}\n"
        assert events[-1]["event"] == "finished" and events[-1]["verdict"] == "pass"
        assert read_file(f"{project}/met-{me}") == b""
