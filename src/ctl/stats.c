/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* iotctl stats: the members of T/stats. */
#include <stdio.h>

#include "bus.h"
#include "json.h"
#include "text.h"

static void add_member(struct table *table, const char *key, const json_t *value)
{
	char text[TEXT_SIZE];

	(void)snprintf(text, sizeof(text), "%s", key);
	text_clean(text);
	table_add(table, COLOR_PLAIN, text);
	if (json_is_number(value))
		number_text(text, sizeof(text), json_number_value(value));
	else if (json_is_boolean(value))
		(void)snprintf(text, sizeof(text), "%s", json_is_true(value) ? "yes" : "no");
	else
		(void)snprintf(text, sizeof(text), "%s",
			       json_is_string(value) ? json_string_value(value) : "-");
	text_clean(text);
	table_add(table, COLOR_PLAIN, text);
}

/* Return: EX_OK; EXIT_FAILURE, said */
static int print_table(const struct ctl *ctl, json_t *stats)
{
	cleanup(table_free) struct table table = { .columns = 2 };
	char path[TEXT_SIZE];
	const char *key, *inner;
	json_t *value, *member;

	json_object_foreach(stats, key, value)
	{
		if (!json_is_object(value))
			add_member(&table, key, value);
		json_object_foreach(value, inner, member)
		{
			(void)snprintf(path, sizeof(path), "%s.%s", key, inner);
			add_member(&table, path, member);
		}
	}
	return table_print(&table, stdout, 0, false) < 0 ? ctl_no_memory(ctl) : EX_OK;
}

int verb_stats(struct ctl *ctl, int argc, char **argv)
{
	cleanup(bus_call_free) struct bus_call call = { .method = "Stats" };
	cleanup(json_decrefp) json_t *stats = NULL;
	int r, status = bus_ask(ctl, &call, NULL);

	(void)argc;
	(void)argv;
	if (status != EX_OK)
		return status;
	r = json_from_dictionary(&stats, call.reply);
	if (r < 0)
		return bus_strange(ctl, "Stats", r);
	return ctl->json ? json_print(ctl, stdout, take_ptr(stats)) : print_table(ctl, stats);
}
