/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decompression through libarchive: the "raw" format, which is a stream without any structure, behind whatever filter
 * its first bytes call for. Filters that libarchive would run an external program for are left out: what is installed
 * on the host must make no difference.
 */
#include "kernel/unpack.h"

#include <archive.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define MODULE_LIMIT ((size_t)512 << 20)
/* Kernels pack to a sixth or so of their size; a hint of far more is damage, and not worth the memory it asks for. */
#define EXPECTED_RATIO 32

static const struct magic {
    const char *bytes;
    size_t size;
    const char *name;
} magics[] = {
    {"\x1f\x8b", 2, "gzip"},         {"\xfd\x37zXZ\0", 6, "xz"},
    {"\x28\xb5\x2f\xfd", 4, "zstd"}, {"BZh", 3, "bzip2"},
    {"\x5d\0\0", 3, "lzma"},         {"\x89LZO\0\r\n\x1a\n", 9, "lzop"},
    {"\x02\x21\x4c\x18", 4, "lz4"},  {"\x04\x22\x4d\x18", 4, "lz4"},
};

bool unpack_recognises(const void *data, size_t size, const char **ret_name) {
    for (size_t i = 0; i < ARRAY_SIZE(magics); i++) {
        if (size < magics[i].size || memcmp(data, magics[i].bytes, magics[i].size) != 0)
            continue;
        if (ret_name)
            *ret_name = magics[i].name;
        return true;
    }
    return false;
}

static void free_reader(struct archive **reader) {
    if (*reader)
        (void)archive_read_free(*reader);
}

static struct archive *new_reader(void) {
    static int (*const filters[])(struct archive *) = {
        archive_read_support_filter_gzip, archive_read_support_filter_bzip2, archive_read_support_filter_lzma,
        archive_read_support_filter_xz,   archive_read_support_filter_lz4,   archive_read_support_filter_zstd,
        archive_read_support_filter_lzop,
    };
    struct archive *reader = archive_read_new();
    if (!reader)
        abort(); /* out of memory, as base/str.h does it */
    (void)archive_read_support_format_raw(reader);
    for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
        /* One that would run a program says so with ARCHIVE_WARN, but cannot be taken back: hence the trial. */
        _cleanup_(free_reader) struct archive *trial = archive_read_new();
        if (trial && filters[i](trial) == ARCHIVE_OK)
            (void)filters[i](reader);
    }
    return reader;
}

static int read_blocks(struct archive *reader, const char *what, struct unpack_limits limits, struct buffer *ret,
                       struct error **ret_error) {
    size_t total = 0;
    for (;;) {
        const void *block;
        size_t size;
        la_int64_t offset;
        int r = archive_read_data_block(reader, &block, &size, &offset);
        if (r == ARCHIVE_EOF)
            return 0;
        if (r < ARCHIVE_WARN)
            return error_new(ret_error, EBADMSG, "%s: cannot be decompressed: %s", what, archive_error_string(reader));
        if (size > limits.limit - total) {
            if (!limits.head_only)
                return error_new(ret_error, EFBIG, "%s: decompresses to more than %zu MiB", what, limits.limit >> 20);
            buffer_append(ret, block, limits.limit - total);
            return 0;
        }
        buffer_append(ret, block, size);
        total += size;
    }
}

int unpack_memory(const char *what, const void *data, size_t size, struct unpack_limits limits, struct buffer *ret,
                  struct error **ret_error) {
    _cleanup_(free_reader) struct archive *reader = new_reader();
    struct archive_entry *entry;
    if (archive_read_open_memory(reader, data, size) != ARCHIVE_OK || archive_read_next_header(reader, &entry) != 0)
        return error_new(ret_error, EBADMSG, "%s: cannot be decompressed: %s", what, archive_error_string(reader));
    /* One filter is always there, the one that hands the bytes on as they are. */
    if (archive_filter_count(reader) < 2)
        return error_new(ret_error, EOPNOTSUPP, "%s: this libarchive cannot decompress it", what);
    if (limits.expected <= limits.limit && limits.expected / EXPECTED_RATIO <= size)
        (void)buffer_reserve(ret, limits.expected);
    return read_blocks(reader, what, limits, ret, ret_error);
}

int unpack_module(const char *path, struct buffer *ret, struct error **ret_error) {
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(ret_error, errno, "cannot read the module %s", path);
    if (st.st_size <= 0)
        return error_new(ret_error, EBADMSG, "the module %s is empty", path);
    size_t size = (size_t)st.st_size;
    void *map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        return error_errno(ret_error, errno, "cannot read the module %s", path);
    int r = 0;
    if (unpack_recognises(map, size, NULL))
        r = unpack_memory(path, map, size, (struct unpack_limits){.expected = 0, .limit = MODULE_LIMIT}, ret,
                          ret_error);
    else
        buffer_append(ret, map, size);
    (void)munmap(map, size);
    return r;
}
