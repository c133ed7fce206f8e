/* SPDX-License-Identifier: Apache-2.0 */
/* What QEMU is allowed: the list by its command line, its environment, and what the kernel makes of a list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>

#include "base/file.h"
#include "qemu/confine.h"
#include "qemu/environment.h"

static char top[] = "/tmp/vmtest-test-confine-XXXXXX";

static int setup(void **state) {
    (void)state;
    (void)strcpy(top + strlen(top) - 6, "XXXXXX");
    if (!mkdtemp(top) || chdir(top) < 0)
        return -1;
    return system("mkdir -p ro/sub rw/one rw/two secret && echo text > ro/file && echo text > ro/sub/file && "
                  "echo text > rw/one/file && echo text > secret/file && echo text > disk");
}

static int teardown(void **state) {
    _cleanup_free_ char *command = xasprintf("rm -rf -- %s", top);

    (void)state;
    return chdir("/") < 0 || system(command) != 0;
}

/* The list. */

static const struct confine_rule *find(const struct confine_rules *rules, const char *path) {
    for (size_t i = 0; i < rules->count; i++) {
        if (str_equal(rules->items[i].path, path))
            return &rules->items[i];
    }
    return NULL;
}

static void assert_access(const struct confine_rules *rules, const char *path, enum confine_access access,
                          bool optional) {
    const struct confine_rule *rule = find(rules, path);

    if (!rule)
        fail_msg("there is no rule for %s", path);
    if (rule->access != access || rule->optional != optional)
        fail_msg("%s", path);
}

/* Whether anything in the list leads to the path. */
static bool is_reached(const struct confine_rules *rules, const char *path) {
    for (size_t i = 0; i < rules->count; i++) {
        if (rules->items[i].path && path_is_below(path, rules->items[i].path))
            return true;
    }
    return false;
}

static const struct confine_host plain_host = {
    .program_resolved = "/usr/bin/qemu-system-x86_64", .home = "/home/user", .kernel_fd = -1, .initrd_fd = -1};

static void a_kernel_target_reads_its_root_and_writes_its_share(void **state) {
    const struct share shares[] = {{"root", "/", false}, {"vmtest", "/home/user/project", true}};
    const struct qemu_snapshot snapshot = {.memory_fd = 9, .disk_fd = -1};
    struct confine_host host = plain_host;
    struct qemu_config config = {
        .program = "/usr/bin/qemu-system-x86_64", .shares = shares, .n_shares = 2, .snapshot = &snapshot};
    _cleanup_confine_rules_ struct confine_rules rules = {0};
    unsigned n_fds = 0;

    (void)state;
    host.kernel_fd = 7;
    host.initrd_fd = 8;
    confine_list(&config, &host, &rules);
    assert_access(&rules, "/", CONFINE_READ, false);
    assert_access(&rules, "/home/user/project", CONFINE_WRITE, false);
    assert_access(&rules, "/dev/null", CONFINE_DEVICE, true);
    assert_null(find(&rules, "/dev/kvm"));
    for (size_t i = 0; i < rules.count; i++) {
        const struct confine_rule *rule = &rules.items[i];

        if (rule->access == CONFINE_WRITE && rule->path)
            assert_string_equal(rule->path, "/home/user/project");
        if (!rule->path) {
            assert_int_equal(rule->fd, 7 + (int)n_fds++);
            assert_int_equal(rule->access, rule->fd == 9 ? CONFINE_WRITE : CONFINE_READ);
        }
    }
    assert_int_equal(n_fds, 3);
}

static void an_image_target_reaches_its_disk_and_nothing_else_of_the_users(void **state) {
    _cleanup_strv_ struct strv backing = {0};
    _cleanup_strv_ struct strv parts = {0};
    _cleanup_strv_ struct strv backing_parts = {0};
    struct confine_host host = plain_host;

    (void)state;
    strv_append(&backing, "/home/user/base.qcow2");
    strv_append(&backing_parts, "/home/user/base.raw");
    strv_append(&parts, "/home/user/disk-flat.vmdk");
    host.backing = &backing;
    host.backing_parts = &backing_parts;
    host.parts = &parts;
    for (int persist = 0; persist < 2; persist++) {
        const struct qemu_disk disk = {.path = "/home/user/disk.vmdk", .overlay_fd = persist ? -1 : 5};
        const struct firmware firmware = {.kind = FIRMWARE_SPLIT, .code = (char *)"/home/user/OVMF_CODE.fd"};
        const struct qemu_config config = {
            .program = "/usr/bin/qemu-system-x86_64", .accel = ACCEL_KVM, .disk = &disk, .firmware = &firmware};
        _cleanup_confine_rules_ struct confine_rules rules = {0};

        confine_list(&config, &host, &rules);
        assert_access(&rules, "/home/user/disk.vmdk", persist ? CONFINE_DEVICE : CONFINE_DISK_READ, false);
        assert_access(&rules, "/home/user/disk-flat.vmdk", persist ? CONFINE_DEVICE : CONFINE_DISK_READ, false);
        assert_access(&rules, "/home/user/base.qcow2", CONFINE_DISK_READ, false);
        assert_access(&rules, "/home/user/base.raw", CONFINE_DISK_READ, false);
        assert_access(&rules, "/home/user/OVMF_CODE.fd", CONFINE_READ, false);
        assert_access(&rules, "/dev/kvm", CONFINE_DEVICE, true);
        assert_false(is_reached(&rules, "/home/user/.ssh"));
        assert_false(is_reached(&rules, "/etc/shadow"));
        assert_false(is_reached(&rules, "/proc/1/environ"));
        assert_false(is_reached(&rules, "/dev/sda"));
    }
}

