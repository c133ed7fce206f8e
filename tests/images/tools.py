# SPDX-License-Identifier: Apache-2.0
"""Runs programs that end when we do, however we end."""
import os
import subprocess
import sys

# Tools that only root needs are not on everybody's path.
os.environ["PATH"] += ":/usr/sbin:/sbin"


class BuildError(Exception):
    """What went wrong, in a sentence for the user."""


def bounded(command, seconds):
    return ["setpriv", "--pdeathsig", "TERM", "timeout", "-k", "10", str(seconds), *map(str, command)]


def run(command, seconds=300, stdout=None, **options):
    """Runs a program to its end; its output goes to stderr unless told otherwise. Open locks are handed down."""
    process = subprocess.Popen(bounded(command, seconds), stdin=subprocess.DEVNULL, stdout=stdout or sys.stderr,
                               close_fds=False, **options)
    try:
        status = process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise
    if status:
        raise BuildError(f"{command[0]} failed with status {status}")


def output_of(command, seconds=60):
    """What a program writes."""
    done = subprocess.run(bounded(command, seconds), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise BuildError(f"{command[0]} failed with status {done.returncode}")
    return done.stdout.decode()
