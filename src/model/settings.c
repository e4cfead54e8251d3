/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Freeing settings, and finding in them. Filling and checking is the work of config/. */
#include <string.h>

#include "iotd/settings.h"

static void mqtt_done(struct mqtt_settings *mqtt)
{
	for (size_t i = 0; i < mqtt->broker_count; i++) {
		free(mqtt->brokers[i].url);
		free(mqtt->brokers[i].host);
	}
	free(mqtt->brokers);
	free(mqtt->client_id);
	free(mqtt->username);
	if (mqtt->password)
		explicit_bzero(mqtt->password, strlen(mqtt->password));
	free(mqtt->password);
	free(mqtt->password_file);
	free(mqtt->topic);
	free(mqtt->tls.ca_file);
	free(mqtt->tls.cert_file);
	free(mqtt->tls.key_file);
	free(mqtt->tls.alpn);
	free(mqtt->tls.psk_identity);
	free(mqtt->tls.psk_file);
	free(mqtt->discovery_prefix);
	free(mqtt->discovery_style);
	free(mqtt->compat);
}

static void sensor_done(struct sensor_settings *sensor)
{
	(void)option_values_free(sensor->options, sensor->option_count);
	for (size_t i = 0; i < sensor->channel_count; i++) {
		free(sensor->channels[i].device_class);
		free(sensor->channels[i].alias);
	}
	free(sensor->channels);
	free(sensor->name);
	free(sensor->bus);
	free(sensor->topic);
}

static void line_done(struct line_settings *line)
{
	free(line->chip);
	free(line->name);
}

static void input_done(struct input_settings *input)
{
	line_done(&input->line);
	free(input->name);
	free(input->device_class);
	free(input->count_topic);
	free(input->module);
}

static void output_done(struct output_settings *output)
{
	line_done(&output->line);
	free(output->name);
	for (size_t i = 0; i < output->interlock_count; i++)
		free(output->interlock[i]);
	free(output->interlock);
	free(output->device_class);
	free(output->module);
}

struct settings *settings_free(struct settings *settings)
{
	if (!settings)
		return NULL;
	mqtt_done(&settings->mqtt);
	for (size_t i = 0; i < settings->i2c_count; i++) {
		free(settings->i2c[i].name);
		free(settings->i2c[i].path);
	}
	free(settings->i2c);
	for (size_t i = 0; i < settings->sensor_count; i++)
		sensor_done(&settings->sensors[i]);
	free(settings->sensors);
	for (size_t i = 0; i < settings->input_count; i++)
		input_done(&settings->inputs[i]);
	free(settings->inputs);
	for (size_t i = 0; i < settings->output_count; i++)
		output_done(&settings->outputs[i]);
	free(settings->outputs);
	free(settings->spool.path);
	free(settings->stats.textfile);
	free(settings->driver_dir);
	free(settings->state_directory);
	free(settings->device);
	free(settings->file);
	free(settings);
	return NULL;
}

const struct i2c_settings *settings_find_i2c(const struct settings *settings, const char *name)
{
	for (size_t i = 0; i < settings->i2c_count; i++)
		if (strcmp(settings->i2c[i].name, name) == 0)
			return &settings->i2c[i];
	return NULL;
}