static void a_qemu_of_ones_own_is_read_with_its_files_but_not_the_home_around_it(void **state) {
    static const struct {
        const char *program;
        const char *reached;
        bool is_reached;
    } cases[] = {
        {"/home/user/qemu/bin/qemu", "/home/user/qemu/bin/.qemu-wrapped", true},
        {"/home/user/qemu/bin/qemu", "/home/user/qemu/share/qemu/bios.bin", true},
        {"/home/user/qemu/bin/qemu", "/home/user/qemu/lib/x86_64/qemu/hw-display.so", true},
        {"/home/user/qemu/bin/qemu", "/home/user/qemu/share/keys", false},
        {"/home/user/qemu/build/qemu", "/home/user/qemu/build/pc-bios/bios.bin", true},
        {"/home/user/qemu/build/qemu", "/home/user/qemu/.git", false},
        {"/home/user/qemu", "/home/user/qemu", true},
        {"/home/user/qemu", "/home/user/.ssh", false},
        {"/home/qemu", "/home/user/.ssh", false},
        {"/qemu", "/etc/shadow", false},
        {"/home/user/bin/qemu", "/home/user/share/qemu", true},
        {"/home/user/bin/qemu", "/home/user/.ssh", false},
        {"./qemu", "/etc/shadow", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct qemu_config config = {.program = cases[i].program};
        struct confine_host host = plain_host;
        _cleanup_confine_rules_ struct confine_rules rules = {0};

        host.program_resolved = cases[i].program;
        confine_list(&config, &host, &rules);
        if (is_reached(&rules, cases[i].reached) != cases[i].is_reached)
            fail_msg("%s with %s", cases[i].reached, cases[i].program);
    }
}

static void libraries_from_the_environment_are_read(void **state) {
    const struct qemu_config config = {.program = "/usr/bin/qemu-system-x86_64"};
    struct confine_host host = plain_host;
    _cleanup_confine_rules_ struct confine_rules rules = {0};

    (void)state;
    host.library_path = "/home/user/lib::relative:/other/lib";
    confine_list(&config, &host, &rules);
    assert_access(&rules, "/home/user/lib", CONFINE_READ, true);
    assert_access(&rules, "/other/lib", CONFINE_READ, true);
    assert_null(find(&rules, "relative"));
    assert_null(find(&rules, ""));
}

static void the_environment_holds_what_a_program_needs(void **state) {
    char *entries[] = {(char *)"PATH=/bin",
                       (char *)"SECRET=x",
                       (char *)"LC_ALL=C",
                       (char *)"QEMU_AUDIO_DRV=none",
                       (char *)"VMTEST_CACHE_DIR=/c",
                       (char *)"HOME=/root",
                       (char *)"AWS_SECRET_KEY=PATH",
                       (char *)"PATHS=x",
                       (char *)"LD_PRELOAD=/x.so",
                       (char *)"odd",
                       NULL};
    _cleanup_strv_ struct strv environment = {0};

    (void)state;
    qemu_environment(entries, &environment);
    _cleanup_free_ char *joined = strv_join(&environment, " ");
    assert_string_equal(joined, "PATH=/bin LC_ALL=C QEMU_AUDIO_DRV=none HOME=/root");
}

/* What the kernel makes of it; nothing where it has no Landlock. */

/* Runs `body` in a child under the rules: it returns 0, or the line that was not as it should be. */
static void run_confined(const struct confine_rules *rules, int body(void)) {
    _cleanup_error_ struct error *error = NULL;
    _cleanup_close_ int ruleset = -1;
    int status;

    if (confine_make(rules, &ruleset, &error) < 0)
        fail_msg("%s", error_message(error));

    pid_t child = fork();
    if (child == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || confine_self(ruleset) < 0)
            _exit(255);
        int line = body();
        if (line)
            (void)fprintf(stderr, "line %d: not as it should be (%s)\n", line, strerror(errno));
        _exit(line ? 1 : 0);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            return __LINE__;                                                                                           \
    } while (0)

static void add_rule(struct confine_rules *rules, const char *path, int fd, enum confine_access access) {
    rules->items = xreallocarray(rules->items, rules->count + 1, sizeof(*rules->items));
    rules->items[rules->count++] =
        (struct confine_rule){.path = path ? xstrdup(path) : NULL, .fd = fd, .access = access};
}

/* The error of open(), 0 when it opened. */
static int open_error(const char *path, int flags) {
    _cleanup_close_ int fd = open(path, flags | O_CLOEXEC, 0600);

    return fd < 0 ? errno : 0;
}

static int read_what_may_be_read(void) {
    MUST(open_error("ro/file", O_RDONLY) == 0);
    MUST(open_error("ro/sub/file", O_RDONLY) == 0);
    MUST(open_error("ro", O_RDONLY | O_DIRECTORY) == 0);
    MUST(open_error("disk", O_RDONLY) == 0);
    MUST(open_error("ro/file", O_WRONLY) == EACCES);
    MUST(open_error("ro/new", O_WRONLY | O_CREAT) == EACCES);
    MUST(open_error("disk", O_RDWR) == EACCES);
    MUST(rename("ro/file", "ro/renamed") < 0 && errno == EACCES);
    MUST(rename("ro/file", "ro/sub/renamed") < 0 && errno == EACCES);
    MUST(unlink("ro/file") < 0 && errno == EACCES);
    MUST(mkdir("ro/made", 0700) < 0 && errno == EACCES);
    MUST(symlink("file", "ro/link") < 0 && errno == EACCES);
    MUST(open_error("secret/file", O_RDONLY) == EACCES);
    MUST(open_error("secret", O_RDONLY | O_DIRECTORY) == EACCES);
    MUST(open_error("ro/../secret/file", O_RDONLY) == EACCES);
    MUST(open_error("/etc/passwd", O_RDONLY) == EACCES);
    return 0;
}

static void reading_is_not_writing_and_the_rest_is_closed(void **state) {
    _cleanup_confine_rules_ struct confine_rules rules = {0};

    (void)state;
    if (!confine_available())
        return;
    add_rule(&rules, "ro", -1, CONFINE_READ);
    add_rule(&rules, "disk", -1, CONFINE_DISK_READ);
    run_confined(&rules, read_what_may_be_read);
}

static int do_all_to_the_share(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "rw/socket"};
    _cleanup_close_ int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    MUST(open_error("rw/new", O_RDWR | O_CREAT | O_EXCL) == 0);
    MUST(open_error("rw/new", O_WRONLY | O_TRUNC) == 0);
    MUST(truncate("rw/one/file", 2) == 0);
    MUST(mkdir("rw/made", 0700) == 0);
    MUST(rename("rw/one/file", "rw/two/moved") == 0);
    MUST(link("rw/two/moved", "rw/one/linked") == 0);
    MUST(rename("rw/one", "rw/two/one") == 0);
    MUST(rename("rw/two/moved", "rw/bin/moved") == 0); /* where a program may be run as well */
    MUST(symlink("/etc/passwd", "rw/link") == 0);
    MUST(mkfifo("rw/fifo", 0600) == 0);
    MUST(bind(sock, (struct sockaddr *)&address, sizeof(address)) == 0);
    MUST(unlink("rw/fifo") == 0 && rmdir("rw/made") == 0);
    MUST(open_error("rw/link", O_RDONLY) == EACCES);
    MUST(rename("rw/new", "secret/new") < 0 && (errno == EACCES || errno == EXDEV));
    MUST(rename("secret/file", "rw/stolen") < 0 && (errno == EACCES || errno == EXDEV));
    MUST(link("secret/file", "rw/stolen") < 0 && (errno == EACCES || errno == EXDEV));
    MUST(truncate("secret/file", 0) < 0 && errno == EACCES);
    return 0;
}

