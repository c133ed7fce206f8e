# SPDX-License-Identifier: Apache-2.0
"""What a guest sees ("What the guest sees" in README.md), checked by probe.py in the guest."""
import glob
import json
import os
import re
import shutil
import sqlite3
import subprocess
import time

import pytest

from conftest import PYTHON, TOP, read_file, write_file

PROBE = f"{TOP}/tests/vm/probe.py"
ODD_ENVIRONMENT = {"ODD_BLANKS": "  a  b ", "ODD_LINES": "one\ntwo\n", "ODD_EQUALS": "a=b==", "ODD_EMPTY": "",
                   "ODD_QUOTES": "'\"\\$HOME`", "ODD_UMLAUT": "\u00e4"}


class TestRootOfTheHost:
    """One boot with nothing set."""

    @pytest.fixture(scope="class")
    def directory(self, project):
        # Characters that mean something to QEMU's options, to the shell and to /proc/mounts.
        path = f"{project}/with blanks, commas and 'quotes'"
        os.mkdir(path)
        shutil.copy(PROBE, path)
        return path

    @pytest.fixture(scope="class")
    def result(self, run, directory, kernel):
        mnt = sorted(os.listdir("/mnt"))
        result = run(["-k", kernel, "--", PYTHON, "probe.py"], cwd=directory, env=ODD_ENVIRONMENT, timeout=180)
        assert sorted(os.listdir("/mnt")) == mnt, "a mount point was made on the host"
        return result

    @pytest.fixture(scope="class")
    def seen(self, result):
        assert result.status == 0, str(result)
        return json.loads(result.stdout)

    def test_working_directory_is_the_shared_one_at_its_own_path(self, seen, directory):
        assert seen["cwd"] == directory

    def test_shared_directory_is_at_mnt_vmtest_as_well(self, seen):
        assert "probe.py" in seen["share"]["here"]
        assert seen["share"]["here"] == seen["share"]["there"]
        assert seen["share"]["same"] is True

    def test_whole_environment_arrives(self, seen, environment):
        # What Python itself may add.
        added = {"LC_CTYPE"}
        expected = {**environment, **ODD_ENVIRONMENT}
        assert {key: value for key, value in seen["environment"].items() if key not in added - set(expected)} == expected

    def test_standard_input_is_empty(self, seen):
        assert seen["input"] == ""

    def test_root_can_be_written_in_the_guest_only(self, seen):
        assert set(seen["writable"].values()) == {True}, seen["writable"]
        assert not os.path.exists("/etc/vmtest-probe") and not os.path.exists("/usr/vmtest-probe")
        assert not os.path.exists("/tmp/vmtest-probe") and not os.path.exists("/run/vmtest-probe")
        assert seen["mounts"]["/"]["type"] == "overlay"

    def test_tmp_and_run_are_fresh(self, seen):
        assert seen["mounts"]["/tmp"]["type"] == seen["mounts"]["/run"]["type"] == "tmpfs"
        assert seen["fresh"]["/tmp"] in ([], ["vmtest-probe"]), seen["fresh"]
        assert set(seen["fresh"]["/run"]) <= {"vmtest", "vmtest-probe"}, seen["fresh"]

    @pytest.mark.parametrize("path, kind", [
        ("/proc", "proc"), ("/sys", "sysfs"), ("/dev", "devtmpfs"), ("/dev/pts", "devpts"), ("/dev/shm", "tmpfs"),
        ("/sys/fs/cgroup", "cgroup2"), ("/sys/fs/bpf", "bpf"), ("/sys/kernel/debug", "debugfs"),
        ("/sys/kernel/tracing", "tracefs"), ("/sys/kernel/security", "securityfs"),
    ])
    def test_pseudo_file_systems_are_mounted(self, seen, path, kind):
        assert seen["mounts"].get(path, {}).get("type") == kind, seen["mounts"]

    def test_cgroup2_bpffs_and_shared_memory_can_be_written(self, seen):
        assert set(seen["made"].values()) == {True}, seen["made"]

    def test_devices_and_their_links_are_there(self, seen):
        assert seen["devices"] == []

    def test_pseudo_terminals_work(self, seen):
        assert seen["terminal"] == "typed /dev/pts"

    def test_lo_is_up(self, seen):
        assert seen["loopback"] == "over lo"

    def test_locked_memory_is_unlimited_and_files_are_1024_to_1048576(self, seen):
        assert seen["limits"] == {"memlock": [-1, -1], "nofile": [1024, 1048576]}

    def test_a_bpf_map_can_be_made(self, seen):
        assert seen["bpf"] == "made"

    def test_two_processors_and_four_gigabytes_by_default(self, seen):
        assert seen["machine"]["cpus"] == 2
        assert 3.7 * 2**20 < seen["machine"]["kib"] <= 4 * 2**20

    def test_clock_is_the_hosts(self, seen):
        assert abs(seen["machine"]["time"] - time.time()) < 120

    def test_command_runs_as_root_and_is_no_child_of_a_shell_of_ours(self, seen):
        assert seen["machine"]["uid"] == 0
        assert seen["processes"]["leader"] is True

    def test_modules_of_the_running_kernel_are_there_with_an_index(self, seen):
        assert seen["modules"]["files"] == {"modules.dep": True, "modules.dep.bin": True, "kernel": True}

    def test_modprobe_works(self, seen):
        modules = seen["modules"]
        assert modules["dry"]["status"] == 0 and "loop.ko" in modules["dry"]["output"], modules
        assert modules["real"]["status"] == 0 and modules["loaded"] and modules["device"], modules

    @pytest.mark.parametrize("where", ["share", "root"])
    def test_sqlite_in_wal_mode_works(self, seen, where):
        assert seen[f"files_in_{where}"]["sqlite_in_wal_mode"] == ["wal", [50, 1225], "ok", True]

    @pytest.mark.parametrize("where", ["share", "root"])
    def test_a_shared_mapping_is_written(self, seen, where):
        assert seen[f"files_in_{where}"]["shared_mapping"] == "by a mapping"

    @pytest.mark.parametrize("where", ["share", "root"])
    def test_a_directory_can_be_renamed(self, seen, where):
        assert seen[f"files_in_{where}"]["renamed_directory"] == ["moved along", False]

    @pytest.mark.parametrize("where", ["share", "root"])
    def test_links_and_modes_are_kept(self, seen, where):
        assert seen[f"files_in_{where}"]["links_and_modes"] == ["it runs\n", 2, "0o100750"]

    def test_a_directory_of_the_hosts_root_can_be_renamed_in_the_guest_only(self, seen):
        name, same = seen["rename_in_root"]
        assert same is True
        assert os.path.isdir(f"/usr/{name}") and not os.path.exists("/usr/renamed-by-vmtest")

    def test_what_was_written_in_the_share_is_on_the_host_afterwards(self, seen, directory):
        assert read_file(f"{directory}/written") == b"x"
        assert read_file(f"{directory}/files/mapped")[4090:4102] == b"by a mapping"
        assert read_file(f"{directory}/files/after/inner/file") == b"moved along"
        assert os.readlink(f"{directory}/files/symbolic") == "script"
        assert os.stat(f"{directory}/files/hard").st_mode & 0o7777 == 0o750
        assert os.stat(f"{directory}/files/hard").st_nlink == 2
        rows = sqlite3.connect(f"{directory}/files/probe.sqlite").execute("select count(*) from rows").fetchone()
        assert rows == (50,)

    def test_files_written_in_the_share_belong_to_the_caller(self, seen, directory):
        status = os.stat(f"{directory}/written")
        assert (status.st_uid, status.st_gid) == (os.geteuid(), os.getegid())

    def test_running_as_root_is_said_once(self, result):
        lines = [line for line in result.err.splitlines() if line.startswith("note: run as root")]
        assert len(lines) == (1 if os.geteuid() == 0 else 0), str(result)

    def test_emulation_is_said_in_one_line_with_the_reason(self, run, result, kernel):
        lines = [line for line in result.err.splitlines() if line.startswith("note: emulating")]
        if lines:
            assert len(lines) == 1 and "kvm" in lines[0], str(result)
            refused = run(["-k", kernel, "--accel", "kvm", "true"])
            assert refused.status == 69, str(refused)
            assert len(refused.errors) == 1 and "--accel" in refused.errors[0] and "kvm" in refused.errors[0], str(refused)
        else:
            assert os.access("/dev/kvm", os.R_OK | os.W_OK)


