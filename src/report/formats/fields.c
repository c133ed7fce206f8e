/* SPDX-License-Identifier: Apache-2.0 */
#include "report/formats/fields.h"

#include <limits.h>

#include "base/str.h"
#include "report/result.h"

void fields_add(json_t *object, const char *key, json_t *value) {
    if (json_object_set_new(object, key, value) < 0)
        abort(); /* out of memory, as base/str.h does it */
}

int fields_wrong(struct error **ret_error, const char *key, const char *wanted) {
    return error_new(ret_error, EINVAL, "'%s' is not %s", key, wanted);
}

static json_t *number_to_json(uint64_t number) {
    return json_integer(number > INT64_MAX ? INT64_MAX : (json_int_t)number);
}

static const char *objects_at(const struct field *field, const void *at) {
    return field->borrowed ? at : *(const char *const *)at;
}

static json_t *objects_to_json(const struct field *field, const void *at, size_t count) {
    json_t *array = json_array();

    for (size_t i = 0; i < count; i++) {
        if (json_array_append_new(array, fields_to_json(field->item, objects_at(field, at) + i * field->item_size)) < 0)
            abort();
    }
    return array;
}

static json_t *members_to_json(const struct field *field, const void *at) {
    json_t *object = json_object();

    for (unsigned i = 0; i < field->names->count; i++)
        fields_add(
            object, field->names->name(i),
            number_to_json(field->type == FIELD_NUMBERS ? ((const uint64_t *)at)[i] : ((const unsigned *)at)[i]));
    return object;
}

static json_t *field_to_json(const struct field *field, const char *from) {
    const void *at = from + field->offset;

    switch (field->type) {
    case FIELD_TEXT:
        return json_lossy_string(*(const char *const *)at);
    case FIELD_NUMBER:
        return number_to_json(*(const uint64_t *)at);
    case FIELD_UNSIGNED:
        return json_integer(*(const unsigned *)at);
    case FIELD_INT:
        return json_integer(*(const int *)at);
    case FIELD_BOOL:
        return json_boolean(*(const bool *)at);
    case FIELD_NAME:
        return json_string(field->names->name(*(const unsigned *)at));
    case FIELD_NUMBERS:
    case FIELD_UNSIGNEDS:
        return members_to_json(field, at);
    case FIELD_OBJECTS:
        return objects_to_json(field, at, *(const size_t *)(const void *)(from + field->count_offset));
    }
    abort();
}

json_t *fields_to_json(const struct field *fields, const void *from) {
    json_t *object = json_object();

    for (; fields->key; fields++)
        fields_add(object, fields->key, field_to_json(fields, from));
    return object;
}

static int number_from_json(const char *key, const json_t *value, json_int_t min, uint64_t max, json_int_t *ret_number,
                            struct error **ret_error) {
    json_int_t number = json_integer_value(value);

    if (!json_is_integer(value) || number < min || (number > 0 && (uint64_t)number > max))
        return fields_wrong(ret_error, key, "a number in its range");
    *ret_number = number;
    return 0;
}

static int name_from_json(const struct field *field, const json_t *value, unsigned *ret_value,
                          struct error **ret_error) {
    for (unsigned i = 0; json_is_string(value) && i < field->names->count; i++) {
        if (str_equal(field->names->name(i), json_string_value(value))) {
            *ret_value = i;
            return 0;
        }
    }
    return fields_wrong(ret_error, field->key, field->names->wanted);
}

static int members_from_json(const struct field *field, const json_t *object, void *at, struct error **ret_error) {
    if (!json_is_object(object))
        return fields_wrong(ret_error, field->key, "an object");
    for (unsigned i = 0; i < field->names->count; i++) {
        const char *name = field->names->name(i);
        json_int_t number = 0;
        int r = number_from_json(name, json_object_get(object, name), 0,
                                 field->type == FIELD_NUMBERS ? INT64_MAX : UINT32_MAX, &number, ret_error);

        if (r < 0)
            return r;
        if (field->type == FIELD_NUMBERS)
            ((uint64_t *)at)[i] = (uint64_t)number;
        else
            ((unsigned *)at)[i] = (unsigned)number;
    }
    return 0;
}

static int objects_from_json(const struct field *field, const json_t *array, void *at, size_t *count,
                             struct error **ret_error) {
    const json_t *item;
    size_t i;

    if (!json_is_array(array) || json_array_size(array) > field->max)
        return fields_wrong(ret_error, field->key, "an array, or is too long");
    if (!field->borrowed)
        *(void **)at = xcalloc(json_array_size(array) + 1, field->item_size);
    json_array_foreach(array, i, item) {
        char *to = (char *)(uintptr_t)objects_at(field, at) + i * field->item_size;

        *count = i + 1;
        if (!json_is_object(item))
            return fields_wrong(ret_error, field->key, "an array of objects");
        int r = fields_from_json(field->item, item, to, ret_error);
        if (r < 0)
            return r;
    }
    return 0;
}

static int field_from_json(const struct field *field, const json_t *value, char *to, struct error **ret_error) {
    void *at = to + field->offset;
    json_int_t number = 0;
    int r = 0;

    switch (field->type) {
    case FIELD_TEXT:
        if (!json_is_string(value))
            return fields_wrong(ret_error, field->key, "a string");
        if (field->borrowed)
            *(const char **)at = json_string_value(value);
        else
            *(char **)at = xstrdup(json_string_value(value));
        return 0;
    case FIELD_NUMBER:
        r = number_from_json(field->key, value, 0, field->max, &number, ret_error);
        *(uint64_t *)at = (uint64_t)number;
        return r;
    case FIELD_UNSIGNED:
        r = number_from_json(field->key, value, 0, field->max, &number, ret_error);
        *(unsigned *)at = (unsigned)number;
        return r;
    case FIELD_INT:
        r = number_from_json(field->key, value, INT_MIN, INT_MAX, &number, ret_error);
        *(int *)at = (int)number;
        return r;
    case FIELD_BOOL:
        if (!json_is_boolean(value))
            return fields_wrong(ret_error, field->key, "true or false");
        *(bool *)at = json_is_true(value);
        return 0;
    case FIELD_NAME:
        return name_from_json(field, value, at, ret_error);
    case FIELD_NUMBERS:
    case FIELD_UNSIGNEDS:
        return members_from_json(field, value, at, ret_error);
    case FIELD_OBJECTS:
        return objects_from_json(field, value, at, (size_t *)(void *)(to + field->count_offset), ret_error);
    }
    abort();
}

int fields_from_json(const struct field *fields, const json_t *object, void *to, struct error **ret_error) {
    for (; fields->key; fields++) {
        int r = field_from_json(fields, json_object_get(object, fields->key), to, ret_error);

        if (r < 0)
            return r;
    }
    return 0;
}
