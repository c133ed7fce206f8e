/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel files: what they are, their release, their payload, ELF within. The bytes are those of the input itself, not a
 * file's mapping, which goes on to the end of its last page.
 */
#include "fuzz.h"
#include "kernel/elf.h"
#include "kernel/kernel-internal.h"
#include "kernel/unpack.h"

/* A payload of this size cannot grow to more memory than a fuzzer has. */
#define PAYLOAD_MAX 1024
#define UNPACKED_MAX 65536

static void check_release(const char *release) {
    FUZZ_CHECK(release && release[0] && strlen(release) <= 64);
    FUZZ_CHECK(!strpbrk(release, "/ \n") && release[0] != '.');
}

static void look_at_elf(const void *data, size_t size) {
    _cleanup_free_ char *release = kernel_find_elf_banner(data, size);
    Elf64_Ehdr header;

    if (release)
        check_release(release);
    (void)kernel_vmlinux_has_pvh(data, size);
    if (elf_header(data, size, &header))
        (void)elf_is_complete(data, size, &header);
}

static void unpack(const struct kernel *kernel) {
    _cleanup_buffer_ struct buffer vmlinux = {0};
    _cleanup_error_ struct error *error = NULL;
    int r;

    if (kernel->format == KERNEL_BZIMAGE && kernel->payload_size > PAYLOAD_MAX)
        return;
    r = kernel_unpack(kernel, &vmlinux, &error);
    fuzz_check_error(r, &error);
    FUZZ_CHECK(r == 0 || vmlinux.size == 0);
    look_at_elf(vmlinux.data ? vmlinux.data : "", vmlinux.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct kernel kernel = {.path = (char *)"vmlinuz", .map = data, .size = size};
    struct unpack_limits limits = {.limit = UNPACKED_MAX, .head_only = true};
    _cleanup_buffer_ struct buffer head = {0};
    _cleanup_error_ struct error *error = NULL;
    int r;

    if (size == 0)
        return 0; /* kernel_open() refuses an empty file before it looks inside */
    r = kernel_read(&kernel, &error);
    fuzz_check_error(r, &error);
    if (r == 0) {
        _cleanup_free_ char *key = kernel_content_key(&kernel);

        check_release(kernel.release);
        FUZZ_CHECK(strlen(key) == 32);
        unpack(&kernel);
    }
    free(kernel.release);
    look_at_elf(data, size);
    if (unpack_recognises(data, size, NULL) && unpack_memory("module", data, size, limits, &head, NULL) == 0)
        FUZZ_CHECK(head.size <= UNPACKED_MAX);
    return 0;
}
