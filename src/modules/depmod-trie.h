/* SPDX-License-Identifier: Apache-2.0 */
/* The binary form of an index file (modules.*.bin): keys with values, as a trie that libkmod maps and walks. */
#ifndef VMTEST_MODULES_DEPMOD_TRIE_H
#define VMTEST_MODULES_DEPMOD_TRIE_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* Keys and values to be written; start with {0}. */
struct trie {
    struct trie_entry {
        char *key;
        char *value;
        uint32_t priority; /* of several values of a key the lowest comes first */
    } * entries;
    size_t count;
    size_t capacity;
};

/* Copies both. A key or value with a byte beyond ASCII is left out: the format has no place for it. */
void trie_add(struct trie *trie, const char *key, const char *value, uint32_t priority);

/* As trie_add(), the key normalised as libkmod asks for aliases: '-' is '_' outside of brackets. */
void trie_add_alias(struct trie *trie, const char *alias, const char *value, uint32_t priority);

/* Appends the file's content. 0, or -EFBIG when it does not fit the format's 28-bit offsets. */
int trie_write(struct trie *trie, struct buffer *ret) __attribute__((warn_unused_result));

void trie_deinit(struct trie *trie);

#endif
