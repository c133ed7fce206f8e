# SPDX-License-Identifier: Apache-2.0
"""What is in the images: the trees that become their partitions, made from an unpacked Debian root file system."""
import glob
import os
import re
import shutil

from tools import output_of, run

HERE = os.path.dirname(os.path.realpath(__file__))
LIBRARIES = "usr/lib/x86_64-linux-gnu"
LOADER = "lib64/ld-linux-x86-64.so.2"
COMMAND_LINE = "root=LABEL=root rw console=ttyS0"
# What a kernel does at boot that costs seconds under emulation and that no test looks at.
MINI_COMMAND_LINE = f"{COMMAND_LINE} edd=off nokaslr mitigations=off no_timer_check cryptomgr.notests"
INITRAMFS_MODULES = ["virtio_pci", "virtio_blk", "ext4", "crc32c_generic"]
MINI_MODULES = [*INITRAMFS_MODULES, "virtio_console", "virtio-rng", "9p", "9pnet_virtio", "overlay", "pvpanic-pci",
                "pvpanic-mmio", "button", "evdev"]
# What of Debian the mini images are made from: unpacking all of it would take most of their time.
MINI_SOURCE = ["./bin", "./lib64", "./usr/lib64", "./usr/bin/bash", "./usr/bin/busybox", "./usr/sbin/qemu-ga",
               f"./{LIBRARIES}/lib*.so*", f"./{LIBRARIES}/ld-*", "./usr/lib/systemd/boot/efi/*", "./vmlinuz",
               "./boot/vmlinuz-*", "./usr/lib/modules/*/modules.*",
               *[f"./usr/lib/modules/*/kernel/{name}/*" for name in [
                   "arch", "crypto", "fs", "lib", "net/9p", "drivers/acpi", "drivers/block", "drivers/char",
                   "drivers/input", "drivers/misc", "drivers/virtio"]]]
MINI_FILES = {
    "etc/hostname": "mini\n", "etc/qemu-ga.options": "", "etc/passwd": "root::0:0:root:/root:/bin/bash\n",
    "etc/group": "root:x:0:\n", "etc/shells": "/bin/sh\n/bin/bash\n",
}
MINI_DIRECTORIES = ["dev", "proc", "sys", "run", "tmp", "root", "mnt", "var/tmp", "var/log", "etc/acpi/PWRF"]
MINI_SCRIPTS = [("inittab", "etc"), ("fstab", "etc"), ("rcS", "etc"), ("virtio-port", "etc"), ("shutdown", "sbin")]


def write(path, text, mode="w"):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, mode, encoding="utf-8") as file:
        file.write(text)


def release_of(source):
    """The release of the one kernel in a tree."""
    (path,) = glob.glob(f"{source}/usr/lib/modules/*")
    return os.path.basename(path)


def copy_modules(source, tree, names):
    """Copies modules with what they depend on; depmod is left to the caller."""
    base = f"usr/lib/modules/{release_of(source)}"
    with open(f"{source}/{base}/modules.dep", encoding="utf-8") as file:
        needs = dict(line.strip().split(":", 1) for line in file)
    by_name = {re.sub(r"\.ko.*", "", os.path.basename(path)): path for path in needs}
    for path in {path for name in names for path in [by_name[name], *needs[by_name[name]].split()]}:
        os.makedirs(os.path.dirname(f"{tree}/{base}/{path}"), exist_ok=True)
        shutil.copy2(f"{source}/{base}/{path}", f"{tree}/{base}/{path}")
    for name in ["modules.order", "modules.builtin", "modules.builtin.modinfo"]:
        shutil.copy2(f"{source}/{base}/{name}", f"{tree}/{base}/{name}")


def index_modules(source, tree):
    run(["depmod", "-b", tree, release_of(source)])


def make_directories(tree, names):
    for name in names:
        os.makedirs(f"{tree}/{name}", exist_ok=True)
    for name in ["bin", "sbin", "lib", "lib64"]:
        os.makedirs(f"{tree}/usr/{name}", exist_ok=True)
        os.symlink(f"usr/{name}", f"{tree}/{name}")


