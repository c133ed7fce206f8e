# SPDX-License-Identifier: Apache-2.0
"""What a machine with an image does: firmware and system on the console, the guest agent's port, a way down."""
import os
import signal
import sys
import time

from fake_machine import PANIC, STDERR, STDOUT, READY, TASKS_SHOWN, frame, hello, scenario
from fake_notes import hang, is_told, note, wait_for


def set_port(fake, is_open):
    """The guest has the guest agent's port open, or not."""
    fake.qmp.event("VSERPORT_CHANGE", {"open": is_open, "id": "qga"})


def fdsets(fake):
    """The descriptors of -add-fd by their sets: 1, the overlay; 3, the disk of a template."""
    values = [value for option, value in zip(fake.argv, fake.argv[1:]) if option == "-add-fd"]
    sets = {fields["set"]: int(fields["fd"]) for fields in
            (dict(field.split("=") for field in value.split(",")) for value in values)}
    note("fdsets", " ".join(sorted(sets)))
    return sets


def write_to_disk(fake):
    """As a guest does in its boot; and notes whether another has done so before."""
    overlay = fdsets(fake).get("1")
    if overlay is not None:
        note("overlay_is_fresh", b"written by" not in os.pread(overlay, 1 << 20, 0))
        os.pwrite(overlay, b"written by the guest", 600 << 10)


def power_off(fake):
    """As the guest does it by itself."""
    time.sleep(0.2)
    note("powered_off")
    fake.qmp.event("SHUTDOWN", {"guest": True, "reason": "guest-shutdown"})
    os._exit(0)


def begin(fake):
    """QEMU is there and the firmware has begun."""
    fake.qmp.commands["system_powerdown"] = lambda _: press_button(fake)
    fake.guest.on_shutdown = lambda: power_off(fake)
    fake.guest.on_tasks = lambda: fake.console.sendall(TASKS_SHOWN)
    fake.greet()
    fake.console.sendall(b"SeaBIOS (fake)\r\n")


def press_button(fake):
    note("button")
    if fake.plan.get("button") != "dead":
        fake.qmp.event("POWERDOWN")
        power_off(fake)
    return {}


def come_up(fake):
    """The guest agent runs, and does with vmtest's what the plan says. Ends once that says hello."""
    set_port(fake, True)
    fake.guest.serve()
    fake.guest.attached.wait()
    fake.send(hello(release="6.1.0-image"))


def set_up(fake):
    come_up(fake)
    fake.take_setup()
    note("mounts", repr(fake.mounts))
    fake.send(frame(READY))


def run(fake):
    set_up(fake)
    fake.take_exec()
    note("running")


@scenario
def image(fake):
    """A good one, but for what the plan says."""
    begin(fake)
    run(fake)
    fake.output(STDOUT, b"out\n")
    fake.output(STDERR, b"err\n")
    fake.obey()


@scenario
def image_axes(fake):
    begin(fake)
    run(fake)
    fake.tell_axes()
    fake.finish()


@scenario
def image_says_nothing(fake):
    """But what the plan has for the console."""
    fake.greet()
    fake.console.sendall(fake.plan.get("console", "").encode())
    hang()


# The console, before anybody has been talked to: [[SECONDS, TEXT], ...], then what the plan's "then" says.

@scenario
def image_shows(fake):
    begin(fake)
    for seconds, text in fake.plan["console"]:
        time.sleep(seconds)
        fake.console.sendall(text.encode())
    time.sleep(fake.plan.get("pause", 0))
    then = fake.plan.get("then", "hang")
    if then == "reset":
        fake.qmp.event("RESET", {"guest": True, "reason": "guest-reset"})
    elif then == "pvpanic":
        fake.qmp.event("GUEST_PANICKED", {"action": "pause"})
    elif then == "work":
        run(fake)
        fake.obey()
    hang()


# Reboots.

def reboot(fake):
    """The guest agent's port closes, the machine resets somewhat later, and comes up again after a while."""
    note("rebooted")
    set_port(fake, False)
    time.sleep(0.2)
    fake.qmp.event("RESET", {"guest": True, "reason": "guest-reset"})
    time.sleep(0.5)
    fake.guest.begin()


@scenario
def image_reboots_on_its_way_up(fake):
    """When the plan's "reboot" says: before the sync is answered, or once that command has come."""
    begin(fake)
    set_port(fake, True)
    while True:
        command, arguments = fake.guest.receive()
        if command == fake.plan["reboot"]:
            break
        fake.guest.answer(command, arguments)
    reboot(fake)
    run(fake)
    fake.obey()


@scenario
def image_restarts_its_guest_agent(fake):
    """As an update of the package does: the port closes and opens again, and the new one has been asked nothing."""
    begin(fake)
    set_port(fake, True)
    fake.guest.answer(*fake.guest.receive())
    fake.guest.receive()
    set_port(fake, False)
    time.sleep(0.5)
    fake.guest.begin()
    run(fake)
    fake.obey()


@scenario
def image_reboots_after_hello(fake):
    begin(fake)
    come_up(fake)
    fake.take_setup()
    reboot(fake)
    hang()


@scenario
def image_reboots_during_the_command(fake):
    begin(fake)
    run(fake)
    reboot(fake)
    hang()


@scenario
def image_reboots_during_the_guest_agents_command(fake):
    begin(fake)
    set_port(fake, True)
    fake.guest.serve()
    wait_for("asked")
    reboot(fake)
    hang()


@scenario
def image_stops_its_guest_agent_during_the_command(fake):
    begin(fake)
    set_port(fake, True)
    fake.guest.serve()
    wait_for("asked")
    set_port(fake, False)
    if fake.plan.get("again"):
        time.sleep(0.2)
        set_port(fake, True)
    hang()


# What vmtest is told over QMP.

@scenario
def image_has_a_disk_error(fake):
    begin(fake)
    run(fake)
    fake.qmp.event("BLOCK_IO_ERROR", {"device": "", "node-name": "disk", "operation": "write", **fake.plan["error"]})
    if fake.plan["error"]["action"] == "ignore":
        fake.obey()
    hang()


@scenario
def image_is_locked(fake):
    """QEMU's own words, in its two lines."""
    print("qemu-system-x86_64: -device virtio-blk-pci,drive=image,bootindex=0: Failed to get shared \"write\" lock\n"
          "Is another process using the image [/images/disk.raw]?", file=sys.stderr)
    sys.exit(1)


@scenario
def image_panics_during_the_command(fake):
    begin(fake)
    run(fake)
    fake.answer_pings = False
    fake.console.sendall(PANIC)
    hang()


@scenario
def image_shows_a_panic_during_the_guest_agents_command(fake):
    begin(fake)
    set_port(fake, True)
    fake.guest.serve()
    wait_for("asked")
    fake.console.sendall(PANIC)
    hang()


@scenario
def emulator_fails_once(fake):
    """As QEMU 7.2 does now and then: an assertion during the boot."""
    begin(fake)
    write_to_disk(fake)
    if is_told("failed"):
        run(fake)
        fake.obey()
    note("failed")
    os.kill(os.getpid(), signal.SIGABRT)
    hang()
