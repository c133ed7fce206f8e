/* SPDX-License-Identifier: Apache-2.0 */
/* The host's side of the agent's protocol: the order of frames, malformed ones, and what the agent is sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <time.h>

#include "guest/agent-client.h"

/* Of a client that has sent all that a frame may be an answer to. */
#define ASKED .executing = true, .syncing = true

/* What the output callback was given. */
struct seen {
    struct buffer stdout_bytes;
    struct buffer stderr_bytes;
    unsigned calls;
};

static void on_output(void *context, enum wire_type type, const void *data, size_t size) {
    struct seen *seen = context;

    assert_true(type == WIRE_STDOUT || type == WIRE_STDERR);
    seen->calls++;
    buffer_append(type == WIRE_STDOUT ? &seen->stdout_bytes : &seen->stderr_bytes, data, size);
}

static void put_empty(struct buffer *out, uint32_t type) {
    unsigned char header[WIRE_HEADER_SIZE];

    wire_put_header(header, type, 0);
    buffer_append(out, header, sizeof(header));
}

static void put_data(struct buffer *out, uint32_t type, const void *data, size_t size) {
    unsigned char header[WIRE_HEADER_SIZE];

    wire_put_header(header, type, size);
    buffer_append(out, header, sizeof(header));
    buffer_append(out, data, size);
}

static void put_hello(struct buffer *out, uint32_t version, const char *release) {
    struct wire_writer writer;
    unsigned char data[4096];

    wire_begin(&writer, data, sizeof(data), WIRE_HELLO);
    wire_put_u32(&writer, version);
    wire_put_string(&writer, release);
    buffer_append(out, data, wire_end(&writer));
}

static void put_exited(struct buffer *out, uint32_t kind, uint32_t status) {
    struct wire_writer writer;
    unsigned char data[64];

    wire_begin(&writer, data, sizeof(data), WIRE_EXITED);
    wire_put_u32(&writer, kind);
    wire_put_u32(&writer, status);
    wire_put_u64(&writer, 1000);
    wire_put_u64(&writer, UINT64_C(1) << 33);
    wire_put_u64(&writer, 4096);
    buffer_append(out, data, wire_end(&writer));
}

static void put_string(struct buffer *out, uint32_t type, const char *string) {
    struct wire_writer writer;
    unsigned char data[8192];

    wire_begin(&writer, data, sizeof(data), type);
    wire_put_string(&writer, string);
    buffer_append(out, data, wire_end(&writer));
}

static void put_pong(struct buffer *out) {
    put_data(out, WIRE_PONG, "\1\0\0\0\0\0\0\0", 8);
}

/* A well-formed frame of the type, as the agent or the host would send it. */
static void put_sample(struct buffer *out, uint32_t type) {
    switch (type) {
    case WIRE_HELLO:
        put_hello(out, WIRE_PROTOCOL_VERSION, "6.1.0");
        break;
    case WIRE_FAILED:
        put_string(out, type, "words");
        break;
    case WIRE_EXITED:
        put_exited(out, WIRE_EXIT_CODE, 0);
        break;
    case WIRE_PONG:
    case WIRE_CREDIT:
        put_data(out, type, "\1\0\0\0\0\0\0\0", 8);
        break;
    case WIRE_STDOUT:
    case WIRE_STDERR:
        put_data(out, type, "x", 1);
        break;
    default:
        put_empty(out, type);
    }
}

/* The frames that lead to a state. */
static void put_way_to(struct buffer *out, enum agent_state state) {
    if (state == AGENT_SILENT)
        return;
    put_hello(out, WIRE_PROTOCOL_VERSION, "6.1.0");
    if (state == AGENT_HELLO)
        return;
    if (state == AGENT_FAILED) {
        put_string(out, WIRE_FAILED, "no such directory");
        return;
    }
    put_empty(out, WIRE_READY);
    if (state == AGENT_READY)
        return;
    put_exited(out, WIRE_EXIT_CODE, 0);
    if (state == AGENT_SYNCED)
        put_empty(out, WIRE_SYNCED);
}

static void feed(struct agent_client *client, const struct buffer *bytes) {
    assert_int_equal(agent_client_feed(client, bytes->data, bytes->size, NULL), 0);
}

static void refuse(const struct buffer *bytes, const char *message) {
    _cleanup_error_ struct error *error = NULL;
    _cleanup_(agent_client_deinit) struct agent_client client = {ASKED};

    assert_int_equal(agent_client_feed(&client, bytes->data, bytes->size, &error), -EPROTO);
    assert_non_null(strstr(error_message(error), message));
}

