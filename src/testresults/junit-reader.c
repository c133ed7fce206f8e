/* SPDX-License-Identifier: Apache-2.0 */
#include "testresults/junit-reader.h"

#include <expat.h>
#include <limits.h>

#include "base/str.h"

#define DEPTH_MAX 256u
#define NAME_SHOWN_MAX ((size_t)1000)
#define TEXT_MAX ((size_t)4 << 10)

enum element {
    ELEMENT_OTHER,
    ELEMENT_SUITES,
    ELEMENT_SUITE,
    ELEMENT_CASE,
    ELEMENT_BAD,
    ELEMENT_BAD_SUITE, /* a failure or an error of a suite, in none of its test cases */
    ELEMENT_SKIPPED,
    ELEMENT_OUT,
};

struct result {
    char *name;
    enum subresult_status status;
    char *message;
    struct buffer output;
    uint64_t nsec;
};

struct suite {
    char *name;
    unsigned long n_counted; /* failures and errors that it says it has */
    unsigned long n_shown;   /* those of the test cases in it, nested suites included */
};

struct reader {
    XML_Parser parser;
    struct result *results;
    size_t n_results;
    struct suite suites[DEPTH_MAX]; /* those that are open */
    size_t n_suites;
    enum element open[DEPTH_MAX];
    size_t depth;
    struct result *current; /* the test case that is open, or NULL */
    struct buffer text;     /* of the element that is open, where it counts */
    int code;               /* why reading was stopped: a negative errno */
    const char *why;
};

static void stop(struct reader *reader, int code, const char *why) {
    if (reader->code == 0) {
        reader->code = code;
        reader->why = why;
    }
    (void)XML_StopParser(reader->parser, XML_FALSE);
}

/* By the name behind a namespace's prefix. */
static enum element element_of(const char *name) {
    static const struct {
        const char *name;
        enum element element;
    } elements[] = {
        {"testsuites", ELEMENT_SUITES}, {"testsuite", ELEMENT_SUITE}, {"testcase", ELEMENT_CASE},
        {"failure", ELEMENT_BAD},       {"error", ELEMENT_BAD},       {"skipped", ELEMENT_SKIPPED},
        {"system-out", ELEMENT_OUT},    {"system-err", ELEMENT_OUT},
    };
    const char *colon = strrchr(name, ':');

    for (size_t i = 0; i < ARRAY_SIZE(elements); i++) {
        if (str_equal(elements[i].name, colon ? colon + 1 : name))
            return elements[i].element;
    }
    return ELEMENT_OTHER;
}

static const char *attribute(const char *const *attributes, const char *name) {
    for (; *attributes; attributes += 2) {
        if (str_equal(attributes[0], name))
            return attributes[1];
    }
    return "";
}

/* What is shown of a text, without half a character at its end. */
static int shown(const char *text) {
    size_t length = strnlen(text, NAME_SHOWN_MAX);

    return (int)utf8_valid_prefix(text, length);
}

/* Seconds, as "0.25" or "1,234.5", whatever the locale; 0 where it is none. */
static uint64_t parse_seconds(const char *text) {
    uint64_t nsec = 0;
    uint64_t unit = UINT64_C(1000000000);
    bool fraction = false;

    for (; *text && strchr("0123456789.,", *text); text++) {
        if (*text == '.') {
            if (fraction)
                return 0;
            fraction = true;
        } else if (*text == ',') {
            if (fraction)
                return 0;
        } else if (fraction) {
            unit /= 10;
            nsec += (uint64_t)(*text - '0') * unit;
        } else if (nsec > UINT64_MAX / 100) {
            return 0;
        } else {
            nsec = nsec * 10 + (uint64_t)(*text - '0') * unit;
        }
    }
    return *text ? 0 : nsec;
}

static unsigned long parse_count(const char *text) {
    char *end;
    unsigned long count = strtoul(text, &end, 10);

    return *text >= '0' && *text <= '9' && *end == '\0' ? count : 0;
}

