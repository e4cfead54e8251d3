/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The emulation: does the BME280 keep the data sheet's rules (BST-BME280-DS002, "DS"), does the bus
 * behave, do lines toggle and remember, and has every driver that needs a chip an emulated one.
 */

#include <check.h>
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

#include "iotd/clock.h"
#include "iotd/drivers.h"
#include "iotd/sim.h"

static struct i2c_bus *bus;
static struct sim_chip *chip;
static struct i2c_device *device;
static int64_t now_us;

static int64_t clock_us(void)
{
	return now_us;
}

static void set_up(void)
{
	now_us = 5000000;
	ck_assert_int_eq(sim_i2c_new(&bus), 0);
	ck_assert_int_eq(sim_i2c_add(bus, "bme280", 0x76, &chip), 0);
	chip->now_us = clock_us;
	ck_assert_int_eq(i2c_device_new(&device, bus, "i2c-1", 0x76), 0);
}

static void tear_down(void)
{
	device = i2c_device_free(device);
	bus = i2c_bus_free(bus);
}

static uint8_t get(uint8_t reg)
{
	uint8_t value;

	ck_assert_int_eq(i2c_read_registers(device, reg, &value, 1), 0);
	return value;
}

static void put(uint8_t reg, uint8_t value)
{
	ck_assert_int_eq(i2c_write_register(device, reg, value), 0);
}

static uint32_t get_20_bits(uint8_t reg)
{
	uint8_t data[3];

	ck_assert_int_eq(i2c_read_registers(device, reg, data, sizeof(data)), 0);
	return (uint32_t)data[0] << 12 | (uint32_t)data[1] << 4 | data[2] >> 4;
}

/* --- The bus ----------------------------------------------------------------------------------- */

START_TEST(an_address_without_a_chip_does_not_answer)
{
	struct i2c_device *nobody;
	uint8_t byte;

	ck_assert_int_eq(i2c_device_new(&nobody, bus, "i2c-1", 0x77), 0);
	ck_assert_int_eq(i2c_read(nobody, &byte, 1), -ENXIO);
	i2c_device_free(nobody);
}
END_TEST

START_TEST(chips_are_added_once_an_address)
{
	struct sim_chip *added = NULL;

	ck_assert_int_eq(sim_i2c_add(bus, "bme280", 0x76, &added), -EEXIST);
	ck_assert_int_eq(sim_i2c_add(bus, "nonsense", 0x77, &added), -ENOENT);
	ck_assert_ptr_null(added);
	ck_assert_int_eq(sim_i2c_add(bus, "bmp280", 0x77, NULL), 0);
}
END_TEST

START_TEST(a_fault_is_given_by_every_transfer)
{
	uint8_t byte;

	chip->fault = -ETIMEDOUT;
	ck_assert_int_eq(i2c_read(device, &byte, 1), -ETIMEDOUT);
	chip->fault = EIO;
	ck_assert_int_eq(i2c_read(device, &byte, 1), -EIO);
	chip->fault = 0;
	ck_assert_int_eq(i2c_read(device, &byte, 1), 0);
}
END_TEST

START_TEST(every_driver_is_found_by_its_name)
{
	const struct driver *driver = driver_at((size_t)_i);

	if (!driver)
		return;
	ck_assert_ptr_eq(driver_find(driver->name), driver);
	ck_assert(driver->channels || driver->describe);
	if (driver->kind == DRIVER_I2C)
		ck_assert_msg(sim_i2c_add(bus, driver->name, 0x08, NULL) == 0, "no emulated %s",
			      driver->name);
}
END_TEST

START_TEST(the_list_of_drivers)
{
	ck_assert_ptr_nonnull(driver_at(0));
	ck_assert_ptr_null(driver_at(1000));
	ck_assert_ptr_null(driver_find("nonsense"));
	ck_assert_str_eq(driver_kind_name(driver_find("bmp280")->kind), "i2c");
	ck_assert_str_eq(driver_kind_name(driver_find("file")->kind), "file");
}
END_TEST

/* --- what the kernel drives ------------------------------------------------------------------ */

