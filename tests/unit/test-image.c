/* SPDX-License-Identifier: Apache-2.0 */
/* What disk images are taken for, with the real qemu-img. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/mount.h>
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
        .path = path, .format = format, .where_image = "--image", .where_format = "--format", .cancel_fd = -1};

    return image_probe(&request, image, error);
}

static unsigned count_entries(const char *path) {
    _cleanup_closedir_ DIR *directory = opendir(path);
    unsigned n = 0;

    assert_non_null(directory);
    while (readdir(directory))
        n++;
    return n;
}

/* Refused, with all of these words in one line. */
static void refuse(const char *name, const char *format, const char *const words[]) {
    _cleanup_error_ struct error *error = NULL;
    _cleanup_image_ struct image image = {0};

    if (probe(name, format, &image, &error) >= 0)
        fail_msg("%s was taken", name);
    assert_null(image.format);
    assert_int_equal(image.backing.count, 0);
    assert_null(strpbrk(error_message(error), "\n?"));
    assert_false(str_has_suffix(error_message(error), ": ")); /* the reason is there */
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
        "with blank",   "a,b=c", "nbd:localhost", "json:{}", "-f", "fat:dir", "a\"b'c",
        "\xc3\xa4\xff", "%s",    "a\\b",          "a\nb",
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

static void files_that_an_image_consists_of_are_told(void **state) {
    _cleanup_free_ char *part = path_resolve(top, "parts-flat.vmdk");
    _cleanup_free_ char *data = path_resolve(top, "data.raw");
    _cleanup_image_ struct image vmdk = {0};
    _cleanup_image_ struct image whole = {0};
    _cleanup_image_ struct image qcow2 = {0};
    _cleanup_image_ struct image over = {0};

    (void)state;
    shell("qemu-img create -q -f vmdk -o subformat=monolithicFlat parts.vmdk 8M; qemu-img create -q -f vmdk whole.vmdk "
          "8M; qemu-img create -q -f qcow2 -o data_file=data.raw data.qcow2 8M; "
          "qemu-img create -q -f qcow2 -b data.qcow2 -F qcow2 over-data.qcow2");
    assert_int_equal(probe("parts.vmdk", NULL, &vmdk, NULL), 0);
    assert_int_equal(vmdk.parts.count, 1);
    assert_string_equal(vmdk.parts.items[0], part);
    assert_int_equal(probe("whole.vmdk", NULL, &whole, NULL), 0);
    assert_int_equal(whole.parts.count, 0);
    assert_int_equal(probe("data.qcow2", NULL, &qcow2, NULL), 0);
    assert_int_equal(qcow2.parts.count, 1);
    assert_string_equal(qcow2.parts.items[0], data);
    /* What backs an image is not written to with it. */
    assert_int_equal(probe("over-data.qcow2", NULL, &over, NULL), 0);
    assert_int_equal(over.parts.count, 0);
    assert_int_equal(over.backing_parts.count, 1);
    assert_string_equal(over.backing_parts.items[0], data);
}

static void what_is_no_image_is_refused(void **state) {
    (void)state;
    assert_int_equal(mkdir("directory", 0755) | mkfifo("fifo", 0644), 0);
    shell(": > empty; head -c 1M /dev/urandom > data; qemu-img create -q -f qcow2 none.qcow2 0; "
          "qemu-img create -q -f parallels other.hds 8M");
    refuse("missing", NULL, (const char *const[]){"--image: ", "missing", "No such file", NULL});
    refuse("directory", NULL, (const char *const[]){"--image: ", "is a directory", NULL});
    refuse("fifo", NULL, (const char *const[]){"--image: ", "is a fifo", NULL});
    refuse("empty", NULL, (const char *const[]){"is empty", NULL});
    refuse("data", "qcow2", (const char *const[]){"--format: ", "not in the format qcow2", NULL});
    refuse("none.qcow2", NULL, (const char *const[]){"no size", NULL});
    refuse("other.hds", NULL, (const char *const[]){"the format parallels", "not supported", "convert", NULL});
}

static void a_format_that_is_not_the_images_is_named(void **state) {
    static const char *const formats[] = {"qcow2", "vmdk", "vdi", "vhdx", "vpc", "qed", "qcow"};

    (void)state;
    shell("head -c 1M /dev/zero > zeros; qemu-img create -q -f raw base.raw 8M; "
          "qemu-img create -q -u -f qcow2 -b base.raw -F qcow2 over.qcow2 8M");
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
        _cleanup_free_ char *words = xasprintf("not in the format %s", formats[i]);

        refuse("zeros", formats[i], (const char *const[]){"--format: ", "zeros", words, NULL});
    }
    /* The format that the user gave is right. */
    refuse("over.qcow2", "qcow2", (const char *const[]){"--image: ", "backing file", "base.raw", NULL});
    refuse("over.qcow2", NULL, (const char *const[]){"--image: ", "backing file", "base.raw", NULL});
}

