/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel files. The table of formats has the bzImage (the kernel's Documentation/arch/x86/boot.rst: a header at 0x1f1
 * of the setup part, and from protocol 2.08 on the place of the compressed vmlinux) and the bare vmlinux; an
 * architecture's row says which of them are its own. All else goes to kernel_refuse(), which finds out what it is
 * instead.
 */
#include "kernel/kernel.h"

#include <ctype.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "kernel/elf.h"
#include "kernel/kernel-internal.h"
#include "kernel/unpack.h"

#define VMLINUX_LIMIT ((size_t)1 << 30)
#define XEN_ELFNOTE_PHYS32_ENTRY 18
#define RELEASE_LIMIT 64 /* __NEW_UTS_LEN: uname(2) cannot say a longer one */

/* Offsets in the setup header. */
enum {
    HEADER_SETUP_SECTS = 0x1f1,
    HEADER_SYSSIZE = 0x1f4,
    HEADER_BOOT_FLAG = 0x1fe,
    HEADER_MAGIC = 0x202,
    HEADER_VERSION = 0x206,
    HEADER_KERNEL_VERSION = 0x20e,
    HEADER_XLOADFLAGS = 0x236,
    HEADER_PAYLOAD_OFFSET = 0x248,
    HEADER_PAYLOAD_LENGTH = 0x24c,
    HEADER_END = 0x250,
};
#define XLF_KERNEL_64 1
#define SECTOR 512

static uint32_t get_le(const void *data, size_t offset, size_t bytes) {
    const unsigned char *at = (const unsigned char *)data + offset;
    uint32_t value = 0;
    for (size_t i = bytes; i > 0; i--)
        value = value << 8 | at[i - 1];
    return value;
}

/* The first word at `text`, if it could be a release; it becomes part of paths, so it is looked at closely. */
static char *take_release(const char *text, size_t size) {
    size_t length = 0;
    while (length < size && (isalnum((unsigned char)text[length]) || (text[length] && strchr(".-+_~", text[length]))))
        length++;
    if (length == 0 || length > RELEASE_LIMIT || length == size || !isdigit((unsigned char)text[0]))
        return NULL;
    return isspace((unsigned char)text[length]) || text[length] == '\0' ? xstrndup(text, length) : NULL;
}

static char *find_banner(const void *data, size_t size) {
    static const char banner[] = "Linux version ";
    const char *end = (const char *)data + size;
    for (const char *at = data; at < end;) {
        at = memmem(at, (size_t)(end - at), banner, sizeof(banner) - 1);
        if (!at)
            return NULL;
        at += sizeof(banner) - 1;
        char *release = take_release(at, (size_t)(end - at));
        if (release)
            return release;
    }
    return NULL;
}

char *kernel_find_elf_banner(const void *data, size_t size) {
    Elf64_Ehdr header;
    Elf64_Phdr segment;
    if (!elf_header(data, size, &header))
        return find_banner(data, size < VMLINUX_LIMIT ? size : VMLINUX_LIMIT);
    for (size_t i = 0; elf_segment(data, size, &header, i, &segment); i++) {
        size_t length;
        const void *bytes = segment.p_type == PT_LOAD ? elf_segment_data(data, size, &segment, &length) : NULL;
        char *release = bytes ? find_banner(bytes, length) : NULL;
        if (release)
            return release;
    }
    return NULL;
}

static bool notes_have_pvh(const char *notes, size_t size) {
    for (size_t at = 0; size - at >= sizeof(Elf64_Nhdr);) {
        Elf64_Nhdr note;
        memcpy(&note, notes + at, sizeof(note));
        at += sizeof(note);
        uint64_t name = ((uint64_t)note.n_namesz + 3) & ~UINT64_C(3);
        uint64_t body = ((uint64_t)note.n_descsz + 3) & ~UINT64_C(3);
        if (name + body > size - at)
            return false;
        if (note.n_type == XEN_ELFNOTE_PHYS32_ENTRY && note.n_namesz == 4 && memcmp(notes + at, "Xen", 4) == 0)
            return note.n_descsz == 4 || note.n_descsz == 8;
        at += (size_t)(name + body);
    }
    return false;
}

bool kernel_vmlinux_has_pvh(const void *elf, size_t size) {
    Elf64_Ehdr header;
    Elf64_Phdr segment;
    if (!elf_header(elf, size, &header))
        return false;
    for (size_t i = 0; elf_segment(elf, size, &header, i, &segment); i++) {
        size_t length;
        const void *notes = segment.p_type == PT_NOTE ? elf_segment_data(elf, size, &segment, &length) : NULL;
        if (notes && notes_have_pvh(notes, length))
            return true;
    }
    return false;
}

static int error_truncated(const char *path, const char *what, struct error **ret_error) {
    return error_new(ret_error, EBADMSG, "%s: this is %s that is cut off: copy or unpack it again", path, what);
}

static int read_bzimage_release(struct kernel *kernel, size_t setup_size, struct error **ret_error) {
    size_t at = get_le(kernel->map, HEADER_KERNEL_VERSION, 2);
    if (at > 0 && at + SECTOR < setup_size)
        kernel->release = take_release((const char *)kernel->map + at + SECTOR, setup_size - at - SECTOR);
    if (!kernel->release)
        return error_new(ret_error, EBADMSG, "%s: this bzImage does not say its release: it is damaged", kernel->path);
    return 0;
}

