/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message is a row of strings, each with its NUL: what was prepared, the release, the directory of the modules and
 * of their index, the digests of the kernel and of the initramfs (maybe empty), the state of the kernel's open file,
 * then a path and its state for each file that went in. It comes with the two descriptors.
 *
 * A state is device, inode, size and both times. A file that was changed within CLOCK_GRAIN before it was looked at may
 * change again without another time: of such a one nothing is handed on.
 */
#include "prepare/kernel-cache.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "base/file.h"
#include "base/log.h"

#define MESSAGE_MAX ((size_t)64 << 10)
#define CLOCK_GRAIN 2 /* seconds: that of the coarsest file systems */
#define N_FDS 2

enum field {
    FIELD_NAME,
    FIELD_RELEASE,
    FIELD_MODULES,
    FIELD_INDEX,
    FIELD_KERNEL_DIGEST,
    FIELD_INITRD_DIGEST,
    FIELD_KERNEL_STATE,
    N_FIELDS,
};

struct kernel_cache *kernel_cache_new(void) {
    struct kernel_cache *kernel_cache = xcalloc(1, sizeof(*kernel_cache));
    int pair[2];

    *kernel_cache = (struct kernel_cache){.read_fd = -1, .write_fd = -1};
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0) {
        kernel_cache->read_fd = pair[0];
        kernel_cache->write_fd = pair[1];
    }
    return kernel_cache;
}

static void item_deinit(struct kernel_cache_item *item) {
    buffer_deinit(&item->text);
    (void)fd_close(item->kernel_fd);
    (void)fd_close(item->initrd_fd);
}

void kernel_cache_free(struct kernel_cache *kernel_cache) {
    if (!kernel_cache)
        return;
    for (size_t i = 0; i < kernel_cache->count; i++)
        item_deinit(&kernel_cache->items[i]);
    (void)fd_close(kernel_cache->read_fd);
    (void)fd_close(kernel_cache->write_fd);
    free(kernel_cache);
}

/* Where the item of this name is, or SIZE_MAX. */
static size_t kernel_cache_find(const struct kernel_cache *kernel_cache, const char *name) {
    for (size_t i = 0; i < kernel_cache->count; i++) {
        if (str_equal(kernel_cache->items[i].text.data, name))
            return i;
    }
    return SIZE_MAX;
}

static void kernel_cache_put(struct kernel_cache *kernel_cache, const struct kernel_cache_item *item) {
    size_t place = kernel_cache_find(kernel_cache, item->text.data);

    if (place == SIZE_MAX && kernel_cache->count < KERNEL_CACHE_MAX) {
        kernel_cache->items[kernel_cache->count++] = *item;
        return;
    }
    if (place == SIZE_MAX)
        place = kernel_cache->oldest++ % KERNEL_CACHE_MAX;
    item_deinit(&kernel_cache->items[place]);
    kernel_cache->items[place] = *item;
}

union control {
    struct cmsghdr header;
    char space[CMSG_SPACE(N_FDS * sizeof(int))];
};

void kernel_cache_receive(struct kernel_cache *kernel_cache) {
    struct kernel_cache_item item = {.kernel_fd = -1, .initrd_fd = -1};
    union control control = {0};
    struct iovec part = {.iov_base = buffer_reserve(&item.text, MESSAGE_MAX), .iov_len = MESSAGE_MAX};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    ssize_t got = recvmsg(kernel_cache->read_fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    const struct cmsghdr *header = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    int fds[N_FDS];

    if (header && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof(fds))) {
        memcpy(fds, CMSG_DATA(header), sizeof(fds));
        item.kernel_fd = fds[0];
        item.initrd_fd = fds[1];
        item.text.size = (size_t)got;
    }
    if (item.initrd_fd < 0 || item.text.data[item.text.size - 1] != '\0' || (message.msg_flags & MSG_TRUNC)) {
        item_deinit(&item);
        return;
    }
    kernel_cache_put(kernel_cache, &item);
}

static char *state_text(const struct stat *status) {
    return xasprintf("%llu %llu %lld %lld.%09ld %lld.%09ld", (unsigned long long)status->st_dev,
                     (unsigned long long)status->st_ino, (long long)status->st_size, (long long)status->st_mtim.tv_sec,
                     status->st_mtim.tv_nsec, (long long)status->st_ctim.tv_sec, status->st_ctim.tv_nsec);
}

static bool is_recent(const struct stat *status) {
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return status->st_ctim.tv_sec + CLOCK_GRAIN >= now.tv_sec || status->st_mtim.tv_sec + CLOCK_GRAIN >= now.tv_sec;
}

/* Of a path that is not there, "": that is a state too. */
static char *state_of(const char *path) {
    struct stat status;

    return stat(path, &status) < 0 ? xstrdup("") : state_text(&status);
}

void kernel_cache_note(struct strv *inputs, const char *path) {
    struct stat status;
    bool found = stat(path, &status) == 0;

    strv_append(inputs, path);
    if (found && is_recent(&status))
        strv_append(inputs, "?"); /* equal to no state */
    else
        strv_append_take(inputs, found ? state_text(&status) : xstrdup(""));
}

/* What of a target its kernel's preparation depends on. Caller frees. */
static char *name_of(const struct target *target) {
    return xasprintf("%s\n%s\n%d\n%d", target->kernel, target->modules ? target->modules : "",
                     target->rootfs_mode == ROOTFS_OVERLAY, (int)target->share_choice);
}

/* The strings of an item. They point into it. */
static size_t strings_split(const struct buffer *text, const char **ret_strings, size_t max) {
    size_t count = 0;

    for (size_t at = 0; at < text->size && count < max; at += strlen(text->data + at) + 1)
        ret_strings[count++] = text->data + at;
    return count;
}

