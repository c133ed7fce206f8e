/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stack of levels, one for each indent: a test's own line takes what stands deeper for its subtests. The kernel's
 * selftests put "# " in front of the output of a test, TAP as well, which is read as one level more.
 */
#include "testresults/tap-reader.h"

#include "base/str.h"
#include "testresults/tap-document.h"
#include "testresults/tap-line.h"

#define DEPTH_MAX 16u
#define LINE_MAX_BYTES ((size_t)8 << 10)
#define TEXT_MAX ((size_t)4 << 10) /* of what is said of a test */
#define NAME_MAX_BYTES 2048
#define HASH_INDENT 2u
#define NO_PLAN "no plan (1..N) came with the tests: some may be missing"
#define NO_PARENT "subtests came without the line of their test: some tests may be missing"

struct result {
    char *name;
    enum subresult_status status;
    char *message;
    struct buffer output;
    uint64_t nsec;
};

struct level {
    unsigned indent;
    struct tap_document document;
    char *problem; /* of the documents before this one, or NULL */
    struct result **results;
    size_t n_results;
    size_t n_failed;
};

struct tap {
    subresult_fn *give;
    void *context;
    struct level levels[DEPTH_MAX]; /* the first is always there */
    size_t n_levels;
    size_t n_results; /* of all, and of those given */
    bool hashed;      /* a test's output, each line behind "# ", holds TAP */
    bool kernel;      /* what is said of a test stands in front of its line, not behind it */
    struct buffer said;
    struct result *last; /* of the last line that was a test's, or NULL */
    unsigned last_indent;
    bool in_yaml;
    unsigned yaml_indent;
    bool message_follows; /* "message: |": its first line is one of the next */
    struct buffer line;
    bool found;   /* anything of TAP */
    bool awaited; /* the line of a test that "# Subtest:" has named has not come yet */
    unsigned awaited_indent;
    bool ended;
    char *failure;
};

struct tap *tap_new(subresult_fn *give, void *context) {
    struct tap *tap = xcalloc(1, sizeof(*tap));

    tap->give = give;
    tap->context = context;
    tap->n_levels = 1;
    return tap;
}

static void result_free(struct result *result) {
    free(result->name);
    free(result->message);
    buffer_deinit(&result->output);
    free(result);
}

static void level_clear(struct level *level) {
    for (size_t i = 0; i < level->n_results; i++)
        result_free(level->results[i]);
    free(level->results);
    free(level->problem);
    tap_document_clear(&level->document);
    *level = (struct level){.indent = level->indent};
}

void tap_free(struct tap *tap) {
    if (!tap)
        return;
    for (size_t i = 0; i < tap->n_levels; i++)
        level_clear(&tap->levels[i]);
    buffer_deinit(&tap->said);
    buffer_deinit(&tap->line);
    free(tap->failure);
    free(tap);
}

/* The first one counts. */
static void set_failure(struct tap *tap, char *text) {
    if (tap->failure)
        free(text);
    else
        tap->failure = text;
}

/* Text of the guest's as a string: without NULs, and without the backslashes that TAP 14 puts before "#" and "\". */
static char *to_string(struct tap_text text) {
    char *string = xstrndup(text.size > 0 ? text.start : "", text.size);
    size_t n = 0;

    for (size_t i = 0; i < text.size && n < NAME_MAX_BYTES / 2; i++) {
        if (text.start[i] == '\\' && i + 1 < text.size && (text.start[i + 1] == '#' || text.start[i + 1] == '\\'))
            i++;
        string[n++] = text.start[i];
    }
    string[n] = '\0';
    return string;
}

static void add_said(struct buffer *said, struct tap_text text) {
    size_t room = said->size < TEXT_MAX ? TEXT_MAX - said->size : 0;

    if (room == 0)
        return;
    buffer_append(said, text.start, text.size < room ? text.size : room);
    buffer_append_string(said, "\n");
}

