/* SPDX-License-Identifier: Apache-2.0 */
/* 9p over virtio (QEMU's docs, "9p"; Linux' Documentation/filesystems/9p.rst): QEMU itself is the server. */
#include "share/transport.h"

#define DEVICE "virtio-9p"
#define OPTIONS "trans=virtio,version=9p2000.L,msize=512000,access=client,cache="

static const struct driver drivers[] = {
    {"9p", "CONFIG_9P_FS", "CONFIG_NETWORK_FILESYSTEMS", DRIVER_ALWAYS, {"Installing v9fs 9p2000 file system support"}},
    {"9pnet_virtio",
     "CONFIG_NET_9P_VIRTIO",
     "CONFIG_NET_9P",
     DRIVER_ALWAYS,
     {"no channels available for device", "Failed to allocate virtio 9P channel"}},
    {0},
};

static void append_arguments(const struct share *share, const char *path, const char *device_suffix,
                             struct strv *ret_argv) {
    strv_append(ret_argv, "-fsdev");
    strv_append_printf(ret_argv, "local,id=%s,path=%s,security_model=none,multidevs=remap%s", share->tag, path,
                       share->writable ? "" : ",readonly=on");
    strv_append(ret_argv, "-device");
    strv_append_printf(ret_argv, DEVICE "%s,fsdev=%s,mount_tag=%s", device_suffix, share->tag, share->tag);
}

const struct share_transport share_9p = {
    .name = "9p",
    .drivers = drivers,
    .kernel_lacks = "has no 9p, by which a guest gets its files",
    .kernel_advice = "take the distribution's generic kernel (its cloud kernel leaves 9p out)",
    .device = DEVICE,
    .qemu_arguments = append_arguments,
    .mount_type = "9p",
    /* Without cache=mmap MAP_SHARED fails, and SQLite with it. */
    .mount_options = OPTIONS "mmap",
    .mount_options_unchanged = OPTIONS "loose",
};
