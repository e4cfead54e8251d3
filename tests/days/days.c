/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Days in virtual time, from seeds: see days.h.
 *
 * A run is some lives of the daemon on one spool file. Each but the last ends by a clean stop or as by
 * SIGKILL: then nothing runs any more, and the next life finds what the file has. The whole daemon is
 * the real one, built by daemon_new() from a configuration file; what the linker replaces is listed
 * in meson.build.
 *
 * A broken promise ends the program with the seed and how to run it again; so do a crash, a
 * sanitizer's finding, and a run that hangs.
 */
#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "days.h"
#include "iotd/config.h"
#include "iotd/spool.h"
#include "iotd/task.h"

#define START_US    (1000 * USEC_PER_SEC)
#define REAL_US	    (1700000000LL * USEC_PER_SEC)
#define HANGS_S	    60 /* of real time, without one more run or hour */
#define MEMORY_MOST (24U << 20)
#define LEAK_MOST   (256U << 10)

struct world world;
static const char *program;
static int64_t last_hour_us;

/* set by the sanitizers' runtime where there is one */
extern void set_death_callback(void (*callback)(void)) __asm__("__sanitizer_set_death_callback")
	__attribute__((weak));

/* --- dice ----------------------------------------------------------------------------------- */

uint64_t dice_next(struct dice *dice)
{
	uint64_t z = dice->state += 0x9e3779b97f4a7c15U;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
	return z ^ (z >> 31);
}

int64_t dice_between(struct dice *dice, int64_t least, int64_t most)
{
	assert(most >= least);
	return least + (int64_t)(dice_next(dice) % (uint64_t)(most - least + 1));
}

bool dice_chance(struct dice *dice, int permille)
{
	return dice_between(dice, 0, 999) < permille;
}

void days_text(char *text, size_t size, const void *bytes, size_t length)
{
	if (length > size - 1)
		length = size - 1;
	memcpy(text, bytes, length);
	text[length] = '\0';
}

/* --- telling -------------------------------------------------------------------------------- */

int64_t days_now(void)
{
	return atomic_load(&world.now_us);
}

int64_t days_real(void)
{
	return days_now() + atomic_load(&world.real_offset_us);
}

/* made before a run, for a signal handler may not */
static char again[256];

static void say_again(void)
{
	(void)!write(STDERR_FILENO, again, strlen(again));
}

static void remove_files(void)
{
	static const char *const tails[] = { "", "-wal", "-journal", "-shm" };
	char path[128];

	for (size_t i = 0; i < ARRAY_SIZE(tails); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", world.spool, tails[i]);
		(void)unlink(path);
	}
	(void)unlink(world.config);
}

static void remove_folder(void)
{
	remove_files();
	(void)rmdir(world.folder);
}

void days_fail(const char *format, ...)
{
	int64_t at_us = days_now() - START_US;
	va_list arguments;

	va_start(arguments, format);
	(void)fflush(stdout);
	(void)fprintf(stderr, "seed %" PRIu64 ", life %d, %lld.%06lld s: ", world.seed, world.life,
		      at_us / USEC_PER_SEC, at_us % USEC_PER_SEC);
	(void)vfprintf(stderr, format, arguments);
	(void)fprintf(stderr, "\n");
	va_end(arguments);
	say_again();
	remove_folder();
	_exit(1);
}

void days_trace(const char *format, ...)
{
	int64_t at_us = days_now() - START_US;
	va_list arguments;

	if (!world.traces)
		return;
	va_start(arguments, format);
	(void)printf("%lld.%06lld ", at_us / USEC_PER_SEC, at_us % USEC_PER_SEC);
	(void)vprintf(format, arguments);
	(void)printf("\n");
	va_end(arguments);
}

void days_digest(const void *data, size_t length)
{
	const unsigned char *bytes = data;
	int64_t now_us = days_now();

	world.digest = (world.digest ^ (uint64_t)now_us) * 1099511628211U;
	for (size_t i = 0; i < length; i++)
		world.digest = (world.digest ^ bytes[i]) * 1099511628211U;
}

