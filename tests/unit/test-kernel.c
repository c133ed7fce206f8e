/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel files: the good ones are read, the bad ones are refused by what they look like, and none is trusted. */
#include "test-modules-fixture.h"

#include "kernel/kernel.h"

#define RELEASE "6.1.0-test+1"

static int setup(void **state) {
    *state = fixture_directory();
    return 0;
}

static int teardown(void **state) {
    fixture_remove(*state);
    return 0;
}

/* A vmlinux with one loaded segment that holds `banner`, and with `pvh` the note of the PVH entry. */
static void make_vmlinux(unsigned machine, const char *banner, bool pvh, struct buffer *ret) {
    struct {
        Elf64_Nhdr header;
        char name[4];
        uint64_t entry;
    } __attribute__((packed)) note = {{4, 8, 18}, "Xen", 0x1000000};
    Elf64_Ehdr header = {.e_type = ET_EXEC,
                         .e_machine = (Elf64_Half)machine,
                         .e_phoff = sizeof(header),
                         .e_phentsize = sizeof(Elf64_Phdr),
                         .e_phnum = 2,
                         .e_ehsize = sizeof(header)};
    size_t start = sizeof(header) + 2 * sizeof(Elf64_Phdr);
    Elf64_Phdr segments[2] = {{.p_type = PT_LOAD, .p_offset = start, .p_filesz = strlen(banner) + 1},
                              {.p_type = PT_NOTE, .p_offset = start + strlen(banner) + 1, .p_filesz = sizeof(note)}};
    note.header.n_type = pvh ? 18 : 17;
    memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    buffer_append(ret, &header, sizeof(header));
    buffer_append(ret, segments, sizeof(segments));
    buffer_append(ret, banner, strlen(banner) + 1);
    buffer_append(ret, &note, sizeof(note));
}

static void put_le(struct buffer *buffer, size_t offset, uint32_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        buffer->data[offset + i] = (char)(value >> (8 * i));
}

static void make_bzimage(int filter, struct buffer *ret) {
    static const char zeros[1024];
    static const char version[] = RELEASE " (someone@somewhere) #1 SMP";
    _cleanup_buffer_ struct buffer vmlinux = {0};
    make_vmlinux(EM_X86_64, "Linux version " RELEASE " (x)", true, &vmlinux);
    buffer_append(ret, zeros, sizeof(zeros));
    fixture_compress(filter, vmlinux.data, vmlinux.size, ret);
    if (filter != ARCHIVE_FILTER_GZIP) {
        uint32_t size = (uint32_t)vmlinux.size;
        buffer_append(ret, &size, sizeof(size));
    }
    size_t payload = ret->size - sizeof(zeros);
    while (ret->size % 16)
        buffer_append(ret, "", 1);
    put_le(ret, 0x1f1, 1, 1);
    put_le(ret, 0x1f4, (uint32_t)(ret->size - sizeof(zeros)) / 16, 4);
    put_le(ret, 0x1fe, 0xaa55, 2);
    memcpy(ret->data + 0x202, "HdrS", 4);
    put_le(ret, 0x206, 0x20f, 2);
    put_le(ret, 0x20e, 0x300 - 0x200, 2);
    put_le(ret, 0x236, 1, 2);
    put_le(ret, 0x248, 0, 4);
    put_le(ret, 0x24c, (uint32_t)payload, 4);
    memcpy(ret->data + 0x300, version, sizeof(version));
}

static struct kernel *open_bytes(const char *root, const void *data, size_t size, struct error **ret_error) {
    struct kernel *kernel = NULL;
    _cleanup_free_ char *path = xasprintf("%s/kernel", root);
    fixture_write(root, "kernel", data, size);
    return kernel_open(path, &kernel, ret_error) < 0 ? NULL : kernel;
}

