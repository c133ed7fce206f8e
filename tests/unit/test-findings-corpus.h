/* SPDX-License-Identifier: Apache-2.0 */
/* What each console of data/console shows. */
/* clang-format off */
static const struct {
    const char *file;
    const char *findings; /* a line each: kind and title */
} corpus[] = {
    {"atomic-sleep-6.1.log", "atomic_sleep: BUG: scheduling while atomic: sh/106/0x00000002\n"},
    {"atomic-sleep-6.12.log", "atomic_sleep: BUG: scheduling while atomic: sh/145/0x00000002\n"},
    {"atomic-sleep-7.2.log", "atomic_sleep: BUG: scheduling while atomic: sh/121/0x00000002\n"},
    {"bug-5.10.log", "bug: kernel BUG at /build/poke.c:34!\n"},
    {"bug-6.1.log", "bug: kernel BUG at /build/poke.c:34!\n"},
    {"bug-6.12.log", "bug: kernel BUG at /build/poke.c:34!\n"},
    {"bug-7.2.log", "bug: kernel BUG at poke.c:34!\n"},
    {"bug-list-5.10.log", "bug: kernel BUG at lib/list_debug.c:27!\n"},
    {"bug-list-6.1.log", "bug: kernel BUG at lib/list_debug.c:27!\n"},
    {"bug-list-6.12.log", "bug: kernel BUG at lib/list_debug.c:29!\n"},
    {"bug-list-7.2.log", "bug: kernel BUG at lib/list_debug.c:29!\n"},
    {"bug-usercopy-5.10.log", "bug: kernel BUG at mm/usercopy.c:99!\n"},
    {"clean-5.10-loglevel5.log", ""},
    {"clean-5.10-loglevel8.log", ""},
    {"clean-6.1-loglevel5.log", ""},
    {"clean-6.1-loglevel8.log", ""},
    {"clean-6.12-loglevel5.log", ""},
    {"clean-6.12-loglevel8.log", ""},
    {"clean-7.2-loglevel5.log", ""},
    {"clean-7.2-loglevel8.log", ""},
    {"clean-6.1-sanitizers.log", ""},
    {"clean-debian12-bios.log", ""},
    {"clean-debian13-uefi.log", ""},
    {"format-arm64.log", "oops: Unable to handle kernel NULL pointer dereference at virtual address 0000000000000008\n"
     "bug: kernel BUG at drivers/poke.c:34!\n"
     "warn: WARNING: CPU: 1 PID: 93 at drivers/poke.c:35 poke_warn+0x10/0x20 [poke]\n"},
    {"format-atomic-sleep.log", "atomic_sleep: BUG: sleeping function called from invalid context at poke.c:61\n"},
    {"format-hard-lockup.log", "hard_lockup: NMI watchdog: Watchdog detected hard LOCKUP on cpu 0\n"
     "hard_lockup: watchdog: CPU1: Watchdog detected hard LOCKUP on cpu 0\n"},
    {"format-kmemleak.log", "kmemleak: kmemleak: 8 new suspected memory leaks (see /sys/kernel/debug/kmemleak)\n"},
    {"format-kmsan.log", "kmsan: BUG: KMSAN: uninit-value in poke_use+0x1a/0x40\n"},
    {"format-lockdep-others.log", "lockdep: WARNING: suspicious RCU usage\n"
     "lockdep: INFO: trying to register non-static key.\n"
     "lockdep: [ BUG: Invalid wait context ]\n"
     "lockdep: WARNING: bad unlock balance detected!\n"},
    {"format-rcu-stalls.log", "rcu_stall: rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 0-...D } 21 jiffies s: 77 root: 0x1/.\n"
     "rcu_stall: rcu: INFO: rcu_sched detected stalls on CPUs/tasks:\n"},
    {"format-riscv.log", "oops: Unable to handle kernel NULL pointer dereference at virtual address 0000000000000008\n"
     "bug: kernel BUG at drivers/poke.c:34!\n"},
    {"format-s390.log", "oops: Unable to handle kernel pointer dereference in virtual kernel address space\n"
     "oops: illegal operation: 0001 ilc:1 [#2] SMP\n"},
    {"format-slub.log", "bug: BUG kmalloc-64 (Not tainted): Right Redzone overwritten\n"
     "bug: BUG: Bad page state in process sh  pfn:062c7\n"},
    {"format-ubsan-bars.log", "ubsan: UBSAN: shift-out-of-bounds in drivers/poke.c:73:57\n"
     "ubsan: UBSAN: array-index-out-of-bounds in drivers/poke.c:74:49\n"},
    {"format-warn-no-file.log", "warn: WARNING: CPU: 1 PID: 93 at poke_call+0x20/0x40\n"
     "warn: WARNING: [!poke_zero] drivers/poke.c:35 at poke_warn+0x18/0x20, CPU#0: sh/107\n"
     "warn: WARNING: at poke_call+0x20/0x40, CPU#0: kworker/0:1/12\n"},
    {"hung-task-5.10.log", "hung_task: INFO: task sh:102 blocked for more than 4 seconds.\n"
     "hung_task: INFO: task sh:104 blocked for more than 4 seconds.\n"
     "hung_task: INFO: task poke-holder:105 blocked for more than 5 seconds.\n"
     "hung_task: INFO: task sh:102 blocked for more than 9 seconds.\n"},
    {"hung-task-6.1.log", "hung_task: INFO: task sh:93 blocked for more than 4 seconds.\n"
     "hung_task: INFO: task sh:95 blocked for more than 4 seconds.\n"},
    {"hung-task-7.2.log", "hung_task: INFO: task sh:110 blocked for more than 4 seconds.\n"
     "hung_task: INFO: task sh:112 blocked for more than 4 seconds.\n"},
    {"kfence-6.12.log", "kfence: BUG: KFENCE: use-after-free read in poke_kfence_uaf+0x31/0x50 [poke]\n"
     "kfence: BUG: KFENCE: use-after-free read in poke_kfence_uaf+0x31/0x50 [poke]\n"},
    {"kfence-7.2.log", "kfence: BUG: KFENCE: use-after-free read in poke_kfence_uaf+0x3d/0x80 [poke]\n"
     "kfence: BUG: KFENCE: use-after-free read in poke_kfence_uaf+0x3d/0x80 [poke]\n"},
    {"oom-5.10.log", "oom: Memory cgroup out of memory: Killed process 96 (sh) total-vm:74280kB, anon-rss:30680kB, file-rss:1496kB, shmem-rss:0kB, UID:0 pgtables:108kB oom_score_adj:0\n"
     "oom: Out of memory: Killed process 98 (sh) total-vm:524836kB, anon-rss:323024kB, file-rss:56kB, shmem-rss:0kB, UID:0 pgtables:708kB oom_score_adj:0\n"},
    {"oom-6.1.log", "oom: Memory cgroup out of memory: Killed process 89 (sh) total-vm:74280kB, anon-rss:30680kB, file-rss:1604kB, shmem-rss:0kB, UID:0 pgtables:108kB oom_score_adj:0\n"
     "oom: Out of memory: Killed process 92 (sh) total-vm:524836kB, anon-rss:319336kB, file-rss:4kB, shmem-rss:0kB, UID:0 pgtables:700kB oom_score_adj:0\n"},
    {"oom-6.12.log", "oom: Memory cgroup out of memory: Killed process 130 (sh) total-vm:74280kB, anon-rss:30656kB, file-rss:1440kB, shmem-rss:0kB, UID:0 pgtables:116kB oom_score_adj:0\n"
     "oom: Out of memory: Killed process 132 (sh) total-vm:524836kB, anon-rss:333692kB, file-rss:76kB, shmem-rss:0kB, UID:0 pgtables:724kB oom_score_adj:0\n"},
    {"oom-7.2.log", "oom: Memory cgroup out of memory: Killed process 105 (sh) total-vm:74288kB, anon-rss:30756kB, file-rss:1508kB, shmem-rss:0kB, UID:0 pgtables:112kB oom_score_adj:0\n"
     "oom: Out of memory: Killed process 107 (sh) total-vm:524844kB, anon-rss:320692kB, file-rss:4kB, shmem-rss:0kB, UID:0 pgtables:704kB oom_score_adj:0\n"},
    {"oops-divide-5.10.log", "oops: divide error: 0000 [#6] SMP NOPTI\n"},
    {"oops-divide-6.1.log", "oops: divide error: 0000 [#6] PREEMPT SMP NOPTI\n"},
    {"oops-divide-6.12.log", "oops: Oops: divide error: 0000 [#6] PREEMPT SMP NOPTI\n"},
    {"oops-divide-7.2.log", "oops: Oops: divide error: 0000 [#6] SMP NOPTI\n"},
    {"oops-gpf-5.10.log", "oops: general protection fault, probably for non-canonical address 0xdead000000000122: 0000 [#5] SMP NOPTI\n"},
    {"oops-gpf-6.1.log", "oops: general protection fault, probably for non-canonical address 0xdead000000000122: 0000 [#5] PREEMPT SMP NOPTI\n"},
    {"oops-gpf-6.12.log", "oops: Oops: general protection fault, probably for non-canonical address 0xdead000000000122: 0000 [#5] PREEMPT SMP NOPTI\n"},
    {"oops-gpf-7.2.log", "oops: Oops: general protection fault, probably for non-canonical address 0xdead000000000122: 0000 [#5] SMP NOPTI\n"},
    {"oops-null-5.10.log", "oops: BUG: kernel NULL pointer dereference, address: 0000000000000000\n"},
    {"oops-null-6.1.log", "oops: BUG: kernel NULL pointer dereference, address: 0000000000000000\n"},
    {"oops-null-6.12.log", "oops: BUG: kernel NULL pointer dereference, address: 0000000000000000\n"},
    {"oops-null-7.2.log", "oops: BUG: kernel NULL pointer dereference, address: 0000000000000000\n"},
    {"oops-overflow-6.1.log", "oops: BUG: TASK stack guard page was hit at 000000002585580d (stack is 00000000b5886cd9..0000000088835945)\n"},
    {"oops-paging-5.10.log", "oops: BUG: unable to handle page fault for address: ffffffffdead0000\n"},
    {"oops-paging-6.1.log", "oops: BUG: unable to handle page fault for address: ffffffffdead0000\n"},
    {"oops-paging-6.12.log", "oops: BUG: unable to handle page fault for address: ffffffffdead0000\n"},
    {"oops-paging-7.2.log", "oops: BUG: unable to handle page fault for address: ffffffffdead0000\n"},
    {"oops-write-5.10.log", "oops: BUG: kernel NULL pointer dereference, address: 0000000000000008\n"},
    {"oops-write-6.1.log", "oops: BUG: kernel NULL pointer dereference, address: 0000000000000008\n"},
    {"oops-write-6.12.log", "oops: BUG: kernel NULL pointer dereference, address: 0000000000000008\n"},
    {"oops-write-7.2.log", "oops: BUG: kernel NULL pointer dereference, address: 0000000000000008\n"},
    {"panic-call-6.1.log", ""},
    {"panic-noroot-6.1.log", ""},
    {"panic-oops-5.10.log", "oops: BUG: kernel NULL pointer dereference, address: 0000000000000008\n"},
    {"panic-oops-6.1.log", "oops: BUG: kernel NULL pointer dereference, address: 0000000000000008\n"},
    {"panic-oops-6.12.log", "oops: BUG: kernel NULL pointer dereference, address: 0000000000000008\n"},
    {"panic-oops-7.2.log", "oops: BUG: kernel NULL pointer dereference, address: 0000000000000008\n"},
    {"panic-softlockup-6.1.log", "soft_lockup: watchdog: BUG: soft lockup - CPU#0 stuck for 13s! [sh:90]\n"},
    {"panic-sysrq-5.10.log", ""},
    {"panic-sysrq-6.1.log", ""},
    {"panic-sysrq-6.12.log", ""},
    {"panic-sysrq-7.2.log", ""},
    {"panic-warn-5.10.log", "warn: WARNING: CPU: 1 PID: 96 at /build/poke.c:35 poke_warn+0x14/0x18 [poke]\n"},
    {"panic-warn-6.1.log", "warn: WARNING: CPU: 0 PID: 89 at /build/poke.c:35 poke_warn+0x14/0x18 [poke]\n"},
    {"panic-warn-6.12.log", "warn: WARNING: CPU: 1 PID: 129 at /build/poke.c:35 poke_warn+0x18/0x20 [poke]\n"},
    {"panic-warn-7.2.log", "warn: WARNING: poke.c:35 at poke_warn+0x18/0x20 [poke], CPU#1: sh/106\n"},
    {"rcu-stall-6.1.log", "rcu_stall: rcu: INFO: rcu_preempt self-detected stall on CPU\n"},
    {"stall-6.1.log", "rcu_stall: rcu: INFO: rcu_preempt self-detected stall on CPU\n"
     "soft_lockup: watchdog: BUG: soft lockup - CPU#1 stuck for 15s! [sh:91]\n"
     "rcu_stall: rcu: INFO: rcu_preempt self-detected stall on CPU\n"},
    {"stall-7.2.log", "rcu_stall: rcu: INFO: rcu_preempt self-detected stall on CPU\n"
     "soft_lockup: watchdog: BUG: soft lockup - CPU#0 stuck for 13s! [sh:104]\n"
     "rcu_stall: rcu: INFO: rcu_preempt self-detected stall on CPU\n"},
    {"ubsan-index-7.2.log", "ubsan: UBSAN: array-index-out-of-bounds in poke.c:74:57\n"},
    {"ubsan-shift-7.2.log", "ubsan: UBSAN: shift-out-of-bounds in poke.c:73:63\n"
     "ubsan: UBSAN: array-index-out-of-bounds in poke.c:74:57\n"},
    {"warn-5.10.log", "warn: WARNING: CPU: 0 PID: 99 at /build/poke.c:35 poke_warn+0x14/0x18 [poke]\n"},
    {"warn-6.1.log", "warn: WARNING: CPU: 0 PID: 92 at /build/poke.c:35 poke_warn+0x14/0x18 [poke]\n"},
    {"warn-6.12.log", "warn: WARNING: CPU: 1 PID: 131 at /build/poke.c:35 poke_warn+0x18/0x20 [poke]\n"},
    {"warn-7.2.log", "warn: WARNING: poke.c:35 at poke_warn+0x18/0x20 [poke], CPU#0: sh/107\n"},
    {"warn-refcount-5.10.log", "warn: WARNING: CPU: 0 PID: 109 at lib/refcount.c:25 refcount_warn_saturate+0x74/0x110\n"},
    {"warn-refcount-6.1.log", "warn: WARNING: CPU: 0 PID: 102 at lib/refcount.c:25 refcount_warn_saturate+0x97/0x110\n"},
    {"warn-refcount-6.12.log", "warn: WARNING: CPU: 1 PID: 141 at lib/refcount.c:25 refcount_warn_saturate+0xe5/0x110\n"},
    {"warn-refcount-7.2.log", "warn: WARNING: lib/refcount.c:25 at refcount_warn_saturate+0x6a/0x90, CPU#1: sh/117\n"
     "ubsan: UBSAN: shift-out-of-bounds in poke.c:73:63\n"},
    {"warn-text-5.10.log", "warn: WARNING: CPU: 1 PID: 100 at /build/poke.c:36 poke_warn_text+0x26/0x2a [poke]\n"
     "bug: kernel BUG at /build/poke.c:34!\n"},
    {"warn-text-6.1.log", "warn: WARNING: CPU: 0 PID: 93 at /build/poke.c:36 poke_warn_text+0x26/0x2a [poke]\n"
     "bug: kernel BUG at /build/poke.c:34!\n"},
    {"warn-text-6.12.log", "warn: WARNING: CPU: 0 PID: 132 at /build/poke.c:36 poke_warn_text+0x2a/0x30 [poke]\n"
     "bug: kernel BUG at /build/poke.c:34!\n"},
    {"warn-text-7.2.log", "warn: WARNING: poke.c:36 at poke_warn_text+0x2b/0x40 [poke], CPU#0: sh/108\n"
     "bug: kernel BUG at poke.c:34!\n"},
    {"lockdep-circular-6.1.log", "lockdep: WARNING: possible circular locking dependency detected\n"},
    {"lockdep-inconsistent-6.1.log", "lockdep: WARNING: inconsistent lock state\n"},
    {"lockdep-rcu-usage-6.1.log", "lockdep: WARNING: suspicious RCU usage\n"},
    {"lockdep-held-6.1.log", "lockdep: WARNING: lock held when returning to user space!\n"},
    {"lockdep-unlock-6.1.log", "lockdep: WARNING: bad unlock balance detected!\n"},
    {"kasan-oob-6.1.log", "kasan: BUG: KASAN: slab-out-of-bounds in provoke_oob+0x36/0x48 [provoke]\n"},
    {"kasan-uaf-6.1.log", "kasan: BUG: KASAN: use-after-free in provoke_uaf+0x3b/0x48 [provoke]\n"},
    {"kasan-double-free-6.1.log", "kasan: BUG: KASAN: double-free in __kmem_cache_free+0x44/0xb3\n"},
    {"kasan-stack-6.1.log", "ubsan: UBSAN: array-index-out-of-bounds in /build/provoke.c:52:84\n"
     "kasan: BUG: KASAN: stack-out-of-bounds in provoke_stack+0x8b/0xba [provoke]\n"},
    {"kasan-null-6.1.log", "kasan: BUG: KASAN: null-ptr-deref in provoke_null+0xe/0x1b [provoke]\n"
     "oops: BUG: kernel NULL pointer dereference, address: 0000000000000008\n"},
    {"kasan-test-module-6.1.log", "warn: WARNING: CPU: 1 PID: 37 at mm/maccess.c:228 __copy_overflow+0x15/0x19\n"
     "warn: WARNING: CPU: 1 PID: 37 at mm/maccess.c:228 __copy_overflow+0x15/0x19\n"
     "kasan: BUG: KASAN: slab-out-of-bounds in copy_user_test+0x127/0x209 [kasan_test_module]\n"
     "kasan: BUG: KASAN: slab-out-of-bounds in copy_user_test+0x164/0x209 [kasan_test_module]\n"
     "kasan: BUG: KASAN: slab-out-of-bounds in copy_user_test+0x190/0x209 [kasan_test_module]\n"
     "kasan: BUG: KASAN: slab-out-of-bounds in copy_user_test+0x1bc/0x209 [kasan_test_module]\n"
     "kasan: BUG: KASAN: slab-out-of-bounds in strncpy_from_user+0x66/0x1a2\n"
     "kasan: BUG: KASAN: use-after-free in kasan_rcu_reclaim+0x1e/0x26 [kasan_test_module]\n"},
    {"ubsan-test-6.1.log", "ubsan: UBSAN: shift-out-of-bounds in lib/test_ubsan.c:30:7\n"
     "ubsan: UBSAN: array-index-out-of-bounds in lib/test_ubsan.c:50:10\n"
     "ubsan: UBSAN: array-index-out-of-bounds in lib/test_ubsan.c:53:10\n"
     "ubsan: UBSAN: invalid-load in lib/test_ubsan.c:75:7\n"},
    {"atomic-sleep-lockdep-6.1.log", "atomic_sleep: BUG: scheduling while atomic: init/1/0x00000003\n"
     "lockdep: WARNING: suspicious RCU usage\n"
     "atomic_sleep: BUG: sleeping function called from invalid context at include/linux/sched/mm.h:274\n"
     "warn: WARNING: CPU: 1 PID: 1 at kernel/softirq.c:346 __local_bh_disable_ip+0x13/0x3c\n"
     "atomic_sleep: BUG: scheduling while atomic: init/1/0x7fffffff\n"},
    {"stall-lockdep-6.1.log", "rcu_stall: rcu: INFO: rcu_sched detected stalls on CPUs/tasks:\n"},
    {"kcsan-race-6.1.log", "kcsan: BUG: KCSAN: data-race in racer [provoke] / racer [provoke]\n"
     "kcsan: BUG: KCSAN: data-race in racer+0x23/0x4f [provoke]\n"
     "kcsan: BUG: KCSAN: data-race in racer [provoke] / racer [provoke]\n"
     "kcsan: BUG: KCSAN: data-race in racer+0x38/0x4f [provoke]\n"
     "kcsan: BUG: KCSAN: data-race in racer [provoke] / racer [provoke]\n"
     "kcsan: BUG: KCSAN: data-race in racer [provoke] / racer [provoke]\n"},
};
/* clang-format on */
