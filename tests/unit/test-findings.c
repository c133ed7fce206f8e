/* SPDX-License-Identifier: Apache-2.0 */
/* What the detectors find on consoles: recorded ones (data/console, see the README there) and made-up ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/str.h"
#include "console/findings.h"
#include "console/kmsg.h"

#include "test-findings-corpus.h"

#define STAMP "[    1.234567] "

/* The findings' kinds and titles, a line each. Caller frees. */
static char *list_of(const struct findings *findings) {
    struct buffer list = {0};

    for (size_t i = 0; i < findings->count; i++)
        buffer_printf(&list, "%s: %s\n", finding_kind_name(findings->items[i].kind), findings->items[i].title);
    return buffer_take(&list);
}

/* Feeds `text` in pieces of `size` bytes (0: at once), then of one byte more each up to `limit`, and again. */
static char *list_in_pieces(const char *text, size_t length, size_t size, size_t limit) {
    struct findings findings;
    size_t piece = size ? size : length;
    char *list;

    findings_init(&findings);
    for (size_t at = 0; at < length;) {
        size_t take = length - at < piece ? length - at : piece;

        findings_feed(&findings, text + at, take);
        at += take;
        piece = limit && ++piece > limit ? size : piece;
    }
    findings_end(&findings);
    list = list_of(&findings);
    findings_deinit(&findings);
    return list;
}

static char *list_of_text(const char *text) {
    return list_in_pieces(text, strlen(text), 0, 0);
}

static const char *corpus_dir(void) {
    const char *dir = getenv("CONSOLES");

    return dir ? dir : ".";
}

static char *read_corpus(const char *name, size_t *ret_size) {
    _cleanup_free_ char *path = xasprintf("%s/%s", corpus_dir(), name);
    struct buffer text = {0};
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    char piece[4096];
    size_t size;

    if (!file)
        fail_msg("%s cannot be opened", path);
    while ((size = fread(piece, 1, sizeof(piece), file)) > 0)
        buffer_append(&text, piece, size);
    *ret_size = text.size;
    return buffer_take(&text);
}

static void recorded_consoles_show_what_is_listed(void **state) {
    static const struct {
        size_t size;
        size_t limit;
    } ways[] = {{0, 0}, {1, 0}, {7, 0}, {1, 97}, {4096, 0}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(corpus); i++) {
        size_t size;
        _cleanup_free_ char *text = read_corpus(corpus[i].file, &size);

        for (size_t way = 0; way < ARRAY_SIZE(ways); way++) {
            _cleanup_free_ char *list = list_in_pieces(text, size, ways[way].size, ways[way].limit);

            if (!str_equal(list, corpus[i].findings))
                fail_msg("%s, way %zu, shows:\n%s", corpus[i].file, way, list);
        }
    }
}

static void every_file_of_the_corpus_is_listed(void **state) {
    _cleanup_closedir_ DIR *dir = opendir(corpus_dir());
    size_t n_files = 0;

    (void)state;
    assert_non_null(dir);
    for (const struct dirent *entry; dir && (entry = readdir(dir)) != NULL;) {
        bool listed = !str_has_suffix(entry->d_name, ".log");

        n_files += !listed;
        for (size_t i = 0; i < ARRAY_SIZE(corpus) && !listed; i++)
            listed = str_equal(entry->d_name, corpus[i].file);
        if (!listed)
            fail_msg("%s is not listed", entry->d_name);
    }
    assert_int_equal(n_files, ARRAY_SIZE(corpus));
}

/* A kernel that was told to write no time stamps, or something before them, is understood as well. */
static void what_stands_before_a_line_does_not_matter(void **state) {
    static const char *const prefixes[] = {
        "",
        "[    0.000000] ",
        "[12345.678901] ",
        "[123456.789012] ",
        "<1>[    1.234567] ",
        "<12>",
        "[    1.234567][    T1] ",
        "[    1.234567][ T1234] ",
        "[    1.234567][    C0] ",
        "[    1.234567][T123456] ",
        "debian login: [    1.234567] ",
        "Starting something... [    1.234567][    C3] ",
        "[  OK  ] half a line[    1.234567] ",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
        _cleanup_free_ char *text =
            xasprintf("%sBUG: kernel NULL pointer dereference, address: 0000000000000008\r\n", prefixes[i]);
        _cleanup_free_ char *list = list_of_text(text);

        if (!str_equal(list, "oops: BUG: kernel NULL pointer dereference, address: 0000000000000008\n"))
            fail_msg("'%s': %s", prefixes[i], list);
    }
}

