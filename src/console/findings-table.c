/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's reports as they look on the console, for Linux 5.10 to 7.2: x86, arm64, and what s390 and RISC-V have in
 * common with them. The sources of these lines: kernel/panic.c, lib/bug.c, arch/.../{dumpstack,traps,fault}.c,
 * {mm,lib,kernel}/{kasan,kcsan,kmsan,kfence}, lib/ubsan.c, kernel/locking/lockdep.c, kernel/rcu/tree_stall.h,
 * kernel/watchdog*.c, kernel/hung_task.c, mm/oom_kill.c, mm/kmemleak.c.
 */
#include "console/findings-internal.h"
#include "console/kmsg.h"
#include "console/panic.h"

#define BAR_MIN 20
/* More than any report of lockdep's has before its stack trace. */
#define FREE_LONG 400

static const struct {
    const char *name;
    const char *help;
} kinds[] = {
    [FINDING_OOPS] = {"oops", "the kernel ran into a fault, such as a bad pointer"},
    [FINDING_BUG] = {"bug", "BUG() was hit, or the kernel found a broken list, lock or page"},
    [FINDING_WARN] = {"warn", "WARN() was hit"},
    [FINDING_KASAN] = {"kasan", "a bad memory access, reported by KASAN"},
    [FINDING_UBSAN] = {"ubsan", "undefined behaviour, reported by UBSAN"},
    [FINDING_KCSAN] = {"kcsan", "a data race, reported by KCSAN"},
    [FINDING_KMSAN] = {"kmsan", "memory used before it was set, reported by KMSAN"},
    [FINDING_KFENCE] = {"kfence", "a bad memory access, reported by KFENCE"},
    [FINDING_LOCKDEP] = {"lockdep", "wrong use of locks or of RCU, reported by lockdep"},
    [FINDING_ATOMIC_SLEEP] = {"atomic_sleep", "the kernel slept, or could have, in atomic context"},
    [FINDING_RCU_STALL] = {"rcu_stall", "an RCU grace period did not end"},
    [FINDING_HUNG_TASK] = {"hung_task", "a task was blocked for too long"},
    [FINDING_SOFT_LOCKUP] = {"soft_lockup", "a processor did not schedule for too long"},
    [FINDING_HARD_LOCKUP] = {"hard_lockup", "a processor took no interrupts for too long"},
    [FINDING_OOM] = {"oom", "a process was killed for want of memory"},
    [FINDING_KMEMLEAK] = {"kmemleak", "leaked memory, reported by kmemleak"},
};
static_assert(ARRAY_SIZE(kinds) == FINDING_KIND_COUNT, "every kind has a name");

#define FAULTS (FINDING_BIT(FINDING_OOPS) | FINDING_BIT(FINDING_BUG))
#define STALLS FINDING_BIT(FINDING_RCU_STALL)

