# SPDX-License-Identifier: Apache-2.0
"""Kernel files that boot: a raw vmlinux, a kernel away from its package, caches that cannot be written."""
import glob
import os
import shutil
import struct
import subprocess

import pytest

from conftest import copy_tree, package_of, read_file, write_file


def without_pvh(vmlinux):
    """A vmlinux whose note of the PVH entry (owner "Xen", type 18) is of another type."""
    data = bytearray(vmlinux)
    offset, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    patched = 0
    for header in range(offset, offset + size * count, size):
        kind, _, at, _, _, length = struct.unpack_from("<IIQQQQ", data, header)
        end = at + length
        while kind == 4 and at + 12 <= end:
            name, desc, note = struct.unpack_from("<III", data, at)
            if note == 18 and data[at + 12:at + 16] == b"Xen\0":
                struct.pack_into("<I", data, at + 8, 99)
                patched += 1
            at += 12 + (name + 3 & ~3) + (desc + 3 & ~3)
    assert patched == 1
    return bytes(data)


class TestVmlinux:
    """The first run with an empty cache unpacks the kernel there; what it left is a vmlinux like a built one."""

    @pytest.fixture(scope="class")
    def cache(self, project):
        return f"{project}/cache/made/on demand"

    @pytest.fixture(scope="class")
    def first(self, run, project, kernel, cache, environment):
        return run(["-k", kernel, "uname -r"], cwd=project, env={"VMTEST_CACHE_DIR": cache})

    @pytest.fixture(scope="class")
    def vmlinux(self, first, project, cache):
        assert first.status == 0, first
        (path,) = glob.glob(f"{cache}/kernels/*.vmlinux")
        return shutil.copy(path, f"{project}/vmlinux")

    def test_the_cache_is_made_on_demand_and_is_the_callers_alone(self, first, cache):
        assert first.status == 0, first
        assert os.stat(cache).st_mode & 0o022 == 0
        assert [name for _, _, names in os.walk(cache) for name in names if name.endswith((".tmp", "XXXXXX"))] == []

    def test_a_raw_vmlinux_with_a_pvh_entry_boots(self, run, project, vmlinux, kernel):
        modules = package_of(kernel).modules
        result = run(["-k", vmlinux, "--modules", modules, "uname -r; modprobe dummy && echo modules"], cwd=project)
        assert result.out == f"{os.path.basename(modules)}\nmodules\n", str(result)
        assert result.err.startswith("=> vmlinux\n"), str(result)

    def test_a_vmlinux_without_a_pvh_entry_is_refused_with_advice(self, run, project, vmlinux):
        path = write_file(f"{project}/vmlinux-without", without_pvh(read_file(vmlinux)))
        result = run(["-k", path, "true"], cwd=project, timeout=30)
        assert result.status == 69, str(result)
        assert len(result.errors) == 1, str(result)
        assert "CONFIG_PVH" in result.errors[0] and "bzImage" in result.errors[0] and path in result.errors[0], str(result)
        assert "===> Booting" not in result.err

    @pytest.mark.slow
    def test_a_damaged_cache_entry_does_not_spoil_the_run(self, run, project, kernel, cache, vmlinux):
        damaged = f"{project}/damaged"
        shutil.copytree(cache, damaged)
        for path in glob.glob(f"{damaged}/kernels/*.vmlinux"):
            with open(path, "r+b") as file:
                file.truncate(1000)
        result = run(["-k", kernel, "--boot-timeout", "60", "uname -r"], cwd=project,
                     env={"VMTEST_CACHE_DIR": damaged})
        assert result.status == 0, str(result)


def test_without_any_cache_directory_a_kernel_boots_as_well(run, project, kernel, empty_tmp):
    env = {"VMTEST_CACHE_DIR": f"{project}/file/cache", "TMPDIR": empty_tmp}
    write_file(f"{project}/file", "no directory\n")
    result = run(["-k", kernel, "uname -r; modprobe dummy && echo modules"], cwd=project, env=env)
    assert result.status == 0 and result.out.endswith("\nmodules\n"), str(result)


def test_a_kernel_through_a_link_finds_the_modules_of_its_package(run, project, kernel):
    os.symlink(kernel, f"{project}/vmlinuz")
    result = run(["-k", "vmlinuz", "modprobe dummy && uname -r"], cwd=project)
    assert result.status == 0 and result.out.strip() in os.path.realpath(kernel), str(result)


@pytest.mark.slow
def test_two_runs_at_once_with_an_empty_cache_do_not_disturb_each_other(start, project, kernel):
    env = {"VMTEST_CACHE_DIR": f"{project}/cache"}
    runs = [start(["-k", kernel, "modprobe dummy && uname -r"], cwd=project, env=env, stdin=subprocess.DEVNULL,
                  stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
    done = [(*process.communicate(timeout=180), process.returncode) for process in runs]
    assert {status for _, _, status in done} == {0}, done
    assert len({out for out, _, _ in done}) == 1, done


@pytest.mark.slow
def test_a_cloud_kernel_has_no_9p_and_is_refused_as_such(run, project, kernel_of):
    kernel = kernel_of("trixie", "cloud")
    result = run(["-k", kernel, "true"], cwd=project, timeout=30)
    assert result.status == 69 and len(result.errors) == 1, str(result)
    assert "9p" in result.errors[0] and "CONFIG_9P_FS" in result.errors[0] and "generic" in result.errors[0], str(result)
    assert "===> Booting" not in result.err, str(result)


class TestCompressedModules:
    """A package whose modules are compressed, as zstd, xz or gzip pack them."""

    @pytest.mark.slow
    @pytest.mark.parametrize("tool, suffix", [("zstd", ".zst"), ("xz", ".xz"), ("gzip", ".gz")])
    def test_modules_may_be_compressed(self, run, project, kernel, tool, suffix):
        package = package_of(kernel)
        copy_tree(package.modules, f"{project}/{tool}/lib/modules/{package.release}")
        names = ("virtio_pci", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_console", "virtio", "overlay",
                 "virtio_ring", "9p", "9pnet", "9pnet_virtio", "netfs", "fscache", "dummy")
        packed = 0
        for directory, _, files in os.walk(f"{project}/{tool}/lib"):
            for name in files:
                if name.removesuffix(".ko").replace("-", "_") not in names or not name.endswith(".ko"):
                    continue
                path = os.path.join(directory, name)
                with open(path + suffix, "wb") as output:
                    options = ["--check=crc32"] if tool == "xz" else []
                    subprocess.run([tool, *options, "-c", path], stdout=output, check=True)
                os.unlink(path)
                packed += 1
        assert packed >= 5
        # Debian's modprobe knows no gzip; that the guest came up shows that vmtest does.
        command = "modprobe dummy" if tool != "gzip" else "modprobe -n dummy"
        result = run(["-k", kernel, "--modules", f"{project}/{tool}", f"{command} && echo modules"],
                     cwd=project, env={"VMTEST_CACHE_DIR": f"{project}/cache"})
        assert (result.out, result.status) == ("modules\n", 0), str(result)
