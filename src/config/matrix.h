/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A [[matrix]]: a table of keys as a [[target]] has them, in which a list in a scalar's place is an axis. Each
 * combination of the axes' values is a target.
 */
#ifndef VMTEST_CONFIG_MATRIX_H
#define VMTEST_CONFIG_MATRIX_H

#include "config/config-internal.h"

/* The most targets of a file, and the most combinations of a matrix. Fuzzing has better things to do than to count. */
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
#define MATRIX_MAX 1000
#else
#define MATRIX_MAX 100000
#endif

struct axis_value {
    struct toml_value value; /* for the key; its string is the tree's or `text` */
    char *text;              /* what stands for it in strings and in the environment */
    char *label;             /* what stands for it in names */
    bool found;              /* by a pattern */
};

struct axis {
    char *name;                       /* "kernel", "vm.num_cpus", "test" */
    const struct config_key_row *row; /* of the key that it is for, or NULL */
    const struct toml_value *list;    /* as written */
    struct toml_position position;    /* of the key */
    struct axis_value *values;
    size_t n_values;
    size_t current; /* in the combination being read */
};

/* A table of `exclude`: for each axis which of its values it names, NULL: all. */
struct exclusion {
    bool **matches;
};

struct matrix {
    const struct toml_value *table;
    const struct toml_value *exclude; /* the list, or NULL */
    struct strv used;                 /* names in braces, sorted */
    struct axis *axes;                /* in the order in which they are written */
    size_t n_axes;
    struct exclusion *exclusions;
    size_t n_exclusions;
};

/* Finds the axes of the table and their values; warns of keys that are none and not known. `matrix` starts as {0}. */
int matrix_read(struct matrix *matrix, struct parser *parser, const struct toml_value *table) _must_check_;
void matrix_deinit(struct matrix *matrix);

/* Goes on to the next combination; false behind the last. The axis that was written first turns slowest. */
bool matrix_next(struct matrix *matrix);
bool matrix_is_excluded(const struct matrix *matrix);
/* The current value of the axis whose list this is, or NULL when it is no axis. */
const struct axis_value *matrix_value(const struct matrix *matrix, const struct toml_value *list);
/* A name made of the labels, for a matrix that gives none. NULL without an axis. Caller frees. */
char *matrix_name(const struct matrix *matrix);
/* Tells the target where in the matrix it stands. */
void matrix_describe(const struct matrix *matrix, struct target *target);

/* Fills the values of an axis out of its list: patterns expanded, none twice, each with its label. */
int axis_read_values(struct axis *axis, struct parser *parser) _must_check_;
void axis_deinit(struct axis *axis);
/* The text that stands for a string, a number or a boolean, or NULL. Caller frees. */
char *axis_text(const struct toml_value *value);
/* Labels of paths: as short as tells them apart. */
void axis_set_path_labels(struct axis_value *values, size_t count);
bool axis_is_pattern(const char *text);

/* Reads `exclude`, once the axes have their values. */
int matrix_read_exclusions(struct matrix *matrix, struct parser *parser) _must_check_;

/* Appends the names that stand in braces in the strings of a tree, each also without a ".name" at its end. */
void placeholder_collect(const struct toml_value *value, struct strv *names);
void placeholder_collect_text(const char *text, struct strv *names);
/* `text` with the placeholders of the axes replaced by the current values. Appended to `out`. */
void placeholder_replace(const struct matrix *matrix, const char *text, struct buffer *out);

#endif
