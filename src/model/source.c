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

#include "iotd/driver.h"
#include "iotd/parse.h"

/* the channels that are known before the hardware is touched */
static int source_describe(struct source *source)
{
	const struct driver *driver = source->driver;
	int r;

	if (driver->channels) {
		memcpy(source->channels, driver->channels,
		       driver->channel_count * sizeof(*driver->channels));
		source->channel_count = driver->channel_count;
		return 0;
	}
	if (!driver->describe)
		return 0;

	r = driver->describe(source->options, source->channels);
	if (r < 0)
		return r;
	assert(r <= CHANNELS_MAX);
	source->channel_count = (size_t)r;
	return 0;
}

static void options_free(struct option_value *options, size_t count)
{
	for (size_t i = 0; options && i < count; i++)
		free(options[i].string);
	free(options);
}

/* a source may outlive the configuration that it was made from: a worker is in it still */
static int options_copy(struct source *source, const struct option_value *options, size_t count)
{
	source->options = options;
	if (!options || count == 0)
		return 0;
	source->copied = calloc(count, sizeof(*options));
	if (!source->copied)
		return -ENOMEM;
	source->options = source->copied;
	for (size_t i = 0; i < count; i++) {
		struct option_value *copy = &source->copied[i];

		*copy = options[i];
		copy->string = options[i].string ? strdup(options[i].string) : NULL;
		if (options[i].string && !copy->string)
			return -ENOMEM; /* what is not copied yet is zero */
	}
	return 0;
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
	options_free(source->copied, source->driver->option_count);
	if (source->owner)
		source->owner->freed(source->owner);
	free(source->state);
	free(source);
	return NULL;
}

int source_open(struct source *source)
{
	int r;

	if (source->is_open)
		return 0;

	source->fault[0] = '\0';
	if (source->state)
		memset(source->state, 0, source->driver->state_size);
	source->is_open = true;
	r = source->driver->open(source);
	if (r < 0)
		source_close(source);
	return r;
}

void source_close(struct source *source)
{
	if (!source->is_open)
		return;
	source->is_open = false;
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