/* Those that no console of the corpus has. */
static void titles_tell_their_kind(void **state) {
    static const struct {
        enum finding_kind kind;
        const char *title;
    } cases[] = {
        {FINDING_ATOMIC_SLEEP, "BUG: scheduling in a non-blocking section: sh/93/0"},
        {FINDING_ATOMIC_SLEEP, "BUG: assuming atomic context at poke.c:61"},
        {FINDING_SOFT_LOCKUP, "NMI watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [sh:93]"},
        {FINDING_HARD_LOCKUP, "watchdog: Watchdog detected hard LOCKUP on cpu 1"},
        {FINDING_RCU_STALL, "INFO: rcu_tasks detected stalls on tasks:"},
        {FINDING_RCU_STALL, "rcu_tasks_trace: INFO: rcu_tasks_trace detected stalls on tasks:"},
        {FINDING_RCU_STALL,
         "rcu: INFO: rcu_preempt detected stall, but suppressed full report due to a stuck CSD-lock."},
        {FINDING_HUNG_TASK, "INFO: task kworker/0:1:12 blocked in I/O wait for more than 120 seconds."},
        {FINDING_OOPS, "BUG: Unable to handle kernel data access on write at 0x00000008"},
        {FINDING_OOPS, "traps: PANIC: double fault, error_code: 0x0"},
        {FINDING_OOPS, "PANIC: double fault, error_code: 0x0"},
        {FINDING_OOPS, "BUG: IRQ stack guard page was hit at 00000000 (stack is 00000001..00000002)"},
        {FINDING_OOPS, "Oops: stack guard page: 0000 [#1] SMP NOPTI"},
        {FINDING_OOPS, "Oops - illegal instruction [#1]"},
        {FINDING_OOPS, "Oops [#1]"},
        {FINDING_OOPS, "Unable to handle kernel paging request at virtual address ffff800000000000"},
        {FINDING_OOPS, "Internal error: synchronous external abort: 0000000096000010 [#1] SMP"},
        {FINDING_OOPS, "invalid opcode: 0000 [#1] PREEMPT SMP"},
        {FINDING_BUG, "Kernel BUG [#1]"},
        {FINDING_BUG, "BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 31s!"},
        {FINDING_BUG, "BUG: using smp_processor_id() in preemptible [00000000] code: sh/93"},
        {FINDING_LOCKDEP, "WARNING: possible recursive locking detected"},
        {FINDING_LOCKDEP, "WARNING: possible irq lock inversion dependency detected"},
        {FINDING_LOCKDEP, "WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected"},
        {FINDING_LOCKDEP, "WARNING: inconsistent lock state"},
        {FINDING_LOCKDEP, "WARNING: Nested lock was not taken"},
        {FINDING_LOCKDEP, "WARNING: bad contention detected!"},
        {FINDING_LOCKDEP, "WARNING: held lock freed!"},
        {FINDING_LOCKDEP, "WARNING: sh/93 still has locks held!"},
        {FINDING_LOCKDEP, "WARNING: lock held when returning to user space!"},
        {FINDING_LOCKDEP, "WARNING: chain_key collision"},
        {FINDING_LOCKDEP, "INFO: possible recursive locking detected"},
        {FINDING_LOCKDEP, "BUG: MAX_LOCKDEP_CHAINS too low!"},
        {FINDING_LOCKDEP, "BUG: MAX_STACK_TRACE_ENTRIES too low!"},
        {FINDING_OOM, "Out of memory (oom_kill_allocating_task): Killed process 12 (sh) total-vm:1kB"},
        {FINDING_OOM, "Out of memory and no killable processes..."},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *text = xasprintf(STAMP "%s\n", cases[i].title);
        _cleanup_free_ char *expected = xasprintf("%s: %s\n", finding_kind_name(cases[i].kind), cases[i].title);
        _cleanup_free_ char *list = list_of_text(text);

        if (!str_equal(list, expected))
            fail_msg("%s is taken for: %s", cases[i].title, list);
    }
}

