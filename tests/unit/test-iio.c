/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The iio driver on trees of files: names, units, scale and offset, and devices that come and go. */

#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "sysfs-fixture.h"

#define DEVICE "bus/iio/devices/iio:device0/"

static void set_up(void)
{
	sysfs_set_up();
	put(DEVICE "name", "bme280\n");
	configure("iio", "bme280");
}

static void put_file(const char *name, const char *text)
{
	char path[128];

	(void)snprintf(path, sizeof(path), DEVICE "%s", name);
	put(path, text);
}

static const struct {
	const char *file, *text, *channel, *unit;
	double value;
} processed[] = {
	{ "in_temp_input", "21370\n", "temperature", "°C", 21.37 },
	{ "in_temp_ambient_input", "-4250\n", "temperature_ambient", "°C", -4.25 },
	{ "in_humidityrelative_input", "45123\n", "humidity", "%", 45.123 },
	{ "in_pressure_input", "101.325000\n", "pressure", "hPa", 1013.25 },
	{ "in_illuminance_input", "312.5\n", "illuminance", "lx", 312.5 },
	{ "in_illuminance0_input", "7\n", "illuminance0", "lx", 7 },
	{ "in_voltage3_input", "3300\n", "voltage3", "V", 3.3 },
	{ "in_voltage0-voltage1_input", "-12\n", "voltage0-voltage1", "V", -0.012 },
	{ "in_current0_input", "1500\n", "current0", "A", 1.5 },
	{ "in_power0_input", "2500\n", "power0", "W", 2.5 },
	{ "in_energy_input", "77\n", "energy", "J", 77 },
	{ "in_resistance_input", "10000\n", "resistance", "Ω", 10000 },
	{ "in_distance_input", "1.234\n", "distance", "mm", 1234 },
	{ "in_concentration_co2_input", "0.0415\n", "co2", "ppm", 415 },
	{ "in_concentration_input", "0.01\n", "concentration", "ppm", 100 },
	{ "in_concentration0_voc_input", "0.01\n", "concentration0_voc", "ppm", 100 },
	{ "in_massconcentration_pm2p5_input", "12.5\n", "pm2p5", "µg/m³", 12.5 },
	{ "in_uvindex_input", "6.5\n", "uv_index", "", 6.5 },
	{ "in_accel_x_input", "9.806650\n", "accel_x", "m/s²", 9.80665 },
	{ "in_anglvel_z_input", "0.017453\n", "anglvel_z", "rad/s", 0.017453 },
	{ "in_angl_input", "1.5\n", "angl", "rad", 1.5 },
	{ "in_magn_y_input", "0.48\n", "magn_y", "G", 0.48 },
	{ "in_positionrelative_x_input", "50000\n", "positionrelative_x", "%", 50 },
	{ "in_capacitance0_input", "47\n", "capacitance0", "nF", 47 },
	{ "in_velocity_sqrt(x^2+y^2+z^2)_input", "2\n", "velocity_sqrt_x_2_y_2_z_2_", "m/s", 2 },
	{ "in_newthing2_input", "5\n", "newthing2", "", 5 },
};

START_TEST(each_quantity_has_its_name_and_unit)
{
	put_file(processed[_i].file, processed[_i].text);
	assert_reads();
	ck_assert_str_eq(channel_names(), processed[_i].channel);
	assert_value(processed[_i].channel, processed[_i].value, processed[_i].unit);
}
END_TEST

