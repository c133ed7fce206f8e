# SPDX-License-Identifier: Apache-2.0
"""What the guest's kernel reports on its console, beside the verdict and as one (fail_on)."""

WARNING = ("[    3.123456] ------------[ cut here ]------------\r\n"
           "[    3.123456] WARNING: CPU: 0 PID: 1 at kernel/fake.c:7 provoked+0x16/0x20\r\n"
           "[    3.123456] Call Trace:\r\n[    3.123456]  do_one_initcall+0x44/0x200\r\n"
           "[    3.123456] ---[ end trace 0000000000000000 ]---\r\n")
TITLE = "WARNING: CPU: 0 PID: 1 at kernel/fake.c:7 provoked+0x16/0x20"


def kinds(finished):
    return [finding["kind"] for finding in finished["findings"]]


def test_a_report_during_the_command_is_told_and_the_command_passes(bench):
    bench.plan(command=WARNING)
    finished = bench.run_json("reports").expect(0, "pass")
    assert [(finding["kind"], finding["title"]) for finding in finished["findings"]] == [("warn", TITLE)]
    assert "do_one_initcall" in finished["findings"][0]["text"]


def test_fail_on_its_kind_makes_that_a_failure(bench):
    bench.plan(command=WARNING)
    finished = bench.run_json("reports", "--fail-on", "oops,warn").expect(
        1, "fail", f"the command passed, but the guest's kernel reported {TITLE} (--fail-on)")
    assert kinds(finished) == ["warn"]


def test_fail_on_any_is_about_all_kinds(bench):
    bench.plan(command="Out of memory: Killed process 77 (python3) total-vm:1kB\r\n")
    finished = bench.run_json("reports", "--fail-on", "any")
    assert kinds(finished.expect(1, "fail", "Out of memory")) == ["oom"]


def test_fail_on_other_kinds_changes_nothing(bench):
    bench.plan(command=WARNING)
    bench.run_json("reports", "--fail-on", "oops,kasan").expect(0, "pass")


def test_a_report_during_the_boot_counts_too(bench):
    bench.plan(boot=WARNING)
    assert kinds(bench.run_json("reports", "--fail-on", "warn").expect(1, "fail", TITLE)) == ["warn"]


def test_a_file_says_it_for_its_targets_and_the_command_line_for_all(bench):
    bench.plan(command=WARNING)
    bench.run_json("reports", "--fail-on", "warn").expect(1, "fail")
    bench.run_json("reports", "--fail-on", "warn", "--fail-on", "oom").expect(0, "pass")


def test_many_reports_are_counted_and_some_kept(bench):
    bench.plan(command=WARNING * 100)
    finished = bench.run_json("reports").expect(0, "pass")
    assert len(finished["findings"]) == 32
    assert finished["more_findings"] == 68


def test_a_person_sees_the_report_of_a_run_that_passes(bench):
    bench.plan(command=WARNING)
    result = bench.run("reports")
    assert result.status == 0
    assert f"The guest's kernel reported (warn): {TITLE}" in result.stderr.decode()
    assert "Run it again" not in result.stderr.decode()
