/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends files that the command leaves behind to the host. A file from an earlier run is left out: the files that match
 * are noted before the command starts, with all by which one that is written to differs, whatever the clock says.
 */
#include "agent/send-files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX 1024u

/* The request of a FETCH frame. */
struct fetch_request {
    uint32_t flags;
    uint64_t limit;
    char parent[2 * PATH_MAX]; /* the files' directory */
    char name[PATH_MAX];       /* their name, or a pattern */
};

static struct stat noted[FILES_MAX];
static size_t n_noted;
static int note_error; /* why the files from before the command are not known; 0: they are */

/* The names that match, in one directory. */
static char names[FILES_MAX][NAME_MAX + 1];
static size_t n_names;

static bool read_request(const struct wire_frame *frame, struct fetch_request *request) {
    static char directory[PATH_MAX];
    static char path[PATH_MAX];
    struct wire_reader reader;
    char *slash;

    wire_reader_init(&reader, frame);
    request->flags = wire_get_u32(&reader);
    request->limit = wire_get_u64(&reader);
    wire_get_string(&reader, directory, sizeof(directory));
    wire_get_string(&reader, path, sizeof(path));
    if (!wire_reader_done(&reader))
        return false;
    if (path[0] == '/')
        (void)snprintf(request->parent, sizeof(request->parent), "%s", path);
    else
        (void)snprintf(request->parent, sizeof(request->parent), "%s/%s", directory[0] ? directory : ".", path);
    slash = strrchr(request->parent, '/');
    (void)snprintf(request->name, sizeof(request->name), "%s", slash + 1);
    slash[slash == request->parent] = '\0'; /* the root keeps its slash */
    return true;
}

static bool is_pattern(const char *name) {
    return strpbrk(name, "*?[") != NULL;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(a, b);
}

static void names_add(const char *name) {
    (void)snprintf(names[n_names++], sizeof(names[0]), "%s", name);
}

/* Adds the names that match. Returns an errno value; E2BIG: there are more than FILES_MAX. */
static int names_scan(int parent, const char *pattern) {
    _cleanup_closedir_ DIR *directory = fdopendir(dup(parent));
    const struct dirent *entry;

    if (!directory)
        return errno;
    for (errno = 0; (entry = readdir(directory)); errno = 0) {
        if (fnmatch(pattern, entry->d_name, FNM_PERIOD) != 0)
            continue;
        if (n_names == FILES_MAX)
            return E2BIG;
        names_add(entry->d_name);
    }
    return errno;
}