SETTINGS = """
[[target]]
name = "settings"
kernel = "{kernel}"
kernel_args = "vmtest.probe=first loglevel=4 vmtest.probe=last"
command = '''
set -x
/usr/bin/python3 probe.py machine mounts > seen.json
cat /read/only/file > read.txt
touch /read/only/new 2> refused.txt
echo from the guest > /not/there/before/new.txt
touch /etc/made-through-etc
cat /usr/share/vmtest-over/file > over.txt
cat /sys/bus/virtio/devices/*/device > devices.txt
'''
[target.vm]
num_cpus = 3
memory = "768M"
extra_args = ["-device", "virtio-balloon-pci"]
[target.vm.mounts."/read/only"]
host_path = "readable"
[target.vm.mounts]
"/not/there/before/" = {{ host_path = "{project}/wri,table", writable = true }}
"/usr/share/vmtest-over" = {{ host_path = "./readable", writable = false }}
"""


class TestSettings:
    """One boot of a target of a file with everything of `vm` set."""

    @pytest.fixture(scope="class")
    def result(self, run, project, kernel):
        shutil.copy(PROBE, project)
        write_file(f"{project}/readable/file", "from the host")
        os.mkdir(f"{project}/wri,table")
        write_file(f"{project}/vmtest.toml", SETTINGS.format(kernel=kernel, project=project))
        return run([], cwd=project)

    @pytest.fixture(scope="class")
    def seen(self, result, project):
        return json.loads(read_file(f"{project}/seen.json"))

    def test_number_of_processors_and_memory_are_as_asked_for(self, seen, result):
        assert seen["machine"]["cpus"] == 3
        assert 640 * 1024 < seen["machine"]["kib"] <= 768 * 1024
        assert result.status == 0, str(result)

    def test_kernel_args_stand_last_on_the_command_line(self, seen):
        assert seen["machine"]["cmdline"].endswith("vmtest.probe=first loglevel=4 vmtest.probe=last")

    def test_extra_args_reach_qemu(self, result, project):
        # 5 is the balloon's number.
        assert "0x0005" in read_file(f"{project}/devices.txt").decode().split(), str(result)

    def test_a_mount_is_read_only_by_default(self, result, project):
        assert read_file(f"{project}/read.txt") == b"from the host", str(result)
        assert b"Read-only file system" in read_file(f"{project}/refused.txt"), str(result)
        assert os.listdir(f"{project}/readable") == ["file"]

    def test_a_writable_mount_at_a_path_that_was_not_there_reaches_the_host(self, result, project):
        assert read_file(f"{project}/wri,table/new.txt") == b"from the guest\n", str(result)
        assert not os.path.exists("/not") and not os.path.exists("/read")

    def test_a_mount_may_lie_in_a_directory_of_the_root(self, result, project):
        assert read_file(f"{project}/over.txt") == b"from the host", str(result)
        assert not os.path.exists("/usr/share/vmtest-over") and not os.path.exists("/etc/made-through-etc")


