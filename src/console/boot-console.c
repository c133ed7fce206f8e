/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds out why an image does not come up. A table of the last words of firmware, boot loaders and initramfs: the last
 * one on the console counts, as long as not much follows it. A second table tells how far a slow system has come.
 */
#include "console/boot-console.h"

#include "base/str.h"
#include "console/panic.h"

/*
 * Bytes that may follow a sign which counts: firmware and shells go on with a few lines and a prompt, a panic with the
 * processor's state. A boot that goes on after all writes more.
 */
#define REACH 1536u
#define REACH_PANIC 8192u

struct sign {
    const char *words;
    const char *meaning;
    bool prompt; /* it counts while the console ends in a prompt: a script may go on from there */
};

/* The last one that is found counts: a firmware that gives up one way may go on with another. */
static const struct sign ends[] = {
    /* SeaBIOS */
    {"No bootable device.", "the BIOS found no boot loader on the image; if it is made for UEFI, set uefi = true "
                            "(--uefi)"},
    /* EDK2 */
    {"No bootable option or device was found",
     "the UEFI firmware found no boot loader on the image; if it is made for a BIOS, remove uefi"},
    {"UEFI Interactive Shell",
     "the UEFI firmware found no boot loader on the image and started its shell; if the image is made for a BIOS, "
     "remove uefi",
     true},
    {"Press any key to enter the Boot Manager Menu",
     "the UEFI firmware found no boot loader on the image; if it is made for a BIOS, remove uefi"},
    {"grub rescue>", "the image's boot loader (GRUB) found no configuration and waits at its rescue prompt", true},
    {"No DEFAULT or UI configuration directive found!", "the image's boot loader (SYSLINUX) found no configuration"},
    {"Could not find kernel image", "the image's boot loader (SYSLINUX) did not find the kernel that it is to boot"},
    {"Dropping to a shell!", "the image's initramfs did not find its root file system and waits in a shell"},
    {"Entering emergency mode", "the image's initramfs waits in an emergency shell"},
    {"You are in emergency mode", "the system came up in emergency mode and waits in a shell"},
    {"reboot: System halted", "the system halted while it booted"},
};

/* Signs of a system that is on its way or up: they say what is missing when no guest agent answers. */
static const struct sign stations[] = {
    {"login:", "the system is up (it asks for a login), but no guest agent answers: install qemu-guest-agent in the "
               "image and have it started"},
    {"systemd[1]:", "the system was starting, and no guest agent answered: give it more time (boot_timeout), or "
                    "install qemu-guest-agent in the image"},
    {"Linux version ", "the kernel was starting, and no guest agent answered: give it more time (boot_timeout), or "
                       "install qemu-guest-agent in the image"},
    {"Booting from Hard Disk", "the boot loader was started, and no guest agent answered: give it more time "
                               "(boot_timeout), or install qemu-guest-agent in the image"},
};

static const char *tail_of(const char *text, size_t reach) {
    size_t size = strlen(text);

    return size > reach ? text + size - reach : text;
}

/* The last place of `words`, or NULL. */
static const char *find_last(const char *text, const char *words) {
    const char *found = NULL;

    for (const char *at = text; (at = strstr(at, words)) != NULL; at++)
        found = at;
    return found;
}

/* True if the text ends in "> ", followed by colours at most. */
static bool ends_in_prompt(const char *text) {
    size_t end = strlen(text);

    for (;;) {
        size_t begin;

        while (end > 0 && strchr(" \r\n", text[end - 1]))
            end--;
        /* ESC [ parameters letter */
        begin = end;
        if (end > 0 && strchr("mHJK", text[end - 1]))
            begin--;
        while (begin > 0 && strchr("0123456789;", text[begin - 1]))
            begin--;
        if (begin == end || begin < 2 || text[begin - 1] != '[' || text[begin - 2] != '\033')
            return end > 0 && text[end - 1] == '>';
        end = begin - 2;
    }
}

const char *boot_console_failure(const char *text) {
    const char *latest = NULL;
    const char *meaning = NULL;

    if (!text)
        return NULL;
    if (strstr(tail_of(text, REACH_PANIC), PANIC_MARK))
        return "the guest kernel panicked";
    text = tail_of(text, REACH);
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        const char *found = find_last(text, ends[i].words);

        if (found && ends[i].prompt && !ends_in_prompt(text))
            continue;
        if (found && (!latest || found > latest)) {
            latest = found;
            meaning = ends[i].meaning;
        }
    }
    return meaning;
}

bool boot_console_has_panicked(const char *text) {
    return text && strstr(tail_of(text, REACH_PANIC), PANIC_END_MARK) != NULL;
}

char *boot_console_guess(const char *text, bool agent_opened) {
    if (agent_opened)
        return xstrdup("its guest agent was started, but does not answer");
    if (str_empty(text))
        return xstrdup("its console (the first serial port) shows nothing: it may need uefi = true, or not, or more "
                       "time (boot_timeout)");

    const char *meaning = boot_console_failure(text);
    for (size_t i = 0; !meaning && i < ARRAY_SIZE(stations); i++) {
        if (strstr(text, stations[i].words))
            meaning = stations[i].meaning;
    }
    return xstrdup(meaning ? meaning
                           : "no guest agent answered: install qemu-guest-agent in the image, or give it more time "
                             "(boot_timeout)");
}
