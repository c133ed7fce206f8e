/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's protocol: frames of a little-endian length, a type and a payload, over one ordered byte stream (the
 * virtio-serial port org.vmtest.agent.0, or a pipe). Compiled into vmtest and into the agent; allocates nothing,
 * knows no descriptor.
 *
 *     u32 length of the payload   u32 type   payload
 *
 * Inside a payload: u32 and u64 little-endian; a string is a u32 length and that many bytes, without a NUL at the end
 * and (when read as a string) without one inside; a list is a u32 count and that many entries.
 *
 * Conversation: the agent says HELLO; the host SETUP; the agent READY (or FAILED with a message); the host EXEC; the
 * agent streams STDOUT and STDERR within the credit that the host has granted, then EXITED. At any time: PING is
 * answered by PONG. The host grants output credit by CREDIT, so that a slow reader on the host slows the writer in the
 * guest while the port itself never blocks.
 */
#ifndef VMTEST_WIRE_FRAME_H
#define VMTEST_WIRE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_PROTOCOL_VERSION 2u
#define WIRE_PORT_NAME "org.vmtest.agent.0"
#define WIRE_HEADER_SIZE 8u
/* The longest payload. Linux usually allows 2 MiB of arguments and environment. */
#define WIRE_PAYLOAD_MAX (4u << 20)
/* Data frames (STDOUT, STDERR, STDIN) carry at most this much. */
#define WIRE_DATA_MAX (64u << 10)
/* Bytes of input that the host sends unasked; more once the agent grants it. */
#define WIRE_INPUT_CREDIT (1u << 20)

/* clang-format off */
/*
 * Agent -> host unless noted.
 *
 * HELLO     u32 protocol version, string kernel release
 * SETUP     (host) u64 wall clock seconds (0: the clock is left alone), u32 nanoseconds, string entropy, string host
 *           name (empty: it is left alone), u32 root mode (enum wire_root), list of mounts: u32 kind (enum wire_mount),
 *           u32 flags (WIRE_MOUNT_*), string file system type, string options (both of a share), string source, string
 *           second source, string guest path; list of strings: drivers that the guest's modprobe is to load before;
 *           list of "NAME=VALUE" strings: when there are any, the shell is started once with them and nothing to do,
 *           to be quick later
 * READY     empty: everything is mounted
 * FAILED    string: why setting up or executing was not possible; one line
 * EXEC      (host) u32 flags (WIRE_EXEC_*), u64 initial output credit in bytes, u32 rows, u32 columns, string
 *           directory, list of argument strings, list of "NAME=VALUE" strings
 * STDOUT, STDERR  bytes; both together within the credit. With WIRE_EXEC_TERMINAL only STDOUT.
 * STDIN     (host) bytes; an empty frame is the end of file
 * CREDIT    (host) u64: so many more bytes of output may be sent. Of the agent: of input, beyond WIRE_INPUT_CREDIT, so
 *           that what a command does not read never stands in the way of a PING
 * WINDOW    (host) u32 rows, u32 columns
 * SIGNAL    (host) u32 signal number for the command's process group
 * EXITED    u32 kind (enum wire_exit), u32 code or signal, u64 user time in us, u64 system time in us, u64 maximum
 *           resident size in KiB; no output follows it
 * PING      (host) u64 cookie
 * PONG      u64 cookie of the PING
 * POWEROFF  (host) empty: sync the file systems, power off
 * SYNC      (host) empty: write everything back to the shares; answered by SYNCED (empty)
 * CLOCK     (host) u64 wall clock seconds, u32 nanoseconds: as in SETUP, once more
 * SETTLE    (host) u32 milliseconds, list of strings: load these drivers, and wait until the system has come up and is
 *           quiet, at most so long; answered by SETTLED (empty). Before SETUP, of an agent in a system of its own.
 * TASKS     (host) empty: the kernel is to show its tasks on its console, all of them, the running and the blocked
 *           ones (SysRq t, l and w); answered by SHOWN (empty), or FAILED
 * FETCH     (host) u32 flags (WIRE_FETCH_*), u64 limit in bytes, string directory, string path: the files of that name,
 *           taken from the directory, are wanted; its last component may be a pattern (fnmatch(3))
 * FETCHED   bytes of what FETCH asked for, a part of a stream of records; an empty frame ends it. A record is a u32 kind
 *           (enum wire_fetch), a u32 size and so many bytes.
 */
/* clang-format on */
enum wire_type {
    WIRE_HELLO = 1,
    WIRE_SETUP,
    WIRE_READY,
    WIRE_FAILED,
    WIRE_EXEC,
    WIRE_STDOUT,
    WIRE_STDERR,
    WIRE_STDIN,
    WIRE_CREDIT,
    WIRE_WINDOW,
    WIRE_SIGNAL,
    WIRE_EXITED,
    WIRE_PING,
    WIRE_PONG,
    WIRE_POWEROFF,
    WIRE_SYNC,
    WIRE_SYNCED,
    WIRE_SETTLE,
    WIRE_SETTLED,
    WIRE_CLOCK,
    WIRE_TASKS,
    WIRE_SHOWN,
    WIRE_FETCH,
    WIRE_FETCHED,
    WIRE_TYPE_END,
};