/* The first that matches counts. */
static const struct detector detectors[] = {
    {"BUG: KASAN: ", FINDING_KASAN, END_BAR},
    {"BUG: KCSAN: ", FINDING_KCSAN, END_BAR},
    {"BUG: KMSAN: ", FINDING_KMSAN, END_BAR},
    {"BUG: KFENCE: ", FINDING_KFENCE, END_BAR},
    {"UBSAN: * in *:%d", FINDING_UBSAN, END_BAR},

    {"BUG: sleeping function called from invalid context at ", FINDING_ATOMIC_SLEEP, END_TRACE, .n_free = 12},
    {"BUG: scheduling while atomic: ", FINDING_ATOMIC_SLEEP, END_TRACE, .n_free = 12},
    {"BUG: scheduling in a non-blocking section: ", FINDING_ATOMIC_SLEEP, END_TRACE, .n_free = 12},
    {"BUG: assuming atomic context at ", FINDING_ATOMIC_SLEEP, END_TRACE, .n_free = 12},

    {"watchdog: BUG: soft lockup - CPU#%d stuck for ", FINDING_SOFT_LOCKUP, END_TRACE},
    {"NMI watchdog: BUG: soft lockup - CPU#%d stuck for ", FINDING_SOFT_LOCKUP, END_TRACE},
    {"watchdog: CPU%d: Watchdog detected hard LOCKUP on cpu ", FINDING_HARD_LOCKUP, END_TRACE},
    {"watchdog: Watchdog detected hard LOCKUP on cpu ", FINDING_HARD_LOCKUP, END_TRACE},
    {"NMI watchdog: Watchdog detected hard LOCKUP on cpu ", FINDING_HARD_LOCKUP, END_TRACE},

    {"rcu: INFO: * self-detected stall on CPU", FINDING_RCU_STALL, END_TRACE, 4, STALLS},
    {"rcu: INFO: * detected stall", FINDING_RCU_STALL, END_TRACE, 4, STALLS},
    {"rcu: INFO: * detected expedited stalls on ", FINDING_RCU_STALL, END_TRACE, 4, STALLS},
    {"INFO: rcu_tasks* detected stalls on tasks", FINDING_RCU_STALL, END_TRACE, 4, STALLS},
    {"rcu_tasks*: INFO: rcu_tasks* detected stalls on tasks", FINDING_RCU_STALL, END_TRACE, 4, STALLS},

    {"INFO: task *:%d blocked* for more than %d seconds.", FINDING_HUNG_TASK, END_TRACE},

    /* The first line of a fault tells what the second, "Oops: 0002 [#1] SMP", only counts. */
    {"BUG: kernel NULL pointer dereference", FINDING_OOPS, END_TRACE, 4},
    {"BUG: unable to handle ", FINDING_OOPS, END_TRACE, 4},
    {"BUG: Unable to handle kernel ", FINDING_OOPS, END_TRACE, 4},
    {"BUG: * stack guard page was hit at ", FINDING_OOPS, END_TRACE, 4},
    {"Unable to handle kernel ", FINDING_OOPS, END_TRACE, 8},
    {"traps: PANIC: double fault", FINDING_OOPS, END_TRACE, 4},
    {"PANIC: double fault", FINDING_OOPS, END_TRACE, 4},
    {"Oops: *[#%d]", FINDING_OOPS, END_TRACE, 4, FAULTS},
    {"Oops [#%d]", FINDING_OOPS, END_TRACE, 4, FAULTS},
    {"Oops - *[#%d]", FINDING_OOPS, END_TRACE, 4, FAULTS},
    {"Kernel BUG [#%d]", FINDING_BUG, END_TRACE, 4, FAULTS},
    {"Internal error: *[#%d]", FINDING_OOPS, END_TRACE, 8, FAULTS},
    /* x86 up to 6.10 ("divide error: 0000 [#1] SMP"), s390 ("illegal operation: 0001 ilc:1 [#1] SMP") */
    {"*: %x [#%d]", FINDING_OOPS, END_TRACE, 4, FAULTS, .weak = true},
    {"*: %x ilc:%d [#%d]", FINDING_OOPS, END_TRACE, 4, FAULTS, .weak = true},

    {"kernel BUG at ", FINDING_BUG, END_TRACE, 4},

    {"WARNING: CPU: %d PID: %d at ", FINDING_WARN, END_TRACE, 6},
    /* from 6.18 on */
    {"WARNING: *:%d at *, CPU#%d: */%d", FINDING_WARN, END_TRACE, 6},
    {"WARNING: at *, CPU#%d: */%d", FINDING_WARN, END_TRACE, 6},

    {"WARNING: possible circular locking dependency detected$", FINDING_LOCKDEP, END_TRACE, FREE_LONG},
    {"WARNING: possible recursive locking detected$", FINDING_LOCKDEP, END_TRACE, FREE_LONG},
    {"WARNING: possible irq lock inversion dependency detected$", FINDING_LOCKDEP, END_TRACE, FREE_LONG},
    {"WARNING: *-safe -> *-unsafe lock order detected$", FINDING_LOCKDEP, END_TRACE, FREE_LONG},
    {"WARNING: inconsistent lock state$", FINDING_LOCKDEP, END_TRACE, FREE_LONG},
    {"WARNING: Nested lock was not taken$", FINDING_LOCKDEP, END_TRACE, FREE_LONG},
    {"WARNING: bad unlock balance detected!$", FINDING_LOCKDEP, END_TRACE, FREE_LONG},
    {"WARNING: bad contention detected!$", FINDING_LOCKDEP, END_TRACE, FREE_LONG},
    {"WARNING: held lock freed!$", FINDING_LOCKDEP, END_TRACE, FREE_LONG},
    {"WARNING: */%d still has locks held!$", FINDING_LOCKDEP, END_TRACE, FREE_LONG},
    {"WARNING: lock held when returning to user space!$", FINDING_LOCKDEP, END_TRACE, FREE_LONG},
    {"WARNING: chain_key collision$", FINDING_LOCKDEP, END_TRACE, FREE_LONG},
    {"WARNING: suspicious RCU usage$", FINDING_LOCKDEP, END_TRACE, FREE_LONG},
    {"[ BUG: Invalid wait context ]", FINDING_LOCKDEP, END_TRACE, FREE_LONG},
    {"INFO: possible recursive locking detected$", FINDING_LOCKDEP, END_TRACE, FREE_LONG},
    {"INFO: trying to register non-static key.$", FINDING_LOCKDEP, END_TRACE, 8},
    {"BUG: MAX_LOCK", FINDING_LOCKDEP, END_TRACE, 8},
    {"BUG: MAX_STACK_TRACE_ENTRIES too low!", FINDING_LOCKDEP, END_TRACE, 8},

    {"Out of memory: Killed process %d ", FINDING_OOM, END_LINE},
    {"Out of memory (oom_kill_allocating_task): Killed process %d ", FINDING_OOM, END_LINE},
    {"Memory cgroup out of memory: Killed process %d ", FINDING_OOM, END_LINE},
    {"Out of memory and no killable processes...", FINDING_OOM, END_LINE},
    {"kmemleak: %d new suspected memory leaks", FINDING_KMEMLEAK, END_LINE},

    /* SLUB's "BUG kmalloc-64 (Not tainted): Right Redzone overwritten" */
    {"BUG * (*ainted*): ", FINDING_BUG, END_TRACE, FREE_LONG},
    {"BUG: ", FINDING_BUG, END_TRACE, 8, .weak = true},
};

