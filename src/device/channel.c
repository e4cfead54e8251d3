/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Channels: what happens to a number between the driver and the broker.
 *
 * In this order: scale and offset, limits (outside is a failed reading, so this runs before anything is remembered),
 * window and aggregate, deadband with max_age, rounding. Each channel goes its own way; a reading
 * holds the channels that have something to say.
 *
 * A window counts samples by time and not by number, so a failed read does not stretch it. Only the
 * median needs the samples themselves: of a long window it keeps every second, then every fourth,
 * so that memory stays bounded and the kept ones stay evenly spread.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "iotd/clock.h"
#include "iotd/device.h"

#define SAMPLES_MAX    1024
/* floating point has 21.4 - 21.3 a little under 0.1: such a step reaches a deadband of 0.1 */
#define DEADBAND_SLACK 1e-9

struct track {
	double offset, scale, min, max, deadband;
	int64_t max_age_us;
	double published; /* the last one, before rounding */
	int64_t published_us;
	bool was_published;
	/* of the current window */
	uint64_t count;
	double sum, least, most, last;
	double *samples; /* median */
	size_t kept;
	uint64_t stride;
};

struct channel_filter {
	const struct sensor_settings *settings;
	int64_t interval_us; /* the settings', or a command's */
	size_t count;
	struct channel *channels;
	struct track *tracks;
	double *sample;	       /* the newest */
	int64_t sampled_us;    /* CLOCK_REALTIME; 0: no sample yet */
	int64_t window_end_us; /* 0: no sample yet */
};

static void track_settings(struct track *track, struct channel *channel,
			   const struct channel_settings *settings)
{
	track->offset = settings->offset;
	track->scale = settings->scale;
	track->min = settings->min;
	track->max = settings->max;
	track->deadband = settings->deadband;
	track->max_age_us = settings->max_age_us;
	if (settings->digits >= 0)
		channel->digits = settings->digits;
	if (settings->unit[0])
		memcpy(channel->unit, settings->unit, sizeof(channel->unit));
}

static int track_init(struct track *track, struct channel *channel,
		      const struct sensor_settings *settings)
{
	*track = (struct track){ .scale = 1, .min = -HUGE_VAL, .max = HUGE_VAL };
	for (size_t i = 0; i < settings->channel_count; i++)
		if (strcmp(settings->channels[i].name, channel->name) == 0)
			track_settings(track, channel, &settings->channels[i]);
	if (settings->window_us == 0 || settings->aggregate != AGGREGATE_MEDIAN)
		return 0;
	track->samples = calloc(SAMPLES_MAX, sizeof(*track->samples));
	return track->samples ? 0 : -ENOMEM;
}

static void filter_freep(struct channel_filter **filter)
{
	*filter = channel_filter_free(*filter);
}

int channel_filter_new(struct channel_filter **ret, const struct sensor_settings *settings,
		       const struct channel *channels, size_t count)
{
	cleanup(filter_freep) struct channel_filter *filter = NULL;
	int r;

	filter = calloc(1, sizeof(*filter));
	if (!filter)
		return -ENOMEM;
	filter->settings = settings;
	filter->interval_us = settings->interval_us;
	filter->channels = calloc(count, sizeof(*filter->channels));
	filter->tracks = calloc(count, sizeof(*filter->tracks));
	filter->sample = calloc(count, sizeof(*filter->sample));
	if (!filter->channels || !filter->tracks || !filter->sample)
		return -ENOMEM;
	filter->count = count;
	memcpy(filter->channels, channels, count * sizeof(*channels));
	for (size_t i = 0; i < count; i++) {
		r = track_init(&filter->tracks[i], &filter->channels[i], settings);
		if (r < 0)
			return r;
	}
	*ret = take_ptr(filter);
	return 0;
}

struct channel_filter *channel_filter_free(struct channel_filter *filter)
{
	if (!filter)
		return NULL;
	for (size_t i = 0; i < filter->count; i++)
		free(filter->tracks[i].samples);
	free(filter->sample);
	free(filter->tracks);
	free(filter->channels);
	free(filter);
	return NULL;
}

void channel_filter_set_interval(struct channel_filter *filter, int64_t interval_us)
{
	filter->interval_us = interval_us;
}

void channel_filter_update(struct channel_filter *filter, const struct sensor_settings *settings)
{
	filter->settings = settings;
}

void channel_filter_forget(struct channel_filter *filter)
{
	for (size_t i = 0; i < filter->count; i++)
		filter->tracks[i].was_published = false;
}

const struct channel *channel_filter_channels(const struct channel_filter *filter)
{
	return filter->channels;
}

const double *channel_filter_sample(const struct channel_filter *filter, int64_t *ret_time_us)
{
	*ret_time_us = filter->sampled_us;
	return filter->sampled_us > 0 ? filter->sample : NULL;
}

