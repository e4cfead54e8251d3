/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * iotctl spool: how many readings wait for the broker's word. The export fetches them page by page, so it
 * takes as little memory for a million as for ten; what is acknowledged or comes in between is seen or not.
 */
#include <errno.h>
#include <inttypes.h>
#include <resolv.h>
#include <stdio.h>
#include <string.h>

#include "bus.h"
#include "json.h"
#include "spool.h"
#include "text.h"

#include "iotd/clock.h"

#define PAGE 500 /* as many as the daemon gives */

/* --- One message -------------------------------------------------------------------------------- */

struct spooled {
	uint64_t id, time_us;
	const char *topic;
	const char *payload;
	size_t length;
};

/* Return: 1; 0 that was the last; an errno */
static int read_spooled(struct spooled *ret, sd_bus_message *message)
{
	const void *payload;
	int r;

	r = sd_bus_message_enter_container(message, SD_BUS_TYPE_STRUCT, "ttsay");
	if (r <= 0)
		return r;
	r = sd_bus_message_read(message, "tts", &ret->id, &ret->time_us, &ret->topic);
	if (r < 0)
		return r;
	r = sd_bus_message_read_array(message, SD_BUS_TYPE_BYTE, &payload, &ret->length);
	if (r < 0)
		return r;
	ret->payload = payload;
	r = sd_bus_message_exit_container(message);
	return r < 0 ? r : 1;
}

static json_t *json_from_base64(const struct spooled *spooled)
{
	size_t size = (spooled->length + 2) / 3 * 4 + 1;
	cleanup(freep) char *text = malloc(size);

	if (!text || b64_ntop((const void *)spooled->payload, spooled->length, text, size) < 0)
		return NULL;
	return json_string(text);
}

/* JSON as it is, other text as a string, and what is neither as base64 under a key of its own */
static int set_payload(json_t *object, const struct spooled *spooled)
{
	json_t *value = json_loadb(spooled->payload, spooled->length,
				   JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);

	if (!value)
		value = json_stringn(spooled->payload, spooled->length);
	if (value)
		return json_object_set_new(object, "payload", value);
	return json_object_set_new(object, "payload_base64", json_from_base64(spooled));
}

static json_t *json_from_spooled(const struct spooled *spooled)
{
	cleanup(json_decrefp) json_t *object = json_object();

	if (json_object_set_new(object, "id", json_integer((json_int_t)spooled->id)) < 0 ||
	    json_object_set_new(object, "time",
				spooled->time_us > 0 ? json_from_time(spooled->time_us)
						     : json_null()) < 0 ||
	    json_object_set_new(object, "topic", json_string(spooled->topic)) < 0 ||
	    set_payload(object, spooled) < 0)
		return NULL;
	return take_ptr(object);
}

/* --- The export --------------------------------------------------------------------------------- */

/* Return: 0 with where to go on; an errno; 1: said already */
static int export_page(struct ctl *ctl, sd_bus_message *reply, uint64_t *ret_next)
{
	struct spooled spooled;
	int r = sd_bus_message_enter_container(reply, SD_BUS_TYPE_ARRAY, "(ttsay)");

	if (r <= 0)
		return r < 0 ? r : -EBADMSG;
	while ((r = read_spooled(&spooled, reply)) > 0)
		if (json_print(ctl, stdout, json_from_spooled(&spooled)) != EX_OK)
			return 1;
	if (r < 0)
		return r;
	r = sd_bus_message_exit_container(reply);
	if (r < 0)
		return r;
	r = sd_bus_message_read_basic(reply, SD_BUS_TYPE_UINT64, ret_next);
	return r < 0 ? r : 0;
}

