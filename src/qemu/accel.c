/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /dev/kvm can be there and be useless: nested set-ups exist that emulate each instruction, some two million a second.
 * QEMU hangs on them for ever. So the probe runs a loop of LOOP_ITERATIONS in a vCPU. Hardware
 * needs some 20 us for it, such an emulation 20 ms; the line is drawn at LIMIT_NSEC, and the better of two tries
 * counts, since a busy host may take the CPU away during one of them. See Documentation/virt/kvm/api.rst.
 */
#include "qemu/accel.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "arch/arch.h"
#include "base/clock.h"
#include "base/file.h"

#define CLOCK_SOURCES_LIMIT 4096u

#define LOOP_ITERATIONS 20000
#define LIMIT_NSEC (2 * NSEC_PER_MSEC)
#define TRIES 2
#define CODE_ADDRESS 0x1000
#define GIVE_UP_USEC 100000

struct vcpu {
    int kvm;
    int vm;
    int cpu;
    void *memory;
    struct kvm_run *run;
    size_t run_size;
};

static void vcpu_deinit(struct vcpu *vcpu) {
    if (vcpu->run)
        (void)munmap(vcpu->run, vcpu->run_size);
    if (vcpu->memory)
        (void)munmap(vcpu->memory, 4096);
    if (vcpu->cpu >= 0)
        (void)close(vcpu->cpu);
    if (vcpu->vm >= 0)
        (void)close(vcpu->vm);
    if (vcpu->kvm >= 0)
        (void)close(vcpu->kvm);
}

static void on_alarm(_unused_ int number) {
    /* Its only purpose is to interrupt KVM_RUN. */
}

static int vcpu_make(struct vcpu *vcpu, const char *device, struct error **ret_error) {
    vcpu->kvm = open(device, O_RDWR | O_CLOEXEC);
    if (vcpu->kvm < 0)
        return error_errno(ret_error, errno, "%s", device);
    if (ioctl(vcpu->kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
        return error_new(ret_error, ENOTTY, "%s is not KVM's", device);
    vcpu->vm = ioctl(vcpu->kvm, KVM_CREATE_VM, 0);
    if (vcpu->vm < 0)
        return error_errno(ret_error, errno, "%s makes no virtual machine", device);

    int run_size = ioctl(vcpu->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    vcpu->cpu = ioctl(vcpu->vm, KVM_CREATE_VCPU, 0);
    if (vcpu->cpu < 0 || run_size <= 0)
        return error_errno(ret_error, errno, "%s makes no CPU", device);

    void *run = mmap(NULL, (size_t)run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->cpu, 0);
    if (run == MAP_FAILED)
        return error_errno(ret_error, errno, "%s: cannot map the CPU", device);
    vcpu->run = run;
    vcpu->run_size = (size_t)run_size;

    void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return error_errno(ret_error, errno, "%s: no memory for a guest", device);
    vcpu->memory = memory;

    struct kvm_userspace_memory_region region = {
        .guest_phys_addr = CODE_ADDRESS,
        .memory_size = 4096,
        .userspace_addr = (uintptr_t)memory,
    };
    if (ioctl(vcpu->vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
        return error_errno(ret_error, errno, "%s gives a guest no memory", device);
    return 0;
}

/* Runs the loop once; *ret_nsec is how long it took, UINT64_MAX when it did not come to its end in time. */
static int vcpu_time_loop(struct vcpu *vcpu, uint64_t *ret_nsec) {
    int r = vcpu->memory ? arch_host()->kvm_load_loop(vcpu->cpu, vcpu->memory, CODE_ADDRESS, LOOP_ITERATIONS) : -ENOMEM;
    uint64_t start;

    if (r < 0)
        return r;
    start = clock_now();
    r = ioctl(vcpu->cpu, KVM_RUN, 0);
    if (r < 0 && errno == EINTR) {
        *ret_nsec = UINT64_MAX;
        return 0;
    }
    if (r < 0)
        return -errno;
    if (vcpu->run->exit_reason != KVM_EXIT_HLT)
        return -EIO;
    *ret_nsec = clock_now() - start;
    return 0;
}

static int vcpu_measure(struct vcpu *vcpu, const char *device, struct error **ret_error) {
    uint64_t best = UINT64_MAX;

    for (unsigned i = 0; i < TRIES && best > LIMIT_NSEC; i++) {
        uint64_t nsec = UINT64_MAX;
        int r = vcpu_time_loop(vcpu, &nsec);

        if (r < 0)
            return error_errno(ret_error, r, "%s does not run a guest", device);
        if (nsec < best)
            best = nsec;
    }
    if (best > LIMIT_NSEC)
        return error_new(ret_error, ETIME, "%s is there, but far too slow: this host seems to emulate it", device);
    return 0;
}

int accel_probe_kvm(const char *device, struct error **ret_error) {
    _cleanup_(vcpu_deinit) struct vcpu vcpu = {.kvm = -1, .vm = -1, .cpu = -1};
    struct sigaction action = {.sa_handler = on_alarm};
    struct sigaction old_action;
    sigset_t alarm_set;
    sigset_t old_set;
    int r;

    if (!arch_host() || !arch_host()->kvm_load_loop)
        return error_new(ret_error, ENOSYS, "KVM is not supported on %s", arch_host_name());
    if (!device)
        device = "/dev/kvm";
    r = vcpu_make(&vcpu, device, ret_error);
    if (r < 0)
        return r;

    /* A repeating timer, so that a signal that comes between two runs does no harm. */
    struct itimerval timer = {.it_value.tv_usec = GIVE_UP_USEC, .it_interval.tv_usec = GIVE_UP_USEC};
    struct itimerval off = {0};
    (void)sigemptyset(&alarm_set);
    (void)sigaddset(&alarm_set, SIGALRM);
    if (sigaction(SIGALRM, &action, &old_action) < 0)
        return error_errno(ret_error, errno, "sigaction");
    (void)sigprocmask(SIG_UNBLOCK, &alarm_set, &old_set);
    (void)setitimer(ITIMER_REAL, &timer, NULL);
    r = vcpu_measure(&vcpu, device, ret_error);
    (void)setitimer(ITIMER_REAL, &off, NULL);
    (void)sigprocmask(SIG_SETMASK, &old_set, NULL);
    (void)sigaction(SIGALRM, &old_action, NULL);
    return r;
}

const char *accel_name(enum accel accel) {
    return accel == ACCEL_KVM ? "kvm" : "tcg";
}

bool accel_has_clock(const char *clock, const char *path) {
    _cleanup_buffer_ struct buffer list = {0};
    const char *word;
    size_t length;

    if (!path)
        path = "/sys/devices/system/clocksource/clocksource0/available_clocksource";
    if (file_read(path, CLOCK_SOURCES_LIMIT, &list, NULL) < 0)
        return false;
    for (word = list.data ? list.data : ""; *(word += strspn(word, " \n")); word += length) {
        length = strcspn(word, " \n");
        if (length == strlen(clock) && memcmp(word, clock, length) == 0)
            return true;
    }
    return false;
}
