/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * In place of src/daemon/hardware.c: sources that count and fail, buses that hang, lines and chips that vanish.
 *
 * s0 and s1 share a bus, s2 has one, s3 and s4 are files. A source draws from dice of its own, since
 * several are read at the same time. It also judges its schedule: a healthy one is started at the next
 * multiple of its interval after its last read, or because somebody asked, and never while another on its bus is.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "days.h"

#define TRY_US	 (11 * USEC_PER_SEC) /* after a failure the next comes within 10 s, or an interval */
#define HANG_MAX (8 * USEC_PER_SEC)

enum ill {
	ILL_OPEN,
	ILL_START,
	ILL_COLLECT,
	ILL_CONVERTING,
	ILL_NAN,
	ILL_INFINITE,
	ILL_RANGE,
	ILLS
};

static struct fake {
	struct option_value options[1]; /* how a source is known */
	struct dice dice;
	int64_t convert_us, configured_us, interval_us;
	int ill_permille, hang_permille;
	int64_t ill_until_us;
	enum ill ill;
	/* the schedule */
	int64_t due_us; /* 0: any time is right */
	int64_t asked_us;
	bool is_started;
} fakes[SENSORS];

static struct fake_bus {
	atomic_int users; /* more than one at a time is a fault */
	int64_t hung_us;  /* when it last ended to hang */
} fake_buses[BUSES + 1];

static struct {
	struct worker_key *buses[BUSES], *files, *chips[CHIPS];
} keys;

static int64_t epoch_us;

/* --- sources -------------------------------------------------------------------------------- */

static struct fake *fake_of(const struct source *source)
{
	return container_of((uintptr_t)source->options, struct fake, options);
}

static int number_of(const struct fake *fake)
{
	return (int)(fake - fakes);
}

int hardware_bus(int sensor)
{
	return sensor < 2 ? 0 : sensor == 2 ? 1 : BUSES;
}

static bool is_ill(const struct fake *fake, enum ill ill)
{
	return days_now() < fake->ill_until_us && fake->ill == ill;
}

static void fall_ill(struct fake *fake)
{
	if (world.is_calm) {
		fake->ill_until_us = 0;
		return;
	}
	if (days_now() < fake->ill_until_us || !dice_chance(&fake->dice, fake->ill_permille))
		return;
	fake->ill = (enum ill)dice_between(&fake->dice, 0, ILLS - 1);
	fake->ill_until_us = days_now() + dice_between(&fake->dice, 1, world.distance_us * 4);
}

static void enter_bus(int sensor)
{
	if (hardware_bus(sensor) < BUSES &&
	    atomic_fetch_add(&fake_buses[hardware_bus(sensor)].users, 1))
		days_fail("s%d is read while another on its bus is", sensor);
}

static void leave_bus(int sensor)
{
	if (hardware_bus(sensor) < BUSES)
		atomic_fetch_sub(&fake_buses[hardware_bus(sensor)].users, 1);
}

/* who waited behind a hang and gave up tries again within 10 s, or at its next time */
static bool bus_was_well(int sensor)
{
	int64_t hung_us = fake_buses[hardware_bus(sensor)].hung_us;
	int64_t again_us = 2 * fakes[sensor].interval_us;

	if (again_us < TRY_US)
		again_us = TRY_US;
	return hung_us == 0 || days_now() - hung_us > again_us;
}

static void failed(struct fake *fake)
{
	fake->due_us = 0;
	readings_failed(number_of(fake));
}

static int fake_open(struct source *source)
{
	struct fake *fake = fake_of(source);

	if (!is_ill(fake, ILL_OPEN))
		return 0;
	failed(fake);
	return source_fail(source, -ENXIO, "not there");
}

static void judge_start(const struct fake *fake)
{
	int64_t now_us = days_now();

	if (fake->due_us == 0 || fake->asked_us == now_us || now_us == fake->due_us ||
	    !bus_was_well(number_of(fake)))
		return;
	/* what was asked for while it was being read is read when that is over */
	if (fake->asked_us > 0 && now_us - fake->asked_us <= 2 * fake->convert_us)
		return;
	days_fail("s%d is read %lld us off its schedule", number_of(fake),
		  (long long)(now_us - fake->due_us));
}

