# SPDX-License-Identifier: Apache-2.0
"""Images that cannot be used, and images that do not come up: one error each, with the likeliest reason, in time."""
import json
import os
import subprocess

import pytest

from conftest import write_file


def one_error(result, *words):
    assert result.status == 69, str(result)
    assert len(result.errors) == 1, str(result)
    for word in words:
        assert word in result.errors[0], str(result)


class TestBadFiles:
    @pytest.fixture(scope="class")
    def files(self, tmp_path_factory):
        top = tmp_path_factory.mktemp("images")

        def qemu_img(*args):
            subprocess.run(["qemu-img", *args], cwd=top, check=True, stdout=subprocess.DEVNULL)

        (top / "directory").mkdir()
        (top / "empty").touch()
        os.mkfifo(top / "fifo")
        qemu_img("create", "-q", "-f", "raw", "data.raw", "16M")
        write_file(top / "data.raw", os.urandom(1 << 20))
        qemu_img("convert", "-O", "qcow2", "data.raw", "whole.qcow2")
        (top / "truncated.qcow2").write_bytes((top / "whole.qcow2").read_bytes()[:300000])
        (top / "head.qcow2").write_bytes((top / "whole.qcow2").read_bytes()[:64])
        qemu_img("create", "-q", "-f", "qcow2", "-b", "gone.qcow2", "-F", "qcow2", "orphan.qcow2", "16M", "-u")
        # qemu-img measures the processor for this, and gives up when it gets none of it.
        for _ in range(20):
            done = subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "--object", "secret,id=s,data=abc", "-o",
                                   "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10", "encrypted.qcow2",
                                   "16M"], cwd=top, check=False)
            if done.returncode == 0:
                break
        done.check_returncode()
        write_file(top / "text.fd", "no firmware\n")
        return top

    CASES = {
        "missing": (["missing.raw"], ["missing.raw", "--image"]),
        "a directory": (["directory"], ["directory"]),
        "empty": (["empty"], ["empty"]),
        "a fifo": (["fifo"], ["fifo"]),
        "truncated qcow2": (["truncated.qcow2"], ["truncated"]),
        "a part of the head": (["head.qcow2", "--image-format", "qcow2"], ["head.qcow2"]),
        "backing file missing": (["orphan.qcow2"], ["gone.qcow2"]),
        "encrypted": (["encrypted.qcow2"], ["encrypted"]),
        "another format": (["data.raw", "--image-format", "qcow2"], ["qcow2"]),
        "no format": (["data.raw", "--image-format", "ext4"], ["ext4", "raw"]),
        "no firmware": (["data.raw", "--uefi", "--bios", "text.fd"], ["text.fd", "firmware"]),
        "firmware missing": (["data.raw", "--uefi", "--bios", "missing.fd"], ["missing.fd"]),
        "firmware without uefi": (["data.raw", "--bios", "text.fd"], ["--bios", "uefi"]),
    }

    @pytest.mark.parametrize("name", CASES)
    def test_is_refused_before_anything_is_started(self, run, files, empty_tmp, name):
        args, words = self.CASES[name]
        result = run(["-i", *args, "true"], cwd=files, env={"TMPDIR": empty_tmp}, timeout=30)
        one_error(result, *words)
        assert "Booting" not in result.err

    def test_no_firmware_on_the_host(self, run, files, empty_tmp, environment):
        """A host without any: nothing of /usr/share is there."""
        covered = ["unshare", "-m", "sh", "-c",
                   'for d in /usr/share/qemu /usr/share/OVMF /usr/share/ovmf /usr/share/edk2 /etc/qemu; do '
                   'test ! -d $d || mount -t tmpfs x $d; done; exec "$@"', "sh"]
        result = run(["-i", "data.raw", "--uefi", "true"], cwd=files, env={"TMPDIR": empty_tmp}, prefix=covered,
                     timeout=30)
        one_error(result, "ovmf", "--bios FILE")

    def test_unreadable(self, run, user, empty_tmp, tmp_path):
        image = write_file(tmp_path / "secret.raw", os.urandom(4096), 0)
        for directory in [tmp_path, *tmp_path.parents[:2]]:
            os.chmod(directory, 0o755)
        result = run(["-i", image, "true"], cwd="/", program=user.vmtest, prefix=user.prefix,
                     env={"HOME": user.home, "VMTEST_CACHE_DIR": None}, timeout=30)
        one_error(result, "secret.raw", "ermission denied")


class TestNotComingUp:
    """Each of these hangs for ever if nobody looks at the console."""

    def fails(self, run, image, project, *args, timeout=200):
        result = run(["-i", image, *args, "echo ran"], cwd=project, timeout=timeout)
        assert "ran" not in result.out, str(result)
        return result

    def test_no_boot_loader(self, run, image_of, project):
        one_error(self.fails(run, image_of("noboot"), project, timeout=30), "no boot loader", "--uefi")

    def test_no_boot_sector(self, run, project, tmp_path):
        path = write_file(tmp_path / "random.raw", os.urandom(500) + bytes(1 << 20))
        result = self.fails(run, path, project, timeout=90)
        one_error(result, "no boot loader", "--uefi")
        assert "No bootable device" in result.err, str(result)

    def test_a_bios_image_started_as_uefi(self, run, image_of, project):
        result = self.fails(run, image_of("mini"), project, "--uefi", timeout=150)
        one_error(result, "UEFI firmware", "remove uefi")

    def test_a_uefi_image_started_as_bios(self, run, image_of, project):
        one_error(self.fails(run, image_of("mini-uefi"), project, timeout=30), "BIOS", "--uefi")

    def test_a_kernel_panic(self, run, image_of, project):
        result = self.fails(run, image_of("mini-panic"), project, timeout=100)
        assert result.status == 69, str(result)
        assert "panicked" in result.err and "Kernel panic" in result.err, str(result)

    @pytest.mark.slow
    def test_no_guest_agent(self, run, image_of, project):
        result = self.fails(run, image_of("mini-noagent"), project, "--boot-timeout", "90s", timeout=150)
        assert result.status == 124, str(result)
        assert "install qemu-guest-agent" in result.err and "--boot-timeout" in result.err, str(result)
        assert "login:" in result.err, str(result)

    def test_guest_exec_is_switched_off(self, run, image_of, project):
        one_error(self.fails(run, image_of("mini-noguestexec"), project, timeout=100),
                  "guest-exec", "switched off", "qemu-ga.conf", "/etc/sysconfig/qemu-ga")

    @pytest.mark.slow
    def test_something_that_boots_but_is_no_target(self, run, image_of, project):
        result = self.fails(run, image_of("installer"), project, "--boot-timeout", "60s", timeout=120)
        assert result.status == 124, str(result)
        assert "qemu-guest-agent" in result.err, str(result)


def test_the_verdict_of_a_panic_is_panic(run, image_of, project):
    write_file(f"{project}/vmtest.toml", f"""
[[target]]
name = "panics"
image = {json.dumps(image_of("mini"))}
command = "echo 1 > /proc/sys/kernel/sysrq; sleep 1; echo c > /proc/sysrq-trigger; sleep 100"
""")
    result = run(["--format", "json"], cwd=project, timeout=200)
    end = [event for event in map(json.loads, result.out.splitlines()) if event["event"] == "finished"][0]
    assert end["verdict"] == "panic", str(result)
    assert "sysrq triggered crash" in end["reason"], str(result)
