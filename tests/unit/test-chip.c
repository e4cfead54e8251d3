/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* chip.h, on emulated chips; and whether the kits of the emulation complain about what is forbidden. */

#include <check.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "chip-fixture.h"

#include "iotd/chip.h"
#include "iotd/drivers.h"
#include "sim/kit.h"

/* --- Bytes ------------------------------------------------------------------------------------- */

START_TEST(bytes_become_numbers)
{
	static const uint8_t bytes[] = { 0x81, 0x02, 0xf3 };

	ck_assert_uint_eq(be16(bytes), 0x8102);
	ck_assert_uint_eq(le16(bytes), 0x0281);
	ck_assert_int_eq(be16_signed(bytes), -32510);
	ck_assert_int_eq(le16_signed(bytes + 1), -3326);
	ck_assert_uint_eq(be24(bytes), 0x8102f3);
	ck_assert_uint_eq(le24(bytes), 0xf30281);
	ck_assert_uint_eq(be20(bytes), 0x8102f);
}
END_TEST

static const struct {
	uint32_t value;
	int bits;
	int32_t expected;
} signs[] = {
	{ 0x7ff, 12, 2047 },	    { 0x800, 12, -2048 },
	{ 0xfff, 12, -1 },	    { 0xf0ff, 8, -1 },
	{ 0x1000, 13, -4096 },	    { 1, 1, -1 },
	{ 0xfffff, 20, -1 },	    { 0x7ffff, 20, 524287 },
	{ 0x800000, 24, -8388608 }, { 0x40000000, 31, -1073741824 },
};

START_TEST(signs_are_extended)
{
	ck_assert_int_eq(sign_extend(signs[_i].value, signs[_i].bits), signs[_i].expected);
}
END_TEST

/* SHT3x data sheet 4.12; HTU21D data sheet, "CRC-8 checksum using the I2C protocol" */
START_TEST(checksums_of_data_sheets)
{
	ck_assert_uint_eq(crc8((const uint8_t[]){ 0xbe, 0xef }, 2, 0x31, 0xff), 0x92);
	ck_assert_uint_eq(crc8((const uint8_t[]){ 0xdc }, 1, 0x31, 0x00), 0x79);
	ck_assert_uint_eq(crc8((const uint8_t[]){ 0x68, 0x3a }, 2, 0x31, 0x00), 0x7c);
	ck_assert_uint_eq(crc8((const uint8_t[]){ 0x4e, 0x85 }, 2, 0x31, 0x00), 0x6b);
}
END_TEST

/* --- Registers and words ------------------------------------------------------------------------ */

START_TEST(registers_have_two_bytes)
{
	uint16_t value = 0;

	plug("mcp9808", "mcp9808", 0);
	ck_assert_int_eq(chip_write_be16(source, 0x02, 0x0194), 0);
	ck_assert_int_eq(chip_read_be16(source, 0x02, &value), 0);
	ck_assert_uint_eq(value, 0x0194);
	ck_assert_int_eq(chip_read_le16(source, 0x02, &value), 0);
	ck_assert_uint_eq(value, 0x9401);
	ck_assert_int_eq(chip_write_le16(source, 0x02, 0x9001), 0);
	ck_assert_int_eq(chip_read_be16(source, 0x02, &value), 0);
	ck_assert_uint_eq(value, 0x0190);
	ck_assert_str_eq(chip->complaint, "");
}
END_TEST

START_TEST(a_register_that_cannot_be_read_changes_nothing)
{
	uint16_t value = 1234;

	plug("mcp9808", "mcp9808", 0);
	chip->fault = -EIO;
	ck_assert_int_eq(chip_read_be16(source, 0x02, &value), -EIO);
	ck_assert_int_eq(chip_read_le16(source, 0x02, &value), -EIO);
	ck_assert_uint_eq(value, 1234);
}
END_TEST

START_TEST(a_wrong_checksum_changes_nothing)
{
	uint16_t words[] = { 1, 2, 3 };

	plug("scd4x", "scd4x", 0);
	script("ec05", "01f433 6667a2 5eb93d");
	ck_assert_int_eq(chip_query_words(source, 0xec05, 1000, words, 3), -EIO);
	ck_assert_ptr_nonnull(strstr(source->fault, "checksum"));
	ck_assert_uint_eq(words[0], 1);
}
END_TEST

