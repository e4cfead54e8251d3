/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sparkplug payloads that strangers write: commands of hosts, and what is read back from the spool's
 * file. The input: a byte that says which topic, and whether it is retained, then a payload.
 *
 * Promises: what becomes a command, one at most, is `on` or `off` on T/output/NAME/set; a message is
 * obeyed or counted as refused; a payload that can be marked as late has the same metrics afterwards,
 * and its number.
 */
#include <errno.h>
#include <syslog.h>

#include "fuzz.h"

#include "iotd/log.h"
#include "iotd/sparkplug.h"
#include "mqtt/sparkplug.h"

static const char *const topics[] = { "spBv1.0/iotd/NCMD/box", "spBv1.0/iotd/DCMD/box/pump",
				      "spBv1.0/iotd/DCMD/box/" };
static struct reactor *reactor;
static struct sparkplug *node;
static struct sparkplug_events events;
static struct stats stats;
static size_t commands;
static bool is_retained;

static void wake(struct sparkplug_events *e)
{
	must(e == &events);
}

static void take_command(struct sparkplug_events *e, const struct incoming *in)
{
	must(e == &events);
	must(strncmp(in->topic, "iotd/box/output/", 16) == 0);
	must(strcmp(in->topic + strlen(in->topic) - 4, "/set") == 0);
	must((in->length == 2 && memcmp(in->payload, "on", 2) == 0) ||
	     (in->length == 3 && memcmp(in->payload, "off", 3) == 0));
	must(in->retained == is_retained);
	commands++;
}

static void begin(void)
{
	static char topic[] = "iotd/box", device[] = "box";
	static struct settings settings = { .device = device, .mqtt.topic = topic };
	struct sparkplug_parts parts = { .settings = &settings,
					 .events = &events,
					 .stats = &stats };

	if (node)
		return;
	log_set_level(LOG_EMERG);
	events = (struct sparkplug_events){ wake, take_command };
	must(reactor_new_virtual(&reactor, 0) == 0);
	parts.reactor = reactor;
	must(sparkplug_new(&node, &parts) == 0);
	sparkplug_begin(node);
}

static void count_metric(void *data, const struct metric *metric)
{
	size_t *count = data;

	must(metric->name);
	must(metric->time_us >= 0);
	++*count;
}

static void send_late(const uint8_t *payload, size_t length)
{
	const struct sparkplug_stamp stamp = { .seq = 7, .is_late = true };
	struct message *message, *finished = NULL;
	size_t before = 0, after = 0;
	int r, parsed = sparkplug_payload_parse(payload, length, count_metric, &before);

	must(message_new(&message, "t", payload, length) == 0);
	r = sparkplug_payload_finish(&finished, message, &stamp);
	must(r == 0 || r == -EBADMSG);
	must(r < 0 || parsed == 0);
	if (r == 0) {
		must(sparkplug_payload_parse(finished->payload, finished->length, count_metric,
					     &after) == 0);
		must(after == before);
		must(finished->payload[finished->length - 1] == 7);
	}
	message_free(finished);
	message_free(message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	uint8_t choice = input_byte(&input);
	struct incoming in = { .topic = topics[choice % 3], .retained = choice & 128 };
	uint64_t refused;

	begin();
	in.payload = input.data;
	in.length = input.left;
	refused = stats.commands_refused;
	commands = 0;
	is_retained = in.retained;
	must(sparkplug_receive(node, &in));
	must(commands + stats.commands_refused - refused <= 1);
	send_late(input.data, input.left);
	return 0;
}