static void a_whole_conversation_goes_through(void **state) {
    struct seen seen = {0};
    _cleanup_buffer_ struct buffer bytes = {0};
    _cleanup_(agent_client_deinit) struct agent_client client = {ASKED, .output = on_output, .context = &seen};

    put_hello(&bytes, WIRE_PROTOCOL_VERSION, "6.1.0-50-amd64");
    feed(&client, &bytes);
    assert_int_equal(client.state, AGENT_HELLO);
    assert_string_equal(client.release, "6.1.0-50-amd64");
    assert_true(client.heard);

    buffer_consume(&bytes, bytes.size);
    put_empty(&bytes, WIRE_READY);
    put_data(&bytes, WIRE_STDOUT, "a\0b", 3);
    put_data(&bytes, WIRE_STDERR, "e", 1);
    put_data(&bytes, WIRE_STDOUT, "c", 1);
    put_pong(&bytes);
    put_exited(&bytes, WIRE_EXIT_SIGNAL, 15);
    feed(&client, &bytes);
    assert_int_equal(client.state, AGENT_EXITED);
    assert_true(client.signalled);
    assert_int_equal(client.status, 15);
    assert_true(client.user_usec == 1000 && client.system_usec == UINT64_C(1) << 33 && client.max_rss_kib == 4096);
    assert_int_equal(client.pongs, 1);
    assert_int_equal(seen.calls, 3);
    assert_int_equal(seen.stdout_bytes.size, 4);
    assert_memory_equal(seen.stdout_bytes.data, "a\0bc", 4);
    assert_string_equal(seen.stderr_bytes.data, "e");

    buffer_consume(&bytes, bytes.size);
    put_empty(&bytes, WIRE_SYNCED);
    feed(&client, &bytes);
    assert_int_equal(client.state, AGENT_SYNCED);
    assert_int_equal(client.in.size, 0);
    buffer_deinit(&seen.stdout_bytes);
    buffer_deinit(&seen.stderr_bytes);
}

static void frames_may_be_cut_at_any_byte(void **state) {
    _cleanup_buffer_ struct buffer bytes = {0};

    put_way_to(&bytes, AGENT_READY);
    put_data(&bytes, WIRE_STDOUT, "output", 6);
    put_exited(&bytes, WIRE_EXIT_CODE, 255);
    put_empty(&bytes, WIRE_SYNCED);
    for (size_t cut = 0; cut <= bytes.size; cut++) {
        struct seen seen = {0};
        _cleanup_(agent_client_deinit) struct agent_client client = {ASKED, .output = on_output, .context = &seen};

        assert_int_equal(agent_client_feed(&client, bytes.data, cut, NULL), 0);
        assert_int_equal(client.state == AGENT_SYNCED, cut == bytes.size);
        assert_int_equal(agent_client_feed(&client, bytes.data + cut, bytes.size - cut, NULL), 0);
        assert_int_equal(client.state, AGENT_SYNCED);
        assert_false(client.signalled);
        assert_int_equal(client.status, 255);
        assert_string_equal(seen.stdout_bytes.data, "output");
        buffer_deinit(&seen.stdout_bytes);
    }
}

static void each_frame_has_its_place_and_no_other(void **state) {
    enum { S = 1 << AGENT_SILENT, H = 1 << AGENT_HELLO, R = 1 << AGENT_READY };
    enum { E = 1 << AGENT_EXITED, Y = 1 << AGENT_SYNCED, F = 1 << AGENT_FAILED };
    static const unsigned allowed[WIRE_TYPE_END] = {
        [WIRE_HELLO] = S,
        [WIRE_READY] = H,
        [WIRE_FAILED] = H | R,
        [WIRE_STDOUT] = R,
        [WIRE_STDERR] = R,
        [WIRE_EXITED] = R,
        [WIRE_CREDIT] = R,
        [WIRE_SYNCED] = E,
        [WIRE_SETTLED] = H,
        [WIRE_PONG] = H | R | E | Y | F,
        [WIRE_SHOWN] = H | R | E | Y | F,
        /* The rest is the host's to send; FETCHED comes where it was asked for alone. */
    };

    for (enum agent_state from = AGENT_SILENT; from <= AGENT_FAILED; from++) {
        for (uint32_t type = 1; type < WIRE_TYPE_END; type++) {
            _cleanup_buffer_ struct buffer way = {0};
            _cleanup_buffer_ struct buffer frame = {0};
            _cleanup_error_ struct error *error = NULL;
            _cleanup_(agent_client_deinit) struct agent_client client = {ASKED};

            put_way_to(&way, from);
            if (way.size)
                feed(&client, &way);
            assert_int_equal(client.state, from);
            put_sample(&frame, type);
            int r = agent_client_feed(&client, frame.data, frame.size, &error);
            if (allowed[type] & 1u << from) {
                assert_int_equal(r, 0);
                continue;
            }
            assert_int_equal(r, -EPROTO);
            assert_int_equal(client.state, from);
            assert_non_null(strstr(error_message(error), "out of turn"));
            assert_non_null(strstr(error_message(error), wire_type_name(type)));
        }
    }
}

