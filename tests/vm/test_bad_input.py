# SPDX-License-Identifier: Apache-2.0
"""Bad input: one line that names the place, what is wrong and what to do; exit 69, or 2 for a wrong command line;
nothing started, nothing left behind. Nothing here boots."""
import gzip
import io
import os
import re
import shutil
import struct
import tarfile

import pytest

from conftest import copy_tree, package_of, read_file, write_file

FILE = "vmtest.toml"


def target(*lines, name='"t"', command='"true"', kernel='"vmlinuz"'):
    """A target's text; the name stands in line 2, the kernel in line 3, the command in line 4, `lines` from 5 on."""
    own = [f"name = {name}" if name else "", f"kernel = {kernel}" if kernel else "",
           f"command = {command}" if command else ""]
    return "\n".join(["[[target]]", *own, *lines]) + "\n"


@pytest.fixture
def fake_qemu(tmp_path):
    """A directory for PATH with a QEMU that tells that it was started; nothing here may start it."""
    write_file(f"{tmp_path}/bin/qemu-system-x86_64", f"#!/bin/sh\ntouch {tmp_path}/started\nexit 1\n", 0o755)
    yield f"{tmp_path}/bin"
    assert not os.path.exists(f"{tmp_path}/started"), "QEMU was started"


@pytest.fixture
def refuse(run, fake_qemu, empty_tmp, environment):
    """refuse(args, ..., expect) runs vmtest and checks all that every refusal has in common."""

    def refuse(args, expect, status=69, warnings=0, qemu=False, env=None, **options):
        env = {"TMPDIR": empty_tmp, **(env or {})}
        if not qemu:
            env = {"PATH": f"{fake_qemu}:{environment['PATH']}", **env}
        result = run(args, env=env, timeout=120, **options)
        assert result.status == status, str(result)
        assert len(result.errors) == 1, str(result)
        for part in expect:
            assert part in result.errors[0], str(result)
        assert len([line for line in result.err.splitlines() if "warning: " in line]) == warnings, str(result)
        assert "===> " not in result.out + result.err or qemu, str(result)
        assert not re.search(r"\(null\)|%[sdlu]", result.out + result.err), str(result)
        return result

    return refuse


