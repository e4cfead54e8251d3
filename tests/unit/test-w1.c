/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The w1 driver on trees of files. The texts of w1_slave are as w1_therm.c writes them; their
 * temperatures are those of the DS18B20 data sheet, "Temperature/Data Relationship".
 */

#include <errno.h>
#include <stdio.h>

#include "sysfs-fixture.h"

#define ID     "28-000005e2fdc3"
#define FOLDER "bus/w1/devices/" ID "/"

static void set_up(void)
{
	sysfs_set_up();
	put("bus/w1/devices/w1_bus_master1/w1_master_name", "w1_bus_master1\n");
	put("bus/w1/devices/10-000802b4c1a9/w1_slave", "");
	configure("w1", ID);
}

/* as the kernel puts it: @bytes "d0 07 4b 46 7f ff 0c 10 1c " twice */
static void put_slave(const char *bytes, const char *verdict, const char *t)
{
	char text[256];

	(void)snprintf(text, sizeof(text), "%s: crc=%.2s %s\n%st=%s\n", bytes, bytes + 24, verdict,
		       bytes, t);
	put(FOLDER "w1_slave", text);
}

static const struct {
	const char *bytes, *t;
	double value;
} temperatures[] = {
	{ "d0 07 4b 46 7f ff 10 10 1c ", "125000", 125 },
	{ "91 01 4b 46 7f ff 0f 10 25 ", "25062", 25.062 },
	{ "08 00 4b 46 7f ff 08 10 6b ", "500", 0.5 },
	{ "00 00 4b 46 7f ff 10 10 3b ", "0", 0 },
	{ "f8 ff 4b 46 7f ff 08 10 2e ", "-500", -0.5 },
	{ "6f fe 4b 46 7f ff 01 10 71 ", "-25062", -25.062 },
	{ "90 fc 4b 46 7f ff 10 10 96 ", "-55000", -55 },
	{ "50 05 4b 46 7f ff 10 10 f2 ", "85000",
	  85 }, /* measured: byte 6 is not that of power-on */
	{ "51 05 4b 46 7f ff 0c 10 f2 ", "85062", 85.062 },
	{ "aa 00 4b 46 7f ff 0c 10 87 ", "10625", 10.625 }, /* of a copy that leaves byte 6 alone */
};

START_TEST(temperatures_are_read)
{
	put_slave(temperatures[_i].bytes, "YES", temperatures[_i].t);
	assert_reads();
	ck_assert_str_eq(channel_names(), "temperature");
	assert_value("temperature", temperatures[_i].value, "°C");
}
END_TEST

static const struct {
	const char *bytes, *verdict, *t;
	int error;
	const char *words;
} failures[] = {
	{ "50 05 4b 46 7f ff 0c 10 1c ", "YES", "85000", -EIO,
	  ID ": 85 °C is its value after power-on, it has not measured" },
	{ "ff 07 4b 46 7f ff 0c 10 1c ", "YES", "127937", -EIO, "had too little power to measure" },
	{ "91 01 4b 46 7f ff 0f 10 25 ", "NO", "25062", -EBADMSG, "w1_slave: wrong checksum" },
	{ "00 00 00 00 00 00 00 00 00 ", "YES", "0", -EIO, "shorted to ground" },
	{ "zz 01 4b 46 7f ff 0f 10 25 ", "YES", "25062", -EBADMSG, "is not as w1_therm writes" },
	{ "191 01 4b 46 7f ff 0f 10 5 ", "YES", "25062", -EBADMSG, "is not as w1_therm writes" },
	{ "91 01 4b 46 7f ff 0f 10 25 ", "MAYBE", "25062", -EBADMSG, "is not as w1_therm writes" },
	{ "91 01 4b 46 7f ff 0f 10 25 ", "YES", "hot", -EBADMSG, "\"hot\" is no number" },
};

START_TEST(what_is_no_measurement_fails)
{
	put_slave(failures[_i].bytes, failures[_i].verdict, failures[_i].t);
	assert_fails(failures[_i].error, failures[_i].words);
	put_slave(temperatures[1].bytes, "YES", temperatures[1].t);
	assert_reads(); /* and is forgotten then */
}
END_TEST

START_TEST(a_sensor_that_does_not_answer)
{
	put(FOLDER "w1_slave", "");
	assert_fails(-ENODATA, "w1_slave is empty: the sensor does not answer");
	put(FOLDER "w1_slave", "91 01 4b 46 7f ff 0f 10 25 : crc=25 YES\n");
	assert_fails(-EBADMSG, "is not as w1_therm writes"); /* half of it */
}
END_TEST

