/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which drivers a kernel has, when no index tells: by the configuration that lies beside it (config-RELEASE, config,
 * .config), else by the one that CONFIG_IKCONFIG puts into it, else by messages of the drivers in its code.
 */
#include "base/file.h"
#include "kernel/unpack.h"
#include "modules/modules-internal.h"

#define CONFIG_LIMIT ((size_t)16 << 20)

static bool read_config(struct built_in *built_in, const char *directory, const char *name) {
    _cleanup_free_ char *path = xasprintf("%s/%s", directory, name);
    _cleanup_buffer_ struct buffer text = {0};
    /* A file named "config" may be anything: this one has to speak of modules one way or the other. */
    if (path_is_directory(path) || file_read(path, CONFIG_LIMIT, &text, NULL) < 0 || text.size == 0 ||
        !memmem(text.data, text.size, "CONFIG_MODULES", strlen("CONFIG_MODULES")))
        return false;
    buffer_append_string(&built_in->config, "\n");
    buffer_append(&built_in->config, text.data, text.size);
    return true;
}

static bool read_config_files(struct built_in *built_in) {
    _cleanup_free_ char *own = modules_kernel_directory(built_in->kernel);
    _cleanup_free_ char *tree = modules_kernel_tree(built_in->kernel);
    _cleanup_free_ char *named = xasprintf("config-%s", built_in->kernel->release);
    if (read_config(built_in, own, named) || read_config(built_in, tree, ".config") ||
        read_config(built_in, own, "config"))
        return true;
    return built_in->modules_directory && (read_config(built_in, built_in->modules_directory, "config") ||
                                           read_config(built_in, built_in->modules_directory, ".config"));
}

static int find_code(struct built_in *built_in, struct error **ret_error) {
    const struct kernel *kernel = built_in->kernel;
    const void *code = kernel->map;
    size_t size = kernel->size;
    int r = 0;
    if (kernel->format == KERNEL_BZIMAGE) {
        r = kernel_unpack(kernel, &built_in->unpacked, ret_error);
        code = built_in->unpacked.data;
        size = built_in->unpacked.size;
    }
    if (r < 0) {
        if (ret_error)
            error_context(ret_error, "cannot tell which drivers are built in");
        return r;
    }
    built_in->code = code;
    built_in->code_size = size;
    return 0;
}

static bool read_embedded_config(struct built_in *built_in) {
    static const char start[] = "IKCFG_ST\x1f\x8b", end[] = "IKCFG_ED";
    const char *limit = built_in->code + built_in->code_size;
    const char *from = memmem(built_in->code, built_in->code_size, start, sizeof(start) - 1);
    if (!from)
        return false;
    from += strlen("IKCFG_ST");
    const char *to = memmem(from, (size_t)(limit - from), end, sizeof(end) - 1);
    if (!to)
        return false;
    struct unpack_limits limits = {.expected = 0, .limit = CONFIG_LIMIT};
    buffer_append_string(&built_in->config, "\n");
    return unpack_memory("the kernel's configuration", from, (size_t)(to - from), limits, &built_in->config, NULL) == 0;
}

static int built_in_look(struct built_in *built_in, struct error **ret_error) {
    if (built_in->looked)
        return 0;
    if (!read_config_files(built_in)) {
        int r = find_code(built_in, ret_error);
        if (r < 0)
            return r;
        if (!read_embedded_config(built_in))
            buffer_deinit(&built_in->config);
    }
    built_in->looked = true;
    return 0;
}

static enum driver_state ask_config(const struct buffer *config, const char *symbol) {
    _cleanup_free_ char *line = xasprintf("\n%s=", symbol);
    const char *at = memmem(config->data, config->size, line, strlen(line));
    const char *value = at ? at + strlen(line) : "";
    return *value == 'y' ? DRIVER_BUILT_IN : *value == 'm' ? DRIVER_MODULE : DRIVER_ABSENT;
}

int built_in_ask(struct built_in *built_in, const struct driver *driver, enum driver_state *ret,
                 struct error **ret_error) {
    int r = built_in_look(built_in, ret_error);
    if (r < 0)
        return r;
    *ret = DRIVER_ABSENT;
    if (built_in->config.size > 0) {
        *ret = ask_config(&built_in->config, driver->symbol);
        return 0;
    }
    for (size_t i = 0; i < DRIVER_MARKERS && driver->markers[i]; i++)
        if (memmem(built_in->code, built_in->code_size, driver->markers[i], strlen(driver->markers[i])))
            *ret = DRIVER_BUILT_IN;
    return 0;
}

void built_in_deinit(struct built_in *built_in) {
    buffer_deinit(&built_in->config);
    buffer_deinit(&built_in->unpacked);
}
