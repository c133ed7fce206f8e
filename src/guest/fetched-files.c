/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/fetched-files.h"

#include "wire/frame.h"

#define FILES_MAX 4096u
#define LINE_LIMIT 1024u

static int malformed(struct error **ret_error) {
    return error_new(ret_error, EPROTO, "the agent in the guest gave files in a way that is none");
}

static uint32_t get_u32(const unsigned char *bytes) {
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static int take_record(struct fetched *fetched, uint32_t kind, const char *data, size_t size,
                       struct error **ret_error) {
    switch (kind) {
    case WIRE_FETCH_NAME:
        if (size == 0 || fetched->n_files == FILES_MAX)
            return malformed(ret_error);
        fetched->files = xreallocarray(fetched->files, fetched->n_files + 1, sizeof(*fetched->files));
        fetched->files[fetched->n_files++] = (struct fetched_file){.name = xstrndup(data, size)};
        return 0;
    case WIRE_FETCH_DATA:
        if (fetched->n_files == 0)
            return malformed(ret_error);
        buffer_append(&fetched->files[fetched->n_files - 1].content, data, size);
        return 0;
    case WIRE_FETCH_ERROR: {
        size_t length = 0;

        while (length < size && length < LINE_LIMIT && data[length] != '\0' && data[length] != '\n')
            length++;
        return length == 0 ? malformed(ret_error) : error_new(ret_error, EIO, "%.*s", (int)length, data);
    }
    default:
        return malformed(ret_error);
    }
}

int fetched_parse(const void *data, size_t size, struct fetched *ret_fetched, struct error **ret_error) {
    const unsigned char *bytes = data;

    *ret_fetched = (struct fetched){0};
    while (size > 0) {
        uint32_t length;
        int r;

        if (size < WIRE_HEADER_SIZE || (length = get_u32(bytes + 4)) > size - WIRE_HEADER_SIZE)
            return malformed(ret_error);
        r = take_record(ret_fetched, get_u32(bytes), (const char *)bytes + WIRE_HEADER_SIZE, length, ret_error);
        if (r < 0)
            return r;
        bytes += WIRE_HEADER_SIZE + length;
        size -= WIRE_HEADER_SIZE + length;
    }
    return 0;
}

void fetched_deinit(struct fetched *fetched) {
    for (size_t i = 0; i < fetched->n_files; i++) {
        free(fetched->files[i].name);
        buffer_deinit(&fetched->files[i].content);
    }
    free(fetched->files);
    *fetched = (struct fetched){0};
}