static void level_add(struct level *level, struct result *result) {
    if ((level->n_results & (level->n_results + 1)) == 0) /* room for 2^n - 1 of them is used up */
        level->results = xreallocarray(level->results, 2 * level->n_results + 1, sizeof(struct result *));
    level->results[level->n_results++] = result;
    level->n_failed += result->status == SUBRESULT_FAIL;
}

/* A new result of the level; NULL where there are too many. */
static struct result *add_result(struct tap *tap, struct level *level, char *name, enum subresult_status status,
                                 char *message) {
    struct result *result;

    if (tap->n_results == SUBRESULTS_MAX) {
        if (status == SUBRESULT_FAIL)
            set_failure(tap, xasprintf("a test behind the first %u failed: %s", SUBRESULTS_MAX, name));
        free(name);
        free(message);
        return NULL;
    }
    tap->n_results++;
    result = xcalloc(1, sizeof(*result));
    *result = (struct result){.name = name, .status = status, .message = message};
    level_add(level, result);
    return result;
}

static void give_all(struct tap *tap, struct level *level) {
    for (size_t i = 0; i < level->n_results; i++) {
        struct result *result = level->results[i];
        const struct run_subresult given = {
            .name = result->name,
            .status = result->status,
            .message = result->message ? result->message : "",
            .output = result->output.data ? result->output.data : "",
            .nsec = result->nsec,
        };

        tap->give(tap->context, &given);
        result_free(result);
    }
    tap->last = NULL;
    level->n_results = 0;
    level->n_failed = 0;
    free(level->results);
    level->results = NULL;
}

/* What is wrong of a level as a whole, or NULL. Caller frees. */
static char *level_problem(const struct level *level) {
    return level->problem ? xstrdup(level->problem) : tap_document_problem(&level->document);
}

/* Whether anything of TAP stood there, whatever has become of it. */
static bool level_is_used(const struct level *level) {
    return level->document.seen > 0 || level->document.planned || level->document.begun || level->problem ||
           level->n_results > 0;
}

/* Moves the results of a level below another one's, with `name` in front unless that is NULL. */
static void adopt(struct level *from, struct level *to, const char *name, bool expected) {
    for (size_t i = 0; i < from->n_results; i++) {
        struct result *result = from->results[i];

        if (name && strlen(result->name) + strlen(name) < NAME_MAX_BYTES) {
            char *whole = xasprintf("%s / %s", name, result->name);

            free(result->name);
            result->name = whole;
        }
        if (expected && result->status == SUBRESULT_FAIL)
            result->status = SUBRESULT_TODO;
        level_add(to, result);
    }
    from->n_results = 0;
    level_clear(from);
}

/* A plan of none. */
static void add_skipped_all(struct tap *tap, struct level *level) {
    const char *reason = level->document.skip_reason;

    (void)add_result(tap, level, xstrdup("all tests"), SUBRESULT_SKIP, xstrdup(reason ? reason : ""));
}

/* Ends a document of a level, whose results stay: what is wrong of it is wrong of the level. */
static void next_document(struct tap *tap, struct level *level) {
    char *problem = tap_document_problem(&level->document);

    if (!problem && tap_document_skips_all(&level->document))
        add_skipped_all(tap, level);
    if (level->problem)
        free(problem);
    else
        level->problem = problem;
    tap_document_clear(&level->document);
}

/*
 * Ends the levels that are deeper than `indent`. They stand in no test's line: their results go to the level above, and
 * what is wrong of them is wrong of the whole.
 */
static void end_orphans(struct tap *tap, unsigned indent) {
    while (tap->n_levels > 1 && tap->levels[tap->n_levels - 1].indent > indent) {
        struct level *level = &tap->levels[--tap->n_levels];
        struct level *above = &tap->levels[tap->n_levels - 1];
        const struct tap_document *document = &level->document;
        char *problem = level_problem(level);

        if (problem)
            set_failure(tap, problem);
        else if (document->seen > 0 && !document->planned && tap->n_levels == 1 && above->document.seen == 0 &&
                 !above->document.planned)
            set_failure(tap, xstrdup(NO_PLAN));
        else if (tap_document_skips_all(document))
            add_skipped_all(tap, level);
        if (tap->n_levels == 1 && tap->awaited)
            set_failure(tap, xstrdup(NO_PARENT));
        else if (tap->n_levels > 1 && (document->seen > 0 || document->planned))
            above->document.begun = false; /* these are what came behind it */
        adopt(level, above, NULL, false);
    }
}

