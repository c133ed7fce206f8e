/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a JUnit XML file that a command left behind: anybody's bytes. There is no one schema; what the tools that write
 * it have in common is read (https://github.com/testmoapp/junitxml lists it), and what is unknown passed over.
 */
#ifndef VMTEST_TESTRESULTS_JUNIT_READER_H
#define VMTEST_TESTRESULTS_JUNIT_READER_H

#include <stddef.h>

#include "base/error.h"
#include "event/subresult.h"

/*
 * Gives each test case, once the whole has been read. -EBADMSG for what is no well-formed XML, no JUnit file, or
 * declares entities; -ENOENT for a file without a test case; -E2BIG for one with more than SUBRESULTS_MAX. A suite that
 * counts failures which none of its test cases shows is one itself.
 */
int junit_read(const void *data, size_t size, subresult_fn *give, void *context, struct error **ret_error) _must_check_;

#endif
