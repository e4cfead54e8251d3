/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The driver for chips by a table, with tables as the configuration has them: over a wire that
 * answers with fixed bytes and writes down what passes, and over the emulated chip, which is strict.
 */

#include <math.h>
#include <time.h>

#include "config-fixture.h"
#include "fixture.h"

#include "iotd/drivers.h"
#include "iotd/sim.h"

#define DATA_SIZE 8

/* --- A wire with a chip of fixed bytes ---------------------------------------------------------- */

struct wire {
	struct i2c_bus bus, *chips; /* @chips: the emulation, if it is to answer */
	uint8_t data[DATA_SIZE];    /* of every register */
	char log[512]; /* "w 01 60, r 00 2": what was written; which register, and how many bytes */
	int transfers, fail_at, error;
};

static struct wire wire;

static void wire_log(const struct i2c_transfer *transfers, size_t count)
{
	size_t length = strlen(wire.log);
	FILE *stream = fmemopen(wire.log + length, sizeof(wire.log) - length, "w");

	ck_assert_ptr_nonnull(stream);
	(void)fprintf(stream, "%s%s", length > 0 ? ", " : "", count == 2 ? "r" : "w");
	for (size_t i = 0; i < transfers[0].length; i++)
		(void)fprintf(stream, " %02x", transfers[0].data[i]);
	if (count == 2)
		(void)fprintf(stream, " %d", transfers[1].length);
	ck_assert_int_eq(fclose(stream), 0);
}

static int wire_transfer(struct i2c_bus *bus, uint16_t address, struct i2c_transfer *transfers,
			 size_t count)
{
	(void)bus;
	ck_assert_uint_eq(address, 0x48);
	if (!wire.chips)
		wire_log(transfers, count);
	if (++wire.transfers == wire.fail_at)
		return wire.error;
	if (wire.chips)
		return wire.chips->ops->transfer(wire.chips, address, transfers, count);
	if (count == 2) {
		ck_assert_uint_le(transfers[1].length, DATA_SIZE);
		memcpy(transfers[1].data, wire.data, transfers[1].length);
	}
	return 0;
}

static const struct i2c_ops wire_ops = { .transfer = wire_transfer };

/* --- A source as the configuration makes it ----------------------------------------------------- */

static struct i2c_device *device;
static struct source *source;
static struct sim_chip *chip;
static int64_t now_us;

static int64_t chip_clock_us(void)
{
	return now_us;
}

static char *sensor_text(const char *keys)
{
	char *text;

	ck_assert_int_ge(
		asprintf(&text,
			 "sensors = ( { name = \"a\"; driver = \"register\"; bus = \"i2c-1\"; "
			 "address = 0x48;\n%s } );",
			 keys),
		0);
	return text;
}

static void plug(const char *keys)
{
	char *text = sensor_text(keys);
	struct settings *settings = settings_of(text);

	if (wire.chips)
		sim_i2c_configure(wire.chips, 0x48, settings->sensors[0].driver,
				  settings->sensors[0].options);
	ck_assert_int_eq(
		source_new(&source, driver_find("register"), settings->sensors[0].options, device),
		0);
	settings_free(settings);
	free(text);
}

static void set_up(void)
{
	memset(&wire, 0, sizeof(wire));
	wire.bus.ops = &wire_ops;
	now_us = 1000000;
	ck_assert_int_eq(i2c_device_new(&device, &wire.bus, "/dev/i2c-1", 0x48), 0);
}

static void tear_down(void)
{
	source = source_free(source);
	device = i2c_device_free(device);
	wire.chips = i2c_bus_free(wire.chips);
}

/* the emulated chip answers, by a clock of its own */
static void emulate(const char *keys)
{
	ck_assert_int_eq(sim_i2c_new(&wire.chips), 0);
	ck_assert_int_eq(sim_i2c_add(wire.chips, "register", 0x48, &chip), 0);
	chip->now_us = chip_clock_us;
	plug(keys);
}