def add_busybox(source, tree):
    shutil.copy2(f"{source}/bin/busybox", f"{tree}/bin/busybox")
    for path in output_of([f"{tree}/bin/busybox", "--list-full"]).split():
        # What is there already is Debian's own, and stays.
        link = f"{tree}/usr/{'sbin' if 'sbin' in path else 'bin'}/{os.path.basename(path)}"
        if not os.path.lexists(link):
            os.symlink("/bin/busybox", link)


def add_program(source, tree, path):
    """Copies a program and the shared libraries that it needs."""
    shutil.copy2(f"{source}/{path}", f"{tree}/{path}")
    # The tree's own loader looks for them; it would not find fakeroot's library.
    loader = ["env", "-u", "LD_PRELOAD", f"{source}/{LOADER}", "--library-path", f"{source}/{LIBRARIES}"]
    text = output_of([*loader, "--list", f"{source}/{path}"])
    os.makedirs(f"{tree}/{LIBRARIES}", exist_ok=True)
    for name in re.findall(rf"=> {re.escape(source)}/{LIBRARIES}/(\S+)", text):
        shutil.copy2(f"{source}/{LIBRARIES}/{name}", f"{tree}/{LIBRARIES}/{name}")
    shutil.copy2(f"{source}/{LOADER}", f"{tree}/{LOADER}")


def write_initramfs(tree, path):
    run(["sh", "-c", 'cd "$1" && find . | LC_ALL=C sort | busybox cpio -o -H newc >"$2"', "sh", tree, path])


def mini_initramfs(source, work, path):
    tree = f"{work}/initramfs"
    make_directories(tree, ["dev", "proc", "sys", "root"])
    add_busybox(source, tree)
    copy_modules(source, tree, INITRAMFS_MODULES)
    index_modules(source, tree)
    shutil.copy(f"{HERE}/mini/initramfs-init", f"{tree}/init")
    write_initramfs(tree, path)


def make_mini(image, source, work):
    """The parts of a disk with a BusyBox system: the directories of what is booted and of the root."""
    tree, boot = f"{work}/root", f"{work}/boot"
    make_directories(tree, MINI_DIRECTORIES)
    os.chmod(f"{tree}/tmp", 0o1777)
    os.chmod(f"{tree}/var/tmp", 0o1777)
    os.symlink("../run", f"{tree}/var/run")
    for path, text in MINI_FILES.items():
        write(f"{tree}/{path}", text)
    for name, place in MINI_SCRIPTS:
        shutil.copy(f"{HERE}/mini/{name}", f"{tree}/{place}/{name}")
    os.symlink("/sbin/shutdown", f"{tree}/etc/acpi/PWRF/00000080")
    add_program(source, tree, "usr/sbin/qemu-ga")
    add_program(source, tree, "usr/bin/bash")
    add_busybox(source, tree)
    copy_modules(source, tree, MINI_MODULES)
    for change in image.changes:
        change(tree)
    index_modules(source, tree)
    os.mkdir(boot)
    shutil.copy(f"{source}/vmlinuz", f"{boot}/vmlinuz")
    mini_initramfs(source, work, f"{boot}/initrd.img")
    add_boot_loader(image, source, boot, MINI_COMMAND_LINE)
    return boot, tree


def make_debian(image, source, work):
    """The parts of a disk with a Debian system."""
    boot = f"{work}/boot"
    write(f"{source}/etc/hostname", "debian\n")
    write(f"{source}/etc/fstab", "LABEL=root / ext4 errors=remount-ro 0 1\n")
    write(f"{source}/etc/resolv.conf", "")
    # Nothing to check here, and a sixth of the boot's time under emulation.
    os.symlink("/dev/null", f"{source}/etc/systemd/system/e2scrub_reap.service")
    # Root logs in without a password.
    with open(f"{source}/etc/shadow", encoding="utf-8") as file:
        shadow = file.read()
    write(f"{source}/etc/shadow", re.sub(r"^root:[^:]*:", "root::", shadow, flags=re.M))
    for change in image.changes:
        change(source)
    os.mkdir(boot)
    shutil.copy(f"{source}/vmlinuz", f"{boot}/vmlinuz")
    shutil.copy(f"{source}/initrd.img", f"{boot}/initrd.img")
    add_boot_loader(image, source, boot, COMMAND_LINE)
    return boot, source


