# SPDX-License-Identifier: Apache-2.0
"""Processes by /proc: who descends from whom, which is the worker and which its QEMU, and what one is waiting for."""
import ctypes
import os
import signal
import time
from collections import namedtuple

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36

Process = namedtuple("Process", "pid parent state name")


def prctl(option, value):
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read().decode(errors="replace")
    except OSError as error:
        return f"({error.strerror})"


def look(pid):
    """What /proc/PID/stat says, or None."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read().decode(errors="replace")
    except OSError:
        return None
    name, rest = text[text.index("(") + 1:text.rindex(")")], text[text.rindex(")") + 2:].split()
    return Process(int(pid), int(rest[1]), rest[0], name)


def everybody():
    return [one for one in map(look, filter(str.isdigit, os.listdir("/proc"))) if one]


def descendants(root):
    """All below `root`, whom the kernel gives orphans to if it is a subreaper: also what made itself a daemon."""
    below, known = [], {root}
    everyone = everybody()
    while new := [one for one in everyone if one.parent in known and one.pid not in known]:
        below += new
        known |= {one.pid for one in new}
    return below


def program(pid):
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""


def children(pid):
    return [one.pid for one in everybody() if one.parent == pid and one.state != "Z"]


def find_worker(vmtest):
    """The child of vmtest that runs the same program, or None."""
    own = program(vmtest)
    return next((pid for pid in children(vmtest) if own and program(pid) == own), None)


def is_asked_only(pid):
    """Whether it is a QEMU that tells its version, and no machine."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().endswith(b"\0--version\0")
    except OSError:
        return False


def find_qemu(vmtest):
    """(QEMU, its worker): the worker's child, which has by now become qemu-system-*; or (None, None)."""
    worker = find_worker(vmtest)
    for pid in children(worker) if worker else ():
        if os.path.basename(program(pid)).startswith("qemu-system") and not is_asked_only(pid):
            return pid, worker
    return None, None


def send(pid, parent, number):
    """A signal to a process that is still its parent's child: a number that was used anew is not hit."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        now = look(pid)
        if not now or now.parent != parent or now.state == "Z":
            return False
        signal.pidfd_send_signal(fd, number)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(fd)


def reap():
    """Takes the orphans that have ended off the kernel's list; returns how many there were."""
    count = 0
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return count
        except ChildProcessError:
            return count
        count += 1


def end_all(root, seconds=20):
    """Kills all that descends from `root`, which calls this itself."""
    deadline = time.monotonic() + seconds
    while (left := descendants(root)) and time.monotonic() < deadline:
        for one in left:
            if one.state != "Z":
                try:
                    os.kill(one.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        reap()
        time.sleep(0.02)
    return left


def describe(one):
    line = read(f"/proc/{one.pid}/cmdline").replace("\0", " ").strip() or f"[{one.name}]"
    return f"{one.pid} ({one.state}, child of {one.parent}): {line[:200]}"


def dump(root):
    """Text on each descendant: what it is, what it waits for, and what it has open."""
    text = []
    for one in descendants(root):
        text.append(f"=== {describe(one)}")
        for name in ("wchan", "syscall", "stack", "status"):
            text.append(f"--- {name}\n{read(f'/proc/{one.pid}/{name}').rstrip()}")
        text.append("--- threads: name, state, ticks spent in itself and in the kernel, what it waits for")
        try:
            for thread in sorted(os.listdir(f"/proc/{one.pid}/task"), key=int):
                place = f"/proc/{one.pid}/task/{thread}"
                # From the state on, the fields of proc(5) count from 3.
                fields = read(f"{place}/stat").rpartition(")")[2].split()
                text.append(f"{thread}: {read(f'{place}/comm').strip()} {' '.join(fields[:1] + fields[11:13])} "
                            f"{read(f'{place}/wchan')}")
            text.append("--- descriptors")
            for fd in sorted(os.listdir(f"/proc/{one.pid}/fd"), key=int):
                text.append(f"{fd}: {os.readlink(f'/proc/{one.pid}/fd/{fd}')}")
        except OSError:
            pass
    return "\n".join(text) + "\n"
