/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What Home Assistant is told of the devices, between device and mqtt.
 *
 * The channels of a sensor are known when it was opened, and may be others when it is opened anew;
 * those of many drivers are known even of a sensor that is offline. Sensors are told of that say
 * they are news, a few in a turn: there may be ten thousand. Inputs and outputs only change at a
 * reload.
 */
#include <fcntl.h>
#include <string.h>

#include "daemon.h"
#include "iotd/clock.h"

#define LOOK_US	    (200 * USEC_PER_MSEC) /* at a start many come at once */
#define NEXT_US	    (5 * USEC_PER_MSEC)
#define AT_ONCE_MAX 32

/* --- the host ------------------------------------------------------------------------------- */

/* the first line of a file of sysfs; "": it is not there */
static void read_line(const char *path, char line[static HOST_TEXT_SIZE])
{
	cleanup(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t length = fd < 0 ? -1 : read(fd, line, HOST_TEXT_SIZE - 1);

	line[length > 0 ? length : 0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	for (char *at = line; *at; at++)
		if (*at < ' ' || *at > '~')
			*at = '?';
}

void announcing_new(struct daemon *daemon)
{
	struct announcing *announcing = &daemon->announcing;

	read_line("/sys/firmware/devicetree/base/model", announcing->model);
	if (announcing->model[0] == '\0') {
		read_line("/sys/class/dmi/id/sys_vendor", announcing->manufacturer);
		read_line("/sys/class/dmi/id/product_name", announcing->model);
	}
	announcing->host = (struct discovery_host){
		.manufacturer = announcing->manufacturer[0] ? announcing->manufacturer : NULL,
		.model = announcing->model[0] ? announcing->model : NULL,
		.version = IOTD_VERSION,
	};
}

/* --- devices -------------------------------------------------------------------------------- */

static void announce_lines(struct daemon *daemon)
{
	struct discovery_device device = { .info = { .name = NULL } };

	for (size_t i = 0; i < daemon->input_count; i++) {
		device.input = input_settings(daemon->inputs[i]);
		input_info(daemon->inputs[i], &device.info);
		mqtt_announce(daemon->mqtt, &device);
	}
	for (size_t i = 0; i < daemon->output_count; i++) {
		device.output = output_settings(daemon->outputs[i]);
		output_info(daemon->outputs[i], &device.info);
		mqtt_announce(daemon->mqtt, &device);
	}
}

/* Return: false, its channels are not known yet */
static bool announce_sensor(struct daemon *daemon, struct sensor *sensor)
{
	struct discovery_device device = { .sensor = sensor_settings(sensor) };

	sensor_info(sensor, &device.info);
	if (device.info.channel_count == 0)
		return false;
	mqtt_announce(daemon->mqtt, &device);
	sensor_set_news(sensor, false);
	return true;
}

static void look(struct reactor_timer *timer)
{
	struct daemon *daemon = container_of(timer, struct daemon, announcing.timer);
	size_t told = 0;

	if (daemon->reload.is_switching)
		return; /* all is told when the new connection is there */
	if (daemon->announcing.lines_are_news)
		announce_lines(daemon);
	daemon->announcing.lines_are_news = false;
	for (size_t i = 0; i < daemon->sensor_count && told < AT_ONCE_MAX; i++)
		if (sensor_is_news(daemon->sensors[i]))
			told += announce_sensor(daemon, daemon->sensors[i]);
	if (told == AT_ONCE_MAX)
		(void)reactor_set_timer(daemon->reactor, timer,
					reactor_now(daemon->reactor) + NEXT_US);
}

void announcing_look(struct daemon *daemon)
{
	struct reactor_timer *timer = &daemon->announcing.timer;

	timer->fire = look;
	if (daemon->settings->mqtt.discovery_enabled && !reactor_timer_is_set(timer))
		(void)reactor_set_timer(daemon->reactor, timer,
					reactor_now(daemon->reactor) + LOOK_US);
}

void announcing_all(struct daemon *daemon)
{
	for (size_t i = 0; i < daemon->sensor_count; i++)
		sensor_set_news(daemon->sensors[i], true);
	daemon->announcing.lines_are_news = true;
	announcing_look(daemon);
}