def test_a_share_below_tmp_is_at_its_own_path_though_tmp_is_fresh(run, project_in_tmp, kernel):
    other = f"{project_in_tmp}-other"
    write_file(f"{project_in_tmp}/file", "from the host\n")
    write_file(f"{other}/file", "not shared\n")
    try:
        result = run(["-k", kernel, "pwd; cat file; echo $(ls /tmp); echo from the guest > result"],
                     cwd=project_in_tmp)
    finally:
        shutil.rmtree(other)
    assert result.out == f"{project_in_tmp}\nfrom the host\n{os.path.basename(project_in_tmp)}\n", str(result)
    assert read_file(f"{project_in_tmp}/result") == b"from the guest\n"


def test_the_root_as_the_shared_directory_is_read_only_and_said(run, kernel):
    result = run(["-k", kernel, "pwd; ls -d /mnt/vmtest/etc; touch /mnt/vmtest/vmtest-probe; touch /vmtest-probe && "
                  "echo overlay is writable"], cwd="/")
    assert result.out == "/\n/mnt/vmtest/etc\noverlay is writable\n", str(result)
    assert "Read-only file system" in result.err, str(result)
    assert len([line for line in result.err.splitlines() if line.startswith("note: ") and "read-only" in line]) == 1
    assert not os.path.exists("/vmtest-probe")


