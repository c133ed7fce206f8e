// SPDX-License-Identifier: Apache-2.0
// The smallest init: plain QEMU, which vmtest is measured against, exits as soon as its kernel is up.
#include <sys/reboot.h>

int main(void) {
    reboot(RB_POWER_OFF);
    return 1;
}
