/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/qga-command.h"

#include "base/base64.h"

static int shape_error(struct error **ret_error, const char *command, const char *what) {
    return error_new(ret_error, EPROTO, "the QEMU guest agent answered %s with %s", command, what);
}

void qga_info_deinit(struct qga_info *info) {
    free(info->version);
    *info = (struct qga_info){0};
}

static void take_command(struct qga_info *info, const char *name, bool enabled) {
    const struct {
        const char *name;
        bool *enabled;
        bool *known;
    } commands[] = {
        {"guest-exec", &info->exec, &info->exec_known},
        {"guest-exec-status", &info->exec_status, &info->exec_status_known},
        {"guest-shutdown", &info->shutdown, NULL},
        {"guest-file-open", &info->file_open, NULL},
        {"guest-get-osinfo", &info->osinfo, NULL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        if (!str_equal(name, commands[i].name))
            continue;
        *commands[i].enabled = enabled;
        if (commands[i].known)
            *commands[i].known = true;
    }
}

int qga_parse_info(const json_t *reply, struct qga_info *ret, struct error **ret_error) {
    const char *version = json_string_value(json_object_get(reply, "version"));
    const json_t *commands = json_object_get(reply, "supported_commands");
    struct qga_info info = {0};

    if (!version || !json_is_array(commands))
        return shape_error(ret_error, "guest-info", version ? "no commands" : "no version");
    for (size_t i = 0; i < json_array_size(commands); i++) {
        const json_t *command = json_array_get(commands, i);
        const char *name = json_string_value(json_object_get(command, "name"));
        const json_t *enabled = json_object_get(command, "enabled");

        if (!name || !json_is_boolean(enabled))
            return shape_error(ret_error, "guest-info", "a command without name or state");
        take_command(&info, name, json_is_true(enabled));
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

int qga_parse_osinfo(const json_t *reply, struct qga_osinfo *ret, struct error **ret_error) {
    struct qga_osinfo osinfo = {0};
    const struct {
        const char *key;
        char **value;
    } fields[] = {
        {"id", &osinfo.id},
        {"pretty-name", &osinfo.name},
        {"kernel-release", &osinfo.kernel_release},
        {"machine", &osinfo.machine},
    };

    if (!json_is_object(reply))
        return shape_error(ret_error, "guest-get-osinfo", "no object");
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        const json_t *value = json_object_get(reply, fields[i].key);

        if (!value)
            continue;
        if (!json_is_string(value)) {
            qga_osinfo_deinit(&osinfo);
            return error_new(ret_error, EPROTO, "the QEMU guest agent told '%s', but no string", fields[i].key);
        }
        *fields[i].value = xstrdup(json_string_value(value));
    }
    *ret = osinfo;
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
        return shape_error(ret_error, "guest-exec", "no number of a process");
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

/*
 * Reads a number of 32 bits; its sign does not matter (Windows' codes have the highest bit set). Tells in *ret_given
 * whether it is there at all.
 */
static int take_number(const json_t *reply, const char *key, bool *ret_given, int *ret, struct error **ret_error) {
    const json_t *value = json_object_get(reply, key);
    json_int_t number = json_integer_value(value);

    if (value && (!json_is_integer(value) || number < INT32_MIN || number > UINT32_MAX))
        return error_new(ret_error, EPROTO, "the QEMU guest agent told '%s', but no number of 32 bits", key);
    *ret_given = value != NULL;
    if (value)
        *ret = (int)(uint32_t)number;
    return 0;
}

static int take_flag(const json_t *reply, const char *key, bool *ret, struct error **ret_error) {
    const json_t *value = json_object_get(reply, key);

    if (value && !json_is_boolean(value))
        return error_new(ret_error, EPROTO, "the QEMU guest agent told '%s', but neither true nor false", key);
    *ret = json_is_true(value);
    return 0;
}

static int take_data(const json_t *reply, const char *key, struct buffer *ret, struct error **ret_error) {
    const json_t *value = json_object_get(reply, key);
    _cleanup_error_ struct error *error = NULL;

    if (!value)
        return 0;
    if (!json_is_string(value))
        return error_new(ret_error, EPROTO, "the QEMU guest agent told '%s', but no string", key);
    if (base64_decode(ret, json_string_value(value), json_string_length(value), &error) < 0)
        return error_new(ret_error, EPROTO, "the QEMU guest agent's '%s': %s", key, error_message(error));
    return 0;
}

/* How the process ended. A signal counts more than an exit code; signal 0 is none. */
static int take_end(const json_t *reply, struct qga_exec_status *status, struct error **ret_error) {
    bool has_code = false;
    bool has_signal = false;
    int code = 0;
    int number = 0;
    int r = take_number(reply, "exitcode", &has_code, &code, ret_error);

    if (r == 0)
        r = take_number(reply, "signal", &has_signal, &number, ret_error);
    if (r < 0)
        return r;
    status->signalled = has_signal && number != 0;
    if (!status->signalled && !has_code)
        return error_new(ret_error, EPROTO, "the guest agent told neither exit code nor signal");
    status->status = status->signalled ? number : code;
    return 0;
}

int qga_parse_exec_status(const json_t *reply, struct qga_exec_status *ret, struct error **ret_error) {
    _cleanup_qga_exec_status_ struct qga_exec_status status = {0};
    const json_t *exited = json_object_get(reply, "exited");
    int r;

    if (!json_is_boolean(exited))
        return shape_error(ret_error, "guest-exec-status", "nothing about whether the process has exited");
    status.exited = json_is_true(exited);
    if (status.exited) {
        r = take_end(reply, &status, ret_error);
        if (r == 0)
            r = take_data(reply, "out-data", &status.out, ret_error);
        if (r == 0)
            r = take_data(reply, "err-data", &status.err, ret_error);
        if (r == 0)
            r = take_flag(reply, "out-truncated", &status.out_truncated, ret_error);
        if (r == 0)
            r = take_flag(reply, "err-truncated", &status.err_truncated, ret_error);
        if (r < 0)
            return r;
    }
    *ret = status;
    status = (struct qga_exec_status){0};
    return 0;
}
