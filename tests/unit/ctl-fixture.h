/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Messages of D-Bus without a bus: what is written into one is read again after message_seal(). */

#include <systemd/sd-bus.h>

/** messages_open() - a connection that leads nowhere, for message_new_empty(); messages_close() ends it */
void messages_open(void);
void messages_close(void);

/** message_new_empty() - an empty one; the caller unrefs it */
sd_bus_message *message_new_empty(void);

/** message_seal() - no more is written; read it from its beginning */
void message_seal(sd_bus_message *message);