# The file, the arguments, and what the error's line must hold.
BAD_FILES = {
    "no file": (None, [], ["vmtest.toml: ", "-k KERNEL"]),
    "no file by -c": (None, ["-c", "missing.toml"], ["missing.toml: "]),
    "a directory by -c": (None, ["-c", "."], [".: ", "directory"]),
    "an empty file": ("", [], [f"{FILE}: ", "[[target]]"]),
    "syntax: a bracket": ("[[target]\n", [], [f"{FILE}:1:", "TOML"]),
    "syntax: a string without end": ('[[target]]\nname = "x\n', [], [f"{FILE}:2:", "TOML"]),
    "syntax: a key twice": (target('name = "again"'), [], [f"{FILE}:5:", "TOML"]),
    "syntax: bytes that are no UTF-8": (b"[[target]]\nname = '\xff'\n", [], [f"{FILE}:2:", "TOML"]),
    "an unknown key, strict": (target('comand = "true"'), ["--strict"], [f"{FILE}:5:1: ", "comand", "'command'"]),
    "an unknown key of vm, strict": (target("[target.vm]", "memmory = '1G'"), ["--strict"],
                                     [f"{FILE}:6:1: ", "vm.memmory", "'vm.memory'"]),
    "an unknown key of the root, strict": ("[[targets]]\n", ["--strict"], [f"{FILE}:1:", "targets", "'target'"]),
    "a number for a name": (target(name="3"), [], [f"{FILE}:2:8: ", "'name'", "string", "integer"]),
    "a string for a number": (target("[target.vm]", 'num_cpus = "2"'), [], [f"{FILE}:6:12: ", "vm.num_cpus", "integer"]),
    "a string for a list": (target("[target.vm]", 'extra_args = "-x"'), [], [f"{FILE}:6:14: ", "list"]),
    "a number in a list": (target("[target.vm]", 'extra_args = ["-x",', "  7]"), [], [f"{FILE}:7:3: ", "list"]),
    "a string for a bool": (target('uefi = "yes"'), [], [f"{FILE}:5:8: ", "'uefi'", "true or false"]),
    "a table for a string": (target(command="{ run = 'x' }"), [], [f"{FILE}:4:11: ", "'command'", "string"]),
    "a number for vm": (target("vm = 3"), [], [f"{FILE}:5:6: ", "table"]),
    "a table for the targets": ("[target]\nname = 't'\n", [], [f"{FILE}:1:", "[[target]]"]),
    "a word that is none of the known": (target('rootfs_mode = "wr"'), [], [f"{FILE}:5:15: ", "overlay", "ro", "rw"]),
    "no name": (target(name=None), [], [f"{FILE}:1:", "no name", "name ="]),
    "no command": (target(command=None), [], [f"{FILE}:2:8: ", "no command", "command ="]),
    "no kernel": (target(kernel=None), [], [f"{FILE}:2:8: ", "neither kernel nor image"]),
    "an empty name": (target(name='""'), [], [f"{FILE}:2:8: ", "'name'", "empty"]),
    "an empty command": (target(command='" "'), [], [f"{FILE}:4:11: ", "'command'", "empty"]),
    "an empty kernel": (target(kernel='""'), [], [f"{FILE}:3:10: ", "'kernel'", "empty"]),
    "a name twice": (target() + target(), [], [f"{FILE}:6:8: ", "'t'", f"{FILE}:2:8"]),
    "image and kernel": (target('image = "disk.qcow2"'), [], [f"{FILE}:5:9: ", "'image'", "'kernel'", "both"]),
    "persist with a kernel": (target("persist = true"), [], [f"{FILE}:5:11: ", "'persist'", "image"]),
    "format with a kernel": (target('format = "raw"'), [], [f"{FILE}:5:10: ", "'format'", "image"]),
    "uefi with a kernel": (target("uefi = true"), [], [f"{FILE}:5:8: ", "'uefi'", "image"]),
    "bios without uefi": (target("[target.vm]", 'bios = "OVMF.fd"'), [], [f"{FILE}:6:8: ", "'vm.bios'", "uefi"]),
    "kernel_args with an image": (target('image = "a"', 'kernel_args = "x"', kernel=None), [],
                                  [f"{FILE}:6:15: ", "'kernel_args'", "kernel"]),
    "rootfs with an image": (target('image = "a"', 'rootfs = "/"', kernel=None), [], [f"{FILE}:6:10: ", "'rootfs'"]),
    "rootfs_mode against kernel_args": (target('rootfs_mode = "rw"', 'kernel_args = "ro"'), [],
                                        [f"{FILE}:5:15: ", "rootfs_mode", "kernel_args"]),
    "an unknown architecture": (target('arch = "vax"'), [], [f"{FILE}:5:8: ", "vax", "x86_64"]),
    "an architecture that is not supported": (target('arch = "aarch64"'), [], [f"{FILE}:5:8: ", "aarch64", "not supported"]),
    "a filter that is no expression": (target(), ["-f", "(x"], ["--filter", "(x", "regular expression"]),
    "a filter that matches nothing": (target(), ["-f", "^x"], ["--filter", "'^x'", FILE, "t"]),
    "memory that is no amount": (target("[target.vm]", 'memory = "lots"'), [], [f"{FILE}:6:10: ", "lots"]),
    "no memory at all": (target("[target.vm]", 'memory = "0"'), [], [f"{FILE}:6:10: ", "64"]),
    "too little memory": (target("[target.vm]", 'memory = "1M"'), [], [f"{FILE}:6:10: ", "1M", "64"]),
    "memory that overflows": (target("[target.vm]", 'memory = "99999999999999999999G"'), [], [f"{FILE}:6:10: "]),
    "memory as a number": (target("[target.vm]", "memory = 512"), [], [f"{FILE}:6:10: ", "string"]),
    "no processor": (target("[target.vm]", "num_cpus = 0"), [], [f"{FILE}:6:12: ", "0", "1 to 255"]),
    "too many processors": (target("[target.vm]", "num_cpus = 1000"), [], [f"{FILE}:6:12: ", "1000", "1 to 255"]),
    "a time that is none": (target('timeout = "soon"'), [], [f"{FILE}:5:11: ", "soon"]),
    "a time of nothing": (target("boot_timeout = 0"), [], [f"{FILE}:5:16: ", "zero"]),
    "a mount at no absolute path": (target('vm.mounts."mnt/x" = { host_path = "/" }'), [], [f"{FILE}:5:", "mnt/x"]),
    "a mount without its host path": (target('vm.mounts."/x" = { writable = true }'), [], [f"{FILE}:5:", "host_path"]),
    "a mount over the shared directory": (target('vm.mounts."/mnt/vmtest/" = { host_path = "/" }'), [],
                                          [f"{FILE}:5:", "/mnt/vmtest"]),
    "a mount in /proc": (target('vm.mounts."/proc/x" = { host_path = "/" }'), [], [f"{FILE}:5:", "/proc"]),
    "a mount twice": (target("[target.vm.mounts]", '"/x" = { host_path = "/" }', '"/x/" = { host_path = "/" }'), [],
                      [f"{FILE}:7:1: ", "/x", f"{FILE}:6:1"]),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_refused_with_the_place(refuse, tmp_path, case):
    text, args, expect = BAD_FILES[case]
    directory = f"{tmp_path}/project"
    os.mkdir(directory)
    if text is not None:
        write_file(f"{directory}/{FILE}", text)
    result = refuse(args, expect, cwd=directory)
    assert result.out == "", str(result)
    assert os.listdir(directory) == ([FILE] if text is not None else [])


def test_an_unknown_key_is_a_warning_with_the_place_and_the_nearest_known_key(refuse, tmp_path):
    write_file(f"{tmp_path}/project/{FILE}", target("timout = 3", "[target.vm]", "num_cpu = 1"))
    result = refuse([], ["vmlinuz"], cwd=f"{tmp_path}/project", warnings=2)
    first, second = [line for line in result.err.splitlines() if "warning: " in line]
    assert f"{FILE}:5:1: " in first and "'timout'" in first and "'timeout'" in first
    assert f"{FILE}:7:1: " in second and "'vm.num_cpu'" in second and "'vm.num_cpus'" in second


WRONG_COMMAND_LINES = {
    "an unknown option": (["--kernle", "x", "true"], ["--kernle", "'--kernel'"]),
    "an unknown letter": (["-z"], ["-z"]),
    "an option without its argument": (["-k"], ["--kernel", "KERNEL"]),
    "a kernel without a command": (["-k", "x"], ["command"]),
    "an empty command": (["-k", "x", " "], ["empty"]),
    "a command without a kernel": (["true"], ["'true'", "-k"]),
    "a kernel and a file": (["-k", "x", "-c", "y", "true"], ["--kernel", "--config"]),
    "an option of the one-liner without a kernel": (["--kargs", "ro"], ["--kargs", "kernel_args"]),
    "an unknown mode of the root": (["-k", "x", "--rootfs-mode", "wr", "true"], ["--rootfs-mode", "overlay"]),
    "an unknown format": (["--format", "xml"], ["--format", "json"]),
    "memory that is no amount": (["-k", "x", "--memory", "lots", "true"], ["--memory", "lots"]),
    "no processor": (["-k", "x", "--num-cpus", "0", "true"], ["--num-cpus", "1 to 255"]),
    "too many processors": (["-k", "x", "--num-cpus", "256", "true"], ["--num-cpus", "1 to 255"]),
    "a time that is none": (["--timeout", "soon"], ["--timeout", "soon"]),
    "a time of nothing": (["--boot-timeout", "0"], ["--boot-timeout"]),
    "an interactive shell in JSON": (["-k", "x", "--format", "json", "-"], ["'-'", "json"]),
}


@pytest.mark.parametrize("case", WRONG_COMMAND_LINES)
def test_a_wrong_command_line_is_refused_with_the_option_and_status_2(refuse, tmp_path, case):
    args, expect = WRONG_COMMAND_LINES[case]
    result = refuse(args, expect, status=2, cwd=tmp_path)
    assert result.err.splitlines()[1:] == ["Try 'vmtest --help'."], str(result)
    assert result.out == ""


def test_values_of_a_one_liner_are_refused_with_the_option(refuse, tmp_path):
    refuse(["-k", "x", "-a", "vax", "true"], ["--arch", "vax", "x86_64"], cwd=tmp_path)
    refuse(["-k", "x", "-a", "s390x", "true"], ["--arch", "s390x", "not supported"], cwd=tmp_path)
    refuse(["-k", "x", "--rootfs-mode", "rw", "--kargs", "ro", "true"], ["--rootfs-mode", "--kargs"], cwd=tmp_path)


class TestKernelFiles:
    """Files that are given as a kernel and are none, or not one for this machine."""

    @pytest.fixture(scope="class")
    def files(self, kernel, tmp_path_factory):
        top = str(tmp_path_factory.mktemp("kernels"))
        data = read_file(kernel)
        os.mkdir(f"{top}/directory")
        write_file(f"{top}/empty", b"")
        write_file(f"{top}/head", data[:600])
        write_file(f"{top}/truncated", data[:len(data) // 2])
        write_file(f"{top}/text", "CONFIG_PVH=y\n")
        write_file(f"{top}/script", "#!/bin/sh\nexit 0\n")
        shutil.copy("/bin/true", f"{top}/program")
        with tarfile.open(f"{top}/linux.tar", "w") as tar:
            tar.add(kernel, "boot/vmlinuz")
        with tarfile.open(f"{top}/linux.tar.gz", "w:gz") as tar:
            info = tarfile.TarInfo("vmlinuz")
            info.size = 4
            tar.addfile(info, io.BytesIO(b"text"))
        package = b"!<arch>\n" + b"debian-binary   0           0     0     100644  4         `\n2.0\n"
        write_file(f"{top}/linux-image.deb", package)
        image = bytearray(1 << 16)
        struct.pack_into("<IIQQQ", image, 0, 0x91005a4d, 0x14000000, 0, 1 << 20, 10)
        image[0x38:0x3c] = b"ARM\x64"
        image[0x1000:0x1020] = b"Linux version 6.1.0-50-arm64 (x)"
        write_file(f"{top}/Image", bytes(image))
        write_file(f"{top}/Image.gz", gzip.compress(bytes(image)))
        write_file(f"{top}/disk.qcow2", b"QFI\xfb\0\0\0\3" + bytes(504))
        write_file(f"{top}/vmlinuz.gz", gzip.compress(data[:100000]))
        os.mkfifo(f"{top}/fifo")
        return top

    @pytest.mark.parametrize("name, expect", [
        ("missing", ["no such"]),
        ("directory", ["directory"]),
        ("empty", ["empty"]),
        ("head", ["cut off"]),
        ("truncated", ["cut off"]),
        ("text", ["text file"]),
        ("script", ["script"]),
        ("program", ["program"]),
        ("linux.tar", ["tar archive", "unpack"]),
        ("linux.tar.gz", ["gzip"]),
        ("linux-image.deb", ["Debian package", "dpkg-deb -x"]),
        ("Image", ["arm64", "aarch64", "x86_64"]),
        ("Image.gz", ["arm64", "gzip", "aarch64", "x86_64"]),
        ("disk.qcow2", ["qcow2", "image"]),
        ("vmlinuz.gz", ["gzip", "decompress"]),
        ("fifo", ["regular file"]),
    ])
    def test_a_file_that_is_no_kernel_is_refused_by_what_it_looks_like(self, refuse, files, name, expect):
        refuse(["-k", f"{files}/{name}", "true"], [f"--kernel: {files}/{name}: ", *expect], cwd=files)

    def test_in_a_file_of_targets_the_place_of_the_key_is_told(self, refuse, files, tmp_path):
        write_file(f"{tmp_path}/project/{FILE}", target(kernel=f'"{files}/directory"'))
        result = refuse([], [f"{FILE}:3:10: ", f"{files}/directory"], cwd=f"{tmp_path}/project")
        assert result.out.endswith("\nFAILED\n"), str(result)

    def test_in_json_the_error_is_the_reason(self, run, files):
        import json
        result = run(["-k", f"{files}/missing", "--format", "json", "true"], cwd=files)
        finished = [json.loads(line) for line in result.out.splitlines()][-2]
        assert (finished["event"], finished["verdict"], finished["status"]) == ("finished", "error", 69), str(result)
        assert finished["stage"] == "prepare" and f"{files}/missing" in finished["reason"], str(result)
        assert finished["accel"] == "" and result.status == 69, str(result)


class TestOrdinaryUser:
    def test_a_kernel_that_may_not_be_read_is_refused_with_the_reason(self, refuse, user, kernel):
        path = shutil.copy(kernel, f"{os.path.dirname(user.home)}/unreadable")
        os.chmod(path, 0)
        refuse(["-k", path, "true"], [f"--kernel: {path}: ", "Permission denied"], cwd=user.home, program=user.vmtest,
               prefix=user.prefix, env={"HOME": user.home, "VMTEST_CACHE_DIR": None, "XDG_CACHE_HOME": None})

    def test_a_root_that_may_not_be_read_is_refused_with_the_reason(self, refuse, user):
        path = f"{os.path.dirname(user.home)}/root"
        os.mkdir(path, 0)
        refuse(["-k", user.kernel, "-r", path, "true"], ["--rootfs: ", path, "Permission denied"], cwd=user.home,
               program=user.vmtest, prefix=user.prefix,
               env={"HOME": user.home, "VMTEST_CACHE_DIR": None, "XDG_CACHE_HOME": None})


class TestModules:
    """Kernels without the modules that they need."""

    @pytest.fixture(scope="class")
    def alone(self, kernel, tmp_path_factory):
        """The kernel alone in a directory, as if only boot/vmlinuz had been copied."""
        top = str(tmp_path_factory.mktemp("alone"))
        os.mkdir(f"{top}/boot")
        return shutil.copy(kernel, f"{top}/boot/vmlinuz-{package_of(kernel).release}")

    def test_no_modules_for_a_kernel_that_needs_them_names_symbols_and_directories(self, refuse, alone, kernel):
        result = refuse(["-k", alone, "true"], ["--kernel: ", alone, "no modules", "CONFIG_VIRTIO_PCI",
                                                "CONFIG_9P_FS", "CONFIG_OVERLAY_FS", "modules"], cwd="/")
        top = os.path.dirname(os.path.dirname(os.path.realpath(alone)))
        release = package_of(kernel).release
        for place in (f"{top}/lib/modules/{release}", f"{top}/usr/lib/modules/{release}", f"/lib/modules/{release}"):
            assert place in result.errors[0], str(result)

    def test_a_read_only_root_needs_no_overlay(self, refuse, alone):
        result = refuse(["-k", alone, "--rootfs-mode", "ro", "true"], ["CONFIG_9P_FS"], cwd="/")
        assert "CONFIG_OVERLAY_FS" not in result.errors[0]

    @pytest.fixture(scope="class")
    def cloud(self, kernel, tmp_path_factory):
        """A package like that of a cloud kernel: all but 9p."""
        top = str(tmp_path_factory.mktemp("cloud"))
        package = package_of(kernel)
        copy_tree(package.modules, f"{top}/lib/modules/{package.release}")
        removed = 0
        for directory, _, names in os.walk(f"{top}/lib"):
            for name in names:
                if name.split(".")[0] in ("9p", "9pnet", "9pnet_virtio"):
                    os.unlink(os.path.join(directory, name))
                    removed += 1
        assert removed == 3
        os.mkdir(f"{top}/boot")
        return shutil.copy(kernel, f"{top}/boot/vmlinuz-{package.release}")

    def test_a_kernel_without_9p_is_refused_as_such(self, refuse, cloud):
        result = refuse(["-k", cloud, "true"], ["--kernel: ", cloud, "no 9p", "CONFIG_9P_FS", "generic"], cwd="/",
                        env={"VMTEST_CACHE_DIR": f"{os.path.dirname(cloud)}/cache"})
        assert "CONFIG_VIRTIO_PCI" not in result.errors[0] and "CONFIG_OVERLAY_FS" not in result.errors[0], str(result)

    def test_modules_that_were_not_unpacked_are_told_from_ones_that_were_not_built(self, refuse, cloud, kernel):
        config = package_of(kernel).config()
        if config is None:
            pytest.fail("the package has no configuration")
        shutil.copy(config, f"{os.path.dirname(cloud)}/config-{package_of(kernel).release}")
        try:
            refuse(["-k", cloud, "true"], ["9p", "as modules", "CONFIG_9P_FS", "package"], cwd="/",
                   env={"VMTEST_CACHE_DIR": f"{os.path.dirname(cloud)}/cache"})
        finally:
            os.unlink(f"{os.path.dirname(cloud)}/config-{package_of(kernel).release}")

    @pytest.mark.parametrize("given, expect", [
        ("missing", ["No such file"]), ("boot", ["no modules of"]), ("boot/file", ["not a directory"]),
        ("other", ["no modules of", "5.0.0-other"])])
    def test_a_modules_directory_that_has_none_is_refused(self, refuse, alone, given, expect):
        top = os.path.dirname(os.path.dirname(alone))
        write_file(f"{top}/boot/file", "")
        os.makedirs(f"{top}/other/lib/modules/5.0.0-other/kernel", exist_ok=True)
        refuse(["-k", alone, "--modules", f"{top}/{given}", "true"], ["--modules: ", f"{top}/{given}", *expect],
               cwd="/")


class TestMachine:
    """QEMU, mounts and roots."""

    def test_a_missing_qemu_is_named_with_what_to_install(self, refuse, kernel, tmp_path):
        os.mkdir(f"{tmp_path}/no-path")
        refuse(["-k", kernel, "true"], ["qemu-system-x86_64", "install", "--qemu-command QEMU"], cwd=tmp_path,
               env={"PATH": f"{tmp_path}/no-path"})
        refuse(["-k", kernel, "-q", "my-qemu", "true"], ["--qemu-command: ", "my-qemu", "PATH"], cwd=tmp_path)
        refuse(["-k", kernel, "-q", "./my-qemu", "true"], ["--qemu-command: ", "my-qemu", "No such file"],
               cwd=tmp_path)
        write_file(f"{tmp_path}/my-qemu", "no program", 0o644)
        refuse(["-k", kernel, "-q", "./my-qemu", "true"], ["--qemu-command: ", "my-qemu", "Permission denied"],
               cwd=tmp_path)
        write_file(f"{tmp_path}/{FILE}", target('qemu_command = "./none"', kernel=f'"{kernel}"'))
        refuse([], [f"{FILE}:5:16: ", str(tmp_path), "/none'"], cwd=tmp_path)

    def test_a_qemu_that_exits_at_once_is_quoted(self, refuse, kernel, tmp_path):
        write_file(f"{tmp_path}/my-qemu", "#!/bin/sh\necho 'my-qemu: no such machine' >&2\nexit 7\n", 0o755)
        refuse(["-k", kernel, "-q", "./my-qemu", "true"], ["QEMU", "status 7", "my-qemu: no such machine"],
               cwd=tmp_path, qemu=True)
        write_file(f"{tmp_path}/my-qemu", "#!/bin/sh\nexit 0\n", 0o755)
        refuse(["-k", kernel, "-q", "./my-qemu", "true"], ["QEMU", "status 0"], cwd=tmp_path, qemu=True)

    def test_arguments_that_qemu_does_not_take_are_quoted(self, refuse, kernel, tmp_path):
        write_file(f"{tmp_path}/{FILE}", target("[target.vm]", 'extra_args = ["-no-such-option"]',
                                                kernel=f'"{kernel}"'))
        refuse([], ["QEMU", "-no-such-option"], cwd=tmp_path, qemu=True)

    @pytest.mark.parametrize("size", ["100T", "1000T"])
    def test_memory_that_qemu_refuses_is_refused_with_the_place(self, refuse, kernel, tmp_path, size):
        write_file(f"{tmp_path}/{FILE}", target("[target.vm]", f'memory = "{size}"', kernel=f'"{kernel}"'))
        refuse([], ["memory", f"{FILE}:6:10: "], cwd=tmp_path, qemu=True)

    @pytest.mark.parametrize("line, expect", [
        ('"/data" = { host_path = "missing" }', ["/data", "missing", "No such file"]),
        ('"/data" = { host_path = "vmtest.toml", writable = true }', ["/data", "vmtest.toml", "not a directory"]),
    ])
    def test_a_mount_without_its_host_directory_is_refused_with_the_place(self, refuse, kernel, tmp_path, line, expect):
        write_file(f"{tmp_path}/{FILE}", target("[target.vm.mounts]", line, kernel=f'"{kernel}"'))
        refuse([], [f"{FILE}:6:1: ", *expect], cwd=tmp_path)

    def test_a_mount_point_missing_in_the_shared_directory_is_not_made_on_the_host(self, refuse, kernel, tmp_path):
        os.mkdir(f"{tmp_path}/data")
        for point in ("/mnt/vmtest/new", f"{tmp_path}/new"):
            write_file(f"{tmp_path}/{FILE}", target("[target.vm.mounts]", f'"{point}" = {{ host_path = "data" }}',
                                                    kernel=f'"{kernel}"'))
            refuse([], [f"{FILE}:6:1: ", point, "missing", "make"], cwd=tmp_path)
            assert not os.path.exists(f"{tmp_path}/new")

    def test_more_mounts_than_a_machine_has_room_for_are_refused(self, refuse, kernel, tmp_path):
        lines = [f'"/m{i}" = {{ host_path = "." }}' for i in range(40)]
        write_file(f"{tmp_path}/{FILE}", target("[target.vm.mounts]", *lines, kernel=f'"{kernel}"'))
        refuse([], [f"{FILE}:5:", "40 mounts", "20"], cwd=tmp_path)

    def test_a_command_longer_than_linux_takes_is_refused(self, refuse, kernel, tmp_path):
        write_file(f"{tmp_path}/{FILE}", target(command='"' + "x" * 131072 + '"', kernel=f'"{kernel}"'))
        refuse([], [f"{FILE}:4:11: ", "longer than 131071 bytes", "script"], cwd=tmp_path)

    def test_a_root_that_is_none_is_refused_with_the_place(self, refuse, kernel, tmp_path):
        os.mkdir(f"{tmp_path}/empty")
        write_file(f"{tmp_path}/file", "")
        for root, expect in (("file", "not a directory"), ("missing", "No such file"), ("empty", "no shell")):
            refuse(["-k", kernel, "-r", root, "true"], ["--rootfs: ", f"{tmp_path}/{root}", expect], cwd=tmp_path)
            write_file(f"{tmp_path}/{FILE}", target(f'rootfs = "{root}"', kernel=f'"{kernel}"'))
            refuse([], [f"{FILE}:5:10: ", f"{tmp_path}/{root}", expect], cwd=tmp_path)
        # A link leads to where the guest would find it, not into the host's root.
        os.makedirs(f"{tmp_path}/links/bin")
        os.symlink("/bin/dash", f"{tmp_path}/links/bin/sh")
        refuse(["-k", kernel, "-r", "links", "true"], ["--rootfs: ", "no shell"], cwd=tmp_path)

    def test_several_targets_count_those_that_could_not_be_run(self, run, tmp_path):
        write_file(f"{tmp_path}/{FILE}", "".join(target(name=f'"t{i}"') for i in range(300)))
        result = run([], cwd=tmp_path, timeout=60)
        assert result.status == 125, result.status
        assert result.out.count("\nFAILED\n") == 300
        assert result.out.endswith("300 of 300 targets did not pass\n")
