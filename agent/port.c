/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's virtio-serial port. It appears some time after its driver was loaded. Uevents announce it: the socket
 * that receives them is opened before the port is looked for, so that none is missed.
 */
#include "agent/port.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/frame.h"

static int uevents = -1;

void port_listen(void) {
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = 1};

    uevents = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
    if (uevents < 0 || bind(uevents, (struct sockaddr *)&address, sizeof(address)) < 0)
        log_line("listening for uevents: %s", strerror(errno));
}

static bool is_our_port(const char *name) {
    char path[512];
    char text[128];
    ssize_t size;

    (void)snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", name);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    size = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (size <= 0)
        return false;
    text[size] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return strcmp(text, WIRE_PORT_NAME) == 0;
}

static int find_port(void) {
    _cleanup_closedir_ DIR *directory = opendir("/sys/class/virtio-ports");
    struct dirent *entry;
    int fd = -1;

    while (directory && fd < 0 && (entry = readdir(directory))) {
        char path[512];

        if (!is_our_port(entry->d_name))
            continue;
        (void)snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
        fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    }
    return fd;
}

static void drain_uevents(void) {
    char buffer[8192];

    while (recv(uevents, buffer, sizeof(buffer), 0) > 0)
        ;
}

/*
 * Right after it has appeared, a port may not know yet that the host has its end open, and reads as if that were
 * closed. Its wait queue is woken when it learns. Edge-triggered, since POLLHUP stays set until then.
 */
static int wait_for_host(int fd, struct failure *failure) {
    struct epoll_event interest = {.events = EPOLLIN | EPOLLOUT | EPOLLET};
    _cleanup_close_ int epoll = epoll_create1(EPOLL_CLOEXEC);

    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &interest) < 0)
        return failure_set(failure, "waiting for the host: %s", strerror(errno));
    for (;;) {
        struct pollfd port = {.fd = fd, .events = POLLOUT};
        struct epoll_event event;

        if (poll(&port, 1, 0) >= 0 && !(port.revents & POLLHUP))
            return 0;
        (void)epoll_wait(epoll, &event, 1, -1);
    }
}

int port_open(deadline_t deadline, struct failure *failure) {
    if (uevents < 0)
        port_listen();
    for (;;) {
        struct pollfd event = {.fd = uevents, .events = POLLIN};
        int timeout = deadline_poll_timeout(deadline);
        int fd;

        drain_uevents();
        fd = find_port();
        if (fd >= 0) {
            (void)close(uevents);
            uevents = -1;
            return wait_for_host(fd, failure) < 0 ? -1 : fd;
        }
        if (uevents < 0 || timeout == 0 || (poll(&event, 1, timeout) < 0 && errno != EINTR))
            return failure_set(failure, "there is no port " WIRE_PORT_NAME);
    }
}
