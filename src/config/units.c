/* SPDX-License-Identifier: Apache-2.0 */
/* Durations and amounts of memory as people write them. Exact arithmetic: no floating point, overflow is an error. */
#include <ctype.h>

#include "base/clock.h"
#include "config/config-internal.h"
#include "config/config.h"

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)
#define PIB (UINT64_C(1) << 50)
#define MEMORY_MINIMUM (64 * MIB)
#define MEMORY_MAXIMUM PIB
/* QEMU rounds the size of RAM up to this. */
#define MEMORY_ALIGNMENT (8 * KIB)

struct unit {
    const char *name;
    uint64_t value;
};

/* From large to small: the parts of a duration come in this order. */
static const struct unit time_units[] = {
    {"h", 3600 * NSEC_PER_SEC},
    {"m", 60 * NSEC_PER_SEC},
    {"s", NSEC_PER_SEC},
    {"ms", NSEC_PER_MSEC},
};

static const struct unit memory_units[] = {
    {"b", 1}, {"k", KIB}, {"m", MIB}, {"g", GIB}, {"t", TIB}, {"p", PIB}, {"e", KIB *PIB},
};

/* A decimal number read from a string: `whole` + `fraction` / `scale`. */
struct decimal {
    uint64_t whole;
    uint64_t fraction;
    uint64_t scale;
};

/*
 * Reads digits with an optional fraction and moves *text behind them. -EINVAL when there is no number, -ERANGE when it
 * is too large. Digits past the 18th of a fraction are dropped.
 */
static int decimal_read(const char **text, struct decimal *ret_decimal) {
    struct decimal decimal = {.scale = 1};
    const char *p = *text;
    bool overflow = false;

    if (!isdigit((unsigned char)*p))
        return -EINVAL;
    for (; isdigit((unsigned char)*p); p++) {
        overflow |= __builtin_mul_overflow(decimal.whole, 10, &decimal.whole);
        overflow |= __builtin_add_overflow(decimal.whole, (uint64_t)(*p - '0'), &decimal.whole);
    }
    if (p[0] == '.' && isdigit((unsigned char)p[1])) {
        for (p++; isdigit((unsigned char)*p); p++) {
            if (decimal.scale >= UINT64_C(1000000000000000000))
                continue;
            decimal.fraction = decimal.fraction * 10 + (uint64_t)(*p - '0');
            decimal.scale *= 10;
        }
    }
    if (overflow)
        return -ERANGE;
    *text = p;
    *ret_decimal = decimal;
    return 0;
}

/* Adds the number times `unit` to *total, rounded to the nearest. -ERANGE on overflow. */
static int decimal_add(const struct decimal *decimal, uint64_t unit, uint64_t *total) {
    unsigned __int128 fraction = ((unsigned __int128)decimal->fraction * unit + decimal->scale / 2) / decimal->scale;
    uint64_t value;

    if (__builtin_mul_overflow(decimal->whole, unit, &value) ||
        __builtin_add_overflow(value, (uint64_t)fraction, &value) || __builtin_add_overflow(*total, value, total))
        return -ERANGE;
    return 0;
}

/* The unit named by the letters at *text, among those behind the first `from`; *text moves behind it. */
static const struct unit *time_unit_read(const char **text, size_t from) {
    size_t length = strspn(*text, "abcdefghijklmnopqrstuvwxyz");

    for (size_t i = from; i < ARRAY_SIZE(time_units); i++) {
        if (strlen(time_units[i].name) == length && strncmp(*text, time_units[i].name, length) == 0) {
            *text += length;
            return &time_units[i];
        }
    }
    return NULL;
}

/* The parts of a duration. 0, -EINVAL or -ERANGE. */
static int duration_read(const char *text, uint64_t *ret_nsec) {
    uint64_t total = 0;
    size_t from = 0;

    do {
        struct decimal decimal;
        const struct unit *unit;
        bool first = from == 0;
        int r = decimal_read(&text, &decimal);

        if (r < 0)
            return r;
        if (first && *text == '\0') {
            r = decimal_add(&decimal, NSEC_PER_SEC, &total);
            if (r < 0)
                return r;
            break;
        }
        unit = time_unit_read(&text, from);
        if (!unit)
            return -EINVAL;
        from = (size_t)(unit - time_units) + 1;
        r = decimal_add(&decimal, unit->value, &total);
        if (r < 0)
            return r;
    } while (*text);
    *ret_nsec = total;
    return 0;
}

int config_parse_duration(const char *text, uint64_t *ret_nsec, struct error **ret_error) {
    _cleanup_free_ char *shown = config_quote(text, strlen(text));
    uint64_t nsec;
    int r = duration_read(text, &nsec);

    if (r == -ERANGE)
        return error_new(ret_error, ERANGE, "'%s' is too long; the most is 500 years", shown);
    if (r < 0)
        return error_new(ret_error, EINVAL,
                         "'%s' is not a duration; write it as 90s, 5m, 1h30m, 250ms or a number of seconds", shown);
    if (nsec == 0)
        return error_new(ret_error, ERANGE, "'%s' is zero; a duration must be more than zero", shown);
    *ret_nsec = nsec;
    return 0;
}

int config_parse_memory(const char *text, uint64_t *ret_bytes, struct error **ret_error) {
    _cleanup_free_ char *shown = config_quote(text, strlen(text));
    const char *p = str_skip_prefix(text, "size=");
    struct decimal decimal;
    uint64_t unit = MIB;
    uint64_t bytes = 0;

    if (!p)
        p = text;
    int r = decimal_read(&p, &decimal);
    if (r == 0 && *p) {
        size_t i = 0;

        while (i < ARRAY_SIZE(memory_units) && tolower((unsigned char)*p) != memory_units[i].name[0])
            i++;
        if (i == ARRAY_SIZE(memory_units) || p[1] != '\0')
            r = -EINVAL;
        else
            unit = memory_units[i].value;
    }
    if (r == -EINVAL)
        return error_new(ret_error, EINVAL,
                         "'%s' is not an amount of memory; write a number with one of the suffixes K, M, G, T, such "
                         "as 512M or 4G",
                         shown);
    if (r == 0)
        r = decimal_add(&decimal, unit, &bytes);
    if (r < 0 || bytes > MEMORY_MAXIMUM)
        return error_new(ret_error, ERANGE, "'%s' is too much memory; the most is 1024T", shown);
    if (bytes < MEMORY_MINIMUM)
        return error_new(ret_error, ERANGE, "'%s' is too little memory; the least is 64M", shown);
    *ret_bytes = (bytes + MEMORY_ALIGNMENT - 1) / MEMORY_ALIGNMENT * MEMORY_ALIGNMENT;
    return 0;
}