static void a_share_is_written_in_every_way(void **state) {
    _cleanup_confine_rules_ struct confine_rules rules = {0};

    (void)state;
    if (!confine_available())
        return;
    assert_int_equal(mkdir("rw/bin", 0700), 0);
    add_rule(&rules, "rw", -1, CONFINE_WRITE);
    add_rule(&rules, "rw/bin", -1, CONFINE_READ);
    run_confined(&rules, do_all_to_the_share);
}

static int memory_fd, deleted_fd, other_fd;

/* The error of opening a descriptor's file anew. */
static int reopen_error(int fd, int flags) {
    _cleanup_free_ char *path = xasprintf("/proc/self/fd/%d", fd);

    return open_error(path, flags);
}

static int open_inherited_files_anew(void) {
    char byte;

    MUST(reopen_error(memory_fd, O_RDWR) == 0);
    MUST(reopen_error(deleted_fd, O_RDWR) == 0);
    MUST(reopen_error(other_fd, O_RDWR) == EACCES);
    MUST(pread(other_fd, &byte, 1, 0) == 1); /* what is open stays open */
    return 0;
}

static void inherited_files_are_opened_anew_if_they_are_listed(void **state) {
    _cleanup_confine_rules_ struct confine_rules rules = {0};

    (void)state;
    if (!confine_available())
        return;
    assert_int_equal(fd_from_memory("memory", "x", 1, &memory_fd, NULL), 0);
    deleted_fd = open("deleted", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    other_fd = open("secret/file", O_RDWR | O_CLOEXEC);
    assert_true(deleted_fd >= 0 && other_fd >= 0);
    assert_int_equal(unlink("deleted"), 0);
    add_rule(&rules, NULL, memory_fd, CONFINE_WRITE);
    add_rule(&rules, NULL, deleted_fd, CONFINE_WRITE);
    run_confined(&rules, open_inherited_files_anew);
    (void)close(memory_fd);
    (void)close(deleted_fd);
    (void)close(other_fd);
}

/* ABI 4 and 6 bring what is denied here; where the kernel has less, it is allowed. */
static int reach_others(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    _cleanup_close_ int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    long abi = syscall(444, NULL, 0, 1u);

    MUST(sock >= 0);
    if (abi >= 4)
        MUST(bind(sock, (struct sockaddr *)&address, sizeof(address)) < 0 && errno == EACCES);
    if (abi >= 4)
        MUST(connect(sock, (struct sockaddr *)&address, sizeof(address)) < 0 && errno == EACCES);
    if (abi >= 6)
        MUST(kill(getppid(), 0) < 0 && errno == EPERM);
    MUST(kill(getpid(), 0) == 0);
    return 0;
}

static void nobody_else_is_reached(void **state) {
    _cleanup_confine_rules_ struct confine_rules rules = {0};

    (void)state;
    if (!confine_available())
        return;
    run_confined(&rules, reach_others);
}

static int use_devices(void) {
    struct termios settings;
    _cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    MUST(null >= 0 && write(null, "x", 1) == 1);
    MUST(ioctl(null, TCGETS, &settings) < 0 && errno == ENOTTY); /* it got as far as the device */
    MUST(open_error("/dev/zero", O_RDONLY) == EACCES);
    return 0;
}

static void a_device_is_read_written_and_controlled(void **state) {
    _cleanup_confine_rules_ struct confine_rules rules = {0};

    (void)state;
    if (!confine_available())
        return;
    add_rule(&rules, "/dev/null", -1, CONFINE_DEVICE);
    run_confined(&rules, use_devices);
}

static void what_must_be_there_and_is_not_is_named(void **state) {
    _cleanup_confine_rules_ struct confine_rules rules = {0};
    _cleanup_error_ struct error *error = NULL;
    _cleanup_close_ int ruleset = -1;

    (void)state;
    if (!confine_available())
        return;
    add_rule(&rules, "missing", -1, CONFINE_READ);
    assert_int_equal(confine_make(&rules, &ruleset, &error), -ENOENT);
    assert_string_equal(error_message(error), "missing: No such file or directory");
    assert_int_equal(ruleset, -1);
    rules.items[0].optional = true;
    assert_int_equal(confine_make(&rules, &ruleset, NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kernel_target_reads_its_root_and_writes_its_share),
        cmocka_unit_test(an_image_target_reaches_its_disk_and_nothing_else_of_the_users),
        cmocka_unit_test(a_qemu_of_ones_own_is_read_with_its_files_but_not_the_home_around_it),
        cmocka_unit_test(libraries_from_the_environment_are_read),
        cmocka_unit_test(the_environment_holds_what_a_program_needs),
        cmocka_unit_test_setup_teardown(reading_is_not_writing_and_the_rest_is_closed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_share_is_written_in_every_way, setup, teardown),
        cmocka_unit_test_setup_teardown(inherited_files_are_opened_anew_if_they_are_listed, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_else_is_reached, setup, teardown),
        cmocka_unit_test_setup_teardown(a_device_is_read_written_and_controlled, setup, teardown),
        cmocka_unit_test_setup_teardown(what_must_be_there_and_is_not_is_named, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
