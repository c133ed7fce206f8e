/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/verb-cache.h"

#include <jansson.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/utf8.h"
#include "cli/verbs.h"
#include "event/verdict.h"
#include "template/store.h"

/* Digits of a key that are shown: as many as tell the keys apart. */
#define KEY_DIGITS_MIN 8
/* Digits that stand for a key on the command line. */
#define KEY_PREFIX_MIN 4
#define EXIT_STATUS_DAMAGED 1

struct templates {
    struct template_entry *items;
    size_t count;
};

static void templates_deinit(struct templates *templates) {
    template_list_free(templates->items, templates->count);
}
#define _cleanup_templates_ _cleanup_(templates_deinit)

static uint64_t round_to(uint64_t bytes, uint64_t unit) {
    return bytes / unit + (unit > 1 && bytes % unit >= unit / 2);
}

char *cache_size_text(uint64_t bytes) {
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB", "EB"};
    uint64_t unit = 1;
    size_t i = 0;

    while (i + 1 < ARRAY_SIZE(units) && round_to(bytes, unit) >= 1000) {
        unit *= 1000;
        i++;
    }
    uint64_t tenths = i > 0 ? round_to(bytes, unit / 10) : 0;
    if (tenths > 0 && tenths < 100)
        return xasprintf("%llu.%llu %s", (unsigned long long)tenths / 10, (unsigned long long)tenths % 10, units[i]);
    return xasprintf("%llu %s", (unsigned long long)round_to(bytes, unit), units[i]);
}

char *cache_age_text(int64_t seconds) {
    static const struct {
        const char *name;
        int64_t seconds;
    } units[] = {{"day", 86400}, {"hour", 3600}, {"minute", 60}, {"second", 1}};
    size_t i = 0;

    if (seconds < 0)
        seconds = 0; /* the host's clock was set back */
    while (i + 1 < ARRAY_SIZE(units) && seconds < units[i].seconds)
        i++;
    int64_t count = seconds / units[i].seconds;
    return xasprintf("%lld %s%s", (long long)count, units[i].name, count == 1 ? "" : "s");
}

/* The name that stands for a template: the file that it was made from. Points into the entry. */
static const char *entry_name(const struct template_entry *entry) {
    return str_empty(entry->source) ? "(damaged)" : path_basename(entry->source);
}

/* The bytes of the character at the beginning of a text, 1 where it is none; *ret_columns is -1 for one not to print.
 */
static size_t character_size(const char *text, int *ret_columns) {
    size_t size = 1;

    while (size < UTF8_MAX && ((unsigned char)text[size] & 0xc0) == 0x80)
        size++;
    bool valid = utf8_valid_prefix(text, size) == size;
    *ret_columns = valid ? utf8_width(utf8_decode(text, size)) : -1;
    return valid ? size : 1;
}

/* A text for a terminal, which nothing in a file's name can confuse. Caller frees. */
static char *name_printable(const char *text) {
    struct buffer clean = {0};
    size_t size;
    int columns;

    for (; *text; text += size) {
        size = character_size(text, &columns);
        buffer_append(&clean, columns < 0 ? "?" : text, columns < 0 ? 1 : size);
    }
    return buffer_take(&clean);
}

/* The columns of a text that name_printable() has made. */
static size_t text_width(const char *text) {
    size_t width = 0;
    size_t size;
    int columns;

    for (; *text; text += size) {
        size = character_size(text, &columns);
        width += columns > 0 ? (size_t)columns : 0;
    }
    return width;
}

static size_t key_digits(const struct templates *templates) {
    size_t digits = KEY_DIGITS_MIN;

    for (size_t i = 0; i < templates->count; i++) {
        for (size_t j = 0; j < i; j++) {
            while (strncmp(templates->items[i].key, templates->items[j].key, digits) == 0 &&
                   templates->items[i].key[digits])
                digits++;
        }
    }
    return digits;
}

static uint64_t total_size(const struct templates *templates) {
    uint64_t total = 0;

    for (size_t i = 0; i < templates->count; i++)
        total += templates->items[i].disk_size;
    return total;
}

enum { COLUMN_KEY, COLUMN_SOURCE, COLUMN_KERNEL, COLUMN_SIZE, COLUMN_AGE, COLUMN_USE, COLUMN_COUNT };

static const char *const column_titles[] = {"KEY", "MADE FROM", "KERNEL", "SIZE ON DISK", "AGE", "LAST USE"};

