/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fork() copies an entry for each page that a process has, 4 KiB each: with 10 000 targets that was a third of all
 * processor time. One large page is one entry. A page that is written to afterwards is copied or split as always.
 */
#include "base/heap.h"

#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>

#include "base/file.h"

/* Not in the headers of older systems. */
#define ADVICE_COLLAPSE 25
#define LARGE_PAGE (UINT64_C(2) << 20)
#define MAPS_LIMIT ((size_t)4 << 20)

/* Where the heap lies, of which malloc() hands out what is not large. */
static bool find_heap(uint64_t *ret_begin, uint64_t *ret_end) {
    _cleanup_buffer_ struct buffer maps = {0};
    unsigned long long begin;
    unsigned long long end;

    if (file_read("/proc/self/maps", MAPS_LIMIT, &maps, NULL) < 0 || !maps.data)
        return false;
    const char *line = strstr(maps.data, "[heap]");
    while (line && line > maps.data && line[-1] != '\n')
        line--;
    if (!line || sscanf(line, "%llx-%llx", &begin, &end) != 2)
        return false;
    *ret_begin = (begin + LARGE_PAGE - 1) & ~(LARGE_PAGE - 1);
    *ret_end = end & ~(LARGE_PAGE - 1);
    return true;
}

void heap_settle(void) {
    uint64_t begin;
    uint64_t end;

#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
    if (!find_heap(&begin, &end))
        return;
    for (uint64_t at = begin; at < end; at += LARGE_PAGE)
        (void)madvise((void *)(uintptr_t)at, LARGE_PAGE, ADVICE_COLLAPSE);
}
