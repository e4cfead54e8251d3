/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * GPIO lines of the kernel by libgpiod >= 2.1, which only this file and gpio-chip.c know.
 *
 * A line is one request, so that each has its own descriptor, queue of edges and sequence numbers,
 * and can be given back alone. The chip is only open while a line is asked for. Edges are stamped
 * by the kernel with CLOCK_MONOTONIC; edges and levels are logical, active_low is the kernel's
 * business.
 *
 * An output that shall keep its level is asked for as it is, read, and made an output of that
 * level within the same request (GPIO_V2_LINE_SET_CONFIG_IOCTL): to give it back in between would
 * let it move, and a configuration without values would drive it to 0.
 *
 * An output's descriptor may outlive the process (systemd keeps it) and comes back with the place
 * that it had: chip, line, polarity and bias. libgpiod cannot take a descriptor over, so such a line
 * is read and driven by the kernel's own ioctls (<linux/gpio.h>, GPIO_V2_LINE_GET_VALUES_IOCTL and
 * GPIO_V2_LINE_SET_VALUES_IOCTL); its configuration is not touched, so it does not move.
 */

#include <errno.h>
#include <fcntl.h>
#include <gpiod.h>
#include <linux/gpio.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "gpio-chip.h"

#include "iotd/clock.h"

/* edges that wait in the kernel (its own default is 16), and that one call takes off */
#define EVENTS_QUEUED 256
#define EVENTS_READ   64

struct kernel_line {
	struct gpio_line line;
	struct gpiod_line_request *request;	/* NULL: the descriptor was taken over */
	struct gpiod_edge_event_buffer *events; /* inputs */
	unsigned int offset;
};

static void chip_closep(struct gpiod_chip **chip)
{
	gpiod_chip_close(*chip);
}

static void chip_info_freep(struct gpiod_chip_info **info)
{
	gpiod_chip_info_free(*info);
}

static void line_settings_freep(struct gpiod_line_settings **settings)
{
	gpiod_line_settings_free(*settings);
}

static void line_config_freep(struct gpiod_line_config **config)
{
	gpiod_line_config_free(*config);
}

static void request_config_freep(struct gpiod_request_config **config)
{
	gpiod_request_config_free(*config);
}

static void kernel_line_free(struct gpio_line *base)
{
	struct kernel_line *line = container_of(base, struct kernel_line, line);

	if (line->request)
		gpiod_line_request_release(line->request);
	else
		closep(&line->line.fd);
	gpiod_edge_event_buffer_free(line->events);
	free(line);
}

static void kernel_line_freep(struct kernel_line **line)
{
	if (*line)
		kernel_line_free(&(*line)->line);
}

/* --- Settings ------------------------------------------------------------------------------- */

static enum gpiod_line_bias settings_bias(enum line_bias bias)
{
	switch (bias) {
	case BIAS_AS_IS:
		return GPIOD_LINE_BIAS_AS_IS;
	case BIAS_DISABLED:
		return GPIOD_LINE_BIAS_DISABLED;
	case BIAS_PULL_UP:
		return GPIOD_LINE_BIAS_PULL_UP;
	case BIAS_PULL_DOWN:
		return GPIOD_LINE_BIAS_PULL_DOWN;
	}
	return GPIOD_LINE_BIAS_AS_IS;
}

static enum gpiod_line_edge settings_edge(enum line_edge edge)
{
	switch (edge) {
	case EDGE_BOTH:
		return GPIOD_LINE_EDGE_BOTH;
	case EDGE_RISING:
		return GPIOD_LINE_EDGE_RISING;
	case EDGE_FALLING:
		return GPIOD_LINE_EDGE_FALLING;
	}
	return GPIOD_LINE_EDGE_BOTH;
}

static int settings_input(struct gpiod_line_settings *settings, const struct gpio_request *request)
{
	if (request->debounce_us < 0 || (uint64_t)request->debounce_us > UINT32_MAX)
		return -EINVAL;
	gpiod_line_settings_set_debounce_period_us(settings, (unsigned long)request->debounce_us);

	if (gpiod_line_settings_set_direction(settings, GPIOD_LINE_DIRECTION_INPUT) < 0 ||
	    gpiod_line_settings_set_bias(settings, settings_bias(request->line->bias)) < 0 ||
	    gpiod_line_settings_set_edge_detection(settings, settings_edge(request->edge)) < 0 ||
	    gpiod_line_settings_set_event_clock(settings, GPIOD_LINE_CLOCK_MONOTONIC) < 0)
		return -errno;
	return 0;
}

/* MOVE_KEEP is as-is, and without bias: the kernel allows none on a line whose direction it does not set */
static int settings_output(struct gpiod_line_settings *settings, const struct gpio_request *request,
			   enum output_move move)
{
	enum gpiod_line_value value =
		move == MOVE_ON ? GPIOD_LINE_VALUE_ACTIVE : GPIOD_LINE_VALUE_INACTIVE;