int channel_filter_scale(const struct channel_filter *filter, double values[static CHANNELS_MAX],
			 char fault[static 192])
{
	size_t present = 0;

	for (size_t i = 0; i < filter->count; i++) {
		const struct track *track = &filter->tracks[i];
		const struct channel *channel = &filter->channels[i];
		double value = values[i] * track->scale + track->offset;

		if (isnan(values[i]))
			continue;
		if (!isfinite(value)) {
			(void)snprintf(fault, 192, "%s is no finite number", channel->name);
			return -EDOM;
		}
		if (value < track->min || value > track->max) {
			(void)snprintf(fault, 192, "%s %.6g%s%s is outside %g .. %g", channel->name,
				       value, *channel->unit != '\0' ? " " : "", channel->unit,
				       track->min, track->max);
			return -ERANGE;
		}
		values[i] = value;
		present++;
	}
	if (present == 0) {
		(void)snprintf(fault, 192, "no channel has a value");
		return -EDOM;
	}
	return 0;
}

/* --- windows -------------------------------------------------------------------------------- */

static void keep_sample(struct track *track, double value)
{
	if (!track->samples)
		return;
	if (track->count == 0) {
		track->kept = 0;
		track->stride = 1;
	}
	if (track->count % track->stride != 0)
		return;
	if (track->kept == SAMPLES_MAX) { /* keep every second of what is there */
		for (size_t i = 0; i < SAMPLES_MAX / 2; i++)
			track->samples[i] = track->samples[2 * i];
		track->kept = SAMPLES_MAX / 2;
		track->stride *= 2;
	}
	track->samples[track->kept++] = value;
}

static void add_sample(struct track *track, double value)
{
	keep_sample(track, value);
	if (track->count == 0) {
		track->sum = 0;
		track->least = track->most = value;
	}
	track->count++;
	track->sum += value;
	track->least = fmin(track->least, value);
	track->most = fmax(track->most, value);
	track->last = value;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(struct track *track)
{
	size_t half = track->kept / 2;

	qsort(track->samples, track->kept, sizeof(*track->samples), compare_doubles);
	if (track->kept % 2 == 1)
		return track->samples[half];
	return track->samples[half - 1] / 2 + track->samples[half] / 2;
}

static double aggregated(struct track *track, enum aggregate aggregate)
{
	switch (aggregate) {
	case AGGREGATE_MEAN:
		/* between the ends whatever the sum did: huge numbers overflow it */
		return fmin(fmax(track->sum / (double)track->count, track->least), track->most);
	case AGGREGATE_MIN:
		return track->least;
	case AGGREGATE_MAX:
		return track->most;
	case AGGREGATE_MEDIAN:
		return median(track);
	case AGGREGATE_LAST:
		return track->last;
	}
	return track->last;
}

/* true: the window ends with the sample of @now_us */
static bool window_ends(struct channel_filter *filter, int64_t now_us)
{
	int64_t window_us = filter->settings->window_us, interval_us = filter->interval_us;

	if (window_us == 0)
		return true;
	if (filter->window_end_us == 0) /* the first sample stands for the interval before it */
		filter->window_end_us = now_us - interval_us + window_us;
	/* set when the interval was longer, by a command, than a window */
	if (filter->window_end_us - now_us > window_us + interval_us / 2)
		filter->window_end_us = now_us - interval_us + window_us;
	if (now_us + interval_us / 2 < filter->window_end_us)
		return false;
	filter->window_end_us +=
		((now_us + interval_us / 2 - filter->window_end_us) / window_us + 1) * window_us;
	return true;
}

/* --- publishing ----------------------------------------------------------------------------- */

static bool is_news(const struct track *track, double value, int64_t now_us, int64_t distance_us)
{
	if (track->deadband <= 0 || !track->was_published)
		return true;
	if (fabs(value - track->published) >= track->deadband * (1 - DEADBAND_SLACK))
		return true;
	/* the next time would be too late; a tenth is for reads that are never quite on time */
	return now_us - track->published_us + distance_us - distance_us / 10 > track->max_age_us;
}

static void add_value(struct channel_filter *filter, size_t i, double value, int64_t now_us,
		      struct reading *reading)
{
	struct track *track = &filter->tracks[i];

	track->published = value;
	track->published_us = now_us;
	track->was_published = true;
	reading->values[reading->count++] = (struct value){
		.channel = &filter->channels[i],
		.number = value_round(value, filter->channels[i].digits),
	};
}

size_t channel_filter_publish(struct channel_filter *filter,
			      const double values[static CHANNELS_MAX], int64_t now_us,
			      int64_t time_us, bool force, struct reading *reading)
{
	const struct sensor_settings *settings = filter->settings;
	int64_t distance_us = settings->window_us > 0 ? settings->window_us : filter->interval_us;
	bool ends = !force && window_ends(filter, now_us);

	reading->name = settings->name;
	reading->time_us = time_us;
	reading->count = 0;
	filter->sampled_us = time_us;
	for (size_t i = 0; i < filter->count; i++) {
		struct track *track = &filter->tracks[i];
		double value = values[i];

		filter->sample[i] = value;
		if (!isnan(value) && settings->window_us > 0 && !force)
			add_sample(track, value);
		if (force) {
			if (!isnan(value))
				add_value(filter, i, value, now_us, reading);
			continue;
		}
		if (!ends || (settings->window_us > 0 ? track->count == 0 : isnan(value)))
			continue;
		if (settings->window_us > 0)
			value = aggregated(track, settings->aggregate);
		track->count = 0;
		if (is_news(track, value, now_us, distance_us))
			add_value(filter, i, value, now_us, reading);
	}
	return reading->count;
}
