/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which drivers a kernel has, when no index tells: by the configuration that lies beside it (config-RELEASE, config,
 * .config), else by the one that CONFIG_IKCONFIG puts into it, else by messages of the drivers in its code.
 */
#include "base/file.h"
#include "modules/modules-internal.h"
#include "kernel/unpack.h"

#define CONFIG_LIMIT ((size_t)16 << 20)

static bool read_config(struct evidence *evidence, const char *directory, const char *name) {
    _cleanup_free_ char *path = xasprintf("%s/%s", directory, name);
    _cleanup_buffer_ struct buffer text = {0};
    /* A file named "config" may be anything: this one has to speak of modules one way or the other. */
    if (path_is_directory(path) || file_read(path, CONFIG_LIMIT, &text, NULL) < 0 || text.size == 0 ||
        !memmem(text.data, text.size, "CONFIG_MODULES", strlen("CONFIG_MODULES")))
        return false;
    buffer_append_string(&evidence->config, "\n");
    buffer_append(&evidence->config, text.data, text.size);
    return true;
}

static bool read_config_files(struct evidence *evidence) {
    _cleanup_free_ char *own = modules_kernel_directory(evidence->kernel);
    _cleanup_free_ char *tree = modules_kernel_tree(evidence->kernel);
    _cleanup_free_ char *named = xasprintf("config-%s", evidence->kernel->release);
    if (read_config(evidence, own, named) || read_config(evidence, tree, ".config") ||
        read_config(evidence, own, "config"))
        return true;
    return evidence->modules_directory && (read_config(evidence, evidence->modules_directory, "config") ||
                                           read_config(evidence, evidence->modules_directory, ".config"));
}

static int find_code(struct evidence *evidence, struct error **ret_error) {
    const struct kernel *kernel = evidence->kernel;
    const void *code = kernel->map;
    size_t size = kernel->size;
    int r = 0;
    if (kernel->format == KERNEL_BZIMAGE) {
        r = kernel_unpack(kernel, &evidence->unpacked, ret_error);
        code = evidence->unpacked.data;
        size = evidence->unpacked.size;
    }
    if (r < 0) {
        if (ret_error)
            error_context(ret_error, "cannot tell which drivers are built in");
        return r;
    }
    evidence->code = code;
    evidence->code_size = size;
    return 0;
}

static bool read_embedded_config(struct evidence *evidence) {
    static const char start[] = "IKCFG_ST\x1f\x8b", end[] = "IKCFG_ED";
    const char *limit = evidence->code + evidence->code_size;
    const char *from = memmem(evidence->code, evidence->code_size, start, sizeof(start) - 1);
    if (!from)
        return false;
    from += strlen("IKCFG_ST");
    const char *to = memmem(from, (size_t)(limit - from), end, sizeof(end) - 1);
    if (!to)
        return false;
    struct unpack_limits limits = {.expected = 0, .limit = CONFIG_LIMIT};
    buffer_append_string(&evidence->config, "\n");
    return unpack_memory("the kernel's configuration", from, (size_t)(to - from), limits, &evidence->config, NULL) == 0;
}

static int look(struct evidence *evidence, struct error **ret_error) {
    if (evidence->looked)
        return 0;
    if (!read_config_files(evidence)) {
        int r = find_code(evidence, ret_error);
        if (r < 0)
            return r;
        if (!read_embedded_config(evidence))
            buffer_deinit(&evidence->config);
    }
    evidence->looked = true;
    return 0;
}

static enum driver_state ask_config(const struct buffer *config, const char *symbol) {
    _cleanup_free_ char *line = xasprintf("\n%s=", symbol);
    const char *at = memmem(config->data, config->size, line, strlen(line));
    const char *value = at ? at + strlen(line) : "";
    return *value == 'y' ? DRIVER_BUILT_IN : *value == 'm' ? DRIVER_MODULE : DRIVER_ABSENT;
}

int evidence_ask(struct evidence *evidence, const struct driver *driver, enum driver_state *ret,
                 struct error **ret_error) {
    int r = look(evidence, ret_error);
    if (r < 0)
        return r;
    *ret = DRIVER_ABSENT;
    if (evidence->config.size > 0) {
        *ret = ask_config(&evidence->config, driver->symbol);
        return 0;
    }
    for (size_t i = 0; i < DRIVER_MARKERS && driver->markers[i]; i++)
        if (memmem(evidence->code, evidence->code_size, driver->markers[i], strlen(driver->markers[i])))
            *ret = DRIVER_BUILT_IN;
    return 0;
}

void evidence_deinit(struct evidence *evidence) {
    buffer_deinit(&evidence->config);
    buffer_deinit(&evidence->unpacked);
}