static void test_bzimage_is_read_and_unpacked(void **state) {
    static const int filters[] = {ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_XZ, ARCHIVE_FILTER_ZSTD};
    static const enum kernel_compression compressions[] = {KERNEL_GZIP, KERNEL_XZ, KERNEL_ZSTD};
    for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
        _cleanup_buffer_ struct buffer file = {0};
        _cleanup_buffer_ struct buffer expected = {0};
        _cleanup_buffer_ struct buffer vmlinux = {0};
        _cleanup_error_ struct error *error = NULL;
        make_bzimage(filters[i], &file);
        make_vmlinux(EM_X86_64, "Linux version " RELEASE " (x)", true, &expected);
        _cleanup_kernel_ struct kernel *kernel = open_bytes(*state, file.data, file.size, &error);
        if (!kernel)
            fail_msg("%s", error_message(error));
        assert_int_equal(kernel->format, KERNEL_BZIMAGE);
        assert_int_equal(kernel->compression, compressions[i]);
        assert_string_equal(kernel->release, RELEASE);
        assert_int_equal(kernel_unpack(kernel, &vmlinux, &error), 0);
        assert_int_equal(vmlinux.size, expected.size);
        assert_memory_equal(vmlinux.data, expected.data, expected.size);
        assert_true(kernel_vmlinux_has_pvh(vmlinux.data, vmlinux.size));
    }
}

static void test_damaged_payload_is_an_error(void **state) {
    _cleanup_buffer_ struct buffer file = {0};
    _cleanup_buffer_ struct buffer vmlinux = {0};
    _cleanup_error_ struct error *error = NULL;
    make_bzimage(ARCHIVE_FILTER_GZIP, &file);
    memset(file.data + 1024 + 12, 0xff, 24);
    _cleanup_kernel_ struct kernel *kernel = open_bytes(*state, file.data, file.size, NULL);
    assert_non_null(kernel);
    assert_true(kernel_unpack(kernel, &vmlinux, &error) < 0);
    assert_non_null(strstr(error_message(error), "/kernel: cannot be decompressed"));
    assert_int_equal(vmlinux.size, 0);
}

static void test_damaged_unpacked_size_costs_no_memory(void **state) {
    _cleanup_buffer_ struct buffer file = {0};
    _cleanup_buffer_ struct buffer vmlinux = {0};
    make_bzimage(ARCHIVE_FILTER_XZ, &file);
    _cleanup_kernel_ struct kernel *sound = open_bytes(*state, file.data, file.size, NULL);
    assert_non_null(sound);
    put_le(&file, sound->payload_offset + sound->payload_size - 4, 900U << 20, 4);
    _cleanup_kernel_ struct kernel *kernel = open_bytes(*state, file.data, file.size, NULL);
    assert_non_null(kernel);
    assert_int_equal(kernel_unpack(kernel, &vmlinux, NULL), 0);
    assert_true(vmlinux.capacity < 1U << 20);
}

static void test_vmlinux_with_pvh_is_read(void **state) {
    _cleanup_buffer_ struct buffer file = {0};
    make_vmlinux(EM_X86_64, "version Linux version %s Linux version " RELEASE " (x)", true, &file);
    _cleanup_kernel_ struct kernel *kernel = open_bytes(*state, file.data, file.size, NULL);
    assert_non_null(kernel);
    assert_int_equal(kernel->format, KERNEL_VMLINUX);
    assert_string_equal(kernel->release, RELEASE);
    assert_true(kernel->pvh);
}

static void test_vmlinux_without_pvh_says_what_to_do(void **state) {
    _cleanup_buffer_ struct buffer file = {0};
    _cleanup_error_ struct error *error = NULL;
    make_vmlinux(EM_X86_64, "Linux version " RELEASE " (x)", false, &file);
    assert_null(open_bytes(*state, file.data, file.size, &error));
    assert_non_null(strstr(error_message(error), "CONFIG_PVH=y"));
    assert_non_null(strstr(error_message(error), "bzImage"));
}

static void refused(const char *root, const void *data, size_t size, const char *says) {
    _cleanup_error_ struct error *error = NULL;
    _cleanup_kernel_ struct kernel *kernel = open_bytes(root, data, size, &error);
    if (kernel)
        fail_msg("accepted, where '%s' was to be said", says);
    assert_non_null(strstr(error_message(error), root));
    if (!strstr(error_message(error), says) || strchr(error_message(error), '\n'))
        fail_msg("'%s' is not said: %s", says, error_message(error));
}