static const struct {
	const char *driver, *device;
	const char *wanted[3]; /* NULL ends */
	const char *channels, *units;
	double least, most; /* of the first */
} kernel_sources[] = {
	{ "iio", "bh1750", { NULL }, "illuminance ", "lx ", 100, 700 },
	{ "iio", "bme280", { NULL }, "temperature ", "°C ", 17, 25 },
	{ "iio", "scd4x", { "co2", "humidity" }, "co2 humidity ", "ppm % ", 450, 750 },
	{ "hwmon", "nct6775", { NULL }, "temp1 ", "°C ", 17, 25 },
	{ "hwmon", "nct6775", { "fan2", "in0" }, "fan2 in0 ", "rpm V ", 1110, 1290 },
	{ "hwmon", "nct6775", { "CPU" }, "temp1 ", "°C ", 17, 25 },
	{ "w1", "28-000005e2fdc3", { NULL }, "temperature ", "°C ", 17, 25 },
	{ "thermal", "acpitz", { NULL }, "temperature ", "°C ", 17, 25 },
};

START_TEST(what_the_kernel_drives_is_emulated)
{
	const struct driver *driver = driver_find(kernel_sources[_i].driver);
	struct option_value options[2] = { { .string = strdup(kernel_sources[_i].device) } };
	struct option_value wanted[3] = { { 0 } };
	char channels[128] = "", units[128] = "";
	int names_end = 0, units_end = 0;
	double values[CHANNELS_MAX];
	struct source *source;
	int64_t wait_us = 0;

	options[1].list = wanted;
	for (size_t i = 0; kernel_sources[_i].wanted[i]; i++)
		wanted[options[1].count++].string = strdup(kernel_sources[_i].wanted[i]);
	ck_assert_int_eq(source_new(&source, driver, options, NULL), 0);
	ck_assert_int_eq(sim_kernel_source(source), 0);
	ck_assert_str_eq(source->driver->name, driver->name);
	for (int round = 0; round < 2; round++) { /* and after it was closed */
		ck_assert_int_eq(source_open(source), 0);
		ck_assert_int_eq(source->driver->collect(source, values, &wait_us), 0);
		ck_assert_double_ge(values[0], kernel_sources[_i].least);
		ck_assert_double_le(values[0], kernel_sources[_i].most);
		source_close(source);
	}
	for (size_t i = 0; i < source->channel_count; i++) {
		names_end += snprintf(channels + names_end, sizeof(channels) - (size_t)names_end,
				      "%s ", source->channels[i].name);
		units_end += snprintf(units + units_end, sizeof(units) - (size_t)units_end, "%s ",
				      source->channels[i].unit);
		ck_assert(isfinite(values[i]));
	}
	ck_assert_str_eq(channels, kernel_sources[_i].channels);
	ck_assert_str_eq(units, kernel_sources[_i].units);
	source_free(source);
	free(options[0].string);
	for (size_t i = 0; i < options[1].count; i++)
		free(wanted[i].string);
}
END_TEST

/* --- BME280 ------------------------------------------------------------------------------------ */

START_TEST(the_state_after_power_on)
{
	ck_assert_uint_eq(get(0xd0), 0x60);
	ck_assert_uint_eq(get(0xe0), 0x00);
	ck_assert_uint_eq(get(0xf2), 0x00);
	ck_assert_uint_eq(get(0xf3), 0x00);
	ck_assert_uint_eq(get(0xf4), 0x00);
	ck_assert_uint_eq(get(0xf5), 0x00);
	ck_assert_uint_eq(get_20_bits(0xf7), 0x80000);
	ck_assert_uint_eq(get_20_bits(0xfa), 0x80000);
	ck_assert_uint_eq(get(0xfd), 0x80);
	ck_assert_uint_eq(get(0xfe), 0x00);
}
END_TEST

