/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of src/initramfs make their input of: directories of their own, and kernel modules that are small but
 * real ELF files, plain or compressed.
 */
#ifndef VMTEST_TESTS_MODULES_FIXTURE_H
#define VMTEST_TESTS_MODULES_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <archive.h>
#include <archive_entry.h>
#include <cmocka.h>
#include <elf.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/str.h"

static inline char *fixture_directory(void) {
    char *path = xstrdup("/tmp/vmtest-unit-XXXXXX");
    assert_non_null(mkdtemp(path));
    return path;
}

static inline int fixture_remove_one(const char *path, const struct stat *st, int type, struct FTW *walk) {
    return remove(path);
}

static inline void fixture_remove(char *path) {
    assert_int_equal(nftw(path, fixture_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    free(path);
}

/* Writes ROOT/PATH and the directories above it. */
static inline void fixture_write(const char *root, const char *path, const void *data, size_t size) {
    _cleanup_free_ char *full = xasprintf("%s/%s", root, path);
    _cleanup_free_ char *parent = path_parent(full);
    assert_int_equal(path_make_directories(parent, 0755, NULL), 0);
    assert_int_equal(file_write_atomically(full, data, size, 0644, NULL), 0);
}

static inline void fixture_text(const char *root, const char *path, const char *text) {
    fixture_write(root, path, text, strlen(text));
}

/* `data` behind one of libarchive's filters. */
static inline void fixture_compress(int filter, const void *data, size_t size, struct buffer *ret) {
    size_t room = size * 2 + 65536, used = 0;
    char *packed = xmalloc(room);
    struct archive *writer = archive_write_new();
    struct archive_entry *entry = archive_entry_new();
    assert_int_equal(archive_write_set_format_raw(writer), ARCHIVE_OK);
    assert_int_equal(archive_write_add_filter(writer, filter), ARCHIVE_OK);
    (void)archive_write_set_bytes_in_last_block(writer, 1);
    assert_int_equal(archive_write_open_memory(writer, packed, room, &used), ARCHIVE_OK);
    archive_entry_set_pathname(entry, "data");
    archive_entry_set_filetype(entry, AE_IFREG);
    assert_int_equal(archive_write_header(writer, entry), ARCHIVE_OK);
    assert_int_equal(archive_write_data(writer, data, size), size);
    assert_int_equal(archive_write_close(writer), ARCHIVE_OK);
    archive_entry_free(entry);
    (void)archive_write_free(writer);
    buffer_append(ret, packed, used);
    free(packed);
}

static inline void fixture_append_section(struct buffer *file, Elf64_Shdr *section, const char *data, size_t size,
                                          uint32_t name) {
    *section = (Elf64_Shdr){.sh_name = name,
                            .sh_type = name == 1 ? SHT_STRTAB : SHT_PROGBITS,
                            .sh_offset = file->size,
                            .sh_size = size,
                            .sh_addralign = 1};
    buffer_append(file, data, size);
}

/* An ELF module: `modinfo` and `exports` are rows of strings that each end with "|". */
static inline void fixture_module(const char *modinfo, const char *exports, struct buffer *ret) {
    static const char names[] = "\0.shstrtab\0.modinfo\0__ksymtab_strings";
    _cleanup_free_ char *info = xstrdup(modinfo);
    _cleanup_free_ char *symbols = xstrdup(exports);
    Elf64_Shdr sections[4] = {0};
    Elf64_Ehdr header = {.e_type = ET_REL, .e_machine = EM_X86_64, .e_version = EV_CURRENT, .e_ehsize = sizeof(header)};
    _cleanup_buffer_ struct buffer file = {0};
    for (char *at = info; *at; at++)
        *at = *at == '|' ? '\0' : *at;
    for (char *at = symbols; *at; at++)
        *at = *at == '|' ? '\0' : *at;
    memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    buffer_append(&file, &header, sizeof(header));
    fixture_append_section(&file, &sections[1], names, sizeof(names), 1);
    fixture_append_section(&file, &sections[2], info, strlen(modinfo), 11);
    fixture_append_section(&file, &sections[3], symbols, strlen(exports), 20);
    while (file.size % 8)
        buffer_append(&file, "", 1);
    header.e_shoff = file.size;
    header.e_shnum = ARRAY_SIZE(sections);
    header.e_shentsize = sizeof(Elf64_Shdr);
    header.e_shstrndx = 1;
    buffer_append(&file, sections, sizeof(sections));
    memcpy(file.data, &header, sizeof(header));
    buffer_append(ret, file.data, file.size);
}

/* A module file; compressed as its name says. */
static inline void fixture_write_module(const char *root, const char *path, const char *modinfo, const char *exports) {
    _cleanup_buffer_ struct buffer plain = {0};
    _cleanup_buffer_ struct buffer packed = {0};
    fixture_module(modinfo, exports, &plain);
    if (str_has_suffix(path, ".gz"))
        fixture_compress(ARCHIVE_FILTER_GZIP, plain.data, plain.size, &packed);
    else if (str_has_suffix(path, ".xz"))
        fixture_compress(ARCHIVE_FILTER_XZ, plain.data, plain.size, &packed);
    else if (str_has_suffix(path, ".zst"))
        fixture_compress(ARCHIVE_FILTER_ZSTD, plain.data, plain.size, &packed);
    else
        buffer_append(&packed, plain.data, plain.size);
    fixture_write(root, path, packed.data, packed.size);
}

#endif
