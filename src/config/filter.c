/* SPDX-License-Identifier: Apache-2.0 */
/* The choice of targets by regular expressions that match their names. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "config/config-internal.h"
#include "config/config.h"

/* How many names an error lists. */
#define NAMES_SHOWN 10

DEFINE_CLEANUP(cleanup_code, pcre2_code *, pcre2_code_free)
DEFINE_CLEANUP(cleanup_match_data, pcre2_match_data *, pcre2_match_data_free)

static int filter_compile(const char *filter, const char *shown, pcre2_code **ret_code, struct error **ret_error) {
    PCRE2_SIZE offset = 0;
    int code = 0;
    pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)filter, PCRE2_ZERO_TERMINATED, PCRE2_UTF, &code, &offset, NULL);

    if (!compiled) {
        char message[256] = "";

        (void)pcre2_get_error_message(code, (PCRE2_UCHAR *)message, sizeof(message));
        return error_new(ret_error, EINVAL,
                         "the filter '%s' is not a regular expression: %s at offset %zu; put a backslash before a "
                         "character that stands for itself",
                         shown, message, (size_t)offset);
    }
    *ret_code = compiled;
    return 0;
}

static int filter_no_match(const struct config *config, const char *shown, struct error **ret_error) {
    _cleanup_buffer_ struct buffer names = {0};

    for (size_t i = 0; i < config->n_targets && i < NAMES_SHOWN; i++) {
        _cleanup_free_ char *name = config_quote(config->targets[i]->name, strlen(config->targets[i]->name));

        buffer_printf(&names, "%s%s", i ? ", " : "", name);
    }
    if (config->n_targets > NAMES_SHOWN)
        buffer_printf(&names, " and %zu more", config->n_targets - NAMES_SHOWN);
    return error_new(ret_error, ENOENT, "no target of %s matches the filter '%s'; there %s %s", config->path, shown,
                     config->n_targets == 1 ? "is" : "are", names.data ? names.data : "none");
}

/* Sets marks[i] for each target that matches. */
static int filter_mark(const struct config *config, const char *filter, bool *marks, size_t *ret_count,
                       struct error **ret_error) {
    _cleanup_free_ char *shown = config_quote(filter, strlen(filter));
    _cleanup_(cleanup_code) pcre2_code *code = NULL;
    _cleanup_(cleanup_match_data) pcre2_match_data *match_data = NULL;
    size_t count = 0;
    int r = filter_compile(filter, shown, &code, ret_error);

    if (r < 0)
        return r;
    match_data = pcre2_match_data_create_from_pattern(code, NULL);
    if (!match_data)
        abort();
    for (size_t i = 0; i < config->n_targets; i++) {
        const char *name = config->targets[i]->name;

        r = pcre2_match(code, (PCRE2_SPTR)name, strlen(name), 0, 0, match_data, NULL);
        if (r < 0 && r != PCRE2_ERROR_NOMATCH) {
            char message[256] = "";

            (void)pcre2_get_error_message(r, (PCRE2_UCHAR *)message, sizeof(message));
            return error_new(ret_error, EINVAL,
                             "the filter '%s' cannot be applied to the target '%s': %s; write a simpler one", shown,
                             name, message);
        }
        if (r >= 0) {
            marks[i] = true;
            count++;
        }
    }
    *ret_count = count;
    return 0;
}

void config_keep(struct config *config, const bool *keep) {
    size_t kept = 0;

    for (size_t i = 0; i < config->n_targets; i++) {
        if (keep[i])
            config->targets[kept++] = config->targets[i];
        else
            target_free(config->targets[i]);
    }
    config->n_targets = kept;
}

/* Marks the targets that at least one filter matches. */
static int mark_filters(struct config *config, const struct strv *filters, bool *keep, struct error **ret_error) {
    _cleanup_strv_ struct strv unmatched = {0};

    for (size_t i = 0; i < filters->count; i++) {
        size_t count = 0;
        int r = filter_mark(config, filters->items[i], keep, &count, ret_error);

        if (r < 0)
            return r;
        if (count == 0)
            strv_append_take(&unmatched, config_quote(filters->items[i], strlen(filters->items[i])));
    }
    if (unmatched.count == filters->count) {
        _cleanup_free_ char *shown = strv_join(&unmatched, "' or '");

        return filter_no_match(config, shown, ret_error);
    }
    for (size_t i = 0; i < unmatched.count; i++)
        strv_append_printf(&config->warnings, "no target of %s matches the filter '%s'", config->path,
                           unmatched.items[i]);
    return 0;
}

static int mark_excludes(const struct config *config, const struct strv *excludes, bool *keep,
                         struct error **ret_error) {
    _cleanup_free_ bool *out = xcalloc(config->n_targets + 1, sizeof(*out));
    size_t left = 0;
    size_t count;

    for (size_t i = 0; i < excludes->count; i++) {
        int r = filter_mark(config, excludes->items[i], out, &count, ret_error);

        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < config->n_targets; i++) {
        keep[i] = keep[i] && !out[i];
        left += keep[i];
    }
    if (left == 0 && config->n_targets > 0)
        return error_new(ret_error, ENOENT, "no target of %s is left to run", config->path);
    return 0;
}

int config_select(struct config *config, const struct strv *filters, const struct strv *excludes,
                  struct error **ret_error) {
    _cleanup_free_ bool *keep = xcalloc(config->n_targets + 1, sizeof(*keep));
    int r = 0;

    if (filters->count == 0)
        memset(keep, true, config->n_targets);
    else
        r = mark_filters(config, filters, keep, ret_error);
    if (r < 0) {
        error_context(ret_error, "--filter");
        return r;
    }
    if (excludes->count > 0)
        r = mark_excludes(config, excludes, keep, ret_error);
    if (r < 0) {
        error_context(ret_error, "--exclude");
        return r;
    }
    config_keep(config, keep);
    return 0;
}