/* An agent that tells of an end before there was a command would have any command pass. */
static void what_was_not_asked_for_is_out_of_turn(void **state) {
    static const struct {
        enum agent_state from;
        uint32_t type;
    } cases[] = {
        {AGENT_READY, WIRE_STDOUT}, {AGENT_READY, WIRE_STDERR},  {AGENT_READY, WIRE_EXITED},
        {AGENT_READY, WIRE_CREDIT}, {AGENT_EXITED, WIRE_SYNCED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_buffer_ struct buffer bytes = {0};
        _cleanup_error_ struct error *error = NULL;
        _cleanup_(agent_client_deinit) struct agent_client client = {.executing = cases[i].from == AGENT_EXITED};

        put_way_to(&bytes, cases[i].from);
        feed(&client, &bytes);
        bytes.size = 0;
        put_sample(&bytes, cases[i].type);
        assert_int_equal(agent_client_feed(&client, bytes.data, bytes.size, &error), -EPROTO);
        assert_int_equal(client.state, cases[i].from);
        assert_non_null(strstr(error_message(error), "out of turn"));
    }
}

static void files_come_once_they_are_asked_for(void **state) {
    _cleanup_(agent_client_deinit) struct agent_client client = {ASKED};
    _cleanup_buffer_ struct buffer bytes = {0};
    _cleanup_error_ struct error *error = NULL;

    put_way_to(&bytes, AGENT_SYNCED);
    feed(&client, &bytes);
    assert_int_equal(agent_client_fetch(&client, "/d", "*.xml", 8, true, &error), 0);
    bytes.size = 0;
    put_empty(&bytes, WIRE_FETCHED); /* there is no answer to a note */
    assert_int_equal(agent_client_feed(&client, bytes.data, bytes.size, &error), -EPROTO);
    error_free(error);
    error = NULL;

    agent_client_deinit(&client);
    client = (struct agent_client){ASKED};
    bytes.size = 0;
    put_way_to(&bytes, AGENT_SYNCED);
    feed(&client, &bytes);
    assert_int_equal(agent_client_fetch(&client, "/d", "*.xml", 8, false, &error), 0);
    assert_true(client.fetching);
    bytes.size = 0;
    put_data(&bytes, WIRE_FETCHED, "0123456789", 10);
    put_data(&bytes, WIRE_FETCHED, "abcdef", 6);
    feed(&client, &bytes);
    assert_int_equal(client.files.size, 16);
    assert_true(client.fetching);
    bytes.size = 0;
    put_data(&bytes, WIRE_FETCHED, "x", 1);
    assert_int_equal(agent_client_feed(&client, bytes.data, bytes.size, &error), -EPROTO);
    assert_non_null(strstr(error_message(error), "more bytes of files than requested"));
}

static void bytes_that_are_no_frame_are_refused(void **state) {
    static const uint32_t headers[][2] = {{UINT32_MAX, WIRE_HELLO}, {0, 0}, {0, WIRE_TYPE_END}, {16, 0x20544547}};

    for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
        _cleanup_buffer_ struct buffer bytes = {0};
        unsigned char header[WIRE_HEADER_SIZE];

        wire_put_header(header, headers[i][1], headers[i][0]);
        buffer_append(&bytes, header, sizeof(header));
        refuse(&bytes, "bytes that are not a frame");
    }
}

static void another_version_of_the_protocol_is_refused_with_both_numbers(void **state) {
    _cleanup_buffer_ struct buffer bytes = {0};

    put_hello(&bytes, 99, "6.1.0");
    refuse(&bytes, "version 99 of the protocol, not 2");
}

