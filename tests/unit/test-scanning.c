/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A scan while iotd runs: what it finds on emulated buses, whom it leaves alone, and what it does
 * about a bus that hangs, a reload and an end in the middle.
 */
#include <check.h>
#include <errno.h>
#include <string.h>

#include "config-fixture.h"
#include "fixture.h"
#include "reactor-fixture.h"

#include "daemon/scanning.h"
#include "iotd/bus.h"
#include "iotd/sim.h"

#define CONFIGURED                                                                                 \
	"mqtt = { broker = \"mqtt://localhost\"; };"                                               \
	"i2c = ( { bus = \"i2c-1\"; path = \"/dev/i2c-1\"; },"                                     \
	"        { bus = \"roof\"; path = \"/dev/i2c-7\"; } );"                                    \
	"sensors = ( { name = \"bme280\"; driver = \"bme280\"; bus = \"i2c-1\"; address = 0x76; "  \
	"},"                                                                                       \
	"            { name = \"off\"; driver = \"sht3x\"; bus = \"i2c-1\"; address = 0x45;"       \
	"              enabled = false; } );"

static struct settings *settings;
static struct hardware *hardware;
static struct scanning *scanning;

/* --- what goes over the buses ---------------------------------------------------------------- */

static const struct i2c_ops *sim_ops;

static struct {
	atomic_uint addresses;	 /* how many were asked so far */
	atomic_uint asked[0x80]; /* transfers with each */
	atomic_uint last;
	atomic_uint hangs_at; /* with -ETIMEDOUT; 0: nowhere */
	atomic_bool blocks;   /* there, as long as both are so */
	atomic_bool is_busy;
} wire;

static int watched_transfer(struct i2c_bus *bus, uint16_t address, struct i2c_transfer *transfers,
			    size_t count)
{
	int r;

	if (atomic_exchange(&wire.last, address) != address)
		atomic_fetch_add(&wire.addresses, 1);
	atomic_fetch_add(&wire.asked[address], 1);
	while (address == atomic_load(&wire.hangs_at)) {
		if (!atomic_load(&wire.blocks))
			return -ETIMEDOUT;
		(void)usleep(1000);
	}
	atomic_store(&wire.is_busy, true);
	r = sim_ops->transfer(bus, address, transfers, count);
	atomic_store(&wire.is_busy, false);
	return r;
}

static void watched_free(struct i2c_bus *bus)
{
	sim_ops->free(bus);
}

static const struct i2c_ops watched_ops = { .transfer = watched_transfer, .free = watched_free };

/* @driver: NULL: only look on */
static void plug(const char *path, const char *driver, uint16_t address)
{
	struct lent_bus lent;

	ck_assert_int_eq(hardware_lend_bus(hardware, path, &lent), 0);
	if (driver)
		ck_assert_int_eq(sim_i2c_add(lent.i2c, driver, address, NULL), 0);
	if (lent.i2c->ops != &watched_ops)
		sim_ops = lent.i2c->ops;
	lent.i2c->ops = &watched_ops;
	hardware_return_bus(&lent);
}

static struct settings *load(const char *text)
{
	struct settings *loaded;
	char *faults;

	text_write("t.conf", text);
	faults = faults_text("t.conf", &loaded);
	ck_assert_str_eq(faults, "");
	free(faults);
	return loaded;
}

static void set_up_with(const char *text, int64_t patience_us)
{
	struct scanning_parts parts = { .settings = &settings, .patience_us = patience_us };

	memset(&wire, 0, sizeof(wire));
	settings = load(text);
	ck_assert_int_eq(reactor_new(&reactor), 0);
	ck_assert_int_eq(workers_new(&workers, reactor, "work", 4), 0);
	ck_assert_int_eq(hardware_new(&hardware, workers, workers, settings, true), 0);
	parts.reactor = reactor;
	parts.workers = workers;
	parts.hardware = hardware;
	ck_assert_int_eq(scanning_new(&scanning, &parts), 0);
}

static void set_up(void)
{
	folder_enter();
	set_up_with(CONFIGURED, SCANNING_PATIENCE_US);
	plug("/dev/i2c-1", "sht3x", 0x45);
	plug("/dev/i2c-1", "bme280", 0x77);
	plug("/dev/i2c-7", "tmp102", 0x48);
}

