/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The hwmon driver on trees of files: names, units, labels, faults, and chips that come and go. */

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>

#include "sysfs-fixture.h"

#define CHIP "class/hwmon/hwmon0/"

static void set_up(void)
{
	sysfs_set_up();
	put(CHIP "name", "nct6775\n");
	configure("hwmon", "nct6775");
}

static const struct {
	const char *file, *text, *channel, *unit;
	double value;
} conversions[] = {
	{ "temp1_input", "42500\n", "temp1", "°C", 42.5 },
	{ "temp12_input", "-5125\n", "temp12", "°C", -5.125 },
	{ "in0_input", "1234\n", "in0", "V", 1.234 },
	{ "fan2_input", "1187\n", "fan2", "rpm", 1187 },
	{ "power1_input", "12345678\n", "power1", "W", 12.345678 },
	{ "power1_average", "900000\n", "power1", "W", 0.9 },
	{ "humidity1_input", "45300\n", "humidity1", "%", 45.3 },
	{ "curr3_input", "-250\n", "curr3", "A", -0.25 },
	{ "energy1_input", "3600000000\n", "energy1", "J", 3600 },
};

START_TEST(each_quantity_has_its_unit)
{
	char path[128];

	(void)snprintf(path, sizeof(path), CHIP "%s", conversions[_i].file);
	put(path, conversions[_i].text);
	assert_reads();
	ck_assert_str_eq(channel_names(), conversions[_i].channel);
	assert_value(conversions[_i].channel, conversions[_i].value, conversions[_i].unit);
}
END_TEST

START_TEST(what_is_no_measurement_is_no_channel)
{
	static const char *const others[] = { "pwm1",	       "pwm1_input",	   "temp1_max",
					      "temp1_label",   "temp_input",	   "fan_input",
					      "temp1_input_x", "intrusion0_alarm", "power1_cap",
					      "in1_min",       "update_interval",  "temp1x_input",
					      "xtemp1_input",  "temp1_crit_hyst" };
	char path[128];

	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		(void)snprintf(path, sizeof(path), CHIP "%s", others[i]);
		put(path, "1\n");
	}
	assert_fails(-ENODEV, "hwmon0 has no channel");
	put(CHIP "temp1_input", "1000\n");
	assert_reads();
	ck_assert_str_eq(channel_names(), "temp1");
}
END_TEST

static void put_many(void)
{
	put(CHIP "fan1_input", "1000\n");
	put(CHIP "in10_input", "10000\n");
	put(CHIP "in2_input", "2000\n");
	put(CHIP "temp2_input", "32000\n");
	put(CHIP "temp1_input", "31000\n");
	put(CHIP "temp1_label", "CPU\n");
	put(CHIP "power1_input", "1000000\n");
	put(CHIP "power1_average", "2000000\n");
	put(CHIP "power2_average", "2000000\n"); /* the other one first */
	put(CHIP "power2_input", "1000000\n");
}

START_TEST(all_channels_come_in_order)
{
	put_many();
	assert_reads();
	ck_assert_str_eq(channel_names(), "temp1 temp2 in2 in10 fan1 power1 power2");
	assert_value("temp2", 32, "°C");
	assert_value("in10", 10, "V");
	assert_value("power1", 1, "W"); /* now, and not on average */
	assert_value("power2", 1, "W");
}
END_TEST

START_TEST(wanted_channels_come_in_the_order_of_the_configuration)
{
	put_many();
	want("fan1");
	want("CPU");
	want("in2");
	assert_reads();
	ck_assert_str_eq(channel_names(), "fan1 temp1 in2");
	assert_value("temp1", 31, "°C");
	assert_value("fan1", 1000, "rpm");
}
END_TEST

START_TEST(a_channel_that_is_not_there_is_told_with_those_that_are)
{
	put_many();
	want("temp9");
	assert_fails(-ENODEV, "hwmon0 has no channel temp9; it has: temp1 (CPU), temp2, in2");
}
END_TEST

START_TEST(a_channel_that_is_named_by_its_label_too)
{
	put_many();
	want("temp1");
	want("CPU");
	assert_fails(-EINVAL, "CPU is channel temp1, which is named, too");
}
END_TEST