static int fake_start(struct source *source, int64_t *wait_us)
{
	struct fake *fake = fake_of(source);
	int64_t hang_us;

	judge_start(fake);
	fall_ill(fake);
	enter_bus(number_of(fake));
	if (hardware_bus(number_of(fake)) < BUSES && !world.is_calm &&
	    dice_chance(&fake->dice, fake->hang_permille)) {
		hang_us = dice_between(&fake->dice, 1, HANG_MAX);
		fake_buses[hardware_bus(number_of(fake))].hung_us = days_now() + hang_us;
		fake->due_us = 0;
		seams_park(hardware_bus(number_of(fake)) == 0 ? keys.buses[0] : keys.buses[1],
			   hang_us);
	}
	leave_bus(number_of(fake));
	fake->is_started = true;
	*wait_us = fake->convert_us;
	if (!is_ill(fake, ILL_START))
		return 0;
	failed(fake);
	return -EIO;
}

static double ill_value(const struct fake *fake)
{
	switch (fake->ill) {
	case ILL_NAN:
		return (double)NAN;
	case ILL_INFINITE:
		return (double)INFINITY;
	case ILL_RANGE:
		return 2e9;
	case ILL_OPEN:
	case ILL_START:
	case ILL_COLLECT:
	case ILL_CONVERTING:
	case ILLS:
		break;
	}
	return 0;
}

static int fake_collect(struct source *source, double values[static CHANNELS_MAX], int64_t *wait_us)
{
	struct fake *fake = fake_of(source);
	int sensor = number_of(fake);
	bool is_ill_now = days_now() < fake->ill_until_us;

	if (!fake->is_started)
		days_fail("s%d: collect without start", sensor);
	if (is_ill(fake, ILL_CONVERTING)) {
		failed(fake); /* it gives up after a while, or is well before */
		*wait_us = 10 * USEC_PER_MSEC;
		return -EAGAIN;
	}
	fake->is_started = false;
	if (is_ill(fake, ILL_COLLECT)) {
		failed(fake);
		return -EIO;
	}
	if (is_ill_now && fake->ill >= ILL_NAN) {
		failed(fake);
		values[0] = ill_value(fake);
		return 0;
	}
	values[0] = readings_take(sensor, bus_was_well(sensor));
	fake->due_us =
		epoch_us + ((days_now() - epoch_us) / fake->interval_us + 1) * fake->interval_us;
	return 0;
}

static const struct channel fake_channels[] = { { CHANNEL, "", 0 } };

static const struct driver fake_driver = {
	.name = "fake",
	.kind = DRIVER_FILE,
	.channels = fake_channels,
	.channel_count = ARRAY_SIZE(fake_channels),
	.open = fake_open,
	.start = fake_start,
	.collect = fake_collect,
};

void hardware_asked(int sensor)
{
	fakes[sensor].asked_us = days_now();
	readings_asked(sensor);
}

void hardware_interval(int sensor, int64_t interval_us)
{
	hardware_asked(sensor);
	fakes[sensor].interval_us = interval_us;
	fakes[sensor].due_us = 0; /* at once, or as soon as the read of now is over */
}

void hardware_judge(void)
{
	for (int i = 0; i < SENSORS; i++)
		if (fakes[i].due_us > 0 && days_now() > fakes[i].due_us + fakes[i].interval_us &&
		    days_now() > fakes[i].due_us + TRY_US && bus_was_well(i))
			days_fail("s%d has not been read since %lld ms", i,
				  (long long)((days_now() - fakes[i].due_us) / USEC_PER_MSEC));
}

/* --- lines ---------------------------------------------------------------------------------- */

static struct fake_line {
	struct gpio_line line; /* fd: a pipe, whose other end is the chip's */
	int chip_fd;
	int output; /* -1: the input */
	bool is_held, level;
	int64_t moved_us;
	uint32_t sequence;
	struct gpio_event events[16];
	size_t event_count;
} lines[OUTPUTS + 1];

static bool chip_is_there[CHIPS];
static struct dice line_dice;

static int chip_of(const struct fake_line *line)
{
	return line->output < 0 ? 1 : line->output / 2;
}

static struct fake_line *line_of(struct gpio_line *line)
{
	return container_of(line, struct fake_line, line);
}

static int line_get(struct gpio_line *held, bool *ret_on)
{
	const struct fake_line *line = line_of(held);

	*ret_on = line->level;
	return chip_is_there[chip_of(line)] ? 0 : -ENODEV;
}