class TestFourKernels:
    """The stock kernels, straight out of their unpacked packages."""

    @pytest.fixture(scope="class")
    def directory(self, project, kernels):
        path = f"{project}/{os.path.basename(kernels)}-{len(os.listdir(project))}"
        os.mkdir(path)
        shutil.copy(PROBE, path)
        return path

    @pytest.fixture(scope="class")
    def seen(self, run, directory, kernels):
        package = os.path.dirname(os.path.dirname(kernels))
        assert not any(name.startswith("modules.dep") for _, _, names in os.walk(package) for name in names)
        result = run(["-k", kernels, "--", PYTHON, "probe.py"], cwd=directory, timeout=180)
        assert result.status == 0, str(result)
        return json.loads(result.stdout)

    def test_it_is_the_kernel_that_was_asked_for(self, seen, kernels):
        assert seen["machine"]["release"] in kernels

    def test_pseudo_file_systems_limits_and_lo_are_as_on_the_others(self, seen):
        kinds = {seen["mounts"].get(path, {}).get("type") for path in (
            "/proc", "/sys", "/dev", "/dev/pts", "/sys/fs/cgroup", "/sys/fs/bpf", "/sys/kernel/debug",
            "/sys/kernel/tracing", "/sys/kernel/security")}
        assert kinds == {"proc", "sysfs", "devtmpfs", "devpts", "cgroup2", "bpf", "debugfs", "tracefs", "securityfs"}
        assert seen["limits"] == {"memlock": [-1, -1], "nofile": [1024, 1048576]}
        assert seen["loopback"] == "over lo"
        assert seen["devices"] == []
        assert set(seen["made"].values()) == {True}, seen["made"]

    def test_a_bpf_map_can_be_made(self, seen):
        assert seen["bpf"] == "made"

    def test_shared_directory_and_root_can_be_written(self, seen, directory):
        assert set(seen["writable"].values()) == {True}, seen["writable"]
        assert read_file(f"{directory}/written") == b"x"

    def test_modprobe_works_without_a_depmod(self, seen):
        modules = seen["modules"]
        assert set(modules["files"].values()) == {True}, modules
        assert modules["dry"]["status"] == 0 and "loop.ko" in modules["dry"]["output"], modules
        assert modules["real"]["status"] == 0 and modules["loaded"] and modules["device"], modules

    @pytest.mark.parametrize("where", ["share", "root"])
    def test_sqlite_mappings_renames_and_links_work(self, seen, where):
        assert seen[f"files_in_{where}"] == {
            "sqlite_in_wal_mode": ["wal", [50, 1225], "ok", True], "shared_mapping": "by a mapping",
            "renamed_directory": ["moved along", False], "links_and_modes": ["it runs\n", 2, "0o100750"]}

    def test_a_directory_of_the_hosts_root_can_be_renamed(self, seen):
        assert seen["rename_in_root"][1] is True


