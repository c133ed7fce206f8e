/* SPDX-License-Identifier: Apache-2.0 */
#include "template/key.h"

#include <assert.h>
#include <endian.h>
#include <xxhash.h>

#define FIELD(name) #name, offsetof(struct template_inputs, name)
#define NUMBER(name)                                                                                                   \
    { FIELD(name), TEMPLATE_INPUT_NUMBER }
#define STRING(name)                                                                                                   \
    { FIELD(name), TEMPLATE_INPUT_STRING }
#define STRINGS(name)                                                                                                  \
    { FIELD(name), TEMPLATE_INPUT_STRINGS }

/* In the struct's order, without a gap. */
const struct template_input_row template_input_rows[] = {
    NUMBER(format),        STRING(kernel),   STRING(initrd),     STRING(agent),       STRING(firmware),
    STRING(firmware_vars), STRING(qemu),     STRING(qemu_data),  STRING(image),       STRING(image_chain),
    STRING(accel),         STRING(host_cpu), STRING(host_flags), STRING(host_kernel), STRINGS(arguments),
};
static_assert(ARRAY_SIZE(template_input_rows) == TEMPLATE_INPUT_COUNT, "the header says how many there are");
static_assert(sizeof(struct template_inputs) ==
                  sizeof(uint64_t) + (TEMPLATE_INPUT_COUNT - 2) * sizeof(const char *) + sizeof(struct strv),
              "each field of the struct has its row");

/* Before each value stands its length, so that no two sequences of values give the same bytes. */
static void add_number(XXH3_state_t *state, uint64_t number) {
    uint64_t bytes = htole64(number);

    (void)XXH3_128bits_update(state, &bytes, sizeof(bytes));
}

/* The length of NULL is one that no string has. */
static void add_string(XXH3_state_t *state, const char *string) {
    size_t length = string ? strlen(string) : 0;

    add_number(state, string ? length : UINT64_MAX);
    if (length > 0)
        (void)XXH3_128bits_update(state, string, length);
}

static void add_strings(XXH3_state_t *state, const struct strv *strings) {
    add_number(state, strings->count);
    for (size_t i = 0; i < strings->count; i++)
        add_string(state, strings->items[i]);
}

static void add_field(XXH3_state_t *state, const struct template_inputs *inputs, const struct template_input_row *row) {
    const void *field = (const char *)inputs + row->offset;

    add_string(state, row->name);
    switch (row->type) {
    case TEMPLATE_INPUT_NUMBER:
        add_number(state, *(const uint64_t *)field);
        break;
    case TEMPLATE_INPUT_STRING:
        add_string(state, *(const char *const *)field);
        break;
    case TEMPLATE_INPUT_STRINGS:
        add_strings(state, field);
        break;
    }
}

char *template_key(const struct template_inputs *inputs) {
    XXH3_state_t *state = XXH3_createState();

    if (!state)
        abort(); /* out of memory, as base/str.h does it */
    (void)XXH3_128bits_reset(state);
    for (size_t i = 0; i < ARRAY_SIZE(template_input_rows); i++)
        add_field(state, inputs, &template_input_rows[i]);
    XXH128_hash_t hash = XXH3_128bits_digest(state);
    (void)XXH3_freeState(state);
    return xasprintf("%016llx%016llx", (unsigned long long)hash.high64, (unsigned long long)hash.low64);
}
