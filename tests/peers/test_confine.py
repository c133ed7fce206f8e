# SPDX-License-Identifier: Apache-2.0
"""What a QEMU can reach that does all it can: prying_qemu.py in QEMU's place."""
import ctypes
import json
import os
import re
import socket
import subprocess
import uuid

import pytest

from conftest import HERE

PRYING = f"{HERE}/prying_qemu.py"
NOTICE = "with vm.extra_args, which may name any file, QEMU is not confined to the run's files (Landlock)"


def landlock_abi():
    return ctypes.CDLL(None, use_errno=True).syscall(444, None, 0, 1)


needs_landlock = pytest.mark.skipif(landlock_abi() < 2, reason="this kernel has no Landlock that allows renaming")


class Pry:
    """Files inside and outside of what a run needs, and a QEMU that tries them."""

    def __init__(self, bench, directory):
        self.bench, self.share, self.top = bench, str(bench.share), str(directory)
        self.secret = self.put("secret/file")
        for path in ("root/etc/file", "root/bin/sh", "read/file", "write/file", "share/one/file", "share/file"):
            self.put(path)
        os.chmod(f"{self.top}/root/bin/sh", 0o755)
        os.makedirs(f"{self.share}/two")
        os.symlink(self.secret, f"{self.share}/link")
        self.told = None

    def put(self, name):
        path = f"{self.top}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write("text of the host\n")
        return path

    def run(self, arguments, attempts, sandbox=True, expected_notices=(), **keywords):
        """Runs vmtest; returns what came of the attempts, by their names."""
        result_path = f"{self.share}/result"
        self.bench.env.update(QEMU_ATTEMPTS=json.dumps(attempts), QEMU_RESULT=result_path)
        result = self.bench.finish(self.bench.start_vmtest(["--format", "json", *arguments], sandbox=sandbox,
                                                            **keywords))
        result.expect(69, "error", "tried all of it")
        notices = [text for text in result.notices if "confined" in text or "Landlock" in text]
        assert notices == list(expected_notices), result.notices
        with open(result_path) as file:
            self.told = json.load(file)
        return self.told["results"]

    def kernel(self):
        return ["-k", self.bench.kernel, "-r", "/", "-q", PRYING, "--accel", "tcg", "--", "true"]

    def image(self, program=PRYING):
        return ["-i", str(self.bench.image), "-q", program, "--accel", "tcg", "--", "true"]

    def write_target(self, text):
        with open(f"{self.share}/vmtest.toml", "w") as file:
            file.write(f'[[target]]\nname = "target"\ncommand = "true"\nqemu_command = "{PRYING}"\naccel = "tcg"\n'
                       f'{text}')


@pytest.fixture
def pry(bench, tmp_path):
    return Pry(bench, tmp_path)


def attempts_on_the_share(share):
    """All of this has to go well, in this order."""
    return {
        "read": ["read", f"{share}/file"],
        "create": ["create", f"{share}/new"],
        "truncate": ["truncate", f"{share}/new"],
        "make a directory": ["mkdir", f"{share}/made"],
        "rename to another directory": ["rename", f"{share}/one/file", f"{share}/two/moved"],
        "rename a directory to another": ["rename", f"{share}/one", f"{share}/two/one"],
        "link in another directory": ["link", f"{share}/two/moved", f"{share}/linked"],
        "link by name": ["symlink", "/nowhere", f"{share}/dangling"],
        "remove": ["unlink", f"{share}/new"],
        "list": ["list", f"{share}/two"],
    }


def all_denied(results):
    return {name: error for name, error in results.items() if error not in ("EACCES", "EPERM", "EXDEV")}


@needs_landlock
def test_the_share_is_read_and_written_in_every_way(pry):
    results = pry.run(pry.image(), attempts_on_the_share(pry.share))
    assert not any(results.values()), results


@needs_landlock
def test_a_qemu_with_an_image_reaches_nothing_else(pry):
    results = pry.run(pry.image(), {
        "a file": ["read", pry.secret],
        "a file to write": ["write", pry.secret],
        "a file by a link on the share": ["read", f"{pry.share}/link"],
        "a new file": ["create", f"{pry.top}/secret/new"],
        "a directory": ["list", f"{pry.top}/secret"],
        "the share's parent": ["list", f"{pry.share}/.."],
        "/": ["list", "/"],
        "passwords": ["read", "/etc/passwd"],
        "its own program": ["write", PRYING],
        "a file out of the share": ["rename", f"{pry.share}/file", f"{pry.top}/secret/stolen"],
        "a file into the share": ["link", pry.secret, f"{pry.share}/stolen"],
        "another process": ["read", f"/proc/{os.getpid()}/environ"],
        "the notes of the test": ["create", f"{pry.bench.notes}/faults"],
        "the image to write": ["write", str(pry.bench.image)],
        "the image to truncate": ["truncate", str(pry.bench.image)],
    })
    assert all_denied(results) == {}
    assert len(pry.bench.image.read_bytes()) == 1 << 20


@needs_landlock
@pytest.mark.parametrize("persist", [False, True])
def test_the_image_is_written_only_where_that_is_asked_for(pry, persist):
    image, base = f"{pry.top}/disk.qcow2", f"{pry.top}/base.raw"
    os.rename(pry.bench.image, base)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", image], check=True, timeout=60)
    pry.write_target(f'image = "{image}"\npersist = {str(persist).lower()}\n')
    results = pry.run([], {"read": ["read", image], "write": ["write", image], "backing file": ["read", base],
                           "write to the backing file": ["write", base]})
    assert results == {"read": "", "write": "" if persist else "EACCES", "backing file": "",
                       "write to the backing file": "EACCES"}


