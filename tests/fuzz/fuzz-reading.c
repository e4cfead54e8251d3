/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a driver's numbers to bytes for the broker: scale, limits, windows, deadband, rounding, and
 * the formats. The input: settings, then samples.
 *
 * Promises: what passes is finite and within its limits; JSON parses, with keys in order and the
 * numbers that the reading has; formats "value" and "influx" say the same numbers; SenML parses, and is
 * the same in JSON and in CBOR.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>

#include "../unit/cbor-reader.h"
#include "fuzz.h"

#include "iotd/clock.h"
#include "iotd/device.h"
#include "iotd/json.h"
#include "iotd/message.h"

#define CHANNELS    4
#define SAMPLES	    2000
#define HUGE_NUMBER 1.797e308 /* above, 15 digits may round to infinity */

static struct sensor_settings settings;
static struct channel_settings channel_settings[CHANNELS];
static struct channel channels[CHANNELS];
static size_t channel_count;

static double finite_double(struct input *input)
{
	static const double plain[] = { 0, 1, -1, 0.1, 1e-3, 100, 1e300, -1e300 };
	uint8_t byte = input_byte(input);
	double number;

	if (byte < 8)
		return plain[byte];
	if (byte < 128)
		return (byte - 64) / 10.0;
	number = input_double(input);
	return isfinite(number) ? number : 0;
}

static void read_channel(struct channel_settings *channel, struct input *input, size_t index)
{
	char *unit;

	*channel = (struct channel_settings){ .name = { (char)('a' + index) } };
	channel->scale = finite_double(input);
	if (channel->scale == 0)
		channel->scale = 1;
	channel->offset = finite_double(input);
	channel->digits = (int)input_number(input, 11) - 1;
	channel->min = input_byte(input) % 2 ? finite_double(input) : -HUGE_VAL;
	channel->max = input_byte(input) % 2 ? finite_double(input) : HUGE_VAL;
	if (channel->min > channel->max)
		channel->min = channel->max;
	channel->deadband = fabs(finite_double(input));
	channel->max_age_us = 1000 + (int64_t)input_number(input, 365 * 86400 * 1000000LL);
	unit = input_until(input, '\n', NULL);
	if (strlen(unit) <= UNIT_LENGTH && text_is_clean(unit))
		(void)snprintf(channel->unit, sizeof(channel->unit), "%s", unit);
	free(unit);
}

static void read_settings(struct input *input)
{
	static const char *const units[CHANNELS] = { "°C", "%", "hPa", "ppb" };
	static char name[] = "air";

	settings = (struct sensor_settings){ .name = name, .channels = channel_settings };
	settings.interval_us = 1000 + (int64_t)input_number(input, 65536) * 1000;
	if (input_byte(input) % 2)
		settings.window_us =
			settings.interval_us * (1 + (int64_t)input_number(input, 65536));
	settings.aggregate = (enum aggregate)input_number(input, 5);
	channel_count = 1 + input_number(input, CHANNELS);
	settings.channel_count = input_number(input, channel_count + 1);
	for (size_t i = 0; i < settings.channel_count; i++)
		read_channel(&channel_settings[i], input, i);
	for (size_t i = 0; i < channel_count; i++) {
		channels[i] = (struct channel){ .name = { (char)('a' + i) },
						.digits = (int)input_number(input, 10) };
		(void)snprintf(channels[i].unit, sizeof(channels[i].unit), "%s", units[i]);
	}
}

/* --- what passes ---------------------------------------------------------------------------- */

static void check_scaled(const double *values)
{
	size_t present = 0;

	for (size_t i = 0; i < channel_count; i++) {
		if (isnan(values[i]))
			continue;
		present++;
		must(isfinite(values[i]));
		if (i < settings.channel_count)
			must(values[i] >= channel_settings[i].min &&
			     values[i] <= channel_settings[i].max);
	}
	must(present > 0);
}

static bool is_same(double a, double b)
{
	return fabs(a - b) <= fabs(b) * 1e-14;
}

