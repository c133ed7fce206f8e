/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file is walked segment by segment where the file system tells its holes (SEEK_DATA), else as one; a segment is read
 * chunk by chunk, and in a chunk each run of pages that are not all zero is hashed and written. The digest is over
 *
 *     for each run: its offset, its bytes, its length
 *
 * where runs that touch are one, so that neither chunks nor holes show in it.
 */
#include "template/sparse.h"

#include <endian.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "base/file.h"
#include "base/str.h"

#define PAGE ((size_t)4096)
/* Small enough to stay in the CPU's cache between being read, hashed and written; a multiple of PAGE. */
#define CHUNK ((size_t)512 << 10)

struct walk {
    int from;
    int to; /* -1: only the digest is wanted */
    uint64_t size;
    uint64_t limit;
    uint64_t written;
    uint64_t run_start; /* of the run that is open: from its first byte ... */
    uint64_t run_end;   /* ... up to its end; equal: none is open */
    XXH3_state_t *state;
    char *chunk;
};

static void walk_add_number(struct walk *walk, uint64_t number) {
    uint64_t bytes = htole64(number);

    (void)XXH3_128bits_update(walk->state, &bytes, sizeof(bytes));
}

static void walk_end_run(struct walk *walk) {
    if (walk->run_end > walk->run_start)
        walk_add_number(walk, walk->run_end - walk->run_start);
    walk->run_start = walk->run_end = 0;
}

/* Takes `size` bytes of the chunk that are not zero and stand at `offset` in the file. */
static int walk_take(struct walk *walk, const char *data, size_t size, uint64_t offset) {
    if (offset != walk->run_end || walk->run_end == walk->run_start) {
        walk_end_run(walk);
        walk_add_number(walk, offset);
        walk->run_start = offset;
    }
    walk->run_end = offset + size;
    (void)XXH3_128bits_update(walk->state, data, size);
    if (walk->to < 0)
        return 0;
    walk->written += size;
    if (walk->written > walk->limit)
        return -EDQUOT;
    while (size > 0) {
        ssize_t written = pwrite(walk->to, data, size, (off_t)offset);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return written < 0 ? -errno : -EIO;
        data += written;
        size -= (size_t)written;
        offset += (uint64_t)written;
    }
    return 0;
}

static bool is_zero(const char *data, size_t size) {
    /* The first bytes decide almost always; the rest is compared with itself, moved by 16. */
    static const char zero[16];
    size_t head = size < sizeof(zero) ? size : sizeof(zero);

    return memcmp(data, zero, head) == 0 && memcmp(data, data + head, size - head) == 0;
}

/* What stands in the chunk: its pages are those of the file, since `offset` is a multiple of PAGE. */
static int walk_chunk(struct walk *walk, size_t size, uint64_t offset) {
    size_t at = 0;

    while (at < size) {
        size_t start = at;

        while (at < size && !is_zero(walk->chunk + at, size - at < PAGE ? size - at : PAGE))
            at += size - at < PAGE ? size - at : PAGE;
        if (at > start) {
            int r = walk_take(walk, walk->chunk + start, at - start, offset + start);

            if (r < 0)
                return r;
        }
        while (at < size && is_zero(walk->chunk + at, size - at < PAGE ? size - at : PAGE))
            at += size - at < PAGE ? size - at : PAGE;
    }
    return 0;
}

/* The bytes from `offset`, a multiple of PAGE, to `end`. */
static int walk_segment(struct walk *walk, uint64_t offset, uint64_t end) {
    while (offset < end) {
        size_t size = end - offset < CHUNK ? (size_t)(end - offset) : CHUNK;
        size_t filled = 0;

        while (filled < size) {
            ssize_t got = pread(walk->from, walk->chunk + filled, size - filled, (off_t)(offset + filled));

            if (got < 0 && errno == EINTR)
                continue;
            if (got <= 0)
                return got < 0 ? -errno : -ENODATA;
            filled += (size_t)got;
        }
        int r = walk_chunk(walk, size, offset);
        if (r < 0)
            return r;
        offset += size;
    }
    return 0;
}

/* The next segment after `offset` that may hold data; *ret_start is walk->size when there is none. */
static int walk_seek(const struct walk *walk, uint64_t offset, uint64_t *ret_start, uint64_t *ret_end) {
    off_t start = lseek(walk->from, (off_t)offset, SEEK_DATA);
    off_t end;

    *ret_start = offset;
    *ret_end = walk->size;
    if (start < 0 && errno == ENXIO) {
        *ret_start = walk->size;
        return 0;
    }
    if (start < 0 && (errno == EINVAL || errno == EOPNOTSUPP))
        return 0; /* no holes are told here */
    if (start < 0)
        return -errno;
    if ((uint64_t)start < offset)
        return 0; /* a device, which has no places to tell */
    *ret_start = (uint64_t)start / PAGE * PAGE;
    end = lseek(walk->from, start, SEEK_HOLE);
    if (end > start && (uint64_t)end < walk->size)
        *ret_end = ((uint64_t)end + PAGE - 1) / PAGE * PAGE;
    if (*ret_end > walk->size)
        *ret_end = walk->size;
    return 0;
}

static int walk_all(struct walk *walk) {
    struct stat status;
    uint64_t offset = 0;

    if (fstat(walk->from, &status) < 0)
        return -errno;
    if (S_ISREG(status.st_mode) && (uint64_t)status.st_size < walk->size)
        return -ENODATA;
    while (offset < walk->size) {
        uint64_t start;
        uint64_t end;
        int r = walk_seek(walk, offset, &start, &end);

        if (r == 0 && start < walk->size)
            r = walk_segment(walk, start < offset ? offset : start, end);
        if (r < 0)
            return r;
        offset = start < walk->size ? end : walk->size;
    }
    return 0;
}

static int walk_run(struct walk *walk, char **ret_digest) {
    walk->state = XXH3_createState();
    if (!walk->state)
        abort(); /* out of memory, as base/str.h does it */
    walk->chunk = xmalloc(CHUNK);
    (void)XXH3_128bits_reset(walk->state);
    walk_add_number(walk, walk->size);
    int r = walk_all(walk);
    walk_end_run(walk);
    XXH128_hash_t hash = XXH3_128bits_digest(walk->state);
    if (r == 0 && walk->to >= 0 && ftruncate(walk->to, (off_t)walk->size) < 0)
        r = -errno;
    if (r == 0)
        *ret_digest = xasprintf("%016llx%016llx", (unsigned long long)hash.high64, (unsigned long long)hash.low64);
    (void)XXH3_freeState(walk->state);
    free(walk->chunk);
    return r;
}

int sparse_digest(int fd, uint64_t size, char **ret_digest, struct error **ret_error) {
    struct walk walk = {.from = fd, .to = -1, .size = size};
    int r = walk_run(&walk, ret_digest);

    return r < 0 ? error_errno(ret_error, r, "reading %llu bytes for their digest", (unsigned long long)size) : 0;
}

int sparse_copy(int from, int to, uint64_t size, uint64_t limit, char **ret_digest, struct error **ret_error) {
    struct walk walk = {.from = from, .to = to, .size = size, .limit = limit};
    int r = walk_run(&walk, ret_digest);

    if (walk.written > limit && r < 0)
        return error_new(ret_error, r, "more than %llu bytes", (unsigned long long)limit);
    return r < 0 ? error_errno(ret_error, r, "copying %llu bytes", (unsigned long long)size) : 0;
}