START_TEST(reserved_and_read_only_registers_keep_their_values)
{
	put(0xd0, 0x55);
	put(0xf7, 0x55);
	put(0x88, 0x55);
	put(0xf6, 0x55);
	ck_assert_uint_eq(get(0xd0), 0x60);
	ck_assert_uint_eq(get(0xf7), 0x80);
	ck_assert_uint_eq(get(0x88), 0x70); /* 27504, low byte */
	ck_assert_uint_eq(get(0xf6), 0x00);
	put(0xf2, 0xff);
	ck_assert_uint_eq(get(0xf2), 0x07);
	put(0xf5, 0xff);
	ck_assert_uint_eq(get(0xf5), 0xfd);
}
END_TEST

START_TEST(a_write_takes_pairs_of_register_and_value)
{
	static const uint8_t pairs[] = { 0xf5, 0x10, 0xf2, 0x01 };

	ck_assert_int_eq(i2c_write(device, pairs, sizeof(pairs)), 0);
	ck_assert_uint_eq(get(0xf5), 0x10);
	ck_assert_uint_eq(get(0xf2), 0x01);
}
END_TEST

START_TEST(a_read_counts_registers_up)
{
	uint8_t data[3], reg = 0xd0;

	ck_assert_int_eq(i2c_write(device, &reg, 1), 0);
	ck_assert_int_eq(i2c_read(device, data, 1), 0);
	ck_assert_uint_eq(data[0], 0x60);
	put(0xf5, 0x10);
	ck_assert_int_eq(i2c_read_registers(device, 0xf4, data, 3), 0);
	ck_assert_uint_eq(data[1], 0x10);
}
END_TEST

START_TEST(data_is_old_until_the_longest_time_is_over)
{
	put(0xf2, 1);
	put(0xf4, 0x25);
	ck_assert_uint_eq(get(0xf3), 0x08);
	ck_assert_uint_eq(get(0xf4), 0x25);

	now_us += 9299; /* DS 9.1: 9.3 ms */
	ck_assert_uint_eq(get(0xf3), 0x08);
	ck_assert_uint_eq(get_20_bits(0xfa), 0x80000);

	now_us += 1;
	ck_assert_uint_eq(get(0xf3), 0x00);
	ck_assert_uint_ne(get_20_bits(0xfa), 0x80000);
	ck_assert_uint_ne(get_20_bits(0xf7), 0x80000);
	ck_assert_uint_ne(get(0xfd), 0x80);
	ck_assert_uint_eq(get(0xf4), 0x24); /* asleep again (DS 3.3.3) */
}
END_TEST

START_TEST(what_is_not_asked_for_is_skipped)
{
	put(0xf4, 0x21); /* temperature only */
	now_us += 3550;
	ck_assert_uint_eq(get(0xf3), 0x00);
	ck_assert_uint_ne(get_20_bits(0xfa), 0x80000);
	ck_assert_uint_eq(get_20_bits(0xf7), 0x80000);
	ck_assert_uint_eq(get(0xfd), 0x80);
}
END_TEST

START_TEST(ctrl_hum_waits_for_ctrl_meas)
{
	put(0xf4, 0x25);
	put(0xf2, 1); /* too late for this measurement (DS 5.4.3) */
	now_us += 10000;
	ck_assert_uint_eq(get(0xfd), 0x80);

	put(0xf4, 0x25);
	now_us += 10000;
	ck_assert_uint_ne(get(0xfd), 0x80);
}
END_TEST

START_TEST(a_mode_change_waits_for_the_measurement)
{
	put(0xf4, 0x25);
	now_us += 1000;
	put(0xf4, 0x49); /* x2; takes 11.025 ms from the end of the first one at 6.425 ms on */
	put(0xf4, 0xb5); /* ignored */
	now_us += 5424;
	ck_assert_uint_eq(get_20_bits(0xfa), 0x80000);
	now_us += 1;
	ck_assert_uint_ne(get_20_bits(0xfa), 0x80000);
	ck_assert_uint_eq(get(0xf4), 0x49);
	ck_assert_uint_eq(get(0xf3), 0x08);
	now_us += 11024;
	ck_assert_uint_eq(get(0xf3), 0x08);
	now_us += 1;
	ck_assert_uint_eq(get(0xf3), 0x00);
}
END_TEST