START_TEST(settings_are_written_in_their_order_until_one_fails)
{
	static const struct chip_setting settings[] = { { 0xf2, 0x01 },
							{ 0xf4, 0x24 },
							{ 0xf5, 0xa0 } };

	plug("bme280", "bme280", 0);
	ck_assert_int_eq(chip_write_settings(source, settings, 3), 0);
	ck_assert_int_eq(meddler.written_count, 3);
	for (int i = 0; i < 3; i++) {
		ck_assert_uint_eq(meddler.written[i][0], settings[i].reg);
		ck_assert_uint_eq(meddler.written[i][1], settings[i].value);
	}
	meddler.fail_at = meddler.transfers + 2;
	meddler.error = -EIO;
	ck_assert_int_eq(chip_write_settings(source, settings, 3), -EIO);
	ck_assert_int_eq(meddler.written_count, 4);
}
END_TEST

START_TEST(settings_that_are_gone_are_told)
{
	plug("mcp9808", "mcp9808", 0);
	ck_assert_int_eq(chip_write_be16(source, 0x02, 0x0194), 0);
	ck_assert_int_eq(chip_keeps_be16(source, 0x02, 0xffff, 0x0194), 0);
	ck_assert_int_eq(chip_keeps_be16(source, 0x02, 0xff00, 0x0100), 0);
	ck_assert_str_eq(source->fault, "");
	ck_assert_int_eq(chip_keeps_be16(source, 0x02, 0x00ff, 0x0095), -EIO);
	ck_assert_ptr_nonnull(strstr(source->fault, "lost its settings"));
	source->fault[0] = '\0';
	ck_assert_int_eq(chip_keeps(source, 0x02, 0xf0, 0x00), 0);
	ck_assert_int_eq(chip_keeps(source, 0x02, 0xff, 0x00), -EIO);
	ck_assert_ptr_nonnull(strstr(source->fault, "lost its settings"));
	chip->fault = -ENXIO;
	ck_assert_int_eq(chip_keeps(source, 0x02, 0xff, 0x01), -ENXIO);
	ck_assert_int_eq(chip_keeps_be16(source, 0x02, 0xffff, 0x0194), -ENXIO);
}
END_TEST

/* of a chip that is asked while it measures for 15.5 ms */
START_TEST(a_busy_chip_is_found_by_the_second_try)
{
	int64_t began_us;

	plug("sht3x", "sht3x", 0);
	ck_assert_int_eq(chip_command(source, 0x2400), 0);
	began_us = now_us;
	ck_assert_int_eq(chip_find(source, 0x3093, 35000), 0);
	ck_assert_int_ge(now_us, began_us + 35000);
	began_us = now_us + 1000;
	now_us += 1000;
	ck_assert_int_eq(chip_find(source, 0x3093, 35000), 0);
	ck_assert_int_lt(now_us, began_us + 35000); /* no busy one waits */
	chip->fault = -ENXIO;
	ck_assert_int_eq(chip_find(source, 0x3093, 35000), -ENXIO);
	ck_assert_ptr_nonnull(strstr(source->fault, "no device answered at 0x44"));
}
END_TEST

/* --- Options ------------------------------------------------------------------------------------- */

static const struct {
	const char *driver, *option, *value;
	size_t choice;
} choices[] = {
	{ "sht3x", "repeatability", "low", 0 },
	{ "sht3x", "repeatability", "high", 2 },
	{ "tsl2591", "gain", "9876", 3 },
	{ "veml7700", "gain", "0.25", 1 },
	{ "ltr390", "integration_time", "12.5ms", 0 },
	{ "ltr390", "integration_time", "400ms", 5 },
	{ "bmp388", "oversampling", "32", 5 },
	{ "bmp388", "oversampling", "3", 0 }, /* none */
};

