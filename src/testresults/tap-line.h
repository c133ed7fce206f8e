/* SPDX-License-Identifier: Apache-2.0 */
/* A line of TAP (testanything.org, versions 12 to 14) or KTAP (the kernel's Documentation/dev-tools/ktap.rst). */
#ifndef VMTEST_TESTRESULTS_TAP_LINE_H
#define VMTEST_TESTRESULTS_TAP_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tap_kind {
    TAP_OTHER,
    TAP_VERSION,
    TAP_PLAN,
    TAP_TEST,
    TAP_BAIL,
    TAP_COMMENT,
    TAP_YAML,     /* "---" */
    TAP_YAML_END, /* "..." */
};

enum tap_directive { TAP_NO_DIRECTIVE, TAP_SKIP, TAP_TODO };

/* A part of the line. */
struct tap_text {
    const char *start;
    size_t size;
};

struct tap_line {
    enum tap_kind kind;
    unsigned indent; /* in columns */
    bool kernel;     /* of a version: KTAP's */
    uint32_t count;  /* of a plan; of a test its number, 0: it has none */
    bool ok;
    enum tap_directive directive; /* of a plan as well */
    struct tap_text name;         /* of a test, as it stands there */
    struct tap_text message;      /* what stands behind the directive, a bail-out, or a failed test's "# " */
    struct tap_text text;         /* of the others, without the indent; of a comment without its "#" */
    uint64_t nsec;                /* of a test, 0: not said */
};

/* Takes a line apart: without its end, and without what the kernel puts in front of its messages. */
struct tap_line tap_line_parse(const char *line, size_t size);

/* How much stands in front of a line that comes by way of the kernel's log: "<6>[    1.234567] ", with its task or not.
 */
size_t tap_line_stamp(const char *line, size_t size);

#endif
