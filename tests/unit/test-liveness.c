/* SPDX-License-Identifier: Apache-2.0 */
/* The liveness of a guest and QEMU's heartbeat: each row is a story of events with their times, and what is to be done.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "machine/heartbeat.h"
#include "machine/liveness.h"

#define STEPS_MAX 16
#define START (1000 * NSEC_PER_SEC)

static const struct liveness_times times = {
    .lost_after = 60 * NSEC_PER_SEC,
    .panic_grace = 5 * NSEC_PER_SEC,
};

/* What happens besides the machine's events. */
enum { TICK = LIVENESS_EVENTS, PORT_CLOSED, PORT_OPENED, END_OF_STORY };

struct step {
    unsigned msec; /* since the story's start */
    int event;
    enum liveness_action action;
    enum liveness_state state; /* afterwards */
};

struct story {
    const char *name;
    struct step steps[STEPS_MAX];
};

#define UP                                                                                                             \
    { 0, LIVENESS_ON_UP, LIVENESS_NOTHING, LIVENESS_QUIET }
#define END                                                                                                            \
    { 0, END_OF_STORY, LIVENESS_NOTHING, LIVENESS_QUIET }
#define ON(msec, event, action, state)                                                                                 \
    { msec, LIVENESS_ON_##event, LIVENESS_##action, LIVENESS_##state }
#define AT(msec, action, state)                                                                                        \
    { msec, TICK, LIVENESS_##action, LIVENESS_##state }

/* clang-format off */
static const struct story stories[] = {
    {"a guest that nobody has answered from is never asked", {
        AT(500000, NOTHING, BOOTING), END}},
    {"a quiet guest is asked after 10 s and again after 10 s more", {
        UP, ON(0, HEARD, NOTHING, QUIET), AT(9999, NOTHING, QUIET), AT(10000, ASK, ASKED),
        ON(10100, HEARD, NOTHING, QUIET), ON(10100, ANSWER, NOTHING, QUIET), AT(20099, NOTHING, QUIET),
        AT(20100, ASK, ASKED), END}},
    {"a guest agent alone, of which nothing is heard by itself, gets no routine question", {
        UP, AT(500000, NOTHING, QUIET), END}},
    {"a guest that says nothing for lost_after is lost", {
        UP, ON(0, HEARD, NOTHING, QUIET), AT(10000, ASK, ASKED), AT(69999, NOTHING, ASKED),
        AT(70000, END_LOST, ASKED), END}},
    {"the question is not asked twice while it is open", {
        UP, ON(0, HEARD, NOTHING, QUIET), AT(10000, ASK, ASKED), AT(20000, NOTHING, ASKED), AT(30000, NOTHING, ASKED),
        AT(70000, END_LOST, ASKED), END}},
    {"a busy guest lives: output counts, though the answer stands behind it", {
        UP, ON(0, HEARD, NOTHING, QUIET), AT(10000, ASK, ASKED), ON(69000, HEARD, NOTHING, QUIET),
        AT(70000, NOTHING, QUIET), AT(79000, ASK, ASKED), ON(100000, HEARD, NOTHING, QUIET), END}},
    {"an answer alone is enough", {
        UP, ON(0, HEARD, NOTHING, QUIET), AT(10000, ASK, ASKED), ON(11000, ANSWER, NOTHING, QUIET),
        AT(19999, NOTHING, QUIET), END}},
    {"a panic that nobody disproves", {
        UP, ON(1000, PANIC, ASK, PANIC), AT(5999, NOTHING, PANIC), AT(6000, END_PANIC, PANIC), END}},
    {"a panic with its last line ends 1.7 s after that", {
        UP, ON(1000, PANIC, ASK, PANIC), ON(1200, PANIC_END, ASK, PANIC_END), AT(2899, NOTHING, PANIC_END),
        AT(2900, END_PANIC, PANIC_END), END}},
    {"a last line gives a question that is open already no more time", {
        UP, ON(1000, PANIC, ASK, PANIC), ON(5900, PANIC_END, ASK, PANIC_END), AT(6000, END_PANIC, PANIC_END), END}},
    {"output is no answer to a panic", {
        UP, ON(1000, PANIC, ASK, PANIC), ON(1500, HEARD, NOTHING, PANIC), AT(6000, END_PANIC, PANIC), END}},
    {"a feigned panic is asked about twice", {
        UP, ON(1000, PANIC, ASK, PANIC), ON(1100, ANSWER, NOTHING, PANIC_ANSWERED), AT(3099, NOTHING, PANIC_ANSWERED),
        AT(3100, ASK, PANIC_REASKED), ON(3200, ANSWER, ALIVE, QUIET), AT(9000, NOTHING, QUIET), END}},
    {"another processor answers while one panics: the second question has no answer", {
        UP, ON(1000, PANIC, ASK, PANIC), ON(1100, ANSWER, NOTHING, PANIC_ANSWERED), AT(3100, ASK, PANIC_REASKED),
        AT(8099, NOTHING, PANIC_REASKED), AT(8100, END_PANIC, PANIC_REASKED), END}},
    {"a feigned panic with its last line is asked about once", {
        UP, ON(1000, PANIC, ASK, PANIC), ON(1000, PANIC_END, ASK, PANIC_END), ON(1100, ANSWER, ALIVE, QUIET),
        AT(9000, NOTHING, QUIET), END}},
    {"the last line comes between the two questions", {
        UP, ON(1000, PANIC, ASK, PANIC), ON(1100, ANSWER, NOTHING, PANIC_ANSWERED),
        ON(3000, PANIC_END, ASK, PANIC_END), AT(4699, NOTHING, PANIC_END), AT(4700, END_PANIC, PANIC_END), END}},
    {"the last line comes while it is asked again", {
        UP, ON(1000, PANIC, ASK, PANIC), ON(1100, ANSWER, NOTHING, PANIC_ANSWERED), AT(3100, ASK, PANIC_REASKED),
        ON(4000, PANIC_END, ASK, PANIC_END), ON(4100, ANSWER, ALIVE, QUIET), END}},
    {"a real panic right behind a feigned one", {
        UP, ON(1000, PANIC, ASK, PANIC), ON(1000, PANIC_END, ASK, PANIC_END), ON(1050, PANIC, NOTHING, PANIC_RETURNED),
        ON(1060, PANIC_END, NOTHING, PANIC_RETURNED), ON(1100, ANSWER, ASK, PANIC_END), AT(2799, NOTHING, PANIC_END),
        AT(2800, END_PANIC, PANIC_END), END}},
    {"lines of a panic without end, and a guest that answers", {
        UP, ON(1000, PANIC, ASK, PANIC), ON(1000, PANIC_END, ASK, PANIC_END),
        ON(1050, PANIC_END, NOTHING, PANIC_RETURNED), ON(1100, ANSWER, ASK, PANIC_END),
        ON(1150, PANIC_END, NOTHING, PANIC_RETURNED), ON(1200, PANIC, NOTHING, PANIC_RETURNED),
        ON(1250, ANSWER, ASK, PANIC_END), ON(1300, ANSWER, ALIVE, QUIET), END}},
    {"lines of a panic without end, and a guest that does not answer", {
        UP, ON(1000, PANIC, ASK, PANIC), ON(1000, PANIC_END, ASK, PANIC_END),
        ON(1500, PANIC_END, NOTHING, PANIC_RETURNED), ON(2500, PANIC_END, NOTHING, PANIC_RETURNED),
        AT(2700, END_PANIC, PANIC_RETURNED), END}},
    {"the first line again changes nothing while it is asked", {
        UP, ON(1000, PANIC, ASK, PANIC), ON(2000, PANIC, NOTHING, PANIC), AT(6000, END_PANIC, PANIC), END}},
    {"a panic takes the time of a routine question that is nearly over", {
        UP, ON(0, HEARD, NOTHING, QUIET), AT(10000, ASK, ASKED), ON(69000, PANIC, ASK, PANIC),
        AT(70000, END_PANIC, PANIC), END}},
    {"a panic during the boot gets its message out", {
        ON(1000, PANIC, NOTHING, BOOT_PANIC), AT(1499, NOTHING, BOOT_PANIC), AT(1500, END_PANIC, BOOT_PANIC), END}},
    {"a last line during the boot changes nothing", {
        ON(1000, PANIC, NOTHING, BOOT_PANIC), ON(1100, PANIC_END, NOTHING, BOOT_PANIC),
        AT(1500, END_PANIC, BOOT_PANIC), END}},
    {"a guest that says hello after a panic's line is asked", {
        ON(1000, PANIC, NOTHING, BOOT_PANIC), ON(1400, UP, ASK, PANIC), AT(6399, NOTHING, PANIC),
        AT(6400, END_PANIC, PANIC), END}},
    {"pvpanic: no answer counts any more", {
        UP, ON(1000, PVPANIC, NOTHING, PANIC_SURE), ON(1100, ANSWER, NOTHING, PANIC_SURE),
        ON(1100, HEARD, NOTHING, PANIC_SURE), AT(1499, NOTHING, PANIC_SURE), AT(1500, END_PANIC, PANIC_SURE), END}},
    {"pvpanic confirms a suspicion", {
        UP, ON(1000, PANIC, ASK, PANIC), ON(1100, PVPANIC, NOTHING, PANIC_SURE),
        ON(1200, PANIC_END, NOTHING, PANIC_SURE), ON(1200, PVPANIC, NOTHING, PANIC_SURE),
        AT(1600, END_PANIC, PANIC_SURE), END}},
    {"pvpanic after an answer", {
        UP, ON(1000, PANIC, ASK, PANIC), ON(1100, ANSWER, NOTHING, PANIC_ANSWERED),
        ON(1200, PVPANIC, NOTHING, PANIC_SURE), AT(1700, END_PANIC, PANIC_SURE), END}},
    {"pvpanic while it is asked again, after the last line, and after more lines", {
        UP, ON(0, PANIC, ASK, PANIC), ON(0, PANIC_END, ASK, PANIC_END), ON(100, PANIC, NOTHING, PANIC_RETURNED),
        ON(200, PVPANIC, NOTHING, PANIC_SURE), AT(700, END_PANIC, PANIC_SURE), END}},
    {"pvpanic during the boot, before and after the first line", {
        ON(1000, PANIC, NOTHING, BOOT_PANIC), ON(1300, PVPANIC, NOTHING, PANIC_SURE),
        AT(1500, END_PANIC, PANIC_SURE), END}},
    {"pvpanic of a guest that nobody has answered from", {
        ON(1000, PVPANIC, NOTHING, PANIC_SURE), AT(1500, END_PANIC, PANIC_SURE), END}},
    {"pvpanic while a routine question is open", {
        UP, ON(0, HEARD, NOTHING, QUIET), AT(10000, ASK, ASKED), ON(11000, PVPANIC, NOTHING, PANIC_SURE),
        AT(11500, END_PANIC, PANIC_SURE), END}},
    {"kexec: the other kernel does not answer", {
        UP, ON(1000, KEXEC, ASK, KEXEC), AT(5999, NOTHING, KEXEC), AT(6000, END_KEXEC, KEXEC), END}},
    {"kexec: somebody wrote the line", {
        UP, ON(1000, KEXEC, ASK, KEXEC), ON(1200, HEARD, NOTHING, KEXEC), ON(1200, ANSWER, ALIVE, QUIET),
        AT(6000, NOTHING, QUIET), END}},
    {"kexec while a routine question is open", {
        UP, ON(0, HEARD, NOTHING, QUIET), AT(10000, ASK, ASKED), ON(11000, KEXEC, ASK, KEXEC),
        AT(16000, END_KEXEC, KEXEC), END}},
    {"kexec during the boot is the boot", {
        ON(1000, KEXEC, NOTHING, BOOTING), END}},
    {"a panic of the kernel that kexec started is the kexec's", {
        UP, ON(1000, KEXEC, ASK, KEXEC), ON(2000, PANIC, ASK, PANIC), ON(2500, PANIC_END, ASK, PANIC_END),
        AT(4200, END_KEXEC, PANIC_END), END}},
    {"the same with pvpanic", {
        UP, ON(1000, KEXEC, ASK, KEXEC), ON(2000, PVPANIC, NOTHING, PANIC_SURE), AT(2500, END_KEXEC, PANIC_SURE), END}},
    {"a kexec that was disproved is forgotten", {
        UP, ON(1000, KEXEC, ASK, KEXEC), ON(1100, ANSWER, ALIVE, QUIET), ON(2000, PVPANIC, NOTHING, PANIC_SURE),
        AT(2500, END_PANIC, PANIC_SURE), END}},
    {"a line of a kexec is no sign during a panic", {
        UP, ON(1000, PANIC, ASK, PANIC), ON(1500, KEXEC, NOTHING, PANIC), AT(6000, END_PANIC, PANIC), END}},
    {"the agent's port is closed for good", {
        UP, {1000, PORT_CLOSED, LIVENESS_NOTHING, LIVENESS_QUIET}, AT(10999, NOTHING, QUIET),
        AT(11000, END_PORT, QUIET), END}},
    {"the agent was restarted in time", {
        UP, {1000, PORT_CLOSED, LIVENESS_NOTHING, LIVENESS_QUIET}, {5000, PORT_OPENED, LIVENESS_NOTHING, LIVENESS_QUIET},
        AT(11000, NOTHING, QUIET), {12000, PORT_CLOSED, LIVENESS_NOTHING, LIVENESS_QUIET}, AT(21999, NOTHING, QUIET),
        AT(22000, END_PORT, QUIET), END}},
    {"a port that is reported closed twice is closed since the first time", {
        UP, {1000, PORT_CLOSED, LIVENESS_NOTHING, LIVENESS_QUIET}, {9000, PORT_CLOSED, LIVENESS_NOTHING, LIVENESS_QUIET},
        AT(11000, END_PORT, QUIET), END}},
    {"a port closed before anybody answered", {
        {1000, PORT_CLOSED, LIVENESS_NOTHING, LIVENESS_BOOTING}, AT(11000, END_PORT, BOOTING), END}},
    {"a port closed with a routine question open", {
        UP, ON(0, HEARD, NOTHING, QUIET), AT(10000, ASK, ASKED), {10500, PORT_CLOSED, LIVENESS_NOTHING, LIVENESS_ASKED},
        AT(20500, END_PORT, ASKED), END}},
    {"a port closed by a panic", {
        UP, ON(1000, PANIC, ASK, PANIC), ON(1100, ANSWER, NOTHING, PANIC_ANSWERED),
        {1200, PORT_CLOSED, LIVENESS_NOTHING, LIVENESS_PANIC_ANSWERED}, AT(11200, END_PANIC, PANIC_ANSWERED), END}},
    {"a clock that runs fast asks sooner, and waits as long by its own time", {
        UP, ON(0, HEARD, NOTHING, QUIET), AT(3600000, ASK, ASKED), AT(3659999, NOTHING, ASKED),
        ON(3659999, HEARD, NOTHING, QUIET), END}},
    {"after a jump of hours what has come is looked at before the time", {
        UP, ON(0, HEARD, NOTHING, QUIET), AT(10000, ASK, ASKED), ON(9000000, HEARD, NOTHING, QUIET),
        AT(9000000, NOTHING, QUIET), END}},
};
/* clang-format on */

static enum liveness_action take_step(struct liveness *liveness, const struct step *step, uint64_t now) {
    switch (step->event) {
    case TICK:
        return liveness_tick(liveness, &times, now);
    case PORT_CLOSED:
        liveness_port_closed(liveness, 10 * NSEC_PER_SEC, now);
        return LIVENESS_NOTHING;
    case PORT_OPENED:
        liveness_port_opened(liveness);
        return LIVENESS_NOTHING;
    default:
        return liveness_on(liveness, (enum liveness_event)step->event, &times, now);
    }
}

static void test_stories_go_as_they_are_told(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(stories); i++) {
        struct liveness liveness = LIVENESS_INIT;

        for (const struct step *step = stories[i].steps; step->event != END_OF_STORY; step++) {
            enum liveness_action action = take_step(&liveness, step, START + step->msec * NSEC_PER_MSEC);

            if (action != step->action || liveness.state != step->state)
                fail_msg("%s: at %u ms: action %d in state '%s', not %d in '%s'", stories[i].name, step->msec,
                         (int)action, liveness_state_name(liveness.state), (int)step->action,
                         liveness_state_name(step->state));
        }
    }
}

/* Whoever waits for liveness_due() and ticks then misses nothing: a tick before it changes nothing. */
static void test_nothing_happens_before_the_deadline_that_is_announced(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(stories); i++) {
        struct liveness liveness = LIVENESS_INIT;

        for (const struct step *step = stories[i].steps; step->event != END_OF_STORY; step++) {
            deadline_t due;

            (void)take_step(&liveness, step, START + step->msec * NSEC_PER_MSEC);
            due = liveness_due(&liveness);
            if (due == DEADLINE_NONE)
                due = UINT64_MAX - 1;
            struct liveness copy = liveness;
            assert_int_equal(liveness_tick(&copy, &times, due - 1), LIVENESS_NOTHING);
            assert_memory_equal(&copy, &liveness, sizeof(copy));
        }
    }
}

