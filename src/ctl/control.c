/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The verbs that change something: set, pulse, toggle, interval, reload. polkit may ask a person first. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "ask.h"
#include "json.h"

#include "iotd/parse.h"

#define DURATION_SIZE 32

/* Return: EX_OK; EX_USAGE, said */
static int take_duration(struct ctl *ctl, const char *text, int64_t *ret_us)
{
	if (parse_duration(text, ret_us) < 0 || *ret_us == 0)
		return ctl_fail(ctl, EX_USAGE, "no duration (250ms, 5s, 10m, 1h): %s", text);
	return EX_OK;
}

/* Return: "on", "off", "toggle"; NULL: no state */
static const char *state_word(const char *text)
{
	bool on;

	if (strcasecmp(text, "toggle") == 0)
		return "toggle";
	if (parse_state(text, strlen(text), &on) < 0)
		return NULL;
	return on ? "on" : "off";
}

static int show_state(struct ctl *ctl, const struct bus_call *call, const char *name,
		      int64_t for_us)
{
	cleanup(freep) char *state = NULL;
	char duration[DURATION_SIZE];
	int r = string_read(call->reply, &state);

	if (r < 0)
		return bus_strange(ctl, call->method, r);
	format_duration(duration, sizeof(duration), for_us);
	if (!ctl->json) {
		(void)printf("%s %s%s%s\n", name, state, for_us > 0 ? " for " : "",
			     for_us > 0 ? duration : "");
		return EX_OK;
	}
	if (for_us > 0)
		return json_print(ctl, stdout,
				  json_pack("{s:s, s:s, s:s}", "name", name, "state", state, "for",
					    duration));
	return json_print(ctl, stdout, json_pack("{s:s, s:s}", "name", name, "state", state));
}

static int set(struct ctl *ctl, const char *name, const char *state, int64_t for_us)
{
	cleanup(bus_call_free) struct bus_call call = { .method = "Set", .may_ask = true };
	int status = ask_name_is_good(ctl, name);

	if (status == EX_OK)
		status = bus_send(ctl, &call, "sst", name, state, (uint64_t)for_us);
	if (status == EX_OK)
		status = bus_wait(ctl);
	if (status == EX_OK)
		status = ask_named(ctl, &call, name, 1U << DEVICE_OUTPUT);
	return status == EX_OK ? show_state(ctl, &call, name, for_us) : status;
}

int verb_set(struct ctl *ctl, int argc, char **argv)
{
	const char *state = state_word(argv[1]);

	(void)argc;
	if (!state)
		return ctl_fail(ctl, EX_USAGE, "no state (on, off, toggle): %s", argv[1]);
	return set(ctl, argv[0], state, ctl->for_us);
}

int verb_pulse(struct ctl *ctl, int argc, char **argv)
{
	int64_t for_us;
	int status = take_duration(ctl, argv[1], &for_us);

	(void)argc;
	return status == EX_OK ? set(ctl, argv[0], "on", for_us) : status;
}

int verb_toggle(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	return set(ctl, argv[0], "toggle", ctl->for_us);
}

static int show_interval(const struct ctl *ctl, const char *name, int64_t interval_us)
{
	char interval[DURATION_SIZE];

	format_duration(interval, sizeof(interval), interval_us);
	if (ctl->json)
		return json_print(ctl, stdout,
				  json_pack("{s:s, s:s}", "name", name, "interval", interval));
	(void)printf("%s every %s, until the next reload\n", name, interval);
	return EX_OK;
}

int verb_interval(struct ctl *ctl, int argc, char **argv)
{
	cleanup(bus_call_free) struct bus_call call = { .method = "SetInterval", .may_ask = true };
	int64_t interval_us;
	int status = take_duration(ctl, argv[1], &interval_us);

	(void)argc;
	if (status == EX_OK)
		status = ask_name_is_good(ctl, argv[0]);
	if (status == EX_OK)
		status = bus_send(ctl, &call, "st", argv[0], (uint64_t)interval_us);
	if (status == EX_OK)
		status = bus_wait(ctl);
	if (status == EX_OK)
		status = ask_named(ctl, &call, argv[0], 1U << DEVICE_SENSOR);
	return status == EX_OK ? show_interval(ctl, argv[0], interval_us) : status;
}

int verb_reload(struct ctl *ctl, int argc, char **argv)
{
	cleanup(bus_call_free) struct bus_call call = { .method = "Reload", .may_ask = true };
	int status = bus_ask(ctl, &call, NULL);

	(void)argc;
	(void)argv;
	if (status != EX_OK)
		return status;
	if (ctl->json)
		return json_print(ctl, stdout, json_object());
	(void)puts("reloaded");
	return EX_OK;
}