START_TEST(the_configuration_names_channels_before_the_chip_is_there)
{
	struct channel channels[CHANNELS_MAX];
	struct option_value named[] = { { .string = (char *)(uintptr_t) "fan2" },
					{ .string = (char *)(uintptr_t) "temp1" },
					{ .string = (char *)(uintptr_t) "CPU" } };
	struct option_value all[2] = { { 0 }, { .list = named, .count = 2 } };
	const struct driver *driver;

	put(CHIP "temp1_input", "1000\n");
	assert_reads();
	driver = source->driver;
	ck_assert_int_eq(driver->describe(all, channels), 2);
	ck_assert_str_eq(channels[0].name, "fan2");
	ck_assert_str_eq(channels[1].unit, "°C");
	all[1].count = 3; /* a label: only the chip knows */
	ck_assert_int_eq(driver->describe(all, channels), 0);
	all[1].count = 0;
	ck_assert_int_eq(driver->describe(all, channels), 0);
}
END_TEST

START_TEST(more_channels_than_a_sensor_may_have)
{
	char path[128];

	for (int i = 0; i <= CHANNELS_MAX; i++) {
		if (i == CHANNELS_MAX)
			assert_reads(); /* so many it may */
		source = source_free(source);
		(void)snprintf(path, sizeof(path), CHIP "in%d_input", i);
		put(path, "1000\n");
	}
	assert_fails(-E2BIG, "has 65 channels, and a sensor 64 at most: name some in channels");
	configure("hwmon", "nct6775");
	want("in64");
	assert_reads();
	assert_value("in64", 1, "V");
}
END_TEST

/* --- values that are none ------------------------------------------------------------------- */

START_TEST(a_faulty_channel_is_left_out)
{
	put_many();
	put(CHIP "temp2_fault", "0\n");
	assert_reads();
	assert_value("temp2", 32, "°C");
	put(CHIP "temp2_fault", "1\n");
	assert_reads();
	ck_assert(isnan(value_of("temp2")));
	assert_value("temp1", 31, "°C");
}
END_TEST

START_TEST(a_faulty_channel_that_is_wanted_fails_the_reading)
{
	put_many();
	put(CHIP "temp2_fault", "1\n");
	want("temp1");
	want("temp2");
	assert_fails(-ENODATA, "hwmon0/temp2_fault says that temp2 is faulty");
	put(CHIP "temp2_fault", "0\n");
	assert_reads();
}
END_TEST

START_TEST(an_alarm_does_not_change_the_value)
{
	put_many();
	put(CHIP "temp1_alarm", "1\n");
	put(CHIP "temp1_crit_alarm", "1\n");
	assert_reads();
	assert_value("temp1", 31, "°C");
}
END_TEST

START_TEST(a_chip_without_any_value_has_failed)
{
	put(CHIP "temp1_input", "1000\n");
	put(CHIP "temp1_fault", "1\n");
	assert_fails(-ENODATA, "temp1 is faulty");
	put(CHIP "temp1_fault", "0\n");
	put(CHIP "temp1_input", "");
	assert_fails(-ENODATA, "temp1_input: is empty");
}
END_TEST

static const struct {
	const char *text;
	int error;
	const char *words;
} garbage[] = {
	{ "N/A\n", -EBADMSG, "temp1_input: \"N/A\" is no number" },
	{ "0x1f\n", -EBADMSG, "is no number" },
	{ "\033[2J\n", -EBADMSG, "\"?[2J\" is no number" },
	{ "1e999\n", -ERANGE, "is too large" },
};

START_TEST(garbage_is_no_value)
{
	put_many();
	put(CHIP "temp1_input", garbage[_i].text);
	assert_fails(garbage[_i].error, garbage[_i].words);
}
END_TEST

START_TEST(a_file_that_is_none)
{
	ck_assert_int_eq(mkfifo(path_of(CHIP "temp1_input"), 0600), 0);
	assert_fails(-EINVAL, "temp1_input: is no regular file"); /* and does not hang */
	take_away(CHIP "temp1_input");
	ck_assert_int_eq(mkdir(path_of(CHIP "temp1_input"), 0700), 0);
	assert_fails(-EISDIR, "temp1_input: Is a directory");
}
END_TEST