static void take_down(void)
{
	scanning = scanning_free(scanning);
	atomic_store(&wire.blocks, false);
	ck_assert_int_eq(workers_free(workers, 20 * USEC_PER_SEC), 0);
	hardware = hardware_free(hardware);
	reactor = reactor_free(reactor);
	settings = settings_free(settings);
}

static void tear_down(void)
{
	take_down();
	folder_leave();
	(void)snprintf(folder, sizeof(folder), "/tmp/iotd-test-config-XXXXXX");
}

/* --- who asks ------------------------------------------------------------------------------- */

struct asker {
	struct scan_wish wish;
	int answers, error;
	char text[4096];
};

static void tell(struct scan_wish *wish, int error, const char *text, const char *found)
{
	struct asker *asker = container_of(wish, struct asker, wish);

	asker->answers++;
	asker->error = error;
	ck_assert((error < 0) == (text != NULL));
	ck_assert((error < 0) == (found == NULL));
	(void)snprintf(asker->text, sizeof(asker->text), "%s", text ? text : found);
}

static void ask(struct asker *asker, const char *bus)
{
	*asker = (struct asker){ .wish = { .bus = bus, .done = tell } };
	scanning_ask(scanning, &asker->wish);
}

static const char *scan(const char *bus)
{
	static struct asker asker;

	ask(&asker, bus);
	run_until(asker.answers > 0);
	ck_assert_int_eq(asker.answers, 1);
	ck_assert_msg(asker.error == 0, "%s", asker.text);
	return asker.text;
}

static void expect_refusal(const char *bus, int error, const char *words)
{
	struct asker asker;

	ask(&asker, bus);
	run_until(asker.answers > 0);
	ck_assert_int_eq(asker.error, error);
	ck_assert_msg(strstr(asker.text, words), "%s", asker.text);
}

#define FOUND_ON_1 "\t# i2c-1, 0x76: sensor \"bme280\" reads it\n"
#define SURE_ON_1                                                                                  \
	"\t{ name = \"sht3x\"; driver = \"sht3x\"; bus = \"i2c-1\"; address = 0x45; },\n"          \
	"\t{ name = \"bme280-2\"; driver = \"bme280\"; bus = \"i2c-1\"; address = 0x77; }\n"

/* --- what is found -------------------------------------------------------------------------- */

static const char *const names[] = { "i2c-1", "1", "/dev/i2c-1" };

START_TEST(a_bus_is_scanned_but_for_its_sensors)
{
	ck_assert_str_eq(scan(names[_i]), "sensors = (\n" FOUND_ON_1 SURE_ON_1 ");\n");
	ck_assert_uint_eq(atomic_load(&wire.asked[0x76]), 0);
	ck_assert_uint_gt(atomic_load(&wire.asked[0x77]), 0);
}
END_TEST

START_TEST(all_buses_are_scanned_under_their_names)
{
	const char *found = scan("");

	ck_assert_ptr_nonnull(strstr(found, FOUND_ON_1));
	ck_assert_ptr_nonnull(strstr(found, SURE_ON_1));
	ck_assert_ptr_nonnull(strstr(found, "\t# roof, 0x48: perhaps one of these"));
	ck_assert_ptr_nonnull(strstr(found, "driver = \"tmp102\"; bus = \"roof\""));
	ck_assert_ptr_nonnull(strstr(scan("roof"), "bus = \"roof\""));
	ck_assert_ptr_nonnull(strstr(scan("i2c-7"), "bus = \"roof\""));
	ck_assert_ptr_null(strstr(scan("i2c-7"), "i2c-1"));
}
END_TEST

START_TEST(what_is_no_bus_is_refused)
{
	expect_refusal("spi0.0", -EINVAL, "no I2C bus");
	expect_refusal("i2c-", -EINVAL, "no I2C bus");
	expect_refusal("i2c-3", -EIO, "there is no emulated bus i2c-3");
	ck_assert_str_eq(scan("1"), "sensors = (\n" FOUND_ON_1 SURE_ON_1 ");\n"); /* it goes on */
}
END_TEST

START_TEST(where_there_is_no_bus_that_is_told)
{
	take_down();
	set_up_with("mqtt = { broker = \"mqtt://localhost\"; };", SCANNING_PATIENCE_US);
	expect_refusal("", -ENOENT, "no I2C bus is configured");
}
END_TEST