/* A new result, for the caller to fill; NULL where there are too many. */
static struct result *add_result(struct reader *reader) {
    if (reader->n_results == SUBRESULTS_MAX) {
        stop(reader, -E2BIG, "it has too many test cases");
        return NULL;
    }
    if ((reader->n_results & (reader->n_results + 1)) == 0) /* room for 2^n - 1 of them is used up */
        reader->results = xreallocarray(reader->results, 2 * reader->n_results + 1, sizeof(*reader->results));
    reader->results[reader->n_results] = (struct result){0};
    return &reader->results[reader->n_results++];
}

/* The innermost suite that has a name. */
static const char *suite_name(const struct reader *reader) {
    for (size_t i = reader->n_suites; i > 0; i--) {
        if (reader->suites[i - 1].name[0])
            return reader->suites[i - 1].name;
    }
    return "";
}

/* What has failed of a suite itself. The name must not be NULL, the message is taken over. */
static void add_suite_failure(struct reader *reader, const char *name, char *message) {
    struct result *result = add_result(reader);

    if (!result) {
        free(message);
        return;
    }
    *result = (struct result){
        .name = str_empty(name) ? xstrdup("suite") : xasprintf("%.*s", shown(name), name),
        .status = SUBRESULT_FAIL,
        .message = message,
    };
}

static void begin_suite(struct reader *reader, const char *const *attributes) {
    struct suite *suite = &reader->suites[reader->n_suites++];
    unsigned long failures = parse_count(attribute(attributes, "failures"));
    unsigned long errors = parse_count(attribute(attributes, "errors"));

    *suite = (struct suite){
        .name = xstrdup(attribute(attributes, "name")),
        .n_counted = failures > ULONG_MAX - errors ? ULONG_MAX : failures + errors,
    };
}

static void end_suite(struct reader *reader) {
    struct suite *suite = &reader->suites[--reader->n_suites];

    if (suite->n_counted > 0 && suite->n_shown == 0) {
        add_suite_failure(reader, suite->name,
                          xasprintf("the suite counts %lu failures and errors, and none of its test cases shows one",
                                    suite->n_counted));
        suite->n_shown = 1;
    }
    if (reader->n_suites > 0)
        reader->suites[reader->n_suites - 1].n_shown += suite->n_shown;
    free(suite->name);
}

/* An attribute that googletest, CTest and others set, not always with an element that says the same. */
static enum subresult_status status_of(const char *text) {
    static const struct {
        const char *text;
        enum subresult_status status;
    } words[] = {
        {"notrun", SUBRESULT_SKIP}, {"disabled", SUBRESULT_SKIP}, {"fail", SUBRESULT_FAIL},
        {"failed", SUBRESULT_FAIL}, {"error", SUBRESULT_FAIL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (str_equal(words[i].text, text))
            return words[i].status;
    }
    return SUBRESULT_PASS;
}

static void begin_case(struct reader *reader, const char *const *attributes) {
    const char *name = attribute(attributes, "name");
    const char *class = attribute(attributes, "classname");
    struct result *result = add_result(reader);

    if (!result)
        return;
    if (str_empty(class))
        class = suite_name(reader);
    if (str_empty(name))
        name = "(no name)";
    result->name = str_empty(class) ? xasprintf("%.*s", shown(name), name)
                                    : xasprintf("%.*s / %.*s", shown(class), class, shown(name), name);
    result->message = xstrdup("");
    result->status = status_of(attribute(attributes, "status"));
    result->nsec = parse_seconds(attribute(attributes, "time"));
    reader->current = result;
}

/* A failure outweighs that it was skipped; of several, the first one tells why. */
static void take_status(struct reader *reader, enum subresult_status status, const char *const *attributes) {
    struct result *result = reader->current;
    const char *message = attribute(attributes, "message");

    if (result->status == SUBRESULT_FAIL && status != SUBRESULT_FAIL)
        return;
    if (result->status == status && !str_empty(result->message))
        return;
    result->status = status;
    free(result->message);
    result->message = xstrdup(str_empty(message) ? attribute(attributes, "type") : message);
}

static bool is_suite(enum element element) {
    return element == ELEMENT_SUITE || element == ELEMENT_SUITES;
}

/* What an element is where it stands. */
static enum element element_in(const struct reader *reader, const char *name, enum element parent) {
    enum element element = element_of(name);

