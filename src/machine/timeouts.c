/* SPDX-License-Identifier: Apache-2.0 */
/* Timeouts of the run and its stages, and the sentence that reports which one has ended it. */
#include "machine/timeouts.h"

/* The stage, as the end of a sentence. */
static const char *const phases[STAGE_COUNT] = {
    [STAGE_PREPARE] = "while it was prepared",
    [STAGE_BOOT] = "while the guest booted",
    [STAGE_SETUP] = "while the guest was set up",
    [STAGE_COMMAND] = "while the command ran",
};

void run_timeout_begin(struct machine *machine, const struct target *target, uint64_t start) {
    machine->run_timeout = target->run_timeout;
    machine->run_timeout_name = target_key_name(target, KEY_RUN_TIMEOUT);
    machine->run_deadline = target->run_timeout ? start + target->run_timeout : DEADLINE_NONE;
    if (machine->run_deadline < start)
        machine->run_deadline = DEADLINE_NONE;
}

deadline_t timeout_deadline(const struct machine *machine, uint64_t timeout) {
    return deadline_earlier(timeout ? deadline_in(timeout) : DEADLINE_NONE, machine->run_deadline);
}

/* "90 s", "1.5 s". Caller frees. */
static char *describe_duration(uint64_t nsec) {
    return xasprintf("%.10g s", (double)nsec / (double)NSEC_PER_SEC);
}

void machine_end_by_timeout(struct machine *machine, const char *what, uint64_t timeout, const char *key,
                            const char *why) {
    bool whole = deadline_passed(machine->run_deadline);
    _cleanup_free_ char *time = describe_duration(whole ? machine->run_timeout : timeout);

    if (whole)
        machine_end(machine, VERDICT_TIMEOUT, 0, "the run took longer than %s (%s), %s%s%s", time,
                    machine->run_timeout_name, phases[machine->stage], why ? ": " : "", why ? why : "");
    else
        machine_end(machine, VERDICT_TIMEOUT, 0, "%s took longer than %s (%s)%s%s", what, time, key, why ? ": " : "",
                    why ? why : "");
}