static void these_lines_are_no_findings(void **state) {
    static const char *const lines[] = {
        "WARNING: something that an initramfs says",
        "WARNING: Spectre v2 mitigation leaves CPU vulnerable to RETBleed attacks, data leaks possible!",
        "WARNING: x1-x3 nonzero in violation of boot protocol:",
        "WARNING: kernel not compiled with CPU_SRSO.",
        "WARNING: CPU: a core is at its limit",
        "WARNING: polling idle and HT enabled, performance may degrade",
        "INFO: lockdep is turned off.",
        "INFO: NMI handler (perf_event_nmi_handler) took too long to run: 1.234 msecs",
        "INFO: task sh:93 is blocked on a mutex likely owned by task poke:96.",
        "rcu: INFO: Stall ended before state dump start",
        "rcu: Preemptible hierarchical RCU implementation.",
        "systemd[1]: BUG: that is a service's business",
        "fsck: WARNING: CPU: 0 PID: 1 at home",
        "test: BUG: KASAN: slab-out-of-bounds in nothing",
        "kmemleak: Kernel memory leak detector initialized (mem pool available: 15679)",
        "kmemleak: Automatic memory scanning thread started",
        "kasan: KernelAddressSanitizer initialized",
        "kcsan: enabled early",
        "kfence: initialized - using 2097152 bytes for 255 objects",
        "watchdog: Delayed init of the lockup detector failed: 0",
        "NMI watchdog: Perf NMI watchdog permanently disabled",
        "UBSAN: ",
        "a killed process: Out of memory: Killed process 12 (x)",
        "sh invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
        "Oops, that was wrong: [1]",
        "Kernel panic - not syncing: sysrq triggered crash",
        "---[ end Kernel panic - not syncing: sysrq triggered crash ]---",
        "==================================================================",
        "------------[ cut here ]------------",
        "list_add corruption",
        "sh[123]: segfault at 0 ip 0000000000000000 sp 00007ffd0e8ec8e8 error 14 in sh[55d0c0000000+5000]",
        "traps: a.out[92] general protection fault ip:401136 sp:7ffc error:0 in a.out[401000+1000]",
        "Freeing unused kernel image (initmem) memory: 2820K",
        "Running lock-debugging self-tests: BUG: none",
        "process 'poke' launched '/bin/sh' with NULL argv: empty string added",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        _cleanup_free_ char *stamped = xasprintf(STAMP "%s\n", lines[i]);
        _cleanup_free_ char *bare = xasprintf("%s\n", lines[i]);
        _cleanup_free_ char *with = list_of_text(stamped);
        _cleanup_free_ char *without = list_of_text(bare);

        if (!str_empty(with) || !str_empty(without))
            fail_msg("found: %s%s", with, without);
    }
}

