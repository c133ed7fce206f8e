/* SPDX-License-Identifier: Apache-2.0 */
#include "qemu/image.h"

#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/subprocess.h"

#define QEMU_IMG_TIMEOUT (60 * NSEC_PER_SEC)
#define OUTPUT_LIMIT (1u << 20)
#define SECTOR_SIZE 512
/* What stands before the disk's signature and the table of partitions. */
#define BOOT_CODE_SIZE 440
/* Exit codes of `qemu-img check`: what it is about is damaged, or it could not be looked at. */
#define CHECK_FAILED 1
#define CHECK_CORRUPT 2
/* In the header of a VDI file: where its blocks begin, how large each is, and how many are there. */
#define VDI_DATA_OFFSET 0x158
#define VDI_BLOCK_SIZE_OFFSET 0x178
#define VDI_BLOCKS_OFFSET 0x184

void image_deinit(struct image *image) {
    free(image->format);
    strv_deinit(&image->parts);
    strv_deinit(&image->backing);
    strv_deinit(&image->backing_parts);
    *image = (struct image){0};
}

/* Runs qemu-img. Only that it could not be run is an error. */
static int qemu_img(const struct strv *argv, int cancel_fd, struct subprocess_result *ret_result,
                    struct error **ret_error) {
    _cleanup_error_ struct error *error = NULL;
    int r = subprocess_run(argv, cancel_fd, deadline_in(QEMU_IMG_TIMEOUT), OUTPUT_LIMIT, ret_result, &error);

    if (r == -ENOENT)
        return error_new(ret_error, r,
                         "qemu-img is missing, which images need; install qemu-utils (Debian, Ubuntu) or qemu-img "
                         "(Fedora)");
    return r < 0 ? error_new(ret_error, r, "%s", error_message(error)) : 0;
}

static bool succeeded(const struct subprocess_result *result) {
    return WIFEXITED(result->status) && WEXITSTATUS(result->status) == 0;
}

/* What qemu-img said, in one line and without its name in front. Caller frees. */
static char *last_words(const struct subprocess_result *result) {
    const struct buffer *said = result->errors.size > 0 ? &result->errors : &result->output;
    const char *text = said->data ? said->data + strspn(said->data, "\r\n") : "";
    const char *words = str_skip_prefix(text, "qemu-img: ");
    char *line = xstrdup(words ? words : text);

    line[strcspn(line, "\r\n")] = '\0';
    for (char *c = line; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    }
    return line;
}

/* What can be seen without qemu-img. */
static int check_file(const struct image_request *request, bool *ret_device, struct error **ret_error) {
    const char *where = request->where_image;
    const char *path = request->path;
    struct stat status;

    if (stat(path, &status) < 0)
        return error_errno(ret_error, errno, "%s: the image '%s'", where, path);
    if (S_ISDIR(status.st_mode))
        return error_new(ret_error, EISDIR, "%s: the image '%s' is a directory; give the file of a disk image", where,
                         path);
    if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))
        return error_new(ret_error, EINVAL, "%s: the image '%s' is a fifo, a socket or the like; give a file", where,
                         path);
    if (S_ISREG(status.st_mode) && status.st_size == 0)
        return error_new(ret_error, EINVAL, "%s: the image '%s' is empty; give the file of a disk image", where, path);

    _cleanup_close_ int fd = open(path, (request->write ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (fd < 0)
        return error_errno(ret_error, errno, "%s: the image '%s'", where, path);
    *ret_device = S_ISBLK(status.st_mode);
    return 0;
}

/* The error for what `qemu-img info` could not open. */
static int explain_info(const struct image_request *request, const struct subprocess_result *result,
                        struct error **ret_error) {
    _cleanup_free_ char *words = last_words(result);
    _cleanup_free_ char *quoted = xasprintf("'%s'", request->path);
    bool itself = result->errors.data && strstr(result->errors.data, quoted);

    if (itself && request->format)
        return error_new(ret_error, EINVAL,
                         "%s: the image '%s' is not in the format %s, or it is truncated or damaged; remove the "
                         "format, or correct it: %s",
                         request->where_format, request->path, request->format, words);
    if (!itself && (strstr(words, "Image is not in") || strstr(words, "Image not in")))
        return error_new(ret_error, EINVAL,
                         "%s: a backing file of the image '%s' is not in the format that the image says: %s",
                         request->where_image, request->path, words);
    if (strstr(words, "No such file or directory"))
        return error_new(ret_error, ENOENT, "%s: a backing file of the image '%s' is missing: %s", request->where_image,
                         request->path, words);
    return error_new(ret_error, EINVAL, "%s: the image '%s' is truncated, damaged or of no known format: %s",
                     request->where_image, request->path, words);
}

static bool is_known_format(const char *format) {
    static const char *const known[] = {"raw", "qcow2", "vmdk", "vdi", "vhdx", "vpc", "qed", "qcow"};

    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        if (str_equal(format, known[i]))
            return true;
    }
    return false;
}