static const char *const preludes[] = {
    "------------[ cut here ]------------",
    "list_add corruption",
    "list_del corruption",
    "usercopy: Kernel memory ",
    "detected buffer overflow in ",
    "kernel tried to execute ",
    "CFI failure at ",
    "oom-kill:constraint=",
};

static const char *const end_marks[] = {
    "---[ end trace ",
    PANIC_END_MARK " ",
    PANIC_MARK,
};

/* Lines that take the room of the stack trace and tell a reader little: registers, guesses in a trace. */
static const char *const noise[] = {
    " ? ",    "Modules linked in:",
    "Code: ", "RSP: ",
    "RAX: ",  "RDX: ",
    "RBP: ",  "R10: ",
    "R13: ",  "FS:  ",
    "CS:  ",  "CR2: ",
    "DR0: ",  "DR3: ",
    "PKRU: ", "pstate: ",
    "sp : ",  "pmr_save: ",
    "x%d: ",  "x%d : ",
};

static const char *const states[] = {
    " ",
    "\t",
    "Call Trace:",
    "Call trace:",
    "Backtrace:",
    "stack backtrace:",
    "CPU: %d ",
    "CPU %d ",
    "Hardware name: ",
    "Tainted: ",
    "Workqueue: ",
    "Kernel Offset: ",
    "Stopper: ",
    "irq event stamp: ",
    "hardirqs last ",
    "softirqs last ",
    "INFO: lockdep is turned off.",
    "Unloaded tainted modules:",
    "Last Breaking-Event-Address:",
    "NMI backtrace for cpu ",
    "Sending NMI from CPU ",
    "Task dump for CPU ",
    "task:",
    "rcu: ",
    "\"echo 0 > /proc/sys/kernel/hung_task_timeout_secs\"",
    "INFO: task * blocked on a",
    "Future hung task reports are suppressed",
    /* x86 */
    "RIP: ",
    "PGD ",
    "#PF: ",
    "KASAN: ",
    "Lost %d message(s)!",
    /* arm64 */
    "Mem abort info:",
    "Data abort info:",
    "user pgtable: ",
    "swapper pgtable: ",
    "[%x] ",
    "[<%x>] ",
    "pc : ",
    "lr : ",
    /* RISC-V */
    "epc : ",
    "status: %x ",
    "Current * pgtable: ",
    /* s390 */
    "Krnl ",
    "Failing address: ",
    "Fault in ",
    "AS:%x ",
    "PSW ",
    "Stack:",
};

const char *finding_kind_name(enum finding_kind kind) {
    return (unsigned)kind < FINDING_KIND_COUNT ? kinds[kind].name : "unknown";
}

const char *finding_kind_help(enum finding_kind kind) {
    return (unsigned)kind < FINDING_KIND_COUNT ? kinds[kind].help : "";
}

bool finding_kind_parse(const char *name, enum finding_kind *ret_kind) {
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (str_equal(kinds[i].name, name)) {
            *ret_kind = (enum finding_kind)i;
            return true;
        }
    }
    return false;
}

static bool matches_any(const char *line, const char *const *patterns, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (kmsg_match(line, patterns[i]))
            return true;
    }
    return false;
}

const struct detector *detector_find(const char *line) {
    for (size_t i = 0; i < ARRAY_SIZE(detectors); i++) {
        if (kmsg_match(line, detectors[i].pattern))
            return &detectors[i];
    }
    return NULL;
}

bool line_is_prelude(const char *line) {
    return matches_any(line, preludes, ARRAY_SIZE(preludes));
}

bool line_is_bar(const char *line) {
    size_t size = strspn(line, "=");

    return size >= BAR_MIN && line[size] == '\0';
}

bool line_is_end_mark(const char *line) {
    return matches_any(line, end_marks, ARRAY_SIZE(end_marks));
}

bool line_is_noise(const char *line) {
    return matches_any(line, noise, ARRAY_SIZE(noise));
}

bool line_is_state(const char *line) {
    return line_is_noise(line) || matches_any(line, states, ARRAY_SIZE(states));
}

bool line_begins_trace(const char *line) {
    return kmsg_match(line, "Call Trace:") || kmsg_match(line, "Call trace:") || kmsg_match(line, "Backtrace:");
}
