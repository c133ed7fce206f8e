/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collects everything that makes a difference to a frozen machine into the inputs of its template's key: digests of the
 * files that it boots from, identities of QEMU and the disk, the normalized command line, and the host's processor.
 */
#include "worker/template-inputs.h"

#include <limits.h>
#include <sys/utsname.h>

#include "base/digest.h"
#include "base/file.h"
#include "machine/launch.h"
#include "template/key.h"

#define CPUINFO_LIMIT (4u << 20)

/* The agent, embedded in this program. */
extern const char agent_blob[];
extern const char agent_blob_end[];

/* The inputs, and the strings that they point to. */
struct found {
    struct strv owned;
    struct template_inputs inputs;
};

/* Keeps a string that was looked up. */
static const char *keep_text(struct found *found, char *text) {
    strv_append_take(&found->owned, text);
    return text;
}

/* The digest of a file of the preparation, which keeps it for all that ask for it. */
static int find_prepared(int fd, char **digest, const char **ret, struct error **ret_error) {
    int r = *digest ? 0 : digest_fd(fd, digest, ret_error);

    if (r == 0)
        *ret = *digest;
    return r;
}

static int find_digest(struct found *found, int fd, const char **ret, struct error **ret_error) {
    char *digest = NULL;
    int r = digest_fd(fd, &digest, ret_error);

    if (r == 0)
        *ret = keep_text(found, digest);
    return r;
}

/* The directory of QEMU's BIOS and option ROMs, beside its program; a QEMU that is elsewhere has none that we know. */
static int find_data(struct found *found, const char *program, struct error **ret_error) {
    _cleanup_free_ char *parent = NULL;
    _cleanup_free_ char *path = NULL;
    char resolved[PATH_MAX];
    char *identity = NULL;
    int r;

    if (!realpath(program, resolved))
        return error_errno(ret_error, errno, "%s", program);
    parent = path_parent(resolved);
    path = xasprintf("%s/../share/qemu", parent);
    if (!path_is_directory(path))
        return 0;
    r = digest_directory_identity(path, &identity, ret_error);
    if (r == 0)
        found->inputs.qemu_data = keep_text(found, identity);
    return r;
}

static int find_qemu(struct found *found, const char *program, struct error **ret_error) {
    char *identity = NULL;
    int r = digest_file_identity(program, &identity, ret_error);

    if (r < 0)
        return r;
    found->inputs.qemu = keep_text(found, identity);
    return find_data(found, program, ret_error);
}

/* The value of the first line "KEY : VALUE" of /proc/cpuinfo, or NULL. Caller frees. */
static char *cpuinfo_value(const char *text, const char *key) {
    for (const char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        const char *rest = str_skip_prefix(line, key);

        if (!rest || !strchr(" \t:", *rest))
            continue;
        rest += strspn(rest, " \t:");
        return xstrndup(rest, strcspn(rest, "\n"));
    }
    return NULL;
}

/* Under KVM the guest sees the host's processor; emulated, it counts time by the host's TSC. */
static int find_host(struct found *found, struct error **ret_error) {
    _cleanup_buffer_ struct buffer cpuinfo = {0};
    struct utsname name;
    int r = file_read("/proc/cpuinfo", CPUINFO_LIMIT, &cpuinfo, ret_error);

    if (r < 0)
        return r;
    char *model = cpuinfo_value(cpuinfo.data, "model name");
    char *flags = cpuinfo_value(cpuinfo.data, "flags");
    found->inputs.host_cpu = model ? keep_text(found, model) : NULL;
    found->inputs.host_flags = flags ? keep_text(found, flags) : NULL;
    (void)uname(&name);
    found->inputs.host_kernel = keep_text(found, xasprintf("%s %s", name.release, name.version));
    return 0;
}

static int add_identities(struct buffer *text, const struct strv *paths, struct error **ret_error) {
    for (size_t i = 0; i < paths->count; i++) {
        _cleanup_free_ char *identity = NULL;
        int r = digest_image_identity(paths->items[i], &identity, ret_error);

        if (r < 0)
            return r;
        buffer_printf(text, "%s\n", identity);
    }
    return 0;
}

/* The identities of all files behind an image: its backing files, the nearest first, and what it and they consist of.
 */
static int find_chain(struct found *found, const struct image *image, struct error **ret_error) {
    _cleanup_buffer_ struct buffer text = {0};
    int r = add_identities(&text, &image->backing, ret_error);

    if (r == 0)
        r = add_identities(&text, &image->parts, ret_error);
    if (r == 0)
        r = add_identities(&text, &image->backing_parts, ret_error);
    if (r == 0)
        found->inputs.image_chain = keep_text(found, buffer_take(&text));
    return r;
}

static int find_image(struct found *found, const struct target *target, const struct preparation *preparation,
                      struct error **ret_error) {
    char *identity = NULL;
    int r = digest_image_identity(target->image, &identity, ret_error);

    if (r < 0)
        return r;
    found->inputs.image = keep_text(found, xasprintf("%s %s", preparation->image.format, identity));
    free(identity);
    return find_chain(found, &preparation->image, ret_error);
}

static int find_firmware(struct found *found, const struct preparation *preparation, struct error **ret_error) {
    char *digest = NULL;
    int r = digest_file(preparation->firmware.code, &digest, ret_error);

    if (r < 0)
        return r;
    found->inputs.firmware = keep_text(found, digest);
    if (preparation->vars_fd < 0)
        return 0;
    return find_digest(found, preparation->vars_fd, &found->inputs.firmware_vars, ret_error);
}

static int find_all(struct found *found, const struct target *target, struct preparation *preparation,
                    struct error **ret_error) {
    struct template_inputs *inputs = &found->inputs;
    int r = 0;

    inputs->format = TEMPLATE_FORMAT;
    inputs->agent = keep_text(found, digest_buffer(agent_blob, (size_t)(agent_blob_end - agent_blob)));
    inputs->accel = accel_name(preparation->accel);
    machine_launch_normal_argv(target, preparation, &inputs->arguments);
    if (target->kernel)
        r = find_prepared(preparation->kernel_fd, &preparation->kernel_digest, &inputs->kernel, ret_error);
    if (r == 0 && target->kernel)
        r = find_prepared(preparation->initrd_fd, &preparation->initrd_digest, &inputs->initrd, ret_error);
    if (r == 0 && target->image)
        r = find_image(found, target, preparation, ret_error);
    if (r == 0 && target->uefi)
        r = find_firmware(found, preparation, ret_error);
    if (r == 0)
        r = find_host(found, ret_error);
    return r == 0 ? find_qemu(found, preparation->program, ret_error) : r;
}

int template_inputs_key(const struct target *target, struct preparation *preparation, char **ret_key,
                        struct error **ret_error) {
    struct found found = {0};
    int r = find_all(&found, target, preparation, ret_error);

    if (r == 0)
        *ret_key = template_key(&found.inputs);
    strv_deinit(&found.inputs.arguments);
    strv_deinit(&found.owned);
    return r;
}