static void a_hello_cut_short_or_with_more_is_malformed(void **state) {
    _cleanup_buffer_ struct buffer hello = {0};

    put_hello(&hello, WIRE_PROTOCOL_VERSION, "6.1.0");
    size_t whole = hello.size - WIRE_HEADER_SIZE;
    buffer_append(&hello, "more", 4);
    for (size_t size = 0; size <= whole + 4; size++) {
        _cleanup_buffer_ struct buffer bytes = {0};

        put_data(&bytes, WIRE_HELLO, hello.data + WIRE_HEADER_SIZE, size);
        if (size != whole)
            refuse(&bytes, "a malformed hello");
    }
}

static void a_hello_with_odd_fields_is_malformed(void **state) {
    _cleanup_free_ char *long_release = xmalloc(1000);
    _cleanup_buffer_ struct buffer too_long = {0};
    _cleanup_buffer_ struct buffer too_much = {0};
    unsigned char data[64];
    struct wire_writer writer;

    memset(long_release, 'x', 999);
    long_release[999] = '\0';
    put_hello(&too_long, WIRE_PROTOCOL_VERSION, long_release);
    refuse(&too_long, "a malformed hello");

    wire_begin(&writer, data, sizeof(data), WIRE_HELLO);
    wire_put_u32(&writer, WIRE_PROTOCOL_VERSION);
    wire_put_string(&writer, "6.1.0");
    wire_put_u32(&writer, 0);
    buffer_append(&too_much, data, wire_end(&writer));
    refuse(&too_much, "a malformed hello");
}

