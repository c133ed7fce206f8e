/* SPDX-License-Identifier: Apache-2.0 */
/* Firmware below a made-up root: descriptors, places of the distributions, and files that the user names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/stat.h>

#include "base/file.h"
#include "qemu/firmware.h"

static char top[] = "/tmp/vmtest-test-firmware-XXXXXX";

static int setup(void **state) {
    (void)state;
    (void)strcpy(top + strlen(top) - 6, "XXXXXX");
    return !mkdtemp(top) || setenv("HOME", "/home/me", 1) < 0 || unsetenv("XDG_CONFIG_HOME") < 0;
}

static int teardown(void **state) {
    _cleanup_free_ char *command = xasprintf("rm -rf -- %s", top);

    (void)state;
    return system(command);
}

/* Writes a file below the root, and the directories on the way. */
static void put(const char *name, const void *data, size_t size) {
    _cleanup_free_ char *path = xasprintf("%s%s", top, name);
    _cleanup_free_ char *parent = path_parent(path);

    assert_int_equal(path_make_directories(parent, 0755, NULL), 0);
    assert_int_equal(file_write_atomically(path, data, size, 0644, NULL), 0);
}

static void put_text(const char *name, const char *text) {
    put(name, text, strlen(text));
}

#define SYSTEM "/usr/share/qemu/firmware/"
#define FLASH(code, vars)                                                                                              \
    "{\"device\":\"flash\",\"executable\":{\"filename\":\"" code "\",\"format\":\"raw\"},"                             \
    "\"nvram-template\":{\"filename\":\"" vars "\",\"format\":\"qcow2\"}}"
#define Q35 "[{\"architecture\":\"x86_64\",\"machines\":[\"pc-i440fx-*\",\"pc-q35-*\"]}]"

static char *descriptor(const char *mapping, const char *targets, const char *features) {
    return xasprintf("{\"description\":\"d\",\"interface-types\":[\"uefi\"],\"mapping\":%s,\"targets\":%s,"
                     "\"features\":[%s],\"tags\":[]}",
                     mapping, targets, features);
}

static void put_descriptor(const char *name, const char *mapping, const char *targets, const char *features) {
    _cleanup_free_ char *text = descriptor(mapping, targets, features);

    put_text(name, text);
}

static void put_pair(const char *code, const char *vars) {
    put_text(code, "code");
    put_text(vars, "vars");
}

/* The code that is to be found, without the root; "" for none. */
static void expect(const char *code) {
    _cleanup_firmware_ struct firmware firmware = {0};
    int r = firmware_find(top, arch_find("x86_64"), "--bios FILE", &firmware, NULL);

    assert_string_equal(r < 0 ? "" : firmware.code + strlen(top), code);
}

static void nothing_at_all_names_the_packages(void **state) {
    _cleanup_error_ struct error *error = NULL;
    struct firmware firmware;

    (void)state;
    assert_int_equal(firmware_find(top, arch_find("x86_64"), "--bios FILE", &firmware, &error), -ENOENT);
    assert_non_null(strstr(error_message(error), "install ovmf"));
    assert_non_null(strstr(error_message(error), "--bios FILE"));
}

static void a_descriptor_tells_everything(void **state) {
    struct firmware firmware;

    (void)state;
    put_pair("/fw/code", "/fw/vars");
    put_descriptor(SYSTEM "50.json", FLASH("/fw/code", "/fw/vars"), Q35, "\"requires-smm\"");
    assert_int_equal(firmware_find(top, arch_find("x86_64"), "--bios FILE", &firmware, NULL), 0);
    assert_int_equal(firmware.kind, FIRMWARE_SPLIT);
    assert_string_equal(firmware.code + strlen(top), "/fw/code");
    assert_string_equal(firmware.vars + strlen(top), "/fw/vars");
    assert_string_equal(firmware.code_format, "raw");
    assert_string_equal(firmware.vars_format, "qcow2");
    assert_true(firmware.smm);
    firmware_deinit(&firmware);
}

