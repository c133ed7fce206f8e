/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trie, written straight from the sorted keys: all keys of a subtree are neighbours, and what the first and the
 * last of them have in common all of them have. A node is, in this order and each part only where it has one:
 *
 *     prefix      the characters common to all keys below, then NUL
 *     children    first character, last character, and for each between them a node's offset, 0 for none
 *     values      their number, then for each its priority and its text, then NUL
 *
 * Integers are big-endian and 32 bits wide. The offset of a node carries in its top bits which parts it has. The file
 * begins with a magic number, the version and the root's offset. A node's children stand before it.
 */
#include "modules/depmod-trie.h"

#include <arpa/inet.h>
#include <errno.h>

#define TRIE_MAGIC 0xB007F457u
#define TRIE_VERSION 0x00020001u
#define NODE_PREFIX 0x80000000u
#define NODE_VALUES 0x40000000u
#define NODE_CHILDREN 0x20000000u
#define OFFSET_LIMIT 0x10000000u

void trie_deinit(struct trie *trie) {
    for (size_t i = 0; i < trie->count; i++) {
        free(trie->entries[i].key);
        free(trie->entries[i].value);
    }
    free(trie->entries);
    *trie = (struct trie){0};
}

static bool is_ascii(const char *text) {
    while (*text)
        if ((unsigned char)*text++ >= 0x80)
            return false;
    return true;
}

static void add_taken(struct trie *trie, char *key, const char *value, uint32_t priority) {
    if (!is_ascii(key) || !is_ascii(value)) {
        free(key);
        return;
    }
    if (trie->count == trie->capacity) {
        trie->capacity = trie->capacity ? trie->capacity * 2 : 1024;
        trie->entries = xreallocarray(trie->entries, trie->capacity, sizeof(*trie->entries));
    }
    trie->entries[trie->count++] = (struct trie_entry){.key = key, .value = xstrdup(value), .priority = priority};
}

void trie_add(struct trie *trie, const char *key, const char *value, uint32_t priority) {
    add_taken(trie, xstrdup(key), value, priority);
}

void trie_add_alias(struct trie *trie, const char *alias, const char *value, uint32_t priority) {
    char *key = xstrdup(alias);
    bool bracket = false;
    for (char *at = key; *at; at++) {
        if ((*at == '[' && bracket) || (*at == ']' && !bracket)) {
            free(key); /* no pattern: nothing could ever match it */
            return;
        }
        if (*at == '[' || *at == ']')
            bracket = *at == '[';
        else if (*at == '-' && !bracket)
            *at = '_';
    }
    if (bracket)
        free(key);
    else
        add_taken(trie, key, value, priority);
}

static int compare_entries(const void *a, const void *b) {
    const struct trie_entry *x = a, *y = b;
    int order = strcmp(x->key, y->key);
    if (order != 0)
        return order;
    if (x->priority != y->priority)
        return x->priority < y->priority ? -1 : 1;
    return strcmp(x->value, y->value);
}

static void append_number(struct buffer *ret, uint32_t number) {
    number = htonl(number);
    buffer_append(ret, &number, sizeof(number));
}

static size_t common_length(const char *a, const char *b) {
    size_t i = 0;
    while (a[i] && a[i] == b[i])
        i++;
    return i;
}

/* Writes the subtree of entries[0..count), whose keys agree in their first `depth` characters; gives its offset. */
static uint32_t write_node(const struct trie_entry *entries, size_t count, size_t depth, struct buffer *ret) {
    uint32_t children[0x80] = {0};
    size_t prefix = count ? common_length(entries[0].key + depth, entries[count - 1].key + depth) : 0;
    size_t end = depth + prefix;
    size_t values = 0;
    unsigned first = 0x80, last = 0;

    while (values < count && entries[values].key[end] == '\0')
        values++;
    for (size_t from = values, to; from < count; from = to) {
        unsigned label = (unsigned char)entries[from].key[end];
        for (to = from + 1; to < count && (unsigned char)entries[to].key[end] == label;)
            to++;
        children[label] = write_node(entries + from, to - from, end + 1, ret);
        first = first < 0x80 ? first : label;
        last = label;
    }

    uint32_t offset = (uint32_t)(ret->size < OFFSET_LIMIT ? ret->size : OFFSET_LIMIT - 1);
    if (prefix > 0) {
        buffer_append(ret, entries[0].key + depth, prefix);
        buffer_append(ret, "", 1);
        offset |= NODE_PREFIX;
    }
    if (first < 0x80) {
        unsigned char range[2] = {(unsigned char)first, (unsigned char)last};
        buffer_append(ret, range, sizeof(range));
        for (unsigned label = first; label <= last; label++)
            append_number(ret, children[label]);
        offset |= NODE_CHILDREN;
    }
    if (values > 0) {
        append_number(ret, (uint32_t)values);
        for (size_t i = 0; i < values; i++) {
            append_number(ret, entries[i].priority);
            buffer_append(ret, entries[i].value, strlen(entries[i].value) + 1);
        }
        offset |= NODE_VALUES;
    }
    return offset;
}

int trie_write(struct trie *trie, struct buffer *ret) {
    _cleanup_buffer_ struct buffer file = {0};
    append_number(&file, TRIE_MAGIC);
    append_number(&file, TRIE_VERSION);
    append_number(&file, 0);
    if (trie->count > 0)
        qsort(trie->entries, trie->count, sizeof(*trie->entries), compare_entries);
    uint32_t root = htonl(write_node(trie->entries, trie->count, 0, &file));
    if (file.size >= OFFSET_LIMIT)
        return -EFBIG;
    memcpy(file.data + 2 * sizeof(uint32_t), &root, sizeof(root));
    buffer_append(ret, file.data, file.size);
    return 0;
}
