/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The GPIO backend without GPIO: this program defines the functions of libgpiod that touch hardware,
 * so the linker takes these and not the library's; settings and configurations are the library's own.
 * What the kernel does with them is tested in a virtual machine with gpio-sim.
 */

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <gpiod.h>
#include <linux/gpio.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "fixture.h"

#include "iotd/bus.h"

#define LINES 54
#define GONE                                                                                       \
	"gpiochip0 is gone (unplugged?); if it comes back with another number, name it by its "    \
	"label"

/* --- Two chips, by the words of libgpiod --------------------------------------------------------- */

struct gpiod_chip {
	const char *path, *label;
	int error; /* errno of opening it */
};

static struct gpiod_chip chips[] = {
	{ "/dev/gpiochip0", "pinctrl-bcm2711", 0 },
	{ "/dev/gpiochip1", "raspberrypi-exp-gpio", 0 },
};

static struct {
	size_t chip_count; /* that the machine has */
	const struct gpiod_chip *chip;
	int chips_open, infos_held, requests_held, releases, reconfigures;
	int scan_error, info_error, find_error, request_error, get_error, set_error, read_error,
		reconfigure_error; /* errno, 0: works */
	const char *consumer;	   /* of a line that is taken */
	unsigned int offset;
	char asked_as[32];
	size_t buffer_size;
	enum gpiod_line_direction direction;
	enum gpiod_line_bias bias;
	enum gpiod_line_edge edge;
	enum gpiod_line_clock clock;
	unsigned long debounce_us;
	bool active_low;
	enum gpiod_line_value value; /* logical, on the wire */
	int pipe[2];
	size_t event_count; /* that wait */
} fake;

static struct gpiod_chip_info {
	int unused;
} chip_info;

static struct gpiod_line_info {
	int unused;
} line_info;

static struct gpiod_line_request {
	int unused;
} line_request;

static struct gpiod_edge_event {
	enum gpiod_edge_event_type type;
	uint64_t ns;
	unsigned long sequence;
} pending[] = {
	{ GPIOD_EDGE_EVENT_RISING_EDGE, 1234567890123456789ULL, 1 },
	{ GPIOD_EDGE_EVENT_FALLING_EDGE, 1234567890124456999ULL, 2 },
	{ GPIOD_EDGE_EVENT_FALLING_EDGE, 1234567890125456789ULL, 71 },
};

struct gpiod_edge_event_buffer {
	size_t capacity;
};

static int fail_with(int error)
{
	errno = error;
	return -1;
}

int scandir(const char *folder, struct dirent ***list, int (*filter)(const struct dirent *),
	    int (*compare)(const struct dirent **, const struct dirent **))
{
	struct dirent other = { .d_name = "tty0" };

	ck_assert_str_eq(folder, "/dev");
	ck_assert_ptr_eq(compare, versionsort);
	ck_assert(!filter(&other));
	if (fake.scan_error)
		return fail_with(fake.scan_error);
	*list = calloc(fake.chip_count + 1, sizeof(void *));
	for (size_t i = 0; i < fake.chip_count; i++) {
		(*list)[i] = calloc(1, sizeof(***list));
		(void)snprintf((*list)[i]->d_name, sizeof((*list)[i]->d_name), "gpiochip%zu", i);
		ck_assert(filter((*list)[i]));
	}
	return (int)fake.chip_count;
}

struct gpiod_chip *gpiod_chip_open(const char *path)
{
	for (size_t i = 0; i < fake.chip_count; i++) {
		if (strcmp(chips[i].path, path) != 0)
			continue;
		if (chips[i].error) {
			errno = chips[i].error;
			return NULL;
		}
		fake.chips_open++;
		fake.chip = &chips[i];
		return &chips[i];
	}
	errno = ENOENT;
	return NULL;
}

void gpiod_chip_close(struct gpiod_chip *chip)
{
	fake.chips_open -= chip != NULL;
}

struct gpiod_chip_info *gpiod_chip_get_info(struct gpiod_chip *chip)
{
	fake.chip = chip;
	if (fake.info_error) {
		errno = fake.info_error;
		return NULL;
	}
	fake.infos_held++;
	return &chip_info;
}

void gpiod_chip_info_free(struct gpiod_chip_info *info)
{
	fake.infos_held -= info != NULL;
}

const char *gpiod_chip_info_get_label(struct gpiod_chip_info *info)
{
	(void)info;
	return fake.chip->label;
}

