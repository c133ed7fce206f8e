/* SPDX-License-Identifier: Apache-2.0 */
/* How a panic on the console is described. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "base/str.h"
#include "console/kmsg.h"
#include "console/panic.h"

#define PANIC "Kernel panic - not syncing: "
#define STAMP "[    1.234567] "

static void check(const char *name, const char *console, const char *expected) {
    _cleanup_free_ char *description = panic_describe(console);

    if (!str_equal(description, expected))
        fail_msg("%s: %s", name, description ? description : "no panic");
}

static void recorded_panics_name_their_function(void **state) {
    static const struct {
        const char *file;
        const char *description;
    } cases[] = {
#include "test-panic-corpus.h"
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", getenv("CONSOLES"), cases[i].file);
        _cleanup_buffer_ struct buffer text = {0};
        _cleanup_error_ struct error *error = NULL;

        assert_int_equal(file_read(path, 1U << 20, &text, &error), 0);
        check(cases[i].file, text.data, cases[i].description);
    }
}

static void a_console_without_a_panic_has_none(void **state) {
    (void)state;
    check("none", NULL, NULL);
    check("empty", "", NULL);
    check("a boot", STAMP "Linux version 6.1.0\n", NULL);
    check("words within a line", STAMP "panic: Kernel panic - not syncing: no\n", NULL);
    check("the end alone", STAMP "---[ end " PANIC "sysrq triggered crash ]---\n", NULL);
}

static void the_panic_is_told_without_its_time_stamp(void **state) {
    (void)state;
    check("bare", PANIC "VFS: no root", PANIC "VFS: no root");
    check("stamped", STAMP PANIC "VFS: no root\r\n", PANIC "VFS: no root");
    check("caller", "[    1.234567][    T1] " PANIC "VFS: no root \t\r\n", PANIC "VFS: no root");
    check("prompt", "debian login: " STAMP PANIC "VFS: no root\r\n", PANIC "VFS: no root");
    check("level", "<0>" STAMP PANIC "VFS: no root\r\n", PANIC "VFS: no root");
}

static void the_newest_boots_last_panic_counts(void **state) {
    (void)state;
    check("two", STAMP PANIC "one\n" STAMP PANIC "two\n", PANIC "two");
    check("a boot later", STAMP PANIC "one\n" KMSG_REBOOT_MARK "\n" STAMP "Linux version 6.1.0\n", NULL);
    check("panics of two boots", STAMP PANIC "one\r\n" KMSG_REBOOT_MARK "\r\n" STAMP PANIC "two\n", PANIC "two");
    check("the fault of another boot",
          STAMP "RIP: 0010:one+0x1/0x2\n" KMSG_REBOOT_MARK "\n" STAMP PANIC "Fatal exception\n",
          PANIC "Fatal exception");
    check("a program's words", STAMP PANIC "one\n" STAMP KMSG_REBOOT_MARK "\n", PANIC "one");
}

static void the_function_comes_from_the_trace_or_the_fault(void **state) {
    static const struct {
        const char *name;
        const char *console;
        const char *description;
    } cases[] = {
        {"x86",
         PANIC "x\nCPU: 0 PID: 1 Comm: sh\nCall Trace:\n <TASK>\n dump_stack_lvl+0x44/0x5c\n panic+0x118/0x2f2\n"
               " ? guess+0x1/0x2\n doing_it+0x16/0x20\n caller+0x1/0x2\n </TASK>\n",
         PANIC "x (in doing_it)"},
        {"vpanic",
         PANIC "x\nCall Trace:\n <TASK>\n vpanic+0x1/0x2\n panic+0x57/0x60\n doing_it.cold+0x1/0x2 [module]\n",
         PANIC "x (in doing_it)"},
        {"nmi",
         PANIC "x\nCall Trace:\n <NMI>\n __dump_stack+0x1/0x2\n dump_stack+0x6b/0x83\n panic+0x1/0x2\n"
               " nmi_panic.cold+0x1/0x2\n watchdog.constprop.0.isra.1+0x1/0x2\n",
         PANIC "x (in watchdog)"},
        {"arm64",
         PANIC "x\nCall trace:\n dump_backtrace+0x0/0x1e0\n show_stack+0x20/0x30\n dump_stack_lvl+0x60/0x80\n"
               " dump_stack+0x18/0x24\n panic+0x160/0x350\n doing_it+0x10/0x20\n",
         PANIC "x (in doing_it)"},
        {"s390",
         PANIC "x\nCall Trace:\n [<00000000001141c6>] show_stack+0x8e/0xd0\n [<0000000000a1e2c4>] panic+0x1/0x2\n"
               "([<0000000000a1e2c4>] doing_it+0x1/0x2)\n",
         PANIC "x (in doing_it)"},
        {"no trace", PANIC "x\n---[ end " PANIC "x ]---\n doing_it+0x1/0x2\n", PANIC "x"},
        {"words that are no trace", PANIC "x\n a line of text\ndoing_it+0x1/0x2\n", PANIC "x"},
        {"an oops", "RIP: 0010:doing_it+0x1/0x2\n---[ end trace 0 ]---\n" PANIC "Fatal exception\n",
         PANIC "Fatal exception (in doing_it)"},
        {"an oops in an interrupt",
         "RIP: 0010:older+0x1/0x2\nRIP: 0010:doing_it.cold+0x1/0x2 [m]\nRIP: 0033:0x7f\n---[ end trace 0 ]---\n" PANIC
         "Fatal exception in interrupt\n",
         PANIC "Fatal exception in interrupt (in doing_it)"},
        {"two oopses",
         "RIP: 0010:older+0x1/0x2\n---[ end trace 0 ]---\nRIP: 0010:doing_it+0x1/0x2\n---[ end trace 0 ]---\n" PANIC
         "Fatal exception\n",
         PANIC "Fatal exception (in doing_it)"},
        {"a jump to nowhere",
         "RIP: 0010:older+0x1/0x2\nCall Trace:\n <TASK>\n oldest+0x1/0x2\n---[ end trace 0 ]---\nRIP: 0010:0x0\n"
         "Code: Unable to access opcode bytes at 0xffffffffffffffd6.\nCall Trace:\n <TASK>\n ? guess+0x1/0x2\n"
         " doing_it+0x1/0x2 [m]\n caller+0x1/0x2\n RIP: 0033:0x7f\n---[ end trace 0 ]---\nRIP: 0010:0x0\n" PANIC
         "Fatal exception\n",
         PANIC "Fatal exception (in doing_it)"},
        {"a jump to nowhere, of which the trace is guessed, behind another oops",
         "RIP: 0010:older+0x1/0x2\n---[ end trace 0 ]---\nRIP: 0010:0x0\nCall Trace:\n ? guess+0x1/0x2\n"
         "---[ end trace 0 ]---\n" PANIC "Fatal exception\n",
         PANIC "Fatal exception"},
        {"a jump to nowhere without a trace", "RIP: 0010:0x0\n---[ end trace 0 ]---\n" PANIC "Fatal exception\n",
         PANIC "Fatal exception"},
        {"a function whose name begins as a panic's own do",
         PANIC "x\nCall Trace:\n panic+0x1/0x2\n panic_test_write+0x1/0x2 [m]\n vfs_write+0x1/0x2\n",
         PANIC "x (in panic_test_write)"},
        {"an oops on arm64",
         "pc : doing_it+0x10/0x20\nlr : caller+0x1/0x2\n---[ end trace 0 ]---\n" PANIC "Oops: Fatal exception\n",
         PANIC "Oops: Fatal exception (in doing_it)"},
        {"an oops on RISC-V", "epc : doing_it+0x10/0x20\n ra : caller+0x1/0x2\n" PANIC "Fatal exception\n",
         PANIC "Fatal exception (in doing_it)"},
        {"an oops on s390",
         "Krnl PSW : 0704c00180000000 000003ff8011a0d2 (doing_it+0x10/0x20 [m])\n" PANIC
         "Fatal exception: panic_on_oops\n",
         PANIC "Fatal exception: panic_on_oops (in doing_it)"},
        {"a warning",
         "RIP: 0010:doing_it+0x1/0x2\n" PANIC "kernel: panic_on_warn set ...\nCall Trace:\n panic+0x1/0x2\n"
         " check_panic_on_warn+0x1/0x2\n __warn+0x1/0x2\n",
         PANIC "kernel: panic_on_warn set ... (in doing_it)"},
        {"a warning without registers", PANIC "panic_on_warn set ...\nCall Trace:\n panic+0x1/0x2\n __warn+0x1/0x2\n",
         PANIC "panic_on_warn set ... (in __warn)"},
        {"a warning after an older one",
         "RIP: 0010:older+0x1/0x2\n---[ end trace 0 ]---\n" PANIC "UBSAN: panic_on_warn set ...\nCall Trace:\n"
         " panic+0x1/0x2\n check_panic_on_warn+0x1/0x2\n ubsan_epilogue+0x1/0x2\n",
         PANIC "UBSAN: panic_on_warn set ... (in ubsan_epilogue)"},
        {"a lockup",
         "RIP: 0010:doing_it+0x1/0x2\n" PANIC
         "softlockup: hung tasks\nCall Trace:\n panic+0x1/0x2\n watchdog_timer_fn+0x1/0x2\n",
         PANIC "softlockup: hung tasks (in doing_it)"},
        {"a panic long after an oops",
         "RIP: 0010:older+0x1/0x2\n---[ end trace 0 ]---\n" PANIC "sysrq triggered crash\nCall Trace:\n panic+0x1/0x2\n"
         " sysrq_handle_crash+0x1/0x2\n",
         PANIC "sysrq triggered crash (in sysrq_handle_crash)"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        check(cases[i].name, cases[i].console, cases[i].description);
}

/* Each beginning of a console is a console, too. */
static void a_console_that_is_cut_off_does_no_harm(void **state) {
    static const char text[] = STAMP "RIP: 0010:f+0x1/0x2\n" STAMP PANIC "Fatal exception\n" STAMP " [<0>] g+0x1/0x2\n"
                                     "Krnl PSW : 0 0 (h+0x1/0x2)\n" KMSG_REBOOT_MARK "\n" STAMP PANIC "x";

    (void)state;
    for (size_t size = 0; size < sizeof(text); size++) {
        _cleanup_free_ char *console = xstrndup(text, size);
        _cleanup_free_ char *description = panic_describe(console);

        if (size == sizeof(text) - 1)
            assert_string_equal(description, PANIC "x");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_panics_name_their_function),
        cmocka_unit_test(a_console_without_a_panic_has_none),
        cmocka_unit_test(the_panic_is_told_without_its_time_stamp),
        cmocka_unit_test(the_newest_boots_last_panic_counts),
        cmocka_unit_test(the_function_comes_from_the_trace_or_the_fault),
        cmocka_unit_test(a_console_that_is_cut_off_does_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