static int line_set(struct gpio_line *held, bool on)
{
	struct fake_line *line = line_of(held);

	if (!chip_is_there[chip_of(line)])
		return -ENODEV;
	if (line->output == OUTPUT_FAILING && !world.is_calm && dice_chance(&line_dice, 30)) {
		outputs_failed(line->output, on);
		return -EIO;
	}
	outputs_written(line->output, on);
	line->moved_us = days_now();
	line->level = on;
	return 0;
}

static int line_read_events(struct gpio_line *held, struct gpio_event *events, size_t count)
{
	struct fake_line *line = line_of(held);
	char bytes[ARRAY_SIZE(line->events)];
	size_t taken = line->event_count < count ? line->event_count : count;

	if (taken > 0 && read(line->line.fd, bytes, taken) != (ssize_t)taken)
		days_fail("the input's pipe");
	memcpy(events, line->events, taken * sizeof(*events));
	line->event_count -= taken;
	memmove(line->events, line->events + taken, line->event_count * sizeof(*events));
	return (int)taken;
}

static void line_release(struct gpio_line *held)
{
	struct fake_line *line = line_of(held);

	line->is_held = false;
	closep(&line->line.fd);
	closep(&line->chip_fd);
	line->chip_fd = -1;
}

static const struct gpio_ops line_ops = { line_get, line_set, line_read_events, line_release };

static int line_request(struct gpio_line **ret, const struct gpio_request *request,
			char fault[static 192])
{
	int number = request->output ? (int)request->line->offset : OUTPUTS;
	struct fake_line *line = &lines[number];
	int ends[2];

	(void)snprintf(fault, 192, "no such chip");
	if (!chip_is_there[chip_of(line)])
		return -ENOENT;
	if (line->is_held)
		days_fail("line %d is asked for twice", number);
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		days_fail("no descriptors left");
	line->line = (struct gpio_line){ &line_ops, ends[0] };
	line->chip_fd = ends[1];
	line->is_held = true;
	line->sequence = 0;
	line->event_count = 0;
	if (request->output) {
		outputs_requested(line->output, request->initial, line->level);
		line->moved_us = days_now();
		if (request->initial != MOVE_KEEP)
			line->level = request->initial == MOVE_ON;
	}
	*ret = &line->line;
	return 0;
}

static const struct gpio fake_gpio = { line_request };

bool hardware_line_level(int output)
{
	return lines[output].level;
}

int64_t hardware_line_age(int output)
{
	return days_now() - lines[output].moved_us;
}

bool hardware_input_level(void)
{
	return lines[OUTPUTS].level;
}

void hardware_edge(void)
{
	struct fake_line *line = &lines[OUTPUTS];

	line->level = !line->level;
	if (!line->is_held || line->chip_fd < 0 || line->event_count == ARRAY_SIZE(line->events))
		return;
	line->events[line->event_count++] = (struct gpio_event){
		.monotonic_us = days_now(),
		.sequence = ++line->sequence,
		.on = line->level,
	};
	if (write(line->chip_fd, "", 1) != 1)
		days_fail("the input's pipe");
}

void hardware_chip(int chip, bool is_there)
{
	if (chip_is_there[chip] == is_there)
		return;
	days_trace("chip%d is %s", chip, is_there ? "back" : "gone");
	chip_is_there[chip] = is_there;
	for (struct fake_line *line = lines; !is_there && line < lines + ARRAY_SIZE(lines);
	     line++) {
		if (chip_of(line) != chip)
			continue;
		closep(&line->chip_fd); /* the other end hangs up */
		line->chip_fd = -1;
		if (line->output >= 0)
			outputs_lost(line->output);
	}
}

/* --- the run and its lives ------------------------------------------------------------------ */

static int64_t draw_interval(void)
{
	static const int64_t short_ms[] = { 50, 100, 250, 1000, 3000 };
	static const int64_t long_ms[] = { 1000, 2000, 5000, 10000, 30000 };
	int64_t at = dice_between(&world.dice, 0, 4);

	return (world.hours > 0 ? long_ms[at] : short_ms[at]) * USEC_PER_MSEC;
}

void hardware_reset(void)
{
	for (int i = 0; i < SENSORS; i++) {
		bool is_well = dice_chance(&world.dice, 400);

		fakes[i] = (struct fake){
			.dice.state = dice_next(&world.dice),
			.convert_us = dice_chance(&world.dice, 500)
					      ? dice_between(&world.dice, 1, 40) * USEC_PER_MSEC
					      : 0,
			.configured_us = draw_interval(),
			.ill_permille = is_well		  ? 0
					: world.hours > 0 ? 1
							  : 10,
			.hang_permille = is_well	   ? 0
					 : world.hours > 0 ? 1
							   : 4,
		};
	}
	memset(fake_buses, 0, sizeof(fake_buses));
	for (int i = 0; i <= OUTPUTS; i++)
		lines[i] = (struct fake_line){ .chip_fd = -1, .output = i < OUTPUTS ? i : -1 };
	line_dice.state = dice_next(&world.dice);
}