START_TEST(a_choice_has_a_place)
{
	const struct driver *driver = driver_find(choices[_i].driver);
	size_t at = 0;

	while (strcmp(driver->options[at].name, choices[_i].option) != 0)
		at++;
	set_option(choices[_i].option, choices[_i].value);
	plug(choices[_i].driver, choices[_i].driver, 0);
	ck_assert_uint_eq(chip_choice(source, at), choices[_i].choice);
}
END_TEST

static const struct driver_option word_option = { "words", OPTION_STRINGS, CHOICES("a", "b") };
static const struct driver_option number_option = { "numbers", OPTION_INTEGERS, CHOICES("7") };

START_TEST(what_is_no_choice_is_said_to_be_none)
{
	char b[] = "b", c[] = "c";

	ck_assert_int_eq(option_choice(&word_option, &(struct option_value){ .string = b }), 1);
	ck_assert_int_eq(option_choice(&word_option, &(struct option_value){ .string = c }), -1);
	ck_assert_int_eq(option_choice(&word_option, &(struct option_value){ .string = NULL }), -1);
	ck_assert_int_eq(option_choice(&number_option, &(struct option_value){ .integer = 7 }), 0);
	ck_assert_int_eq(option_choice(&number_option, &(struct option_value){ .integer = 8 }), -1);
}
END_TEST

/* --- Waiting ------------------------------------------------------------------------------------- */

START_TEST(a_pause_is_as_long_as_asked)
{
	now_us = 0;
	chip_pause(1);
	ck_assert_int_eq(now_us, 1);
	chip_pause(CHIP_PAUSE_MAX_US);
	ck_assert_int_eq(now_us, 1 + CHIP_PAUSE_MAX_US);
}
END_TEST

START_TEST(converting_has_an_end)
{
	int64_t wait_us = 0;

	plug("sht3x", "sht3x", 0);
	for (int again = 0; again < 2; again++) { /* each reading has its own */
		ck_assert_int_eq(measure_start(&wait_us), 0);
		for (int i = 0; i < 3; i++) {
			ck_assert_int_eq(chip_converting(source, 3, 2000, &wait_us), -EAGAIN);
			ck_assert_int_eq(wait_us, 2000);
		}
		now_us += 20000;
	}
	ck_assert_int_eq(chip_converting(source, 3, 2000, &wait_us), -ETIMEDOUT);
	ck_assert_ptr_nonnull(strstr(source->fault, "does not end its measurement"));
}
END_TEST

/* --- Words for people ---------------------------------------------------------------------------- */

#define ABSENT "no device answered at "

static const struct {
	const char *driver;
	uint16_t address, others[3]; /* where it is not, and where one is */
	const char *words;
} absences[] = {
	{ "scd4x", 0x62, { 0 }, ABSENT "0x62 on /dev/i2c-1: is it connected, does it have power?" },
	{ "sht3x", 0x44, { 0 }, ABSENT "0x44 on /dev/i2c-1: is it connected, does it have power?" },
	{ "bme280",
	  0x76,
	  { 0x77 },
	  ABSENT "0x76 on /dev/i2c-1; 0x77 answers: is the address pin high?" },
	{ "bme280",
	  0x77,
	  { 0x76 },
	  ABSENT "0x77 on /dev/i2c-1; 0x76 answers: is the address pin low?" },
	{ "sht3x",
	  0x44,
	  { 0x45 },
	  ABSENT "0x44 on /dev/i2c-1; 0x45 answers: is the address pin high?" },
	{ "mcp9808",
	  0x1f,
	  { 0x1a },
	  ABSENT "0x1f on /dev/i2c-1; 0x1a answers: is that its address?" },
	{ "mcp9808",
	  0x18,
	  { 0x1b, 0x19 },
	  ABSENT "0x18 on /dev/i2c-1; 0x19 and 0x1b answer: is it one of these?" },
	{ "mcp9808",
	  0x1f,
	  { 0x1b, 0x19, 0x18 },
	  ABSENT "0x1f on /dev/i2c-1; 0x18, 0x19 and 0x1b answer: is it one of these?" },
};

static int64_t now(void)
{
	return now_us;
}