static uint64_t get_le32(const unsigned char *bytes) {
    return bytes[0] | (uint64_t)bytes[1] << 8 | (uint64_t)bytes[2] << 16 | (uint64_t)bytes[3] << 24;
}

/* Whether a VDI file is shorter than the blocks it holds, which qemu-img does not look at. */
static bool is_cut_vdi(const char *path) {
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    unsigned char head[SECTOR_SIZE];
    struct stat status;

    if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) ||
        pread(fd, head, sizeof(head), 0) != (ssize_t)sizeof(head))
        return false;
    return (uint64_t)status.st_size < get_le32(head + VDI_DATA_OFFSET) +
                                          get_le32(head + VDI_BLOCKS_OFFSET) * get_le32(head + VDI_BLOCK_SIZE_OFFSET);
}

/* `qemu-img check` of one file of the chain: what its metadata says must be there. Raw files have none. */
static int check_metadata(const struct image_request *request, const char *path, const char *format,
                          struct error **ret_error) {
    _cleanup_subprocess_result_ struct subprocess_result result = {0};
    _cleanup_strv_ struct strv argv = {0};
    int r;

    if (str_equal(format, "raw") || str_equal(format, "vpc") || str_equal(format, "qcow"))
        return 0;
    strv_append(&argv, "qemu-img");
    strv_append(&argv, "check");
    strv_append(&argv, "-U");
    strv_append(&argv, "-f");
    strv_append(&argv, format);
    strv_append(&argv, path);
    r = qemu_img(&argv, request->cancel_fd, &result, ret_error);
    if (r < 0)
        return r;
    bool cut = str_equal(format, "vdi") && is_cut_vdi(path);
    if (!cut && WIFEXITED(result.status) && WEXITSTATUS(result.status) != CHECK_FAILED &&
        WEXITSTATUS(result.status) != CHECK_CORRUPT)
        return 0;

    _cleanup_free_ char *words = cut ? xstrdup("its file is shorter than what it holds") : last_words(&result);
    return error_new(ret_error, EINVAL, "%s: the image '%s' is truncated or damaged%s%s: %s", request->where_image,
                     request->path, str_equal(path, request->path) ? "" : ", in its backing file ",
                     str_equal(path, request->path) ? "" : path, words);
}

static void take_part(const char *path, const char *part, struct strv *ret_parts) {
    _cleanup_free_ char *directory = path_parent(path);

    if (part && !str_equal(part, path))
        strv_append_take(ret_parts, path_resolve(directory, part));
}

/* A file of the chain may keep its data in others: vmdk in extents, qcow2 in a raw file. */
static void take_parts(const json_t *entry, const char *path, struct strv *ret_parts) {
    const json_t *data = json_object_get(json_object_get(entry, "format-specific"), "data");
    const json_t *extents = json_object_get(data, "extents");

    take_part(path, json_string_value(json_object_get(data, "data-file")), ret_parts);
    for (size_t i = 0; i < json_array_size(extents); i++)
        take_part(path, json_string_value(json_object_get(json_array_get(extents, i), "filename")), ret_parts);
}

/* One entry of the chain, the image itself first: whether it is of a kind that can be used. */
static int take_entry(const struct image_request *request, const json_t *entry, bool first, struct image *image,
                      struct error **ret_error) {
    const char *format = json_string_value(json_object_get(entry, "format"));
    const char *path = json_string_value(json_object_get(entry, "filename"));
    bool encrypted = json_is_true(json_object_get(entry, "encrypted")) || str_equal(format, "luks");

    if (!format || !path)
        return error_new(ret_error, EPROTO, "%s: qemu-img tells nothing of the image '%s'", request->where_image,
                         request->path);
    if (first)
        path = request->path;
    if (encrypted)
        return error_new(ret_error, ENOTSUP,
                         "%s: the image '%s' is encrypted; decrypt it first, such as with qemu-img convert",
                         request->where_image, path);
    if (!is_known_format(format))
        return error_new(ret_error, ENOTSUP,
                         "%s: the image '%s' is in the format %s, which is not supported; convert it to qcow2 with "
                         "qemu-img convert",
                         request->where_image, path, format);
    if (first) {
        image->format = xstrdup(format);
        image->virtual_size = (uint64_t)json_integer_value(json_object_get(entry, "virtual-size"));
    } else {
        strv_append(&image->backing, path);
    }
    take_parts(entry, path, first ? &image->parts : &image->backing_parts);
    return 0;
}

static int take_info(const struct image_request *request, const struct buffer *text, struct image *image,
                     struct error **ret_error) {
    json_t *chain = json_loadb(text->data ? text->data : "", text->size, 0, NULL);
    size_t count = json_array_size(chain);
    int r = 0;

    if (count == 0)
        r = error_new(ret_error, EPROTO, "%s: qemu-img tells nothing of the image '%s'", request->where_image,
                      request->path);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = take_entry(request, json_array_get(chain, i), i == 0, image, ret_error);
    /* After all of them were taken: the check of one opens those after it, and would stumble over an encrypted one. */
    for (size_t i = 0; r == 0 && i < count; i++) {
        const char *format = json_string_value(json_object_get(json_array_get(chain, i), "format"));

        r = check_metadata(request, i == 0 ? request->path : image->backing.items[i - 1], format, ret_error);
    }
    json_decref(chain);
    if (r == 0 && image->virtual_size == 0)
        r = error_new(ret_error, EINVAL, "%s: the disk in the image '%s' has no size", request->where_image,
                      request->path);
    return r;
}

