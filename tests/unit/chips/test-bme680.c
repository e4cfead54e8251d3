/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* BME680, BME688: numbers of Bosch's own arithmetic, and what the tests of every chip do not know. "DS" as in the driver. */

#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "chip-fixture.h"
#include "fixture.h"

/* from 0x8a, 0xe1 and 0x00 on: a chip of the tests of github.com/pimoroni/bme680-python, and one of other signs */
#define REAL_1	   "65670300418fedd658008e1c7fff2e1e000097f3b5f61e"
#define REAL_2	   "40542a002d14789cb9654e9fe212"
#define REAL_3	   "3000100000"
#define OPPOSITE_1 "9767fb00c088d4d7ba007cfcca00e8e2000004028d0dc8"
#define OPPOSITE_2 "3ef631fbe2ec5a3c5b6620d114ee"
#define OPPOSITE_3 "ec002000d0"

#define REAL                                                                                       \
	{ "8a", REAL_1 }, { "e1", REAL_2 },                                                        \
	{                                                                                          \
		"00", REAL_3                                                                       \
	}
#define OPPOSITE                                                                                   \
	{ "8a", OPPOSITE_1 }, { "e1", OPPOSITE_2 },                                                \
	{                                                                                          \
		"00", OPPOSITE_3                                                                   \
	}

/* what Bosch's BME68x_SensorAPI makes with BME68X_USE_FPU (in doubles) of 17 bytes from 0x1d on */
static const struct chip_example examples[] = {
	{ { REAL, { "1d", "8000564cd07a5f804a4b00000080370000" } },
	  { 26.69312, 42.40972, 987.16926, 63004.032 },
	  0.001 },
	{ { REAL, { "1d", "8000564cd07a5f804a4b00000000300000" } },
	  { 26.69312, 42.40972, 987.16926, 12946859.903 },
	  0.001 },
	{ { REAL, { "1d", "8000493e005091003a980000004b350000" } },
	  { -27.33891, 17.47715, 985.16152, 295482.315 },
	  0.001 },
	{ { REAL, { "1d", "800061a800668a006590000000fffa0000" } },
	  { 1.05516, 85.76710, 869.37003, 5652.599 },
	  0.001 },
	{ { REAL, { "1d", "80006ddd009c40007530000000af3d0000" } },
	  { 70.50009, 100, 881.58964, 855.347 },
	  0.001 },
	{ { REAL, { "1d", "8000564cd07a5f80232800000019340000" } },
	  { 26.69312, 0, 987.16926, 721261.497 },
	  0.001 },
	{ { REAL, { "1d", "8000564cd08000004a4b00000080370000" } },
	  { 33.96799, 43.26911, 998.98926, 63004.032 },
	  0.001 },
	{ { REAL, { "1d", "80008000007a5f804a4b00000080370000" } },
	  { 26.69312, 42.40972, 695.13051, 63004.032 },
	  0.001 },
	{ { OPPOSITE, { "1d", "8000564cd07a5f804a4b00000000300000" } },
	  { 25.91411, 26.63509, 1399.88339, 13038130.381 },
	  0.001 },
	{ { OPPOSITE, { "1d", "8000493e005091003a980000004b350000" } },
	  { -28.22131, 9.50490, 1403.12769, 296119.932 },
	  0.001 },
	{ { OPPOSITE, { "1d", "800061a800668a006590000000fffa0000" } },
	  { 0.23773, 65.77576, 1241.81148, 5634.963 },
	  0.001 },
	{ { OPPOSITE, { "1d", "80006ddd009c40007530000000af3d0000" } },
	  { 69.74225, 73.15102, 1279.07446, 854.146 },
	  0.001 },
};

START_TEST(examples_of_the_data_sheet)
{
	assert_example("bme680", &examples[_i]);
}
END_TEST