static void test_what_is_no_kernel_is_refused_by_its_look(void **state) {
    static const struct {
        size_t offset;
        const char *bytes;
        size_t size;
        const char *says;
    } cases[] = {
        {0, "#!/bin/sh\n", 10, "a script"},
        {0, "hello\n", 6, "a text file"},
        {0, "!<arch>\ndebian-binary   ", 24, "a Debian package"},
        {0, "!<arch>\nother.o/        ", 24, "an ar archive"},
        {0, "\xed\xab\xee\xdb\3\0\0\0", 8, "an RPM package"},
        {257, "ustar", 5, "a tar archive"},
        {0, "070701", 6, "a cpio archive"},
        {0, "QFI\xfb\0\0\0\3", 8, "a qcow2 disk image"},
        {512, "EFI PART", 8, "a disk image"},
        {0x8001, "CD001", 5, "an ISO image"},
        {0x38, "ARM\x64", 4, "a kernel for aarch64"},
        {0x38, "RSC\x05", 4, "a kernel for riscv64"},
        {0x10008, "S390EP", 6, "a kernel for s390x"},
        {0x24, "\x18\x28\x6f\x01", 4, "a kernel for arm"},
        {0x20, "\1\2\3", 3, "a file of an unknown kind"},
        {0, "\x1f\x8b\x08\0", 4, "a file compressed with gzip"},
        {0, "MZ\0\0zimg", 8, "a file of an unknown kind"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        size_t size = cases[i].offset + cases[i].size;
        _cleanup_free_ char *file = xcalloc(1, size);
        memcpy(file + cases[i].offset, cases[i].bytes, cases[i].size);
        refused(*state, file, size, cases[i].says);
    }
}

static void test_elf_that_is_no_kernel_is_refused(void **state) {
    _cleanup_buffer_ struct buffer module = {0};
    _cleanup_buffer_ struct buffer program = {0};
    _cleanup_buffer_ struct buffer foreign = {0};
    _cleanup_buffer_ struct buffer small = {0};
    fixture_module("name=x|", "", &module);
    refused(*state, module.data, module.size, "a kernel module");
    make_vmlinux(EM_X86_64, "no banner", true, &program);
    refused(*state, program.data, program.size, "holds no Linux kernel");
    make_vmlinux(EM_AARCH64, "Linux version " RELEASE " (x)", true, &foreign);
    refused(*state, foreign.data, foreign.size, "a kernel for aarch64");
    make_vmlinux(EM_386, "Linux version " RELEASE " (x)", true, &small);
    small.data[EI_CLASS] = ELFCLASS32;
    refused(*state, small.data, small.size, "a kernel for i386");
}

static void test_compressed_files_are_told_by_their_content(void **state) {
    _cleanup_buffer_ struct buffer image = {0};
    _cleanup_buffer_ struct buffer tar = {0};
    _cleanup_buffer_ struct buffer module = {0};
    _cleanup_buffer_ struct buffer packed_module = {0};
    char plain[1024] = {0};
    memcpy(plain + 0x38, "ARM\x64", 4);
    fixture_compress(ARCHIVE_FILTER_GZIP, plain, sizeof(plain), &image);
    refused(*state, image.data, image.size, "an arm64 Image, compressed with gzip, a kernel for aarch64");
    memset(plain, 0, sizeof(plain));
    memcpy(plain + 257, "ustar", 5);
    fixture_compress(ARCHIVE_FILTER_XZ, plain, sizeof(plain), &tar);
    refused(*state, tar.data, tar.size, "a tar archive, compressed with xz");
    fixture_module("name=x|", "", &module);
    fixture_compress(ARCHIVE_FILTER_ZSTD, module.data, module.size, &packed_module);
    refused(*state, packed_module.data, packed_module.size, "a kernel module, compressed with zstd");
}

static void test_what_cannot_be_opened_is_said(void **state) {
    _cleanup_error_ struct error *missing = NULL;
    _cleanup_error_ struct error *directory = NULL;
    struct kernel *kernel = NULL;
    assert_int_equal(kernel_open("/nowhere/vmlinuz", &kernel, &missing), -ENOENT);
    assert_non_null(strstr(error_message(missing), "/nowhere/vmlinuz"));
    assert_int_equal(kernel_open(*state, &kernel, &directory), -EISDIR);
    assert_non_null(strstr(error_message(directory), "a directory"));
    refused(*state, "", 0, "empty");
    assert_null(kernel);
}

static void test_every_cut_of_a_bzimage_is_refused(void **state) {
    _cleanup_buffer_ struct buffer file = {0};
    make_bzimage(ARCHIVE_FILTER_GZIP, &file);
    for (size_t size = 1; size + 16 < file.size; size += 7)
        refused(*state, file.data, size, size >= 0x206 ? "cut off" : "not a kernel");
}

static void test_bzimage_without_what_is_behind_its_payload_is_refused(void **state) {
    _cleanup_buffer_ struct buffer file = {0};
    make_bzimage(ARCHIVE_FILTER_GZIP, &file);
    put_le(&file, 0x24c, 16, 4);
    refused(*state, file.data, file.size - 16, "cut off");
}

static void test_every_cut_of_a_vmlinux_is_refused(void **state) {
    _cleanup_buffer_ struct buffer file = {0};
    make_vmlinux(EM_X86_64, "Linux version " RELEASE " (x)", true, &file);
    for (size_t size = 1; size < file.size; size += 3)
        refused(*state, file.data, size, size >= sizeof(Elf64_Ehdr) ? "cut off" : "not a kernel");
}

/* Shows, under the sanitizers, that no number in a header is believed. */
static void test_no_byte_of_a_header_is_trusted(void **state) {
    static const int formats[] = {KERNEL_BZIMAGE, KERNEL_VMLINUX};
    static const char values[] = {'\xff', '\x7f', '\0', '\x80'};
    for (size_t i = 0; i < ARRAY_SIZE(formats) * ARRAY_SIZE(values); i++) {
        bool bzimage = formats[i / ARRAY_SIZE(values)] == KERNEL_BZIMAGE;
        _cleanup_buffer_ struct buffer good = {0};
        if (bzimage)
            make_bzimage(ARCHIVE_FILTER_GZIP, &good);
        else
            make_vmlinux(EM_X86_64, "Linux version " RELEASE " (x)", true, &good);
        for (size_t at = bzimage ? 0x1f0 : 4; at < (bzimage ? 0x250 : good.size); at++) {
            _cleanup_error_ struct error *error = NULL;
            _cleanup_buffer_ struct buffer vmlinux = {0};
            char kept = good.data[at];
            good.data[at] = values[i % ARRAY_SIZE(values)];
            _cleanup_kernel_ struct kernel *kernel = open_bytes(*state, good.data, good.size, &error);
            assert_true((kernel != NULL) != (error != NULL));
            if (kernel && kernel_unpack(kernel, &vmlinux, &error) == 0)
                (void)kernel_vmlinux_has_pvh(vmlinux.data, vmlinux.size);
            good.data[at] = kept;
        }
    }
}

static char *key_of(const char *root, const struct buffer *file) {
    _cleanup_kernel_ struct kernel *kernel = open_bytes(root, file->data, file->size, NULL);
    assert_non_null(kernel);
    return kernel_content_key(kernel);
}

static void test_content_key_tells_kernels_apart(void **state) {
    _cleanup_buffer_ struct buffer file = {0};
    make_bzimage(ARCHIVE_FILTER_GZIP, &file);
    _cleanup_free_ char *first = key_of(*state, &file);
    _cleanup_free_ char *same = key_of(*state, &file);
    file.data[file.size - 20] ^= 1;
    _cleanup_free_ char *other = key_of(*state, &file);
    assert_int_equal(strlen(first), 32);
    assert_string_equal(first, same);
    assert_string_not_equal(first, other);
}

static void test_content_key_of_a_vmlinux_leaves_debugging_information_out(void **state) {
    _cleanup_buffer_ struct buffer file = {0};
    make_vmlinux(EM_X86_64, "Linux version " RELEASE " (x)", true, &file);
    _cleanup_free_ char *first = key_of(*state, &file);
    buffer_append_string(&file, "debugging information");
    _cleanup_free_ char *same = key_of(*state, &file);
    file.data[sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr) + strlen("Linux version " RELEASE " ")] = '!';
    _cleanup_free_ char *other = key_of(*state, &file);
    assert_string_equal(first, same);
    assert_string_not_equal(first, other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bzimage_is_read_and_unpacked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_unpacked_size_costs_no_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_payload_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vmlinux_with_pvh_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vmlinux_without_pvh_says_what_to_do, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_kernel_is_refused_by_its_look, setup, teardown),
        cmocka_unit_test_setup_teardown(test_elf_that_is_no_kernel_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_compressed_files_are_told_by_their_content, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_cannot_be_opened_is_said, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_cut_of_a_bzimage_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bzimage_without_what_is_behind_its_payload_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_cut_of_a_vmlinux_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_byte_of_a_header_is_trusted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_content_key_tells_kernels_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_content_key_of_a_vmlinux_leaves_debugging_information_out, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