START_TEST(who_is_absent_may_be_elsewhere)
{
	struct sim_chip *other;

	plug(absences[_i].driver, absences[_i].driver, absences[_i].address);
	sim_i2c_remove(meddler.inner, absences[_i].address);
	for (size_t i = 0; i < ARRAY_SIZE(absences[_i].others) && absences[_i].others[i]; i++) {
		ck_assert_int_eq(sim_i2c_add(meddler.inner, absences[_i].driver,
					     absences[_i].others[i], &other),
				 0);
		sim_chip_restart(other, now);
	}
	ck_assert_int_eq(chip_absent(source, -ENXIO), -ENXIO);
	ck_assert_str_eq(source->fault, absences[_i].words);
}
END_TEST

START_TEST(who_is_used_by_another_sensor_is_not_asked)
{
	struct i2c_device *other;
	int transfers;

	plug("bme280", "bme280", 0x76);
	sim_i2c_remove(meddler.inner, 0x76);
	ck_assert_int_eq(sim_i2c_add(meddler.inner, "bme280", 0x77, NULL), 0);
	ck_assert_int_eq(i2c_device_new(&other, &meddler.bus, "/dev/i2c-1", 0x77), 0);
	transfers = meddler.transfers;
	ck_assert_int_eq(chip_absent(source, -ENXIO), -ENXIO);
	ck_assert_int_eq(meddler.transfers, transfers);
	ck_assert_str_eq(source->fault,
			 ABSENT "0x76 on /dev/i2c-1: is it connected, does it have power?");
	i2c_device_free(other); /* a reload takes it away */
	ck_assert_int_eq(chip_absent(source, -ENXIO), -ENXIO);
	ck_assert_ptr_nonnull(strstr(source->fault, "0x77 answers"));
}
END_TEST

START_TEST(other_errors_say_nothing_of_absence)
{
	plug("sht3x", "sht3x", 0);
	ck_assert_int_eq(chip_absent(source, -ETIMEDOUT), -ETIMEDOUT);
	ck_assert_int_eq(chip_absent(source, 0), 0);
	ck_assert_str_eq(source->fault, "");
}
END_TEST

START_TEST(an_8_bit_id_is_compared)
{
	plug("bme280", "bme280", 0);
	ck_assert_int_eq(chip_identify(source, 0xd0, 0x60, "BME280"), 0);
	ck_assert_int_eq(chip_identify(source, 0xd0, 0x50, "BMP388"), -ENODEV);
	ck_assert_str_eq(source->fault, "chip id 0x60 at 0x76 on /dev/i2c-1 is no BMP388");
	chip->fault = -ENXIO;
	ck_assert_int_eq(chip_identify(source, 0xd0, 0x60, "BME280"), -ENXIO);
	ck_assert_ptr_nonnull(strstr(source->fault, "no device answered at 0x76"));
}
END_TEST

START_TEST(plausible_is_what_the_chip_can_measure)
{
	static const struct chip_range ranges[] = { { -40, 125 }, { 0, 100 } };

	plug("sht3x", "sht3x", 0);
	ck_assert_int_eq(chip_plausible(source, (const double[]){ -40, 100 }, ranges), 0);
	ck_assert_int_eq(chip_plausible(source, (const double[]){ 125, (double)NAN }, ranges), 0);
	ck_assert_int_eq(chip_plausible(source, (const double[]){ 20, 100.5 }, ranges), -EIO);
	ck_assert_str_eq(source->fault, "humidity of 100.5 %: a bad chip or a disturbed bus");
	ck_assert_int_eq(chip_plausible(source, (const double[]){ -40.5, 50 }, ranges), -EIO);
	ck_assert_str_eq(source->fault, "temperature of -40.5 °C: a bad chip or a disturbed bus");
}
END_TEST

/* --- The kits ------------------------------------------------------------------------------------- */

