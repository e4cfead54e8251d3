/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a format is to message.c: one ops table a file, and its line in message.c. */

#include "iotd/message.h"

/** struct message_format_ops - how one format writes. Return of both: 0; -ENOMEM, with nothing given out */
struct message_format_ops {
	int (*reading)(const struct message_origin *origin, const struct reading *reading,
		       message_sink sink, void *data);
	int (*state)(const struct message_origin *origin, const struct state *state,
		     struct message **ret);
};

extern const struct message_format_ops message_format_cbor;
extern const struct message_format_ops message_format_influx;
extern const struct message_format_ops message_format_json;
extern const struct message_format_ops message_format_senml;
extern const struct message_format_ops message_format_value;
extern const struct message_format_ops message_format_sparkplug;
