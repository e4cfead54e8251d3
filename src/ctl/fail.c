/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The end of a run that could not do what it was asked. */
#include <stdarg.h>
#include <stdio.h>

#include "agent.h"
#include "ctl.h"
#include "json.h"
#include "text.h"

int ctl_no_memory(const struct ctl *ctl)
{
	if (ctl->is_quiet)
		return EXIT_FAILURE;
	if (ctl->json)
		(void)fputs("{\"error\":\"out of memory\"}\n", stderr);
	else
		(void)fputs("iotctl: out of memory\n", stderr);
	return EXIT_FAILURE;
}

int ctl_fail(const struct ctl *ctl, int status, const char *format, ...)
{
	cleanup(freep) char *text = NULL;
	va_list arguments;
	int r;

	if (ctl->is_quiet)
		return status;
	va_start(arguments, format);
	r = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (r < 0) {
		text = NULL; /* undefined */
		return ctl_no_memory(ctl);
	}
	text_clean(text);
	if (ctl->json) /* if not even that can be written, that is said instead */
		(void)json_print(ctl, stderr, json_pack("{s:s}", "error", text));
	else
		(void)fprintf(stderr, "iotctl: %s\n", text);
	return status;
}

void ctl_close(struct ctl *ctl)
{
	agent_stop(ctl);
	ctl->bus = sd_bus_close_unref(ctl->bus);
	free(ctl->service);
	ctl->service = NULL;
}
