/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The little of ELF that is read of kernels: 64-bit, of this machine's byte order. The bytes may be anything: nothing
 * outside of them is ever touched.
 */
#ifndef VMTEST_KERNEL_ELF_H
#define VMTEST_KERNEL_ELF_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>

/* Whether the bytes begin as an ELF file of any kind. */
bool elf_is_elf(const void *data, size_t size);

/* The machine (EM_...) of any ELF file, whatever its word size and byte order; EM_NONE when it is cut off. */
unsigned elf_machine(const void *data, size_t size);

/* Copies the header of a 64-bit ELF file of this machine's byte order; false when it is not one. */
bool elf_header(const void *data, size_t size, Elf64_Ehdr *ret_header);

/* Copies program header `i`; false past the last one and where the file is cut off. */
bool elf_segment(const void *data, size_t size, const Elf64_Ehdr *header, size_t i, Elf64_Phdr *ret_segment);

/* Whether all that the headers speak of lies within the file: segments and both header tables. */
bool elf_is_complete(const void *data, size_t size, const Elf64_Ehdr *header);

/* The file's bytes of a segment, cut to what is there; NULL when nothing is. */
const void *elf_segment_data(const void *data, size_t size, const Elf64_Phdr *segment, size_t *ret_size);

#endif
