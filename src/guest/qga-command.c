/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/qga-command.h"

#include "base/base64.h"

static int reply_error(struct error **ret_error, const char *command, const char *what) {
    return error_new(ret_error, EPROTO, "the QEMU guest agent answered %s with %s", command, what);
}

void qga_info_deinit(struct qga_info *info) {
    free(info->version);
    *info = (struct qga_info){0};
}

int qga_parse_info(const json_t *reply, struct qga_info *ret, struct error **ret_error) {
    const char *version = json_string_value(json_object_get(reply, "version"));
    const json_t *commands = json_object_get(reply, "supported_commands");
    struct qga_info info = {0};

    if (!version || !json_is_array(commands))
        return reply_error(ret_error, "guest-info", version ? "no commands" : "no version");
    for (size_t i = 0; i < json_array_size(commands); i++) {
        const json_t *command = json_array_get(commands, i);
        const char *name = json_string_value(json_object_get(command, "name"));
        const json_t *enabled = json_object_get(command, "enabled");

        if (!name || !json_is_boolean(enabled))
            return reply_error(ret_error, "guest-info", "a command without name or state");
        if (str_equal(name, "guest-exec"))
            info.exec = json_is_true(enabled) ? QGA_ENABLED : QGA_DISABLED;
        else if (str_equal(name, "guest-exec-status"))
            info.exec_status = json_is_true(enabled) ? QGA_ENABLED : QGA_DISABLED;
    }
    info.version = xstrdup(version);
    *ret = info;
    return 0;
}

void qga_osinfo_deinit(struct qga_osinfo *osinfo) {
    free(osinfo->id);
    free(osinfo->name);
    free(osinfo->kernel_release);
    free(osinfo->machine);
    *osinfo = (struct qga_osinfo){0};
}

static char *copy_or_null(const char *text) {
    return text ? xstrdup(text) : NULL;
}

int qga_parse_osinfo(const json_t *reply, struct qga_osinfo *ret, struct error **ret_error) {
    const char *id = NULL, *name = NULL, *release = NULL, *machine = NULL;
    json_error_t why;

    if (json_unpack_ex((json_t *)(uintptr_t)reply, &why, 0, "{s?s, s?s, s?s, s?s}", "id", &id, "pretty-name", &name,
                       "kernel-release", &release, "machine", &machine) < 0)
        return reply_error(ret_error, "guest-get-osinfo", why.text);
    *ret = (struct qga_osinfo){
        .id = copy_or_null(id),
        .name = copy_or_null(name),
        .kernel_release = copy_or_null(release),
        .machine = copy_or_null(machine),
    };
    return 0;
}

/* An array of `count` strings. NULL when one is no UTF-8. */
static json_t *string_array(char *const *strings, size_t count) {
    json_t *array = json_array();

    for (size_t i = 0; i < count; i++) {
        if (json_array_append_new(array, json_string(strings[i])) < 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

json_t *qga_exec_arguments(const char *path, const struct strv *arguments, char *const *environment, const void *input,
                           size_t input_size) {
    json_t *object = json_object();
    int r = json_object_set_new(object, "path", json_string(path));

    r |= json_object_set_new(object, "capture-output", json_true());
    if (arguments && arguments->count > 0)
        r |= json_object_set_new(object, "arg", string_array(arguments->items, arguments->count));
    if (environment) {
        size_t count = 0;

        while (environment[count])
            count++;
        r |= json_object_set_new(object, "env", string_array(environment, count));
    }
    if (input) {
        _cleanup_buffer_ struct buffer text = {0};

        base64_encode(&text, input, input_size);
        r |= json_object_set_new(object, "input-data", json_stringn_nocheck(text.data, text.size));
    }
    if (r != 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

int qga_parse_exec(const json_t *reply, int64_t *ret_pid, struct error **ret_error) {
    /* 0 for what is no integer. */
    json_int_t pid = json_integer_value(json_object_get(reply, "pid"));

    if (pid <= 0)
        return reply_error(ret_error, "guest-exec", "no number of a process");
    *ret_pid = pid;
    return 0;
}

json_t *qga_exec_status_arguments(int64_t pid) {
    return json_pack("{s:I}", "pid", (json_int_t)pid);
}

void qga_exec_status_deinit(struct qga_exec_status *status) {
    buffer_deinit(&status->out);
    buffer_deinit(&status->err);
    *status = (struct qga_exec_status){0};
}

/* A number of 32 bits; its sign does not matter (Windows' codes have the highest bit set). */
static bool is_number(const json_t *value) {
    json_int_t number = json_integer_value(value);

    return json_is_integer(value) && number >= INT32_MIN && number <= UINT32_MAX;
}

static bool is_string(const json_t *value) {
    return json_is_string(value);
}

static bool is_flag(const json_t *value) {
    return json_is_boolean(value);
}

/* Each member may be missing. */
static int check_members(const json_t *reply, struct error **ret_error) {
    static const struct {
        const char *key;
        bool (*is_valid)(const json_t *value);
    } members[] = {
        {"exitcode", is_number}, {"signal", is_number},      {"out-data", is_string},
        {"err-data", is_string}, {"out-truncated", is_flag}, {"err-truncated", is_flag},
    };

    for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
        const json_t *value = json_object_get(reply, members[i].key);

        if (value && !members[i].is_valid(value))
            return error_new(ret_error, EPROTO, "the QEMU guest agent sent a malformed '%s'", members[i].key);
    }
    return 0;
}

static int decode_data(const json_t *reply, const char *key, struct buffer *ret, struct error **ret_error) {
    const json_t *value = json_object_get(reply, key);
    _cleanup_error_ struct error *error = NULL;

    if (value && base64_decode(ret, json_string_value(value), json_string_length(value), &error) < 0)
        return error_new(ret_error, EPROTO, "the QEMU guest agent's '%s': %s", key, error_message(error));
    return 0;
}

int qga_parse_exec_status(const json_t *reply, struct qga_exec_status *ret, struct error **ret_error) {
    _cleanup_qga_exec_status_ struct qga_exec_status status = {0};
    const json_t *exited = json_object_get(reply, "exited");
    const json_t *code = json_object_get(reply, "exitcode");
    /* A signal counts more than an exit code; signal 0 is none. */
    const json_t *number = json_object_get(reply, "signal");
    int r;

    if (!json_is_boolean(exited))
        return reply_error(ret_error, "guest-exec-status", "nothing about whether the process has exited");
    status.exited = json_is_true(exited);
    if (status.exited) {
        r = check_members(reply, ret_error);
        if (r == 0)
            r = decode_data(reply, "out-data", &status.out, ret_error);
        if (r == 0)
            r = decode_data(reply, "err-data", &status.err, ret_error);
        if (r < 0)
            return r;
        status.signalled = json_integer_value(number) != 0;
        if (!status.signalled && !code)
            return reply_error(ret_error, "guest-exec-status", "neither exit code nor signal");
        status.status = (int)(uint32_t)json_integer_value(status.signalled ? number : code);
        status.out_truncated = json_is_true(json_object_get(reply, "out-truncated"));
        status.err_truncated = json_is_true(json_object_get(reply, "err-truncated"));
    }
    *ret = status;
    status = (struct qga_exec_status){0};
    return 0;
}