/* The cells of a table, row by row, COLUMN_COUNT of them each. */
static void append_row(struct strv *cells, const struct template_entry *entry, size_t digits, int64_t now) {
    _cleanup_free_ char *age =
        entry->source ? cache_age_text(now - entry->created / (int64_t)NSEC_PER_SEC) : xstrdup("-");
    _cleanup_free_ char *use = cache_age_text(now - entry->last_used / (int64_t)NSEC_PER_SEC);

    strv_append_printf(cells, "%.*s", (int)digits, entry->key);
    strv_append_take(cells, name_printable(entry_name(entry)));
    strv_append_take(cells, name_printable(str_empty(entry->kernel_release) ? "-" : entry->kernel_release));
    strv_append_take(cells, cache_size_text(entry->disk_size));
    strv_append(cells, age);
    strv_append_printf(cells, "%s ago", use);
}

static void print_cells(const struct strv *cells) {
    size_t widths[COLUMN_COUNT] = {0};

    for (size_t i = 0; i < cells->count; i++) {
        size_t width = text_width(cells->items[i]);

        if (width > widths[i % COLUMN_COUNT])
            widths[i % COLUMN_COUNT] = width;
    }
    for (size_t i = 0; i < cells->count; i++) {
        bool last = i % COLUMN_COUNT == COLUMN_COUNT - 1;
        int gap = last ? 0 : (int)(widths[i % COLUMN_COUNT] - text_width(cells->items[i]) + 2);

        (void)printf("%s%*s%s", cells->items[i], gap, "", last ? "\n" : "");
    }
}

static int print_none(void) {
    _cleanup_free_ char *path = template_store_path();

    (void)printf("There are no templates in %s.\n", path ? path : "the cache");
    return 0;
}

static int print_table(const struct templates *templates, struct error **ret_error) {
    _cleanup_free_ char *total = cache_size_text(total_size(templates));
    _cleanup_strv_ struct strv cells = {0};
    size_t digits = key_digits(templates);
    uint64_t limit;
    int r;

    if (templates->count == 0)
        return print_none();
    r = template_store_limit(&limit, ret_error);
    if (r < 0)
        return r;
    _cleanup_free_ char *limit_text = cache_size_text(limit);
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        strv_append(&cells, column_titles[i]);
    for (size_t i = 0; i < templates->count; i++)
        append_row(&cells, &templates->items[i], digits, time(NULL));
    print_cells(&cells);
    (void)printf("%zu template%s, %s; they may take %s.\n", templates->count, templates->count == 1 ? "" : "s", total,
                 limit_text);
    return 0;
}

static json_t *json_text(const char *text) {
    return text ? json_string(text) : json_null();
}

static void print_json(const struct templates *templates) {
    json_t *array = json_array();

    for (size_t i = 0; i < templates->count; i++) {
        const struct template_entry *entry = &templates->items[i];
        bool sound = entry->source != NULL;

        (void)json_array_append_new(
            array, json_pack("{s:s, s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:I}", "key", entry->key, "path",
                             entry->path, "damaged", !sound, "name", sound ? json_text(entry_name(entry)) : json_null(),
                             "source", json_text(entry->source), "kernel", json_text(entry->kernel_release), "qemu",
                             json_text(entry->qemu_version), "memory",
                             sound ? json_integer((json_int_t)entry->memory_size) : json_null(), "size_on_disk",
                             (json_int_t)entry->disk_size, "created",
                             sound ? json_integer(entry->created / (int64_t)NSEC_PER_SEC) : json_null(), "last_used",
                             (json_int_t)(entry->last_used / (int64_t)NSEC_PER_SEC)));
    }
    (void)json_dumpf(array, stdout, JSON_INDENT(2));
    (void)putchar('\n');
    json_decref(array);
}

int cache_list_run(const struct options *options, struct error **ret_error) {
    _cleanup_templates_ struct templates templates = {0};
    int r = template_list(&templates.items, &templates.count, ret_error);

    if (r == 0 && options->format == FORMAT_JSON)
        print_json(&templates);
    else if (r == 0)
        r = print_table(&templates, ret_error);
    return r < 0 ? EXIT_STATUS_UNAVAILABLE : 0;
}