/* what the configuration says before the device is there is what the device says then */
START_TEST(a_wanted_channel_is_known_before)
{
	struct option_value wanted[] = { { .string = (char *)(uintptr_t)processed[_i].channel } };
	struct option_value all[2] = { { 0 }, { .list = wanted, .count = 1 } };
	struct channel channels[CHANNELS_MAX];
	int r;

	put_file(processed[_i].file, processed[_i].text);
	assert_reads();
	r = source->driver->describe(all, channels);
	if (strcmp(processed[_i].file, "in_newthing2_input") == 0) {
		ck_assert_int_eq(r, 0); /* a label, perhaps */
		return;
	}
	ck_assert_int_eq(r, 1);
	ck_assert_str_eq(channels[0].name, source->channels[0].name);
	ck_assert_str_eq(channels[0].unit, source->channels[0].unit);
	ck_assert_int_eq(channels[0].digits, source->channels[0].digits);
}
END_TEST

/* (raw + offset) x scale, each the channel's own or shared in the ways of the kernel */
static const struct {
	const char *raw, *offset, *scale, *channel;
	double value;
} shared[] = {
	{ "in_voltage0_raw", NULL, NULL, "voltage0", 0.1 },
	{ "in_voltage0_raw", NULL, "in_voltage0_scale", "voltage0", 0.2 },
	{ "in_voltage0_raw", "in_voltage0_offset", "in_voltage0_scale", "voltage0", 0.18 },
	{ "in_voltage0_raw", "in_voltage_offset", "in_voltage_scale", "voltage0", 0.18 },
	{ "in_voltage0-voltage1_raw", NULL, "in_voltage-voltage_scale", "voltage0-voltage1", 0.2 },
	{ "in_voltage2_supply_raw", NULL, "in_voltage_scale", "voltage2_supply", 0.2 },
	{ "in_voltage0_q_raw", NULL, "in_voltage_q_scale", "voltage0_q", 0.2 },
	{ "in_voltage0_raw", "in_offset", "in_scale", "voltage0", 0.18 },
	{ "in_voltage0_raw", "offset", "scale", "voltage0", 0.18 },
	{ "in_accel_x_raw", NULL, "in_accel_scale", "accel_x", 200 },
	{ "in_temp_object_raw", "in_temp_object_offset", "in_temp_scale", "temperature_object",
	  0.18 },
	{ "in_concentration_co2_raw", NULL, "in_concentration_co2_scale", "co2", 2e6 },
};

START_TEST(raw_values_are_scaled)
{
	put_file(shared[_i].raw, "100\n");
	put_file("in_humidityrelative_scale", "1000000\n"); /* somebody else's */
	if (shared[_i].offset)
		put_file(shared[_i].offset, "-10\n");
	if (shared[_i].scale)
		put_file(shared[_i].scale, "2.000000\n");
	assert_reads();
	ck_assert_str_eq(channel_names(), shared[_i].channel);
	ck_assert_double_eq_tol(value_of(shared[_i].channel), shared[_i].value, 1e-9);
}
END_TEST

START_TEST(the_own_scale_comes_before_a_shared_one)
{
	put_file("in_voltage1_raw", "100\n");
	put_file("in_voltage_scale", "2\n");
	put_file("in_voltage1_scale", "3\n");
	assert_reads();
	assert_value("voltage1", 0.3, "V");
}
END_TEST

START_TEST(a_gain_may_change)
{
	put_file("in_illuminance_raw", "100\n");
	put_file("in_illuminance_scale", "2\n");
	assert_reads();
	assert_value("illuminance", 200, "lx");
	put_file("in_illuminance_scale", "0.5\n");
	assert_reads();
	assert_value("illuminance", 50, "lx");
}
END_TEST

START_TEST(a_processed_value_is_preferred_and_not_scaled)
{
	put_file("in_temp_raw", "1\n");
	put_file("in_temp_scale", "1000\n");
	put_file("in_temp_offset", "1000\n");
	put_file("in_temp_input", "21000\n");
	assert_reads();
	ck_assert_str_eq(channel_names(), "temperature");
	assert_value("temperature", 21, "°C");
}
END_TEST

