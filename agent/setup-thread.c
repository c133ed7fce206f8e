/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread for the part of a set-up that another processor can do while the first one mounts the root: the settings,
 * the file systems of the modules, and a first start of the shell, after which an emulated processor has translated
 * most of the code that the command's start runs through, and the guest has read the files. The thread exists before a
 * machine may be frozen, so that its clones need not make it; it has a root directory of its own (unshare(2),
 * CLONE_FS).
 */
#include "agent/setup-thread.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include "agent/command-start.h"

static bool running;
enum step { PREPARED, BEGUN, APPLIED, DONE, ROOT_READY, N_STEPS };
static sem_t steps[N_STEPS];
static bool has_own_root;
static int null = -1;
static struct settings *settings;
static const struct mount_entry *modules;
static char **shell_environment;
static int root_fd = -1;

static void step_post(enum step step) {
    (void)sem_post(&steps[step]);
}

/* A step that is done stays done: it can be waited for again. */
static void step_wait(enum step step) {
    while (sem_wait(&steps[step]) < 0)
        ;
    step_post(step);
}

static void stage_modules(void) {
    if (modules)
        mounts_stage_modules(modules);
}

/*
 * Starts the shell with nothing to do, before the pseudo file systems are there. Its exit status does not matter;
 * serve.c reaps it.
 */
static void start_shell(void) {
    char *argv[] = {NULL, NULL, (char *)"-c", (char *)":", NULL};
    char **shell;
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none;
    pid_t pid;

    if (fchdir(root_fd) < 0 || chroot(".") < 0)
        return;
    shell = command_prepend_shell(&argv[2]);
    if (!shell)
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
    (void)posix_spawn(&pid, shell[0], &files, &attributes, shell, shell_environment);
}

static void *thread_main(void *unused) {
    (void)unused;
    has_own_root = unshare(CLONE_FS) == 0;
    step_post(PREPARED);
    if (!has_own_root)
        return NULL;
    step_wait(BEGUN);
    settings_apply(settings);
    step_post(APPLIED);
    stage_modules();
    step_post(DONE);
    step_wait(ROOT_READY);
    if (root_fd >= 0 && null >= 0 && shell_environment[0])
        start_shell();
    return NULL;
}

void setup_thread_start(void) {
    pthread_t thread;

    if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
        return;
    for (size_t i = 0; i < N_STEPS; i++) {
        if (sem_init(&steps[i], 0, 0) < 0)
            return;
    }
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (pthread_create(&thread, NULL, thread_main, NULL) != 0)
        return;
    (void)pthread_detach(thread);
    step_wait(PREPARED);
    running = has_own_root;
}

void setup_thread_begin(struct settings *new_settings, const struct mount_entry *new_modules, char **environment) {
    settings = new_settings;
    modules = new_modules;
    shell_environment = environment;
    if (running) {
        step_post(BEGUN);
        return;
    }
    settings_apply(settings);
    stage_modules();
}

void setup_thread_wait_applied(void) {
    if (running)
        step_wait(APPLIED);
}

void setup_thread_root_ready(int fd) {
    root_fd = fd;
    if (running)
        step_post(ROOT_READY);
}

void setup_thread_wait(void) {
    if (running)
        step_wait(DONE);
}
