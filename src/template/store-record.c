/* SPDX-License-Identifier: Apache-2.0 */
/* meta.json: what a template was made from, and how its files are to be. */
#include <jansson.h>

#include "base/file.h"
#include "base/digest.h"
#include "template/key.h"
#include "template/store-internal.h"

#define RECORD_LIMIT ((size_t)1 << 20)

const char *const store_file_names[] = {
    [STORE_MEMORY] = "memory",
    [STORE_STATE] = "state",
    [STORE_DISK] = "disk",
};

void store_record_deinit(struct store_record *record) {
    free(record->key);
    free(record->source);
    free(record->kernel_release);
    free(record->qemu_version);
    free(record->extra);
    for (size_t i = 0; i < STORE_FILE_COUNT; i++)
        free(record->files[i].digest);
    *record = (struct store_record){0};
}

/* A text for people: JSON knows UTF-8 only, a path on the host any bytes. */
static void set_text(json_t *object, const char *name, const char *text) {
    _cleanup_buffer_ struct buffer clean = {0};

    while (text && *text) {
        size_t valid = utf8_valid_prefix(text, strlen(text));

        buffer_append(&clean, text, valid);
        text += valid;
        if (*text) {
            buffer_append(&clean, "?", 1);
            text++;
        }
    }
    if (text)
        (void)json_object_set_new(object, name, json_string(clean.data ? clean.data : ""));
}

static json_t *files_to_json(const struct store_file_record *files) {
    json_t *object = json_object();

    for (size_t i = 0; i < STORE_FILE_COUNT; i++) {
        if (!files[i].digest)
            continue;
        (void)json_object_set_new(object, store_file_names[i],
                                  json_pack("{s:I, s:I, s:I, s:s}", "size", (json_int_t)files[i].size, "mtime",
                                            (json_int_t)files[i].mtime, "inode", (json_int_t)files[i].inode, "digest",
                                            files[i].digest));
    }
    return object;
}

/* The digest of an object, of its members in the order of their names. Caller frees. */
static char *object_digest(const json_t *object) {
    _cleanup_free_ char *text = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);

    if (!text)
        abort(); /* out of memory, as base/str.h does it */
    return digest_buffer(text, strlen(text));
}

char *store_record_write(const struct store_record *record) {
    json_t *object = json_object();

    (void)json_object_set_new(object, "format", json_integer(TEMPLATE_FORMAT));
    (void)json_object_set_new(object, "created", json_integer(record->created));
    (void)json_object_set_new(object, "files", files_to_json(record->files));
    set_text(object, "key", record->key);
    set_text(object, "source", record->source);
    set_text(object, "kernel_release", record->kernel_release);
    set_text(object, "qemu_version", record->qemu_version);
    set_text(object, "extra", record->extra);
    _cleanup_free_ char *digest = object_digest(object);
    (void)json_object_set_new(object, "digest", json_string(digest));
    _cleanup_free_ char *text = json_dumps(object, JSON_INDENT(2) | JSON_SORT_KEYS);
    json_decref(object);
    return xasprintf("%s\n", text ? text : "");
}

static char *get_text(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));

    return text ? xstrdup(text) : NULL;
}

static void read_file(const json_t *object, struct store_file_record *file) {
    file->size = (uint64_t)json_integer_value(json_object_get(object, "size"));
    file->mtime = (int64_t)json_integer_value(json_object_get(object, "mtime"));
    file->inode = (uint64_t)json_integer_value(json_object_get(object, "inode"));
    file->digest = get_text(object, "digest");
}

/* Whether the object is what store_record_write() has made; takes its digest out of it. */
static int check_object(json_t *object, struct error **ret_error) {
    _cleanup_free_ char *expected = get_text(object, "digest");
    json_int_t format = json_integer_value(json_object_get(object, "format"));

    if (format != TEMPLATE_FORMAT)
        return error_new(ret_error, EBADMSG, STORE_META " is of format %lld, not %d", (long long)format,
                         TEMPLATE_FORMAT);
    (void)json_object_del(object, "digest");
    _cleanup_free_ char *digest = object_digest(object);
    if (!str_equal(expected, digest))
        return error_new(ret_error, EBADMSG, STORE_META " does not agree with its digest");
    return 0;
}

int store_record_read(const char *text, size_t size, struct store_record *ret_record, struct error **ret_error) {
    struct store_record record = {0};
    json_error_t json_error;
    json_t *object = json_loadb(text, size, JSON_REJECT_DUPLICATES, &json_error);

    if (!object)
        return error_new(ret_error, EBADMSG, STORE_META ":%d: %s", json_error.line, json_error.text);
    int r = check_object(object, ret_error);
    if (r == 0) {
        const json_t *files = json_object_get(object, "files");

        record.key = get_text(object, "key");
        record.source = get_text(object, "source");
        record.kernel_release = get_text(object, "kernel_release");
        record.qemu_version = get_text(object, "qemu_version");
        record.extra = get_text(object, "extra");
        record.created = (int64_t)json_integer_value(json_object_get(object, "created"));
        for (size_t i = 0; i < STORE_FILE_COUNT; i++)
            read_file(json_object_get(files, store_file_names[i]), &record.files[i]);
        *ret_record = record;
    }
    json_decref(object);
    return r;
}

int store_record_load(int directory_fd, struct store_record *ret_record, struct error **ret_error) {
    _cleanup_free_ char *path = xasprintf("/proc/self/fd/%d/" STORE_META, directory_fd);
    _cleanup_buffer_ struct buffer text = {0};
    int r = file_read(path, RECORD_LIMIT, &text, ret_error);

    return r < 0 ? r : store_record_read(text.data ? text.data : "", text.size, ret_record, ret_error);
}