/* On a console whose kernel writes time stamps, a program's "BUG: " is not the kernel's. */
static void vague_words_count_only_with_a_time_stamp_where_there_are_any(void **state) {
    static const struct {
        const char *text;
        const char *findings;
    } cases[] = {
        {"BUG: Bad page state in process sh  pfn:01234\n", "bug: BUG: Bad page state in process sh  pfn:01234\n"},
        {STAMP "Linux version 6.1.0\nBUG: in my test\n", ""},
        {STAMP "Linux version 6.1.0\n" STAMP "BUG: Bad rss-counter state mm:1 type:MM_ANONPAGES val:1\n",
         "bug: BUG: Bad rss-counter state mm:1 type:MM_ANONPAGES val:1\n"},
        {STAMP "Linux version 6.1.0\nsome result: 0000 [#1]\n", ""},
        {STAMP "Linux version 6.1.0\n-- the guest rebooted --\nBUG: Bad page map in process sh\n",
         "bug: BUG: Bad page map in process sh\n"},
        /* What leaves no doubt counts as it is: the stamps may have been switched off. */
        {STAMP "Linux version 6.1.0\nBUG: unable to handle page fault for address: ffffffffdead0000\n",
         "oops: BUG: unable to handle page fault for address: ffffffffdead0000\n"},
        {STAMP "Linux version 6.1.0\nInternal error: synchronous external abort: 0000000096000010 [#1] SMP\n",
         "oops: Internal error: synchronous external abort: 0000000096000010 [#1] SMP\n"},
        {STAMP "Linux version 7.2.0\nOops: divide error: 0000 [#1] SMP\n", "oops: Oops: divide error: 0000 [#1] SMP\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *list = list_of_text(cases[i].text);

        if (!str_equal(list, cases[i].findings))
            fail_msg("case %zu: %s", i, list);
    }
}

static void a_log_that_is_shown_again_is_not_counted_again(void **state) {
    _cleanup_free_ char *list = list_of_text(
        "Nov 23 07:00:38 debian kernel: [    1.234567] BUG: Bad page state in process sh  pfn:01234\n" STAMP
        "Linux version 6.1.0\n"
        "Nov 23 07:00:38 debian kernel: [    1.234567] WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2\n");

    (void)state;
    assert_string_equal(list, "");
}

static const char warning[] = STAMP
    "usb: a line before it\n" STAMP "------------[ cut here ]------------\n" STAMP "the value is 0\n" STAMP
    "WARNING: CPU: 0 PID: 93 at lib/poke.c:36 poke+0x26/0x2a\n" STAMP "Modules linked in: poke(OE) overlay\n" STAMP
    "CPU: 0 PID: 93 Comm: sh Tainted: G        W  OE      6.1.0 #1\n"
    "[  OK  ] Started a service.\n" STAMP "RIP: 0010:poke+0x26/0x2a\n" STAMP "Code: e8 f9 71 c1\n" STAMP
    "RAX: 0000000000000000 RBX: 0000000000000060 RCX: c0000000ffffefff\n" STAMP "Call Trace:\n" STAMP " <TASK>\n" STAMP
    " ? guessed+0x1/0x2\n" STAMP " poke_write+0xc4/0xfe\n" STAMP " </TASK>\n" STAMP
    "---[ end trace 0000000000000000 ]---\n" STAMP "usb: a line behind it\n";

static void a_report_is_kept_without_what_is_not_its_own(void **state) {
    struct findings findings;

    (void)state;
    findings_init(&findings);
    findings_feed(&findings, warning, strlen(warning));
    findings_end(&findings);
    assert_int_equal(findings.count, 1);
    assert_string_equal(findings.items[0].text.data, "------------[ cut here ]------------\n"
                                                     "the value is 0\n"
                                                     "WARNING: CPU: 0 PID: 93 at lib/poke.c:36 poke+0x26/0x2a\n"
                                                     "CPU: 0 PID: 93 Comm: sh Tainted: G        W  OE      6.1.0 #1\n"
                                                     "RIP: 0010:poke+0x26/0x2a\n"
                                                     "Call Trace:\n"
                                                     " <TASK>\n"
                                                     " poke_write+0xc4/0xfe\n"
                                                     " </TASK>\n"
                                                     "---[ end trace 0000000000000000 ]---\n");
    findings_deinit(&findings);
}

/* Reports without an end mark end where something else begins. */
static void a_report_ends_with_the_first_line_that_is_not_its_own(void **state) {
    static const char text[] =
        STAMP "INFO: task sh:93 blocked for more than 4 seconds.\n" STAMP "      Not tainted 6.1.0 #1\n" STAMP
              "\"echo 0 > /proc/sys/kernel/hung_task_timeout_secs\" disables this message.\n" STAMP
              "usb: new device\n" STAMP " an indented line of someone else's\n";
    struct findings findings;

    (void)state;
    findings_init(&findings);
    findings_feed(&findings, text, strlen(text));
    findings_end(&findings);
    assert_int_equal(findings.count, 1);
    assert_string_equal(findings.items[0].text.data,
                        "INFO: task sh:93 blocked for more than 4 seconds.\n"
                        "      Not tainted 6.1.0 #1\n"
                        "\"echo 0 > /proc/sys/kernel/hung_task_timeout_secs\" disables this message.\n");
    findings_deinit(&findings);
}

/* What each report of `text` is, one after the other with an empty line between. */
static void check_texts(const char *text, const char *expected) {
    _cleanup_buffer_ struct buffer texts = {0};
    struct findings findings;

    findings_init(&findings);
    findings_feed(&findings, text, strlen(text));
    findings_end(&findings);
    for (size_t i = 0; i < findings.count; i++)
        buffer_printf(&texts, "%s%s", i > 0 ? "\n" : "", findings.items[i].text.data);
    findings_deinit(&findings);
    assert_string_equal(texts.data, expected);
}

static void reports_that_follow_each_other_are_told_apart(void **state) {
    (void)state;
    check_texts("====================================\nBUG: KASAN: use-after-free in f+0x1/0x2\nRead of size 1\n"
                "====================================\nusb: new device\n",
                "BUG: KASAN: use-after-free in f+0x1/0x2\nRead of size 1\n");
    check_texts("oom-kill:constraint=CONSTRAINT_NONE\nOut of memory: Killed process 1 (sh) total-vm:1kB\n indented\n",
                "oom-kill:constraint=CONSTRAINT_NONE\nOut of memory: Killed process 1 (sh) total-vm:1kB\n");
    check_texts("BUG: KASAN: use-after-free in f+0x1/0x2\n------------[ cut here ]------------\nkernel BUG at a.c:1!\n",
                "BUG: KASAN: use-after-free in f+0x1/0x2\n\n------------[ cut here ]------------\n"
                "kernel BUG at a.c:1!\n");
    check_texts("list_add corruption. it is\n------------[ cut here ]------------\nkernel BUG at a.c:1!\n"
                "invalid opcode: 0000 [#1] SMP\nstack segment: 0000 [#2] SMP\n",
                "list_add corruption. it is\n------------[ cut here ]------------\nkernel BUG at a.c:1!\n"
                "invalid opcode: 0000 [#1] SMP\n\nstack segment: 0000 [#2] SMP\n");
}

static void a_line_begins_behind_a_carriage_return(void **state) {
    _cleanup_free_ char *list = list_of_text("10%\r20%\rkernel BUG at a.c:1!\r\r\n");

    (void)state;
    assert_string_equal(list, "bug: kernel BUG at a.c:1!\n");
}

static void a_finding_is_there_before_its_report_has_ended(void **state) {
    struct findings findings;

    (void)state;
    findings_init(&findings);
    findings_feed(&findings, STAMP "kernel BUG at a.c:1!", strlen(STAMP "kernel BUG at a.c:1!"));
    assert_int_equal(findings.count, 0);
    findings_feed(&findings, "\n", 1);
    assert_int_equal(findings.count, 1);
    assert_string_equal(findings.items[0].title, "kernel BUG at a.c:1!");
    assert_int_equal(findings_mask(&findings), FINDING_BIT(FINDING_BUG));
    findings_deinit(&findings);
}

static void a_last_line_without_a_line_feed_counts(void **state) {
    _cleanup_free_ char *list = list_of_text(STAMP "kernel BUG at a.c:1!");

    (void)state;
    assert_string_equal(list, "bug: kernel BUG at a.c:1!\n");
}

static void further_findings_are_counted(void **state) {
    struct findings findings;

    (void)state;
    findings_init(&findings);
    for (unsigned i = 0; i < 10000; i++) {
        _cleanup_free_ char *line = xasprintf(STAMP "kernel BUG at a.c:%u!\n", i);

        findings_feed(&findings, line, strlen(line));
    }
    findings_feed(&findings, warning, strlen(warning));
    assert_int_equal(findings.count, FINDINGS_MAX);
    assert_int_equal(findings.n_total, 10001);
    assert_int_equal(findings.n_of_kind[FINDING_BUG], 10000);
    assert_int_equal(findings_mask(&findings), FINDING_BIT(FINDING_BUG) | FINDING_BIT(FINDING_WARN));
    assert_string_equal(findings.items[FINDINGS_MAX - 1].title, "kernel BUG at a.c:31!");
    findings_deinit(&findings);
}

static void a_report_is_bounded(void **state) {
    _cleanup_buffer_ struct buffer text = {0};
    struct findings findings;
    unsigned n_lines = 0;

    (void)state;
    buffer_append_string(&text, STAMP "BUG: KASAN: slab-out-of-bounds in poke+0x1/0x2\n");
    for (unsigned i = 0; i < 5000; i++)
        buffer_printf(&text, STAMP "%0*u\n", (int)(i % 400), i);
    findings_init(&findings);
    findings_feed(&findings, text.data, text.size);
    findings_end(&findings);
    assert_int_equal(findings.count, 1);
    assert_true(findings.items[0].text.size <= FINDING_MAX_BYTES);
    for (const char *at = findings.items[0].text.data; (at = strchr(at, '\n')) != NULL; at++)
        n_lines++;
    assert_int_equal(n_lines, FINDING_MAX_LINES);
    findings_deinit(&findings);
}

/* What a program wrote without ever ending the line does not hide the kernel's line behind it. */
static void a_very_long_line_hides_nothing(void **state) {
    static const char *const fillers[] = {"x", "[", "\r", "progress [  1.5] 10%", "\xff\xfe", "[    1.234567]x"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(fillers); i++) {
        _cleanup_buffer_ struct buffer text = {0};
        _cleanup_free_ char *list = NULL;

        while (text.size < 1U << 20)
            buffer_append_string(&text, fillers[i]);
        buffer_append_string(&text, STAMP "kernel BUG at a.c:1!\n" STAMP "kernel BUG at a.c:2!\n");
        list = list_in_pieces(text.data, text.size, 0, 0);
        if (!str_equal(list, "bug: kernel BUG at a.c:1!\nbug: kernel BUG at a.c:2!\n"))
            fail_msg("filler %zu: %s", i, list);
    }
}

static void titles_and_texts_are_clean(void **state) {
    static const char text[] = STAMP "BUG: KASAN: \033[31mbad\0\a in \xc3\xa4 \xff\xc3 \t\r\n" STAMP "a\x80 b\x01\n";
    struct findings findings;

    (void)state;
    findings_init(&findings);
    findings_feed(&findings, text, sizeof(text) - 1);
    findings_end(&findings);
    assert_int_equal(findings.count, 1);
    assert_string_equal(findings.items[0].title, "BUG: KASAN: [31mbad in \xc3\xa4 ??");
    assert_string_equal(findings.items[0].text.data, "BUG: KASAN: [31mbad in \xc3\xa4 ??\na? b\n");
    findings_deinit(&findings);
}

/* Bytes from a generator of fixed seed; the sanitizers judge. What is found is valid text. */
static void garbage_does_no_harm(void **state) {
    static const char *const words[] = {"BUG: ",
                                        "[    1.234567] ",
                                        "\n",
                                        "Oops: 0000 [#1]",
                                        "====================\n",
                                        "WARNING: CPU: 0 PID: 1 at ",
                                        "Call Trace:\n",
                                        "\r",
                                        "[",
                                        "INFO: task a:1"};
    uint32_t seed = 12345;
    struct findings findings;

    (void)state;
    findings_init(&findings);
    for (unsigned i = 0; i < 200000; i++) {
        char byte = (char)(seed >> 16);

        seed = seed * 1103515245U + 12345U;
        if (seed >> 28 == 0)
            findings_feed(&findings, words[(seed >> 8) % ARRAY_SIZE(words)],
                          strlen(words[(seed >> 8) % ARRAY_SIZE(words)]));
        else
            findings_feed(&findings, &byte, 1);
    }
    findings_end(&findings);
    assert_true(findings.n_total > 0);
    for (size_t i = 0; i < findings.count; i++) {
        const struct buffer *found = &findings.items[i].text;

        assert_int_equal(strlen(found->data), found->size);
        assert_int_equal(utf8_valid_prefix(found->data, found->size), found->size);
        assert_non_null(strstr(found->data, findings.items[i].title));
    }
    findings_deinit(&findings);
}

static void kinds_have_names_that_are_found_again(void **state) {
    enum finding_kind kind;

    (void)state;
    for (unsigned i = 0; i < FINDING_KIND_COUNT; i++) {
        assert_true(finding_kind_parse(finding_kind_name((enum finding_kind)i), &kind));
        assert_int_equal(kind, i);
        assert_false(str_empty(finding_kind_help((enum finding_kind)i)));
    }
    assert_string_equal(finding_kind_name(FINDING_SOFT_LOCKUP), "soft_lockup");
    assert_false(finding_kind_parse("panic", &kind));
    assert_false(finding_kind_parse("", &kind));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_consoles_show_what_is_listed),
        cmocka_unit_test(every_file_of_the_corpus_is_listed),
        cmocka_unit_test(what_stands_before_a_line_does_not_matter),
        cmocka_unit_test(titles_tell_their_kind),
        cmocka_unit_test(these_lines_are_no_findings),
        cmocka_unit_test(vague_words_count_only_with_a_time_stamp_where_there_are_any),
        cmocka_unit_test(a_log_that_is_shown_again_is_not_counted_again),
        cmocka_unit_test(a_report_is_kept_without_what_is_not_its_own),
        cmocka_unit_test(a_report_ends_with_the_first_line_that_is_not_its_own),
        cmocka_unit_test(reports_that_follow_each_other_are_told_apart),
        cmocka_unit_test(a_line_begins_behind_a_carriage_return),
        cmocka_unit_test(a_finding_is_there_before_its_report_has_ended),
        cmocka_unit_test(a_last_line_without_a_line_feed_counts),
        cmocka_unit_test(further_findings_are_counted),
        cmocka_unit_test(a_report_is_bounded),
        cmocka_unit_test(a_very_long_line_hides_nothing),
        cmocka_unit_test(titles_and_texts_are_clean),
        cmocka_unit_test(garbage_does_no_harm),
        cmocka_unit_test(kinds_have_names_that_are_found_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