/* Fills `names`. Returns the directory, or -1 with errno. */
static int names_list(const struct fetch_request *request) {
    _cleanup_close_ int parent = open(request->parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int problem = 0;

    n_names = 0;
    if (parent < 0)
        return -1;
    if (is_pattern(request->name))
        problem = names_scan(parent, request->name);
    else if (strlen(request->name) > NAME_MAX)
        problem = ENAMETOOLONG;
    else
        names_add(request->name);
    if (problem != 0) {
        errno = problem;
        return -1;
    }
    qsort(names, n_names, sizeof(names[0]), compare_names);
    return TAKE_FD(parent);
}

static bool same_time(const struct timespec *a, const struct timespec *b) {
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool is_noted(const struct stat *status) {
    for (size_t i = 0; i < n_noted; i++) {
        const struct stat *old = &noted[i];

        if (old->st_dev == status->st_dev && old->st_ino == status->st_ino && old->st_size == status->st_size &&
            same_time(&old->st_mtim, &status->st_mtim) && same_time(&old->st_ctim, &status->st_ctim))
            return true;
    }
    return false;
}

static void note_files(const struct fetch_request *request) {
    _cleanup_close_ int parent = names_list(request);

    n_noted = 0;
    note_error = parent < 0 && errno != ENOENT && errno != ENOTDIR ? errno : 0;
    for (size_t i = 0; parent >= 0 && i < n_names; i++) {
        if (fstatat(parent, names[i], &noted[n_noted], 0) == 0 && S_ISREG(noted[n_noted].st_mode))
            n_noted++;
    }
}

static void write_all(int fd, const void *data, size_t size) {
    const char *bytes = data;

    while (size > 0) {
        ssize_t written = write(fd, bytes, size);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            _exit(1);
        bytes += written;
        size -= (size_t)written;
    }
}

static void record_write(int out, uint32_t kind, const void *data, size_t size) {
    unsigned char head[WIRE_HEADER_SIZE];

    /* A record's head has the two numbers of a frame's header the other way round. */
    wire_put_header(head, (uint32_t)size, kind);
    write_all(out, head, sizeof(head));
    write_all(out, data, size);
}

static _Noreturn void records_give_up(int out, const char *format, ...) __attribute__((format(printf, 2, 3)));
static _Noreturn void records_give_up(int out, const char *format, ...) {
    char text[1024];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    record_write(out, WIRE_FETCH_ERROR, text, strlen(text));
    _exit(0);
}

/* One file. Returns how much of the limit is left. */
static uint64_t send_file(int out, const char *name, int fd, uint64_t limit) {
    static char data[WIRE_DATA_MAX];
    ssize_t got;

    record_write(out, WIRE_FETCH_NAME, name, strlen(name));
    while ((got = read(fd, data, sizeof(data))) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            records_give_up(out, "%s: %s", name, strerror(errno));
        if ((uint64_t)got > limit)
            records_give_up(out, "%s: the files are too large", name);
        limit -= (uint64_t)got;
        record_write(out, WIRE_FETCH_DATA, data, (size_t)got);
    }
    return limit;
}

static _Noreturn void send_files(int out, const struct fetch_request *request) {
    uint64_t limit = request->limit;
    int parent = names_list(request);
    size_t n_sent = 0;
    size_t n_old = 0;

    if (note_error == E2BIG)
        records_give_up(out, "%s/%s: more than %u files matched before the command started", request->parent,
                        request->name, FILES_MAX);
    if (note_error != 0)
        records_give_up(out, "%s/%s: could not be looked at before the command started: %s", request->parent,
                        request->name, strerror(note_error));
    if (parent < 0 && errno == E2BIG)
        records_give_up(out, "%s/%s: more than %u files match", request->parent, request->name, FILES_MAX);
    if (parent < 0)
        records_give_up(out, "%s: %s", request->parent, strerror(errno));
    for (size_t i = 0; i < n_names; i++) {
        struct stat status;
        /* O_NONBLOCK: a FIFO that nobody writes to must not be waited for. */
        int fd = openat(parent, names[i], O_RDONLY | O_NONBLOCK | O_CLOEXEC);

        if (fd < 0 || fstat(fd, &status) < 0)
            records_give_up(out, "%s/%s: %s", request->parent, names[i], strerror(errno));
        if (!S_ISREG(status.st_mode))
            records_give_up(out, "%s/%s: not a regular file", request->parent, names[i]);
        if (is_noted(&status)) {
            n_old++;
        } else {
            limit = send_file(out, names[i], fd, limit);
            n_sent++;
        }
        (void)close(fd);
    }
    if (n_sent == 0)
        records_give_up(out,
                        n_old > 0 ? "%s/%s: from before the command, which has not written to it"
                                  : "%s/%s: there is no such file",
                        request->parent, request->name);
    _exit(0);
}

int files_fetch(const struct wire_frame *frame, int *ret_fd, struct failure *failure) {
    static struct fetch_request request;
    int fds[2];
    pid_t child;

    *ret_fd = -1;
    if (!read_request(frame, &request))
        return request.flags & WIRE_FETCH_NOTE ? 0 : failure_set(failure, "a malformed request for files");
    if (request.flags & WIRE_FETCH_NOTE) {
        note_files(&request);
        return 0;
    }
    if (pipe2(fds, O_CLOEXEC) < 0)
        return failure_set(failure, "a pipe: %s", strerror(errno));
    child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)close(fds[0]);
        send_files(fds[1], &request);
    }
    (void)close(fds[1]);
    *ret_fd = fds[0];
    if (child > 0)
        return 0;
    (void)close(fds[0]);
    *ret_fd = -1;
    return failure_set(failure, "a process that reads files: %s", strerror(errno));
}