size_t gpiod_chip_info_get_num_lines(struct gpiod_chip_info *info)
{
	(void)info;
	return LINES;
}

int gpiod_chip_get_line_offset_from_name(struct gpiod_chip *chip, const char *name)
{
	(void)chip;
	if (fake.find_error)
		return fail_with(fake.find_error);
	return strcmp(name, "GPIO17") == 0 ? 17
					   : fail_with(strcmp(name, "GONE") == 0 ? ENODEV : ENOENT);
}

struct gpiod_line_info *gpiod_chip_get_line_info(struct gpiod_chip *chip, unsigned int offset)
{
	(void)chip;
	ck_assert_uint_eq(offset, fake.offset);
	fake.infos_held++;
	return &line_info;
}

void gpiod_line_info_free(struct gpiod_line_info *info)
{
	fake.infos_held -= info != NULL;
}

const char *gpiod_line_info_get_consumer(struct gpiod_line_info *info)
{
	(void)info;
	return fake.consumer;
}

/* keeps what the library would tell the kernel about the one line of @config */
static void fake_configure(struct gpiod_line_config *config)
{
	struct gpiod_line_settings *settings;

	ck_assert_uint_eq(gpiod_line_config_get_num_configured_offsets(config), 1);
	gpiod_line_config_get_configured_offsets(config, &fake.offset, 1);
	settings = gpiod_line_config_get_line_settings(config, fake.offset);
	fake.direction = gpiod_line_settings_get_direction(settings);
	fake.bias = gpiod_line_settings_get_bias(settings);
	fake.edge = gpiod_line_settings_get_edge_detection(settings);
	fake.clock = gpiod_line_settings_get_event_clock(settings);
	fake.debounce_us = gpiod_line_settings_get_debounce_period_us(settings);
	fake.active_low = gpiod_line_settings_get_active_low(settings);
	if (fake.direction == GPIOD_LINE_DIRECTION_OUTPUT)
		fake.value = gpiod_line_settings_get_output_value(settings);
	gpiod_line_settings_free(settings);
}

struct gpiod_line_request *gpiod_chip_request_lines(struct gpiod_chip *chip,
						    struct gpiod_request_config *request,
						    struct gpiod_line_config *lines)
{
	fake.chip = chip;
	fake_configure(lines);
	(void)snprintf(fake.asked_as, sizeof(fake.asked_as), "%s",
		       gpiod_request_config_get_consumer(request));
	fake.buffer_size = gpiod_request_config_get_event_buffer_size(request);
	if (fake.request_error) {
		errno = fake.request_error;
		return NULL;
	}
	fake.requests_held++;
	return &line_request;
}

void gpiod_line_request_release(struct gpiod_line_request *request)
{
	(void)request;
	fake.requests_held--;
	fake.releases++;
}

int gpiod_line_request_reconfigure_lines(struct gpiod_line_request *request,
					 struct gpiod_line_config *config)
{
	(void)request;
	if (fake.reconfigure_error)
		return fail_with(fake.reconfigure_error);
	fake.reconfigures++;
	fake_configure(config);
	return 0;
}

int gpiod_line_request_get_fd(struct gpiod_line_request *request)
{
	(void)request;
	return fake.pipe[0];
}

enum gpiod_line_value gpiod_line_request_get_value(struct gpiod_line_request *request,
						   unsigned int offset)
{
	(void)request;
	ck_assert_uint_eq(offset, fake.offset);
	return fake.get_error ? (enum gpiod_line_value)fail_with(fake.get_error) : fake.value;
}

int gpiod_line_request_set_value(struct gpiod_line_request *request, unsigned int offset,
				 enum gpiod_line_value value)
{
	(void)request;
	ck_assert_uint_eq(offset, fake.offset);
	if (fake.set_error)
		return fail_with(fake.set_error);
	fake.value = value;
	return 0;
}

struct gpiod_edge_event_buffer *gpiod_edge_event_buffer_new(size_t capacity)
{
	struct gpiod_edge_event_buffer *buffer = malloc(sizeof(*buffer));

	buffer->capacity = capacity;
	return buffer;
}

void gpiod_edge_event_buffer_free(struct gpiod_edge_event_buffer *buffer)
{
	free(buffer);
}

int gpiod_line_request_read_edge_events(struct gpiod_line_request *request,
					struct gpiod_edge_event_buffer *buffer, size_t count)
{
	size_t got = fake.event_count < count ? fake.event_count : count;

