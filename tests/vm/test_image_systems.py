# SPDX-License-Identifier: Apache-2.0
"""Image targets with whole Debian systems, as their makers would ship them (tests/images/README.md)."""
import subprocess

import pytest

BOOT = 500

SCRIPT = r"""
    . /etc/os-release; echo "$ID $VERSION_ID"
    test -d /sys/firmware/efi && echo uefi || echo bios
    systemctl is-active qemu-guest-agent
    cat /proc/$PPID/comm /proc/$PPID/oom_score_adj /proc/$PPID/cgroup
    systemctl restart qemu-guest-agent && systemctl is-active qemu-guest-agent
    findmnt -n -o FSTYPE /mnt/vmtest || echo no share
    echo to stderr >&2
    exit 3
"""


class TestSystems:
    CASES = {
        "debian12-bios": ([], "debian 12", "bios", "9p"),
        "debian12-uefi": (["--uefi"], "debian 12", "uefi", "9p"),
        "debian13-uefi": (["--uefi"], "debian 13", "uefi", "9p"),
        "debian12-cloud": (["--share", "none"], "debian 12", "bios", "no share"),
    }

    @pytest.mark.parametrize("name", [name if name == "debian12-uefi" else pytest.param(name, marks=pytest.mark.slow)
                                      for name in CASES])
    def test_a_system(self, run, image_of, project, name):
        args, system, firmware, share = self.CASES[name]
        result = run(["-i", image_of(name), *args, SCRIPT], cwd=project, timeout=BOOT)
        assert result.status == 3, str(result)
        lines = result.out.splitlines()
        assert lines[:3] == [system, firmware, "active"], str(result)
        # The agent is shielded, belongs to no service, and outlives the guest agent that brought it in.
        assert lines[3:6] == [lines[3], "-1000", "0::/"] and lines[3].startswith(".vmtest-agent"), str(result)
        assert lines[6:] == ["active", share], str(result)
        assert "to stderr\n" in result.err


@pytest.mark.slow
def test_a_cloud_kernel_has_no_9p(run, image_of, project):
    result = run(["-i", image_of("debian12-cloud"), "true"], cwd=project, timeout=BOOT)
    assert result.status == 69, str(result)
    assert len(result.errors) == 1 and "9p" in result.errors[0] and "--share none" in result.errors[0], str(result)


@pytest.mark.slow
def test_a_system_without_a_guest_agent(run, image_of, project):
    result = run(["-i", image_of("debian12-noagent"), "--boot-timeout", "200s", "true"], cwd=project, timeout=BOOT)
    assert result.status == 124, str(result)
    assert "install qemu-guest-agent" in result.err and "login:" in result.err, str(result)


@pytest.mark.slow
def test_a_system_with_guest_exec_switched_off(run, image_of, project):
    result = run(["-i", image_of("debian12-noguestexec"), "true"], cwd=project, timeout=BOOT)
    assert result.status == 69, str(result)
    assert len(result.errors) == 1 and "guest-exec switched off" in result.errors[0], str(result)


@pytest.mark.slow
def test_a_persistent_system_is_shut_down_in_order(run, image_of, project, tmp_path):
    copy = tmp_path / "disk.raw"
    subprocess.run(["cp", "--sparse=always", image_of("debian12-bios"), copy], check=True)
    first = run(["-i", copy, "--persist", "mkdir -p /var/log/journal; journalctl --flush; echo kept > /kept"],
                cwd=project, timeout=2 * BOOT)
    assert first.status == 0, str(first)
    second = run(["-i", copy, "cat /kept; journalctl -b -1 | grep -c 'Reached target.*shutdown.target'; "
                  "dmesg | grep -c 'recovery complete'; true"], cwd=project, timeout=BOOT)
    assert second.out.splitlines() == ["kept", "1", "0"], str(second)
