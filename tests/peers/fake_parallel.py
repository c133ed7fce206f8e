# SPDX-License-Identifier: Apache-2.0
"""Scenarios of machines that run at once."""
import os
import time

from fake_machine import POWEROFF, STDOUT, scenario
from fake_notes import DIRECTORY, add_note, is_told, note, wait_for


def words(fake):
    return " ".join(fake.command).split()


@scenario
def meets(fake):
    """The command `ME OTHER`: passes once the other is running as well, which one behind the other never is."""
    me, other = words(fake_run(fake))
    fake.output(STDOUT, f"{me} waits\n".encode())
    note(f"met-{me}")
    wait_for(f"met-{other}")
    fake.output(STDOUT, f"{me} met\n".encode())
    fake.finish()


@scenario
def overlaps(fake):
    """The command `ME`: notes when it begins and ends, and takes its time between."""
    (me,) = words(fake_run(fake))
    add_note("log", f"+ {me}")
    time.sleep(0.3)
    add_note("log", f"- {me}")
    fake.finish()


@scenario
def hangs(fake):
    """The command `ME`: hangs until the power is switched off."""
    (me,) = words(fake_run(fake))
    note(f"hangs-{me}", os.getpid())
    fake.expect(POWEROFF)
    fake.finish()


@scenario
def tries(fake):
    """The command `ME N`: fails N times, then passes."""
    me, number = words(fake_run(fake))
    add_note(f"tries-{me}", "x")
    with open(f"{DIRECTORY}/tries-{me}") as file:
        done = len(file.readlines())
    fake.output(STDOUT, f"attempt {done}\n".encode())
    fake.finish(7 if done <= int(number) else 0)


@scenario
def fails_then_hangs(fake):
    """The command `ME`: fails the first time, hangs the next."""
    (me,) = words(fake_run(fake))
    if not is_told(f"failed-{me}"):
        note(f"failed-{me}")
        fake.finish(7)
    note(f"hangs-{me}", os.getpid())
    fake.expect(POWEROFF)
    fake.finish()


def fake_run(fake):
    fake.run()
    return fake