static enum kernel_compression find_compression(const char *payload, size_t size) {
    static const char *const names[N_KERNEL_COMPRESSIONS] = {
        [KERNEL_GZIP] = "gzip", [KERNEL_BZIP2] = "bzip2", [KERNEL_LZMA] = "lzma", [KERNEL_XZ] = "xz",
        [KERNEL_LZOP] = "lzop", [KERNEL_LZ4] = "lz4",     [KERNEL_ZSTD] = "zstd",
    };
    const char *name;
    if (elf_is_elf(payload, size))
        return KERNEL_UNPACKED;
    if (unpack_recognises(payload, size, &name))
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
            if (names[i] && strcmp(names[i], name) == 0)
                return (enum kernel_compression)i;
    return KERNEL_UNKNOWN_COMPRESSION;
}

static int read_bzimage(struct kernel *kernel, struct error **ret_error) {
    const void *map = kernel->map;

    if (kernel->size < HEADER_END)
        return error_truncated(kernel->path, "a bzImage", ret_error);

    size_t sectors = get_le(map, HEADER_SETUP_SECTS, 1);
    size_t setup_size = ((sectors ? sectors : 4) + 1) * SECTOR;
    size_t system_size = (size_t)get_le(map, HEADER_SYSSIZE, 4) * 16;
    unsigned protocol = get_le(map, HEADER_VERSION, 2);

    /* The last paragraph of 16 bytes need not be full. */
    if (setup_size > kernel->size || setup_size + system_size > kernel->size + 15)
        return error_truncated(kernel->path, "a bzImage", ret_error);
    if (protocol < 0x20c || !(get_le(map, HEADER_XLOADFLAGS, 2) & XLF_KERNEL_64))
        return error_new(ret_error, ENOTSUP,
                         "%s: this is a 32-bit x86 kernel, and this vmtest boots %s: give a %s kernel", kernel->path,
                         arch_host_name(), arch_host_name());

    size_t offset = setup_size + get_le(map, HEADER_PAYLOAD_OFFSET, 4);
    size_t size = get_le(map, HEADER_PAYLOAD_LENGTH, 4);
    if (offset + size > kernel->size)
        return error_truncated(kernel->path, "a bzImage", ret_error);
    kernel->payload_offset = offset;
    kernel->payload_size = size;
    kernel->compression = find_compression((const char *)map + offset, size);
    return read_bzimage_release(kernel, setup_size, ret_error);
}

static int read_vmlinux(struct kernel *kernel, struct error **ret_error) {
    Elf64_Ehdr header;
    const struct arch *arch = arch_host();
    if (elf_machine(kernel->map, kernel->size) != arch->elf_machine ||
        !elf_header(kernel->map, kernel->size, &header) || (header.e_type != ET_EXEC && header.e_type != ET_DYN))
        return kernel_refuse(kernel->path, kernel->map, kernel->size, ret_error);
    kernel->release = kernel_find_elf_banner(kernel->map, kernel->size);
    bool complete = elf_is_complete(kernel->map, kernel->size, &header);
    if (!complete)
        return error_truncated(kernel->path, kernel->release ? "a vmlinux" : "an ELF file", ret_error);
    if (!kernel->release)
        return kernel_refuse(kernel->path, kernel->map, kernel->size, ret_error);
    kernel->pvh = kernel_vmlinux_has_pvh(kernel->map, kernel->size);
    if (!kernel->pvh && arch->vmlinux_needs_pvh)
        return error_new(ret_error, ENOTSUP,
                         "%s: this vmlinux (%s) has no PVH entry to boot it by: give its bzImage, or build it with "
                         "CONFIG_PVH=y",
                         kernel->path, kernel->release);
    return 0;
}

static bool has_magic(const struct kernel *kernel, size_t offset, const char *magic, size_t length) {
    return kernel->size >= offset + length && memcmp((const char *)kernel->map + offset, magic, length) == 0;
}

static bool is_bzimage(const struct kernel *kernel) {
    return has_magic(kernel, HEADER_MAGIC, "HdrS", 4) && has_magic(kernel, HEADER_BOOT_FLAG, "\x55\xaa", 2);
}

static bool is_elf(const struct kernel *kernel) {
    return elf_is_elf(kernel->map, kernel->size);
}

static const struct format {
    bool (*matches)(const struct kernel *kernel);
    int (*read)(struct kernel *kernel, struct error **ret_error);
} formats[N_KERNEL_FORMATS] = {
    [KERNEL_BZIMAGE] = {is_bzimage, read_bzimage},
    [KERNEL_VMLINUX] = {is_elf, read_vmlinux},
};

int kernel_read(struct kernel *kernel, struct error **ret_error) {
    const struct arch *arch = arch_host();
    for (size_t i = 0; arch && i < ARRAY_SIZE(formats); i++) {
        if (!(arch->kernel_formats & 1u << i) || !formats[i].matches(kernel))
            continue;
        kernel->format = (enum kernel_format)i;
        return formats[i].read(kernel, ret_error);
    }
    return kernel_refuse(kernel->path, kernel->map, kernel->size, ret_error);
}