static const struct {
	const char *chip;
	uint8_t bytes[6];
	size_t length;
	int result;
	const char *complaint;
} forbidden[] = {
	{ "mcp9808", { 0x09, 0, 0 }, 3, 0, "there is no register 0x09" },
	{ "mcp9808", { 0x01, 0x08, 0 }, 3, 0, "0x0800 to register 0x01 changes reserved bits" },
	{ "mcp9808", { 0x06, 0x00, 0x55 }, 3, 0, "0x0055 to register 0x06 changes reserved bits" },
	{ "mcp9808", { 0x01, 0x00 }, 2, 0, "1 bytes into a register of 2" },
	{ "mcp9808", { 0x08, 0x00, 0x03 }, 3, 0, "2 bytes into a register of 1" },
	{ "scd4x", { 0x21, 0xb2 }, 2, -ENXIO, "there is no command 0x21b2" },
	{ "scd4x", { 0x21 }, 1, -ENXIO, "there is no command 0x21" },
	{ "scd4x", { 0x24, 0x27 }, 2, -ENXIO, "0 bytes behind command 0x2427, not 3" },
	{ "scd4x",
	  { 0x24, 0x27, 0x07, 0x9e, 0x08 },
	  5,
	  -ENXIO,
	  "wrong checksum behind word 0x079e" },
	{ "scd4x", { 0x24, 0x27, 0x07, 0x9e, 0x09 }, 5, 0, "" }, /* SCD4x data sheet 3.6.3 */
};

START_TEST(an_emulated_chip_complains)
{
	plug(forbidden[_i].chip, forbidden[_i].chip, 0);
	ck_assert_int_eq(i2c_write(device, forbidden[_i].bytes, forbidden[_i].length),
			 forbidden[_i].result);
	ck_assert_str_eq(chip->complaint, forbidden[_i].complaint);
}
END_TEST

START_TEST(a_command_while_another_is_carried_out_is_refused)
{
	static const uint8_t stop[] = { 0x3f, 0x86 };

	plug("scd4x", "scd4x", 0);
	ck_assert_int_eq(i2c_write(device, stop, 2), 0);
	now_us += 499000;
	ck_assert_int_eq(i2c_write(device, stop, 2), -ENXIO);
	ck_assert_str_eq(chip->complaint, "command 0x3f86 while another is carried out");
	now_us += 1000;
	ck_assert_int_eq(i2c_write(device, stop, 2), 0);
}
END_TEST

START_TEST(words_are_read_once)
{
	static const uint8_t status[] = { 0xf3, 0x2d };
	uint8_t bytes[3];

	plug("sht3x", "sht3x", 0);
	ck_assert_int_eq(i2c_read(device, bytes, 3), -ENXIO);
	ck_assert_int_eq(i2c_write(device, status, 2), 0);
	ck_assert_int_eq(i2c_read(device, bytes, 3), -ENXIO); /* it takes 1 ms */
	now_us += 1000;
	ck_assert_int_eq(i2c_read(device, bytes, 3), 0);
	ck_assert_uint_eq(bytes[0], 0x80);
	ck_assert_uint_eq(bytes[1], 0x10);
	ck_assert_int_eq(i2c_read(device, bytes, 3), -ENXIO);
	ck_assert_str_eq(chip->complaint, "");
}
END_TEST

/* --- A kit's chip of 8-bit registers, and one whose low byte comes first ---------------------- */

static struct sim_registers kit;

static uint8_t without_command_bit(struct sim_registers *sim, uint8_t byte)
{
	(void)sim;
	return byte & 0x7f;
}

static void count_up(struct sim_registers *sim, uint8_t reg)
{
	if (reg == 0x03)
		sim->values[reg]++;
}

static void start_it(struct sim_registers *sim, uint8_t reg, uint16_t value)
{
	if (reg == 0x01 && value & 0x80)
		sim->values[0x02] = 0x77;
}

static int absent_while_faulty(struct sim_registers *sim)
{
	return sim->chip.fault;
}

static const struct sim_register kit_registers[] = {
	{ 0x01, 0x40, 0x0f, 0x30, 0 },
	{ 0x02, 0x00, 0x00, 0x00, 0 },
	{ 0x03, 0x00, 0x00, 0xff, 0 },
};

static const struct sim_register_map kit_map = {
	.width = SIM_8,
	.registers = kit_registers,
	.count = ARRAY_SIZE(kit_registers),
	.advance = absent_while_faulty,
	.select = without_command_bit,
	.written = start_it,
	.reading = count_up,
};

