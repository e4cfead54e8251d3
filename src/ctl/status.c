/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * iotctl status: all that it needs is asked for at one time, so it takes one way to the daemon and back.
 * What the daemon does not tell is left out.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ask.h"
#include "json.h"
#include "spool.h"
#include "text.h"

#include "iotd/clock.h"
#include "iotd/parse.h"

#define DOT	    "●"
#define COLUMNS	    5
#define LABEL_WIDTH 8
#define DATE_SIZE   64

struct overview {
	struct ctl *ctl;
	struct bus_call all, list, stats, spool;
	json_t *manager; /* its properties */
	json_t *counters;
	struct devices devices;
	uint64_t oldest_us; /* of the spool; 0: none, or not known */
	int64_t now_us;	    /* CLOCK_REALTIME */
};

/* --- Asking ------------------------------------------------------------------------------------- */

static void overview_free(struct overview *overview)
{
	bus_call_free(&overview->all);
	bus_call_free(&overview->list);
	bus_call_free(&overview->stats);
	bus_call_free(&overview->spool);
	json_decref(overview->manager);
	json_decref(overview->counters);
	devices_free(&overview->devices);
}

static int send_all(struct overview *overview)
{
	struct ctl *ctl = overview->ctl;
	int status = bus_send(ctl, &overview->all, "s", BUS_INTERFACE);

	if (status == EX_OK)
		status = bus_send(ctl, &overview->list, NULL);
	if (status == EX_OK)
		status = bus_send(ctl, &overview->stats, NULL);
	if (status == EX_OK)
		status = bus_send(ctl, &overview->spool, "tu", (uint64_t)0, (uint32_t)1);
	return status == EX_OK ? bus_wait(ctl) : status;
}

/* Return: EX_OK; another code, said */
static int take_dictionary(struct ctl *ctl, const struct bus_call *call, json_t **ret)
{
	int r, status = bus_answered(ctl, call);

	if (status != EX_OK)
		return status;
	r = json_from_dictionary(ret, call->reply);
	return r < 0 ? bus_strange(ctl, call->method, r) : EX_OK;
}

static int ask_overview(struct overview *overview)
{
	struct ctl *ctl = overview->ctl;
	int status;

	overview->all = (struct bus_call){ .interface = "org.freedesktop.DBus.Properties",
					   .method = "GetAll" };
	overview->list = (struct bus_call){ .method = "List" };
	overview->stats = (struct bus_call){ .method = "Stats" };
	overview->spool = (struct bus_call){ .method = "Spool" };
	status = send_all(overview);
	overview->now_us = clock_realtime_us();
	if (status == EX_OK)
		status = take_dictionary(ctl, &overview->all, &overview->manager);
	if (status == EX_OK)
		status = take_dictionary(ctl, &overview->stats, &overview->counters);
	if (status == EX_OK)
		status = ask_devices(ctl, &overview->list, &overview->devices);
	if (status == EX_OK && !sd_bus_message_get_error(overview->spool.reply))
		(void)spool_oldest(&overview->spool, &overview->oldest_us);
	return status;
}

/* --- For people --------------------------------------------------------------------------------- */

/* Return: text that is owned by @object, and has no control characters any more; "": none */
static const char *text_of(const json_t *object, const char *key, char buffer[static TEXT_SIZE])
{
	const char *text = json_string_value(json_object_get(object, key));

	(void)snprintf(buffer, TEXT_SIZE, "%s", text ? text : "");
	text_clean(buffer);
	return buffer;
}

static bool is_connected(const struct overview *overview)
{
	return json_is_true(json_object_get(overview->manager, "Connected"));
}

/* red: the broker is away; yellow: a device is */
static enum color state_color(const struct overview *overview)
{
	if (!is_connected(overview))
		return COLOR_RED;
	for (size_t i = 0; i < overview->devices.count; i++)
		if (overview->devices.list[i].status == STATUS_OFFLINE)
			return COLOR_YELLOW;
	return COLOR_GREEN;
}

