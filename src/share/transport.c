/* SPDX-License-Identifier: Apache-2.0 */
#include "share/transport.h"

#define SHARE_ROW(identifier, name, row) [identifier] = &row,
static const struct share_transport *const transports[] = {[SHARE_NONE] = NULL, SHARE_TRANSPORTS(SHARE_ROW)};

const struct share_transport *share_transport(enum share_choice choice) {
    return transports[choice];
}

void share_driver_names(const struct share_transport *transport, struct strv *ret_names) {
    for (const struct driver *driver = transport ? transport->drivers : NULL; driver && driver->module; driver++)
        strv_append(ret_names, driver->module);
}
