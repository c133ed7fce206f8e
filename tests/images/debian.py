# SPDX-License-Identifier: Apache-2.0
"""The root file systems that the images are made of: trees of Debian packages, as tar files made by mmdebstrap.

One tar serves every image that starts from it. The mirror is that of the machine's own apt configuration, or
$VMTEST_DEBIAN_MIRROR; see scripts/fetch-kernel, which goes the same way.
"""
import os
import re
from dataclasses import dataclass, field

from tools import BuildError, output_of, run

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
DEBOOTSTRAP = "/usr/share/debootstrap/scripts/sid"
SYSTEM = ["systemd-sysv", "udev", "dbus", "kmod", "bash", "busybox-static", "qemu-guest-agent", "initramfs-tools",
          "zstd",
          # Nothing in the system uses it: it is copied to the images' EFI system partitions.
          "systemd-boot-efi"]
# Half a gigabyte that no virtual machine uses.
LEFT_OUT = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "*/kernel/sound/*"] + [
    f"*/kernel/drivers/{name}/*" for name in ["gpu", "media", "infiniband", "staging", "iio", "isdn", "comedi",
                                              "net/wireless", "net/ethernet", "hwmon", "mtd", "accel"]]
# The initramfs holds what can be below a root disk in QEMU, and no more: it is decompressed under emulation.
DISK_DRIVERS = "virtio_pci virtio_blk virtio_scsi sd_mod ahci nvme ext4"
SETUP_HOOKS = [
    'mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/usr/share/initramfs-tools/modules.d"',
    'echo MODULES=list >"$1/etc/initramfs-tools/conf.d/vmtest"',
    f'printf "%s\\n" {DISK_DRIVERS} >"$1/usr/share/initramfs-tools/modules.d/vmtest"',
]


@dataclass(frozen=True)
class Root:
    """How mmdebstrap makes a root file system."""

    suite: str
    packages: list = field(default_factory=list)
    variant: str = "minbase"

    def arguments(self):
        """All that decides what is in the tar, save the mirror's state of the day."""
        options = [f"--variant={self.variant}", f"--include={','.join(self.packages)}",
                   '--aptopt=Acquire::Languages "none"', '--aptopt=Acquire::Retries "3"']
        if self.variant == "minbase":
            options += [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
            options += [f"--setup-hook={hook}" for hook in SETUP_HOOKS]
        return [*options, self.suite]


ROOTS = {
    "debian12": Root("bookworm", [*SYSTEM, "linux-image-amd64"]),
    "debian12-cloud": Root("bookworm", [*SYSTEM, "linux-image-cloud-amd64"]),
    "debian13": Root("trixie", [*SYSTEM, "linux-image-amd64"]),
    # Only unpacked: the installer's kernel and initramfs.
    "installer": Root("bookworm", ["debian-installer-12-netboot-amd64"], "extract"),
}


def machine_archives():
    """The archives in apt's configuration, as (origin, label, release, address); without package lists the first two
    are unknown."""
    layout = "$(ORIGIN)|$(LABEL)|$(RELEASE)|$(REPO_URI)"
    for option in [["--no-release-info"], []]:
        try:
            text = output_of(["apt-get", "indextargets", *option, "--format", layout, "Created-By: Packages"], 60)
        except BuildError:
            continue
        for line in text.splitlines():
            yield line.split("|")


def debian_mirror():
    """The address of the machine's mirror of Debian."""
    if mirror := os.environ.get("VMTEST_DEBIAN_MIRROR"):
        return mirror
    with open("/etc/os-release", encoding="utf-8") as file:
        release = dict(re.findall(r'^(\w+)="?([^"\n]*)', file.read(), re.M))
    own = {"sid", "unstable", "testing", "stable", "oldstable"}
    if release.get("ID") == "debian":
        own.add(release.get("VERSION_CODENAME", "sid"))
    guess = None
    for origin, label, suite, address in machine_archives():
        if origin == label == "Debian":
            return address
        if guess is None and origin.startswith("$") and suite in own:
            guess = address
    if guess is None and os.path.exists(DEBOOTSTRAP):
        with open(DEBOOTSTRAP, encoding="utf-8") as file:
            found = re.search(r"^default_mirror\s+(\S+/debian/?)$", file.read(), re.M)
        guess = found and found[1]
    if not guess:
        raise BuildError("no Debian mirror in this machine's apt configuration: set VMTEST_DEBIAN_MIRROR=URL")
    return guess


def make_root(root, path, directory):
    """Writes the tar of a root file system; directory is for temporary files."""
    source = f"deb [signed-by={KEYRING}] {debian_mirror()} {root.suite} main"
    # Without root, mmdebstrap works as users that cannot enter our directory.
    temporary = {"TMPDIR": directory} if os.geteuid() == 0 else {}
    os.chmod(directory, 0o755)
    run(["mmdebstrap", "--mode=auto", "--format=tar", *root.arguments(), path, source], 1500,
        env={**os.environ, **temporary})
