/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host side of the agent's protocol (wire/frame.h): composes frames into an outgoing buffer and parses incoming ones.
 * It does no I/O; the worker moves the bytes.
 */
#ifndef VMTEST_GUEST_AGENT_CLIENT_H
#define VMTEST_GUEST_AGENT_CLIENT_H

#include "base/error.h"
#include "base/str.h"
#include "wire/frame.h"

enum agent_state {
    AGENT_SILENT, /* nothing has come yet */
    AGENT_HELLO,  /* it has said hello */
    AGENT_READY,  /* set up */
    AGENT_EXITED, /* the command has ended */
    AGENT_SYNCED, /* and everything it wrote is on the host */
    AGENT_FAILED, /* it could not do what it was asked; `failure` says why */
};

struct agent_client {
    enum agent_state state;
    struct buffer in;
    struct buffer out;
    char *release; /* the guest kernel's, from the hello */
    char *failure;
    bool executing;  /* it has been sent a command */
    bool syncing;    /* it has been asked to write everything back */
    bool signalled;  /* how the command ended: by a signal, or */
    uint32_t status; /* with this code (or signal) */
    uint64_t user_usec, system_usec, max_rss_kib;
    uint64_t unread;     /* input that was sent and that the command has not taken yet, in bytes */
    uint64_t pings;      /* how many have been sent */
    uint64_t pongs;      /* how many have come */
    bool settled;        /* the guest's system has come up and is quiet */
    bool shown;          /* its kernel has shown its tasks on the console */
    bool fetching;       /* the files that agent_client_fetch() asks for have not all come */
    struct buffer files; /* their records (guest/fetched-files.h) */
    uint64_t files_limit;
    bool heard; /* a frame of any type has come since the caller last cleared it */

    /* Called for each piece of output, WIRE_STDOUT or WIRE_STDERR. */
    void (*output)(void *context, enum wire_type type, const void *data, size_t size);
    void *context;
};

struct agent_mount {
    enum wire_mount kind;
    bool writable;
    const char *type;    /* of a share's file system */
    const char *options; /* of a share's mount */
    const char *source;
    const char *second;
    const char *path;
};

struct agent_setup {
    const char *hostname; /* empty: it is left alone */
    bool keep_clock;
    enum wire_root root;
    const struct agent_mount *mounts;
    size_t n_mounts;
    const struct strv *drivers;           /* that the guest loads for the mounts; NULL: none */
    const struct strv *shell_environment; /* for a first start of the shell; NULL: none */
};

struct agent_exec {
    uint32_t flags; /* WIRE_EXEC_* */
    uint64_t credit;
    unsigned rows, columns;
    const char *directory;
    const struct strv *argv;
    char *const *environment; /* NULL-terminated */
};

void agent_client_deinit(struct agent_client *client);
/* Takes bytes from the guest. -EPROTO when they are not frames, or frames out of turn. */
int agent_client_feed(struct agent_client *client, const void *data, size_t size, struct error **ret_error)
    _must_check_;

/* For the guest of a template, whose agent has said hello before. `release` may be NULL. */
void agent_client_resume(struct agent_client *client, const char *release);

/* Each appends a frame to client->out. -E2BIG when it would be longer than the protocol allows. */
int agent_client_setup(struct agent_client *client, const struct agent_setup *setup, struct error **ret_error)
    _must_check_;
int agent_client_exec(struct agent_client *client, const struct agent_exec *exec, struct error **ret_error)
    _must_check_;
void agent_client_credit(struct agent_client *client, uint64_t bytes);
void agent_client_signal(struct agent_client *client, int number);
void agent_client_stdin(struct agent_client *client, const void *data, size_t size);
void agent_client_window(struct agent_client *client, unsigned rows, unsigned columns);
void agent_client_ping(struct agent_client *client, uint64_t cookie);
void agent_client_sync(struct agent_client *client);
/* The host's wall clock of now. */
void agent_client_clock(struct agent_client *client);
void agent_client_settle(struct agent_client *client, uint32_t limit_msec, const struct strv *drivers);
/*
 * Asks for files (FETCH), whose records go to `files`. With `note` none come: the agent remembers the files as they
 * are, to leave them out later if they have not changed.
 */
int agent_client_fetch(struct agent_client *client, const char *directory, const char *path, uint64_t limit, bool note,
                       struct error **ret_error) _must_check_;
/* Has the kernel show its tasks on the console; `shown` is set when it has. */
void agent_client_tasks(struct agent_client *client);

#endif