static void died(int number)
{
	const char *text = number == SIGALRM ? "it hangs" : "it crashed";

	(void)!write(STDERR_FILENO, text, strlen(text));
	(void)!write(STDERR_FILENO, "; ", 2);
	say_again();
	(void)signal(number, SIG_DFL);
	(void)raise(number);
}

/* --- the configuration ---------------------------------------------------------------------- */

static void write_sensors(FILE *file, int variant)
{
	for (int i = 0; i < SENSORS; i++) {
		(void)fprintf(file, "%s{ name = \"s%d\"; interval = \"%lldms\"; enabled = %s; ",
			      i > 0 ? ",\n" : "", i,
			      (long long)(hardware_configured(i) / USEC_PER_MSEC),
			      i == SENSOR_FREED && (variant & 1) ? "false" : "true");
		if (hardware_bus(i) < BUSES)
			(void)fprintf(file, "driver = \"bme280\"; bus = \"i2c-%d\"; address = %d; ",
				      hardware_bus(i), 0x76 + i % 2);
		else
			(void)fprintf(file,
				      "driver = \"file\"; path = \"/none\"; channel = \"%s\"; ",
				      CHANNEL);
		(void)fprintf(file, "%s = { max = 1e9;%s }; }", CHANNEL,
			      i == SENSOR_DEADBAND ? " deadband = 2.5; max_age = \"20s\";" : "");
	}
}

void days_write_config(int variant)
{
	char outputs[2048];
	FILE *file = fopen(world.config, "we");

	if (!file)
		days_fail("%s cannot be written", world.config);
	world.is_config_bad = variant < 0;
	outputs_config(outputs, sizeof(outputs));
	(void)fprintf(file,
		      "device = \"days\";\nmqtt = { broker = \"mqtt://broker\"; topic = \"%s\";"
		      " qos = %d; format = \"%s\"; keepalive = \"%ds\"; expiry = \"%lldms\"; };\n",
		      TOPIC, world.qos, world.is_value_format ? "value" : "json",
		      variant & 2 ? 31 : 30, (long long)(world.expiry_us / USEC_PER_MSEC));
	(void)fprintf(file,
		      "spool = { path = \"%s\"; max_size = \"%s\"; };\nstats = { interval = "
		      "\"%ds\"; };\nsensors = (",
		      world.has_file ? world.spool : "", world.is_small ? "8K" : "64M",
		      world.hours > 0 ? 3600 : 10);
	write_sensors(file, variant);
	(void)fprintf(file,
		      ");\ninputs = ({ name = \"door\"; chip = \"chip1\"; line = 9; });\n"
		      "outputs = (%s);\n%s",
		      outputs, variant < 0 ? "nonsense = 1;\n" : "");
	(void)fclose(file);
}

/* devices_change() is where a configuration is taken up, at the start too */
int real_devices_change(struct daemon *daemon, const struct settings *old,
			struct settings *settings, struct device_changes *ret) REAL(devices_change);
int wrap_devices_change(struct daemon *daemon, const struct settings *old,
			struct settings *settings, struct device_changes *ret) WRAP(devices_change);
void real_mqtt_publish(struct mqtt *mqtt, struct message *message) REAL(mqtt_publish);
void wrap_mqtt_publish(struct mqtt *mqtt, struct message *message) WRAP(mqtt_publish);

int wrap_devices_change(struct daemon *daemon, const struct settings *old,
			struct settings *settings, struct device_changes *ret)
{
	if (world.is_config_bad)
		days_fail("a bad configuration was taken up");
	if (world.daemon)
		hardware_reloaded();
	return real_devices_change(daemon, old, settings, ret);
}

void wrap_mqtt_publish(struct mqtt *mqtt, struct message *message)
{
	readings_pushed(message->topic, message->payload, message->length);
	real_mqtt_publish(mqtt, message);
}

/* --- a life --------------------------------------------------------------------------------- */