START_TEST(resolution_grows_with_oversampling)
{
	put(0xf4, 0x25);
	now_us += 20000;
	ck_assert_uint_eq(get_20_bits(0xfa) & 0x0f, 0);
	put(0xf4, 0x49);
	now_us += 20000;
	ck_assert_uint_eq(get_20_bits(0xfa) & 0x07, 0);
}
END_TEST

START_TEST(a_reset_takes_its_time)
{
	uint8_t byte;

	put(0xf5, 0x10);
	put(0xe0, 0xb5); /* any other word has no effect */
	ck_assert_uint_eq(get(0xf5), 0x10);

	put(0xe0, 0xb6);
	ck_assert_int_eq(i2c_read_registers(device, 0xd0, &byte, 1), -ENXIO);
	ck_assert_int_eq(i2c_write_register(device, 0xf5, 1), -ENXIO);
	now_us += 2000;
	ck_assert_uint_eq(get(0xf3), 0x01);
	ck_assert_uint_eq(get(0x88), 0x00);
	now_us += 500;
	ck_assert_uint_eq(get(0xf3), 0x00);
	ck_assert_uint_eq(get(0x88), 0x70);
	ck_assert_uint_eq(get(0xf5), 0x00);
}
END_TEST

START_TEST(a_bmp280_has_no_humidity)
{
	tear_down();
	ck_assert_int_eq(sim_i2c_new(&bus), 0);
	ck_assert_int_eq(sim_i2c_add(bus, "bmp280", 0x76, &chip), 0);
	ck_assert_int_eq(i2c_device_new(&device, bus, "i2c-1", 0x76), 0);
	chip->now_us = clock_us;
	ck_assert_uint_eq(get(0xd0), 0x58);
	put(0xf2, 1);
	ck_assert_uint_eq(get(0xf2), 0);
	put(0xf4, 0x25);
	now_us += 6425;
	ck_assert_uint_eq(get(0xf3), 0);
	ck_assert_uint_eq(get(0xfd), 0);
	ck_assert_uint_eq(get(0xe1), 0);
}
END_TEST

START_TEST(the_weather_changes_slowly)
{
	uint32_t last = 0, least = UINT32_MAX, most = 0;

	for (int second = 0; second < 600; second++) {
		uint32_t raw;

		put(0xf4, 0xa1); /* temperature x16 */
		now_us += 1000000;
		raw = get_20_bits(0xfa);
		least = raw < least ? raw : least;
		most = raw > most ? raw : most;
		if (second > 0)
			ck_assert_int_le(abs((int)raw - (int)last), 100); /* about 0.03 °C */
		last = raw;
	}
	ck_assert_uint_gt(most - least, 10000); /* about 3 °C */
}
END_TEST

/* --- Lines ------------------------------------------------------------------------------------- */

static char chip_name[] = "gpiochip0", chip_path[] = "/dev/gpiochip0", line_name[] = "GPIO17";
static struct line_settings where;
static struct gpio_request request;
static struct gpio_line *line;
static char fault[192];

static void set_up_line(void)
{
	where = (struct line_settings){ .chip = chip_name, .offset = 17 };
	request = (struct gpio_request){ .line = &where, .consumer = "iotd:test" };
	line = NULL;
}

static void tear_down_line(void)
{
	line = gpio_line_free(line);
}

static void ask(void)
{
	ck_assert_int_eq(gpio_emulated.request(&line, &request, fault), 0);
	ck_assert_str_eq(fault, "");
}

static bool is_on(void)
{
	bool on;

	ck_assert_int_eq(gpio_line_get(line, &on), 0);
	return on;
}

static void ask_output(enum output_move initial)
{
	request.output = true;
	request.initial = initial;
	ask();
}

START_TEST(an_output_remembers)
{
	where.active_low = _i;
	ask_output(MOVE_KEEP);
	ck_assert_int_eq(line->fd, -1);
	ck_assert_int_eq(is_on(), _i); /* the wire is low */
	ck_assert_int_eq(gpio_line_set(line, true), 0);
	ck_assert(is_on());

	tear_down_line();
	ask_output(MOVE_KEEP);
	ck_assert(is_on());
	ck_assert_int_eq(gpio_line_set(line, false), 0);

	tear_down_line();
	ask_output(MOVE_KEEP);
	ck_assert(!is_on());

	tear_down_line();
	ask_output(MOVE_ON);
	ck_assert(is_on());

	tear_down_line();
	ask_output(MOVE_OFF);
	ck_assert(!is_on());
}
END_TEST

