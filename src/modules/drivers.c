/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The drivers a guest needs, those that no run can do without first. The markers are messages of the drivers' own code
 * that no other part of a kernel has (looked up in the kernels 5.10, 6.1, 6.12 and 7.2 of Debian); an optional driver
 * needs none, as nothing is to be done whether it is built in or absent.
 */
#include "modules/drivers.h"

#include "base/cleanup.h"
#include "share/transport.h"

const struct driver drivers[] = {
    {"virtio_pci",
     "CONFIG_VIRTIO_PCI",
     NULL,
     DRIVER_ALWAYS,
     {"does not have VIRTIO_F_VERSION_1", "shm cap with bad size", "virtio_pci: leaving for legacy driver"}},
    {"virtio_console",
     "CONFIG_VIRTIO_CONSOLE",
     NULL,
     DRIVER_ALWAYS,
     {"Error allocating inbufs", "guest_connected: %d"}},
    {"overlay",
     "CONFIG_OVERLAY_FS",
     NULL,
     DRIVER_OVERLAY,
     {"overlayfs: failed to create directory", "overlayfs: statfs failed on"}},
    {"virtio_rng", "CONFIG_HW_RANDOM_VIRTIO", NULL, DRIVER_OPTIONAL, {NULL}},
    {"pvpanic", "CONFIG_PVPANIC", NULL, DRIVER_OPTIONAL, {NULL}},
    {"pvpanic_mmio", "CONFIG_PVPANIC_MMIO", NULL, DRIVER_OPTIONAL, {NULL}},
    {"pvpanic_pci", "CONFIG_PVPANIC_PCI", NULL, DRIVER_OPTIONAL, {NULL}},
    /* It tells QEMU what the reader of a dump needs, where that asks (vmcoreinfo). */
    {"qemu_fw_cfg", "CONFIG_FW_CFG_SYSFS", NULL, DRIVER_OPTIONAL, {NULL}},
    {"vmgenid", "CONFIG_VMGENID", NULL, DRIVER_OPTIONAL, {NULL}},
};
const size_t n_drivers = ARRAY_SIZE(drivers);

bool module_name_equal(const char *a, const char *b) {
    for (;; a++, b++) {
        char x = *a == '-' ? '_' : *a;
        char y = *b == '-' ? '_' : *b;
        if (x != y)
            return false;
        if (x == '\0')
            return true;
    }
}

bool driver_is_known(const char *module) {
    for (size_t i = 0; i < n_drivers; i++) {
        if (module_name_equal(module, drivers[i].module))
            return true;
    }
    for (unsigned choice = 0; choice < SHARE_NONE; choice++) {
        for (const struct driver *driver = share_transport((enum share_choice)choice)->drivers; driver->module;
             driver++) {
            if (module_name_equal(module, driver->module))
                return true;
        }
    }
    return false;
}