START_TEST(others_wait_for_the_same_or_are_refused)
{
	struct asker one, same, other, all;

	ask(&one, "i2c-1");
	ask(&same, "/dev/i2c-1");
	ask(&other, "i2c-7");
	ask(&all, "");
	ck_assert_int_eq(other.error, -EBUSY);
	ck_assert_int_eq(all.error, -EBUSY);
	ck_assert_ptr_nonnull(strstr(other.text, "another scan is under way"));
	ck_assert_int_eq(one.answers + same.answers, 0);
	run_until(one.answers + same.answers == 2);
	ck_assert_str_eq(one.text, "sensors = (\n" FOUND_ON_1 SURE_ON_1 ");\n");
	ck_assert_str_eq(same.text, one.text);
	ck_assert_uint_eq(atomic_load(&wire.asked[0x08]), 1);
}
END_TEST

/* --- beside the bus's sensors --------------------------------------------------------------- */

struct sensor_read {
	struct worker_job job;
	unsigned int addresses; /* that were asked when it fell due; when it was served */
	unsigned int served;
	bool is_alone;
};

static int read_sensor(struct worker_job *job)
{
	struct sensor_read *sensor = container_of(job, struct sensor_read, job);

	sensor->served = atomic_load(&wire.addresses);
	(void)usleep(100);
	sensor->is_alone =
		!atomic_load(&wire.is_busy) && atomic_load(&wire.addresses) == sensor->served;
	return 0;
}

START_TEST(a_sensor_waits_for_one_address_at_most)
{
	struct sensor_read sensor = { .job.run = read_sensor };
	struct lent_bus lent;
	struct asker asker;
	int reads = 0;

	ck_assert_int_eq(hardware_lend_bus(hardware, "/dev/i2c-1", &lent), 0);
	ask(&asker, "i2c-1");
	while (asker.answers == 0) {
		sensor.addresses = atomic_load(&wire.addresses);
		ck_assert_int_eq(worker_run(lent.key, &sensor.job), 0);
		do
			run_turn();
		while (!worker_job_is_idle(&sensor.job));
		ck_assert_uint_le(sensor.served, sensor.addresses + 1);
		ck_assert(sensor.is_alone);
		reads++;
	}
	ck_assert_int_gt(reads, 50);
	hardware_return_bus(&lent);
}
END_TEST

/* --- a bus that hangs ----------------------------------------------------------------------- */

START_TEST(a_bus_that_hangs_at_once_is_an_error)
{
	atomic_store(&wire.hangs_at, 0x08);
	expect_refusal("i2c-1", -EIO, "/dev/i2c-1 hangs at address 0x08");
	ck_assert_uint_eq(atomic_load(&wire.asked[0x09]), 0);
}
END_TEST

START_TEST(a_bus_that_hangs_later_keeps_what_was_found)
{
	atomic_store(&wire.hangs_at, 0x77);
	ck_assert_str_eq(scan("i2c-1"),
			 "sensors = (\n" FOUND_ON_1 "\t# i2c-1: /dev/i2c-1 hangs at address 0x77: "
			 "does a chip hold a line low, are pull-ups missing?\n"
			 "\t{ name = \"sht3x\"; driver = \"sht3x\"; bus = \"i2c-1\"; address = "
			 "0x45; }\n);\n");
}
END_TEST

START_TEST(one_that_hangs_does_not_hide_the_others)
{
	const char *found;

	atomic_store(&wire.hangs_at, 0x47); /* on both */
	found = scan("");
	ck_assert_ptr_nonnull(strstr(found, "\t# i2c-1: /dev/i2c-1 hangs at address 0x47"));
	ck_assert_ptr_nonnull(strstr(found, "\t# roof: /dev/i2c-7 hangs at address 0x47"));
	ck_assert_ptr_nonnull(strstr(found, "driver = \"sht3x\""));
}
END_TEST

START_TEST(a_job_that_never_ends_is_left_and_not_begun_again)
{
	struct asker asker;

	take_down();
	set_up_with(CONFIGURED, 2 * USEC_PER_SEC); /* the others are answered by then */
	plug("/dev/i2c-1", NULL, 0);
	atomic_store(&wire.hangs_at, 0x10);
	atomic_store(&wire.blocks, true);
	expect_refusal("i2c-1", -EIO, "/dev/i2c-1 hangs at address 0x10: there is no answer");
	for (int i = 0; i < 3; i++)
		expect_refusal("i2c-1", -EIO, "/dev/i2c-1 still hangs since the last scan");
	ck_assert_ptr_nonnull(strstr(scan(""), "# i2c-1: /dev/i2c-1 still hangs"));
	ck_assert_uint_eq(atomic_load(&wire.asked[0x10]), 1);
	atomic_store(&wire.hangs_at, 0);
	for (asker.answers = 0; asker.answers == 0;) { /* until it is back */
		ask(&asker, "i2c-1");
		run_until(asker.answers > 0);
		if (asker.error < 0)
			asker.answers = 0;
	}
}
END_TEST