static void judge_memory(void)
{
	static const uint64_t in_flight = 64UL * 512;
	uint64_t bound = world.daemon->settings->spool.max_size + in_flight;

	/* what is only in a file that fails cannot go, and the rest waits behind it */
	if (world.disk_failed_us > 0 && days_now() - world.disk_failed_us < DISK_SLACK_US)
		bound = SPOOL_MEMORY_MAX;
	if (spool_memory(world.daemon->spool) > bound)
		days_fail("the spool has %lu bytes in memory, more than %lu",
			  spool_memory(world.daemon->spool), bound);
	if (days_now() - last_hour_us < 3600 * USEC_PER_SEC)
		return;
	last_hour_us = days_now();
	(void)alarm(HANGS_S);
	if (mallinfo2().uordblks > MEMORY_MOST)
		days_fail("%zu bytes are allocated", mallinfo2().uordblks);
}

void days_step(void)
{
	int64_t now_us = reactor_now(world.reactor);

	if (now_us == world.instant_us)
		return;
	if (world.daemon) {
		outputs_judge();
		readings_judge();
	}
	world.instant_us = now_us;
	atomic_store(&world.now_us, now_us);
	if (!world.daemon)
		return;
	if (atomic_load(&world.disk_error) != 0)
		world.disk_failed_us = now_us;
	outputs_advance(now_us);
	if (!world.is_stopping)
		hardware_judge();
	judge_memory();
}

int days_life_run(struct reactor *reactor, struct task *root)
{
	cleanup(task_releasep) struct task *task = NULL;
	int r;

	if (!faults_is_killed()) {
		r = real_reactor_run(reactor, root);
	} else {
		if (faults_await_kill(&task) < 0)
			days_fail("out of memory");
		r = real_reactor_run(reactor, task);
		task_cancel(root);
		(void)task_result(root);
	}
	readings_life_ends(faults_is_killed());
	return r;
}

static void live(int64_t life_us, bool is_killed, bool is_last)
{
	static const struct daemon_options options;
	struct config_faults config = { 0 };
	struct settings *settings = NULL;
	struct daemon *daemon = NULL;
	int r;

	days_trace("life %d", world.life);
	if (world.is_config_bad)
		days_write_config(faults_variant());
	r = config_load(&settings, world.config, &config);
	if (r < 0)
		days_fail("the configuration: %s",
			  config.count > 0 ? config.lines[0] : strerror(-r));
	config_faults_free(&config);
	world.is_stopping = false;
	world.instant_us = days_now();
	outputs_life_begins();
	readings_life_begins();
	hardware_life(days_now());
	r = daemon_new(&daemon, settings, &options);
	if (r < 0)
		days_fail("daemon_new: %s", strerror(-r));
	world.daemon = daemon;
	faults_life_begins(life_us, is_killed, is_last);
	r = daemon_run(daemon);
	if (r < 0 && !is_killed)
		days_fail("the daemon ended with %s", strerror(-r));
	world.daemon = NULL;
	daemon_free(daemon);
	world.reactor = NULL;
}

/* --- a run ---------------------------------------------------------------------------------- */

static void draw(void)
{
	struct dice *dice = &world.dice;

	world.qos = (int)(dice_chance(dice, 700) ? 1 : dice_between(dice, 0, 2));
	world.is_value_format = dice_chance(dice, 300);
	world.has_file = dice_chance(dice, 900);
	world.is_small = dice_chance(dice, 300);
	world.refuses_permille = dice_chance(dice, 200) ? 20 : 0;
	world.expiry_us =
		world.seed % 4 == 3 ? (int64_t)(world.seed / 4 % 8 + 1) * USEC_PER_SEC / 2 : 0;
	world.distance_us =
		world.hours > 0 ? 30 * USEC_PER_SEC : dice_between(dice, 100, 1500) * USEC_PER_MSEC;
}

static void reset(uint64_t seed)
{
	world.seed = seed;
	(void)snprintf(again, sizeof(again),
		       "run it again: %s --seed %" PRIu64 " --hours %g --trace\n", program, seed,
		       world.hours);
	world.dice.state = seed;
	world.digest = 14695981039346656037U;
	world.life = 0;
	world.is_calm = false;
	world.disk_failed_us = 0;
	atomic_store(&world.disk_error, 0);
	atomic_store(&world.now_us, START_US);
	atomic_store(&world.real_offset_us, REAL_US);
	last_hour_us = START_US;
	draw();
	broker_reset();
	hardware_reset();
	outputs_reset();
	readings_reset();
	remove_files();
	faults_reset();
	days_write_config(0);
}

