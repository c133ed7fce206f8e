/* SPDX-License-Identifier: Apache-2.0 */
#include "testresults/tap-document.h"

/* The highest number of a test that is looked for twice. */
#define NUMBERS_MAX (1u << 20)

void tap_document_clear(struct tap_document *document) {
    buffer_deinit(&document->had);
    free(document->skip_reason);
    *document = (struct tap_document){0};
}

void tap_document_note(struct tap_document *document, uint32_t number) {
    uint32_t bit;

    document->number = number > 0 ? number : document->number + 1;
    if (document->number > document->highest)
        document->highest = document->number;
    if (document->number > NUMBERS_MAX)
        return;
    while (document->had.size <= document->number / 8)
        buffer_append(&document->had, "", 1);
    bit = 1u << document->number % 8;
    if (document->had.data[document->number / 8] & bit && document->doubled == 0)
        document->doubled = document->number;
    document->had.data[document->number / 8] = (char)(document->had.data[document->number / 8] | bit);
}

bool tap_document_is_complete(const struct tap_document *document) {
    return document->planned && document->seen > 0 && document->seen == document->plan;
}

bool tap_document_skips_all(const struct tap_document *document) {
    return document->planned && document->plan == 0;
}

char *tap_document_problem(const struct tap_document *document) {
    if (document->begun && !document->planned && document->seen == 0)
        return xstrdup("no test came behind \"TAP version\"");
    if (document->planned && document->plan != document->seen)
        return xasprintf("%u test%s planned, %u ran", document->plan, document->plan == 1 ? " was" : "s were",
                         document->seen);
    if (document->doubled > 0)
        return xasprintf("test %u came twice", document->doubled);
    if (document->planned && document->highest > document->plan)
        return xasprintf("test %u is not in the plan, 1..%u", document->highest, document->plan);
    return NULL;
}
