#!/usr/bin/python3 -IS
# SPDX-License-Identifier: Apache-2.0
"""A QEMU that tries what it is told to, and says what came of it.

QEMU_ATTEMPTS is a JSON object {NAME: [OPERATION, ARGUMENT...]}. QEMU_RESULT is the file, in a place where QEMU can
write, that takes an object: results {NAME: ERROR}, "" where it went well; and the environment, arguments and
descriptors seen.
"""
import sys

if sys.argv[1:] == ["--version"]:  # asked before there is a machine, and anything to pry into
    print("QEMU emulator version 8.2.0 (a fake)")
    sys.exit()

import errno
import json
import os
import signal
import socket

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY


def open_close(path, flags):
    os.close(os.open(path, flags | os.O_CLOEXEC, 0o600))


def connect_tcp(port):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.connect(("127.0.0.1", port))


def connect_abstract(name):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.connect("\0" + name)


OPERATIONS = {
    "read": lambda path: open_close(path, os.O_RDONLY),
    "write": lambda path: open_close(path, os.O_WRONLY),
    "list": lambda path: open_close(path, DIRECTORY),
    "create": lambda path: open_close(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL),
    "truncate": lambda path: os.truncate(path, 1),
    "rename": os.rename,
    "link": os.link,
    "symlink": os.symlink,
    "mkdir": os.mkdir,
    "unlink": os.unlink,
    "chdir": os.chdir,
    "tcp": connect_tcp,
    "abstract": connect_abstract,
    "signal parent": lambda: os.kill(os.getppid(), 0),
}


def attempt(operation, *arguments):
    try:
        OPERATIONS[operation](*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return ""


def open_descriptors():
    found = []
    for fd in range(3, 256):
        try:
            os.fstat(fd)
        except OSError:
            continue
        found.append(fd)
    return found


def main():
    signal.alarm(60)
    descriptors = open_descriptors()
    results = {name: attempt(*words) for name, words in json.loads(os.environ["QEMU_ATTEMPTS"]).items()}
    told = {"results": results, "environment": sorted(os.environ), "argv": sys.argv[1:], "descriptors": descriptors}
    with open(os.environ["QEMU_RESULT"], "w") as file:
        json.dump(told, file)
    print("tried all of it", file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
