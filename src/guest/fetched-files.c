/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/fetched-files.h"

#include "wire/frame.h"

#define FILES_MAX 4096u
#define LINE_LIMIT 1024u

static int malformed_error(struct error **ret_error) {
    return error_new(ret_error, EPROTO, "the agent in the guest sent malformed files");
}

static int take_record(struct fetched *fetched, uint32_t kind, const char *data, size_t size,
                       struct error **ret_error) {
    switch (kind) {
    case WIRE_FETCH_NAME:
        if (size == 0 || fetched->n_files == FILES_MAX)
            return malformed_error(ret_error);
        fetched->files = xreallocarray(fetched->files, fetched->n_files + 1, sizeof(*fetched->files));
        fetched->files[fetched->n_files++] = (struct fetched_file){.name = xstrndup(data, size)};
        return 0;
    case WIRE_FETCH_DATA:
        if (fetched->n_files == 0)
            return malformed_error(ret_error);
        buffer_append(&fetched->files[fetched->n_files - 1].content, data, size);
        return 0;
    case WIRE_FETCH_ERROR: {
        size_t length = 0;

        while (length < size && length < LINE_LIMIT && data[length] != '\0' && data[length] != '\n')
            length++;
        return length == 0 ? malformed_error(ret_error) : error_new(ret_error, EIO, "%.*s", (int)length, data);
    }
    default:
        return malformed_error(ret_error);
    }
}

int fetched_parse(const void *data, size_t size, struct fetched *ret_fetched, struct error **ret_error) {
    struct wire_reader reader = {.data = data, .size = size};

    *ret_fetched = (struct fetched){0};
    while (!wire_reader_done(&reader)) {
        uint32_t kind = wire_get_u32(&reader);
        size_t length;
        const char *record = (const char *)wire_get_bytes(&reader, &length);
        int r = record ? take_record(ret_fetched, kind, record, length, ret_error) : malformed_error(ret_error);

        if (r < 0)
            return r;
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