static void print_headline(const struct overview *overview)
{
	enum color color = state_color(overview);
	bool is_on = overview->ctl->color;
	char device[TEXT_SIZE], version[TEXT_SIZE];

	(void)printf("%s" DOT "%s %s%s%s - iotd %s\n", color_begin(color, is_on),
		     color_end(color, is_on), color_begin(COLOR_BOLD, is_on),
		     text_of(overview->manager, "Device", device), color_end(COLOR_BOLD, is_on),
		     text_of(overview->manager, "Version", version));
}

static void print_since(const struct overview *overview)
{
	double uptime = json_number_value(json_object_get(overview->counters, "uptime"));
	char date[DATE_SIZE], age[TEXT_SIZE];
	int64_t age_us;
	struct tm tm;
	time_t since;

	if (!(uptime >= 0 && uptime < 1e10))
		return;
	age_us = (int64_t)(uptime * (double)USEC_PER_SEC);
	since = (overview->now_us - age_us) / USEC_PER_SEC;
	if (!localtime_r(&since, &tm) || strftime(date, sizeof(date), "%F %T %Z", &tm) == 0)
		return;
	age_text(age, sizeof(age), age_us);
	(void)printf("%*s: %s, for %s\n", LABEL_WIDTH, "since", date, age);
}

static void print_broker(const struct overview *overview)
{
	enum color color = is_connected(overview) ? COLOR_GREEN : COLOR_RED;
	bool is_on = overview->ctl->color;
	char broker[TEXT_SIZE], fault[TEXT_SIZE];

	(void)text_of(overview->manager, "BrokerFault", fault);
	(void)printf("%*s: %s, %s%s%s%s%s\n", LABEL_WIDTH, "broker",
		     text_of(overview->manager, "Broker", broker), color_begin(color, is_on),
		     is_connected(overview) ? "connected" : "not connected",
		     color_end(color, is_on), fault[0] != '\0' ? ": " : "", fault);
}

static void print_spool(const struct overview *overview)
{
	uint64_t count = json_count(overview->manager, "Spooled");
	char age[TEXT_SIZE];

	(void)printf("%*s: ", LABEL_WIDTH, "spool");
	if (count == 0) {
		(void)puts("nothing waits");
		return;
	}
	(void)printf("%" PRIu64 " reading%s wait%s for the broker", count, count == 1 ? "" : "s",
		     count == 1 ? "s" : "");
	if (overview->oldest_us > 0 && overview->oldest_us <= INT64_MAX) {
		age_text(age, sizeof(age), overview->now_us - (int64_t)overview->oldest_us);
		(void)printf(", the oldest for %s", age);
	}
	(void)putchar('\n');
}

/* only those that say that something was not as it should be */
static void print_counters(const struct overview *overview)
{
	static const struct {
		const char *key, *words;
	} counters[] = {
		{ "read_errors", "reads failed" },
		{ "reads_missed", "reads missed" },
		{ "discarded", "readings lost to a full spool" },
		{ "expired", "readings expired" },
		{ "refused", "messages refused by the broker" },
		{ "disconnects", "disconnects" },
		{ "commands_refused", "commands refused" },
		{ "edges_lost", "edges lost" },
		{ "reloads_refused", "reloads refused" },
		{ "log_dropped", "log lines dropped" },
		{ "signals_dropped", "D-Bus signals dropped" },
	};
	bool is_first = true;
	uint64_t count;

	for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
		count = json_count(overview->counters, counters[i].key);
		if (count == 0)
			continue;
		if (is_first)
			(void)printf("%*s: ", LABEL_WIDTH, "counted");
		(void)printf("%s%" PRIu64 " %s", is_first ? "" : ", ", count, counters[i].words);
		is_first = false;
	}
	if (!is_first)
		(void)putchar('\n');
}

static void add_age(struct table *table, const struct device *device, int64_t now_us)
{
	char text[TEXT_SIZE] = "";
	int64_t age_us = device_last_us(device, now_us);

	if (age_us >= 0) {
		age_text(text, sizeof(text) - sizeof(" ago"), age_us);
		(void)stpcpy(text + strlen(text), " ago");
	}
	table_add(table, COLOR_DIM, text);
}

static void add_errors(struct table *table, const struct device *device)
{
	char text[TEXT_SIZE] = "";

	if (device->errors > 0)
		(void)snprintf(text, sizeof(text), "%" PRIu64 " error%s", device->errors,
			       device->errors == 1 ? "" : "s");
	table_add(table, COLOR_YELLOW, text);
}