	if (move == MOVE_KEEP)
		return 0;
	if (gpiod_line_settings_set_direction(settings, GPIOD_LINE_DIRECTION_OUTPUT) < 0 ||
	    gpiod_line_settings_set_bias(settings, settings_bias(request->line->bias)) < 0 ||
	    gpiod_line_settings_set_output_value(settings, value) < 0)
		return -errno;
	return 0;
}

/* @move: of an output, now */
static int line_config_new(struct gpiod_line_config **ret, unsigned int offset,
			   const struct gpio_request *request, enum output_move move)
{
	cleanup(line_settings_freep) struct gpiod_line_settings *settings =
		gpiod_line_settings_new();
	cleanup(line_config_freep) struct gpiod_line_config *config = gpiod_line_config_new();
	int r;

	if (!settings || !config)
		return -ENOMEM;

	gpiod_line_settings_set_active_low(settings, request->line->active_low);
	if (request->output)
		r = settings_output(settings, request, move);
	else
		r = settings_input(settings, request);
	if (r < 0)
		return r;

	if (gpiod_line_config_add_line_settings(config, &offset, 1, settings) < 0)
		return -errno;
	*ret = take_ptr(config);
	return 0;
}

/* --- A held line ---------------------------------------------------------------------------- */

static int line_error(int error)
{
	return error == ENODEV ? -ENODEV : -EIO;
}

/* one line a request, so it is always bit 0. Return: 0; a negative errno, as the chip's driver has it */
static int kept_line_get(int fd, bool *ret_on)
{
	struct gpio_v2_line_values values = { .mask = 1 };

	if (ioctl(fd, GPIO_V2_LINE_GET_VALUES_IOCTL, &values) < 0)
		return -errno;
	*ret_on = values.bits & 1;
	return 0;
}

static int kept_line_set(int fd, bool on)
{
	struct gpio_v2_line_values values = { .bits = on, .mask = 1 };

	return ioctl(fd, GPIO_V2_LINE_SET_VALUES_IOCTL, &values) < 0 ? line_error(errno) : 0;
}

static int kernel_line_get(struct gpio_line *base, bool *ret_on)
{
	struct kernel_line *line = container_of(base, struct kernel_line, line);
	enum gpiod_line_value value;
	int r;

	if (!line->request) {
		r = kept_line_get(base->fd, ret_on);
		return r < 0 ? line_error(-r) : 0;
	}
	value = gpiod_line_request_get_value(line->request, line->offset);
	if (value == GPIOD_LINE_VALUE_ERROR)
		return line_error(errno);
	*ret_on = value == GPIOD_LINE_VALUE_ACTIVE;
	return 0;
}

static int kernel_line_set(struct gpio_line *base, bool on)
{
	struct kernel_line *line = container_of(base, struct kernel_line, line);

	if (line->events)
		return -EPERM;
	if (!line->request)
		return kept_line_set(base->fd, on);
	if (gpiod_line_request_set_value(line->request, line->offset,
					 on ? GPIOD_LINE_VALUE_ACTIVE : GPIOD_LINE_VALUE_INACTIVE) <
	    0)
		return line_error(errno);
	return 0;
}

static int kernel_line_read_events(struct gpio_line *base, struct gpio_event *events, size_t count)
{
	struct kernel_line *line = container_of(base, struct kernel_line, line);
	int got;

	if (!line->events)
		return 0;

	got = gpiod_line_request_read_edge_events(line->request, line->events, count);
	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : line_error(errno);

	for (int i = 0; i < got; i++) {
		struct gpiod_edge_event *event =
			gpiod_edge_event_buffer_get_event(line->events, (unsigned long)i);

		events[i] = (struct gpio_event){
			.on = gpiod_edge_event_get_event_type(event) ==
			      GPIOD_EDGE_EVENT_RISING_EDGE,
			.monotonic_us =
				(int64_t)(gpiod_edge_event_get_timestamp_ns(event) / NSEC_PER_USEC),
			.sequence = (uint32_t)gpiod_edge_event_get_line_seqno(event),
		};
	}
	return got;
}

static const struct gpio_ops kernel_line_ops = {
	.get = kernel_line_get,
	.set = kernel_line_set,
	.read_events = kernel_line_read_events,
	.free = kernel_line_free,
};

/* --- Taking a line -------------------------------------------------------------------------- */