	(void)request;
	ck_assert_uint_ge(buffer->capacity, 64);
	if (fake.read_error)
		return fail_with(fake.read_error);
	if (got == 0)
		return fail_with(EAGAIN);
	fake.event_count -= got;
	return (int)got;
}

struct gpiod_edge_event *gpiod_edge_event_buffer_get_event(struct gpiod_edge_event_buffer *buffer,
							   unsigned long index)
{
	(void)buffer;
	return &pending[index];
}

enum gpiod_edge_event_type gpiod_edge_event_get_event_type(struct gpiod_edge_event *event)
{
	return event->type;
}

uint64_t gpiod_edge_event_get_timestamp_ns(struct gpiod_edge_event *event)
{
	return event->ns;
}

unsigned long gpiod_edge_event_get_line_seqno(struct gpiod_edge_event *event)
{
	return event->sequence;
}

const char *gpiod_chip_info_get_name(struct gpiod_chip_info *info)
{
	(void)info;
	return fake.chip->path + strlen("/dev/");
}

/* a line that was taken over: what the kernel does with the descriptor itself */
int ioctl(int fd, unsigned long request, ...)
{
	struct gpio_v2_line_values *values;
	va_list arguments;

	va_start(arguments, request);
	values = va_arg(arguments, struct gpio_v2_line_values *);
	va_end(arguments);
	ck_assert_uint_eq(values->mask, 1);
	if (fd != fake.pipe[0])
		return fail_with(ENOTTY);
	if (request == GPIO_V2_LINE_GET_VALUES_IOCTL) {
		values->bits = fake.value == GPIOD_LINE_VALUE_ACTIVE;
		return fake.get_error ? fail_with(fake.get_error) : 0;
	}
	ck_assert_uint_eq(request, GPIO_V2_LINE_SET_VALUES_IOCTL);
	if (fake.set_error)
		return fail_with(fake.set_error);
	fake.value = values->bits & 1 ? GPIOD_LINE_VALUE_ACTIVE : GPIOD_LINE_VALUE_INACTIVE;
	return 0;
}

/* --- Tests --------------------------------------------------------------------------------------- */

static char chip_text[64], name_text[16];
static struct line_settings where;
static struct gpio_request request;
static struct gpio_line *line;
static char fault[192];

static void set_up(void)
{
	memset(&fake, 0, sizeof(fake));
	fake.chip_count = ARRAY_SIZE(chips);
	fake.value = GPIOD_LINE_VALUE_INACTIVE;
	chips[0].error = chips[1].error = 0;
	ck_assert_int_eq(pipe2(fake.pipe, O_CLOEXEC), 0);
	(void)snprintf(chip_text, sizeof(chip_text), "gpiochip0");
	where = (struct line_settings){ .chip = chip_text, .offset = 17 };
	request = (struct gpio_request){ .line = &where, .consumer = "iotd:door" };
	line = NULL;
}

static void tear_down(void)
{
	line = gpio_line_free(line);
	ck_assert_int_eq(fake.chips_open, 0);
	ck_assert_int_eq(fake.infos_held, 0);
	ck_assert_int_eq(fake.requests_held, 0);
	(void)close(fake.pipe[0]);
	(void)close(fake.pipe[1]);
}

static void ask(void)
{
	int r = gpio_kernel.request(&line, &request, fault);

	ck_assert_msg(r == 0, "%d %s", r, fault);
	ck_assert_str_eq(fault, "");
	ck_assert_msg(fake.chips_open == 0, "a chip that stays open");
}

static void assert_refused(int error, const char *words)
{
	ck_assert_int_eq(gpio_kernel.request(&line, &request, fault), error);
	ck_assert_str_eq(fault, words);
	ck_assert_ptr_null(line);
}

static void ask_output(enum output_move initial)
{
	request.output = true;
	request.initial = initial;
	ask();
}

static const struct {
	const char *name;
	size_t chip;
} chip_names[] = {
	{ "gpiochip0", 0 }, { "/dev/gpiochip0", 0 },	   { "pinctrl-bcm2711", 0 },
	{ "gpiochip1", 1 }, { "raspberrypi-exp-gpio", 1 },
};

START_TEST(a_chip_has_a_name_a_path_and_a_label)
{
	(void)snprintf(chip_text, sizeof(chip_text), "%s", chip_names[_i].name);
	ask();
	ck_assert_str_eq(fake.chip->path, chips[chip_names[_i].chip].path);
	ck_assert_uint_eq(fake.offset, 17);
}
END_TEST