/* the integer arithmetic of the same chip, as published with its calibration: 26.69, 42.402, 98712 */
START_TEST(a_chip_that_exists)
{
	static const struct chip_example example = {
		{ REAL, { "1d", "8000564cd07a5f804a4b00000000300000" } },
		{ 26.69, 42.402, 987.12, 12946860 },
		0.1
	};

	assert_example("bme680", &example);
}
END_TEST

/* of 200, in each range */
static const double ohms_680[] = {
	10428015.564, 5214007.782, 2607003.891, 1303501.946, 651099.873, 324605.350,
	162937.743,   82327.383,   40775.211,	20367.218,   10189.807,	 5099.582,
	2545.902,     1276.866,	   636.476,	318.238,
};
static const double ohms_688[] = {
	82956962.025, 41478481.013, 20739240.506, 10369620.253, 5184810.127, 2592405.063,
	1296202.532,  648101.266,   324050.633,	  162025.316,	81012.658,   40506.329,
	20253.165,    10126.582,    5063.291,	  2531.646,
};

START_TEST(each_range_of_the_gas)
{
	double values[CHANNELS_MAX];
	char field[64];

	plug("bme680", "bme680", 0);
	(void)snprintf(field, sizeof(field), "8000564cd07a5f804a4b000000323%x0000", (unsigned)_i);
	script("1d", field);
	ck_assert_int_eq(measure(values), 0);
	ck_assert_double_eq_tol(values[3], ohms_680[_i], 0.001);

	chip_tear_down();
	chip_set_up();
	plug("bme688", "bme688", 0);
	(void)snprintf(field, sizeof(field), "8000564cd07a5f804a4b0000000000323%x", (unsigned)_i);
	script("1d", field);
	ck_assert_int_eq(measure(values), 0);
	ck_assert_double_eq_tol(values[3], ohms_688[_i], 0.001);
}
END_TEST

START_TEST(either_name_works_with_either_chip)
{
	plug("bme680", "bme688", 0);
	assert_measures();
	chip_tear_down();
	chip_set_up();
	plug("bme688", "bme680", 0);
	assert_measures();
}
END_TEST

/* --- The gas that is none ------------------------------------------------------------------------- */

/* bits of 0x2b: valid and stable; what the other chip has there is of no matter */
static const struct {
	const char *model, *field;
	bool has_gas;
} flags[] = {
	{ "bme680", "8000564cd07a5f804a4b00000080270000", false },
	{ "bme680", "8000564cd07a5f804a4b00000080170000", false },
	{ "bme680", "8000564cd07a5f804a4b00000080070000", false },
	{ "bme680", "8000564cd07a5f804a4b00000080078037", false },
	{ "bme680", "8000564cd07a5f804a4b00000080378007", true },
	{ "bme688", "8000564cd07a5f804a4b00000000008027", false },
	{ "bme688", "8000564cd07a5f804a4b00000000008017", false },
	{ "bme688", "8000564cd07a5f804a4b00000080378007", false },
	{ "bme688", "8000564cd07a5f804a4b00000080078037", true },
};

START_TEST(gas_of_a_cold_heater_is_none)
{
	double values[CHANNELS_MAX];

	plug("bme680", flags[_i].model, 0);
	script("1d", flags[_i].field);
	ck_assert_int_eq(measure(values), 0);
	ck_assert_double_eq_tol(values[0], 26.69312, 0.001);
	ck_assert_double_eq_tol(values[1], 42.40972, 0.001);
	ck_assert_double_eq_tol(values[2], 987.16926, 0.001);
	ck_assert_int_eq(isnan(values[3]), !flags[_i].has_gas);
}
END_TEST

/* --- The heater ----------------------------------------------------------------------------------- */

/* RES_HEAT as by calc_res_heat() of the API, GAS_WAIT as by calc_gas_wait() and DS 3.2.1 (100 ms: 0x59) */
static const struct {
	const char *temperature, *duration_us;
	uint8_t res_heat, gas_wait;
} heaters[] = {
	{ "200", "30000", 79, 0x1e },	 { "300", "100000", 102, 0x59 },
	{ "320", "150000", 106, 0x65 },	 { "400", "4032000", 125, 0xff },
	{ "400", "63000", 125, 0x3f },	 { "320", "64000", 106, 0x50 },
	{ "320", "1000000", 106, 0xbe }, { "320", "1024000", 106, 0xd0 },
};