START_TEST(a_ds18s20_counts_halves)
{
	configure("w1", "10-000802b4c1a9");
	put("bus/w1/devices/10-000802b4c1a9/w1_slave",
	    "aa 00 4b 46 ff ff 0c 10 87 : crc=87 YES\naa 00 4b 46 ff ff 0c 10 87 t=85000\n");
	assert_fails(-EIO, "10-000802b4c1a9: 85 °C is its value after power-on");
	put("bus/w1/devices/10-000802b4c1a9/w1_slave",
	    "aa 00 4b 46 ff ff 0b 10 87 : crc=87 YES\naa 00 4b 46 ff ff 0b 10 87 t=85062\n");
	assert_reads();
	assert_value("temperature", 85.062, "°C");
}
END_TEST

START_TEST(a_thermocouple_that_is_open)
{
	configure("w1", "3b-0000001921e8");
	put("bus/w1/devices/3b-0000001921e8/w1_slave",
	    "91 01 60 13 f0 ff ff ff c4 : crc=c4 YES\n91 01 60 13 f0 ff ff ff c4 t=25000\n");
	assert_fails(-EIO, "3b-0000001921e8: its thermocouple is open or shorted");
	put("bus/w1/devices/3b-0000001921e8/w1_slave",
	    "90 01 60 13 f0 ff ff ff c4 : crc=c4 YES\n90 01 60 13 f0 ff ff ff c4 t=25000\n");
	assert_reads();
	assert_value("temperature", 25, "°C");
	put_slave("91 01 60 13 f0 ff ff ff c4 ", "YES",
		  "25062"); /* any other: a bit of the value */
	configure("w1", ID);
	assert_reads();
}
END_TEST

START_TEST(the_number_alone_will_do)
{
	put(FOLDER "temperature", "23125\n");
	assert_reads();
	assert_value("temperature", 23.125, "°C");
	put(FOLDER "temperature", "85000\n");
	assert_fails(-EIO, ID ": 85 °C is the value after power-on, and nothing here tells");
	put(FOLDER "temperature", "84937\n");
	assert_reads();
	put(FOLDER "temperature", "");
	assert_fails(-ENODATA, "temperature: is empty");
}
END_TEST

START_TEST(the_bytes_are_preferred)
{
	put(FOLDER "temperature", "99000\n");
	put_slave(temperatures[1].bytes, "YES", temperatures[1].t);
	assert_reads();
	assert_value("temperature", 25.062, "°C");
}
END_TEST

START_TEST(no_sensor_of_that_id)
{
	assert_fails(-ENODEV, "no 1-Wire device is called " ID "; there are: 10-000802b4c1a9");
	take_away("bus/w1");
	assert_fails(-ENODEV, "nor is there any other: is its kernel driver loaded?");
}
END_TEST

START_TEST(a_device_that_is_no_thermometer)
{
	put(FOLDER "id", "x");
	assert_fails(-ENODEV,
		     ID " has no temperature: is it a thermometer, and the module w1_therm "
			"loaded?");
}
END_TEST

START_TEST(a_sensor_that_comes_back)
{
	put_slave(temperatures[1].bytes, "YES", temperatures[1].t);
	assert_reads();
	put(FOLDER "w1_slave", "");
	assert_fails(-ENODATA, "does not answer");
	take_away("bus/w1/devices/" ID);
	assert_fails(-ENODEV, "no 1-Wire device");
	put_slave(temperatures[0].bytes, "YES", temperatures[0].t);
	assert_reads();
	assert_value("temperature", 125, "°C");
}
END_TEST

START_TEST(a_conversion_has_its_time)
{
	put_slave(temperatures[1].bytes, "YES", temperatures[1].t);
	assert_reads();
	/* 750 ms each, one after another on parasite power: a dozen of them */
	ck_assert_int_ge(source->driver->limit_us, 12 * 750000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("w1");
	TCase *tests = tcase_create("w1");

	tcase_add_checked_fixture(tests, set_up, sysfs_tear_down);
	tcase_add_loop_test(tests, temperatures_are_read, 0, (int)ARRAY_SIZE(temperatures));
	tcase_add_loop_test(tests, what_is_no_measurement_fails, 0, (int)ARRAY_SIZE(failures));
	tcase_add_test(tests, a_sensor_that_does_not_answer);
	tcase_add_test(tests, a_ds18s20_counts_halves);
	tcase_add_test(tests, a_thermocouple_that_is_open);
	tcase_add_test(tests, the_number_alone_will_do);
	tcase_add_test(tests, the_bytes_are_preferred);
	tcase_add_test(tests, no_sensor_of_that_id);
	tcase_add_test(tests, a_device_that_is_no_thermometer);
	tcase_add_test(tests, a_sensor_that_comes_back);
	tcase_add_test(tests, a_conversion_has_its_time);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