static int measure(double values[static CHANNELS_MAX])
{
	int64_t wait_us = -1;
	int r = source_open(source);

	if (r == 0)
		r = source->driver->start(source, &wait_us);
	if (r == 0) {
		ck_assert_int_ge(wait_us, 0);
		now_us += wait_us;
		r = source->driver->collect(source, values, &wait_us);
	}
	ck_assert_int_ne(r, -EAGAIN);
	return r;
}

/* --- From bytes to numbers ---------------------------------------------------------------------- */

static const struct {
	const char *keys;
	uint8_t data[DATA_SIZE];
	double number;
} conversions[] = {
	{ "", { 0x00 }, 0 },
	{ "", { 0xff }, 255 },
	{ "type = \"u8\";", { 0x80 }, 128 },
	{ "type = \"s8\";", { 0x80 }, -128 },
	{ "type = \"s8\";", { 0x7f }, 127 },
	{ "type = \"s8\";", { 0xff }, -1 },
	{ "type = \"u16be\";", { 0x12, 0x34 }, 4660 },
	{ "type = \"u16le\";", { 0x12, 0x34 }, 13330 },
	{ "type = \"u16be\";", { 0xff, 0xfe }, 65534 },
	{ "type = \"s16be\";", { 0xff, 0xfe }, -2 },
	{ "type = \"s16le\";", { 0xff, 0xfe }, -257 },
	{ "type = \"s16be\";", { 0x80, 0x00 }, -32768 },
	{ "type = \"u24be\";", { 0x01, 0x02, 0x03 }, 66051 },
	{ "type = \"u24le\";", { 0x01, 0x02, 0x03 }, 197121 },
	{ "type = \"u24be\";", { 0xff, 0xff, 0xff, 0xff }, 16777215 },
	{ "type = \"s24be\";", { 0xff, 0xff, 0xff }, -1 },
	{ "type = \"s24le\";", { 0x00, 0x00, 0x80 }, -8388608 },
	{ "type = \"s24be\";", { 0x7f, 0xff, 0xff }, 8388607 },
	{ "type = \"u32be\";", { 0xde, 0xad, 0xbe, 0xef }, 3735928559.0 },
	{ "type = \"u32le\";", { 0xde, 0xad, 0xbe, 0xef }, 4022250974.0 },
	{ "type = \"s32be\";", { 0xff, 0xff, 0xff, 0x9c }, -100 },
	{ "type = \"s32le\";", { 0x00, 0x00, 0x00, 0x80 }, -2147483648.0 },
	{ "type = \"u64be\";", { 0, 0, 0, 1, 0, 0, 0, 2 }, 4294967298.0 },
	{ "type = \"u64le\";", { 2, 0, 0, 0, 1, 0, 0, 0 }, 4294967298.0 },
	{ "type = \"u64be\";", { 0x80 }, 9223372036854775808.0 },
	{ "type = \"s64be\";", { 0x80 }, -9223372036854775808.0 },
	{ "type = \"s64be\";", { 255, 255, 255, 255, 255, 255, 255, 254 }, -2 },
	{ "type = \"s64le\";", { 254, 255, 255, 255, 255, 255, 255, 255 }, -2 },
	{ "type = \"f32be\";", { 0x41, 0xac, 0x00, 0x00 }, 21.5 },
	{ "type = \"f32le\";", { 0x00, 0x00, 0xac, 0x41 }, 21.5 },
	{ "type = \"f32be\";", { 0xc0, 0x00, 0x00, 0x00 }, -2 },
	{ "type = \"f64be\";", { 0x40, 0x35, 0x80 }, 21.5 },
	{ "type = \"f64le\";", { 0, 0, 0, 0, 0, 0x80, 0x35, 0xc0 }, -21.5 },
	/* bits of a word */
	{ "mask = 0x0f;", { 0xa5 }, 5 },
	{ "mask = 0xf0;", { 0xa5 }, 160 },
	{ "mask = 0xf0; shift = 4;", { 0xa5 }, 10 },
	{ "shift = 4;", { 0xa5 }, 10 },
	{ "mask = 0xfc; shift = 4;", { 0xff }, 15 },
	{ "mask = 0x80; shift = 7;", { 0x80 }, 1 },
	{ "type = \"u16le\"; mask = 0x0ff0; shift = 4;", { 0x45, 0x23 }, 0x34 },
	{ "type = \"u64be\"; shift = 63;", { 0x80 }, 1 },
	{ "type = \"u32be\"; mask = 0xffff0000L; shift = 16;", { 0xff, 0xfe, 1, 2 }, 65534 },
	{ "type = \"s8\"; mask = 0x0f;", { 0xf7 }, 7 },
	{ "type = \"s8\"; mask = 0x0f;", { 0x78 }, -8 },
	{ "type = \"s8\"; mask = 0x38; shift = 3;", { 0x20 }, -4 },
	{ "type = \"s16be\"; shift = 4;", { 0x80, 0x00 }, -2048 },
	{ "type = \"s16be\"; mask = 0xfff0;", { 0xff, 0xff }, -16 },
	{ "type = \"s8\"; mask = 0x01;", { 0xff }, -1 },
	/* and then */
	{ "type = \"u16be\"; scale = 0.5; offset = -40;", { 0x00, 0x65 }, 10.5 },
	{ "type = \"s8\"; scale = -2;", { 0xff }, 2 },
	/* STLM75 data sheet, Doc ID 13296 Rev 12, table 3: nine bits at the top of a word */
	{ "type = \"s16be\"; mask = 0xff80; shift = 7; scale = 0.5;", { 0x7d, 0x00 }, 125 },
	{ "type = \"s16be\"; mask = 0xff80; shift = 7; scale = 0.5;", { 0x00, 0x80 }, 0.5 },
	{ "type = \"s16be\"; mask = 0xff80; shift = 7; scale = 0.5;", { 0xff, 0x80 }, -0.5 },
	{ "type = \"s16be\"; mask = 0xff80; shift = 7; scale = 0.5;", { 0xc9, 0x7f }, -55 },
	/* TI TMP1075 data sheet, SBOS854F, table 7-1: twelve bits */
	{ "type = \"s16be\"; shift = 4; scale = 0.0625;", { 0x7f, 0xf0 }, 127.9375 },
	{ "type = \"s16be\"; shift = 4; scale = 0.0625;", { 0x19, 0x00 }, 25 },
	{ "type = \"s16be\"; shift = 4; scale = 0.0625;", { 0xff, 0xf0 }, -0.0625 },
	{ "type = \"s16be\"; shift = 4; scale = 0.0625;", { 0xce, 0x00 }, -50 },
};

