/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread for what a set-up can do on another processor while the first one mounts the root: the settings, the file
 * systems of the modules, and a first start of the shell, after which an emulated processor has translated most of
 * what the command's start runs through, and the guest has read the files. The thread exists before a machine may be
 * frozen, so that its clones need not make it; it has a root directory of its own (unshare(2), CLONE_FS).
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <spawn.h>
#include <stddef.h>
#include <unistd.h>

#include "agent.h"

static bool running;
static sem_t prepared, begun, applied, done, root_ready;
static bool has_own_root;
static int null = -1;
static const struct setup *setup;
static int root_fd = -1;

static void stage(void) {
    if (setup->modules)
        mounts_stage_modules(setup->modules);
}

/*
 * Starts the shell with nothing to do, while the pseudo file systems are not there yet. It is nobody's business how it
 * ends; serve.c reaps it.
 */
static void start_shell(void) {
    const char *argv[5] = {0};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none;
    pid_t pid;

    if (fchdir(root_fd) < 0 || chroot(".") < 0 || !spawn_shell(argv, ":"))
        return;
    (void)sigemptyset(&none);
    if (posix_spawn_file_actions_init(&files) != 0 || posix_spawnattr_init(&attributes) != 0)
        return;
    for (int fd = 0; fd < 3; fd++) {
        if (posix_spawn_file_actions_adddup2(&files, null, fd) != 0)
            return;
    }
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK);
    (void)posix_spawn(&pid, argv[0], &files, &attributes, (char *const *)argv, setup->shell_environment);
}

static void *work(void *unused) {
    (void)unused;
    has_own_root = unshare(CLONE_FS) == 0;
    (void)sem_post(&prepared);
    if (!has_own_root)
        return NULL;
    while (sem_wait(&begun) < 0)
        ;
    setup_apply(setup);
    (void)sem_post(&applied);
    stage();
    (void)sem_post(&done);
    while (sem_wait(&root_ready) < 0)
        ;
    if (root_fd >= 0 && null >= 0 && setup->shell_environment[0])
        start_shell();
    return NULL;
}

void beside_start(void) {
    pthread_t thread;

    if (sysconf(_SC_NPROCESSORS_ONLN) < 2 || sem_init(&prepared, 0, 0) < 0 || sem_init(&begun, 0, 0) < 0 ||
        sem_init(&applied, 0, 0) < 0 || sem_init(&done, 0, 0) < 0 || sem_init(&root_ready, 0, 0) < 0)
        return;
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (pthread_create(&thread, NULL, work, NULL) != 0)
        return;
    (void)pthread_detach(thread);
    while (sem_wait(&prepared) < 0)
        ;
    running = has_own_root;
}

void beside_begin(const struct setup *what) {
    setup = what;
    if (running) {
        (void)sem_post(&begun);
        return;
    }
    setup_apply(setup);
    stage();
}

void beside_wait_applied(void) {
    static bool waited;

    while (running && !waited)
        waited = sem_wait(&applied) == 0;
}

void beside_root_ready(int fd) {
    root_fd = fd;
    if (running)
        (void)sem_post(&root_ready);
}

void beside_wait(void) {
    static bool waited;

    while (running && !waited)
        waited = sem_wait(&done) == 0;
}