START_TEST(what_is_no_momentary_value_is_no_channel)
{
	static const char *const others[] = {
		"in_temp_mean_raw",
		"in_temp_peak_raw",
		"in_humidityrelative_trough_raw",
		"in_temp_scale",
		"in_voltage0_label",
		"in_anglvel_z_quadrature_correction_raw",
		"out_voltage0_raw",
		"in_raw",
		"in_rot_quaternion_raw",
		"in_temp_raw_available",
		"sampling_frequency",
		"in_temp_calibbias",
	};

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		put_file(others[i], "1\n");
	assert_fails(-ENODEV, "iio:device0 has no channel");
}
END_TEST

static void put_many(void)
{
	put_file("in_voltage10_raw", "10\n");
	put_file("in_voltage2_raw", "2\n");
	put_file("in_voltage2_label", "battery\n");
	put_file("in_voltage_scale", "1000\n");
	put_file("in_pressure_input", "100\n");
	put_file("in_humidityrelative_input", "40000\n");
	put_file("in_temp_input", "20000\n");
}

START_TEST(all_channels_come_in_order)
{
	put_many();
	assert_reads();
	ck_assert_str_eq(channel_names(), "temperature humidity pressure voltage2 voltage10");
}
END_TEST

START_TEST(wanted_channels_come_in_the_order_of_the_configuration)
{
	put_many();
	want("battery");
	want("temperature");
	assert_reads();
	ck_assert_str_eq(channel_names(), "voltage2 temperature");
	assert_value("voltage2", 2, "V");
	assert_value("temperature", 20, "°C");
}
END_TEST

START_TEST(a_channel_that_is_not_there_is_told_with_those_that_are)
{
	put_many();
	want("illuminance");
	assert_fails(-ENODEV,
		     "iio:device0 has no channel illuminance; it has: temperature, humidity, "
		     "pressure, voltage2 (battery), voltage10");
}
END_TEST

START_TEST(more_channels_than_a_sensor_may_have)
{
	char name[64];

	for (int i = 0; i <= CHANNELS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "in_voltage%d_raw", i);
		put_file(name, "1\n");
	}
	assert_fails(-E2BIG, "has 65 channels, and a sensor 64 at most: name some in channels");
}
END_TEST

/* --- faults --------------------------------------------------------------------------------- */

START_TEST(garbage_is_no_value)
{
	put_many();
	put_file("in_temp_input", "ERROR\n");
	assert_fails(-EBADMSG, "in_temp_input: \"ERROR\" is no number");
	put_file("in_temp_input", "20000\n");
	put_file("in_voltage_scale", "much\n");
	assert_fails(-EBADMSG, "in_voltage_scale: \"much\" is no number");
}
END_TEST

START_TEST(a_value_that_no_number_can_hold)
{
	put_many();
	put_file("in_voltage2_raw", "1e308\n");
	put_file("in_voltage_offset", "1e308\n");
	assert_fails(-ERANGE, "in_voltage2_raw: is too large with its scale and offset");
	put_file("in_voltage_scale", "0\n"); /* inf x 0 is no missing value */
	assert_fails(-ERANGE, "is too large");
}
END_TEST

START_TEST(a_channel_without_a_value_is_left_out_or_fails)
{
	put_many();
	put_file("in_temp_input", "");
	assert_reads();
	ck_assert(isnan(value_of("temperature")));
	assert_value("humidity", 40, "%");
	configure("iio", "bme280");
	want("temperature");
	assert_fails(-ENODATA, "in_temp_input: is empty");
}
END_TEST

START_TEST(an_attribute_that_vanishes)
{
	put_many();
	want("temperature");
	assert_reads();
	put_file("in_temp_input", "?\n");
	assert_fails(-EBADMSG, "in_temp_input");
	take_away(DEVICE "in_temp_input");
	assert_fails(-ENODEV, "has no channel temperature; it has: humidity");
}
END_TEST

/* --- which device --------------------------------------------------------------------------- */