/* --- reload and end ------------------------------------------------------------------------- */

START_TEST(a_reload_while_it_scans_is_survived)
{
	struct settings *fresh, *old;
	struct asker asker;

	atomic_store(&wire.hangs_at, 0x20);
	atomic_store(&wire.blocks, true);
	ask(&asker, "i2c-1");
	run_until(atomic_load(&wire.asked[0x20]) > 0);
	fresh = load("mqtt = { broker = \"mqtt://localhost\"; };");
	old = settings;
	settings = fresh;
	ck_assert_int_eq(hardware_update(hardware, old, fresh), 0); /* the bus is removed */
	settings_free(old);
	atomic_store(&wire.hangs_at, 0); /* it answers again */
	run_until(asker.answers > 0);
	ck_assert_msg(strstr(asker.text, "driver = \"sht3x\""), "%s", asker.text);
	expect_refusal("i2c-1", -EIO, "there is no emulated bus");
}
END_TEST

START_TEST(a_sensor_that_a_reload_adds_is_left_alone)
{
	struct settings *fresh, *old;
	struct asker asker;

	atomic_store(&wire.hangs_at, 0x20);
	atomic_store(&wire.blocks, true);
	ask(&asker, "roof");
	run_until(atomic_load(&wire.asked[0x20]) > 0);
	fresh = load("mqtt = { broker = \"mqtt://localhost\"; };"
		     "i2c = ( { bus = \"roof\"; path = \"/dev/i2c-7\"; } );"
		     "sensors = ( { name = \"late\"; driver = \"tmp102\"; bus = \"roof\"; "
		     "address = 0x48; } );");
	old = settings;
	settings = fresh;
	ck_assert_int_eq(hardware_update(hardware, old, fresh), 0); /* this bus stays */
	settings_free(old);
	atomic_store(&wire.hangs_at, 0);
	run_until(asker.answers > 0);
	ck_assert_str_eq(asker.text, "sensors = (\n\t# roof, 0x48: sensor \"late\" reads it\n);\n");
}
END_TEST

START_TEST(an_end_while_it_scans_is_told)
{
	struct asker asker, late;

	atomic_store(&wire.hangs_at, 0x20);
	atomic_store(&wire.blocks, true);
	ask(&asker, "i2c-1");
	run_until(atomic_load(&wire.asked[0x20]) > 0);
	scanning_stop(scanning);
	ck_assert_int_eq(asker.answers, 1);
	ck_assert_int_eq(asker.error, -ECANCELED);
	ask(&late, "i2c-1");
	ck_assert_int_eq(late.error, -ECANCELED);
	ck_assert_uint_eq(atomic_load(&wire.asked[0x21]), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("scanning");
	TCase *cases = tcase_create("scanning");

	tcase_add_checked_fixture(cases, set_up, tear_down);
	tcase_set_timeout(cases, 60);
	tcase_add_loop_test(cases, a_bus_is_scanned_but_for_its_sensors, 0, ARRAY_SIZE(names));
	tcase_add_test(cases, all_buses_are_scanned_under_their_names);
	tcase_add_test(cases, what_is_no_bus_is_refused);
	tcase_add_test(cases, where_there_is_no_bus_that_is_told);
	tcase_add_test(cases, others_wait_for_the_same_or_are_refused);
	tcase_add_test(cases, a_sensor_waits_for_one_address_at_most);
	tcase_add_test(cases, a_bus_that_hangs_at_once_is_an_error);
	tcase_add_test(cases, a_bus_that_hangs_later_keeps_what_was_found);
	tcase_add_test(cases, one_that_hangs_does_not_hide_the_others);
	tcase_add_test(cases, a_job_that_never_ends_is_left_and_not_begun_again);
	tcase_add_test(cases, a_reload_while_it_scans_is_survived);
	tcase_add_test(cases, a_sensor_that_a_reload_adds_is_left_alone);
	tcase_add_test(cases, an_end_while_it_scans_is_told);
	suite_add_tcase(suite, cases);
	return suite_run(suite);
}
