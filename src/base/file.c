/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/log.h"

/* A user's own file beside a report is not called so. */
#define NEW_SUFFIX ".vmtest-new"
#define NEW_UNIQUE "XXXXXX" /* what mkostemps() makes a name of */

int file_read(const char *path, size_t limit, struct buffer *ret_content, struct error **ret_error) {
    _cleanup_buffer_ struct buffer content = {0};
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return error_errno(ret_error, errno, "%s", path);
    for (;;) {
        ssize_t got = read(fd, buffer_reserve(&content, 65536), 65536);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_errno(ret_error, errno, "%s", path);
        if (got == 0)
            break;
        content.size += (size_t)got;
        if (content.size > limit)
            return error_new(ret_error, EFBIG, "%s: larger than %zu bytes", path, limit);
    }
    buffer_append(ret_content, content.data ? content.data : "", content.size);
    return 0;
}

/* A new file beside `path`, locked as long as it is open. */
static int open_new(const char *path, mode_t mode, char **ret_name) {
    mode_t mask = umask(0);
    struct stat status;

    (void)umask(mask);
    for (unsigned tries = 0; tries < 16; tries++) {
        _cleanup_free_ char *name = xasprintf("%s." NEW_UNIQUE NEW_SUFFIX, path);
        _cleanup_close_ int fd = mkostemps(name, (int)strlen(NEW_SUFFIX), O_CLOEXEC);

        if (fd < 0)
            return -errno;
        (void)flock(fd, LOCK_EX); /* where there are no locks, nothing is swept */
        if (fstat(fd, &status) < 0 || status.st_nlink == 0)
            continue; /* a sweep came first */
        (void)fchmod(fd, mode & ~mask);
        *ret_name = TAKE_PTR(name);
        return TAKE_FD(fd);
    }
    return -EBUSY;
}

/* A file for reading, -1 where there is none: a guest may have made anything in a directory that it shares. */
static int open_file(int directory, const char *name) {
    _cleanup_close_ int found = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    _cleanup_free_ char *path = xasprintf("/proc/self/fd/%d", found);
    struct stat status;

    if (found < 0 || fstat(found, &status) < 0 || !S_ISREG(status.st_mode))
        return -1;
    return open(path, O_RDONLY | O_CLOEXEC);
}

/* Whether a name is that of a file which is being written: of any, or of the one that is called `of`. */
static bool is_new(const char *name, const char *of) {
    const char *rest = of ? str_skip_prefix(name, of) : NULL;

    if (of && (!rest || strlen(rest) != strlen("." NEW_UNIQUE NEW_SUFFIX) || *rest != '.'))
        return false;
    return str_has_suffix(name, NEW_SUFFIX);
}

/* Removes what nobody is writing any more. */
static void sweep_temporary_files(const char *directory, const char *of) {
    _cleanup_closedir_ DIR *entries = opendir(directory);
    const struct dirent *entry;

    while (entries && (entry = readdir(entries)) != NULL) {
        _cleanup_close_ int fd = -1;

        if (!is_new(entry->d_name, of))
            continue;
        fd = open_file(dirfd(entries), entry->d_name);
        if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
            continue;
        log_debug("sweeping %s/%s", directory, entry->d_name);
        (void)unlinkat(dirfd(entries), entry->d_name, 0);
    }
}

void file_sweep(const char *directory) {
    sweep_temporary_files(directory, NULL);
}

/* What earlier writers of the file have left when they were killed. */
static void sweep_beside(const char *path) {
    _cleanup_free_ char *directory = path_parent(path);

    sweep_temporary_files(directory, path_basename(path));
}

int file_write_atomically(const char *path, const void *data, size_t size, mode_t mode, struct error **ret_error) {
    _cleanup_free_ char *temporary = NULL;
    _cleanup_close_ int fd = -1;
    int r;

    sweep_beside(path);
    fd = open_new(path, mode, &temporary);
    if (fd < 0)
        return error_errno(ret_error, fd, "%s", path);
    r = fd_write_all(fd, data, size);
    if (r == 0 && fsync(fd) < 0)
        r = -errno;
    if (r == 0 && rename(temporary, path) < 0)
        r = -errno;
    if (r < 0 && temporary)
        (void)unlink(temporary);
    return r < 0 ? error_errno(ret_error, r, "%s", path) : 0;
}

int fd_write_all(int fd, const void *data, size_t size) {
    const char *bytes = data;

    while (size > 0) {
        ssize_t written = write(fd, bytes, size);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -errno;
        bytes += written;
        size -= (size_t)written;
    }
    return 0;
}