static void check_json(const struct reading *reading, const struct message *message)
{
	json_t *object = json_loadb((const char *)message->payload, message->length,
				    JSON_REJECT_DUPLICATES, NULL);
	void *iterator = json_object_iter(object);

	must(json_is_object(object) && json_object_size(object) == reading->count + 1);
	must(strcmp(json_object_iter_key(iterator), "time") == 0);
	for (size_t i = 0; i < reading->count; i++) {
		const struct value *value = &reading->values[i];

		iterator = json_object_iter_next(object, iterator);
		must(strcmp(json_object_iter_key(iterator), value->channel->name) == 0);
		must(is_same(json_number_value(json_object_iter_value(iterator)), value->number));
	}
	json_decref(object);
}

static void check_plain(const struct value *value, const struct message *message)
{
	char text[512], topic[80], *end;
	double number;

	must(message->length > 0 && message->length < sizeof(text));
	memcpy(text, message->payload, message->length);
	text[message->length] = '\0';
	must(strcmp(text, "-0") != 0);
	number = strtod(text, &end);
	must(*end == '\0' && is_same(number, value->number));
	(void)snprintf(topic, sizeof(topic), "t/%s", value->channel->name);
	must(strcmp(message->topic, topic) == 0);
}

static void check_senml(const struct reading *reading, const struct message *message,
			const struct message *in_cbor)
{
	json_t *pack = json_loadb((const char *)message->payload, message->length,
				  JSON_REJECT_DUPLICATES, NULL);
	json_t *same = json_from_cbor(in_cbor->payload, in_cbor->length);

	must(json_array_size(pack) == reading->count);
	for (size_t i = 0; i < reading->count; i++) {
		const json_t *record = json_array_get(pack, i);
		const char *name = json_string_value(json_object_get(record, "n"));

		must(name && strcmp(name, reading->values[i].channel->name) == 0);
		must(isfinite(json_number_value(json_object_get(record, "v"))));
	}
	must(senml_equal(pack, same));
	json_decref(pack);
	json_decref(same);
}

/* "air,device=g a=1,b=2 123000", as names and device here have nothing to escape */
static void check_line(const struct reading *reading, const struct message *message)
{
	static const char head[] = "air,device=g ";
	char text[4096], time[32], *at = text + sizeof(head) - 1;

	must(message->length > sizeof(head) && message->length < sizeof(text));
	memcpy(text, message->payload, message->length);
	text[message->length] = '\0';
	must(strncmp(text, head, sizeof(head) - 1) == 0);
	for (size_t i = 0; i < reading->count; i++) {
		const struct value *value = &reading->values[i];

		must(i == 0 || *at++ == ',');
		must(strncmp(at, value->channel->name, 1) == 0 && at[1] == '=');
		must(is_same(strtod(at + 2, &at), value->number));
	}
	(void)snprintf(time, sizeof(time), " %" PRId64 "000", reading->time_us);
	must(strcmp(at, time) == 0);
}

/* --- the messages --------------------------------------------------------------------------- */

static const struct message_origin origin = { .topic = "t", .device = "g" };
static struct message *messages[CHANNELS_MAX];
static size_t message_count;

static void take_message(void *data, struct message *message)
{
	(void)data;
	must(message_count < CHANNELS_MAX);
	messages[message_count++] = message;
}

static void drop_messages(void)
{
	while (message_count > 0)
		message_free(messages[--message_count]);
}

static void write_reading(enum message_format format, const struct reading *reading, size_t count)
{
	drop_messages();
	must(message_from_reading(format, &origin, reading, take_message, NULL) == 0);
	must(message_count == count);
}

static void check_reading(const struct reading *reading)
{
	must(reading->count >= 1 && reading->count <= channel_count);
	for (size_t i = 0; i < reading->count; i++) {
		const struct value *value = &reading->values[i];

		must(isfinite(value->number));
		must(i == 0 || strcmp(value->channel->name, value[-1].channel->name) > 0);
		must(!signbit(value->number) || value->number != 0);
		if (fabs(value->number) > HUGE_NUMBER)
			return;
	}
	write_reading(FORMAT_JSON, reading, 1);
	check_json(reading, messages[0]);
	write_reading(FORMAT_VALUE, reading, reading->count);
	for (size_t i = 0; i < reading->count; i++)
		check_plain(&reading->values[i], messages[i]);
	write_reading(FORMAT_INFLUX, reading, 1);
	check_line(reading, messages[0]);
	write_reading(FORMAT_SENML, reading, 1);
	must(message_from_reading(FORMAT_CBOR, &origin, reading, take_message, NULL) == 0);
	must(message_count == 2);
	check_senml(reading, messages[0], messages[1]);
	drop_messages();
}

