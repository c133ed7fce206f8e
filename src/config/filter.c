/* SPDX-License-Identifier: Apache-2.0 */
/* Keeping the targets whose name matches a regular expression. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "config/config.h"
#include "config/internal.h"

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

int config_filter(struct config *config, const char *filter, struct error **ret_error) {
    _cleanup_free_ char *shown = config_quote(filter, strlen(filter));
    _cleanup_(cleanup_code) pcre2_code *code = NULL;
    _cleanup_(cleanup_match_data) pcre2_match_data *match_data = NULL;
    _cleanup_free_ bool *keep = xcalloc(config->n_targets, sizeof(*keep));
    size_t kept = 0;
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
        keep[i] = r >= 0;
        kept += keep[i];
    }
    if (kept == 0)
        return filter_no_match(config, shown, ret_error);

    kept = 0;
    for (size_t i = 0; i < config->n_targets; i++) {
        if (keep[i])
            config->targets[kept++] = config->targets[i];
        else
            target_free(config->targets[i]);
    }
    config->n_targets = kept;
    return 0;
}