/* the last column, for it is the one that may be long: the values, or why there are none that are new */
static void add_device(struct table *table, const struct device *device, int64_t now_us)
{
	char values[TEXT_SIZE], text[2 * TEXT_SIZE];

	table_add(table, status_color(device->status), DOT);
	table_add(table, COLOR_PLAIN, device->name);
	add_age(table, device, now_us);
	add_errors(table, device);
	values_text(values, sizeof(values), device);
	if (device->status != STATUS_OFFLINE) {
		table_add(table, COLOR_PLAIN, values);
		return;
	}
	(void)snprintf(text, sizeof(text), "offline%s%.400s%s%s",
		       device->fault[0] != '\0' ? ": " : "", device->fault,
		       device->time_us > 0 ? "; before: " : "", device->time_us > 0 ? values : "");
	text_mend(text);
	table_add(table, COLOR_RED, text);
}

/* Return: 0; -ENOMEM */
static int print_devices(const struct overview *overview)
{
	static const char *const titles[] = {
		[DEVICE_SENSOR] = "Sensors",
		[DEVICE_INPUT] = "Inputs",
		[DEVICE_OUTPUT] = "Outputs",
	};
	bool is_on = overview->ctl->color;
	int r = 0;

	for (unsigned int kind = 0; kind < ARRAY_SIZE(titles) && r == 0; kind++) {
		cleanup(table_free) struct table table = { .columns = COLUMNS };

		for (size_t i = 0; i < overview->devices.count; i++)
			if (overview->devices.list[i].kind == kind)
				add_device(&table, &overview->devices.list[i], overview->now_us);
		if (table.count == 0 && !table.is_short)
			continue;
		(void)printf("\n%s%s%s\n", color_begin(COLOR_BOLD, is_on), titles[kind],
			     color_end(COLOR_BOLD, is_on));
		r = table_print(&table, stdout, 2, is_on);
	}
	return r;
}

static int print_text(const struct overview *overview)
{
	char config[TEXT_SIZE];

	print_headline(overview);
	print_since(overview);
	(void)printf("%*s: %s\n", LABEL_WIDTH, "config",
		     text_of(overview->manager, "ConfigFile", config));
	print_broker(overview);
	print_spool(overview);
	print_counters(overview);
	return print_devices(overview) < 0 ? ctl_no_memory(overview->ctl) : EX_OK;
}

/* --- For programs ------------------------------------------------------------------------------- */

/* Return: 0; -1: out of memory. What the daemon does not tell is left out */
static int copy_properties(json_t *object, const json_t *manager)
{
	static const struct {
		const char *property, *key;
	} names[] = {
		{ "Version", "version" },	 { "Device", "device" },
		{ "ConfigFile", "config_file" }, { "Connected", "connected" },
		{ "Broker", "broker" },		 { "BrokerFault", "broker_fault" },
		{ "Spooled", "spooled" },
	};
	json_t *value;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		value = json_object_get(manager, names[i].property);
		if (value && json_object_set(object, names[i].key, value) < 0)
			return -1;
	}
	return 0;
}

static json_t *json_from_overview(const struct overview *overview)
{
	cleanup(json_decrefp) json_t *object = json_object();

	if (copy_properties(object, overview->manager) < 0)
		return NULL;
	if (overview->oldest_us > 0 &&
	    json_object_set_new(object, "oldest", json_from_time(overview->oldest_us)) < 0)
		return NULL;
	if (json_object_set(object, "stats", overview->counters) < 0 ||
	    json_object_set_new(object, "devices", json_from_devices(&overview->devices)) < 0)
		return NULL;
	return take_ptr(object);
}

int verb_status(struct ctl *ctl, int argc, char **argv)
{
	cleanup(overview_free) struct overview overview = { .ctl = ctl };
	int status = ask_overview(&overview);

	(void)argc;
	(void)argv;
	if (status != EX_OK)
		return status;
	if (ctl->json)
		return json_print(ctl, stdout, json_from_overview(&overview));
	return print_text(&overview);
}