int64_t hardware_configured(int sensor)
{
	return fakes[sensor].configured_us;
}

void hardware_reloaded(void)
{
	for (int i = 0; i < SENSORS; i++)
		if (fakes[i].interval_us != fakes[i].configured_us)
			hardware_interval(i, fakes[i].configured_us);
	fakes[SENSOR_FREED].due_us = 0;
	readings_excuse(SENSOR_FREED);
}

void hardware_life(int64_t now_us)
{
	epoch_us = now_us;
	for (int i = 0; i < SENSORS; i++) {
		fakes[i].interval_us = fakes[i].configured_us;
		fakes[i].due_us = 0;
		fakes[i].asked_us = 0;
		fakes[i].is_started = false;
	}
	for (int i = 0; i < CHIPS; i++)
		chip_is_there[i] = true;
	for (int i = 0; i <= BUSES; i++)
		fake_buses[i].hung_us = 0;
}

/* --- what the daemon sees ------------------------------------------------------------------- */

struct hardware {
	int nothing;
};

static struct hardware hardware_there;

void hardware_reserve_descriptors(const struct settings *settings)
{
	(void)settings; /* nothing here opens a file */
}

int hardware_new(struct hardware **ret, struct workers *workers, struct workers *file_workers,
		 const struct settings *settings, bool simulate)
{
	int r = 0;

	(void)settings;
	(void)simulate;
	for (int i = 0; i < BUSES && r == 0; i++)
		r = worker_key_new(&keys.buses[i], workers, 0);
	for (int i = 0; i < CHIPS && r == 0; i++)
		r = worker_key_new(&keys.chips[i], workers, 0);
	if (r == 0)
		r = worker_key_new(&keys.files, file_workers, 20 * USEC_PER_MSEC);
	*ret = &hardware_there;
	return r;
}

int hardware_check(const struct hardware *hardware, const struct settings *settings,
		   char fault[static 256])
{
	(void)hardware;
	(void)settings;
	fault[0] = '\0';
	return 0;
}

int hardware_update(struct hardware *hardware, const struct settings *old,
		    const struct settings *settings)
{
	(void)hardware;
	(void)old;
	(void)settings;
	return 0;
}

struct hardware *hardware_free(struct hardware *hardware)
{
	if (!hardware)
		return NULL;
	for (int i = 0; i < BUSES; i++)
		keys.buses[i] = worker_key_free(keys.buses[i]);
	for (int i = 0; i < CHIPS; i++)
		keys.chips[i] = worker_key_free(keys.chips[i]);
	keys.files = worker_key_free(keys.files);
	return NULL;
}

int hardware_source(struct hardware *hardware, const struct sensor_settings *sensor,
		    struct source **ret, struct worker_key **ret_key)
{
	int number = sensor->name[1] - '0', bus = hardware_bus(number);

	(void)hardware;
	fakes[number].due_us = days_now(); /* a new sensor reads at once */
	*ret_key = bus < BUSES ? keys.buses[bus] : keys.files;
	return source_new(ret, &fake_driver, fakes[number].options, NULL);
}

struct worker_key *hardware_line_key(struct hardware *hardware, const struct line_settings *line)
{
	(void)hardware;
	return keys.chips[line->chip[4] - '0'];
}

const struct gpio *hardware_gpio(const struct hardware *hardware)
{
	(void)hardware;
	return &fake_gpio;
}

void hardware_each_bus(const struct hardware *hardware,
		       void (*each)(void *data, const char *name, int64_t busy_us), void *data)
{
	(void)hardware; /* they count nothing here */
	(void)each;
	(void)data;
}

/* nobody scans here */
int hardware_lend_bus(struct hardware *hardware, const char *path, struct lent_bus *ret)
{
	(void)hardware;
	(void)path;
	(void)ret;
	return -ENOENT;
}

void hardware_return_bus(struct lent_bus *lent)
{
	(void)lent;
}

bool hardware_is_simulated(const struct hardware *hardware)
{
	(void)hardware;
	return false;
}