START_TEST(the_heater_is_set)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;

	set_option("heater_temperature", heaters[_i].temperature);
	set_option("heater_duration", heaters[_i].duration_us);
	plug("bme680", "bme680", 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_uint_eq(meddler.written[0][0], 0xe0);
	ck_assert_uint_eq(meddler.written[1][0], 0x5a);
	ck_assert_uint_eq(meddler.written[1][1], heaters[_i].res_heat);
	ck_assert_uint_eq(meddler.written[2][0], 0x64);
	ck_assert_uint_eq(meddler.written[2][1], heaters[_i].gas_wait);
	now_us += wait_us;
	ck_assert_int_eq(source->driver->collect(source, values, &wait_us), 0);
	ck_assert(is_weather(values));
}
END_TEST

START_TEST(the_heater_of_a_chip_of_other_signs)
{
	double values[CHANNELS_MAX];

	set_option("heater_temperature", "320");
	plug("bme680", "bme680", 0);
	script("8a", OPPOSITE_1);
	script("e1", OPPOSITE_2);
	script("00", OPPOSITE_3);
	ck_assert_int_eq(measure(values), 0);
	ck_assert_uint_eq(meddler.written[1][1], 114);
}
END_TEST

START_TEST(gas_is_begun_as_the_chip_wants_it)
{
	plug("bme680", _i ? "bme688" : "bme680", 0);
	assert_measures();
	ck_assert_uint_eq(meddler.written[3][0], 0x71);
	ck_assert_uint_eq(meddler.written[3][1], _i ? 0x20 : 0x10);
}
END_TEST

/* --- What goes wrong ------------------------------------------------------------------------------ */

START_TEST(too_early_is_not_yet)
{
	double values[CHANNELS_MAX];
	int64_t wait_us;

	plug("bme680", "bme680", 0);
	ck_assert_int_eq(measure_start(&wait_us), 0);
	ck_assert_int_ge(wait_us, 43000 + 148000 - 1000);
	now_us += wait_us - 30000;
	ck_assert_int_eq(source->driver->collect(source, values, &wait_us), -EAGAIN);
	ck_assert_int_eq(measure_finish(wait_us, values), 0);
	ck_assert(is_weather(values));
}
END_TEST

/* new data of before, and a measurement under way; no new data; DS 5.3.5 */
static const char *const statuses[] = { "a0", "c0", "e0", "00" };

START_TEST(what_is_under_way_is_waited_for)
{
	plug("bme680", "bme680", 0);
	script("1d", statuses[_i]);
	assert_fails(-ETIMEDOUT, "does not end its measurement");
}
END_TEST

START_TEST(each_reading_has_its_own_patience)
{
	double values[CHANNELS_MAX];
	int64_t wait_us, again_us;

	plug("bme680", "bme680", 0);
	for (int reading = 0; reading < 3; reading++) {
		ck_assert_int_eq(measure_start(&wait_us), 0);
		for (int i = 0; i < 8; i++)
			ck_assert_int_eq(source->driver->collect(source, values, &again_us),
					 -EAGAIN);
		ck_assert_int_eq(measure_finish(wait_us, values), 0);
	}
}
END_TEST

START_TEST(another_chip_is_left_alone)
{
	plug("bme680", "bme680", 0);
	spoil(0xd0, 0x60);
	assert_fails(-ENODEV, "chip id 0x60 at 0x76 on /dev/i2c-1 is no BME680 or BME688");
	ck_assert_int_eq(meddler.written_count, 0);
}
END_TEST

START_TEST(a_blank_calibration_is_noticed)
{
	static const uint8_t words[] = { 0xe9, 0x8e };

	plug("bme680", "bme680", 0);
	spoil(words[_i / 2], _i % 2 ? 0xff : 0x00);
	spoil((uint8_t)(words[_i / 2] + 1), _i % 2 ? 0xff : 0x00);
	assert_fails(-EIO, "calibration is blank");
}
END_TEST