/* Marks in `wanted` the templates that `name` stands for: made from a file of that name, or else of that key. */
static int templates_choose(const struct templates *templates, const char *name, bool *wanted,
                            struct error **ret_error) {
    size_t found = 0;

    for (size_t i = 0; i < templates->count; i++) {
        const struct template_entry *entry = &templates->items[i];

        wanted[i] = str_equal(name, entry_name(entry)) || str_equal(name, entry->source);
        found += wanted[i];
    }
    if (found > 0)
        return 0;
    for (size_t i = 0; i < templates->count && strlen(name) >= KEY_PREFIX_MIN; i++) {
        wanted[i] = str_skip_prefix(templates->items[i].key, name) != NULL;
        found += wanted[i];
    }
    if (found == 1)
        return 0;
    if (found > 1)
        return error_new(ret_error, EINVAL,
                         "cache clear: %zu templates have a key that begins with '%s'; give more of it", found, name);
    return error_new(ret_error, ENOENT, "cache clear: there is no template '%s'; 'vmtest cache list' shows them%s",
                     name, strlen(name) < KEY_PREFIX_MIN ? ", and of a key at least 4 digits are needed" : "");
}

static int remove_wanted(const struct templates *templates, const bool *wanted, struct error **ret_error) {
    uint64_t size = 0;
    size_t count = 0;

    for (size_t i = 0; i < templates->count; i++) {
        if (!wanted[i])
            continue;
        int r = template_remove(templates->items[i].key, NULL);
        if (r == -ENOENT)
            continue; /* somebody else was faster */
        if (r < 0)
            return error_errno(ret_error, r, "cannot remove %s", templates->items[i].path);
        count++;
        size += templates->items[i].disk_size;
    }
    _cleanup_free_ char *text = cache_size_text(size);
    (void)printf("Removed %zu template%s, %s.\n", count, count == 1 ? "" : "s", text);
    return 0;
}

int cache_clear_run(const struct options *options, struct error **ret_error) {
    _cleanup_templates_ struct templates templates = {0};
    _cleanup_free_ bool *wanted = NULL;
    const char *name = options->words.count > 0 ? options->words.items[0] : NULL;
    int r = template_list(&templates.items, &templates.count, ret_error);

    if (r < 0)
        return EXIT_STATUS_UNAVAILABLE;
    template_sweep();
    if (templates.count == 0 && !name)
        return print_none();
    wanted = xcalloc(templates.count + 1, sizeof(*wanted));
    for (size_t i = 0; i < templates.count; i++)
        wanted[i] = !name;
    if (name)
        r = templates_choose(&templates, name, wanted, ret_error);
    if (r == 0)
        r = remove_wanted(&templates, wanted, ret_error);
    return r < 0 ? EXIT_STATUS_UNAVAILABLE : 0;
}

int cache_path_run(const struct options *options, struct error **ret_error) {
    _cleanup_free_ char *path = path_cache_directory();

    if (!path) {
        (void)error_new(ret_error, ENOENT, "there is no place for a cache; set VMTEST_CACHE_DIR or HOME");
        return EXIT_STATUS_UNAVAILABLE;
    }
    (void)puts(path);
    return 0;
}

int cache_verify_run(const struct options *options, struct error **ret_error) {
    _cleanup_templates_ struct templates templates = {0};
    size_t digits;
    size_t sound = 0;
    bool damaged = false;

    if (template_list(&templates.items, &templates.count, ret_error) < 0)
        return EXIT_STATUS_UNAVAILABLE;
    if (templates.count == 0)
        return print_none();
    digits = key_digits(&templates);
    for (size_t i = 0; i < templates.count; i++) {
        _cleanup_error_ struct error *reason = NULL;
        _cleanup_free_ char *name = name_printable(entry_name(&templates.items[i]));
        int r = template_verify(templates.items[i].key, &reason);

        if (r == -ENOENT)
            continue; /* it has been removed meanwhile */
        if (r < 0 && r != -EBADMSG) {
            (void)error_new(ret_error, r, "cannot verify %s: %s", templates.items[i].path, error_message(reason));
            return EXIT_STATUS_UNAVAILABLE;
        }
        if (r < 0)
            (void)printf("%.*s, made from %s, was damaged and has been removed: %s\n", (int)digits,
                         templates.items[i].key, name, error_message(reason));
        sound += r == 0;
        damaged |= r < 0;
    }
    (void)printf("%zu template%s sound.\n", sound, sound == 1 ? " is" : "s are");
    return damaged ? EXIT_STATUS_DAMAGED : 0;
}
