/* SPDX-License-Identifier: Apache-2.0 */
/* What the console of a booting image is taken for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"
#include "console/boot-console.h"

/* The end of a console, and what its meaning must speak of; NULL: the boot goes on. */
static void an_end_is_told_from_a_boot_that_goes_on(void **state) {
    static const struct {
        const char *text;
        const char *meaning;
    } cases[] = {
        {NULL, NULL},
        {"", NULL},
        {"SeaBIOS (version 1.16.2)\r\nBooting from Hard Disk...\r\n", NULL},
        {"Booting from Hard Disk...\r\nBoot failed: not a bootable disk\r\n\r\nNo bootable device.\r\n", "uefi = true"},
        {"Boot failed: not a bootable disk\r\n", NULL},
        {"BdsDxe: loading Boot0001 \"UEFI Misc Device\"\r\n", NULL},
        {"UEFI Interactive Shell v2.2\r\nEDK II\r\nShell> ", "remove uefi"},
        {"UEFI Interactive Shell v2.2\r\n\033[1m\033[33m\033[40mShell> \033[0m\033[37m\033[40m", "remove uefi"},
        {"UEFI Interactive Shell v2.2\r\nShell> fs0:\r\nFS0:\\> \\EFI\\X\\B.EFI\r\n", NULL},
        {"UEFI Interactive Shell v2.2\r\nPress ESC in 5 seconds to skip startup.nsh", NULL},
        {"BdsDxe: No bootable option or device was found.\r\nBdsDxe: Press any key to enter the Boot Manager Menu.\r\n",
         "remove uefi"},
        {"error: no such partition.\r\nEntering rescue mode...\r\ngrub rescue> ", "GRUB"},
        {"Linux version 6.1.0\r\nALERT!  UUID=1 does not exist.  Dropping to a shell!\r\n(initramfs) ",
         "root file system"},
        {"You are in emergency mode. After logging in, type \"journalctl -xb\"\r\n", "emergency"},
        {"[    1.0] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n", "panicked"},
        {"Debian GNU/Linux 12 debian ttyS0\r\n\r\ndebian login: ", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const char *meaning = boot_console_failure(cases[i].text);

        if (!cases[i].meaning)
            assert_null(meaning);
        else if (!meaning || !strstr(meaning, cases[i].meaning))
            fail_msg("case %zu: %s", i, meaning ? meaning : "no end was seen");
    }
}

static void the_last_sign_counts(void **state) {
    (void)state;
    assert_non_null(
        strstr(boot_console_failure("No bootable device.\r\n...\r\nUEFI Interactive Shell v2.2\r\nShell> "), "shell"));
    assert_non_null(strstr(boot_console_failure("UEFI Interactive Shell v2.2\r\nShell>\r\ngrub rescue> "), "GRUB"));
}

static void what_has_long_scrolled_by_does_not_count(void **state) {
    _cleanup_buffer_ struct buffer text = {0};

    (void)state;
    buffer_append_string(&text, "No bootable device.\r\n");
    assert_non_null(boot_console_failure(text.data));
    for (unsigned i = 0; i < 200; i++)
        buffer_printf(&text, "[    %u.000000] a line of the kernel that was started from the shell\r\n", i);
    assert_null(boot_console_failure(text.data));
}

static void a_panic_that_was_told_to_the_end_is_told_from_one_that_goes_on(void **state) {
    _cleanup_buffer_ struct buffer text = {0};

    (void)state;
    assert_false(boot_console_has_panicked(NULL));
    buffer_append_string(&text, "[    1.0] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n");
    assert_false(boot_console_has_panicked(text.data));
    buffer_append_string(&text, "[    1.1] ---[ end Kernel panic - not syncing: VFS: Unable to mount root fs ]---\r\n");
    assert_true(boot_console_has_panicked(text.data));
    for (unsigned i = 0; i < 200; i++)
        buffer_printf(&text, "[    %u.000000] a line of a system that somebody had written the above to\r\n", i);
    assert_false(boot_console_has_panicked(text.data));
}

static void a_guess_says_what_is_missing(void **state) {
    static const struct {
        const char *text;
        bool opened;
        const char *guess;
    } cases[] = {
        {NULL, false, "shows nothing"},
        {"", false, "uefi"},
        {"anything", true, "does not answer"},
        {"debian login: ", false, "install qemu-guest-agent"},
        {"[    0.0] Linux version 6.1.0\r\n", false, "boot_timeout"},
        {"systemd[1]: Starting\r\ndebian login: ", false, "asks for a login"},
        {"No bootable device.\r\n", false, "boot loader"},
        {"something else\r\n", false, "qemu-guest-agent"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *guess = boot_console_guess(cases[i].text, cases[i].opened);

        if (!strstr(guess, cases[i].guess))
            fail_msg("case %zu: %s", i, guess);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_end_is_told_from_a_boot_that_goes_on),
        cmocka_unit_test(the_last_sign_counts),
        cmocka_unit_test(what_has_long_scrolled_by_does_not_count),
        cmocka_unit_test(a_panic_that_was_told_to_the_end_is_told_from_one_that_goes_on),
        cmocka_unit_test(a_guess_says_what_is_missing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