/* as the energy of some processors; nobody is 65534 */
START_TEST(what_only_root_may_read_is_left_out)
{
	bool is_root = geteuid() == 0;

	put_many();
	put(CHIP "energy1_input", "1000000\n");
	ck_assert_int_eq(chmod(path_of(CHIP "energy1_input"), 0), 0);
	ck_assert_int_eq(is_root ? seteuid(65534) : 0, 0);
	assert_reads();
	ck_assert_str_eq(channel_names(), "temp1 temp2 in2 in10 fan1 power1 power2");
	configure("hwmon", "nct6775");
	want("energy1");
	assert_fails(-EACCES, "hwmon0/energy1_input: Permission denied");
	ck_assert_int_eq(is_root ? seteuid(0) : 0, 0);
}
END_TEST

START_TEST(a_label_for_people_only)
{
	put_many();
	put(CHIP "temp1_label", "\033[31mCPU\377 1\nmore\n");
	want("temp9");
	assert_fails(-ENODEV, "temp1 (?[31mCPU? 1), temp2");
}
END_TEST

/* --- which chip ----------------------------------------------------------------------------- */

START_TEST(no_chip_of_that_name)
{
	put("class/hwmon/hwmon1/name", "coretemp\n");
	put("class/hwmon/hwmon2/name", "acpitz\n");
	configure("hwmon", "nct6776");
	assert_fails(-ENODEV, "no hwmon chip is called nct6776; there are: nct6775, coretemp, "
			      "acpitz");
	configure("hwmon", path_of("class/hwmon/hwmon7"));
	assert_fails(-ENODEV, "/hwmon7; there are: nct6775");
}
END_TEST

START_TEST(no_chip_at_all)
{
	take_away("class");
	assert_fails(-ENODEV, "no hwmon chip is called nct6775, nor is there any other: is its");
}
END_TEST

static void put_twins(void)
{
	take_away("class");
	put("devices/pci0/0000:01:00.0/nvme/hwmon1/name", "nvme\n");
	put("devices/pci0/0000:01:00.0/nvme/hwmon1/temp1_input", "41000\n");
	put_link("devices/pci0/0000:01:00.0/nvme/hwmon1/device", "../../../0000:01:00.0");
	put_link("class/hwmon/hwmon1", "../../devices/pci0/0000:01:00.0/nvme/hwmon1");
	put("devices/pci0/0000:02:00.0/nvme/hwmon2/name", "nvme\n");
	put("devices/pci0/0000:02:00.0/nvme/hwmon2/temp1_input", "52000\n");
	put_link("devices/pci0/0000:02:00.0/nvme/hwmon2/device", "../../../0000:02:00.0");
	put_link("class/hwmon/hwmon2", "../../devices/pci0/0000:02:00.0/nvme/hwmon2");
}

START_TEST(twins_are_not_guessed)
{
	put_twins();
	configure("hwmon", "nvme");
	assert_fails(-ENOTUNIQ, "2 hwmon chips are called nvme: name one of nvme@0000:01:00.0, "
				"nvme@0000:02:00.0");
}
END_TEST

static const struct {
	const char *device;
	bool is_path;
} twin[] = { { "nvme@0000:02:00.0", false },
	     { "hwmon2", false },
	     { "class/hwmon/hwmon2", true },
	     { "devices/pci0/0000:02:00.0", true } };

START_TEST(twins_are_told_apart)
{
	put_twins();
	configure("hwmon", twin[_i].is_path ? path_of(twin[_i].device) : twin[_i].device);
	assert_reads();
	assert_value("temp1", 52, "°C");
}
END_TEST

START_TEST(a_folder_is_not_above_one_whose_name_only_begins_so)
{
	put_twins();
	put("devices/pci0/0000:02:00/x", "");
	configure("hwmon", path_of("devices/pci0/0000:02:00"));
	assert_fails(-ENODEV, "no hwmon chip is at");
}
END_TEST