START_TEST(a_device_by_its_label)
{
	put_many();
	put(DEVICE "label", "accel-base\n");
	configure("iio", "accel-base");
	assert_reads();
	configure("iio", "iio:device0");
	assert_reads();
	configure("iio", path_of("bus/iio/devices/iio:device0"));
	assert_reads();
}
END_TEST

START_TEST(no_device_of_that_name)
{
	put("bus/iio/devices/iio_sysfs_trigger/name", "trigger\n");
	put("bus/iio/devices/trigger0/name", "trigger\n");
	put("bus/iio/devices/iio:device1/name", "ads1115\n");
	configure("iio", "bh1750");
	assert_fails(-ENODEV, "no iio device is called bh1750; there are: bme280, ads1115");
}
END_TEST

START_TEST(twins_are_told_apart_by_where_they_are)
{
	take_away("bus");
	put("devices/i2c-1/1-0076/iio:device0/name", "bme280\n");
	put("devices/i2c-1/1-0076/iio:device0/in_temp_input", "6000\n");
	put("devices/i2c-1/1-0077/iio:device1/name", "bme280\n");
	put("devices/i2c-1/1-0077/iio:device1/in_temp_input", "7000\n");
	put_link("bus/iio/devices/iio:device0", "../../../devices/i2c-1/1-0076/iio:device0");
	put_link("bus/iio/devices/iio:device1", "../../../devices/i2c-1/1-0077/iio:device1");
	assert_fails(-ENOTUNIQ, "2 iio devices are called bme280: name one of bme280@1-0076, "
				"bme280@1-0077");
	configure("iio", "bme280@1-0077");
	assert_reads();
	assert_value("temperature", 7, "°C");
	configure("iio", path_of("devices/i2c-1/1-0076"));
	assert_reads();
	assert_value("temperature", 6, "°C");
}
END_TEST

START_TEST(a_device_that_comes_back_under_another_number_is_found)
{
	put_many();
	assert_reads();
	put_file("in_temp_input", "gone\n");
	assert_fails(-EBADMSG, "in_temp_input");
	move("bus/iio/devices/iio:device0", "bus/iio/devices/iio:device3");
	put("bus/iio/devices/iio:device3/in_temp_input", "23000\n");
	assert_reads();
	assert_value("temperature", 23, "°C");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("iio");
	TCase *tests = tcase_create("iio");

	tcase_add_checked_fixture(tests, set_up, sysfs_tear_down);
	tcase_add_loop_test(tests, each_quantity_has_its_name_and_unit, 0,
			    (int)ARRAY_SIZE(processed));
	tcase_add_loop_test(tests, a_wanted_channel_is_known_before, 0, (int)ARRAY_SIZE(processed));
	tcase_add_loop_test(tests, raw_values_are_scaled, 0, (int)ARRAY_SIZE(shared));
	tcase_add_test(tests, the_own_scale_comes_before_a_shared_one);
	tcase_add_test(tests, a_gain_may_change);
	tcase_add_test(tests, a_processed_value_is_preferred_and_not_scaled);
	tcase_add_test(tests, what_is_no_momentary_value_is_no_channel);
	tcase_add_test(tests, all_channels_come_in_order);
	tcase_add_test(tests, wanted_channels_come_in_the_order_of_the_configuration);
	tcase_add_test(tests, a_channel_that_is_not_there_is_told_with_those_that_are);
	tcase_add_test(tests, more_channels_than_a_sensor_may_have);
	tcase_add_test(tests, garbage_is_no_value);
	tcase_add_test(tests, a_value_that_no_number_can_hold);
	tcase_add_test(tests, a_channel_without_a_value_is_left_out_or_fails);
	tcase_add_test(tests, an_attribute_that_vanishes);
	tcase_add_test(tests, a_device_by_its_label);
	tcase_add_test(tests, no_device_of_that_name);
	tcase_add_test(tests, twins_are_told_apart_by_where_they_are);
	tcase_add_test(tests, a_device_that_comes_back_under_another_number_is_found);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