START_TEST(a_chip_that_did_not_measure)
{
	plug("bme680", "bme680", 0);
	script("1d", "8000 800000 800000 8000 000000 8037 0000");
	assert_fails(-EIO, "did not measure");
}
END_TEST

static const struct {
	uint8_t reg, value;
} lost[] = { { 0x71, 0x00 }, { 0x71, 0x20 }, { 0x72, 0x00 }, { 0x74, 0x00 } };

START_TEST(lost_settings_are_noticed)
{
	plug("bme680", "bme680", 0);
	assert_measures();
	spoil(lost[_i].reg, lost[_i].value);
	assert_fails(-EIO, "lost its settings");
}
END_TEST

static const char *const nonsense[] = {
	"8000 564cd0 000000 4a4b 000000 8037 0000", /* -132 °C */
	"8000 564cd0 fffff0 4a4b 000000 8037 0000",
	"8000 fffff0 7a5f80 4a4b 000000 8037 0000", /* less than a vacuum */
};

START_TEST(nonsense_is_no_reading)
{
	plug("bme680", "bme680", 0);
	script("1d", nonsense[_i]);
	assert_fails(-EIO, "a bad chip or a disturbed bus");
}
END_TEST

/* p1 of 1, of which p2 takes a little away: where the API's divisor is 0 (it makes 0 Pa of that) */
START_TEST(a_calibration_that_makes_no_pressure)
{
	plug("bme680", "bme680", 0);
	script("1d", "8000564cd07a5f804a4b00000080370000");
	spoil(0x8e, 0x01);
	spoil(0x8f, 0x00);
	spoil(0x90, 0x00);
	spoil(0x91, 0x80);
	spoil(0x92, 0x00);
	assert_fails(-EIO, "pressure of -0.01 hPa");
}
END_TEST

static Suite *suite(void)
{
	Suite *suite = suite_create("bme680");
	TCase *works = tcase_create("works"), *fails = tcase_create("fails");

	tcase_add_checked_fixture(works, chip_set_up, chip_tear_down);
	tcase_add_loop_test(works, examples_of_the_data_sheet, 0, (int)ARRAY_SIZE(examples));
	tcase_add_test(works, a_chip_that_exists);
	tcase_add_loop_test(works, each_range_of_the_gas, 0, 16);
	tcase_add_test(works, either_name_works_with_either_chip);
	tcase_add_loop_test(works, gas_of_a_cold_heater_is_none, 0, (int)ARRAY_SIZE(flags));
	tcase_add_loop_test(works, the_heater_is_set, 0, (int)ARRAY_SIZE(heaters));
	tcase_add_test(works, the_heater_of_a_chip_of_other_signs);
	tcase_add_loop_test(works, gas_is_begun_as_the_chip_wants_it, 0, 2);
	suite_add_tcase(suite, works);

	tcase_add_checked_fixture(fails, chip_set_up, chip_tear_down);
	tcase_add_test(fails, too_early_is_not_yet);
	tcase_add_loop_test(fails, what_is_under_way_is_waited_for, 0, (int)ARRAY_SIZE(statuses));
	tcase_add_test(fails, each_reading_has_its_own_patience);
	tcase_add_test(fails, another_chip_is_left_alone);
	tcase_add_loop_test(fails, a_blank_calibration_is_noticed, 0, 4);
	tcase_add_test(fails, a_chip_that_did_not_measure);
	tcase_add_loop_test(fails, lost_settings_are_noticed, 0, (int)ARRAY_SIZE(lost));
	tcase_add_loop_test(fails, nonsense_is_no_reading, 0, (int)ARRAY_SIZE(nonsense));
	tcase_add_test(fails, a_calibration_that_makes_no_pressure);
	suite_add_tcase(suite, fails);
	return suite;
}

int main(void)
{
	return suite_run(suite());
}
