/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shuts an image down that is written to: through the guest agent first, by the power button next. A pass becomes an
 * error if the guest does not shut down, since its file systems may be damaged.
 */
#include "worker/image-shutdown.h"

#include "machine/image-way.h"

/* systemd gives a service that does not stop 90 s. */
#define SHUTDOWN_TIMEOUT_KVM (120 * NSEC_PER_SEC)
#define SHUTDOWN_TIMEOUT_TCG (300 * NSEC_PER_SEC)
/* Press the power button as well if the guest agent has not begun within this time. */
#define BUTTON_AFTER_KVM (10 * NSEC_PER_SEC)
#define BUTTON_AFTER_TCG (60 * NSEC_PER_SEC)

static const char not_in_order[] =
    "the guest was stopped without having shut down, though its image is written to: the "
    "image's file systems may need a check";

bool image_is_down(const struct machine *machine) {
    return machine->qemu_gone || machine->qmp.panicked || machine->qmp.io_error;
}

static bool may_answer(const struct machine *machine) {
    return machine_is_up(machine) && !machine->qemu_gone && machine->verdict != VERDICT_PANIC &&
           machine->verdict != VERDICT_LOST && !machine->qmp.io_error;
}

void image_shut_down(struct machine *machine) {
    bool kvm = machine->accel == ACCEL_KVM;
    deadline_t deadline = deadline_in(kvm ? SHUTDOWN_TIMEOUT_KVM : SHUTDOWN_TIMEOUT_TCG);
    deadline_t button = deadline_in(kvm ? BUTTON_AFTER_KVM : BUTTON_AFTER_TCG);

    if (!may_answer(machine)) {
        /* It may have been writing. */
        if (machine->stage != STAGE_PREPARE)
            machine_notice(machine, not_in_order);
        return;
    }
    if (machine->verdict == VERDICT_CANCELLED)
        machine_notice(machine, "shutting the guest down, since its image is written to; stop once more to kill it");

    _cleanup_closing_ struct machine *closing = machine_begin_closing(machine);
    machine->way->shut_down(machine, button);
    if (!image_is_down(machine) && !machine->ended) {
        buffer_append_string(&machine->qmp_out, QMP_POWERDOWN);
        (void)machine_wait(machine, image_is_down, deadline);
    }
    if (machine->qemu_gone && str_equal(machine->qmp.shutdown, "guest-shutdown"))
        return;

    if (machine->verdict == VERDICT_PASS) {
        machine->verdict = VERDICT_ERROR;
        free(machine->reason);
        machine->reason = xstrdup(not_in_order);
    } else {
        machine_notice(machine, not_in_order);
    }
}
