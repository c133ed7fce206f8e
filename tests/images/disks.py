# SPDX-License-Identifier: Apache-2.0
"""Writes disks as files, without mounting anything: a partition table, a FAT partition to boot from, an ext4 root.

The partitions stand one after the other from 1 MiB on; the last MiB is left to GPT's second table.
"""
import os

from tools import BuildError, run

MIB = 1 << 20
SECTORS = MIB // 512
TYPES = {
    ("dos", "boot"): "c, bootable", ("dos", "root"): "83",
    ("gpt", "boot"): "C12A7328-F81F-11D2-BA4B-00A0C93EC93B", ("gpt", "root"): "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",
}
# Debian's place and Fedora's.
MBR_CODE = ["/usr/lib/syslinux/mbr/mbr.bin", "/usr/share/syslinux/mbr.bin"]
# Fixed, so that the same recipe makes the same disk.
DISK_ID = {"dos": "0x766d7431", "gpt": "766D7431-7465-7374-8000-000000000001"}
ROOT_UUID = "766d7431-7465-7374-8000-000000000002"


def write_table(path, table, parts):
    """parts: (kind, MiB) each; returns where each begins, in MiB."""
    starts, start, lines = [], 1, [f"label: {table}", f"label-id: {DISK_ID[table]}"]
    for kind, size in parts:
        lines.append(f"start={start * SECTORS}, size={size * SECTORS}, type={TYPES[table, kind]}")
        starts.append(start)
        start += size
    with open(path, "wb") as disk:
        disk.truncate((start + 1) * MIB)
    script = f"{path}.sfdisk"
    with open(script, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    run(["sh", "-c", 'sfdisk --quiet --no-reread --no-tell-kernel "$1" <"$2"', "sh", path, script])
    os.unlink(script)
    return starts


def write_fat(path, start, size, directory):
    """A FAT file system that holds what is in a directory."""
    at, env = f"{path}@@{start * MIB}", {**os.environ, "MTOOLS_SKIP_CHECK": "1"}
    run(["mformat", "-i", at, "-T", size * SECTORS, "-H", start * SECTORS, "-N", "766d7431", "-v", "BOOT", "::"],
        env=env)
    names = sorted(f"{directory}/{name}" for name in os.listdir(directory))
    run(["mcopy", "-i", at, "-s", *names, "::/"], env=env)


def write_ext4(path, start, size, directory):
    """An ext4 file system that holds what is in a directory, with its owners and modes."""
    run(["mke2fs", "-q", "-F", "-t", "ext4", "-L", "root", "-U", ROOT_UUID, "-m", "0", "-d", directory,
         "-E", f"offset={start * MIB},hash_seed={ROOT_UUID},lazy_itable_init=1", path, f"{size}M"])


def make_bootable(path, start):
    """A BIOS starts the code of the MBR, this starts syslinux in the FAT partition."""
    run(["syslinux", "--install", "--offset", start * MIB, path])
    code = next((file for file in MBR_CODE if os.path.exists(file)), None)
    if code is None:
        raise BuildError("mbr.bin is missing: install syslinux-common")
    with open(code, "rb") as source, open(path, "r+b") as disk:
        disk.write(source.read(440))


def write_disk(path, firmware, boot, root, root_size):
    """boot, root: the directories that become the partitions, or None."""
    used = sum(os.path.getsize(f"{top}/{name}") for top, _, names in os.walk(boot or "") for name in names)
    boot_size = max(34, used // MIB + 8)
    parts = [("boot", boot_size)] * bool(boot) + [("root", root_size)] * bool(root)
    starts = write_table(path, "gpt" if firmware == "uefi" else "dos", parts)
    if boot:
        write_fat(path, starts[0], boot_size, boot)
        if firmware == "bios":
            make_bootable(path, starts[0])
    if root:
        write_ext4(path, starts[-1], root_size, root)