static void what_boots_the_unsigned_comes_first(void **state) {
    (void)state;
    put_pair("/fw/signed", "/fw/vars");
    put_descriptor(SYSTEM "10.json", FLASH("/fw/signed", "/fw/vars"), Q35, "\"enrolled-keys\",\"secure-boot\"");
    expect("/fw/signed");
    put_pair("/fw/smm", "/fw/vars");
    put_descriptor(SYSTEM "20.json", FLASH("/fw/smm", "/fw/vars"), Q35, "\"requires-smm\",\"secure-boot\"");
    expect("/fw/smm");
    put_text("/fw/rom", "code");
    put_descriptor(SYSTEM "15.json", "{\"device\":\"memory\",\"filename\":\"/fw/rom\"}", Q35, "");
    expect("/fw/rom"); /* as good as those with SMM, by name */
    put_pair("/fw/plain2", "/fw/vars");
    put_descriptor(SYSTEM "60.json", FLASH("/fw/plain2", "/fw/vars"), Q35, "\"acpi-s3\",\"amd-sev\"");
    expect("/fw/plain2");
    put_pair("/fw/plain1", "/fw/vars");
    put_descriptor(SYSTEM "55.json", FLASH("/fw/plain1", "/fw/vars"), Q35, "");
    expect("/fw/plain1");
}

static void what_does_not_fit_is_passed_over(void **state) {
    (void)state;
    put_pair("/fw/code", "/fw/vars");
    put_descriptor(SYSTEM "10.json", FLASH("/fw/code", "/fw/vars"),
                   "[{\"architecture\":\"aarch64\",\"machines\":[\"virt-*\"]}]", "");
    put_descriptor(SYSTEM "11.json", FLASH("/fw/code", "/fw/vars"),
                   "[{\"architecture\":\"x86_64\",\"machines\":[\"pc-i440fx-*\",\"microvm\"]}]", "");
    put_descriptor(SYSTEM "12.json", FLASH("/fw/code", "/fw/missing"), Q35, "");
    put_descriptor(SYSTEM "13.json", "{\"device\":\"kernel\",\"filename\":\"/fw/code\"}", Q35, "");
    put_descriptor(SYSTEM "14.json", "{\"device\":\"flash\"}", Q35, "");
    put_descriptor(SYSTEM "15.json", "[]", "5", "7");
    put_text(SYSTEM "16.json", "{\"interface-types\":");
    put_text(SYSTEM "17.json", "");
    put_text(SYSTEM "18.json", "[\"uefi\"]");
    put_descriptor(SYSTEM "19.txt", FLASH("/fw/code", "/fw/vars"), Q35, "");
    put_descriptor(SYSTEM ".20.json", FLASH("/fw/code", "/fw/vars"), Q35, "");
    put_descriptor(SYSTEM "21.json", FLASH("/fw", "/fw/vars"), Q35, ""); /* a directory */
    expect("");
    put_descriptor(SYSTEM "99.json", FLASH("/fw/code", "/fw/vars"), Q35, "");
    expect("/fw/code");
}

static void machines_and_architectures_are_matched_by_their_patterns(void **state) {
    static const struct {
        const char *targets;
        bool found;
    } cases[] = {
        {"[{\"architecture\":\"x86_64\",\"machines\":[\"pc-q35-*\"]}]", true},
        {"[{\"architecture\":\"x86_64\",\"machines\":[\"q35\"]}]", true},
        {"[{\"architecture\":\"x86_64\",\"machines\":[\"*\"]}]", true},
        {"[{\"architecture\":\"x86_64\",\"machines\":[\"pc-i440fx-*\"]},"
         "{\"architecture\":\"x86_64\",\"machines\":[\"pc-q35-*\"]}]",
         true},
        {"[{\"architecture\":\"x86_64\",\"machines\":[\"pc-i440fx-*\"]}]", false},
        {"[{\"architecture\":\"x86_64\",\"machines\":[\"pc-q35\"]}]", false},
        {"[{\"architecture\":\"x86_64\",\"machines\":[\"microvm\",5,null]}]", false},
        {"[{\"architecture\":\"x86_64\",\"machines\":[]}]", false},
        {"[{\"architecture\":\"x86_64\"}]", false},
        {"[{\"architecture\":\"i386\",\"machines\":[\"pc-q35-*\"]}]", false},
        /* The machine of one, the architecture of another. */
        {"[{\"architecture\":\"i386\",\"machines\":[\"pc-q35-*\"]},"
         "{\"architecture\":\"x86_64\",\"machines\":[\"pc-i440fx-*\"]}]",
         false},
        {"[]", false},
    };

    (void)state;
    put_pair("/fw/code", "/fw/vars");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        put_descriptor(SYSTEM "50.json", FLASH("/fw/code", "/fw/vars"), cases[i].targets, "");
        expect(cases[i].found ? "/fw/code" : "");
    }
}