/* The level of that indent, the topmost one then. */
static struct level *enter_level(struct tap *tap, unsigned indent) {
    if (tap->levels[tap->n_levels - 1].indent < indent && tap->n_levels < DEPTH_MAX)
        tap->levels[tap->n_levels++] = (struct level){.indent = indent};
    return &tap->levels[tap->n_levels - 1];
}

/* Ends a document: a stream may hold one behind the other. */
static void end_document(struct tap *tap) {
    struct level *level = &tap->levels[0];
    char *problem;

    end_orphans(tap, 0);
    problem = level_problem(level);
    if (problem)
        set_failure(tap, problem);
    else if (level->document.seen > 0 && !level->document.planned)
        set_failure(tap, xstrdup(NO_PLAN));
    else if (tap_document_skips_all(&level->document))
        add_skipped_all(tap, level);
    give_all(tap, level);
    level_clear(level);
    tap->last = NULL;
    tap->awaited = false;
    tap->in_yaml = false;
}

/* Another document where one was: of the stream, or of a test's output. */
static void begin_next_document(struct tap *tap, struct level *level) {
    if (tap->n_levels == 1)
        end_document(tap);
    else
        next_document(tap, level);
}

static void on_version(struct tap *tap, const struct tap_line *line) {
    struct level *level;

    tap->kernel = line->kernel;
    end_orphans(tap, line->indent);
    level = enter_level(tap, line->indent);
    if (level_is_used(level))
        begin_next_document(tap, level);
    level->document.begun = true;
}

static void on_plan(struct tap *tap, const struct tap_line *line) {
    struct level *level;

    end_orphans(tap, line->indent);
    level = enter_level(tap, line->indent);
    if (level->document.planned)
        begin_next_document(tap, level);
    tap->last = NULL; /* what is said behind it is said of no test */
    level->document.closed = level->document.seen > 0;
    level->document.planned = true;
    level->document.plan = line->count;
    if (line->count == 0)
        level->document.skip_reason = to_string(line->message);
}

/* What a test's line says by itself. */
static enum subresult_status own_status(const struct tap_line *line) {
    if (line->directive == TAP_SKIP)
        return SUBRESULT_SKIP;
    if (line->ok)
        return SUBRESULT_PASS;
    return line->directive == TAP_TODO ? SUBRESULT_TODO : SUBRESULT_FAIL;
}

/*
 * Takes the levels below a test's line for its subtests. Returns whether there were any; *ret_problem is what was wrong
 * of them as a whole, or NULL.
 */
static bool take_subtests(struct tap *tap, const struct tap_line *line, struct level *below, char **ret_problem) {
    *below = (struct level){0};
    *ret_problem = NULL;
    if (tap->levels[tap->n_levels - 1].indent <= line->indent)
        return false;
    while (tap->n_levels > 1 && tap->levels[tap->n_levels - 2].indent > line->indent)
        end_orphans(tap, tap->levels[tap->n_levels - 2].indent);
    *below = tap->levels[--tap->n_levels];
    *ret_problem = level_problem(below);
    return level_is_used(below);
}

/* A test with subtests is told of where it failed by itself, and where none of them is to be told of. */
static bool counts_itself(const struct level *below, enum subresult_status status, const char *problem) {
    if (below->n_results == 0 || problem)
        return true;
    return status == SUBRESULT_FAIL && below->n_failed == 0;
}

/* A bare "ok" behind the whole document of a test program is `prove -v`'s word for it. */
static bool is_of_prove(const struct tap *tap, const struct tap_line *line) {
    return tap->n_levels == 1 && line->indent == 0 && line->text.size == 2 && line->ok &&
           tap_document_is_complete(&tap->levels[0].document) && !tap->levels[0].document.bare;
}

