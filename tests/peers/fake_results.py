# SPDX-License-Identifier: Apache-2.0
"""Scenarios of commands that run tests: they write TAP, or leave files that the agent is asked for.

The plan: `says` is what the command writes, `exit` its code; `files` what the agent gives: a list of records
[KIND, TEXT], "nothing", "hang", "garbage", "flood" or "gone".
"""
import os
import struct

from fake_machine import FETCH, FETCHED, STDERR, STDOUT, SYNC, SYNCED, Reader, exited, frame, scenario
from fake_notes import fault, hang, note

NAME, DATA, ERROR = range(1, 4)
NOTE = 1


def take_fetch(fake):
    """What the agent is asked for, as (is it only to be noted, path)."""
    reader = Reader("fetch", fake.expect(FETCH))
    flags, limit = reader.number("I"), reader.number("Q")
    directory, path = reader.bytes(), reader.bytes()
    reader.done()
    if limit != 64 << 20 or not directory.startswith(b"/") or flags > NOTE:
        fault("fetch: a limit, a directory or flags that nobody gives")
    return flags == NOTE, path.decode()


def give(fake):
    files = fake.plan.get("files", "nothing")
    if files == "hang":
        hang()
    if files == "gone":
        os._exit(1)
    if files == "garbage":
        fake.send(frame(FETCHED, b"\x07" * 20))
    elif files == "flood":
        while True:
            fake.send(frame(FETCHED, bytes(1 << 16)))
    elif files != "nothing":
        kinds = {"name": NAME, "data": DATA, "error": ERROR}
        stream = b"".join(struct.pack("<II", kinds[kind], len(text.encode())) + text.encode() for kind, text in files)
        for at in range(0, len(stream), 7):  # records do not keep to frames
            fake.send(frame(FETCHED, stream[at:at + 7]))
    fake.send(frame(FETCHED))


def finish(fake):
    fake.send(exited(0, fake.plan.get("exit", 0)))
    fake.expect(SYNC)
    fake.send(frame(SYNCED))


@scenario
def says(fake):
    fake.run()
    text = fake.plan["says"].encode()
    for at in range(0, len(text), 11):
        fake.output(STDOUT, text[at:at + 11])
    fake.output(STDERR, b"not ok 99 - of standard error\n")
    finish(fake)
    hang()


@scenario
def leaves(fake):
    fake.set_up()
    noted, path = take_fetch(fake)
    if not noted:
        fault("fetch: what is there has to be noted first")
    note("noted", path)
    fake.take_exec()
    finish(fake)
    noted, again = take_fetch(fake)
    if noted or again != path:
        fault("fetch: something else than was noted")
    give(fake)
    hang()
