# SPDX-License-Identifier: Apache-2.0
"""An agent that sends what it must not, or nothing more."""
import pytest


@pytest.mark.parametrize("scenario, words", [
    ("hello_is_malformed", "a malformed hello"),
    ("hello_is_of_another_version", "version 99 of the protocol, not 2"),
    ("garbage_before_hello", "bytes that are not a frame"),
    ("frame_of_4_gb_before_hello", "bytes that are not a frame"),
])
def test_an_agent_that_never_says_a_proper_hello_is_an_error(bench, scenario, words):
    finished = bench.run_json(scenario).expect(69, "error", words)
    assert finished["stage"] == "boot"


@pytest.mark.parametrize("scenario, words", [
    ("garbage_in_setup", "bytes that are not a frame"),
    ("garbage_during_the_command", "bytes that are not a frame"),
    ("frame_of_4_gb_during_the_command", "bytes that are not a frame"),
    ("output_before_ready", "'stdout' out of turn"),
    ("hello_twice", "'hello' out of turn"),
    ("an_end_before_there_is_a_command", "'exited' out of turn"),
    ("exit_status_is_malformed", "a malformed exit status"),
    ("synced_before_it_is_asked", "'synced' out of turn"),
])
def test_an_agent_that_breaks_the_protocol_is_lost_with_what_was_wrong(bench, scenario, words):
    bench.run_json(scenario).expect(69, "lost", words)


@pytest.mark.parametrize("scenario, stage, reason", [
    ("setup_fails", "setup", "cannot mount the root over 9p: No such device"),
    ("exec_fails", "command", "cannot run 'prog': No such file or directory"),
])
def test_what_the_agent_could_not_do_is_an_error_in_its_words(bench, scenario, stage, reason):
    finished = bench.run_json(scenario).expect(69, "error")
    assert (finished["reason"], finished["stage"]) == (reason, stage)


@pytest.mark.parametrize("scenario", ["half_a_frame_then_the_end", "port_closes_after_hello"])
def test_an_agent_whose_port_closes_after_hello_is_lost_soon(bench, scenario):
    bench.run_json(scenario, timeout=40).expect(69, "lost", "port")


def test_an_agent_whose_port_closes_before_hello_is_an_error_soon(bench):
    bench.run_json("port_closes_before_hello", timeout=40).expect(69, "error", "port")