static void check_state_formats(const struct state *state)
{
	static const enum message_format both[] = { FORMAT_SENML, FORMAT_CBOR };
	struct message *message;
	json_t *packs[2];

	for (size_t i = 0; i < 2; i++) {
		must(message_from_state(both[i], &origin, state, &message) == 0);
		packs[i] = i == 0 ? json_loadb((const char *)message->payload, message->length,
					       JSON_REJECT_DUPLICATES, NULL)
				  : json_from_cbor(message->payload, message->length);
		message_free(message);
	}
	must(senml_equal(packs[0], packs[1]));
	must(json_is_true(json_object_get(json_array_get(packs[0], 0), "vb")) == state->on);
	json_decref(packs[0]);
	json_decref(packs[1]);
	must(message_from_state(FORMAT_INFLUX, &origin, state, &message) == 0);
	must(memmem(message->payload, message->length, state->on ? "=true " : "=false ",
		    state->on ? 6 : 7));
	message_free(message);
}

static void check_state(struct input *input)
{
	const struct state state = { .kind = DEVICE_INPUT,
				     .name = "door",
				     .on = input_byte(input) % 2,
				     .time_us = (int64_t)input_number(input, UINT64_MAX) };
	struct message *message;
	json_t *object;

	check_state_formats(&state);
	must(message_from_state(FORMAT_JSON, &origin, &state, &message) == 0);
	object = json_loadb((const char *)message->payload, message->length, 0, NULL);
	must(strcmp(json_string_value(json_object_get(object, "state")), state.on ? "on" : "off") ==
	     0);
	must(json_is_string(json_object_get(object, "time")));
	json_decref(object);
	message_free(message);
}

static void check_stats(struct input *input)
{
	struct stats stats = { .queued = input_number(input, UINT64_MAX) };
	struct message *message;
	json_t *object;

	stats.late_max_us = (int64_t)input_number(input, INT64_MAX);
	must(message_from_stats("t", &stats, &message) == 0);
	object = json_loadb((const char *)message->payload, message->length, 0, NULL);
	must(json_integer_value(json_object_get(object, "queued")) == (json_int_t)stats.queued);
	json_decref(object);
	message_free(message);
}

static void sample(struct channel_filter *filter, struct input *input, int64_t now_us)
{
	double values[CHANNELS_MAX] = { 0 };
	struct reading reading = { 0 };
	uint8_t kind = input_byte(input);
	char fault[192] = "";
	int r;

	for (size_t i = 0; i < channel_count; i++)
		values[i] = kind & (1U << i) ? input_double(input) : finite_double(input);
	r = channel_filter_scale(filter, values, fault);
	must(r == 0 || r == -ERANGE || r == -EDOM);
	must((r == 0) == (fault[0] == '\0') && text_is_clean(fault));
	if (kind & 0x10)
		channel_filter_forget(filter);
	if (kind & 0x20)
		channel_filter_set_interval(filter,
					    1000 + (int64_t)input_number(input, 1ULL << 40));
	if (r < 0)
		return;
	check_scaled(values);
	if (channel_filter_publish(filter, values, now_us,
				   kind & 0x80 ? (int64_t)input_number(input, 1ULL << 60) : 0,
				   kind & 0x40, &reading) > 0)
		check_reading(&reading);
	else
		must(!(kind & 0x40));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	struct channel_filter *filter;
	int64_t now_us = 1000000;

	read_settings(&input);
	check_state(&input);
	if (input_byte(&input) % 8 == 1)
		check_stats(&input);
	must(channel_filter_new(&filter, &settings, channels, channel_count) == 0);
	for (int i = 0; i < SAMPLES && input.left > 0; i++) {
		now_us += (int64_t)input_number(&input, 256) * settings.interval_us / 16;
		sample(filter, &input, now_us);
	}
	channel_filter_free(filter);
	return 0;
}