static int map_file(struct kernel *kernel, struct error **ret_error) {
    /* O_NONBLOCK: a FIFO given by mistake is to be refused, not waited for. */
    _cleanup_close_ int fd = open(kernel->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0 && errno == ENOENT)
        return error_new(ret_error, ENOENT, "%s: there is no such kernel file", kernel->path);
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(ret_error, errno, "%s: cannot read the kernel", kernel->path);
    if (S_ISDIR(st.st_mode))
        return error_new(ret_error, EISDIR, "%s: this is a directory: give the kernel file itself", kernel->path);
    if (!S_ISREG(st.st_mode))
        return error_new(ret_error, EINVAL, "%s: this is no regular file: give the kernel file itself", kernel->path);
    if (st.st_size == 0)
        return error_new(ret_error, EBADMSG, "%s: this file is empty: copy or unpack the kernel again", kernel->path);
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        return error_errno(ret_error, errno, "%s: cannot read the kernel", kernel->path);
    kernel->map = map;
    kernel->size = (size_t)st.st_size;
    return 0;
}

int kernel_open(const char *path, struct kernel **ret, struct error **ret_error) {
    _cleanup_kernel_ struct kernel *kernel = xcalloc(1, sizeof(*kernel));
    kernel->path = xstrdup(path);
    int r = map_file(kernel, ret_error);
    if (r == 0)
        r = kernel_read(kernel, ret_error);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(kernel);
    return 0;
}

void kernel_free(struct kernel *kernel) {
    if (!kernel)
        return;
    if (kernel->map)
        (void)munmap((void *)(uintptr_t)kernel->map, kernel->size);
    free(kernel->release);
    free(kernel->path);
    free(kernel);
}

int kernel_unpack(const struct kernel *kernel, struct buffer *ret_vmlinux, struct error **ret_error) {
    if (kernel->format != KERNEL_BZIMAGE) {
        buffer_append(ret_vmlinux, kernel->map, kernel->size);
        return 0;
    }
    const char *payload = (const char *)kernel->map + kernel->payload_offset;
    size_t size = kernel->payload_size;
    if (kernel->compression == KERNEL_UNPACKED) {
        buffer_append(ret_vmlinux, payload, size);
        return 0;
    }
    if (kernel->compression == KERNEL_UNKNOWN_COMPRESSION || size < 4)
        return error_new(ret_error, EOPNOTSUPP, "%s: its payload is packed in a way that is not known", kernel->path);
    /* The last word is the unpacked size: gzip's own, appended to the stream by the kernel's build for all others. */
    struct unpack_limits limits = {.expected = get_le(payload, size - 4, 4), .limit = VMLINUX_LIMIT};
    if (kernel->compression != KERNEL_GZIP)
        size -= 4;
    _cleanup_buffer_ struct buffer vmlinux = {0};
    int r = unpack_memory(kernel->path, payload, size, limits, &vmlinux, ret_error);
    if (r < 0)
        return r;
    if (!elf_is_elf(vmlinux.data, vmlinux.size))
        return error_new(ret_error, EBADMSG, "%s: its payload is no ELF file: it is damaged", kernel->path);
    if (ret_vmlinux->size == 0) {
        buffer_deinit(ret_vmlinux);
        *ret_vmlinux = vmlinux;
        vmlinux = (struct buffer){0};
    } else {
        buffer_append(ret_vmlinux, vmlinux.data, vmlinux.size);
    }
    return 0;
}

static void hash_loaded(XXH3_state_t *state, const struct kernel *kernel) {
    Elf64_Ehdr header;
    Elf64_Phdr segment;
    if (kernel->format != KERNEL_VMLINUX || !elf_header(kernel->map, kernel->size, &header)) {
        (void)XXH3_128bits_update(state, kernel->map, kernel->size);
        return;
    }
    /* Where the section headers lie says how much debugging information there is, which nobody boots. */
    header.e_shoff = 0;
    header.e_shnum = 0;
    header.e_shstrndx = 0;
    (void)XXH3_128bits_update(state, &header, sizeof(header));
    for (size_t i = 0; elf_segment(kernel->map, kernel->size, &header, i, &segment); i++) {
        size_t length;
        const void *bytes = elf_segment_data(kernel->map, kernel->size, &segment, &length);
        (void)XXH3_128bits_update(state, &segment, sizeof(segment));
        if (bytes)
            (void)XXH3_128bits_update(state, bytes, length);
    }
}

char *kernel_content_key(const struct kernel *kernel) {
    XXH3_state_t *state = XXH3_createState();
    if (!state)
        abort(); /* out of memory, as base/str.h does it */
    (void)XXH3_128bits_reset(state);
    hash_loaded(state, kernel);
    XXH128_hash_t hash = XXH3_128bits_digest(state);
    (void)XXH3_freeState(state);
    return xasprintf("%016llx%016llx", (unsigned long long)hash.high64, (unsigned long long)hash.low64);
}