START_TEST(a_chip_that_is_not_there)
{
	(void)snprintf(chip_text, sizeof(chip_text), "gpiochip7");
	assert_refused(-ENOENT, "no GPIO chip \"gpiochip7\"; there is gpiochip0 (pinctrl-bcm2711), "
				"gpiochip1 (raspberrypi-exp-gpio)");
	fake.chip_count = 0;
	assert_refused(-ENOENT, "no GPIO chip \"gpiochip7\": this machine has none");
	(void)snprintf(chip_text, sizeof(chip_text), "/dev/gpiochip7");
	assert_refused(-ENOENT, "no GPIO chip \"/dev/gpiochip7\": this machine has none");
}
END_TEST

START_TEST(a_chip_that_may_not_be_opened)
{
	chips[0].error = EACCES;
	assert_refused(
		-EACCES,
		"/dev/gpiochip0: Permission denied (is the user in the group of that node?)");
	(void)snprintf(chip_text, sizeof(chip_text), "pinctrl-bcm2711");
	assert_refused(-EACCES,
		       "no GPIO chip \"pinctrl-bcm2711\"; there is gpiochip0 (Permission denied), "
		       "gpiochip1 (raspberrypi-exp-gpio)");
	chips[0].error = EMFILE;
	(void)snprintf(chip_text, sizeof(chip_text), "gpiochip0");
	assert_refused(-ENOMEM, "/dev/gpiochip0: Too many open files");
}
END_TEST

static const struct {
	int first, second; /* errno of opening each chip */
	int result;	   /* of a label that none of those has that can be opened */
} hidden_labels[] = {
	{ EACCES, 0, -EACCES },	     { 0, EPERM, -EACCES },  { EMFILE, 0, -ENOMEM },
	{ ENFILE, ENFILE, -ENOMEM }, { ENOMEM, 0, -ENOMEM }, { EACCES, EMFILE, -EACCES },
	{ ENODEV, ENFILE, -ENOMEM }, { ENODEV, 0, -ENOENT }, /* unplugged just now */
};

START_TEST(a_label_may_be_that_of_a_chip_that_cannot_be_opened)
{
	chips[0].error = hidden_labels[_i].first;
	chips[1].error = hidden_labels[_i].second;
	(void)snprintf(chip_text, sizeof(chip_text), "pcf8574");
	ck_assert_int_eq(gpio_kernel.request(&line, &request, fault), hidden_labels[_i].result);
	ck_assert_ptr_eq(strstr(fault, "no GPIO chip \"pcf8574\"; there is gpiochip0 ("), fault);
	ck_assert_ptr_null(line);
}
END_TEST

START_TEST(a_label_is_found_beside_a_chip_that_cannot_be_opened)
{
	chips[0].error = EACCES;
	(void)snprintf(chip_text, sizeof(chip_text), "raspberrypi-exp-gpio");
	ask();
	ck_assert_str_eq(fake.chip->path, "/dev/gpiochip1");
}
END_TEST

START_TEST(a_label_that_cannot_be_read_may_be_any)
{
	fake.info_error = ENOMEM;
	(void)snprintf(chip_text, sizeof(chip_text), "pinctrl-bcm2711");
	assert_refused(-ENOMEM,
		       "no GPIO chip \"pinctrl-bcm2711\"; there is gpiochip0 (Cannot allocate "
		       "memory), gpiochip1 (Cannot allocate memory)");
	fake.info_error = 0;
	fake.scan_error = EMFILE;
	assert_refused(-ENOMEM, "/dev: Too many open files");
	fake.scan_error = ENOENT;
	assert_refused(-ENOENT, "no GPIO chip \"pinctrl-bcm2711\": this machine has none");
}
END_TEST

static void name_line(const char *name)
{
	(void)snprintf(name_text, sizeof(name_text), "%s", name);
	where.name = name_text;
	where.offset = 0;
}

START_TEST(a_line_has_a_name)
{
	name_line("GPIO17");
	ask();
	ck_assert_uint_eq(fake.offset, 17);
}
END_TEST

START_TEST(a_line_that_is_not_there)
{
	where.offset = LINES;
	assert_refused(-ENOENT, "gpiochip0 has no line 54, it has 54 (from 0)");
	name_line("GPIO99");
	assert_refused(-ENOENT,
		       "gpiochip0 has no line named \"GPIO99\" (gpioinfo shows those it has)");
	name_line("GONE");
	assert_refused(-ENODEV, GONE);
}
END_TEST