static void put_be32(unsigned char *at, uint32_t value) {
    for (int i = 0; i < 4; i++)
        at[i] = (unsigned char)(value >> (24 - 8 * i));
}

/* A LUKS 1 file (its On-Disk Format Specification 1.2.3) without a key: for that qemu-img measures the processor. */
static void write_luks(const char *path) {
    static unsigned char file[4096 * 512 + (1 << 20)];

    memcpy(file, "LUKS\xba\xbe\0\1aes", 11);
    memcpy(file + 40, "xts-plain64", 11);
    memcpy(file + 72, "sha256", 6);
    put_be32(file + 104, 4096); /* sectors before the data */
    put_be32(file + 108, 64);   /* bytes of the key */
    put_be32(file + 164, 1000); /* iterations */
    memcpy(file + 168, "12345678-1234-1234-1234-123456789abc", 36);
    for (unsigned i = 0; i < 8; i++) {
        unsigned char *slot = file + 208 + (size_t)i * 48;

        put_be32(slot, 0x0000dead);         /* it is not in use */
        put_be32(slot + 40, 8 + (i * 504)); /* its sector */
        put_be32(slot + 44, 4000);          /* stripes */
    }
    assert_int_equal(file_write_atomically(path, file, sizeof(file), 0600, NULL), 0);
}

static void what_is_encrypted_is_refused(void **state) {
    (void)state;
    write_luks("luks.img");
    /* The fourth byte of the header's crypt_method: AES. */
    shell("qemu-img create -q -f qcow2 aes.qcow2 8M; "
          "printf '\\1' | dd of=aes.qcow2 bs=1 seek=35 conv=notrunc 2>/dev/null; "
          "qemu-img create -q -u -f qcow2 -b aes.qcow2 -F qcow2 over.qcow2 8M");
    refuse("luks.img", NULL, (const char *const[]){"--image: ", "luks.img", "is encrypted", "decrypt", NULL});
    refuse("luks.img", "luks", (const char *const[]){"is encrypted", NULL});
    refuse("aes.qcow2", NULL, (const char *const[]){"aes.qcow2", "is encrypted", "decrypt", NULL});
    refuse("aes.qcow2", "qcow2", (const char *const[]){"is encrypted", NULL});
    refuse("over.qcow2", NULL, (const char *const[]){"aes.qcow2", "is encrypted", NULL});
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

static void half_a_file_is_refused_in_every_format_that_can_tell(void **state) {
    static const struct {
        const char *format;
        bool head; /* without most of its head it is not taken for raw either */
    } cases[] = {{"qcow2", true}, {"vmdk", true}, {"vdi", false}, {"vhdx", true}, {"vpc", true}, {"qed", true}};

    (void)state;
    shell("head -c 4M /dev/urandom > data; truncate -s 8M data");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const char *f = cases[i].format;
        _cleanup_free_ char *command =
            xasprintf("qemu-img convert -O %s data x.%s && cp x.%s half.%s && head -c 64 x.%s > head.%s && "
                      "truncate -s $(($(stat -c %%s x.%s) / 2)) half.%s",
                      f, f, f, f, f, f, f, f);
        _cleanup_free_ char *whole = xasprintf("x.%s", f);
        _cleanup_free_ char *half = xasprintf("half.%s", f);
        _cleanup_free_ char *head = xasprintf("head.%s", f);
        _cleanup_image_ struct image image = {0};

        shell(command);
        assert_int_equal(probe(whole, NULL, &image, NULL), 0);
        refuse(half, NULL, (const char *const[]){"--image: ", half, "truncated", NULL});
        if (cases[i].head)
            refuse(head, NULL, (const char *const[]){"--image: ", head, "truncated", NULL});
        refuse(head, f, (const char *const[]){head, NULL});
    }
}