START_TEST(bytes_become_the_number_that_the_table_says)
{
	double values[CHANNELS_MAX];
	char keys[256];

	(void)snprintf(keys, sizeof(keys), "registers = ( { channel = \"c\"; register = 0; %s } );",
		       conversions[_i].keys);
	plug(keys);
	memcpy(wire.data, conversions[_i].data, DATA_SIZE);
	ck_assert_int_eq(measure(values), 0);
	ck_assert_msg(values[0] == conversions[_i].number, "%s: %.17g is not %.17g",
		      conversions[_i].keys, values[0], conversions[_i].number);
}
END_TEST

static const struct {
	const char *type;
	uint8_t data[DATA_SIZE];
	const char *fault;
} no_numbers[] = {
	{ "f32be", { 0x7f, 0xc0 }, "c: register 0x1f holds nan" },
	{ "f32le", { 0, 0, 0x80, 0x7f }, "c: register 0x1f holds inf" },
	{ "f64be", { 0xff, 0xf0 }, "c: register 0x1f holds -inf" },
	{ "f64be", { 0x7f, 0xef, 0xff }, "c: register 0x1f holds 1.79747e+308" }, /* x scale */
};

START_TEST(what_is_no_number_is_a_failed_reading)
{
	double values[CHANNELS_MAX];
	char keys[256];

	(void)snprintf(keys, sizeof(keys),
		       "registers = ( { channel = \"c\"; register = 0x1f; type = \"%s\"; "
		       "scale = 10.0; } );",
		       no_numbers[_i].type);
	plug(keys);
	memcpy(wire.data, no_numbers[_i].data, DATA_SIZE);
	ck_assert_int_eq(measure(values), -EIO);
	ck_assert_msg(strncmp(source->fault, no_numbers[_i].fault, strlen(no_numbers[_i].fault)) ==
			      0,
		      "%s", source->fault);
}
END_TEST

