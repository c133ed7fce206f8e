/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digest.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "base/file.h"
#include "base/str.h"

/* Small enough to stay in the CPU's cache between being read and being hashed. */
#define CHUNK ((size_t)256 << 10)
#define IMAGE_HEAD ((size_t)64 << 10)

static char *digest_text(XXH128_hash_t hash) {
    return xasprintf("%016llx%016llx", (unsigned long long)hash.high64, (unsigned long long)hash.low64);
}

char *digest_buffer(const void *data, size_t size) {
    return digest_text(XXH3_128bits(data, size));
}

/* At most `limit` bytes from the file's beginning. */
static int digest_head(int fd, uint64_t limit, char **ret_digest) {
    _cleanup_free_ void *chunk = xmalloc(CHUNK);
    XXH3_state_t *state = XXH3_createState();
    uint64_t offset = 0;
    ssize_t got;

    if (!state)
        abort(); /* out of memory, as base/str.h does it */
    (void)XXH3_128bits_reset(state);
    do {
        size_t wanted = limit - offset < CHUNK ? (size_t)(limit - offset) : CHUNK;

        got = pread(fd, chunk, wanted, (off_t)offset);
        if (got > 0) {
            (void)XXH3_128bits_update(state, chunk, (size_t)got);
            offset += (uint64_t)got;
        }
    } while ((got > 0 && offset < limit) || (got < 0 && errno == EINTR));
    int r = got < 0 ? -errno : 0;
    if (r == 0)
        *ret_digest = digest_text(XXH3_128bits_digest(state));
    (void)XXH3_freeState(state);
    return r;
}

int digest_fd(int fd, char **ret_digest, struct error **ret_error) {
    int r = digest_head(fd, UINT64_MAX, ret_digest);

    return r < 0 ? error_errno(ret_error, r, "reading a file for its digest") : 0;
}

int digest_file(const char *path, char **ret_digest, struct error **ret_error) {
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return error_errno(ret_error, errno, "%s", path);
    int r = digest_head(fd, UINT64_MAX, ret_digest);
    return r < 0 ? error_errno(ret_error, r, "%s", path) : 0;
}

static char *identity_text(const struct stat *status) {
    return xasprintf("%lld-%lld.%09ld-%llu-%llu", (long long)status->st_size, (long long)status->st_mtim.tv_sec,
                     status->st_mtim.tv_nsec, (unsigned long long)status->st_ino, (unsigned long long)status->st_dev);
}

int digest_file_identity(const char *path, char **ret_identity, struct error **ret_error) {
    struct stat status;

    if (stat(path, &status) < 0)
        return error_errno(ret_error, errno, "%s", path);
    *ret_identity = identity_text(&status);
    return 0;
}

int digest_image_identity(const char *path, char **ret_identity, struct error **ret_error) {
    /* Without O_NONBLOCK, opening a FIFO would wait for a writer. */
    _cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    _cleanup_free_ char *head = NULL;
    struct stat status;

    if (fd < 0 || fstat(fd, &status) < 0)
        return error_errno(ret_error, errno, "%s", path);
    if (!S_ISREG(status.st_mode))
        return error_new(ret_error, ENOTSUP, "%s: only of a regular file it can be told whether it was changed", path);
    int r = digest_head(fd, IMAGE_HEAD, &head);
    if (r < 0)
        return error_errno(ret_error, r, "%s", path);
    _cleanup_free_ char *identity = identity_text(&status);
    *ret_identity = xasprintf("%s-%s", identity, head);
    return 0;
}

int digest_directory_identity(const char *path, char **ret_identity, struct error **ret_error) {
    _cleanup_closedir_ DIR *directory = opendir(path);
    _cleanup_strv_ struct strv lines = {0};
    _cleanup_buffer_ struct buffer text = {0};
    const struct dirent *entry;
    struct stat status;

    if (!directory)
        return error_errno(ret_error, errno, "%s", path);
    while (errno = 0, (entry = readdir(directory)) != NULL) {
        /* A name that leads nowhere cannot be loaded into a guest either. */
        if (fstatat(dirfd(directory), entry->d_name, &status, 0) < 0 || !S_ISREG(status.st_mode))
            continue;
        strv_append_printf(&lines, "%s/%lld/%lld.%09ld", entry->d_name, (long long)status.st_size,
                           (long long)status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
    }
    if (errno != 0)
        return error_errno(ret_error, errno, "%s", path);
    if (lines.count > 0)
        qsort(lines.items, lines.count, sizeof(*lines.items), str_compare);
    /* A file's name may hold a newline but not a NUL. */
    for (size_t i = 0; i < lines.count; i++)
        buffer_append(&text, lines.items[i], strlen(lines.items[i]) + 1);
    *ret_identity = digest_buffer(text.data ? text.data : "", text.size);
    return 0;
}
