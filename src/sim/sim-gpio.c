/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * GPIO lines without a chip. An input changes once a second: its descriptor is a timerfd, and its
 * level at any moment follows from the clock alone, so that what is read and what the edges say
 * always agree. An output remembers its level for the life of the process, as a line that systemd
 * keeps, or whose chip does not reset it, does.
 *
 * A line is known by the words of the configuration (chip, and name or offset): there is no chip
 * that could tell that a name and an offset are the same line. Outputs and inputs are held: who
 * asks for a line a second time gets -EBUSY. The list of lines is the process's, behind a lock,
 * because lines of different chips are asked for on different workers.
 */

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/timerfd.h>

#include "iotd/clock.h"
#include "iotd/sim.h"

#define FAULT_SIZE 192
#define KEY_SIZE   256

#define TOGGLE_US USEC_PER_SEC

/* what is left of a line when nobody holds it; never freed */
struct sim_pin {
	struct sim_pin *next;
	bool held;
	bool high; /* physical level of an output */
	char consumer[64];
	char key[];
};

struct sim_line {
	struct gpio_line line;
	struct sim_pin *pin;
	bool active_low;
	enum line_edge edge; /* inputs */
	int64_t start_us;  /* inputs: edge number n is at start_us + n x TOGGLE_US; odd ones rise */
	int64_t edges;	   /* that were read */
	uint32_t sequence; /* that were reported */
};

static pthread_mutex_t pins_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sim_pin *pins;

/* --- Pins ----------------------------------------------------------------------------------- */

/* with the lock held; NULL: no memory */
static struct sim_pin *pin_find(const char *key)
{
	struct sim_pin *pin;

	for (pin = pins; pin; pin = pin->next)
		if (strcmp(pin->key, key) == 0)
			return pin;

	pin = calloc(1, sizeof(*pin) + strlen(key) + 1);
	if (!pin)
		return NULL;
	memcpy(pin->key, key, strlen(key) + 1);
	pin->next = pins;
	pins = pin;
	return pin;
}

/* "/dev/gpiochip0" and "gpiochip0" are the same chip */
static void pin_key(char key[static KEY_SIZE], const struct line_settings *where)
{
	const char *slash = strrchr(where->chip, '/'), *chip = slash ? slash + 1 : where->chip;

	if (where->name)
		(void)snprintf(key, KEY_SIZE, "%s \"%s\"", chip, where->name);
	else
		(void)snprintf(key, KEY_SIZE, "%s %u", chip, where->offset);
}

static int pin_take(struct sim_pin **ret, const struct gpio_request *request,
		    char fault[static FAULT_SIZE])
{
	char key[KEY_SIZE];
	struct sim_pin *pin;
	int r = 0;

	pin_key(key, request->line);
	(void)pthread_mutex_lock(&pins_lock);
	pin = pin_find(key);
	if (!pin) {
		r = -ENOMEM;
	} else if (pin->held) {
		(void)snprintf(fault, FAULT_SIZE, "emulated line %.80s is held by \"%s\"", key,
			       pin->consumer);
		r = -EBUSY;
	} else {
		pin->held = true;
		(void)snprintf(pin->consumer, sizeof(pin->consumer), "%s", request->consumer);
		*ret = pin;
	}
	(void)pthread_mutex_unlock(&pins_lock);
	return r;
}

static void pin_release(struct sim_pin *pin)
{
	(void)pthread_mutex_lock(&pins_lock);
	pin->held = false;
	(void)pthread_mutex_unlock(&pins_lock);
}

/* --- Lines ---------------------------------------------------------------------------------- */

static void sim_line_free(struct gpio_line *base)
{
	struct sim_line *line = container_of(base, struct sim_line, line);

	closep(&line->line.fd);
	if (line->pin)
		pin_release(line->pin);
	free(line);
}

static void sim_line_freep(struct sim_line **line)
{
	if (*line)
		sim_line_free(&(*line)->line);
}

static bool sim_line_is_input(const struct sim_line *line)
{
	return line->line.fd >= 0;
}

static int sim_line_get(struct gpio_line *base, bool *ret_on)
{
	struct sim_line *line = container_of(base, struct sim_line, line);

	if (sim_line_is_input(line))
		*ret_on = (clock_monotonic_us() - line->start_us) / TOGGLE_US % 2 != 0;
	else
		*ret_on = line->pin->high != line->active_low;
	return 0;
}

static int sim_line_set(struct gpio_line *base, bool on)
{
	struct sim_line *line = container_of(base, struct sim_line, line);

	if (sim_line_is_input(line))
		return -EPERM;
	line->pin->high = on != line->active_low;
	return 0;
}

/* edge number line->edges; false: not one that was asked for */
static bool sim_line_edge(struct sim_line *line, struct gpio_event *event)
{
	bool on = line->edges % 2 != 0;

	if (line->edge != EDGE_BOTH && on != (line->edge == EDGE_RISING))
		return false;
	*event = (struct gpio_event){
		.on = on,
		.monotonic_us = line->start_us + line->edges * TOGGLE_US,
		.sequence = ++line->sequence,
	};
	return true;
}

/* as the kernel's queue: what is too much goes, oldest first, and leaves a gap in the sequence */
static int sim_line_read_events(struct gpio_line *base, struct gpio_event *events, size_t count)
{
	struct sim_line *line = container_of(base, struct sim_line, line);
	struct gpio_event event;
	uint64_t expiries;
	size_t got = 0;

	if (!sim_line_is_input(line) || count == 0)
		return 0;
	if (read(line->line.fd, &expiries, sizeof(expiries)) != sizeof(expiries))
		return 0;

	for (; expiries > 0; expiries--) {
		line->edges++;
		if (!sim_line_edge(line, &event))
			continue;
		if (got == count) {
			got--;
			memmove(events, events + 1, got * sizeof(*events));
		}
		events[got++] = event;
	}
	return (int)got;
}

static const struct gpio_ops sim_line_ops = {
	.get = sim_line_get,
	.set = sim_line_set,
	.read_events = sim_line_read_events,
	.free = sim_line_free,
};

static int sim_line_toggle(struct sim_line *line)
{
	struct itimerspec when = { .it_interval = { .tv_sec = 1 } };
	int64_t first_us;

	line->line.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (line->line.fd < 0)
		return -errno;

	line->start_us = clock_monotonic_us();
	first_us = line->start_us + TOGGLE_US;
	when.it_value.tv_sec = first_us / USEC_PER_SEC;
	when.it_value.tv_nsec = first_us % USEC_PER_SEC * NSEC_PER_USEC;
	return timerfd_settime(line->line.fd, TFD_TIMER_ABSTIME, &when, NULL) < 0 ? -errno : 0;
}

static int gpio_emulated_request(struct gpio_line **ret, const struct gpio_request *request,
				 char fault[static FAULT_SIZE])
{
	cleanup(sim_line_freep) struct sim_line *line = NULL;
	int r;

	fault[0] = '\0';
	line = calloc(1, sizeof(*line));
	if (!line)
		return -ENOMEM;
	line->line = (struct gpio_line){ .ops = &sim_line_ops, .fd = -1 };
	line->active_low = request->line->active_low;
	line->edge = request->edge;

	r = pin_take(&line->pin, request, fault);
	if (r < 0)
		return r;
	if (!request->output)
		r = sim_line_toggle(line);
	else if (request->initial != MOVE_KEEP)
		r = sim_line_set(&line->line, request->initial == MOVE_ON);
	if (r < 0)
		return r;

	*ret = &take_ptr(line)->line;
	return 0;
}

const struct gpio gpio_emulated = {
	.request = gpio_emulated_request,
};