class TestOrdinaryUser:
    """Nothing needs root."""

    @pytest.fixture(scope="class")
    def result(self, run, user):
        # The environment of the caller may point to directories that the user has no right to.
        env = {"HOME": user.home, "VMTEST_CACHE_DIR": None, "XDG_CACHE_HOME": None, "XDG_RUNTIME_DIR": None}
        script = "echo from the guest > result; mkdir -p made/in; touch /etc/x && echo overlay; id -u; modprobe dummy"
        return run(["-k", user.kernel, script], cwd=user.home, env=env, program=user.vmtest, prefix=user.prefix)

    def test_an_ordinary_user_can_run_it(self, result):
        assert (result.out, result.status) == ("overlay\n0\n", 0), str(result)

    def test_what_the_guest_writes_belongs_to_that_user(self, result, user):
        assert read_file(f"{user.home}/result") == b"from the guest\n"
        assert {os.stat(f"{user.home}/{name}").st_uid for name in ("result", "made", "made/in")} == {user.uid}

    def test_no_notice_speaks_of_root(self, result):
        assert "run as root" not in result.err, str(result)

    def test_the_cache_is_the_users_own(self, result, user):
        assert sorted(os.listdir(user.home)) == [".cache", "made", "result"], str(result)
        assert os.stat(f"{user.home}/.cache/vmtest").st_mode & 0o022 == 0


def test_documents_agree_with_the_tables(vmtest):
    gendocs = f"{os.path.dirname(vmtest)}/gendocs"
    for page in ("vmtest.1", "vmtest.toml.5"):
        done = subprocess.run([gendocs, "check", f"{TOP}/man/{page}"], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=30)
        assert done.returncode == 0, done.stdout.decode()


def test_a_page_that_disagrees_with_the_tables_is_found(vmtest, tmp_path):
    gendocs = f"{os.path.dirname(vmtest)}/gendocs"
    for page, word in (("vmtest.1", b"timeout"), ("vmtest.toml.5", b"rootfs")):
        changed = write_file(f"{tmp_path}/{page}", read_file(f"{TOP}/man/{page}").replace(word, b"removed"))
        assert subprocess.run([gendocs, "check", changed], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              timeout=30).returncode != 0


def test_help_and_version_need_nothing_else(run, tmp_path):
    for args in (["--help"], ["-h"], ["-V"], ["--version"]):
        result = run(args, cwd=tmp_path)
        assert result.status == 0 and result.stdout and not result.stderr, str(result)
    man = read_file(f"{TOP}/man/vmtest.1").decode().replace("\\-", "-")
    text = run(["--help"]).out
    options = {word.rstrip(",").split("[")[0] for word in text.split() if word.startswith("--") and len(word) > 2}
    assert len(options) > 15
    assert [option for option in options if option not in man] == []


# Each switch of the statistics changes instructions of the kernel under both CPUs, one of which is busy in user space,
# the other in the kernel.
PATCHING = """
(while :; do :; done) &
(while :; do read -r uptime < /proc/uptime; done) &
for i in $(seq 30); do
    for on in 1 0; do
        echo $on > /proc/sys/kernel/sched_schedstats
    done
done
kill %1 %2
nproc
"""


class TestTwoEmulatedProcessors:
    """What a QEMU before 8.1 does to a kernel that changes its own code, as they all do."""

    @pytest.fixture(scope="class")
    def result(self, run, project, kernel):
        return run(["--no-template", "--accel", "tcg", "--num-cpus", "2", "--timeout", "100s", "--artifacts", "kept",
                    "-k", kernel, PATCHING], cwd=project)

    def test_a_kernel_changes_its_code_while_both_are_busy(self, result):
        assert (result.status, result.out) == (0, "2\n"), str(result)

    def test_they_have_a_thread_each_where_qemu_has_no_race_between_them(self, result, project):
        text = subprocess.run(["qemu-system-x86_64", "--version"], stdout=subprocess.PIPE, check=True, timeout=60).stdout
        major, minor = map(int, re.search(rb"version (\d+)\.(\d+)", text).groups())
        (line,) = glob.glob(f"{project}/kept/*/qemu-command")
        assert (b"-accel tcg,thread=single" in read_file(line)) == ((major, minor) < (8, 1))
