/* SPDX-License-Identifier: Apache-2.0 */
#include "report/screen/spool.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"

/* In front of each piece. */
struct piece {
    int fd;
    uint32_t size;
};

#define PIECE_MAX (32U << 10)

/* An open file that has no name, or -1. */
static int make_file(void) {
    const char *directory = getenv("TMPDIR");

    if (str_empty(directory))
        directory = "/tmp";
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
        return fd;
    _cleanup_free_ char *path = xasprintf("%s/vmtest-XXXXXX", directory);
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        (void)unlink(path);
    return fd;
}

/* Forgets pieces at the beginning, until half of the room is free. */
static void drop_half(struct spool *spool) {
    size_t offset = 0;

    while (spool->memory.size - offset > SPOOL_MEMORY / 2) {
        struct piece piece;

        memcpy(&piece, spool->memory.data + offset, sizeof(piece));
        offset += sizeof(piece) + piece.size;
        spool->n_dropped += piece.size;
    }
    buffer_consume(&spool->memory, offset);
}

static void make_room(struct spool *spool) {
    if (spool->file < 0 && !spool->no_file) {
        spool->file = make_file();
        spool->no_file = spool->file < 0;
    }
    if (!spool->no_file && fd_write_all(spool->file, spool->memory.data, spool->memory.size) == 0) {
        buffer_consume(&spool->memory, spool->memory.size);
        return;
    }
    if (spool->file >= 0) { /* full: what is in it may end within a piece, and is of no use */
        off_t size = lseek(spool->file, 0, SEEK_CUR);

        spool->n_dropped += size > 0 ? (uint64_t)size : 0;
        spool->file = fd_close(spool->file);
        spool->no_file = true;
    }
    drop_half(spool);
}

static void spool_write(struct writer *writer, int fd, const void *data, size_t size) {
    struct spool *spool = (struct spool *)writer;
    const char *bytes = data;

    while (size > 0) {
        const struct piece piece = {fd, (uint32_t)(size < PIECE_MAX / 2 ? size : PIECE_MAX / 2)};

        if (spool->memory.size + sizeof(piece) + piece.size > SPOOL_MEMORY)
            make_room(spool);
        buffer_append(&spool->memory, &piece, sizeof(piece));
        buffer_append(&spool->memory, bytes, piece.size);
        bytes += piece.size;
        size -= piece.size;
    }
}

void spool_init(struct spool *spool) {
    *spool = (struct spool){.writer = {spool_write}, .file = -1};
}

void spool_deinit(struct spool *spool) {
    buffer_deinit(&spool->memory);
    (void)fd_close(spool->file);
    spool_init(spool);
}

/* Hands the whole pieces of `text` on; returns how many bytes they took. */
static size_t hand_on(const struct buffer *text, struct writer *writer) {
    size_t offset = 0;
    struct piece piece;

    while (text->size - offset >= sizeof(piece)) {
        memcpy(&piece, text->data + offset, sizeof(piece));
        if (text->size - offset - sizeof(piece) < piece.size)
            break;
        writer->write(writer, piece.fd, text->data + offset + sizeof(piece), piece.size);
        offset += sizeof(piece) + piece.size;
    }
    return offset;
}

void spool_flush(struct spool *spool, struct writer *writer) {
    _cleanup_buffer_ struct buffer text = {0};

    if (spool->file >= 0 && lseek(spool->file, 0, SEEK_SET) == 0) {
        ssize_t got;

        while ((got = read(spool->file, buffer_reserve(&text, SPOOL_MEMORY), SPOOL_MEMORY)) > 0) {
            text.size += (size_t)got;
            buffer_consume(&text, hand_on(&text, writer));
        }
    }
    if (spool->n_dropped > 0 && spool->memory.size >= sizeof(struct piece)) {
        _cleanup_free_ char *line =
            xasprintf("(%llu earlier bytes were dropped: there is no room for them in TMPDIR)\n",
                      (unsigned long long)spool->n_dropped);
        struct piece piece;

        memcpy(&piece, spool->memory.data, sizeof(piece));
        writer->write(writer, piece.fd, line, strlen(line));
    }
    (void)hand_on(&spool->memory, writer);
    spool_deinit(spool);
}