/* Every state in which a deadline ends or changes something has one, so that nothing waits for ever. */
static void test_each_state_that_waits_has_a_deadline(void **state) {
    static const enum liveness_event ways[LIVENESS_STATES][3] = {
        [LIVENESS_BOOT_PANIC] = {LIVENESS_ON_PANIC},
        [LIVENESS_PANIC] = {LIVENESS_ON_UP, LIVENESS_ON_PANIC},
        [LIVENESS_PANIC_SURE] = {LIVENESS_ON_UP, LIVENESS_ON_PVPANIC},
        [LIVENESS_KEXEC] = {LIVENESS_ON_UP, LIVENESS_ON_KEXEC},
        [LIVENESS_PANIC_ANSWERED] = {LIVENESS_ON_UP, LIVENESS_ON_PANIC, LIVENESS_ON_ANSWER},
        [LIVENESS_PANIC_END] = {LIVENESS_ON_UP, LIVENESS_ON_PANIC, LIVENESS_ON_PANIC_END},
    };

    (void)state;
    for (size_t i = 0; i < LIVENESS_STATES; i++) {
        struct liveness liveness = LIVENESS_INIT;

        for (size_t k = 0; k < ARRAY_SIZE(ways[i]) && (k == 0 || ways[i][k] != LIVENESS_ON_UP); k++)
            (void)liveness_on(&liveness, ways[i][k], &times, START);
        if (ways[i][0] != LIVENESS_ON_UP || ways[i][1] != LIVENESS_ON_UP) {
            assert_int_equal(liveness.state, i);
            assert_true(liveness_due(&liveness) <= START + 60 * NSEC_PER_SEC);
        }
        assert_non_null(liveness_state_name((enum liveness_state)i));
    }
}