static void on_test(struct tap *tap, const struct tap_line *line) {
    enum subresult_status status = own_status(line);
    struct level below;
    char *problem;
    bool parent = take_subtests(tap, line, &below, &problem);
    struct level *level = enter_level(tap, line->indent);
    char *name = to_string(line->name);
    char *message = to_string(line->message);

    if (level->document.closed ||
        (tap->n_levels == 1 && line->count == 1 && tap_document_is_complete(&level->document)))
        begin_next_document(tap, level);
    if (tap->n_levels == 1)
        give_all(tap, level);
    level->document.seen++;
    tap_document_note(&level->document, line->count);
    level->document.bare = line->text.size == 2;
    if (name[0] == '\0') {
        free(name);
        name = xasprintf("test %u", level->document.number);
    }
    if (problem && status == SUBRESULT_PASS) {
        status = SUBRESULT_FAIL;
        free(message);
        message = xasprintf("its subtests: %s", problem);
    }
    if (tap_document_skips_all(&below.document) && !problem && below.n_results > 0) {
        add_skipped_all(tap, &below); /* beside what the documents before it told */
    } else if (tap_document_skips_all(&below.document) && !problem && status == SUBRESULT_PASS) {
        status = SUBRESULT_SKIP;
        free(message);
        message = xstrdup(below.document.skip_reason ? below.document.skip_reason : "");
    }
    tap->awaited = tap->awaited && line->indent > tap->awaited_indent;
    tap->last = NULL;
    bool itself = !parent || counts_itself(&below, status, problem);
    adopt(&below, level, name, line->directive == TAP_TODO);
    if (itself)
        tap->last = add_result(tap, level, xstrdup(name), status, xstrdup(message));
    if (tap->last) {
        tap->last->nsec = line->nsec;
        tap->last_indent = line->indent;
        if (tap->kernel && tap->said.size > 0)
            buffer_append(&tap->last->output, tap->said.data, tap->said.size);
    }
    tap->said.size = 0;
    free(name);
    free(message);
    free(problem);
}

static bool begins_with(struct tap_text text, const char *prefix) {
    return text.size >= strlen(prefix) && memcmp(text.start, prefix, strlen(prefix)) == 0;
}

static void on_comment(struct tap *tap, const struct tap_line *line) {
    struct tap_text text = line->text;

    if (text.size > 0 && *text.start == ' ') {
        text.start++;
        text.size--;
    }
    if (begins_with(text, "Subtest:")) { /* its line will tell the name */
        if (!tap->awaited || line->indent < tap->awaited_indent)
            tap->awaited_indent = line->indent;
        tap->awaited = true;
        return;
    }
    if (begins_with(text, "selftests:") || begins_with(text, " RUN  ")) /* kselftest_harness.h's */
        tap->kernel = true;
    if (tap->kernel)
        add_said(&tap->said, text);
    else if (tap->last)
        add_said(&tap->last->output, text);
}

static void on_line(struct tap *tap, const struct tap_line *line) {
    tap->found = tap->found || line->kind == TAP_TEST || line->kind == TAP_PLAN;
    switch (line->kind) {
    case TAP_VERSION:
        on_version(tap, line);
        break;
    case TAP_PLAN:
        on_plan(tap, line);
        break;
    case TAP_TEST:
        if (!is_of_prove(tap, line))
            on_test(tap, line);
        break;
    case TAP_BAIL: {
        _cleanup_free_ char *reason = to_string(line->message);

        free(tap->failure); /* it is why whatever else is wrong */
        tap->failure = xasprintf("the tests bailed out%s%s", reason[0] ? ": " : "", reason);
        break;
    }
    case TAP_YAML:
        tap->in_yaml = tap->last && line->indent > tap->last_indent;
        tap->yaml_indent = line->indent;
        tap->message_follows = false;
        break;
    case TAP_COMMENT:
        on_comment(tap, line);
        break;
    case TAP_OTHER:
    case TAP_YAML_END:
        break;
    }
}