static void nearer_directories_hide_files_of_the_same_name(void **state) {
    (void)state;
    put_pair("/fw/system", "/fw/vars");
    put_pair("/fw/admin", "/fw/vars");
    put_pair("/fw/mine", "/fw/vars");
    put_descriptor(SYSTEM "50.json", FLASH("/fw/system", "/fw/vars"), Q35, "");
    put_descriptor("/etc/qemu/firmware/50.json", FLASH("/fw/admin", "/fw/vars"), Q35, "");
    expect("/fw/admin");
    put_descriptor("/home/me/.config/qemu/firmware/60.json", FLASH("/fw/mine", "/fw/vars"), Q35, "");
    expect("/fw/admin"); /* by name, over all of them */
    put_descriptor("/home/me/.config/qemu/firmware/50.json", FLASH("/fw/mine", "/fw/vars"), Q35, "");
    expect("/fw/mine");
    put_text("/home/me/.config/qemu/firmware/50.json", "");
    put_text("/home/me/.config/qemu/firmware/60.json", "");
    expect("");
    /* XDG: a relative path is to be ignored. */
    assert_int_equal(setenv("XDG_CONFIG_HOME", "elsewhere", 1), 0);
    expect("");
    assert_int_equal(setenv("XDG_CONFIG_HOME", "", 1), 0);
    expect("");
    assert_int_equal(setenv("XDG_CONFIG_HOME", "/elsewhere", 1), 0);
    expect("/fw/admin");
    put_descriptor("/elsewhere/qemu/firmware/50.json", FLASH("/fw/mine", "/fw/vars"), Q35, "");
    expect("/fw/mine");
}

static void other_mappings_have_their_kinds(void **state) {
    static const struct {
        const char *mapping;
        enum firmware_kind kind;
    } cases[] = {
        {"{\"device\":\"memory\",\"filename\":\"/fw/code\"}", FIRMWARE_ROM},
        {"{\"device\":\"flash\",\"mode\":\"combined\",\"executable\":{\"filename\":\"/fw/code\",\"format\":\"raw\"}}",
         FIRMWARE_COMBINED},
        {"{\"device\":\"flash\",\"mode\":\"stateless\",\"executable\":{\"filename\":\"/fw/code\",\"format\":\"raw\"}}",
         FIRMWARE_ROM},
        {"{\"device\":\"flash\",\"mode\":\"combined\",\"executable\":{\"filename\":\"/fw/code\",\"format\":\"qcow2\"}}",
         FIRMWARE_COMBINED},
    };

    (void)state;
    put_text("/fw/code", "code");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct firmware firmware;

        put_descriptor(SYSTEM "50.json", cases[i].mapping, Q35, "");
        assert_int_equal(firmware_find(top, arch_find("x86_64"), "--bios FILE", &firmware, NULL), 0);
        assert_int_equal(firmware.kind, cases[i].kind);
        assert_null(firmware.vars);
        assert_string_equal(firmware.code_format, i == 3 ? "qcow2" : "raw");
        assert_false(firmware.smm);
        firmware_deinit(&firmware);
    }
    /* What -bios cannot take, and what has no variables. */
    put_descriptor(SYSTEM "50.json",
                   "{\"device\":\"flash\",\"mode\":\"stateless\",\"executable\":{\"filename\":\"/fw/code\","
                   "\"format\":\"qcow2\"}}",
                   Q35, "");
    expect("");
    put_descriptor(SYSTEM "50.json",
                   "{\"device\":\"flash\",\"mode\":\"split\",\"executable\":{\"filename\":\"/fw/code\"}}", Q35, "");
    expect("");
}