static const struct {
	int error, result;
	const char *words;
} mute_chips[] = {
	{ ENODEV, -ENODEV, GONE },
	{ ENOMEM, -ENOMEM, "gpiochip0: Cannot allocate memory" },
	{ EIO, -EIO, "gpiochip0: Input/output error" },
};

START_TEST(a_chip_that_cannot_be_asked_may_have_the_line)
{
	if (_i % 2 == 0)
		name_line("GPIO17");
	fake.find_error = fake.info_error = mute_chips[_i / 2].error;
	assert_refused(mute_chips[_i / 2].result, mute_chips[_i / 2].words);
}
END_TEST

static const struct {
	enum line_bias bias;
	enum gpiod_line_bias expected_bias;
	enum line_edge edge;
	enum gpiod_line_edge expected_edge;
	bool active_low;
	int64_t debounce_us;
} inputs[] = {
	{ BIAS_AS_IS, GPIOD_LINE_BIAS_AS_IS, EDGE_BOTH, GPIOD_LINE_EDGE_BOTH, false, 0 },
	{ BIAS_DISABLED, GPIOD_LINE_BIAS_DISABLED, EDGE_RISING, GPIOD_LINE_EDGE_RISING, true,
	  20000 },
	{ BIAS_PULL_UP, GPIOD_LINE_BIAS_PULL_UP, EDGE_FALLING, GPIOD_LINE_EDGE_FALLING, true, 1 },
	{ BIAS_PULL_DOWN, GPIOD_LINE_BIAS_PULL_DOWN, EDGE_BOTH, GPIOD_LINE_EDGE_BOTH, false,
	  UINT32_MAX },
};

START_TEST(an_input_is_asked_for_as_configured)
{
	where.bias = inputs[_i].bias;
	where.active_low = inputs[_i].active_low;
	request.edge = inputs[_i].edge;
	request.debounce_us = inputs[_i].debounce_us;
	ask();
	ck_assert_int_eq(fake.direction, GPIOD_LINE_DIRECTION_INPUT);
	ck_assert_int_eq(fake.bias, inputs[_i].expected_bias);
	ck_assert_int_eq(fake.edge, inputs[_i].expected_edge);
	ck_assert_int_eq(fake.active_low, inputs[_i].active_low);
	ck_assert_uint_eq(fake.debounce_us, (unsigned long)inputs[_i].debounce_us);
	ck_assert_int_eq(fake.clock, GPIOD_LINE_CLOCK_MONOTONIC);
	ck_assert_str_eq(fake.asked_as, "iotd:door");
	ck_assert_uint_ge(fake.buffer_size, 64);
	ck_assert_int_eq(line->fd, fake.pipe[0]);
	ck_assert_msg(fcntl(line->fd, F_GETFL) & O_NONBLOCK, "a descriptor that blocks");
}
END_TEST

START_TEST(a_debounce_that_no_kernel_takes)
{
	request.debounce_us = (int64_t)UINT32_MAX + 1;
	ck_assert_int_eq(gpio_kernel.request(&line, &request, fault), -EINVAL);
	request.debounce_us = -1;
	ck_assert_int_eq(gpio_kernel.request(&line, &request, fault), -EINVAL);
}
END_TEST

START_TEST(edges_carry_state_time_and_sequence)
{
	struct gpio_event events[3];

	ask();
	ck_assert_int_eq(gpio_line_read_events(line, events, 3), 0);
	fake.event_count = 3;
	ck_assert_int_eq(gpio_line_read_events(line, events, 3), 3);
	ck_assert(events[0].on);
	ck_assert(!events[1].on);
	ck_assert_int_eq(events[0].monotonic_us, 1234567890123456LL);
	ck_assert_int_eq(events[1].monotonic_us, 1234567890124456LL);
	ck_assert_uint_eq(events[1].sequence, 2);
	ck_assert_uint_eq(events[2].sequence, 71);
	fake.event_count = 3;
	ck_assert_int_eq(gpio_line_read_events(line, events, 2), 2);
}
END_TEST

START_TEST(an_input_can_be_read_and_not_set)
{
	bool on = false;

	ask();
	fake.value = GPIOD_LINE_VALUE_ACTIVE;
	ck_assert_int_eq(gpio_line_get(line, &on), 0);
	ck_assert(on);
	ck_assert_int_eq(gpio_line_set(line, false), -EPERM);
	ck_assert_int_eq(fake.value, GPIOD_LINE_VALUE_ACTIVE);
}
END_TEST