static int line_request(struct kernel_line *line, struct gpiod_chip *chip,
			const struct gpio_request *request)
{
	cleanup(line_config_freep) struct gpiod_line_config *lines = NULL;
	cleanup(request_config_freep) struct gpiod_request_config *config =
		gpiod_request_config_new();
	int r;

	if (!config)
		return -ENOMEM;
	r = line_config_new(&lines, line->offset, request, request->initial);
	if (r < 0)
		return r;

	gpiod_request_config_set_consumer(config, request->consumer);
	if (!request->output)
		gpiod_request_config_set_event_buffer_size(config, EVENTS_QUEUED);
	line->request = gpiod_chip_request_lines(chip, config, lines);
	return line->request ? 0 : -errno;
}

static int line_keep(struct kernel_line *line, const struct gpio_request *request)
{
	cleanup(line_config_freep) struct gpiod_line_config *lines = NULL;
	bool on = false;
	int r;

	r = kernel_line_get(&line->line, &on);
	if (r < 0)
		return r;
	r = line_config_new(&lines, line->offset, request, on ? MOVE_ON : MOVE_OFF);
	if (r < 0)
		return r;
	return gpiod_line_request_reconfigure_lines(line->request, lines) < 0 ? -errno : 0;
}

/* an event descriptor that blocks would stop the reactor, should another reader be faster */
static int line_unblock(struct kernel_line *line)
{
	int flags;

	line->events = gpiod_edge_event_buffer_new(EVENTS_READ);
	if (!line->events)
		return -ENOMEM;
	flags = fcntl(line->line.fd, F_GETFL);
	if (flags < 0 || fcntl(line->line.fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

static int kernel_line_prepare(struct kernel_line *line, struct gpiod_chip *chip,
			       const struct gpio_request *request)
{
	int r;

	r = line_request(line, chip, request);
	if (r < 0)
		return r;
	line->line.fd = gpiod_line_request_get_fd(line->request);
	if (!request->output)
		return line_unblock(line);
	return request->initial == MOVE_KEEP ? line_keep(line, request) : 0;
}

/* what must be the same for a kept descriptor to be this line */
static int line_place(char place[static GPIO_PLACE_SIZE], struct gpiod_chip *chip,
		      unsigned int offset, const struct line_settings *where)
{
	static const char *const biases[] = {
		[BIAS_AS_IS] = "as-is",
		[BIAS_DISABLED] = "no-bias",
		[BIAS_PULL_UP] = "pull-up",
		[BIAS_PULL_DOWN] = "pull-down",
	};
	cleanup(chip_info_freep) struct gpiod_chip_info *info = gpiod_chip_get_info(chip);

	if (!info)
		return -errno;
	(void)snprintf(place, GPIO_PLACE_SIZE, "%.32s.%u.%s.%s", gpiod_chip_info_get_name(info),
		       offset, where->active_low ? "active-low" : "active-high",
		       biases[where->bias]);
	return 0;
}

static int kernel_line_take_over(struct kernel_line *line, const struct gpio_request *request,
				 char fault[static FAULT_SIZE])
{
	const struct gpio_kept *kept = request->kept;
	bool on;
	int r;

	if (strcmp(kept->place, line->line.place) != 0)
		return -ESTALE;
	r = kept_line_get(kept->fd, &on);
	switch (-r) {
	case 0:
		line->line.fd = kept->fd;
		return 0;
	case ENODEV: /* unplugged */
	case ENOTTY: /* no line at all */
	case EINVAL:
	case EBADF:
		return -ESTALE;
	default: /* an expander that did not answer this once (pcf857x, pca953x): the line is ours */
		(void)snprintf(fault, FAULT_SIZE, "line %u of %s cannot be read: %s", line->offset,
			       request->line->chip, strerror(-r));
		return -EIO;
	}
}

static int gpio_kernel_request(struct gpio_line **ret, const struct gpio_request *request,
			       char fault[static FAULT_SIZE])
{
	cleanup(chip_closep) struct gpiod_chip *chip = NULL;
	cleanup(kernel_line_freep) struct kernel_line *line = NULL;
	int r;

	fault[0] = '\0';
	r = gpio_chip_find(&chip, request->line->chip, fault);
	if (r < 0)
		return r;

	line = calloc(1, sizeof(*line));
	if (!line)
		return -ENOMEM;
	line->line.ops = &kernel_line_ops;
	line->line.fd = -1;
	r = gpio_chip_find_line(&line->offset, chip, request->line, fault);
	if (r == 0 && request->output)
		r = line_place(line->line.place, chip, line->offset, request->line);
	if (r < 0)
		return r;

	if (request->output && request->kept) {
		r = kernel_line_take_over(line, request, fault);
		if (r < 0)
			return r;
	} else {
		r = kernel_line_prepare(line, chip, request);
		if (r < 0)
			return gpio_chip_refuse(chip, line->offset, request->line->chip, -r, fault);
	}
	*ret = &take_ptr(line)->line;
	return 0;
}

const struct gpio gpio_kernel = {
	.request = gpio_kernel_request,
};
