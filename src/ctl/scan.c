/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* iotctl scan: what iotd --scan prints, by the daemon that has the buses already. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bus.h"
#include "json.h"
#include "text.h"

int verb_scan(struct ctl *ctl, int argc, char **argv)
{
	cleanup(bus_call_free) struct bus_call call = { .method = "Scan", .may_ask = true };
	cleanup(freep) char *copy = NULL;
	const char *text;
	int r, status = bus_ask(ctl, &call, "s", argc > 0 ? argv[0] : "");

	if (status != EX_OK)
		return status;
	r = sd_bus_message_read_basic(call.reply, SD_BUS_TYPE_STRING, &text);
	if (r <= 0)
		return bus_strange(ctl, "Scan", r < 0 ? r : -EBADMSG);
	if (ctl->json)
		return json_print(ctl, stdout, json_pack("{s:s}", "configuration", text));
	copy = strdup(text);
	if (!copy)
		return ctl_no_memory(ctl);
	text_clean_lines(copy);
	(void)fputs(copy, stdout);
	return EX_OK;
}
