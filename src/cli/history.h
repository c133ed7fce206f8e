/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What came of each target of a configuration the last time: its verdict, for --failed, and its duration, for the order
 * in which targets start. One small file for each configuration, $XDG_STATE_HOME/vmtest/history/HASH.json (without that
 * variable, ~/.local/state), HASH being that of the configuration's absolute path. A file that cannot be read is none.
 *
 * It never says of a target that it passed when its last run did not: a run writes first that its targets have not
 * passed, and what came of them at its end, so that whatever ends vmtest in between leaves them as not passed.
 */
#ifndef VMTEST_CLI_HISTORY_H
#define VMTEST_CLI_HISTORY_H

#include "config/config.h"
#include "event/event.h"

struct history;

struct history_entry {
    bool passed;
    uint64_t nsec; /* from its start to its verdict, further attempts included */
};

/* Where the history of a configuration stands. Caller frees; NULL: there is no place for it, or it is a one-liner. */
char *history_path(const struct config *config);

/* Pure. `text` is the file's; what is no history gives one that knows nothing. */
struct history *history_parse(const char *text, size_t size);
/* `path` may be NULL. */
struct history *history_load(const char *path);
void history_free(struct history *history);
DEFINE_CLEANUP(cleanup_history, struct history *, history_free)
#define _cleanup_history_ _cleanup_(cleanup_history)

/* Whether it knows of any target. */
bool history_is_empty(const struct history *history);
bool history_find(const struct history *history, const char *target, struct history_entry *ret_entry) _must_check_;

/* Notes a verdict. `now`: seconds since 1970. */
void history_note(struct history *history, const char *target, enum verdict verdict, uint64_t nsec, int64_t now);
/* Notes that a run of it has begun, or came to no verdict: it did not pass. Its time stays as it was. */
void history_note_unfinished(struct history *history, const char *target, int64_t now);
/* The file's text, without what was noted before `oldest`. Caller frees. */
char *history_format(const struct history *history, int64_t oldest);

/*
 * Keeps the targets that did not pass the last time; one that nothing is known of did not. -ENOENT when nothing is
 * known of any. None may be left.
 */
int history_keep_failed(const struct history *history, struct config *config, struct error **ret_error) _must_check_;

/*
 * Writes to the file at `path` that none of the plan's targets has passed, before any of them starts. Where that cannot
 * be, the file is removed, so that nothing is known of them; an error says that it says still what it said before.
 */
int history_begin(const char *path, const struct run_plan *plan, struct error **ret_error) _must_check_;

/*
 * A sink that writes what came of the plan's targets to the file at `path`, which it copies. The plan is the caller's
 * and outlives it. An attempt that failed counts where the one behind it came to no verdict.
 */
struct sink *sink_history_new(const char *path, const struct run_plan *plan);

#endif