START_TEST(a_chip_that_is_gone)
{
	struct gpio_event event;
	bool on = true;

	ask();
	fake.get_error = fake.read_error = _i ? EIO : ENODEV;
	ck_assert_int_eq(gpio_line_get(line, &on), _i ? -EIO : -ENODEV);
	ck_assert(on);
	ck_assert_int_eq(gpio_line_read_events(line, &event, 1), _i ? -EIO : -ENODEV);

	line = gpio_line_free(line);
	fake.get_error = 0;
	ask_output(MOVE_OFF);
	fake.set_error = _i ? EIO : ENODEV;
	ck_assert_int_eq(gpio_line_set(line, true), _i ? -EIO : -ENODEV);
}
END_TEST

START_TEST(an_output_starts_on_or_off)
{
	where.bias = BIAS_PULL_UP;
	where.active_low = true;
	ask_output(_i ? MOVE_ON : MOVE_OFF);
	ck_assert_int_eq(fake.direction, GPIOD_LINE_DIRECTION_OUTPUT);
	ck_assert_int_eq(fake.bias, GPIOD_LINE_BIAS_PULL_UP);
	ck_assert(fake.active_low);
	ck_assert_int_eq(fake.value, _i ? GPIOD_LINE_VALUE_ACTIVE : GPIOD_LINE_VALUE_INACTIVE);
	ck_assert_int_eq(fake.reconfigures, 0);
}
END_TEST

START_TEST(an_output_can_be_set_and_read)
{
	struct gpio_event event;
	bool on = false;

	ask_output(MOVE_OFF);
	ck_assert_int_eq(gpio_line_set(line, true), 0);
	ck_assert_int_eq(fake.value, GPIOD_LINE_VALUE_ACTIVE);
	ck_assert_int_eq(gpio_line_get(line, &on), 0);
	ck_assert(on);
	ck_assert_int_eq(gpio_line_set(line, false), 0);
	ck_assert_int_eq(fake.value, GPIOD_LINE_VALUE_INACTIVE);
	ck_assert_int_eq(gpio_line_read_events(line, &event, 1), 0);
}
END_TEST

START_TEST(an_output_that_keeps_its_level_never_lets_go)
{
	where.bias = BIAS_PULL_UP;
	where.active_low = true;
	fake.value = _i ? GPIOD_LINE_VALUE_ACTIVE : GPIOD_LINE_VALUE_INACTIVE;
	ask_output(MOVE_KEEP);
	ck_assert_int_eq(fake.reconfigures, 1);
	ck_assert_int_eq(fake.releases, 0);
	ck_assert_int_eq(fake.direction, GPIOD_LINE_DIRECTION_OUTPUT);
	ck_assert_int_eq(fake.value, _i ? GPIOD_LINE_VALUE_ACTIVE : GPIOD_LINE_VALUE_INACTIVE);
	ck_assert_int_eq(fake.bias, GPIOD_LINE_BIAS_PULL_UP);
	ck_assert(fake.active_low);
}
END_TEST

START_TEST(an_output_is_first_asked_for_as_it_is)
{
	where.bias = BIAS_PULL_UP;
	fake.reconfigure_error = EINVAL; /* stops before the settings change */
	request.output = true;
	request.initial = MOVE_KEEP;
	ck_assert_int_eq(gpio_kernel.request(&line, &request, fault), -EINVAL);
	ck_assert_int_eq(fake.direction, GPIOD_LINE_DIRECTION_AS_IS);
	ck_assert_msg(fake.bias == GPIOD_LINE_BIAS_AS_IS,
		      "the kernel refuses a bias without a direction");
	ck_assert_int_eq(fake.releases, 1);
}
END_TEST

START_TEST(an_output_whose_level_cannot_be_read_is_given_back)
{
	fake.get_error = ENODEV;
	request.output = true;
	request.initial = MOVE_KEEP;
	assert_refused(-ENODEV, GONE);
	ck_assert_int_eq(fake.releases, 1);
	ck_assert_int_eq(fake.reconfigures, 0);
}
END_TEST

