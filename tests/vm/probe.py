# SPDX-License-Identifier: Apache-2.0
"""Runs in the guest and prints what it sees as one JSON object. The tests copy it into the shared directory.

What it looks at are the functions named look_*; one that fails gives the error's text in place of a value.
"""
import ctypes
import json
import mmap
import os
import resource
import socket
import subprocess
import sys
import time


def shell(command):
    done = subprocess.run(["/bin/sh", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    return {"status": done.returncode, "output": done.stdout.decode(errors="replace")}


def can_make(path):
    """Whether a directory can be made at `path`; it is removed again."""
    try:
        os.mkdir(path)
        os.rmdir(path)
        return True
    except OSError as error:
        return error.strerror


def can_write(path):
    try:
        with open(path, "a") as file:
            file.write("x")
        return True
    except OSError as error:
        return error.strerror


def look_cwd():
    return os.getcwd()


def look_environment():
    return dict(os.environ)


def look_input():
    return sys.stdin.read()


def look_share():
    return {"here": sorted(os.listdir(".")), "there": sorted(os.listdir("/mnt/vmtest")),
            "same": os.path.samefile(".", "/mnt/vmtest")}


def look_mounts():
    with open("/proc/mounts") as file:
        rows = [line.split() for line in file]
    return {row[1].encode().decode("unicode_escape"): {"type": row[2], "options": row[3].split(",")} for row in rows}


def look_writable():
    return {path: can_write(path) for path in ("/etc/vmtest-probe", "/usr/vmtest-probe", "/tmp/vmtest-probe",
                                               "/run/vmtest-probe", "/mnt/vmtest/written")}


def look_made():
    return {path: can_make(path) for path in ("/sys/fs/cgroup/probe", "/sys/fs/bpf/probe", "/dev/shm/probe")}


def look_limits():
    return {"memlock": resource.getrlimit(resource.RLIMIT_MEMLOCK), "nofile": resource.getrlimit(resource.RLIMIT_NOFILE)}


def look_machine():
    with open("/proc/meminfo") as file:
        kib = int(next(line for line in file if line.startswith("MemTotal")).split()[1])
    with open("/proc/cmdline") as file:
        return {"cpus": os.sysconf("SC_NPROCESSORS_ONLN"), "kib": kib, "cmdline": file.read().strip(),
                "release": os.uname().release, "host": os.uname().nodename, "time": time.time(), "uid": os.geteuid()}


def look_fresh():
    return {path: sorted(os.listdir(path)) for path in ("/tmp", "/run")}


def look_devices():
    names = ["null", "zero", "urandom", "tty", "ptmx", "pts", "shm", "fd", "stdin", "stdout", "stderr"]
    return [name for name in names if not os.path.exists(f"/dev/{name}")]


def look_terminal():
    master, slave = os.openpty()
    os.write(slave, b"typed")
    return os.read(master, 5).decode() + " " + os.ttyname(slave).rsplit("/", 1)[0]


def look_loopback():
    server = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(server.getsockname(), timeout=10)
    accepted, _ = server.accept()
    client.sendall(b"over lo")
    return accepted.recv(100).decode()


def look_processes():
    with open("/proc/1/comm") as file:
        return {"first": file.read().strip(), "leader": os.getsid(0) == os.getpid() or os.getsid(0) == os.getppid()}


def look_modules():
    directory = f"/lib/modules/{os.uname().release}"
    files = {name: os.path.exists(f"{directory}/{name}") for name in ("modules.dep", "modules.dep.bin", "kernel")}
    dry = shell("PATH=$PATH:/usr/sbin:/sbin modprobe -n -v loop")
    real = shell("PATH=$PATH:/usr/sbin:/sbin modprobe dummy numdummies=1")
    return {"files": files, "dry": dry, "real": real, "loaded": os.path.exists("/sys/module/dummy"),
            "device": os.path.exists("/sys/class/net/dummy0")}


def look_bpf():
    """BPF_MAP_CREATE (0) of an array with one element; x86-64's number of bpf(2)."""
    attributes = (ctypes.c_uint32 * 32)(2, 4, 4096, 1)
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.syscall(321, 0, ctypes.byref(attributes), ctypes.sizeof(attributes))
    return "made" if descriptor >= 0 else os.strerror(ctypes.get_errno())


def sqlite_in_wal_mode(directory):
    import sqlite3
    first = sqlite3.connect(f"{directory}/probe.sqlite", timeout=30)
    mode = first.execute("pragma journal_mode=wal").fetchone()[0]
    first.execute("create table rows (number integer, text)")
    first.commit()
    second = sqlite3.connect(f"{directory}/probe.sqlite", timeout=30)
    for number in range(50):
        (first if number % 2 else second).execute("insert into rows values (?, ?)", (number, "x" * number))
        (first if number % 2 else second).commit()
    count = second.execute("select count(*), sum(length(text)) from rows").fetchone()
    check = first.execute("pragma integrity_check").fetchone()[0]
    wal = os.path.getsize(f"{directory}/probe.sqlite-wal") > 0
    first.close()
    second.close()
    return [mode, list(count), check, wal]


def shared_mapping(directory):
    with open(f"{directory}/mapped", "w+b") as file:
        file.truncate(3 * 4096)
        with mmap.mmap(file.fileno(), 0, mmap.MAP_SHARED) as mapping:
            mapping[4090:4102] = b"by a mapping"
        file.seek(4090)
        return file.read(12).decode()


def renamed_directory(directory):
    os.makedirs(f"{directory}/before/inner")
    with open(f"{directory}/before/inner/file", "w") as file:
        file.write("moved along")
    os.rename(f"{directory}/before", f"{directory}/after")
    with open(f"{directory}/after/inner/file") as file:
        return [file.read(), os.path.exists(f"{directory}/before")]


def links_and_modes(directory):
    with open(f"{directory}/script", "w") as file:
        file.write("#!/bin/sh\necho it runs\n")
    os.chmod(f"{directory}/script", 0o750)
    os.symlink("script", f"{directory}/symbolic")
    os.link(f"{directory}/script", f"{directory}/hard")
    done = subprocess.run([f"{directory}/symbolic"], stdout=subprocess.PIPE, timeout=60)
    return [done.stdout.decode(), os.stat(f"{directory}/hard").st_nlink, oct(os.stat(f"{directory}/hard").st_mode)]


def look_files_in_share():
    os.mkdir("files")
    return look_files("files")


def look_files_in_root():
    os.mkdir("/var/vmtest-probe")
    return look_files("/var/vmtest-probe")


def look_files(directory):
    kinds = (sqlite_in_wal_mode, shared_mapping, renamed_directory, links_and_modes)
    return {kind.__name__: attempt(kind, directory) for kind in kinds}


def look_rename_in_root():
    """Renames a directory of the host's root, which only redirect_dir allows on an overlay."""
    name = next(name for name in sorted(os.listdir("/usr")) if os.path.isdir(f"/usr/{name}")
                and not os.path.islink(f"/usr/{name}") and name not in ("bin", "sbin", "lib", "lib64")
                and os.listdir(f"/usr/{name}"))
    content = sorted(os.listdir(f"/usr/{name}"))
    os.rename(f"/usr/{name}", "/usr/renamed-by-vmtest")
    return [name, sorted(os.listdir("/usr/renamed-by-vmtest")) == content]


def attempt(function, *arguments):
    try:
        return function(*arguments)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def main():
    names = sys.argv[1:] or [name[5:] for name in globals() if name.startswith("look_") and name != "look_files"]
    print(json.dumps({name: attempt(globals()[f"look_{name}"]) for name in names}))


main()
