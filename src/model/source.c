/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The life of a source, the same for every driver: made from the options, opened, closed after a
 * failure and opened again, freed. It lies in the model because drivers call it from below and
 * devices from above; it knows no bus and no driver.
 */

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "iotd/parse.h"
#include "iotd/source.h"

/* room for @count channels, the most there can be if only the hardware can tell */
static int channels_new(struct source *source, const struct channel *channels, size_t count)
{
	source->channels = calloc(count > 0 ? count : CHANNELS_MAX, sizeof(*source->channels));
	if (!source->channels)
		return -ENOMEM;
	if (count > 0)
		memcpy(source->channels, channels, count * sizeof(*channels));
	source->channel_count = count;
	return 0;
}

/* the channels that are known before the hardware is touched */
static int source_describe(struct source *source)
{
	const struct driver *driver = source->driver;
	struct channel channels[CHANNELS_MAX];
	int r;

	if (!driver->describe)
		return channels_new(source, driver->channels, driver->channel_count);

	r = driver->describe(source->options, channels);
	if (r < 0)
		return r;
	assert(r <= CHANNELS_MAX);
	return channels_new(source, channels, (size_t)r);
}

/* a source may outlive the configuration that it was made from: a worker is in it still */
static int options_copy(struct source *source, const struct option_value *options, size_t count)
{
	int r;

	source->options = options;
	if (!options || count == 0)
		return 0;
	r = option_values_copy(&source->copied, options, count);
	source->options = source->copied;
	return r;
}

int source_new(struct source **ret, const struct driver *driver, const struct option_value *options,
	       struct i2c_device *i2c)
{
	cleanup(source_freep) struct source *source = NULL;
	int r;

	source = calloc(1, sizeof(*source));
	if (!source)
		return -ENOMEM;

	source->driver = driver;
	source->i2c = i2c;
	r = options_copy(source, options, driver->option_count);
	if (r < 0)
		return r;
	r = source_describe(source);
	if (r < 0)
		return r;

	if (driver->state_size > 0) {
		source->state = calloc(1, driver->state_size);
		if (!source->state)
			return -ENOMEM;
	}

	*ret = take_ptr(source);
	return 0;
}

struct source *source_free(struct source *source)
{
	if (!source)
		return NULL;
	source_close(source);
	(void)option_values_free(source->copied, source->driver->option_count);
	if (source->owner)
		source->owner->freed(source->owner);
	free(source->state);
	free(source->channels);
	free(source);
	return NULL;
}

void source_was_used(const struct source *source, int64_t duration_us)
{
	if (source->owner && source->owner->used)
		source->owner->used(source->owner, duration_us);
}

int source_open(struct source *source)
{
	int r;

	if (source->is_open)
		return 0;

	source->fault[0] = '\0';
	source->readings = 0;
	if (source->state)
		memset(source->state, 0, source->driver->state_size);
	source->is_open = true;
	r = source->driver->open(source);
	if (r < 0)
		source_close(source);
	return r;
}

int source_start(struct source *source, int64_t *wait_us)
{
	source->readings++;
	source->polls = 0;
	source->is_prompt = false;
	return source->driver->start ? source->driver->start(source, wait_us) : 0;
}

int source_read_promptly(struct source *source, double values[static CHANNELS_MAX])
{
	int64_t wait_us = 0;
	int r;

	if (!source->is_prompt || source->driver->start)
		return -EAGAIN;
	source->fault[0] = '\0';
	source->readings++;
	r = source->driver->collect(source, values, &wait_us);
	if (r == -EAGAIN) {
		source->is_prompt = false;
		source->readings--; /* begun again on a worker */
	}
	return r;
}

void source_close(struct source *source)
{
	if (!source->is_open)
		return;
	source->is_open = source->is_prompt = false;
	if (source->driver->close)
		source->driver->close(source);
}

int source_fail(struct source *source, int error, const char *format, ...)
{
	char text[sizeof(source->fault) + 4]; /* so much more that a cut character shows */
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	text[text_fit(text, sizeof(source->fault) - 1)] = '\0';
	memcpy(source->fault, text, strlen(text) + 1);
	return error;
}