START_TEST(channels_have_names_units_and_digits)
{
	plug("registers = ( { channel = \"level\"; register = 0; unit = \"mm\"; digits = 1; },"
	     "{ channel = \"flags\"; register = 1; } );");
	ck_assert_uint_eq(source->channel_count, 2);
	ck_assert_str_eq(source->channels[0].name, "level");
	ck_assert_str_eq(source->channels[0].unit, "mm");
	ck_assert_int_eq(source->channels[0].digits, 1);
	ck_assert_str_eq(source->channels[1].name, "flags");
	ck_assert_str_eq(source->channels[1].unit, "");
	ck_assert_int_eq(source->channels[1].digits, 6);
}
END_TEST

/* --- What goes over the wire -------------------------------------------------------------------- */

static const struct {
	const char *keys, *open, *start, *collect;
} talks[] = {
	{ "registers = ( { channel = \"c\"; register = 0x10; type = \"u24be\"; } );", "", "",
	  "r 10 3" },
	/* in the table's order; what is named twice with the same size is read once */
	{ "registers = ( { channel = \"a\"; register = 5; mask = 1; },"
	  "{ channel = \"b\"; register = 2; type = \"u16le\"; },"
	  "{ channel = \"c\"; register = 5; mask = 2; type = \"s8\"; },"
	  "{ channel = \"d\"; register = 2; type = \"s32be\"; },"
	  "{ channel = \"e\"; register = 6; } );",
	  "", "", "r 05 1, r 02 2, r 02 4, r 06 1" },
	{ "registers = ( { channel = \"c\"; register = 0x0130; }, { channel = \"d\"; register = 5; "
	  "} );"
	  "register_bits = 16; init = ( { register = 0x0201; value = 9; } );",
	  "w 02 01 09", "", "r 01 30 1, r 00 05 1" },
	{ "registers = ( { channel = \"c\"; register = 0; } );"
	  "init = ( { register = 1; value = 0x60; }, { register = 2; value = -2; type = \"s16be\"; "
	  "},"
	  "{ register = 3; value = 0x010203; type = \"u24le\"; }, { register = 4; bytes = [ 7, 0, "
	  "255 ]; },"
	  "{ register = 5; bytes = [ ]; }, { register = 6; value = 0; type = \"u32be\"; } );"
	  "start = ( { register = 0xf4; value = 0x2e; }, { register = 0xf5; bytes = [ ]; } );",
	  "w 01 60, w 02 ff fe, w 03 03 02 01, w 04 07 00 ff, w 05, w 06 00 00 00 00",
	  "w f4 2e, w f5", "r 00 1" },
	{ "registers = ( { channel = \"c\"; register = 0; } );"
	  "init = ( { register = 1; value = 1; type = \"u64le\"; },"
	  "{ register = 1; value = -1; type = \"s64be\"; } );",
	  "w 01 01 00 00 00 00 00 00 00, w 01 ff ff ff ff ff ff ff ff", "", "r 00 1" },
};

static void assert_log(const char *wanted)
{
	ck_assert_str_eq(wire.log, wanted);
	wire.log[0] = '\0';
}

START_TEST(each_byte_on_the_wire)
{
	double values[CHANNELS_MAX];
	int64_t wait_us = -1;

	plug(talks[_i].keys);
	ck_assert_int_eq(source_open(source), 0);
	assert_log(talks[_i].open);
	for (int reading = 0; reading < 2; reading++) {
		ck_assert_int_eq(source->driver->start(source, &wait_us), 0);
		ck_assert_int_eq(wait_us, 0);
		assert_log(talks[_i].start);
		ck_assert_int_eq(source->driver->collect(source, values, &wait_us), 0);
		assert_log(talks[_i].collect);
	}
}
END_TEST

START_TEST(bits_of_one_register_are_of_one_moment)
{
	double values[CHANNELS_MAX];

	plug("registers = ( { channel = \"low\"; register = 5; mask = 0x0f; },"
	     "{ channel = \"high\"; register = 5; mask = 0xf0; shift = 4; type = \"s8\"; } );");
	wire.data[0] = 0xe5;
	ck_assert_int_eq(measure(values), 0);
	ck_assert_double_eq(values[0], 5);
	ck_assert_double_eq(values[1], -2);
}
END_TEST

