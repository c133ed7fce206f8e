/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Structs as JSON objects, by a table of their fields: one table writes and reads. Of a file that is read, every member
 * has to be there, of its type and in its range; members that the table does not know are passed over.
 */
#ifndef VMTEST_REPORT_FORMATS_FIELDS_H
#define VMTEST_REPORT_FORMATS_FIELDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum field_type {
    FIELD_TEXT,      /* char *, allocated; or const char * into the JSON value where the field is `borrowed` */
    FIELD_NUMBER,    /* uint64_t, at most `max` and INT64_MAX: JSON's integers are signed here */
    FIELD_UNSIGNED,  /* unsigned, at most `max` */
    FIELD_INT,       /* int */
    FIELD_BOOL,      /* bool */
    FIELD_NAME,      /* an enum, written as its name */
    FIELD_NUMBERS,   /* uint64_t[names->count], an object with a member for each name */
    FIELD_UNSIGNEDS, /* unsigned[names->count], the same */
    FIELD_OBJECTS,   /* an array of structs: allocated, or in the struct itself where the field is `borrowed` */
};

struct field_names {
    const char *(*name)(unsigned value);
    unsigned count;
    const char *wanted; /* for messages: "a verdict that is known" */
};

struct field {
    const char *key; /* NULL: the table's end */
    enum field_type type;
    size_t offset;
    bool borrowed;
    uint64_t max; /* of a number; of FIELD_OBJECTS: how many */
    const struct field_names *names;
    const struct field *item; /* FIELD_OBJECTS: the table of one, with the next two */
    size_t item_size;
    size_t count_offset; /* of a size_t */
};

/* A new object with a member for each field. */
json_t *fields_to_json(const struct field *fields, const void *from);
/* Fills the struct, which begins zeroed; what has been filled is the caller's to free after an error as well. */
int fields_from_json(const struct field *fields, const json_t *object, void *to, struct error **ret_error) _must_check_;

/* Adds a member; steals `value`. */
void fields_add(json_t *object, const char *key, json_t *value);
/* "'KEY' is not WANTED". */
int fields_wrong(struct error **ret_error, const char *key, const char *wanted);

#endif
