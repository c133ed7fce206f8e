/* SPDX-License-Identifier: Apache-2.0 */
/* Reading ELF out of untrusted bytes: every header is copied, every sum of two numbers of the file is checked. */
#include "kernel/elf.h"

#include <byteswap.h>
#include <stdint.h>
#include <string.h>

#define NATIVE_DATA (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB)

bool elf_is_elf(const void *data, size_t size) {
    return size >= EI_NIDENT && memcmp(data, ELFMAG, SELFMAG) == 0;
}

unsigned elf_machine(const void *data, size_t size) {
    const unsigned char *ident = data;
    uint16_t machine;
    if (!elf_is_elf(data, size) || size < offsetof(Elf64_Ehdr, e_machine) + sizeof(machine))
        return EM_NONE;
    memcpy(&machine, ident + offsetof(Elf64_Ehdr, e_machine), sizeof(machine));
    return ident[EI_DATA] == NATIVE_DATA ? machine : bswap_16(machine);
}

bool elf_header(const void *data, size_t size, Elf64_Ehdr *ret_header) {
    const unsigned char *ident = data;
    if (!elf_is_elf(data, size) || size < sizeof(*ret_header))
        return false;
    if (ident[EI_CLASS] != ELFCLASS64 || ident[EI_DATA] != NATIVE_DATA)
        return false;
    memcpy(ret_header, data, sizeof(*ret_header));
    return true;
}

/* Whether `count` entries of `entry` bytes from `offset` on lie within `size` bytes. */
static bool range_fits(uint64_t offset, uint64_t count, uint64_t entry, size_t size) {
    uint64_t length, end;
    return !__builtin_mul_overflow(count, entry, &length) && !__builtin_add_overflow(offset, length, &end) &&
           end <= size;
}

bool elf_segment(const void *data, size_t size, const Elf64_Ehdr *header, size_t i, Elf64_Phdr *ret_segment) {
    if (i >= header->e_phnum || header->e_phentsize < sizeof(*ret_segment))
        return false;
    if (!range_fits(header->e_phoff, i + 1, header->e_phentsize, size))
        return false;
    memcpy(ret_segment, (const char *)data + header->e_phoff + i * header->e_phentsize, sizeof(*ret_segment));
    return true;
}

bool elf_is_complete(const void *data, size_t size, const Elf64_Ehdr *header) {
    if (header->e_phnum > 0 && !range_fits(header->e_phoff, header->e_phnum, header->e_phentsize, size))
        return false;
    if (header->e_shoff > 0 && !range_fits(header->e_shoff, header->e_shnum, header->e_shentsize, size))
        return false;
    Elf64_Phdr segment;
    for (size_t i = 0; elf_segment(data, size, header, i, &segment); i++)
        if (!range_fits(segment.p_offset, segment.p_filesz, 1, size))
            return false;
    return true;
}

const void *elf_segment_data(const void *data, size_t size, const Elf64_Phdr *segment, size_t *ret_size) {
    if (segment->p_offset >= size || segment->p_filesz == 0)
        return NULL;
    size_t rest = size - segment->p_offset;
    *ret_size = segment->p_filesz < rest ? segment->p_filesz : rest;
    return (const char *)data + segment->p_offset;
}
