# SPDX-License-Identifier: Apache-2.0
"""Other roots than the host's with an overlay: modes, a busybox alone, a directory made by mmdebstrap."""
import glob
import os
import shutil
import subprocess

import pytest

from conftest import read_file, write_file

BUSYBOX = "/usr/bin/busybox" if os.path.exists("/usr/bin/busybox") else "/bin/busybox"


def entries(directory):
    """Every file and directory below `directory`."""
    return sorted(os.path.relpath(os.path.join(path, name), directory)
                  for path, directories, files in os.walk(directory) for name in directories + files)


MODE_PROBE = """
touch /etc/vmtest-probe && echo the root was written
mkdir /vmtest-probe && echo the root was written
touch here || echo the share was not written
touch /mnt/vmtest/there || echo the share was not written
touch /tmp/x /run/x || echo tmp was not written
test -e /proc/self/fd && test -e /sys/kernel && test -c /dev/null && test -d /dev/pts && echo pseudo
test -e /lib/modules/$(uname -r)/modules.dep && echo modules
test -x /bin/sh && ls /mnt
pwd
"""


@pytest.mark.parametrize("words", [["--rootfs-mode", "ro"], ["--kargs", "ro"]], ids=["option", "kernel argument"])
def test_a_read_only_root_is_not_written_and_gets_no_mount_points(run, project, kernel, words):
    mnt = sorted(os.listdir("/mnt"))
    modules = sorted(os.listdir("/lib/modules")) if os.path.isdir("/lib/modules") else None
    result = run(["-k", kernel, *words, MODE_PROBE], cwd=project)
    assert result.out.splitlines() == ["pseudo", "modules", *sorted({*mnt, "vmtest"}), project], str(result)
    assert result.err.count("Read-only file system") == 2, str(result)
    assert entries(project) == ["here", "there"]
    assert sorted(os.listdir("/mnt")) == mnt
    assert modules == (sorted(os.listdir("/lib/modules")) if os.path.isdir("/lib/modules") else None)


@pytest.fixture(scope="class")
def busybox_root(project):
    """A root that holds a static busybox and nothing else."""
    assert b"dynamic" not in subprocess.run(["file", "-L", BUSYBOX], stdout=subprocess.PIPE).stdout \
        if shutil.which("file") else True
    os.makedirs(f"{project}/root/bin")
    shutil.copy(BUSYBOX, f"{project}/root/bin/busybox")
    os.mkdir(f"{project}/share")
    return f"{project}/root"


BUSYBOX_PROBE = """
echo by $0
busybox pwd
busybox touch /bin/written && echo a directory was written
busybox touch /written && echo the top was written
echo from the guest > /mnt/vmtest/result
busybox ls /
busybox grep -c ' / ' /proc/mounts
busybox test -c /dev/null && busybox test -d /sys/fs/cgroup && echo pseudo
busybox ls /lib/modules
busybox test -e /lib/modules/$(busybox uname -r)/modules.dep && echo modules
"""


class TestBusyboxAlone:
    @pytest.fixture(scope="class", params=["overlay", "ro", "rw"])
    def mode(self, request):
        return request.param

    @pytest.fixture(scope="class")
    def result(self, run, busybox_root, project, kernel, mode):
        for path in (f"{busybox_root}/written", f"{busybox_root}/bin/written", f"{project}/share/result"):
            if os.path.exists(path):
                os.unlink(path)
        return run(["-k", kernel, "-r", "../root", "--rootfs-mode", mode, BUSYBOX_PROBE], cwd=f"{project}/share")

    def test_the_command_runs_by_its_shell_in_the_shared_directory(self, result):
        assert result.status == 0, str(result)
        assert result.out.splitlines()[1] == "/mnt/vmtest", str(result)

    def test_pseudo_file_systems_and_modules_are_there(self, result):
        assert {"pseudo", "modules", "dev", "lib", "mnt", "proc", "run", "sys", "tmp"} <= set(result.out.splitlines())

    def test_the_shared_directory_is_written(self, result, project):
        assert read_file(f"{project}/share/result") == b"from the guest\n", str(result)

    def test_directories_of_the_root_are_written_as_the_mode_says(self, result, busybox_root, mode):
        assert ("a directory was written" in result.out.splitlines()) == (mode != "ro"), str(result)
        assert os.path.exists(f"{busybox_root}/bin/written") == (mode == "rw"), str(result)

    def test_the_top_that_lacks_mount_points_can_be_written_in_the_guest_alone(self, result, busybox_root, mode):
        assert ("the top was written" in result.out.splitlines()) == (mode != "ro"), str(result)
        assert not os.path.exists(f"{busybox_root}/written")

    def test_on_the_host_no_mount_point_is_made(self, result, busybox_root):
        assert set(entries(busybox_root)) <= {"bin", "bin/busybox", "bin/written"}, str(result)