static void an_odd_exit_status_is_malformed(void **state) {
    static const struct {
        uint32_t kind;
        uint32_t status;
        bool good;
    } cases[] = {
        {WIRE_EXIT_CODE, 0, true},
        {WIRE_EXIT_CODE, 255, true},
        {WIRE_EXIT_CODE, 256, false},
        {WIRE_EXIT_SIGNAL, 64, true},
        {WIRE_EXIT_SIGNAL + 1, 0, false},
        {UINT32_MAX, UINT32_MAX, false},
        {WIRE_EXIT_SIGNAL, UINT32_MAX, false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_buffer_ struct buffer bytes = {0};
        _cleanup_(agent_client_deinit) struct agent_client client = {ASKED};

        put_way_to(&bytes, AGENT_READY);
        put_exited(&bytes, cases[i].kind, cases[i].status);
        assert_int_equal(agent_client_feed(&client, bytes.data, bytes.size, NULL), cases[i].good ? 0 : -EPROTO);
        assert_int_equal(client.state, cases[i].good ? AGENT_EXITED : AGENT_READY);
    }
}

static void an_exit_status_of_another_length_is_malformed(void **state) {
    static const char zeros[64];

    for (size_t size = 0; size < sizeof(zeros); size++) {
        _cleanup_buffer_ struct buffer bytes = {0};
        _cleanup_(agent_client_deinit) struct agent_client client = {ASKED};

        put_way_to(&bytes, AGENT_READY);
        put_data(&bytes, WIRE_EXITED, zeros, size);
        assert_int_equal(agent_client_feed(&client, bytes.data, bytes.size, NULL), size == 32 ? 0 : -EPROTO);
    }
}

static void a_failure_is_kept_and_a_malformed_one_refused(void **state) {
    _cleanup_buffer_ struct buffer good = {0};
    _cleanup_buffer_ struct buffer bad = {0};
    _cleanup_(agent_client_deinit) struct agent_client client = {ASKED};

    put_way_to(&good, AGENT_FAILED);
    feed(&client, &good);
    assert_int_equal(client.state, AGENT_FAILED);
    assert_string_equal(client.failure, "no such directory");

    put_way_to(&bad, AGENT_HELLO);
    put_data(&bad, WIRE_FAILED, "\5\0\0\0abc", 7);
    refuse(&bad, "a malformed failure");
}

static void output_without_a_callback_is_dropped(void **state) {
    _cleanup_buffer_ struct buffer bytes = {0};
    _cleanup_(agent_client_deinit) struct agent_client client = {ASKED};

    put_way_to(&bytes, AGENT_READY);
    put_data(&bytes, WIRE_STDOUT, "", 0);
    put_data(&bytes, WIRE_STDERR, "x", 1);
    feed(&client, &bytes);
    assert_int_equal(client.state, AGENT_READY);
}

/* Takes the next frame out of what is to be sent. */
static void next_frame(struct agent_client *client, size_t *offset, uint32_t type, struct wire_reader *ret_reader,
                       struct wire_frame *ret_frame) {
    size_t used;

    assert_int_equal(wire_parse(client->out.data + *offset, client->out.size - *offset, ret_frame, &used), WIRE_OK);
    assert_int_equal(ret_frame->type, type);
    *offset += used;
    wire_reader_init(ret_reader, ret_frame);
}

static void check_string(struct wire_reader *reader, const char *expected) {
    char string[256];

    wire_get_string(reader, string, sizeof(string));
    assert_false(reader->failed);
    assert_string_equal(string, expected);
}

static void the_agent_is_sent_the_mounts(void **state) {
    static const struct agent_mount mounts[] = {
        {.kind = WIRE_MOUNT_ROOT, .type = "9p", .options = "a,b", .source = "root", .path = "/"},
        {.kind = WIRE_MOUNT_SHARE, .writable = true, .type = "virtiofs", .source = "vmtest", .path = "/mnt/vmtest"},
        {.kind = WIRE_MOUNT_BIND, .source = "/mnt/vmtest", .path = "/home"},
        {.kind = WIRE_MOUNT_MODULES, .source = "modules", .second = "modindex", .path = "/lib/modules/6.1"},
    };
    char path[] = "PATH=/bin", language[] = "LANG=C.UTF-8";
    char *variables[] = {path, language};
    char module[] = "9p";
    char *modules[] = {module};
    const struct strv drivers = {.items = modules, .count = ARRAY_SIZE(modules)};
    const struct strv environment = {.items = variables, .count = ARRAY_SIZE(variables)};
    const struct agent_setup setup = {.hostname = "vmtest",
                                      .root = WIRE_ROOT_RO,
                                      .mounts = mounts,
                                      .n_mounts = ARRAY_SIZE(mounts),
                                      .drivers = &drivers,
                                      .shell_environment = &environment};
    _cleanup_(agent_client_deinit) struct agent_client client = {0};
    struct wire_reader reader;
    struct wire_frame frame;
    const unsigned char *entropy;
    size_t offset = 0;
    size_t size;
    time_t now = time(NULL);

    assert_int_equal(agent_client_setup(&client, &setup, NULL), 0);
    next_frame(&client, &offset, WIRE_SETUP, &reader, &frame);
    assert_in_range(wire_get_u64(&reader), (uint64_t)now, (uint64_t)now + 60);
    assert_in_range(wire_get_u32(&reader), 0, 999999999);
    entropy = wire_get_bytes(&reader, &size);
    assert_int_equal(size, 32);
    assert_memory_not_equal(entropy, ((unsigned char[32]){0}), 32);
    check_string(&reader, "vmtest");
    assert_int_equal(wire_get_u32(&reader), WIRE_ROOT_RO);
    assert_int_equal(wire_get_u32(&reader), ARRAY_SIZE(mounts));
    for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
        assert_int_equal(wire_get_u32(&reader), mounts[i].kind);
        assert_int_equal(wire_get_u32(&reader), mounts[i].writable ? WIRE_MOUNT_WRITABLE : 0);
        check_string(&reader, mounts[i].type ? mounts[i].type : "");
        check_string(&reader, mounts[i].options ? mounts[i].options : "");
        check_string(&reader, mounts[i].source);
        check_string(&reader, mounts[i].second ? mounts[i].second : "");
        check_string(&reader, mounts[i].path);
    }
    assert_int_equal(wire_get_u32(&reader), ARRAY_SIZE(modules));
    check_string(&reader, "9p");
    assert_int_equal(wire_get_u32(&reader), ARRAY_SIZE(variables));
    for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
        check_string(&reader, variables[i]);
    assert_true(wire_reader_done(&reader));
    assert_int_equal(offset, client.out.size);
}

static void two_setups_carry_different_entropy(void **state) {
    const struct agent_setup setup = {.hostname = "vmtest"};
    _cleanup_(agent_client_deinit) struct agent_client client = {0};
    const unsigned char *entropy[2];
    size_t offset = 0;

    assert_int_equal(agent_client_setup(&client, &setup, NULL), 0);
    assert_int_equal(agent_client_setup(&client, &setup, NULL), 0);
    for (size_t i = 0; i < 2; i++) {
        struct wire_reader reader;
        struct wire_frame frame;
        size_t size;

        next_frame(&client, &offset, WIRE_SETUP, &reader, &frame);
        (void)wire_get_u64(&reader);
        (void)wire_get_u32(&reader);
        entropy[i] = wire_get_bytes(&reader, &size);
        assert_int_equal(size, 32);
    }
    assert_memory_not_equal(entropy[0], entropy[1], 32);
}