/* Return: how many readings were taken */
static uint64_t run(uint64_t seed)
{
	int64_t left_us, life_us;
	int lives;

	reset(seed);
	(void)alarm(HANGS_S);
	lives = (int)dice_between(&world.dice, 1, world.hours > 0 ? 10 : 3);
	left_us = world.hours > 0 ? (int64_t)(world.hours * 3600 * (double)USEC_PER_SEC)
				  : dice_between(&world.dice, 2, 40) * USEC_PER_SEC;
	for (; world.life < lives - 1; world.life++) {
		bool is_killed = dice_chance(&world.dice, 600);

		life_us = dice_between(&world.dice, 1, 2 * left_us / lives);
		left_us -= life_us < left_us ? life_us : left_us;
		live(life_us, is_killed, false);
		atomic_fetch_add(&world.now_us, dice_between(&world.dice, 1000, 2000000));
	}
	live(left_us + 1, false, true);
	if (strcmp(broker_retained(TOPIC "/status"), "offline") != 0)
		days_fail("it stopped and did not say offline");
	remove_files();
	return readings_end();
}

/* --- the program ---------------------------------------------------------------------------- */

static int usage(void)
{
	(void)fprintf(
		stderr,
		"usage: days [--seeds N] [--first SEED] [--seed SEED] [--hours H] [--trace]\n"
		"\n"
		"Without --hours each seed is a short run. Every 100th run is run twice, and must\n"
		"be the same.\n");
	return 64;
}

static void make_folder(void)
{
	const char *parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

	(void)snprintf(world.folder, sizeof(world.folder), "%s/iotd-days-XXXXXX", parent);
	if (!mkdtemp(world.folder))
		days_fail("no folder in %s: %s", parent, strerror(errno));
	(void)snprintf(world.config, sizeof(world.config), "%s/iotd.conf", world.folder);
	(void)snprintf(world.spool, sizeof(world.spool), "%s/spool.db", world.folder);
}

/* what a run leaves behind adds up; a sanitizer would say where it comes from */
static void judge_leak(void)
{
	static size_t before;
	size_t now = mallinfo2().uordblks;

	if (before == 0)
		before = now;
	if (now > before + LEAK_MOST)
		days_fail("%zu bytes were not freed", now - before);
}

static void run_twice(uint64_t seed)
{
	uint64_t digest = world.digest;

	(void)run(seed);
	if (world.digest != digest)
		days_fail("the second run of the same seed is another one");
}

static int run_all(uint64_t first, uint64_t count)
{
	uint64_t taken = 0;

	for (uint64_t i = 0; i < count; i++) {
		taken += run(first + i);
		judge_leak();
		if (i % 100 == 0 && world.hours == 0)
			run_twice(first + i);
	}
	(void)printf("%" PRIu64 " runs, %" PRIu64 " readings; digest of the last %016" PRIx64 "\n",
		     count, taken, world.digest);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seeds", required_argument, NULL, 'n' },
		{ "first", required_argument, NULL, 'f' },
		{ "seed", required_argument, NULL, 's' },
		{ "hours", required_argument, NULL, 'h' },
		{ "trace", no_argument, NULL, 't' },
		{ 0 },
	};
	uint64_t first = 1, count = 200;
	int option, r;

	program = argv[0];
	if (setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus", 1) < 0)
		return EXIT_FAILURE; /* the days are not to be on the host's bus */
	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (option == 'n')
			count = strtoull(optarg, NULL, 10);
		else if (option == 'f' || option == 's')
			first = strtoull(optarg, NULL, 10);
		else if (option == 'h')
			world.hours = strtod(optarg, NULL);
		else if (option == 't')
			world.traces = true;
		else
			return usage();
		if (option == 's' || option == 'h')
			count = 1;
	}
	(void)signal(SIGALRM, died);
	(void)signal(SIGABRT, died);
	if (set_death_callback)
		set_death_callback(say_again);
	else
		(void)signal(SIGSEGV, died);
	make_folder();
	r = run_all(first, count);
	remove_folder();
	return r;
}
