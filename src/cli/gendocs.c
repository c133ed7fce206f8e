/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gendocs: the parts of the documentation that come out of tables.
 *
 *   gendocs options|verbs|keys    prints one of them
 *   gendocs update FILE...        rewrites the parts of a manual page between `.\" BEGIN NAME` and `.\" END NAME`
 *   gendocs check FILE...         exits 1 when update would change a file
 */
#include <assert.h>
#include <stdio.h>

#include "base/file.h"
#include "cli/help.h"

#define PAGE_MAX (1U << 20)

static const struct part {
    const char *name;
    char *(*make)(void);
} parts[] = {
    {"options", help_options_roff},
    {"verbs", help_verbs_roff},
    {"keys", help_keys_roff},
};

static int error_print(const struct error *error) {
    (void)fprintf(stderr, "gendocs: %s\n", error_message(error));
    return EXIT_FAILURE;
}

/* Replaces the text between the markers of `part` in `page`; sets *ret_found if it has them. */
static int replace_part(const char *path, char **page, const struct part *part, bool *ret_found,
                        struct error **ret_error) {
    _cleanup_free_ char *begin = xasprintf(".\\\" BEGIN %s\n", part->name);
    _cleanup_free_ char *end = xasprintf(".\\\" END %s\n", part->name);
    const char *from = strstr(*page, begin);
    const char *to = from ? strstr(from, end) : NULL;

    if (!from)
        return 0;
    if (!to)
        return error_new(ret_error, EINVAL, "%s: there is a line '.\\\" BEGIN %s' but no '.\\\" END %s' after it", path,
                         part->name, part->name);
    _cleanup_free_ char *text = part->make();
    char *renewed = xasprintf("%.*s%s%s%s", (int)(from - *page), *page, begin, text, to);
    free(*page);
    *page = renewed;
    *ret_found = true;
    return 0;
}

/* Reads a page; returns it unchanged and with the parts made anew. The caller frees both. */
static int page_renew(const char *path, char **ret_old, char **ret_new, struct error **ret_error) {
    _cleanup_buffer_ struct buffer content = {0};
    bool found = false;
    int r = file_read(path, PAGE_MAX, &content, ret_error);

    if (r < 0)
        return r;
    _cleanup_free_ char *old = buffer_take(&content);
    _cleanup_free_ char *new = xstrdup(old);
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        r = replace_part(path, &new, &parts[i], &found, ret_error);
        if (r < 0)
            return r;
    }
    if (!found)
        return error_new(ret_error, EINVAL, "%s: no line '.\\\" BEGIN PART'", path);
    *ret_old = TAKE_PTR(old);
    *ret_new = TAKE_PTR(new);
    return 0;
}

static int handle_page(const char *path, bool update) {
    _cleanup_error_ struct error *error = NULL;
    _cleanup_free_ char *old = NULL;
    _cleanup_free_ char *new = NULL;

    if (page_renew(path, &old, &new, &error) < 0)
        return error_print(error);
    assert(old && new);
    if (strcmp(old, new) == 0)
        return EXIT_SUCCESS;
    if (!update) {
        (void)fprintf(stderr, "gendocs: %s differs from the tables; run 'gendocs update %s'\n", path, path);
        return EXIT_FAILURE;
    }
    return file_write_atomically(path, new, strlen(new), 0644, &error) < 0 ? error_print(error) : EXIT_SUCCESS;
}

static int usage_print(void) {
    (void)fputs("usage: gendocs options|verbs|keys\n       gendocs update|check FILE...\n", stderr);
    return 2;
}

int main(int argc, char **argv) {
    int status = EXIT_SUCCESS;

    for (size_t i = 0; argc == 2 && i < ARRAY_SIZE(parts); i++) {
        if (strcmp(argv[1], parts[i].name) == 0) {
            _cleanup_free_ char *text = parts[i].make();

            return fputs(text, stdout) < 0 || fflush(stdout) != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        }
    }
    if (argc < 3 || (strcmp(argv[1], "update") != 0 && strcmp(argv[1], "check") != 0))
        return usage_print();
    for (int i = 2; i < argc; i++) {
        if (handle_page(argv[i], argv[1][0] == 'u') != EXIT_SUCCESS)
            status = EXIT_FAILURE;
    }
    return status;
}