#define ALL_KEYS                                                                                   \
	"init = ( { register = 1; value = 0x60; wait = \"30ms\"; }, { register = 2; value = 3; } " \
	");"                                                                                       \
	"start = ( { register = 4; value = 1; } ); wait = \"250ms\";"                              \
	"registers = ( { channel = \"t\"; register = 0; type = \"s16be\"; unit = \"°C\"; "        \
	"scale = 0.125; }, { channel = \"u\"; register = 6; } );"

START_TEST(a_transfer_that_fails_ends_the_reading_with_its_errno)
{
	static const int errors[] = { -ENXIO, -EIO, -ETIMEDOUT, -EBUSY, -ENXIO };
	double values[CHANNELS_MAX];

	plug(ALL_KEYS);
	wire.fail_at = _i + 1;
	wire.error = errors[_i];
	ck_assert_int_eq(measure(values), errors[_i]);
	ck_assert_int_eq(wire.transfers, _i + 1);
	ck_assert_int_eq(source->is_open, _i >= 2); /* as init has two writes */
}
END_TEST

static int64_t clock_now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

START_TEST(waits_are_kept)
{
	int64_t before_us, wait_us = -1;

	plug(ALL_KEYS);
	before_us = clock_now_us();
	ck_assert_int_eq(source_open(source), 0);
	ck_assert_int_ge(clock_now_us() - before_us, 30000);
	ck_assert_int_eq(source->driver->start(source, &wait_us), 0);
	ck_assert_int_eq(wait_us, 250000);
}
END_TEST

/* --- Faults of the table ------------------------------------------------------------------------ */

#define ROW(keys)  "registers = ( { channel = \"c\"; register = 0; " keys " } );"
#define INIT(keys) "init = ( { " keys " } ); " ROW("")