    if (element == ELEMENT_BAD && is_suite(parent))
        return ELEMENT_BAD_SUITE;
    /* What looks so elsewhere, such as a "failure" of a tool's own properties, is none. */
    if ((element == ELEMENT_BAD || element == ELEMENT_SKIPPED || element == ELEMENT_OUT) &&
        (parent != ELEMENT_CASE || !reader->current))
        return ELEMENT_OTHER;
    if (reader->current && (element == ELEMENT_CASE || is_suite(element)))
        return ELEMENT_OTHER;
    return element;
}

static void begin_bad_suite(struct reader *reader, const char *const *attributes) {
    const char *message = attribute(attributes, "message");

    add_suite_failure(reader, suite_name(reader),
                      xstrdup(str_empty(message) ? attribute(attributes, "type") : message));
    if (reader->code == 0)
        reader->current = &reader->results[reader->n_results - 1];
}

static void begin_element(void *context, const char *name, const char **attributes) {
    struct reader *reader = context;
    const char *const *given = (const char *const *)attributes;
    enum element parent = reader->depth > 0 ? reader->open[reader->depth - 1] : ELEMENT_OTHER;
    enum element element = element_in(reader, name, parent);

    if (reader->depth == 0 && !is_suite(element)) {
        stop(reader, -EBADMSG, "it is no JUnit file: its root is neither testsuites nor testsuite");
        return;
    }
    if (reader->depth == DEPTH_MAX) {
        stop(reader, -EBADMSG, "its elements are nested too deep");
        return;
    }
    reader->open[reader->depth++] = element;
    reader->text.size = 0;
    if (is_suite(element))
        begin_suite(reader, given);
    else if (element == ELEMENT_CASE)
        begin_case(reader, given);
    else if (element == ELEMENT_BAD)
        take_status(reader, SUBRESULT_FAIL, given);
    else if (element == ELEMENT_BAD_SUITE)
        begin_bad_suite(reader, given);
    else if (element == ELEMENT_SKIPPED)
        take_status(reader, SUBRESULT_SKIP, given);
}

static bool has_text(enum element element) {
    return element == ELEMENT_BAD || element == ELEMENT_BAD_SUITE || element == ELEMENT_SKIPPED ||
           element == ELEMENT_OUT;
}

/* The text of a failure, or of the test's output, is what else is said of it. */
static void take_text(struct reader *reader, enum element element) {
    struct result *result = reader->current;
    const char *text = reader->text.data;
    size_t size = reader->text.size;
    size_t room = result->output.size < TEXT_MAX ? TEXT_MAX - result->output.size : 0;

    while (size > 0 && strchr(" \t\r\n", text[0])) {
        text++;
        size--;
    }
    while (size > 0 && strchr(" \t\r\n", text[size - 1]))
        size--;
    if (size == 0)
        return;
    if (element != ELEMENT_OUT && str_empty(result->message)) {
        const char *newline = memchr(text, '\n', size);

        free(result->message);
        result->message = xstrndup(text, newline ? (size_t)(newline - text) : size);
    }
    size = utf8_valid_prefix(text, size < room ? size : room);
    buffer_append(&result->output, text, size);
    if (size > 0)
        buffer_append_string(&result->output, "\n");
}

static void end_element(void *context, const char *name) {
    struct reader *reader = context;
    enum element element;

    (void)name;
    if (reader->code != 0)
        return; /* expat ends an empty element even so */
    element = reader->open[--reader->depth];
    if (is_suite(element))
        end_suite(reader);
    else if (has_text(element))
        take_text(reader, element);
    if (element == ELEMENT_CASE || element == ELEMENT_BAD_SUITE) {
        if (reader->n_suites > 0 && reader->current->status == SUBRESULT_FAIL)
            reader->suites[reader->n_suites - 1].n_shown++;
        reader->current = NULL;
    }
    reader->text.size = 0;
}

static void on_text(void *context, const char *text, int size) {
    struct reader *reader = context;
    enum element element = reader->depth > 0 ? reader->open[reader->depth - 1] : ELEMENT_OTHER;
    size_t room = reader->text.size < TEXT_MAX ? TEXT_MAX - reader->text.size : 0;

    if (has_text(element))
        buffer_append(&reader->text, text, (size_t)size < room ? (size_t)size : room);
}

/* Entities are what a few bytes become gigabytes by, and files of the host part of what is read. */
static void on_entity(void *context, const char *name, int is_parameter, const char *value, int value_length,
                      const char *base, const char *system_id, const char *public_id, const char *notation) {
    (void)name, (void)is_parameter, (void)value, (void)value_length;
    (void)base, (void)system_id, (void)public_id, (void)notation;
    stop(context, -EBADMSG, "it declares entities, which no JUnit file needs");
}

static int parse(struct reader *reader, const char *data, size_t size, struct error **ret_error) {
    enum XML_Status status = XML_STATUS_OK;

    while (status == XML_STATUS_OK && size > INT_MAX / 2) {
        status = XML_Parse(reader->parser, data, INT_MAX / 2, XML_FALSE);
        data += INT_MAX / 2;
        size -= INT_MAX / 2;
    }
    if (status == XML_STATUS_OK)
        status = XML_Parse(reader->parser, data, (int)size, XML_TRUE);
    if (status == XML_STATUS_OK)
        return 0;
    return error_new(ret_error, reader->code ? reader->code : EBADMSG, "line %lu: %s",
                     (unsigned long)XML_GetCurrentLineNumber(reader->parser),
                     reader->code ? reader->why : XML_ErrorString(XML_GetErrorCode(reader->parser)));
}

static void give_result(const struct result *result, subresult_fn *give, void *context) {
    give(context, &(struct run_subresult){
                      .name = result->name,
                      .status = result->status,
                      .message = result->message,
                      .output = result->output.data ? result->output.data : "",
                      .nsec = result->nsec,
                  });
}

static void reader_deinit(struct reader *reader) {
    for (size_t i = 0; i < reader->n_results; i++) {
        free(reader->results[i].name);
        free(reader->results[i].message);
        buffer_deinit(&reader->results[i].output);
    }
    for (size_t i = 0; i < reader->n_suites; i++)
        free(reader->suites[i].name);
    free(reader->results);
    buffer_deinit(&reader->text);
    XML_ParserFree(reader->parser);
    free(reader);
}

int junit_read(const void *data, size_t size, subresult_fn *give, void *context, struct error **ret_error) {
    struct reader *reader = xcalloc(1, sizeof(*reader));
    int r;

    reader->parser = XML_ParserCreate(NULL);
    if (!reader->parser)
        abort(); /* as wherever there is no memory */
    XML_SetUserData(reader->parser, reader);
    XML_SetElementHandler(reader->parser, begin_element, end_element);
    XML_SetCharacterDataHandler(reader->parser, on_text);
    XML_SetEntityDeclHandler(reader->parser, on_entity);
    r = parse(reader, data, size, ret_error);
    if (r == 0 && reader->n_results == 0)
        r = error_new(ret_error, ENOENT, "it holds no test case");
    for (size_t i = 0; r == 0 && i < reader->n_results; i++)
        give_result(&reader->results[i], give, context);
    reader_deinit(reader);
    return r;
}