static void set_message(struct result *result, const char *text) {
    size_t length = strlen(text);

    while (length > 0 && strchr(" \"'", text[length - 1]))
        length--;
    free(result->message);
    result->message = xstrndup(text, length);
}

/* "duration_ms: 12.5" and "message: 'why'", as TAP 14 shows them. */
static void take_yaml(struct tap *tap, const struct tap_line *line) {
    static const char duration[] = "duration_ms:";
    static const char message[] = "message:";
    struct result *last = tap->last;
    _cleanup_free_ char *text = to_string(line->text);

    add_said(&last->output, line->text);
    if (strncmp(text, duration, strlen(duration)) == 0 && last->nsec == 0) {
        double msec = strtod(text + strlen(duration), NULL);

        if (msec > 0 && msec < 1e12)
            last->nsec = (uint64_t)(msec * 1e6);
    } else if (tap->message_follows && text[0] != '\0') {
        tap->message_follows = false;
        free(last->message);
        last->message = xstrdup(text);
    } else if (strncmp(text, message, strlen(message)) == 0 && (!last->message || last->message[0] == '\0')) {
        const char *start = text + strlen(message) + strspn(text + strlen(message), " \"'");

        tap->message_follows = (start[0] == '|' || start[0] == '>') && strspn(start, "|>+-123456789") == strlen(start);
        set_message(last, tap->message_follows ? "" : start);
    }
}

/* A line behind "# " where a test's output holds TAP. */
static bool take_hashed(struct tap *tap, const struct tap_line *outer) {
    struct tap_line line;
    struct tap_text text = outer->text;

    if (text.size == 0 || *text.start != ' ')
        return false;
    line = tap_line_parse(text.start + 1, text.size - 1);
    line.indent += outer->indent + HASH_INDENT;
    if (line.kind == TAP_VERSION) {
        tap->hashed = true;
        line.kernel = true; /* by what stands around it */
    }
    if (!tap->hashed || line.kind == TAP_OTHER || line.kind == TAP_YAML || line.kind == TAP_YAML_END)
        return false;
    on_line(tap, &line);
    return true;
}

static void take_line(struct tap *tap, const char *text, size_t size) {
    size_t stamp = tap_line_stamp(text, size);
    struct tap_line line = tap_line_parse(text + stamp, size - stamp);

    if (tap->in_yaml) {
        bool inside = line.text.size == 0 || line.indent >= tap->yaml_indent;

        tap->in_yaml = inside && line.kind != TAP_YAML_END;
        if (tap->in_yaml)
            take_yaml(tap, &line);
        if (inside)
            return;
    }
    if (line.kind == TAP_COMMENT && take_hashed(tap, &line))
        return;
    if (line.kind == TAP_TEST)
        tap->hashed = false;
    on_line(tap, &line);
}

/* Without the carriage return of a terminal. NULs are no text. */
static void end_line(struct tap *tap) {
    struct buffer *line = &tap->line;

    while (line->size > 0 && line->data[line->size - 1] == '\r')
        line->size--;
    for (size_t i = 0; i < line->size; i++) {
        if (line->data[i] == '\0')
            line->data[i] = ' ';
    }
    take_line(tap, line->size > 0 ? line->data : "", line->size);
    line->size = 0;
}

void tap_feed(struct tap *tap, const void *data, size_t size) {
    const char *bytes = data;

    while (size > 0) {
        const char *newline = memchr(bytes, '\n', size);
        size_t length = newline ? (size_t)(newline - bytes) : size;
        size_t room = LINE_MAX_BYTES - tap->line.size;

        buffer_append(&tap->line, bytes, length < room ? length : room);
        if (newline)
            end_line(tap);
        bytes += length + (newline ? 1 : 0);
        size -= length + (newline ? 1 : 0);
    }
}

void tap_end(struct tap *tap) {
    if (tap->ended)
        return;
    tap->ended = true;
    if (tap->line.size > 0)
        end_line(tap);
    if (!tap->found)
        set_failure(tap, xstrdup("the command wrote no test results (TAP)"));
    end_document(tap);
}

const char *tap_failure(const struct tap *tap) {
    return tap->failure;
}