static const struct {
	const char *keys, *fault; /* in line 2, of sensors[0] */
} refused[] = {
	{ "", NULL },
	{ "registers = ( );", "registers: must not be empty" },
	{ "registers = ( { register = 0; } );", "registers[0].channel: is missing" },
	{ "registers = ( { channel = \"c\"; } );", "registers[0].register: is missing" },
	{ "registers = ( { channel = \"c\"; register = 65536; } );",
	  "registers[0].register: 65536 is out of range (0 to 65535)" },
	{ "registers = ( { channel = \"c\"; register = 256; } );",
	  "registers[0].register: 0x100 needs register_bits = 16" },
	{ "registers = ( { channel = \"c\"; register = 0; }, { channel = \"d\"; register = 1; }, "
	  "{ channel = \"c\"; register = 2; } );",
	  "registers[2].channel: \"c\" is the channel of registers[0] already" },
	{ "registers = ( { channel = \"d\"; register = 0; }, { channel = \"time\"; register = 1; } "
	  ");",
	  "registers[1].channel: \"time\" is taken: a reading's own time has that key" },
	{ ROW("") " register_bits = 12;", "register_bits: 12 is not 8 or 16" },
	{ ROW("type = \"s24\";"), NULL },
	{ ROW("type = \"u8be\";"), NULL },
	{ ROW("mask = 0;"), "registers[0].mask: must not be 0: no bit would be left" },
	{ ROW("mask = 0x100;"), "registers[0].mask: 0x100 has more bits than type \"u8\"" },
	{ ROW("mask = -1;"),
	  "registers[0].mask: 0xffffffffffffffff has more bits than type \"u8\"" },
	{ ROW("mask = 0x5;"), "registers[0].mask: 0x5 has a gap: its bits must lie side by side" },
	{ ROW("type = \"u16be\"; mask = 0xf0ff;"),
	  "registers[0].mask: 0xf0ff has a gap: its bits must lie side by side" },
	{ ROW("shift = 8;"),
	  "registers[0].shift: 8 shifts all bits out: the highest of the type is bit 7" },
	{ ROW("shift = 3; mask = 0x07;"),
	  "registers[0].shift: 3 shifts all bits out: the highest of the mask is bit 2" },
	{ ROW("shift = 64;"), "registers[0].shift: 64 is out of range (0 to 63)" },
	{ ROW("type = \"f32be\"; mask = 1;"), "registers[0].mask: is not for type \"f32be\"" },
	{ ROW("type = \"f64le\"; shift = 1;"), "registers[0].shift: is not for type \"f64le\"" },
	{ ROW("scale = 0.0;"), "registers[0].scale: must not be 0" },
	{ ROW("digits = 10;"), "registers[0].digits: 10 is out of range (0 to 9)" },
	{ ROW("unit = \"0123456789abcdef\";"), "registers[0].unit: is longer than 15 bytes" },
	{ ROW("scal = 1.0;"), "registers[0].scal: unknown key (did you mean \"scale\"?)" },
	{ INIT("value = 1;"), "init[0].register: is missing" },
	{ INIT("register = 1;"),
	  "init[0]: has no value (bytes = [ ] writes the register's number alone)" },
	{ INIT("register = 1; value = 1; bytes = [ 1 ];"),
	  "init[0].bytes: stands beside value: only one can be" },
	{ INIT("register = 1; bytes = [ 1 ]; type = \"u8\";"),
	  "init[0].type: is that of value: bytes are written as they are" },
	{ INIT("register = 256; value = 1;"), "init[0].register: 0x100 needs register_bits = 16" },
	{ INIT("register = 1; value = 256;"),
	  "init[0].value: 256 does not fit type \"u8\" (0 to 255)" },
	{ INIT("register = 1; value = -1;"),
	  "init[0].value: -1 does not fit type \"u8\" (0 to 255)" },
	{ INIT("register = 1; value = 128; type = \"s8\";"),
	  "init[0].value: 128 does not fit type \"s8\" (-128 to 127)" },
	{ INIT("register = 1; value = -1; type = \"u64be\";"),
	  "init[0].value: -1 does not fit type \"u64be\" (0 to 9223372036854775807)" },
	{ INIT("register = 1; value = 1; type = \"f32be\";"), NULL },
	{ INIT("register = 1; bytes = [ 256 ];"),
	  "init[0].bytes[0]: 256 is out of range (0 to 255)" },
	{ INIT("register = 1; value = 1; wait = 2;"),
	  "init[0].wait: 2 is out of range (0s to 1s)" },
	{ "init = ( { register = 1; value = 1; wait = 0.6; }, "
	  "{ register = 1; value = 1; wait = 0.5; } ); " ROW(""),
	  "init: waits for more than 1s in all" },
	{ "start = ( { register = 256; value = 1; } ); " ROW(""),
	  "start[0].register: 0x100 needs register_bits = 16" },
	{ "start = ( { register = 1; value = 1; wait = 1; } ); " ROW(""),
	  "start[0].wait: unknown key" },
	{ ROW("") " wait = \"1s\";",
	  "wait: needs start: it is the time from there to the reading (a write of init has a wait "
	  "of its own)" },
	{ ROW("") " wait = \"61s\"; start = ( { register = 1; value = 1; } );",
	  "wait: \"61s\" is out of range (0s to 1m)" },
};

START_TEST(nonsense_is_refused_in_words_that_help)
{
	char *text = sensor_text(refused[_i].keys), *told, *wanted = NULL;

	text_write("t.conf", text);
	told = faults_text("t.conf", NULL);
	if (refused[_i].fault)
		ck_assert_int_ge(asprintf(&wanted, "t.conf:2: sensors[0].%s\n", refused[_i].fault),
				 0);
	if (wanted)
		ck_assert_str_eq(told, wanted);
	else
		ck_assert_str_ne(told, ""); /* a long list of words, or a missing key of line 1 */
	free(told);
	free(wanted);
	free(text);
}
END_TEST

START_TEST(a_type_without_its_byte_order_gets_one_suggested)
{
	char *text = sensor_text(ROW("type = \"u16\";")), *told;

	text_write("t.conf", text);
	told = faults_text("t.conf", NULL);
	ck_assert_msg(strstr(told, "\"f64be\" or \"f64le\" (did you mean \"u16be\"?)\n") != NULL,
		      "%s", told);
	free(told);
	free(text);
}
END_TEST

