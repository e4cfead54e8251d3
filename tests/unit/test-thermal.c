/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The thermal driver on trees of files. */

#include <errno.h>
#include <stdio.h>

#include "sysfs-fixture.h"

static void set_up(void)
{
	sysfs_set_up();
	put("class/thermal/thermal_zone0/type", "acpitz\n");
	put("class/thermal/thermal_zone0/temp", "27800\n");
	put("class/thermal/thermal_zone1/type", "x86_pkg_temp\n");
	put("class/thermal/thermal_zone1/temp", "51000\n");
	put("class/thermal/cooling_device0/type", "Processor\n");
	configure("thermal", "x86_pkg_temp");
}

START_TEST(a_zone_is_found_by_its_type)
{
	assert_reads();
	ck_assert_str_eq(channel_names(), "temperature");
	assert_value("temperature", 51, "°C");
	put("class/thermal/thermal_zone1/temp", "-3250\n");
	assert_reads();
	assert_value("temperature", -3.25, "°C");
}
END_TEST

START_TEST(no_zone_of_that_type)
{
	configure("thermal", "Processor"); /* cools */
	assert_fails(-ENODEV,
		     "no thermal zone is called Processor; there are: acpitz, x86_pkg_temp");
}
END_TEST

START_TEST(zones_of_one_type_are_told_apart_by_their_folder)
{
	put("class/thermal/thermal_zone2/type", "acpitz\n");
	put("class/thermal/thermal_zone2/temp", "16800\n");
	configure("thermal", "acpitz");
	assert_fails(-ENOTUNIQ, "2 thermal zones are called acpitz: name one of thermal_zone0, "
				"thermal_zone2");
	configure("thermal", "thermal_zone2");
	assert_reads();
	assert_value("temperature", 16.8, "°C");
}
END_TEST

START_TEST(zones_of_one_type_are_told_apart_by_what_they_belong_to)
{
	put("devices/LNXTHERM:00/path", "\n");
	put("devices/LNXTHERM:01/path", "\n");
	put_link("class/thermal/thermal_zone0/device", "../../../devices/LNXTHERM:00");
	put("class/thermal/thermal_zone2/type", "acpitz\n");
	put("class/thermal/thermal_zone2/temp", "16800\n");
	put_link("class/thermal/thermal_zone2/device", "../../../devices/LNXTHERM:01");
	configure("thermal", "acpitz@LNXTHERM:01");
	assert_reads();
	assert_value("temperature", 16.8, "°C");
}
END_TEST

START_TEST(a_zone_that_has_not_measured_yet)
{
	put("class/thermal/thermal_zone1/temp", "-274000\n");
	assert_fails(-ENODATA, "thermal_zone1/temp: -274 °C: the zone has not measured yet");
	put("class/thermal/thermal_zone1/temp", "-273150\n");
	assert_reads();
}
END_TEST

START_TEST(a_zone_without_a_temperature)
{
	put("class/thermal/thermal_zone1/temp", "");
	assert_fails(-ENODATA, "thermal_zone1/temp: is empty");
	take_away("class/thermal/thermal_zone1/temp");
	assert_fails(-ENOENT, "thermal_zone1/temp: No such file");
}
END_TEST

START_TEST(a_zone_that_comes_back_under_another_number_is_found)
{
	assert_reads();
	put("class/thermal/thermal_zone1/temp", "?\n");
	assert_fails(-EBADMSG, "\"?\" is no number");
	move("class/thermal/thermal_zone1", "class/thermal/thermal_zone12");
	put("class/thermal/thermal_zone12/temp", "49000\n");
	assert_reads();
	assert_value("temperature", 49, "°C");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("thermal");
	TCase *tests = tcase_create("thermal");

	tcase_add_checked_fixture(tests, set_up, sysfs_tear_down);
	tcase_add_test(tests, a_zone_is_found_by_its_type);
	tcase_add_test(tests, no_zone_of_that_type);
	tcase_add_test(tests, zones_of_one_type_are_told_apart_by_their_folder);
	tcase_add_test(tests, zones_of_one_type_are_told_apart_by_what_they_belong_to);
	tcase_add_test(tests, a_zone_that_has_not_measured_yet);
	tcase_add_test(tests, a_zone_without_a_temperature);
	tcase_add_test(tests, a_zone_that_comes_back_under_another_number_is_found);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