def test_a_root_without_a_shell_runs_an_argument_vector(run, project, kernel):
    os.makedirs(f"{project}/root/bin")
    shutil.copy(BUSYBOX, f"{project}/root/bin/echo")
    write_file(f"{project}/root/etc/hostname", "root\n")
    result = run(["-k", kernel, "-r", f"{project}/root", "--", "/bin/echo", "a  b", "", "c"], cwd=project)
    assert (result.stdout, result.status) == (b"a  b  c\n", 0), str(result)


def test_the_shell_may_be_reached_by_absolute_links_of_the_root(run, project, kernel):
    os.makedirs(f"{project}/root/opt")
    shutil.copy(BUSYBOX, f"{project}/root/opt/busybox")
    os.symlink("/opt", f"{project}/root/bin")
    os.symlink("/bin/busybox", f"{project}/root/opt/sh")
    result = run(["-k", kernel, "-r", f"{project}/root", "echo it runs"], cwd=project)
    assert (result.stdout, result.status) == (b"it runs\n", 0), str(result)


@pytest.mark.slow
class TestMmdebstrap:
    """A directory made by mmdebstrap from the machine's own apt sources."""

    @pytest.fixture(scope="class")
    def root(self, project):
        sources = glob.glob("/etc/apt/sources.list") + glob.glob("/etc/apt/sources.list.d/*.sources") + \
            glob.glob("/etc/apt/sources.list.d/*.list")
        release = subprocess.run(["sh", "-c", ". /etc/os-release; echo $VERSION_CODENAME"], stdout=subprocess.PIPE,
                                 check=True).stdout.decode().strip() or "sid"
        mode = "root" if os.geteuid() == 0 else "unshare"
        done = subprocess.run(["mmdebstrap", f"--mode={mode}", "--variant=essential", "--quiet", release,
                               f"{project}/root", *sources], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=900)
        assert done.returncode == 0, done.stdout.decode()[-3000:]
        os.mkdir(f"{project}/share")
        return f"{project}/root"

    @pytest.mark.parametrize("mode", ["overlay", "ro", "rw"])
    def test_its_bash_runs_the_command(self, run, root, project, kernel, mode):
        before = entries(root)
        write_file(f"{project}/share/vmtest.toml", f"""
[[target]]
name = "debian"
kernel = "{kernel}"
rootfs = "../root"
rootfs_mode = "{mode}"
command = '''
exec > result.txt 2>&1
pwd; cat <(echo hi); readlink /proc/$$/exe; echo changed > /etc/vmtest-probe && cat /etc/vmtest-probe
dpkg-query -W -f '${{Package}}\\n' base-files; ls /mnt; test -d /lib/modules/$(uname -r)/kernel && echo modules
'''
""")
        result = run([], cwd=f"{project}/share")
        assert result.status == 0 and result.out.endswith("\nPASS\n"), str(result)
        lines = read_file(f"{project}/share/result.txt").decode().splitlines()
        assert lines[:2] == ["/mnt/vmtest", "hi"] and lines[2] in ("/usr/bin/bash", "/bin/bash"), lines
        assert lines[-3:] == ["base-files", "vmtest", "modules"], lines
        assert ("changed" in lines) == (mode != "ro"), lines
        assert entries(root) == sorted(before + (["etc/vmtest-probe"] if mode == "rw" else []))
