/* SPDX-License-Identifier: Apache-2.0 */
/* A document of TAP, with its plan: what is known of it as its lines come. */
#ifndef VMTEST_TESTRESULTS_TAP_DOCUMENT_H
#define VMTEST_TESTRESULTS_TAP_DOCUMENT_H

#include <stdint.h>

#include "base/str.h"

/* A stream, and a test's output, may hold one behind the other. All zeroes: nothing came yet. */
struct tap_document {
    bool begun; /* by its version */
    bool planned;
    bool closed; /* the plan stood behind the tests */
    uint32_t plan;
    uint32_t seen;
    uint32_t number;   /* of the last test */
    bool bare;         /* its line was "ok" and no more */
    uint32_t highest;  /* number of a test */
    uint32_t doubled;  /* the first number that came twice; 0: none */
    struct buffer had; /* a bit for each number that came */
    char *skip_reason; /* of a plan of none; or NULL */
};

void tap_document_clear(struct tap_document *document);
/* Notes a test's number; 0: it has none, and so the next one. */
void tap_document_note(struct tap_document *document, uint32_t number);
/* Whether all that was planned has come: no other test may. */
bool tap_document_is_complete(const struct tap_document *document);
/* Whether it is a plan of none. */
bool tap_document_skips_all(const struct tap_document *document);
/* What is wrong of it as a whole, or NULL. Caller frees. */
char *tap_document_problem(const struct tap_document *document);

#endif