static void the_agent_is_sent_the_command(void **state) {
    char *environment[] = {(char *)"A=1", (char *)"EMPTY=", (char *)"odd", NULL};
    _cleanup_strv_ struct strv argv = {0};
    _cleanup_(agent_client_deinit) struct agent_client client = {0};
    struct wire_reader reader;
    struct wire_frame frame;
    size_t offset = 0;

    strv_append(&argv, "prog");
    strv_append(&argv, "a b\nc");
    strv_append(&argv, "");
    const struct agent_exec exec = {.flags = WIRE_EXEC_TERMINAL,
                                    .credit = UINT64_C(1) << 40,
                                    .rows = 24,
                                    .columns = 80,
                                    .directory = "/mnt/vmtest",
                                    .argv = &argv,
                                    .environment = environment};
    assert_int_equal(agent_client_exec(&client, &exec, NULL), 0);
    next_frame(&client, &offset, WIRE_EXEC, &reader, &frame);
    assert_int_equal(wire_get_u32(&reader), WIRE_EXEC_TERMINAL);
    assert_true(wire_get_u64(&reader) == UINT64_C(1) << 40);
    assert_int_equal(wire_get_u32(&reader), 24);
    assert_int_equal(wire_get_u32(&reader), 80);
    check_string(&reader, "/mnt/vmtest");
    assert_int_equal(wire_get_u32(&reader), 3);
    check_string(&reader, "prog");
    check_string(&reader, "a b\nc");
    check_string(&reader, "");
    assert_int_equal(wire_get_u32(&reader), 3);
    check_string(&reader, "A=1");
    check_string(&reader, "EMPTY=");
    check_string(&reader, "odd");
    assert_true(wire_reader_done(&reader));
}

static void a_command_over_the_limit_is_refused_and_nothing_is_sent(void **state) {
    char *environment[] = {NULL};
    _cleanup_error_ struct error *error = NULL;
    _cleanup_strv_ struct strv argv = {0};
    _cleanup_(agent_client_deinit) struct agent_client client = {0};
    char *big = xmalloc(WIRE_PAYLOAD_MAX);

    memset(big, 'x', WIRE_PAYLOAD_MAX - 1);
    big[WIRE_PAYLOAD_MAX - 1] = '\0';
    strv_append_take(&argv, big);
    const struct agent_exec exec = {.directory = "/", .argv = &argv, .environment = environment};
    assert_int_equal(agent_client_exec(&client, &exec, &error), -E2BIG);
    assert_non_null(strstr(error_message(error), "the command and its environment"));
    assert_int_equal(client.out.size, 0);
}

static void small_frames_follow_each_other(void **state) {
    _cleanup_(agent_client_deinit) struct agent_client client = {0};
    struct wire_reader reader;
    struct wire_frame frame;
    size_t offset = 0;

    agent_client_credit(&client, UINT64_C(0x1122334455667788));
    agent_client_signal(&client, 15);
    agent_client_window(&client, 50, 132);
    agent_client_ping(&client, 42);
    agent_client_sync(&client);

    next_frame(&client, &offset, WIRE_CREDIT, &reader, &frame);
    assert_true(wire_get_u64(&reader) == UINT64_C(0x1122334455667788));
    assert_true(wire_reader_done(&reader));
    next_frame(&client, &offset, WIRE_SIGNAL, &reader, &frame);
    assert_int_equal(wire_get_u32(&reader), 15);
    assert_true(wire_reader_done(&reader));
    next_frame(&client, &offset, WIRE_WINDOW, &reader, &frame);
    assert_int_equal(wire_get_u32(&reader), 50);
    assert_int_equal(wire_get_u32(&reader), 132);
    assert_true(wire_reader_done(&reader));
    next_frame(&client, &offset, WIRE_PING, &reader, &frame);
    assert_true(wire_get_u64(&reader) == 42);
    assert_true(wire_reader_done(&reader));
    next_frame(&client, &offset, WIRE_SYNC, &reader, &frame);
    assert_int_equal(frame.size, 0);
    assert_int_equal(offset, client.out.size);
}