enum wire_root {
    WIRE_ROOT_OVERLAY, /* the root share read-only underneath, guest memory on top */
    WIRE_ROOT_RO,      /* the root share, read-only */
    WIRE_ROOT_RW,      /* the root share, writable */
    WIRE_ROOT_OWN,     /* the guest has a root of its own: no mount is of kind WIRE_MOUNT_ROOT */
};

enum wire_mount {
    WIRE_MOUNT_ROOT,    /* source: mount tag of the root share; guest path "/"; always the first */
    WIRE_MOUNT_SHARE,   /* source: mount tag of a share */
    WIRE_MOUNT_BIND,    /* source: a directory in the guest */
    WIRE_MOUNT_MODULES, /* source: mount tag of the modules directory; second source: tag of the index to lay over it */
};

#define WIRE_MOUNT_WRITABLE 1u

#define WIRE_EXEC_SHELL 1u    /* the one argument is a script for bash, or for sh where the root has no bash */
#define WIRE_EXEC_TERMINAL 2u /* the command runs on a pseudo terminal of its own */
#define WIRE_EXEC_LOGIN 4u    /* with SHELL and no argument: an interactive shell */
#define WIRE_EXEC_INHERIT 16u /* the environment is the agent's own; the list's strings replace or add to it */
#define WIRE_EXEC_STDIN 8u    /* without TERMINAL: standard input is a pipe, fed by STDIN frames */

/* The agent sends nothing now: it notes the files that are there, to leave them out later if they have not changed. */
#define WIRE_FETCH_NOTE 1u

enum wire_fetch {
    WIRE_FETCH_NAME = 1, /* a file begins: its path */
    WIRE_FETCH_DATA,     /* what follows of its content; at most WIRE_DATA_MAX */
    WIRE_FETCH_ERROR,    /* why not all of it came: one line, and the last record */
};

enum wire_exit {
    WIRE_EXIT_CODE,
    WIRE_EXIT_SIGNAL,
};

/* A frame in somebody else's buffer. */
struct wire_frame {
    uint32_t type;
    const unsigned char *payload;
    size_t size;
};

enum wire_status {
    WIRE_OK,      /* a whole frame was found */
    WIRE_AGAIN,   /* more bytes are needed */
    WIRE_GARBAGE, /* unknown type or a length over WIRE_PAYLOAD_MAX: the stream cannot be trusted from here on */
};

/*
 * Looks for a frame at the start of `size` bytes. On WIRE_OK fills *ret_frame (pointing into `data`) and *ret_used with
 * the bytes that it takes; on WIRE_AGAIN and WIRE_GARBAGE leaves both alone.
 */
enum wire_status wire_parse(const void *data, size_t size, struct wire_frame *ret_frame, size_t *ret_used);

/* Writes the header of a frame; `header` has WIRE_HEADER_SIZE bytes. */
void wire_put_header(unsigned char *header, uint32_t type, size_t payload_size);

/* The protocol's name of a type, "unknown" for none. */
const char *wire_type_name(uint32_t type);

/* Builds a frame in a fixed buffer. After an overflow nothing more is written and `overflow` stays set. */
struct wire_writer {
    unsigned char *data;
    size_t capacity;
    size_t size;
    bool overflow;
};

/* Starts a frame of this type in `data`, leaving room for the header. */
void wire_begin(struct wire_writer *writer, void *data, size_t capacity, uint32_t type);
void wire_put_u32(struct wire_writer *writer, uint32_t value);
void wire_put_u64(struct wire_writer *writer, uint64_t value);
void wire_put_bytes(struct wire_writer *writer, const void *data, size_t size); /* with its length in front */
void wire_put_string(struct wire_writer *writer, const char *string);
/* Completes the header; returns the size of the whole frame, 0 after an overflow or with a payload over the limit. */
size_t wire_end(struct wire_writer *writer);

/* Reads a payload. After the first failure every read gives 0 or empty and `failed` stays set. */
struct wire_reader {
    const unsigned char *data;
    size_t size;
    size_t offset;
    bool failed;
};

void wire_reader_init(struct wire_reader *reader, const struct wire_frame *frame);
uint32_t wire_get_u32(struct wire_reader *reader);
uint64_t wire_get_u64(struct wire_reader *reader);
/* Points into the payload; *ret_size is 0 after a failure. Not NUL-terminated. */
const unsigned char *wire_get_bytes(struct wire_reader *reader, size_t *ret_size);
/*
 * Copies a string into `string` and terminates it. Fails (and stores "") when it does not fit or contains a NUL.
 */
void wire_get_string(struct wire_reader *reader, char *string, size_t capacity);
/* True when everything was read, nothing failed and nothing is left over. */
bool wire_reader_done(const struct wire_reader *reader);

#endif