static int export_after(struct ctl *ctl, uint64_t after, uint64_t *ret_next)
{
	cleanup(bus_call_free) struct bus_call call = { .method = "Spool" };
	int r, status = bus_ask(ctl, &call, "tu", after, (uint32_t)PAGE);

	if (status != EX_OK)
		return status;
	*ret_next = 0;
	r = export_page(ctl, call.reply, ret_next);
	if (r == 0 && *ret_next != 0 && *ret_next <= after)
		r = -EBADMSG; /* it would never end */
	if (r != 0)
		return r < 0 ? bus_strange(ctl, "Spool", r) : EXIT_FAILURE;
	return ferror(stdout) ? ctl_fail(ctl, EXIT_FAILURE, "stdout: write failed") : EX_OK;
}

static int export(struct ctl *ctl)
{
	uint64_t next = 0;
	int status;

	do
		status = export_after(ctl, next, &next);
	while (status == EX_OK && next != 0);
	return status;
}

/* --- The summary -------------------------------------------------------------------------------- */

int spool_oldest(const struct bus_call *call, uint64_t *ret_us)
{
	struct spooled spooled;
	int r;

	*ret_us = 0;
	r = sd_bus_message_enter_container(call->reply, SD_BUS_TYPE_ARRAY, "(ttsay)");
	if (r <= 0)
		return r < 0 ? r : -EBADMSG;
	r = read_spooled(&spooled, call->reply);
	if (r > 0)
		*ret_us = spooled.time_us;
	return r;
}

static json_t *json_from_oldest(uint64_t oldest_us)
{
	return oldest_us > 0 ? json_from_time(oldest_us) : json_null();
}

static int print_summary(struct ctl *ctl, const json_t *stats, uint64_t oldest_us)
{
	uint64_t count = json_count(stats, "queued"), bytes = json_count(stats, "spool_bytes");
	uint64_t file_bytes = json_count(stats, "spool_file_bytes");
	char size[TEXT_SIZE], time[CLOCK_UTC_SIZE], age[TEXT_SIZE];

	if (ctl->json)
		return json_print(ctl, stdout,
				  json_pack("{s:I, s:o, s:I, s:I}", "count", (json_int_t)count,
					    "oldest", json_from_oldest(oldest_us), "bytes",
					    (json_int_t)bytes, "file_bytes",
					    (json_int_t)file_bytes));
	bytes_text(size, sizeof(size), bytes);
	(void)printf("%" PRIu64 " reading%s, %s\n", count, count == 1 ? "" : "s", size);
	if (oldest_us > 0 && oldest_us <= INT64_MAX) {
		clock_format_utc(time, (int64_t)oldest_us);
		age_text(age, sizeof(age), clock_realtime_us() - (int64_t)oldest_us);
		(void)printf("the oldest of %s, %s ago\n", time, age);
	}
	if (file_bytes > 0) {
		bytes_text(size, sizeof(size), file_bytes);
		(void)printf("the file takes %s\n", size);
	}
	return EX_OK;
}

static int summary(struct ctl *ctl)
{
	cleanup(bus_call_free) struct bus_call call = { .method = "Stats" };
	cleanup(bus_call_free) struct bus_call first = { .method = "Spool" };
	cleanup(json_decrefp) json_t *stats = NULL;
	uint64_t oldest_us;
	int r, status;

	status = bus_send(ctl, &call, NULL);
	if (status == EX_OK)
		status = bus_ask(ctl, &first, "tu", (uint64_t)0, (uint32_t)1);
	if (status == EX_OK)
		status = bus_answered(ctl, &call);
	if (status != EX_OK)
		return status;
	r = spool_oldest(&first, &oldest_us);
	if (r >= 0)
		r = json_from_dictionary(&stats, call.reply);
	return r < 0 ? bus_strange(ctl, "Spool", r) : print_summary(ctl, stats, oldest_us);
}

int verb_spool(struct ctl *ctl, int argc, char **argv)
{
	if (argc == 0)
		return summary(ctl);
	if (strcmp(argv[0], "export") == 0)
		return export(ctl);
	return ctl_fail(ctl, EX_USAGE, "spool %s: there is only export", argv[0]);
}
