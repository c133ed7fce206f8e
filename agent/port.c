/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's virtio-serial port. It appears some time after its driver was loaded: uevents tell, asked for before it
 * is looked for, so that none is missed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

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
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    size = read(fd, text, sizeof(text) - 1);
    (void)close(fd);
    if (size <= 0)
        return false;
    text[size] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return strcmp(text, WIRE_PORT_NAME) == 0;
}

static int find_port(void) {
    DIR *directory = opendir("/sys/class/virtio-ports");
    struct dirent *entry;
    int fd = -1;

    if (!directory)
        return -1;
    while (fd < 0 && (entry = readdir(directory))) {
        char path[512];

        if (!is_our_port(entry->d_name))
            continue;
        (void)snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
        fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    }
    (void)closedir(directory);
    return fd;
}

static void drain_uevents(void) {
    char buffer[8192];

    while (recv(uevents, buffer, sizeof(buffer), 0) > 0)
        ;
}

/*
 * Right after it has appeared, a port may not know yet that the host has its end open, and reads as if that were
 * closed. The wait queue is woken when it learns; edge-triggered, since POLLHUP would be there all the time.
 */
static int wait_for_host(int fd, struct failure *failure) {
    struct epoll_event interest = {.events = EPOLLIN | EPOLLOUT | EPOLLET};
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &interest) < 0)
        return fail(failure, "waiting for the host: %s", strerror(errno));
    for (;;) {
        struct pollfd port = {.fd = fd, .events = POLLOUT};
        struct epoll_event event;

        if (poll(&port, 1, 0) >= 0 && !(port.revents & POLLHUP))
            break;
        (void)epoll_wait(epoll, &event, 1, -1);
    }
    (void)close(epoll);
    return 0;
}

static long long now_msec(void) {
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int port_open(int patience_msec, struct failure *failure) {
    long long deadline = now_msec() + patience_msec;

    if (uevents < 0)
        port_listen();
    for (;;) {
        struct pollfd event = {.fd = uevents, .events = POLLIN};
        int left = -1;
        int fd;

        drain_uevents();
        fd = find_port();
        if (fd >= 0) {
            (void)close(uevents);
            uevents = -1;
            return wait_for_host(fd, failure) < 0 ? -1 : fd;
        }
        if (patience_msec >= 0)
            left = deadline > now_msec() ? (int)(deadline - now_msec()) : 0;
        if (uevents < 0 || left == 0 || (poll(&event, 1, left) < 0 && errno != EINTR))
            return fail(failure, "there is no port " WIRE_PORT_NAME);
    }
}