START_TEST(an_old_driver_has_its_values_with_the_chip)
{
	take_away("class");
	put("devices/isa/w83781d/name", "w83781d\n");
	put("devices/isa/w83781d/temp1_input", "33000\n");
	put_link("class/hwmon/hwmon0/device", "../../../devices/isa/w83781d");
	configure("hwmon", "w83781d");
	assert_reads();
	assert_value("temp1", 33, "°C");
}
END_TEST

/* --- coming and going ----------------------------------------------------------------------- */

START_TEST(a_chip_that_comes_back_under_another_number_is_found)
{
	put_many();
	assert_reads();
	move("class/hwmon/hwmon0", "class/hwmon/hwmon5");
	put("class/hwmon/hwmon5/temp1_input", "gone\n"); /* as an attribute of a device that left */
	assert_fails(-EBADMSG, "hwmon0/temp1_input");
	put("class/hwmon/hwmon5/temp1_input", "77000\n");
	put("class/hwmon/hwmon0/name", "coretemp\n"); /* somebody else has its number now */
	put("class/hwmon/hwmon0/temp1_input", "1000\n");
	assert_reads();
	assert_value("temp1", 77, "°C");
}
END_TEST

START_TEST(a_chip_that_is_gone_is_told)
{
	put_many();
	assert_reads();
	put(CHIP "temp1_input", "");
	put(CHIP "in2_input", "x");
	assert_fails(-EBADMSG, "in2_input");
	take_away("class/hwmon/hwmon0");
	assert_fails(-ENODEV, "no hwmon chip is called nct6775");
	put(CHIP "name", "nct6775\n");
	put(CHIP "temp3_input", "3000\n"); /* as another chip */
	assert_reads();
	ck_assert_str_eq(channel_names(), "temp3");
}
END_TEST

START_TEST(values_are_read_anew_each_time)
{
	put_many();
	assert_reads();
	put(CHIP "temp1_input", "36600\n");
	assert_reads();
	assert_value("temp1", 36.6, "°C");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("hwmon");
	TCase *tests = tcase_create("hwmon");

	tcase_add_checked_fixture(tests, set_up, sysfs_tear_down);
	tcase_add_loop_test(tests, each_quantity_has_its_unit, 0, (int)ARRAY_SIZE(conversions));
	tcase_add_test(tests, what_is_no_measurement_is_no_channel);
	tcase_add_test(tests, all_channels_come_in_order);
	tcase_add_test(tests, wanted_channels_come_in_the_order_of_the_configuration);
	tcase_add_test(tests, a_channel_that_is_not_there_is_told_with_those_that_are);
	tcase_add_test(tests, a_channel_that_is_named_by_its_label_too);
	tcase_add_test(tests, the_configuration_names_channels_before_the_chip_is_there);
	tcase_add_test(tests, more_channels_than_a_sensor_may_have);
	tcase_add_test(tests, a_faulty_channel_is_left_out);
	tcase_add_test(tests, a_faulty_channel_that_is_wanted_fails_the_reading);
	tcase_add_test(tests, an_alarm_does_not_change_the_value);
	tcase_add_test(tests, a_chip_without_any_value_has_failed);
	tcase_add_loop_test(tests, garbage_is_no_value, 0, (int)ARRAY_SIZE(garbage));
	tcase_add_test(tests, a_file_that_is_none);
	tcase_add_test(tests, what_only_root_may_read_is_left_out);
	tcase_add_test(tests, a_label_for_people_only);
	tcase_add_test(tests, no_chip_of_that_name);
	tcase_add_test(tests, no_chip_at_all);
	tcase_add_test(tests, twins_are_not_guessed);
	tcase_add_loop_test(tests, twins_are_told_apart, 0, (int)ARRAY_SIZE(twin));
	tcase_add_test(tests, a_folder_is_not_above_one_whose_name_only_begins_so);
	tcase_add_test(tests, an_old_driver_has_its_values_with_the_chip);
	tcase_add_test(tests, a_chip_that_comes_back_under_another_number_is_found);
	tcase_add_test(tests, a_chip_that_is_gone_is_told);
	tcase_add_test(tests, values_are_read_anew_each_time);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