static const struct {
	int error, result;
	const char *words;
} refusals[] = {
	{ EBUSY, -EBUSY, "line 17 of gpiochip0 is held by \"gpio-fan\"" },
	{ ENODEV, -ENODEV, GONE },
	{ EPERM, -EACCES, "line 17 of gpiochip0: Operation not permitted" },
	{ ENOMEM, -ENOMEM, "line 17 of gpiochip0: Cannot allocate memory" },
	{ ENXIO, -EINVAL, "line 17 of gpiochip0 cannot report edges" },
	{ EINVAL, -EINVAL,
	  "line 17 of gpiochip0 cannot be what is asked (bias, edge, debounce?): Invalid "
	  "argument" },
};

START_TEST(a_line_that_is_refused)
{
	fake.consumer = "gpio-fan";
	fake.request_error = refusals[_i].error;
	assert_refused(refusals[_i].result, refusals[_i].words);
}
END_TEST

START_TEST(a_line_that_somebody_nameless_holds)
{
	fake.request_error = EBUSY;
	assert_refused(-EBUSY, "line 17 of gpiochip0 is held by another program");
}
END_TEST

static const struct {
	struct line_settings where;
	const char *place;
} places[] = {
	{ { .chip = chip_text, .offset = 17 }, "gpiochip0.17.active-high.as-is" },
	{ { .chip = chip_text, .offset = 18 }, "gpiochip0.18.active-high.as-is" },
	{ { .chip = chip_text, .offset = 17, .active_low = true },
	  "gpiochip0.17.active-low.as-is" },
	{ { .chip = chip_text, .offset = 17, .bias = BIAS_PULL_UP },
	  "gpiochip0.17.active-high.pull-up" },
	{ { .chip = chip_text, .offset = 17, .bias = BIAS_PULL_DOWN },
	  "gpiochip0.17.active-high.pull-down" },
	{ { .chip = chip_text, .offset = 17, .bias = BIAS_DISABLED },
	  "gpiochip0.17.active-high.no-bias" },
};

START_TEST(an_output_has_a_place)
{
	where = places[_i].where;
	ask_output(MOVE_OFF);
	ck_assert_str_eq(line->place, places[_i].place);
}
END_TEST

static struct gpio_kept kept;

static void keep_line(void)
{
	kept.fd = fake.pipe[0];
	(void)snprintf(kept.place, sizeof(kept.place), "%s", places[0].place);
	request.output = true;
	request.kept = &kept;
}

START_TEST(a_kept_line_is_taken_over_without_being_asked_for)
{
	enum gpiod_line_value level = _i ? GPIOD_LINE_VALUE_ACTIVE : GPIOD_LINE_VALUE_INACTIVE;
	bool on = !_i;

	keep_line();
	fake.value = level;
	request.initial = _i ? MOVE_OFF : MOVE_ON; /* neither moves it */
	ask();
	ck_assert_int_eq(fake.requests_held + fake.reconfigures, 0);
	ck_assert_int_eq((int)fake.value, (int)level);
	ck_assert_int_eq(line->fd, fake.pipe[0]);
	ck_assert_str_eq(line->place, kept.place);
	ck_assert_int_eq(gpio_line_get(line, &on), 0);
	ck_assert(on == !!_i);
	ck_assert_int_eq(gpio_line_set(line, !_i), 0);
	ck_assert_int_eq(gpio_line_get(line, &on), 0);
	ck_assert(on == !_i);
	fake.get_error = fake.set_error = ENODEV;
	ck_assert_int_eq(gpio_line_get(line, &on), -ENODEV);
	ck_assert_int_eq(gpio_line_set(line, true), -ENODEV);
	line = gpio_line_free(line);
	ck_assert_int_eq(fcntl(kept.fd, F_GETFD), -1); /* it was closed */
	ck_assert_int_eq(fake.releases, 0);
}
END_TEST

START_TEST(a_kept_descriptor_of_another_line_is_left_alone)
{
	keep_line();
	where = places[_i].where;
	if (_i == 0)
		fake.get_error = ENODEV; /* the chip was unplugged, and is back */
	assert_refused(-ESTALE, "");
	ck_assert_int_ge(fcntl(kept.fd, F_GETFD), 0);
	ck_assert_int_eq(fake.requests_held, 0);
}
END_TEST

static const struct {
	int error, result;
	const char *words;
} kept_errors[] = {
	{ ENODEV, -ESTALE, "" }, /* the chip was unplugged, and is back */
	{ ENOTTY, -ESTALE, "" },
	{ EINVAL, -ESTALE, "" },
	{ EBADF, -ESTALE, "" },
	{ EIO, -EIO, "line 17 of gpiochip0 cannot be read: Input/output error" },
	{ ENXIO, -EIO, "line 17 of gpiochip0 cannot be read: No such device or address" },
	{ EREMOTEIO, -EIO, "line 17 of gpiochip0 cannot be read: Remote I/O error" },
	{ ETIMEDOUT, -EIO, "line 17 of gpiochip0 cannot be read: Connection timed out" },
};