static void test_times_near_the_end_of_time_do_not_wrap(void **state) {
    struct liveness liveness = LIVENESS_INIT;
    const struct liveness_times endless = {.lost_after = UINT64_MAX, .panic_grace = UINT64_MAX};

    (void)state;
    (void)liveness_on(&liveness, LIVENESS_ON_UP, &endless, START);
    assert_int_equal(liveness_on(&liveness, LIVENESS_ON_PANIC, &endless, START), LIVENESS_ASK);
    assert_true(liveness_due(&liveness) == DEADLINE_NONE);
}

static void test_qemu_is_asked_every_10_s_and_given_up_after_30(void **state) {
    struct heartbeat heartbeat = HEARTBEAT_INIT;
    uint64_t s = NSEC_PER_SEC;

    (void)state;
    assert_int_equal(heartbeat_on(&heartbeat, HEARTBEAT_GREETING, START), HEARTBEAT_NOTHING);
    assert_int_equal(heartbeat_on(&heartbeat, HEARTBEAT_GREETING, START + 59 * s), HEARTBEAT_NOTHING);
    assert_int_equal(heartbeat_on(&heartbeat, HEARTBEAT_IDLE, START + 59 * s), HEARTBEAT_NOTHING);
    assert_true(heartbeat.due == START + 69 * s);
    assert_int_equal(heartbeat_on(&heartbeat, HEARTBEAT_IDLE, START + 69 * s), HEARTBEAT_ASK);
    assert_true(heartbeat.due == START + 99 * s);
    assert_int_equal(heartbeat_on(&heartbeat, HEARTBEAT_OPEN, START + 98 * s), HEARTBEAT_NOTHING);
    assert_int_equal(heartbeat_on(&heartbeat, HEARTBEAT_IDLE, START + 98 * s), HEARTBEAT_NOTHING);
    assert_int_equal(heartbeat_on(&heartbeat, HEARTBEAT_IDLE, START + 108 * s), HEARTBEAT_ASK);
    assert_int_equal(heartbeat_on(&heartbeat, HEARTBEAT_OPEN, START + 138 * s), HEARTBEAT_END);
    assert_true(heartbeat_patience(HEARTBEAT_OPEN) == 30 * s);
}

