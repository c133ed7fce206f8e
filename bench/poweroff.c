// SPDX-License-Identifier: Apache-2.0
// The least init there is: the bare QEMU that vmtest is measured against ends as soon as its kernel is up.
#include <sys/reboot.h>

int main(void) {
    reboot(RB_POWER_OFF);
    return 1;
}