#define SPARSE_PIECE 65536u

/* Fills the buffer unless the stream ends; how much came, or a negative errno. */
static ssize_t read_full(int fd, char *data, size_t size) {
    size_t filled = 0;

    while (filled < size) {
        ssize_t got = read(fd, data + filled, size - filled);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        filled += (size_t)got;
    }
    return (ssize_t)filled;
}

int fd_copy_sparse(int from, int to) {
    static const char zero[SPARSE_PIECE];
    _cleanup_free_ char *data = xmalloc(SPARSE_PIECE);
    off_t end = lseek(to, 0, SEEK_CUR);
    ssize_t got;

    if (end < 0)
        return -errno;
    while ((got = read_full(from, data, SPARSE_PIECE)) > 0) {
        int r = 0;

        if (memcmp(data, zero, (size_t)got) != 0)
            r = fd_write_all(to, data, (size_t)got);
        else if (lseek(to, got, SEEK_CUR) < 0)
            r = -errno;
        if (r < 0)
            return r;
        end += got;
    }
    if (got < 0)
        return (int)got;
    return ftruncate(to, end) < 0 ? -errno : 0;
}

int fd_from_memory(const char *name, const void *data, size_t size, int *ret_fd, struct error **ret_error) {
    _cleanup_close_ int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int r;

    if (fd < 0)
        return error_errno(ret_error, errno, "cannot create the memory file '%s'", name);
    r = fd_write_all(fd, data, size);
    if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
        r = -errno;
    if (r < 0)
        return error_errno(ret_error, r, "cannot fill the memory file '%s'", name);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int fd_set_nonblocking(int fd) {
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    return 0;
}

int fd_socket_pair(int *ret_ours, int *ret_theirs, struct error **ret_error) {
    int pair[2];
    int r;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return error_errno(ret_error, errno, "socketpair");
    r = fd_set_nonblocking(pair[0]);
    if (r < 0) {
        (void)close(pair[0]);
        (void)close(pair[1]);
        return error_errno(ret_error, r, "socketpair");
    }
    *ret_ours = pair[0];
    *ret_theirs = pair[1];
    return 0;
}

int fd_close(int fd) {
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

bool path_is_directory(const char *path) {
    struct stat status;

    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

bool path_exists(const char *path) {
    return access(path, F_OK) == 0;
}

char *path_resolve(const char *directory, const char *path) {
    if (path[0] == '/')
        return xstrdup(path);
    if (str_has_suffix(directory, "/"))
        return xasprintf("%s%s", directory, path);
    return xasprintf("%s/%s", directory, path);
}

char *path_parent(const char *path) {
    const char *slash = strrchr(path, '/');

    if (!slash)
        return xstrdup(".");
    while (slash > path && slash[-1] == '/')
        slash--;
    if (slash == path)
        return xstrdup("/");
    return xstrndup(path, (size_t)(slash - path));
}

const char *path_basename(const char *path) {
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

bool path_is_below(const char *path, const char *directory) {
    size_t length = strlen(directory);

    if (length > 0 && directory[length - 1] == '/')
        length--;
    return strncmp(path, directory, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

int path_make_directories(const char *path, mode_t mode, struct error **ret_error) {
    _cleanup_free_ char *copy = xstrdup(path);

    for (char *slash = copy + 1; *copy; slash++) {
        char saved = *slash;

        if (saved != '/' && saved != '\0')
            continue;
        *slash = '\0';
        if (mkdir(copy, mode) < 0 && errno != EEXIST && !path_is_directory(copy))
            return error_errno(ret_error, errno, "%s", copy);
        *slash = saved;
        if (saved == '\0')
            break;
    }
    if (!path_is_directory(path))
        return error_errno(ret_error, ENOTDIR, "%s", path);
    return 0;
}

char *path_cache_directory(void) {
    const char *directory = getenv("VMTEST_CACHE_DIR");

    if (!str_empty(directory))
        return xstrdup(directory);
    directory = getenv("XDG_CACHE_HOME");
    if (!str_empty(directory) && directory[0] == '/')
        return xasprintf("%s/vmtest", directory);
    directory = getenv("HOME");
    if (!str_empty(directory))
        return xasprintf("%s/.cache/vmtest", directory);
    return NULL;
}

char *path_state(const char *name) {
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");

    if (state && state[0] == '/')
        return xasprintf("%s/vmtest/%s", state, name);
    return str_empty(home) ? NULL : xasprintf("%s/.local/state/vmtest/%s", home, name);
}