def make_installer(image, source, work):
    """Debian's installer: it boots, asks its questions on the console, and never has a guest agent."""
    (linux,) = glob.glob(f"{source}/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64/linux")
    boot = f"{work}/boot"
    os.mkdir(boot)
    shutil.copy(linux, f"{boot}/vmlinuz")
    shutil.copy(f"{os.path.dirname(linux)}/initrd.gz", f"{boot}/initrd.img")
    add_boot_loader(image, source, boot, "console=ttyS0")
    return boot, None


def make_noboot(image, source, work):
    """A file system that nothing boots."""
    write(f"{work}/root/README", "There is nothing to boot on this disk.\n")
    return None, f"{work}/root"


def add_boot_loader(image, source, boot, command_line):
    """The boot loader's files: syslinux reads one, systemd-boot is a program of its own."""
    if image.firmware == "bios":
        write(f"{boot}/syslinux.cfg", "DEFAULT linux\nPROMPT 0\nLABEL linux\nKERNEL /vmlinuz\n"
              f"INITRD /initrd.img\nAPPEND {command_line}\n")
        return
    os.makedirs(f"{boot}/EFI/BOOT")
    shutil.copy(f"{source}/usr/lib/systemd/boot/efi/systemd-bootx64.efi", f"{boot}/EFI/BOOT/BOOTX64.EFI")
    write(f"{boot}/loader/loader.conf", "timeout 0\ndefault linux.conf\n")
    write(f"{boot}/loader/entries/linux.conf",
          f"title Linux\nlinux /vmlinuz\ninitrd /initrd.img\noptions {command_line}\n")


# Changes to a tree that make a variant of an image.

def mini_noexec(tree):
    """No fresh file system can run programs."""
    with open(f"{tree}/etc/fstab", encoding="utf-8") as file:
        mounts = re.sub(r"^(tmpfs /(?:tmp|dev/shm) tmpfs )", r"\1noexec,", file.read(), flags=re.M)
    write(f"{tree}/etc/fstab", mounts + "tmpfs /var/tmp tmpfs nosuid,nodev,noexec,mode=1777 0 0\n"
          "tmpfs /root tmpfs nosuid,nodev,noexec,mode=700 0 0\n")


def mini_no_9p(tree):
    for path in glob.glob(f"{tree}/usr/lib/modules/*/kernel/**/9p*.ko*", recursive=True):
        os.unlink(path)


def mini_no_guest_exec(tree):
    """By the agent's own option; Debian's way is a file."""
    write(f"{tree}/etc/qemu-ga.options", "--block-rpcs=guest-exec,guest-exec-status\n")


def mini_panic(tree):
    os.unlink(f"{tree}/sbin/init")
    shutil.copy(f"{HERE}/mini/panic-init", f"{tree}/sbin/init")


def mini_no_agent(tree):
    os.unlink(f"{tree}/usr/sbin/qemu-ga")
    write(f"{tree}/etc/inittab", "ttyS0::respawn:/sbin/getty -L ttyS0 115200 vt100\n", "a")


def debian_no_guest_exec(tree):
    write(f"{tree}/etc/qemu/qemu-ga.conf", "[general]\nblock-rpcs=guest-exec,guest-exec-status\n")


def debian_no_agent(tree):
    """What removing the package would leave."""
    with open(f"{tree}/var/lib/dpkg/info/qemu-guest-agent.list", encoding="utf-8") as file:
        paths = [f"{tree}{line.strip()}" for line in file]
    for path in [*paths, *glob.glob(f"{tree}/var/lib/dpkg/info/qemu-guest-agent.*")]:
        if os.path.lexists(path) and not os.path.isdir(path):
            os.unlink(path)
    with open(f"{tree}/var/lib/dpkg/status", encoding="utf-8") as file:
        packages = file.read().split("\n\n")
    write(f"{tree}/var/lib/dpkg/status",
          "\n\n".join(text for text in packages if not text.startswith("Package: qemu-guest-agent\n")))