static void input_is_sent_in_frames_of_the_allowed_size(void **state) {
    size_t size = 2 * WIRE_DATA_MAX + 17;
    _cleanup_free_ char *input = xmalloc(size);
    _cleanup_buffer_ struct buffer back = {0};
    _cleanup_(agent_client_deinit) struct agent_client client = {0};
    struct wire_reader reader;
    struct wire_frame frame;
    size_t offset = 0;

    for (size_t i = 0; i < size; i++)
        input[i] = (char)(i % 251);
    agent_client_stdin(&client, input, size);
    while (offset < client.out.size) {
        next_frame(&client, &offset, WIRE_STDIN, &reader, &frame);
        assert_in_range(frame.size, 1, WIRE_DATA_MAX);
        buffer_append(&back, frame.payload, frame.size);
    }
    assert_int_equal(back.size, size);
    assert_memory_equal(back.data, input, size);

    /* The end of file is one empty frame; data that end at a frame's border bring none. */
    agent_client_stdin(&client, input, WIRE_DATA_MAX);
    next_frame(&client, &offset, WIRE_STDIN, &reader, &frame);
    assert_int_equal(frame.size, WIRE_DATA_MAX);
    assert_int_equal(offset, client.out.size);
    agent_client_stdin(&client, "", 0);
    next_frame(&client, &offset, WIRE_STDIN, &reader, &frame);
    assert_int_equal(frame.size, 0);
    assert_int_equal(offset, client.out.size);
}

/* What was granted for more than was sent is not believed. */
static void input_counts_as_unread_until_it_is_granted(void **state) {
    static const struct {
        const char *credit;
        size_t size;
        uint64_t unread; /* UINT64_MAX: it is refused */
    } cases[] = {
        {"\12\0\0\0\0\0\0\0", 8, 90}, {"\144\0\0\0\0\0\0\0", 8, 0},          {"\377\377\377\377\377\377\377\377", 8, 0},
        {"\12\0\0\0", 4, UINT64_MAX}, {"\12\0\0\0\0\0\0\0x", 9, UINT64_MAX},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_(agent_client_deinit) struct agent_client client = {ASKED};
        _cleanup_buffer_ struct buffer bytes = {0};

        agent_client_stdin(&client, "0123456789012345678901234567890123456789", 40);
        agent_client_stdin(&client, "012345678901234567890123456789012345678901234567890123456789", 60);
        assert_true(client.unread == 100);
        put_way_to(&bytes, AGENT_READY);
        put_data(&bytes, WIRE_CREDIT, cases[i].credit, cases[i].size);
        assert_int_equal(agent_client_feed(&client, bytes.data, bytes.size, NULL),
                         cases[i].unread == UINT64_MAX ? -EPROTO : 0);
        assert_true(client.unread == (cases[i].unread == UINT64_MAX ? 100 : cases[i].unread));
    }
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_conversation_goes_through),
        cmocka_unit_test(frames_may_be_cut_at_any_byte),
        cmocka_unit_test(each_frame_has_its_place_and_no_other),
        cmocka_unit_test(what_was_not_asked_for_is_out_of_turn),
        cmocka_unit_test(files_come_once_they_are_asked_for),
        cmocka_unit_test(bytes_that_are_no_frame_are_refused),
        cmocka_unit_test(another_version_of_the_protocol_is_refused_with_both_numbers),
        cmocka_unit_test(a_hello_cut_short_or_with_more_is_malformed),
        cmocka_unit_test(a_hello_with_odd_fields_is_malformed),
        cmocka_unit_test(an_odd_exit_status_is_malformed),
        cmocka_unit_test(an_exit_status_of_another_length_is_malformed),
        cmocka_unit_test(a_failure_is_kept_and_a_malformed_one_refused),
        cmocka_unit_test(output_without_a_callback_is_dropped),
        cmocka_unit_test(the_agent_is_sent_the_mounts),
        cmocka_unit_test(two_setups_carry_different_entropy),
        cmocka_unit_test(the_agent_is_sent_the_command),
        cmocka_unit_test(a_command_over_the_limit_is_refused_and_nothing_is_sent),
        cmocka_unit_test(small_frames_follow_each_other),
        cmocka_unit_test(input_is_sent_in_frames_of_the_allowed_size),
        cmocka_unit_test(input_counts_as_unread_until_it_is_granted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
