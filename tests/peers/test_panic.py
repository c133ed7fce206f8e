# SPDX-License-Identifier: Apache-2.0
"""A guest kernel that panics, and one that only looks like it."""


def test_a_panic_that_pvpanic_reports_is_a_panic_with_its_line(bench):
    finished = bench.run_json("panic_with_pvpanic", timeout=30).expect(
        69, "panic", "Kernel panic - not syncing: sysrq triggered crash")
    assert "sysrq triggered crash" in finished["console"]
    assert "\r" not in finished["reason"] and "\n" not in finished["reason"]


def test_a_panic_on_the_console_counts_once_the_agent_is_silent(bench, fast_clock):
    fast_clock(5)
    bench.run_json("panic_without_pvpanic", timeout=30).expect(
        69, "panic", "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100")


def test_a_panic_that_an_answer_seems_to_disprove_keeps_its_line(bench):
    bench.run_json("panic_while_the_agent_still_answers", timeout=60).expect(69, "panic", "Attempted to kill init!")


def test_a_panic_whose_line_is_driven_away_keeps_it(bench, fast_clock):
    fast_clock(3)
    bench.run_json("panic_that_goes_on_printing", timeout=60).expect(69, "panic", "Attempted to kill init!")


def test_a_panic_before_hello_is_told_long_before_the_boot_times_out(bench):
    finished = bench.run_json("panic_before_hello", "--boot-timeout", "100", timeout=30).expect(
        69, "panic", "Attempted to kill init!")
    assert finished["stage"] == "boot"


def test_a_panic_that_resets_the_machine_is_a_panic(bench):
    bench.run_json("panic_that_ends_qemu").expect(69, "panic", "Attempted to kill init!")


def test_a_panics_line_before_the_guest_powers_off_is_none(bench):
    bench.run_json("panics_line_and_power_off").expect(69, "lost", "the guest powered off during the command")


def test_a_line_that_only_reads_like_a_panic_is_none(bench, fast_clock):
    fast_clock(3)
    bench.run_json("panic_is_only_a_line").expect(0, "pass")
