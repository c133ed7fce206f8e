/* SPDX-License-Identifier: Apache-2.0 */
/* What disk images are taken for, with the real qemu-img. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "qemu/image.h"

#define MIB (UINT64_C(1) << 20)

static char top[] = "/tmp/vmtest-test-image-XXXXXX";

static int setup(void **state) {
    (void)state;
    (void)strcpy(top + strlen(top) - 6, "XXXXXX");
    return mkdtemp(top) && chdir(top) == 0 ? 0 : -1;
}

static int teardown(void **state) {
    _cleanup_free_ char *command = xasprintf("rm -rf -- %s", top);

    (void)state;
    return chdir("/") < 0 || system(command) != 0;
}

static void shell(const char *command) {
    if (system(command) != 0)
        fail_msg("%s", command);
}

static int probe(const char *name, const char *format, struct image *image, struct error **error) {
    _cleanup_free_ char *path = path_resolve(top, name);
    const struct image_request request = {
        .path = path, .format = format, .where_image = "--image", .where_format = "--format", .stop_fd = -1};

    return image_probe(&request, image, error);
}

/* Refused, with all of these words in one line. */
static void refuse(const char *name, const char *format, const char *const words[]) {
    _cleanup_error_ struct error *error = NULL;
    _cleanup_image_ struct image image = {0};

    if (probe(name, format, &image, &error) >= 0)
        fail_msg("%s was taken", name);
    assert_null(strchr(error_message(error), '\n'));
    for (; *words; words++) {
        if (!strstr(error_message(error), *words))
            fail_msg("%s: '%s' does not say '%s'", name, error_message(error), *words);
    }
}

static void formats_are_found_out(void **state) {
    static const char *const formats[] = {"raw", "qcow2", "vmdk", "vdi", "vhdx", "vpc", "qed", "qcow"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
        _cleanup_free_ char *command =
            xasprintf("qemu-img create -q -f %s x.%s 64M >/dev/null", formats[i], formats[i]);
        _cleanup_free_ char *name = xasprintf("x.%s", formats[i]);
        _cleanup_image_ struct image image = {0};
        _cleanup_image_ struct image given = {0};

        shell(command);
        assert_int_equal(probe(name, NULL, &image, NULL), 0);
        assert_string_equal(image.format, formats[i]);
        assert_in_range(image.virtual_size, 64 * MIB, 65 * MIB);
        assert_false(image.device);
        assert_int_equal(image.backing.count, 0);
        assert_int_equal(probe(name, formats[i], &given, NULL), 0);
        assert_string_equal(given.format, formats[i]);
    }
}

static void names_are_taken_as_they_are(void **state) {
    static const char *const names[] = {
        "with blank", "a,b=c", "nbd:localhost", "json:{}", "-f", "fat:dir", "a\"b'c", "\xc3\xa4\xff", "%s", "a\\b",
    };

    (void)state;
    shell("qemu-img create -q -f qcow2 plain 1M");
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        _cleanup_image_ struct image image = {0};

        assert_int_equal(link("plain", names[i]), 0);
        if (probe(names[i], NULL, &image, NULL) < 0)
            fail_msg("%s", names[i]);
        assert_string_equal(image.format, "qcow2");
    }
}

static void a_chain_is_told_from_the_nearest_on(void **state) {
    _cleanup_image_ struct image image = {0};

    (void)state;
    shell("qemu-img create -q -f raw base.raw 8M; qemu-img create -q -f qcow2 -b base.raw -F raw middle.qcow2; "
          "qemu-img create -q -f qcow2 -b middle.qcow2 -F qcow2 top.qcow2");
    assert_int_equal(probe("top.qcow2", NULL, &image, NULL), 0);
    assert_int_equal(image.backing.count, 2);
    assert_non_null(strstr(image.backing.items[0], "middle.qcow2"));
    assert_non_null(strstr(image.backing.items[1], "base.raw"));
}

static void what_is_no_image_is_refused(void **state) {
    (void)state;
    assert_int_equal(mkdir("directory", 0755) | mkfifo("fifo", 0644), 0);
    shell(": > empty; head -c 1M /dev/urandom > data; qemu-img create -q -f qcow2 none.qcow2 0; "
          "qemu-img create -q -f luks --object secret,id=s,data=abc -o key-secret=s,iter-time=100 luks.img 1M");
    refuse("missing", NULL, (const char *const[]){"--image: ", "missing", "No such file", NULL});
    refuse("directory", NULL, (const char *const[]){"directory", NULL});
    refuse("fifo", NULL, (const char *const[]){"fifo", NULL});
    refuse("empty", NULL, (const char *const[]){"is empty", NULL});
    refuse("data", "qcow2", (const char *const[]){"--format: ", "not in the format qcow2", NULL});
    refuse("none.qcow2", NULL, (const char *const[]){"no size", NULL});
    refuse("luks.img", NULL, (const char *const[]){"is encrypted", NULL});
}