START_TEST(the_wire_remembers_and_not_the_word)
{
	ask_output(MOVE_ON);
	tear_down_line();
	where.active_low = true;
	ask_output(MOVE_KEEP);
	ck_assert(!is_on());
}
END_TEST

START_TEST(a_line_is_held_by_one)
{
	struct gpio_line *second = NULL;

	ask_output(MOVE_KEEP);
	where.chip = chip_path; /* the same chip */
	ck_assert_int_eq(gpio_emulated.request(&second, &request, fault), -EBUSY);
	ck_assert_ptr_null(second);
	ck_assert_ptr_nonnull(strstr(fault, "held by \"iotd:test\""));

	where.name = line_name;
	ck_assert_int_eq(gpio_emulated.request(&second, &request, fault), 0);
	gpio_line_free(second);
}
END_TEST

START_TEST(an_output_has_no_events)
{
	struct gpio_event event;

	ask_output(MOVE_ON);
	ck_assert_int_eq(gpio_line_read_events(line, &event, 1), 0);
}
END_TEST

static struct gpio_line *ask_edges(unsigned int offset, enum line_edge edge)
{
	struct gpio_line *asked;

	where.offset = offset;
	request.edge = edge;
	ck_assert_int_eq(gpio_emulated.request(&asked, &request, fault), 0);
	return asked;
}

#define EDGES_MAX 100

/* until it has an edge that was asked for, however late we are */
static void await_edge(const struct gpio_line *of)
{
	struct pollfd wait = { .fd = of->fd, .events = POLLIN };

	ck_assert_int_eq(poll(&wait, 1, 20000), 1);
}

/* all edges so far: they are @apart_us apart, so none is missing up to the moment of the call */
static int read_edges(struct gpio_line *of, struct gpio_event events[static EDGES_MAX],
		      int64_t apart_us)
{
	int64_t asked_us = clock_monotonic_us();
	int count = gpio_line_read_events(of, events, EDGES_MAX);

	for (int i = 0; i < count; i++) {
		ck_assert_int_eq(events[i].monotonic_us - events[0].monotonic_us, i * apart_us);
		ck_assert_uint_eq(events[i].sequence, events[0].sequence + (uint32_t)i);
		ck_assert_int_le(events[i].monotonic_us, clock_monotonic_us());
	}
	if (count > 0)
		ck_assert_int_gt(events[count - 1].monotonic_us + apart_us, asked_us - 10000);
	return count;
}

START_TEST(an_input_changes_once_a_second)
{
	struct gpio_event events[EDGES_MAX];
	int64_t before_us = clock_monotonic_us(), asked_us;
	int count = 0;
	bool on;

	ask();
	asked_us = clock_monotonic_us();
	on = is_on();
	ck_assert(!on || clock_monotonic_us() > before_us + USEC_PER_SEC);
	ck_assert_int_eq(gpio_line_set(line, true), -EPERM);
	while (count < 2) {
		await_edge(line);
		count += gpio_line_read_events(line, events + count, (size_t)(EDGES_MAX - count));
	}
	ck_assert_int_ge(events[0].monotonic_us, before_us + USEC_PER_SEC);
	ck_assert_int_le(events[0].monotonic_us, asked_us + USEC_PER_SEC);
	for (int i = 0; i < count; i++) {
		ck_assert(events[i].on == (i % 2 == 0));
		ck_assert_uint_eq(events[i].sequence, (uint32_t)i + 1);
		ck_assert_int_eq(events[i].monotonic_us - events[0].monotonic_us, i * USEC_PER_SEC);
		ck_assert_int_le(events[i].monotonic_us, clock_monotonic_us());
	}
	ck_assert(gpio_line_read_events(line, events, EDGES_MAX) == 0 ||
		  events[0].sequence == (uint32_t)count + 1);
}
END_TEST