/* --- Over the emulated chip --------------------------------------------------------------------- */

START_TEST(the_emulated_chip_answers_by_its_table)
{
	double values[CHANNELS_MAX];

	emulate(ALL_KEYS);
	for (int i = 0; i < 100; i++, now_us += 7000000) {
		ck_assert_int_eq(measure(values), 0);
		ck_assert_double_ge(values[0], 18);
		ck_assert_double_le(values[0], 24);
		ck_assert_double_ge(values[1], 0);
		ck_assert_double_le(values[1], 255);
	}
}
END_TEST

START_TEST(the_emulated_chip_wants_its_wait)
{
	double values[CHANNELS_MAX];
	int64_t wait_us = -1;

	emulate(ALL_KEYS);
	ck_assert_int_eq(source_open(source), 0);
	ck_assert_int_eq(source->driver->start(source, &wait_us), 0);
	now_us += wait_us - 1;
	ck_assert_int_eq(source->driver->collect(source, values, &wait_us), -ENXIO);
	now_us += 1;
	ck_assert_int_eq(source->driver->collect(source, values, &wait_us), 0);
}
END_TEST

static int write_bytes(uint8_t reg, uint8_t value)
{
	return i2c_write_register(device, reg, value);
}

START_TEST(the_emulated_chip_wants_its_writes_in_their_order)
{
	double values[CHANNELS_MAX];
	uint8_t word[2];

	emulate(ALL_KEYS);
	ck_assert_int_eq(i2c_read_registers(device, 0, word, 2), -ENXIO);
	ck_assert_int_eq(i2c_read(device, word, 2), -ENXIO);
	ck_assert_int_eq(write_bytes(4, 1), -ENXIO); /* start before init */
	ck_assert_int_eq(write_bytes(2, 3), -ENXIO);
	ck_assert_int_eq(write_bytes(1, 0x61), -ENXIO);
	ck_assert_int_eq(write_bytes(1, 0x60), 0);
	ck_assert_int_eq(write_bytes(2, 3), 0);
	ck_assert_int_eq(i2c_read_registers(device, 0, word, 2), -ENXIO); /* not started */
	ck_assert_int_eq(measure(values), 0);
	ck_assert_int_eq(i2c_read_registers(device, 0, word, 2), 0);
	ck_assert_int_eq(i2c_read_registers(device, 0, word, 1), -ENXIO);
	ck_assert_int_eq(i2c_read_registers(device, 9, word, 1), -ENXIO);
}
END_TEST

START_TEST(a_driver_begins_anew_after_any_failure)
{
	double values[CHANNELS_MAX];

	emulate(ALL_KEYS);
	wire.fail_at = _i + 1;
	wire.error = -EIO;
	ck_assert_int_eq(measure(values), -EIO);
	source_close(source);
	ck_assert_int_eq(measure(values), 0);
}
END_TEST

START_TEST(the_emulated_chip_reads_back_what_was_written)
{
	double values[CHANNELS_MAX];

	emulate("init = ( { register = 1; value = 0x1234; type = \"u16le\"; } );"
		"registers = ( { channel = \"c\"; register = 1; type = \"u16le\"; } );");
	ck_assert_int_eq(measure(values), 0);
	ck_assert_double_eq(values[0], 0x1234);
}
END_TEST

static const char *const emulated[] = {
	"type = \"u8\";",
	"type = \"s8\";",
	"type = \"u16be\";",
	"type = \"s16le\";",
	"type = \"u24le\";",
	"type = \"s24be\";",
	"type = \"u32be\";",
	"type = \"s32le\";",
	"type = \"u64be\";",
	"type = \"s64le\";",
	"type = \"f32be\";",
	"type = \"f64le\";",
	"type = \"u16be\"; mask = 0x3ff0; shift = 4; scale = 0.25; offset = -50;",
	"type = \"s16be\"; mask = 0xffe0; shift = 5; scale = 0.125;",
	"type = \"s16be\"; mask = 0xffe0; scale = 0.00390625;",
	"type = \"f64be\"; scale = -0.5; offset = 100;",
};