static void what_is_cut_is_refused(void **state) {
    (void)state;
    shell("head -c 4M /dev/urandom > data; qemu-img convert -O qcow2 data whole.qcow2; "
          "head -c 64 whole.qcow2 > head.qcow2; head -c 300000 whole.qcow2 > cut.qcow2; "
          "head -c 200000 whole.qcow2 > table.qcow2; head -c 300000 whole.qcow2 > base.qcow2; "
          "qemu-img create -q -u -f qcow2 -b base.qcow2 -F qcow2 over.qcow2 4M; "
          "qemu-img create -q -u -f qcow2 -b gone.qcow2 -F qcow2 orphan.qcow2 4M");
    refuse("head.qcow2", NULL, (const char *const[]){"truncated", NULL});
    refuse("cut.qcow2", NULL, (const char *const[]){"truncated", "cut.qcow2", NULL});
    refuse("table.qcow2", NULL, (const char *const[]){"truncated", NULL});
    refuse("over.qcow2", NULL, (const char *const[]){"truncated", "base.qcow2", NULL});
    refuse("orphan.qcow2", NULL, (const char *const[]){"backing file", "gone.qcow2", NULL});
}

static void leaked_clusters_are_no_damage(void **state) {
    _cleanup_image_ struct image image = {0};

    (void)state;
    /* More file than the tables speak of, as after a crash. */
    shell("qemu-img create -q -f qcow2 leak.qcow2 4M; head -c 1M /dev/urandom >> leak.qcow2");
    assert_int_equal(probe("leak.qcow2", NULL, &image, NULL), 0);
}

static void a_missing_qemu_img_is_said(void **state) {
    _cleanup_free_ char *path = xstrdup(getenv("PATH"));

    (void)state;
    shell("truncate -s 1M data");
    assert_int_equal(setenv("PATH", top, 1), 0);
    refuse("data", NULL, (const char *const[]){"qemu-img is missing", "qemu-utils", NULL});
    assert_int_equal(setenv("PATH", path, 1), 0);
}

static void whoever_stops_it_is_heard(void **state) {
    _cleanup_free_ char *path = path_resolve(top, "data");
    struct image_request request = {.path = path, .where_image = "i", .where_format = "f"};
    struct image image = {0};
    int ends[2];

    (void)state;
    shell("truncate -s 1M data");
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    request.stop_fd = ends[0];
    assert_int_equal(image_probe(&request, &image, NULL), -ECANCELED);
    assert_int_equal(close(ends[0]) + close(ends[1]), 0);
}

static void boot_code_is_looked_for(void **state) {
    static const struct {
        const char *make;
        bool lacks;
    } cases[] = {
        {"truncate -s 1M d", true},
        {"truncate -s 1M d; printf '\\353' | dd of=d conv=notrunc 2>/dev/null", false},
        {"truncate -s 1M d; printf '\\125\\252' | dd of=d bs=1 seek=510 conv=notrunc 2>/dev/null", true},
        {"printf '\\353' > r; truncate -s 1M r; qemu-img convert -O qcow2 r d", false},
        {"rm -f r; truncate -s 1M r; printf 'EFI PART' | dd of=r bs=512 seek=1 conv=notrunc 2>/dev/null; "
         "qemu-img convert -O qcow2 r d",
         true},
        {"printf '\\353' > r; truncate -s 1M r; qemu-img convert -c -O qcow2 r d", false},
    };
    _cleanup_free_ char *path = path_resolve(top, "d");

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_image_ struct image image = {0};

        shell(cases[i].make);
        assert_int_equal(probe("d", NULL, &image, NULL), 0);
        if (image_lacks_boot_code(path, &image, -1) != cases[i].lacks)
            fail_msg("case %zu", i);
        assert_int_equal(unlink(path), 0);
    }
}

static void an_overlay_has_its_size_and_no_name(void **state) {
    _cleanup_error_ struct error *error = NULL;
    _cleanup_free_ char *link = NULL;
    _cleanup_image_ struct image image = {0};
    const struct image_request request = {.where_image = "i", .where_format = "f", .stop_fd = -1};
    struct image_request copy = request;
    struct stat status;
    int fd = -1;

    (void)state;
    assert_int_equal(image_make_overlay(top, 5 * MIB, -1, &fd, NULL), 0);
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(status.st_nlink, 0);
    link = xasprintf("/proc/%d/fd/%d", (int)getpid(), fd);
    copy.path = link;
    assert_int_equal(image_probe(&copy, &image, NULL), 0);
    assert_string_equal(image.format, "qcow2");
    assert_int_equal(image.virtual_size, 5 * MIB);
    assert_int_equal(close(fd), 0);
    assert_true(image_make_overlay("/nonexistent", MIB, -1, &fd, &error) < 0);
    assert_non_null(strstr(error_message(error), "overlay"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(formats_are_found_out, setup, teardown),
        cmocka_unit_test_setup_teardown(names_are_taken_as_they_are, setup, teardown),
        cmocka_unit_test_setup_teardown(a_chain_is_told_from_the_nearest_on, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_image_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_cut_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(leaked_clusters_are_no_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(a_missing_qemu_img_is_said, setup, teardown),
        cmocka_unit_test_setup_teardown(whoever_stops_it_is_heard, setup, teardown),
        cmocka_unit_test_setup_teardown(boot_code_is_looked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(an_overlay_has_its_size_and_no_name, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
