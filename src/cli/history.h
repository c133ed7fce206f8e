/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What came of each target of a configuration the last time: its verdict, for --failed, and its duration, for the order
 * in which targets start. One small file for each configuration, $XDG_STATE_HOME/vmtest/history/HASH.json (without that
 * variable, ~/.local/state), HASH being that of the configuration's absolute path. Nothing depends on it: a file that
 * cannot be read is none, and one that cannot be written is not.
 */
#ifndef VMTEST_CLI_HISTORY_H
#define VMTEST_CLI_HISTORY_H

#include "config/config.h"
#include "run/event.h"

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
/* The file's text, without what was noted before `oldest`. Caller frees. */
char *history_format(const struct history *history, int64_t oldest);

/*
 * Keeps the targets that did not pass the last time; one that nothing is known of did not. -ENOENT when nothing is
 * known of any. None may be left.
 */
int history_keep_failed(const struct history *history, struct config *config, struct error **ret_error) _must_check_;

/*
 * A sink that adds what ends to the file at `path`, which it copies. What has not ended, because it was cancelled or
 * never started, keeps what the file says of it.
 */
struct sink *sink_history_new(const char *path, const struct run_plan *plan);

#endif