static void every_distributions_place_is_known(void **state) {
    static const struct {
        const char *code;
        const char *vars; /* NULL: in the same file */
    } cases[] = {
        {"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"},
        {"/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"},
        {"/usr/share/edk2/ovmf/OVMF_CODE_4M.qcow2", "/usr/share/edk2/ovmf/OVMF_VARS_4M.qcow2"},
        {"/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"},
        {"/usr/share/edk2/ovmf/OVMF_CODE.cc.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"},
        {"/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"},
        {"/usr/share/edk2/x64/OVMF_CODE.fd", "/usr/share/edk2/x64/OVMF_VARS.fd"},
        {"/usr/share/edk2-ovmf/x64/OVMF_CODE.fd", "/usr/share/edk2-ovmf/x64/OVMF_VARS.fd"},
        {"/usr/share/qemu/ovmf-x86_64-4m-code.bin", "/usr/share/qemu/ovmf-x86_64-4m-vars.bin"},
        {"/usr/share/qemu/ovmf-x86_64-code.bin", "/usr/share/qemu/ovmf-x86_64-vars.bin"},
        {"/run/libvirt/nix-ovmf/OVMF_CODE.fd", "/run/libvirt/nix-ovmf/OVMF_VARS.fd"},
        {"/run/libvirt/nix-ovmf/edk2-x86_64-code.fd", "/run/libvirt/nix-ovmf/edk2-i386-vars.fd"},
        {"/run/current-system/sw/share/qemu/edk2-x86_64-code.fd",
         "/run/current-system/sw/share/qemu/edk2-i386-vars.fd"},
        {"/usr/share/qemu/edk2-x86_64-code.fd", "/usr/share/qemu/edk2-i386-vars.fd"},
        {"/usr/local/share/qemu/edk2-x86_64-code.fd", "/usr/local/share/qemu/edk2-i386-vars.fd"},
        {"/usr/share/ovmf/OVMF.fd", NULL},
        {"/usr/share/edk2/x64/OVMF.4m.fd", NULL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const char *format = str_has_suffix(cases[i].code, ".qcow2") ? "qcow2" : "raw";
        _cleanup_firmware_ struct firmware firmware = {0};

        put_text(cases[i].code, "code");
        if (cases[i].vars) {
            expect(""); /* one without its partner is of no use */
            put_text(cases[i].vars, "vars");
        }
        assert_int_equal(firmware_find(top, arch_find("x86_64"), "--bios FILE", &firmware, NULL), 0);
        const struct arch foreign = {.name = "aarch64",
                                     .machine = "virt",
                                     .machine_versioned = "virt-9.9",
                                     .firmware = (const struct arch_firmware[]){{NULL, NULL}}};
        assert_int_equal(firmware_find(top, &foreign, "--bios FILE", &firmware, NULL), -ENOENT);
        assert_string_equal(firmware.code + strlen(top), cases[i].code);
        assert_string_equal(firmware.code_format, format);
        assert_int_equal(firmware.kind, cases[i].vars ? FIRMWARE_SPLIT : FIRMWARE_COMBINED);
        assert_string_equal(firmware.vars ? firmware.vars + strlen(top) : "", cases[i].vars ? cases[i].vars : "");
        assert_string_equal(firmware.vars ? firmware.vars_format : format, format);
        assert_false(firmware.smm);
        assert_int_equal(teardown(state), 0);
        assert_int_equal(mkdir(top, 0700), 0);
    }
}

static void descriptors_are_looked_for_in_five_places_and_before_the_distributions(void **state) {
    static const char *const directories[] = {"/home/me/.config/qemu/firmware", "/etc/qemu/firmware",
                                              "/usr/share/qemu/firmware", "/usr/local/share/qemu/firmware",
                                              "/run/current-system/sw/share/qemu/firmware"};

    put_pair("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd");
    put_pair("/fw/code", "/fw/vars");
    for (size_t i = 0; i < ARRAY_SIZE(directories); i++) {
        _cleanup_free_ char *name = xasprintf("%s/50.json", directories[i]);
        _cleanup_free_ char *path = xasprintf("%s%s", top, name);

        expect("/usr/share/OVMF/OVMF_CODE_4M.fd");
        put_descriptor(name, FLASH("/fw/code", "/fw/vars"), Q35, "");
        expect("/fw/code");
        assert_int_equal(unlink(path), 0);
    }
}

/* A file that the user names; the name of its kind, or the words of the error. */
static void check_file(const char *name, int kind, const char *words) {
    _cleanup_error_ struct error *error = NULL;
    _cleanup_free_ char *path = xasprintf("%s%s", top, name);
    struct firmware firmware;
    int r = firmware_from_file(top, path, arch_find("x86_64"), "f.toml:1:2", &firmware, &error);

    if (kind < 0) {
        assert_true(r < 0);
        if (!strstr(error_message(error), words) || !str_skip_prefix(error_message(error), "f.toml:1:2: "))
            fail_msg("%s: %s", name, error_message(error));
        return;
    }
    if (r < 0)
        fail_msg("%s: %s", name, error_message(error));
    assert_int_equal(firmware.kind, kind);
    assert_string_equal(firmware.code, path);
    if (words)
        assert_string_equal(firmware.vars + strlen(top), words);
    else
        assert_null(firmware.vars);
    firmware_deinit(&firmware);
}

static void a_named_file_is_looked_into(void **state) {
    static const unsigned char guid[] = {0x8d, 0x2b, 0xf1, 0xff, 0x96, 0x76, 0x8b, 0x4c,
                                         0xa9, 0x85, 0x27, 0x47, 0x07, 0x5b, 0x4f, 0x50};
    static unsigned char volume[65536];
    _cleanup_free_ char *directory = xasprintf("%s/fw/dir", top);

    (void)state;
    put_text("/fw/text", "this is no firmware at all, but long enough for the head of one: 64 bytes and more\n");
    put_text("/fw/empty", "");
    put_text("/fw/OTHER_VARS.fd", "vars");
    memset(volume, 0, sizeof(volume));
    put("/fw/zeros", volume, sizeof(volume));
    volume[sizeof(volume) - 16] = 0xea; /* a far jump where the processor starts */
    put("/fw/rom", volume, sizeof(volume));
    put("/fw/odd", volume + 1, sizeof(volume) - 1);
    memcpy(volume + 40, "_FVH", 4);
    put("/fw/OTHER_CODE.fd", volume, sizeof(volume));
    put("/fw/lower-code.bin", volume, sizeof(volume));
    put_text("/fw/lower-vars.bin", "vars");
    put_text("/fw/X_CODE.qcow2", "QFI\xfb");
    put_text("/fw/X_VARS.qcow2", "vars");
    put_text("/fw/single.qcow2", "QFI\xfb");
    put("/fw/ALONE_CODE.fd", volume, sizeof(volume));
    memcpy(volume + 16, guid, sizeof(guid));
    put("/fw/OVMF.fd", volume, sizeof(volume));
    assert_int_equal(mkdir(directory, 0755), 0);

    check_file("/fw/OVMF.fd", FIRMWARE_COMBINED, NULL);
    check_file("/fw/OTHER_CODE.fd", FIRMWARE_SPLIT, "/fw/OTHER_VARS.fd");
    check_file("/fw/ALONE_CODE.fd", FIRMWARE_ROM, NULL);
    check_file("/fw/rom", FIRMWARE_ROM, NULL);
    check_file("/fw/lower-code.bin", FIRMWARE_SPLIT, "/fw/lower-vars.bin");
    check_file("/fw/X_CODE.qcow2", FIRMWARE_SPLIT, "/fw/X_VARS.qcow2");
    check_file("/fw/single.qcow2", FIRMWARE_COMBINED, NULL);
    check_file("/fw/zeros", -1, "is no firmware");
    check_file("/fw/odd", -1, "is no firmware");
    check_file("/fw/text", -1, "is no firmware");
    check_file("/fw/empty", -1, "is empty");
    check_file("/fw/dir", -1, "is a directory");
    check_file("/fw/missing", -1, "No such file");
}

static void a_named_file_of_a_descriptor_gets_its_partner(void **state) {
    (void)state;
    put_pair("/fw/signed", "/fw/vars-of-it");
    put_descriptor(SYSTEM "10.json", FLASH("/fw/signed", "/fw/vars-of-it"), Q35, "\"enrolled-keys\"");
    check_file("/fw/signed", FIRMWARE_SPLIT, "/fw/vars-of-it");
    /* By whatever name: what counts is the file. */
    _cleanup_free_ char *link = xasprintf("%s/fw/link", top);
    _cleanup_firmware_ struct firmware firmware = {0};
    assert_int_equal(symlink("signed", link), 0);
    assert_int_equal(firmware_from_file(top, link, arch_find("x86_64"), "f", &firmware, NULL), 0);
    assert_string_equal(firmware.vars + strlen(top), "/fw/vars-of-it");
    put_pair("/usr/share/qemu/edk2-x86_64-code.fd", "/usr/share/qemu/edk2-i386-vars.fd");
    check_file("/usr/share/qemu/edk2-x86_64-code.fd", FIRMWARE_SPLIT, "/usr/share/qemu/edk2-i386-vars.fd");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_at_all_names_the_packages, setup, teardown),
        cmocka_unit_test_setup_teardown(a_descriptor_tells_everything, setup, teardown),
        cmocka_unit_test_setup_teardown(what_boots_the_unsigned_comes_first, setup, teardown),
        cmocka_unit_test_setup_teardown(what_does_not_fit_is_passed_over, setup, teardown),
        cmocka_unit_test_setup_teardown(machines_and_architectures_are_matched_by_their_patterns, setup, teardown),
        cmocka_unit_test_setup_teardown(nearer_directories_hide_files_of_the_same_name, setup, teardown),
        cmocka_unit_test_setup_teardown(other_mappings_have_their_kinds, setup, teardown),
        cmocka_unit_test_setup_teardown(every_distributions_place_is_known, setup, teardown),
        cmocka_unit_test_setup_teardown(descriptors_are_looked_for_in_five_places_and_before_the_distributions, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_named_file_is_looked_into, setup, teardown),
        cmocka_unit_test_setup_teardown(a_named_file_of_a_descriptor_gets_its_partner, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