static void a_file_that_cannot_be_written_to_is_refused_only_for_writing(void **state) {
    _cleanup_error_ struct error *error = NULL;
    _cleanup_image_ struct image image = {0};
    char program[4096] = {0};
    struct image_request request = {
        .path = program, .format = "raw", .where_image = "--image", .where_format = "--format", .cancel_fd = -1};

    (void)state;
    /* A program that runs is not writable, even to root. */
    assert_true(readlink("/proc/self/exe", program, sizeof(program) - 1) > 0);
    assert_int_equal(image_probe(&request, &image, NULL), 0);
    image_deinit(&image);
    request.write = true;
    assert_true(image_probe(&request, &image, &error) < 0);
    assert_non_null(str_skip_prefix(error_message(error), "--image: the image '"));
    assert_non_null(strstr(error_message(error), program));
    assert_null(image.format);
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
    int fd = -1;
    int ends[2];
    char byte;

    (void)state;
    shell("truncate -s 1M data");
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    request.cancel_fd = ends[0];
    assert_int_equal(image_probe(&request, &image, NULL), -ECANCELED);
    assert_int_equal(image_make_overlay(top, MIB, ends[0], &fd, NULL), -ECANCELED);
    assert_int_equal(fd, -1);
    assert_int_equal(read(ends[0], &byte, 1), 1);
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
    _cleanup_free_ char *link = NULL;
    _cleanup_image_ struct image image = {0};
    struct image_request request = {.where_image = "i", .where_format = "f", .cancel_fd = -1};
    struct stat status;
    int fd = -1;

    (void)state;
    assert_int_equal(image_make_overlay(top, 5 * MIB, -1, &fd, NULL), 0);
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(status.st_nlink, 0);
    assert_int_equal(count_entries(top), 2);
    assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    link = xasprintf("/proc/%d/fd/%d", (int)getpid(), fd);
    request.path = link;
    assert_int_equal(image_probe(&request, &image, NULL), 0);
    assert_string_equal(image.format, "qcow2");
    assert_int_equal(image.virtual_size, 5 * MIB);
    assert_int_equal(close(fd), 0);
}

static void an_overlay_that_cannot_be_made_is_said(void **state) {
    _cleanup_error_ struct error *nowhere = NULL;
    int fd = -1;

    (void)state;
    shell(": > file");
    assert_int_equal(image_make_overlay("/nonexistent", MIB, -1, &fd, &nowhere), -EIO);
    assert_non_null(strstr(error_message(nowhere), "overlay"));
    assert_non_null(strstr(error_message(nowhere), "/nonexistent"));
    assert_int_equal(image_make_overlay("file", MIB, -1, &fd, NULL), -EIO);
    assert_int_equal(fd, -1);
}

static void a_full_disk_is_said_and_nothing_is_left_on_it(void **state) {
    _cleanup_error_ struct error *error = NULL;
    int fd = -1;

    (void)state;
    assert_int_equal(mkdir("small", 0700), 0);
    if (mount("none", "small", "tmpfs", 0, "size=64k") < 0)
        skip();
    _cleanup_free_ char *directory = path_resolve(top, "small");
    int r = image_make_overlay(directory, 1024 * MIB, -1, &fd, &error);
    unsigned left = count_entries("small");
    assert_int_equal(umount2("small", MNT_DETACH), 0);
    assert_int_equal(r, -ENOSPC);
    assert_int_equal(left, 2);
    assert_int_equal(fd, -1);
    assert_non_null(strstr(error_message(error), directory));
    assert_non_null(strstr(error_message(error), "TMPDIR"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(formats_are_found_out, setup, teardown),
        cmocka_unit_test_setup_teardown(names_are_taken_as_they_are, setup, teardown),
        cmocka_unit_test_setup_teardown(a_chain_is_told_from_the_nearest_on, setup, teardown),
        cmocka_unit_test_setup_teardown(files_that_an_image_consists_of_are_told, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_image_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_format_that_is_not_the_images_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_encrypted_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_cut_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(half_a_file_is_refused_in_every_format_that_can_tell, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_that_cannot_be_written_to_is_refused_only_for_writing, setup, teardown),
        cmocka_unit_test_setup_teardown(leaked_clusters_are_no_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(a_missing_qemu_img_is_said, setup, teardown),
        cmocka_unit_test_setup_teardown(whoever_stops_it_is_heard, setup, teardown),
        cmocka_unit_test_setup_teardown(boot_code_is_looked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(an_overlay_has_its_size_and_no_name, setup, teardown),
        cmocka_unit_test_setup_teardown(an_overlay_that_cannot_be_made_is_said, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_is_said_and_nothing_is_left_on_it, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