static void test_qemu_that_never_greets_is_given_up(void **state) {
    struct heartbeat heartbeat = HEARTBEAT_INIT;

    (void)state;
    assert_int_equal(heartbeat_on(&heartbeat, HEARTBEAT_GREETING, START), HEARTBEAT_NOTHING);
    assert_int_equal(heartbeat_on(&heartbeat, HEARTBEAT_GREETING, START + 60 * NSEC_PER_SEC), HEARTBEAT_END);
}

static void test_a_command_under_way_stops_the_heartbeat(void **state) {
    struct heartbeat heartbeat = HEARTBEAT_INIT;
    uint64_t s = NSEC_PER_SEC;

    (void)state;
    assert_int_equal(heartbeat_on(&heartbeat, HEARTBEAT_IDLE, START), HEARTBEAT_NOTHING);
    assert_int_equal(heartbeat_on(&heartbeat, HEARTBEAT_OFF, START + 9 * s), HEARTBEAT_NOTHING);
    assert_true(heartbeat.due == DEADLINE_NONE);
    assert_int_equal(heartbeat_on(&heartbeat, HEARTBEAT_OFF, START + 9000 * s), HEARTBEAT_NOTHING);
    assert_int_equal(heartbeat_on(&heartbeat, HEARTBEAT_IDLE, START + 9001 * s), HEARTBEAT_NOTHING);
    assert_int_equal(heartbeat_on(&heartbeat, HEARTBEAT_IDLE, START + 9011 * s), HEARTBEAT_ASK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stories_go_as_they_are_told),
        cmocka_unit_test(test_nothing_happens_before_the_deadline_that_is_announced),
        cmocka_unit_test(test_each_state_that_waits_has_a_deadline),
        cmocka_unit_test(test_times_near_the_end_of_time_do_not_wrap),
        cmocka_unit_test(test_qemu_is_asked_every_10_s_and_given_up_after_30),
        cmocka_unit_test(test_qemu_that_never_greets_is_given_up),
        cmocka_unit_test(test_a_command_under_way_stops_the_heartbeat),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
