/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <stdio.h>

#include "counter.h"
#include "iotd/clock.h"

#define DIGITS	   6
#define DIGITS_MAX 9 /* of a channel */

/* of the rate: as many figures, whatever an edge stands for. 50 W are 0.000013889 kWh/s */
static int rate_digits(double scale)
{
	int digits = DIGITS;

	for (double size = fabs(scale); size < 1 && digits < DIGITS_MAX; size *= 10)
		digits++;
	return digits;
}

static void init_edges(struct counter *counter, const struct input_settings *settings)
{
	struct channel *total = &counter->channels[COUNTER_TOTAL];
	struct channel *rate = &counter->channels[COUNTER_RATE];

	counter->count.kind = COUNT_EDGES;
	counter->scale = settings->scale;
	*total = (struct channel){ .name = "total", .digits = DIGITS };
	*rate = (struct channel){ .name = "rate",
				  .unit = "Hz",
				  .digits = rate_digits(settings->scale) };
	(void)snprintf(total->unit, sizeof(total->unit), "%s", settings->unit);
	if (settings->unit[0] != '\0') /* which has room for "/s": config sees to it */
		(void)snprintf(rate->unit, sizeof(rate->unit), "%.13s/s", settings->unit);
	counter->channels[COUNTER_FREQUENCY] =
		(struct channel){ .name = "frequency", .unit = "Hz", .digits = DIGITS };
	counter->channel_count = settings->frequency ? COUNTER_CHANNELS : COUNTER_FREQUENCY;
}

static void init_on_time(struct counter *counter)
{
	counter->count.kind = COUNT_ON_TIME;
	counter->scale = 1 / (double)USEC_PER_SEC;
	counter->channels[ON_TIME_SINCE_START] =
		(struct channel){ .name = "since_start", .unit = "s", .digits = DIGITS };
	counter->channels[ON_TIME_TOTAL] =
		(struct channel){ .name = "total", .unit = "s", .digits = DIGITS };
	counter->channel_count = ON_TIME_CHANNELS;
}

void counter_init(struct counter *counter, const struct input_settings *settings)
{
	*counter = (struct counter){ .is_known = false };
	if (settings->count)
		init_edges(counter, settings);
	else if (settings->on_time)
		init_on_time(counter);
}

void counter_restore(struct counter *counter, const struct count *count, bool is_known)
{
	counter->count = *count;
	counter->is_known = is_known;
}

static void count_more(struct counter *counter, uint64_t amount)
{
	counter->count.amount += amount;
	counter->count.run += amount;
}

void counter_edges(struct counter *counter, uint64_t count, int64_t time_us)
{
	count_more(counter, count);
	pace_edges(&counter->pace, count, time_us);
}

void counter_break(struct counter *counter, int64_t now_us)
{
	counter_switch(counter, false, now_us);
	counter->pace = (struct pace){ .last_us = 0 };
}

/* the kernel's time of an edge may be a little earlier than a moment that was counted already */
void counter_switch(struct counter *counter, bool on, int64_t time_us)
{
	if (counter->is_on && time_us > counter->on_us)
		count_more(counter, (uint64_t)(time_us - counter->on_us));
	if (time_us > counter->on_us)
		counter->on_us = time_us;
	counter->is_on = on;
}

double counter_total(const struct counter *counter)
{
	return counter->count.start + (double)counter->count.amount * counter->scale;
}

void counter_set(struct counter *counter, double total)
{
	counter->count.start = total;
	counter->count.amount = 0;
	counter->is_known = true;
}

static void add_value(struct reading *reading, const struct channel *channel, double number)
{
	reading->values[reading->count++] = (struct value){ channel, number };
}

static void note_sample(struct counter *counter, const struct reading *reading)
{
	counter->sampled_us = reading->time_us;
	for (size_t i = 0; i < COUNTER_CHANNELS; i++)
		counter->sample[i] = (double)NAN;
	for (size_t i = 0; i < reading->count; i++)
		counter->sample[reading->values[i].channel - counter->channels] =
			reading->values[i].number;
}

static void read_edges(struct counter *counter, const struct input_settings *settings,
		       int64_t now_us, struct reading *ret)
{
	const struct channel *channels = counter->channels;
	double frequency_hz, rate_hz = pace_read(&counter->pace, now_us, &frequency_hz);

	if (counter->is_known)
		add_value(ret, &channels[COUNTER_TOTAL], counter_total(counter));
	add_value(ret, &channels[COUNTER_RATE], rate_hz * counter->scale);
	if (settings->frequency)
		add_value(ret, &channels[COUNTER_FREQUENCY], frequency_hz);
}

static void read_on_time(struct counter *counter, int64_t now_us, struct reading *ret)
{
	const struct channel *channels = counter->channels;

	counter_switch(counter, counter->is_on, now_us);
	add_value(ret, &channels[ON_TIME_SINCE_START], (double)counter->count.run * counter->scale);
	if (counter->is_known)
		add_value(ret, &channels[ON_TIME_TOTAL], counter_total(counter));
}

void counter_read(struct counter *counter, const struct input_settings *settings, int64_t now_us,
		  struct reading *ret)
{
	*ret = (struct reading){ .name = settings->name, .time_us = clock_realtime_us() };
	if (settings->count)
		read_edges(counter, settings, now_us, ret);
	else
		read_on_time(counter, now_us, ret);
	note_sample(counter, ret);
}