static void kit_write(const char *digits, int result)
{
	uint8_t bytes[8];
	size_t length = strlen(digits) / 2;

	for (size_t i = 0; i < length; i++)
		bytes[i] =
			(uint8_t)strtoul((char[]){ digits[2 * i], digits[2 * i + 1], 0 }, NULL, 16);
	ck_assert_int_eq(sim_registers_write(&kit.chip, bytes, length), result);
}

START_TEST(registers_of_a_byte_count_up)
{
	uint8_t bytes[3];

	memset(&kit, 0, sizeof(kit));
	sim_registers_reset(&kit, &kit_map);
	kit_write("81", 0); /* the command bit */
	ck_assert_int_eq(sim_registers_read(&kit.chip, bytes, 3), 0);
	ck_assert_mem_eq(bytes, ((const uint8_t[]){ 0x40, 0x00, 0x01 }), 3);
	kit_write("018b", 0);
	ck_assert_uint_eq(kit.values[1], 0x4b); /* the writable bits only */
	ck_assert_uint_eq(kit.values[2], 0x77); /* started by a bit that does not stay */
	ck_assert_str_eq(kit.chip.complaint, "");
	kit_write("0110", 0);
	ck_assert_str_eq(kit.chip.complaint, "0x0010 to register 0x01 changes reserved bits");
	kit.chip.fault = -ENXIO;
	kit_write("01", -ENXIO);
	ck_assert_int_eq(sim_registers_read(&kit.chip, bytes, 3), -ENXIO);
}
END_TEST

START_TEST(the_low_byte_may_come_first)
{
	static const struct sim_register registers[] = { { 0x05, 0x1234, 0xffff, 0, 0 } };
	static const struct sim_register_map map = {
		SIM_LE16, registers, 1, NULL, NULL, NULL, NULL
	};
	uint8_t bytes[2];

	memset(&kit, 0, sizeof(kit));
	sim_registers_reset(&kit, &map);
	kit_write("05", 0);
	ck_assert_int_eq(sim_registers_read(&kit.chip, bytes, 2), 0);
	ck_assert_uint_eq(le16(bytes), 0x1234);
	kit_write("057856", 0);
	ck_assert_uint_eq(kit.values[5], 0x5678);
	ck_assert_str_eq(kit.chip.complaint, "");
}
END_TEST

int main(void)
{
	TCase *tests = chip_tests("chip");

	tcase_add_test(tests, bytes_become_numbers);
	tcase_add_loop_test(tests, signs_are_extended, 0, (int)ARRAY_SIZE(signs));
	tcase_add_test(tests, checksums_of_data_sheets);
	tcase_add_test(tests, registers_have_two_bytes);
	tcase_add_test(tests, a_register_that_cannot_be_read_changes_nothing);
	tcase_add_test(tests, a_wrong_checksum_changes_nothing);
	tcase_add_test(tests, settings_are_written_in_their_order_until_one_fails);
	tcase_add_test(tests, settings_that_are_gone_are_told);
	tcase_add_test(tests, a_busy_chip_is_found_by_the_second_try);
	tcase_add_loop_test(tests, a_choice_has_a_place, 0, (int)ARRAY_SIZE(choices));
	tcase_add_test(tests, what_is_no_choice_is_said_to_be_none);
	tcase_add_test(tests, a_pause_is_as_long_as_asked);
	tcase_add_test(tests, converting_has_an_end);
	tcase_add_loop_test(tests, who_is_absent_may_be_elsewhere, 0, (int)ARRAY_SIZE(absences));
	tcase_add_test(tests, who_is_used_by_another_sensor_is_not_asked);
	tcase_add_test(tests, other_errors_say_nothing_of_absence);
	tcase_add_test(tests, an_8_bit_id_is_compared);
	tcase_add_test(tests, plausible_is_what_the_chip_can_measure);
	tcase_add_loop_test(tests, an_emulated_chip_complains, 0, (int)ARRAY_SIZE(forbidden));
	tcase_add_test(tests, a_command_while_another_is_carried_out_is_refused);
	tcase_add_test(tests, words_are_read_once);
	tcase_add_test(tests, registers_of_a_byte_count_up);
	tcase_add_test(tests, the_low_byte_may_come_first);
	return chip_run_tests();
}