/* 21 °C, a tenth up and down: from bytes that the emulation made, the driver has the same again */
START_TEST(the_emulated_chip_knows_each_type)
{
	double values[CHANNELS_MAX];
	char keys[256];

	(void)snprintf(keys, sizeof(keys),
		       "registers = ( { channel = \"c\"; register = 0; unit = \"°C\"; %s } );",
		       emulated[_i]);
	emulate(keys);
	ck_assert_int_eq(measure(values), 0);
	ck_assert_msg(values[0] >= 18 && values[0] <= 24, "%s: %g", emulated[_i], values[0]);
}
END_TEST

START_TEST(the_emulated_chip_tells_sizes_of_one_register_apart)
{
	double values[CHANNELS_MAX];

	emulate("registers = ( { channel = \"t\"; register = 0; unit = \"°C\"; },"
		"{ channel = \"p\"; register = 0; type = \"u16be\"; unit = \"hPa\"; } );");
	ck_assert_int_eq(measure(values), 0);
	ck_assert(values[0] >= 18 && values[0] <= 24);
	ck_assert(values[1] >= 900 && values[1] <= 1120);
}
END_TEST

static void configure_again(const char *keys)
{
	char *text = sensor_text(keys);
	struct settings *settings = settings_of(text);

	sim_i2c_configure(wire.chips, 0x48, driver_find("register"), settings->sensors[0].options);
	settings_free(settings);
	free(text);
}

START_TEST(a_reload_changes_the_emulated_chip_only_if_its_table_changed)
{
	double values[CHANNELS_MAX];
	uint8_t word[2];

	emulate(ALL_KEYS);
	ck_assert_int_eq(measure(values), 0);
	configure_again(ALL_KEYS);
	ck_assert_int_eq(i2c_read_registers(device, 0, word, 2), 0);
	configure_again(ALL_KEYS " interval = 5;");
	ck_assert_int_eq(i2c_read_registers(device, 0, word, 2), 0);
	configure_again("registers = ( { channel = \"c\"; register = 9; } );");
	ck_assert_int_eq(i2c_read_registers(device, 0, word, 2), -ENXIO);
	ck_assert_int_eq(i2c_read_registers(device, 9, word, 1), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("register");
	TCase *tests = tcase_create("register");

	tcase_add_unchecked_fixture(tests, folder_enter, folder_leave);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_loop_test(tests, bytes_become_the_number_that_the_table_says, 0,
			    (int)ARRAY_SIZE(conversions));
	tcase_add_loop_test(tests, what_is_no_number_is_a_failed_reading, 0,
			    (int)ARRAY_SIZE(no_numbers));
	tcase_add_test(tests, channels_have_names_units_and_digits);
	tcase_add_loop_test(tests, each_byte_on_the_wire, 0, (int)ARRAY_SIZE(talks));
	tcase_add_test(tests, bits_of_one_register_are_of_one_moment);
	tcase_add_loop_test(tests, a_transfer_that_fails_ends_the_reading_with_its_errno, 0, 5);
	tcase_add_test(tests, waits_are_kept);
	tcase_add_loop_test(tests, nonsense_is_refused_in_words_that_help, 0,
			    (int)ARRAY_SIZE(refused));
	tcase_add_test(tests, a_type_without_its_byte_order_gets_one_suggested);
	tcase_add_test(tests, the_emulated_chip_answers_by_its_table);
	tcase_add_test(tests, the_emulated_chip_wants_its_wait);
	tcase_add_test(tests, the_emulated_chip_wants_its_writes_in_their_order);
	tcase_add_loop_test(tests, a_driver_begins_anew_after_any_failure, 0, 5);
	tcase_add_test(tests, the_emulated_chip_reads_back_what_was_written);
	tcase_add_loop_test(tests, the_emulated_chip_knows_each_type, 0, (int)ARRAY_SIZE(emulated));
	tcase_add_test(tests, the_emulated_chip_tells_sizes_of_one_register_apart);
	tcase_add_test(tests, a_reload_changes_the_emulated_chip_only_if_its_table_changed);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