@needs_landlock
def test_over_the_hosts_root_everything_is_read_and_the_share_alone_is_written(pry):
    results = pry.run(pry.kernel(), {
        "read": ["read", pry.secret], "write": ["write", pry.secret], "create": ["create", f"{pry.top}/secret/new"],
        "rename": ["rename", pry.secret, f"{pry.top}/secret/new"], "remove": ["unlink", pry.secret],
        "truncate": ["truncate", pry.secret], "the kernel": ["write", pry.bench.kernel],
        "the cache": ["create", f"{pry.bench.env['VMTEST_CACHE_DIR']}/new"], "share": ["write", f"{pry.share}/file"]})
    assert (results.pop("read"), results.pop("share")) == ("", "")
    assert all_denied(results) == {}


@needs_landlock
@pytest.mark.parametrize("mode", ["overlay", "ro", "rw"])
def test_another_root_and_mounts_are_what_they_are_declared_as(pry, mode):
    pry.write_target(f"""kernel = "{pry.bench.kernel}"
rootfs = "{pry.top}/root"
rootfs_mode = "{mode}"
[target.vm.mounts]
"/read" = {{ host_path = "{pry.top}/read" }}
"/write" = {{ host_path = "{pry.top}/write", writable = true }}
""")
    names = ("root/etc", "read", "write", "secret")
    attempts = {f"{verb} {name}": [verb, f"{pry.top}/{name}/file"] for name in names for verb in ("read", "write")}
    results = pry.run([], attempts)
    writes = "" if mode == "rw" else "EACCES"
    assert results == {"read root/etc": "", "write root/etc": writes, "read read": "", "write read": "EACCES",
                       "read write": "", "write write": "", "read secret": "EACCES", "write secret": "EACCES"}


@pytest.mark.skipif(landlock_abi() < 6, reason="this kernel's Landlock does not confine sockets and signals")
def test_no_socket_and_no_process_is_reached(pry):
    name = f"vmtest-{uuid.uuid4().hex}"
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind("\0" + name)
        abstract.listen()
        attempts = {"tcp": ["tcp", tcp.getsockname()[1]], "abstract": ["abstract", name], "signal": ["signal parent"]}
        assert pry.run(pry.image(), attempts) == {"tcp": "EACCES", "abstract": "EPERM", "signal": "EPERM"}
        assert not any(pry.run(pry.image(), attempts, sandbox=False).values())


@needs_landlock
def test_without_the_sandbox_everything_is_reached_and_nothing_said(pry):
    assert pry.run(pry.image(), {"file": ["write", pry.secret]}, sandbox=False) == {"file": ""}


@needs_landlock
def test_extra_args_switch_it_off_and_that_is_said_in_one_line(pry):
    pry.write_target(f'image = "{pry.bench.image}"\n[target.vm]\nextra_args = ["-smbios", "type=1"]\n')
    attempts = {"file": ["write", pry.secret]}
    assert pry.run([], attempts, expected_notices=[NOTICE]) == {"file": ""}
    assert "-sandbox" in pry.told["argv"]
    assert pry.run([], attempts, sandbox=False) == {"file": ""}


def test_the_environment_is_not_qemus(pry):
    pry.bench.env.update(VMTEST_SECRET="hunter2", CI_TOKEN="hunter2", QEMU_MODULE_DIR="/nowhere", LC_ALL="C.UTF-8")
    pry.run(pry.kernel(), {})
    names = set(pry.told["environment"])
    assert {"PATH", "QEMU_MODULE_DIR", "LC_ALL"} <= names
    assert not names & {"VMTEST_SECRET", "CI_TOKEN", "VMTEST_CACHE_DIR", "PEERS_MARK"}, names
    assert "hunter2" not in json.dumps(pry.told["argv"])
    # Without the sandbox, a wrapper may need any of it.
    pry.run(pry.kernel(), {}, sandbox=False)
    assert {"VMTEST_SECRET", "CI_TOKEN"} <= set(pry.told["environment"])


@pytest.mark.parametrize("kind", ["kernel", "image"])
def test_no_descriptor_is_inherited_but_those_on_the_command_line(pry, kind):
    with open(pry.secret) as file:
        high = os.dup2(file.fileno(), 200)
        try:
            pry.run(pry.kernel() if kind == "kernel" else pry.image(), {}, pass_fds=[file.fileno(), high])
        finally:
            os.close(high)
    named = {int(number) for number in re.findall(r"\bfd[=/](\d+)", " ".join(pry.told["argv"]))}
    assert set(pry.told["descriptors"]) == named


@needs_landlock
def test_a_script_that_wants_more_can_be_run_without_the_sandbox(pry):
    """What it says about it is the reason."""
    script = f"{pry.top}/my-qemu"
    with open(script, "w") as file:
        file.write(f"#!/bin/sh\nset -e\necho log >> {pry.secret}\nexec {PRYING} \"$@\"\n")
    os.chmod(script, 0o755)
    result = pry.bench.finish(pry.bench.start_vmtest(["--format", "json", *pry.image(script)], sandbox=True))
    result.expect(69, "error", "Permission denied")