int image_probe(const struct image_request *request, struct image *ret_image, struct error **ret_error) {
    _cleanup_subprocess_result_ struct subprocess_result result = {0};
    _cleanup_strv_ struct strv argv = {0};
    int r;

    *ret_image = (struct image){0};
    r = check_file(request, &ret_image->device, ret_error);
    if (r < 0)
        return r;
    /* An absolute path is taken as it is, whatever characters are in it. */
    strv_append(&argv, "qemu-img");
    strv_append(&argv, "info");
    strv_append(&argv, "-U");
    strv_append(&argv, "--backing-chain");
    strv_append(&argv, "--output=json");
    if (request->format) {
        strv_append(&argv, "-f");
        strv_append(&argv, request->format);
    }
    strv_append(&argv, request->path);
    r = qemu_img(&argv, request->cancel_fd, &result, ret_error);
    if (r == 0 && !succeeded(&result))
        r = explain_info(request, &result, ret_error);
    if (r == 0)
        r = take_info(request, &result.output, ret_image, ret_error);
    if (r < 0)
        image_deinit(ret_image);
    return r;
}

#define SECTOR_UNKNOWN (-1)
#define SECTOR_ZERO (-2)

/* Where the first sector of a disk lies in the image's own file, or one of the above. */
static off_t find_first_sector(const char *path, const struct image *image, int cancel_fd) {
    _cleanup_subprocess_result_ struct subprocess_result result = {0};
    _cleanup_strv_ struct strv argv = {0};
    json_int_t offset = SECTOR_UNKNOWN;

    if (str_equal(image->format, "raw"))
        return 0;
    strv_append(&argv, "qemu-img");
    strv_append(&argv, "map");
    strv_append(&argv, "-U");
    strv_append(&argv, "--output=json");
    strv_append(&argv, "--max-length=512");
    strv_append(&argv, "-f");
    strv_append(&argv, image->format);
    strv_append(&argv, path);
    if (qemu_img(&argv, cancel_fd, &result, NULL) < 0 || !succeeded(&result))
        return SECTOR_UNKNOWN;

    json_t *map = json_loadb(result.output.data ? result.output.data : "", result.output.size, 0, NULL);
    const json_t *first = json_array_get(map, 0);
    if (json_is_true(json_object_get(first, "zero")))
        offset = SECTOR_ZERO;
    else if (json_integer_value(json_object_get(first, "depth")) == 0 &&
             json_is_integer(json_object_get(first, "offset")))
        offset = json_integer_value(json_object_get(first, "offset"));
    json_decref(map);
    return (off_t)offset;
}

bool image_lacks_boot_code(const char *path, const struct image *image, int cancel_fd) {
    unsigned char sector[SECTOR_SIZE];
    off_t offset = find_first_sector(path, image, cancel_fd);
    _cleanup_close_ int fd = offset < 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);

    if (offset == SECTOR_ZERO)
        return true;
    if (fd < 0 || pread(fd, sector, sizeof(sector), offset) != (ssize_t)sizeof(sector))
        return false;
    for (size_t i = 0; i < BOOT_CODE_SIZE; i++) {
        if (sector[i] != 0)
            return false;
    }
    return true;
}

int image_make_overlay(const char *directory, uint64_t virtual_size, int cancel_fd, int *ret_fd,
                       struct error **ret_error) {
    _cleanup_subprocess_result_ struct subprocess_result result = {0};
    _cleanup_free_ char *path = xasprintf("%s/overlay.qcow2", directory);
    _cleanup_strv_ struct strv argv = {0};
    int r;

    strv_append(&argv, "qemu-img");
    strv_append(&argv, "create");
    strv_append(&argv, "-q");
    strv_append(&argv, "-f");
    strv_append(&argv, "qcow2");
    strv_append(&argv, path);
    strv_append_printf(&argv, "%llu", (unsigned long long)virtual_size);
    r = qemu_img(&argv, cancel_fd, &result, ret_error);
    if (r == 0 && !succeeded(&result)) {
        _cleanup_free_ char *words = last_words(&result);

        r = strstr(words, "No space left")
                ? error_new(ret_error, ENOSPC,
                            "no space is left in %s for what the guest writes; free some, or set TMPDIR to a directory "
                            "with more",
                            directory)
                : error_new(ret_error, EIO, "the image's overlay cannot be made: %s", words);
    }
    if (r == 0) {
        int fd = open(path, O_RDWR | O_CLOEXEC);

        if (fd >= 0)
            *ret_fd = fd;
        else
            r = error_errno(ret_error, errno, "%s", path);
    }
    (void)unlink(path);
    return r;
}