static bool inputs_unchanged(const char *const *strings, size_t count) {
    for (size_t i = N_FIELDS; i + 1 < count; i += 2) {
        _cleanup_free_ char *now = state_of(strings[i]);

        if (!str_equal(now, strings[i + 1]))
            return false;
    }
    return true;
}

static bool file_unchanged(int fd, const char *state) {
    struct stat status;

    if (fstat(fd, &status) < 0)
        return false;
    _cleanup_free_ char *now = state_text(&status);
    return str_equal(now, state);
}

/* Whether the kernel's modules are found where they were; that is all which the search does for a worker. */
static bool find_modules(const struct target *target, const char *const *strings, const char *cache, int cancel_fd,
                         struct modules *ret) {
    const struct kernel kernel = {.path = target->kernel, .release = (char *)(uintptr_t)strings[FIELD_RELEASE]};
    struct modules modules = {0};

    if (modules_find(&kernel, target->modules, cache, cancel_fd, NULL, NULL, &modules, NULL) < 0)
        return false;
    if (!str_equal(modules.directory ? modules.directory : "", strings[FIELD_MODULES]) ||
        !str_equal(modules.index ? modules.index : "", strings[FIELD_INDEX])) {
        modules_deinit(&modules);
        return false;
    }
    *ret = modules;
    return true;
}

static char *digest_or_null(const char *text) {
    return str_empty(text) ? NULL : xstrdup(text);
}

bool kernel_cache_take(const struct kernel_cache *kernel_cache, const struct target *target, const char *cache,
                       struct preparation *preparation) {
    _cleanup_free_ char *name = name_of(target);
    size_t place = kernel_cache ? kernel_cache_find(kernel_cache, name) : SIZE_MAX;

    if (place == SIZE_MAX)
        return false;
    const struct kernel_cache_item *item = &kernel_cache->items[place];
    _cleanup_free_ const char **strings = xcalloc(item->text.size, sizeof(*strings));
    size_t count = strings_split(&item->text, strings, item->text.size);
    if (count < N_FIELDS || !inputs_unchanged(strings, count) ||
        !file_unchanged(item->kernel_fd, strings[FIELD_KERNEL_STATE]) ||
        !find_modules(target, strings, cache, preparation->cancel_fd, &preparation->modules))
        return false;
    preparation->kernel_fd = fcntl(item->kernel_fd, F_DUPFD_CLOEXEC, 0);
    preparation->initrd_fd = fcntl(item->initrd_fd, F_DUPFD_CLOEXEC, 0);
    if (preparation->kernel_fd < 0 || preparation->initrd_fd < 0) {
        preparation->kernel_fd = fd_close(preparation->kernel_fd);
        preparation->initrd_fd = fd_close(preparation->initrd_fd);
        modules_deinit(&preparation->modules);
        return false;
    }
    preparation->release = xstrdup(strings[FIELD_RELEASE]);
    preparation->kernel_digest = digest_or_null(strings[FIELD_KERNEL_DIGEST]);
    preparation->initrd_digest = digest_or_null(strings[FIELD_INITRD_DIGEST]);
    preparation->kernel_taken = true;
    for (size_t i = N_FIELDS; !preparation->kernel_digest && i < count; i++)
        strv_append(&preparation->inputs, strings[i]); /* with its digests it is handed on once more */
    log_debug("the kernel is prepared already: %s", target->kernel);
    return true;
}

static void strings_add(struct buffer *text, const char *string) {
    const char *value = string ? string : "";

    buffer_append(text, value, strlen(value) + 1);
}

/* A file of memory is sealed: what has broken out of its QEMU does not change it for the next one. */
static bool is_unchangeable(int fd) {
    const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

    return (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY || fcntl(fd, F_GET_SEALS) == seals ||
           fcntl(fd, F_ADD_SEALS, seals) == 0;
}

static void send_item(const struct kernel_cache *kernel_cache, const struct buffer *text, int kernel_fd,
                      int initrd_fd) {
    const int fds[N_FDS] = {kernel_fd, initrd_fd};
    union control control = {0};
    struct iovec part = {.iov_base = text->data, .iov_len = text->size};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    *header = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(fds))};
    memcpy(CMSG_DATA(header), fds, sizeof(fds));
    if (sendmsg(kernel_cache->write_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        log_debug("the prepared kernel is not handed on: %s", strerror(errno));
}

void kernel_cache_offer(const struct kernel_cache *kernel_cache, const struct target *target,
                        const struct preparation *preparation) {
    const struct strv *inputs = &preparation->inputs;
    _cleanup_free_ char *name = NULL;
    _cleanup_free_ char *state = NULL;
    _cleanup_buffer_ struct buffer text = {0};
    struct stat status;

    if (!kernel_cache || kernel_cache->write_fd < 0 || inputs->count == 0 || preparation->modules.temporary ||
        (preparation->kernel_taken && !preparation->kernel_digest) || strv_contains(inputs, "?") ||
        fstat(preparation->kernel_fd, &status) < 0)
        return;
    name = name_of(target);
    state = state_text(&status);
    strings_add(&text, name);
    strings_add(&text, preparation->release);
    strings_add(&text, preparation->modules.directory);
    strings_add(&text, preparation->modules.index);
    strings_add(&text, preparation->kernel_digest);
    strings_add(&text, preparation->initrd_digest);
    strings_add(&text, state);
    for (size_t i = 0; i < inputs->count; i++)
        strings_add(&text, inputs->items[i]);
    if (text.size <= MESSAGE_MAX && is_unchangeable(preparation->kernel_fd) && is_unchangeable(preparation->initrd_fd))
        send_item(kernel_cache, &text, preparation->kernel_fd, preparation->initrd_fd);
}
