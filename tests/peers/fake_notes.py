# SPDX-License-Identifier: Apache-2.0
"""How a scripted machine and its test tell each other where they are: by files in FAKE_QEMU_DIR."""
import os
import time

DIRECTORY = os.environ.get("FAKE_QEMU_DIR")


def note(name, text=""):
    path = f"{DIRECTORY}/{name}"
    new = f"{path}.{os.getpid()}.new"  # several machines may make the same note at once
    with open(new, "w") as file:
        file.write(str(text))
    os.rename(new, path)


def add_note(name, line):
    """One line more in a note that several machines share."""
    with open(f"{DIRECTORY}/{name}", "a") as file:
        file.write(f"{line}\n")


def is_told(name):
    return os.path.exists(f"{DIRECTORY}/{name}")


def wait_for(name):
    while not is_told(name):
        time.sleep(0.02)


def fault(text):
    add_note("faults", text)
    os._exit(99)


def hang():
    while True:
        time.sleep(60)