/* three lines wait for their edges at the same time */
START_TEST(edges_are_those_that_are_asked_for_and_the_last_ones)
{
	cleanup(gpio_line_freep) struct gpio_line *rising = NULL;
	cleanup(gpio_line_freep) struct gpio_line *falling = NULL;
	struct gpio_event last[2], events[EDGES_MAX];
	int count;

	ask();
	rising = ask_edges(18, EDGE_RISING);
	falling = ask_edges(19, EDGE_FALLING);
	(void)poll(NULL, 0, 3200);

	ck_assert_int_eq(gpio_line_read_events(line, last, 2),
			 2); /* of 3 at least: a gap, as the kernel makes it */
	ck_assert_uint_ge(last[0].sequence, 2);
	ck_assert_uint_eq(last[1].sequence, last[0].sequence + 1);
	ck_assert_int_eq(last[1].monotonic_us - last[0].monotonic_us, USEC_PER_SEC);
	for (int i = 0; i < 2; i++)
		ck_assert(last[i].on == (last[i].sequence % 2 == 1));
	ck_assert(is_on() == last[1].on ||
		  clock_monotonic_us() > last[1].monotonic_us + USEC_PER_SEC);

	count = read_edges(rising, events, 2 * USEC_PER_SEC);
	ck_assert_int_ge(count, 2);
	ck_assert_uint_eq(events[0].sequence, 1);
	for (int i = 0; i < count; i++)
		ck_assert(events[i].on);

	count = read_edges(falling, events, 2 * USEC_PER_SEC);
	ck_assert_int_ge(count, 1);
	ck_assert_uint_eq(events[0].sequence, 1);
	for (int i = 0; i < count; i++)
		ck_assert(!events[i].on);
}
END_TEST

static Suite *suite(void)
{
	Suite *suite = suite_create("sim");
	TCase *chips = tcase_create("chips"), *lines = tcase_create("lines");

	tcase_add_checked_fixture(chips, set_up, tear_down);
	tcase_add_test(chips, an_address_without_a_chip_does_not_answer);
	tcase_add_test(chips, chips_are_added_once_an_address);
	tcase_add_test(chips, a_fault_is_given_by_every_transfer);
	tcase_add_loop_test(chips, every_driver_is_found_by_its_name, 0, 64);
	tcase_add_test(chips, the_list_of_drivers);
	tcase_add_loop_test(chips, what_the_kernel_drives_is_emulated, 0,
			    (int)ARRAY_SIZE(kernel_sources));
	tcase_add_test(chips, the_state_after_power_on);
	tcase_add_test(chips, reserved_and_read_only_registers_keep_their_values);
	tcase_add_test(chips, a_write_takes_pairs_of_register_and_value);
	tcase_add_test(chips, a_read_counts_registers_up);
	tcase_add_test(chips, data_is_old_until_the_longest_time_is_over);
	tcase_add_test(chips, what_is_not_asked_for_is_skipped);
	tcase_add_test(chips, ctrl_hum_waits_for_ctrl_meas);
	tcase_add_test(chips, a_mode_change_waits_for_the_measurement);
	tcase_add_test(chips, resolution_grows_with_oversampling);
	tcase_add_test(chips, a_reset_takes_its_time);
	tcase_add_test(chips, a_bmp280_has_no_humidity);
	tcase_add_test(chips, the_weather_changes_slowly);
	suite_add_tcase(suite, chips);

	tcase_add_checked_fixture(lines, set_up_line, tear_down_line);
	tcase_set_timeout(lines, 30);
	tcase_add_loop_test(lines, an_output_remembers, 0, 2);
	tcase_add_test(lines, the_wire_remembers_and_not_the_word);
	tcase_add_test(lines, a_line_is_held_by_one);
	tcase_add_test(lines, an_output_has_no_events);
	tcase_add_test(lines, an_input_changes_once_a_second);
	tcase_add_test(lines, edges_are_those_that_are_asked_for_and_the_last_ones);
	suite_add_tcase(suite, lines);
	return suite;
}

int main(void)
{
	return suite_run(suite());
}