START_TEST(a_kept_line_whose_chip_does_not_answer_is_no_other_line)
{
	keep_line();
	fake.get_error = kept_errors[_i].error;
	assert_refused(kept_errors[_i].result, kept_errors[_i].words);
	ck_assert_int_ge(fcntl(kept.fd, F_GETFD), 0);
	ck_assert_int_eq(fake.requests_held, 0);
	fake.get_error = 0;
	ask(); /* the next try takes it over */
	ck_assert_int_eq(line->fd, kept.fd);
	ck_assert_int_eq(fake.requests_held, 0);
}
END_TEST

START_TEST(a_kept_descriptor_that_is_no_line_is_left_alone)
{
	keep_line();
	kept.fd = fake.pipe[1];
	assert_refused(-ESTALE, "");
	ck_assert_int_ge(fcntl(kept.fd, F_GETFD), 0);
}
END_TEST

START_TEST(free_takes_null)
{
	ck_assert_ptr_null(gpio_line_free(NULL));
}
END_TEST

static Suite *suite(void)
{
	Suite *suite = suite_create("gpio");
	TCase *finding = tcase_create("finding"), *lines = tcase_create("lines");

	tcase_add_checked_fixture(finding, set_up, tear_down);
	tcase_add_loop_test(finding, a_chip_has_a_name_a_path_and_a_label, 0,
			    (int)ARRAY_SIZE(chip_names));
	tcase_add_test(finding, a_chip_that_is_not_there);
	tcase_add_test(finding, a_chip_that_may_not_be_opened);
	tcase_add_loop_test(finding, a_label_may_be_that_of_a_chip_that_cannot_be_opened, 0,
			    (int)ARRAY_SIZE(hidden_labels));
	tcase_add_test(finding, a_label_is_found_beside_a_chip_that_cannot_be_opened);
	tcase_add_test(finding, a_label_that_cannot_be_read_may_be_any);
	tcase_add_test(finding, a_line_has_a_name);
	tcase_add_test(finding, a_line_that_is_not_there);
	tcase_add_loop_test(finding, a_chip_that_cannot_be_asked_may_have_the_line, 0,
			    2 * (int)ARRAY_SIZE(mute_chips));
	tcase_add_loop_test(finding, a_line_that_is_refused, 0, (int)ARRAY_SIZE(refusals));
	tcase_add_test(finding, a_line_that_somebody_nameless_holds);
	suite_add_tcase(suite, finding);

	tcase_add_checked_fixture(lines, set_up, tear_down);
	tcase_add_loop_test(lines, an_input_is_asked_for_as_configured, 0, (int)ARRAY_SIZE(inputs));
	tcase_add_test(lines, a_debounce_that_no_kernel_takes);
	tcase_add_test(lines, edges_carry_state_time_and_sequence);
	tcase_add_test(lines, an_input_can_be_read_and_not_set);
	tcase_add_loop_test(lines, a_chip_that_is_gone, 0, 2);
	tcase_add_loop_test(lines, an_output_starts_on_or_off, 0, 2);
	tcase_add_test(lines, an_output_can_be_set_and_read);
	tcase_add_loop_test(lines, an_output_that_keeps_its_level_never_lets_go, 0, 2);
	tcase_add_test(lines, an_output_is_first_asked_for_as_it_is);
	tcase_add_test(lines, an_output_whose_level_cannot_be_read_is_given_back);
	tcase_add_loop_test(lines, an_output_has_a_place, 0, (int)ARRAY_SIZE(places));
	tcase_add_loop_test(lines, a_kept_line_is_taken_over_without_being_asked_for, 0, 2);
	tcase_add_loop_test(lines, a_kept_descriptor_of_another_line_is_left_alone, 0,
			    (int)ARRAY_SIZE(places));
	tcase_add_loop_test(lines, a_kept_line_whose_chip_does_not_answer_is_no_other_line, 0,
			    (int)ARRAY_SIZE(kept_errors));
	tcase_add_test(lines, a_kept_descriptor_that_is_no_line_is_left_alone);
	tcase_add_test(lines, free_takes_null);
	suite_add_tcase(suite, lines);
	return suite;
}

int main(void)
{
	return suite_run(suite());
}
