/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Days in virtual time: the whole daemon on a virtual clock, with a broker, hardware and a disk that
 * fail at random, all of it from one seed.
 *
 *	days.c      options, seeds, one run: lives that end by a stop or a kill
 *	seams.c     the clock, the workers' turn, what else the linker puts in place of the real thing
 *	broker.c    link_*(): the connection and the broker behind it
 *	hardware.c  hardware_*(): sources, buses, lines
 *	disk.c      store_*() that fail
 *	faults.c    what happens when: commands, edges, outages, reloads, clock steps
 *	readings.c  judges readings: each taken one arrives, in order, with its own time
 *	outputs.c   judges outputs: where each line must be at each moment
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/daemon.h"
#include "iotd/clock.h"

#define SENSORS		   5
#define OUTPUTS		   3
#define CHIPS		   2
#define BUSES		   2
#define TOPIC		   "days"
#define CHANNEL		   "temperature"
#define SENSOR_FREED	   4 /* the one that reloads take away and bring back */
#define SENSOR_DEADBAND	   3 /* the one that is published when it moved by DEADBAND */
#define OUTPUT_FAILING	   2 /* the one whose line does not always obey */
#define DEADBAND	   2.5
#define DEADBAND_MAX_AGE_S 20
#define NEVER		   INT64_MAX
#define SETTLE_US	   (5 * USEC_PER_SEC)
/* the spool tries a disk that failed again after 5 s */
#define DISK_SLACK_US	   (6 * USEC_PER_SEC)

/* the linker's names for what --wrap replaces, and for what replaces it */
#define REAL(function) __asm__("__real_" #function)
#define WRAP(function) __asm__("__wrap_" #function)

/** struct dice - pseudo-random numbers (splitmix64) */
struct dice {
	uint64_t state;
};

uint64_t dice_next(struct dice *dice);

/** dice_between() - @least .. @most */
int64_t dice_between(struct dice *dice, int64_t least, int64_t most);

/** dice_chance() - true in @permille of 1000 cases */
bool dice_chance(struct dice *dice, int permille);

/** struct world - what all files share; main thread, but for what is atomic */
struct world {
	uint64_t seed;
	double hours; /* 0: a short run */
	bool traces;
	struct dice dice;
	uint64_t digest; /* of all that came out */

	struct reactor *reactor; /* of this life */
	struct daemon *daemon;
	int life;
	bool is_stopping; /* the daemon was told to */
	bool is_calm;	  /* nothing fails any more */
	int64_t end_us;	  /* of the last life */
	atomic_llong now_us, real_offset_us;
	int64_t instant_us; /* that was judged last */
	char folder[64], config[96], spool[96];

	/* drawn once a run */
	int64_t distance_us; /* mean distance of mischief */
	int qos;
	bool is_value_format, has_file, is_small;
	int64_t expiry_us;    /* of readings; 0: none. By the seed, not by the dice */
	int refuses_permille; /* readings that the broker refuses */

	/* the disk */
	atomic_int disk_error;
	int64_t disk_failed_us; /* when it last did */
	bool is_config_bad;
};

extern struct world world;

/** days_fail() - a promise is broken: say which, when, how to run it again, and exit */
void days_fail(const char *format, ...) printf_like(1, 2) __attribute__((noreturn));

/** days_trace() - a line of the trace, if there is one */
void days_trace(const char *format, ...) printf_like(1, 2);

/** days_digest() - mix bytes into the run's digest; main thread */
void days_digest(const void *data, size_t length);

/** days_text() - @length bytes as a string, cut at @size */
void days_text(char *text, size_t size, const void *bytes, size_t length);

int64_t days_now(void);
int64_t days_real(void);

/** days_step() - called first by all that happens: judge the instant that is over, move on to this one */
void days_step(void);

/** days_life_run() - instead of daemon_run()'s reactor_run() */
int days_life_run(struct reactor *reactor, struct task *root);

/* --- seams.c -------------------------------------------------------------------------------- */

int real_reactor_run(struct reactor *reactor, struct task *root) REAL(reactor_run);

/** seams_park() - on a worker: hang for so long in virtual time, with all that waits for @key */
void seams_park(struct worker_key *key, int64_t hang_us);

/* --- broker.c ------------------------------------------------------------------------------- */

void broker_reset(void);
bool broker_is_up(void);

/** broker_is_well() - it has been connected for long enough to know all states */
bool broker_is_well(void);

/** broker_break() - the connection breaks now; @outage_us: and the broker is away for so long */
void broker_break(int64_t outage_us);

/** broker_break_at() - the connection breaks at the @count-th message from now on, in the midst of a burst */
void broker_break_at(int count);

/** broker_send() - a message to the daemon. Return: was it subscribed to? */
bool broker_send(const char *topic, const char *payload, bool retained);

/** broker_retained() - the retained payload; "" */
const char *broker_retained(const char *topic);

/** broker_expect_reply() - the command with @id is to be answered so */
void broker_expect_reply(int id, bool ok);

/* --- hardware.c ----------------------------------------------------------------------------- */

void hardware_reset(void);

/** hardware_life() - all is closed; @epoch_us: the schedules' */
void hardware_life(int64_t epoch_us);

/** hardware_chip() - a chip vanishes, or comes back */
void hardware_chip(int chip, bool is_there);

/** hardware_edge() - the input changes */
void hardware_edge(void);
bool hardware_input_level(void);
bool hardware_line_level(int output);

/** hardware_line_age() - since it last moved */
int64_t hardware_line_age(int output);

/** hardware_asked() - a read, or an interval, was asked for: the next start may come off schedule */
void hardware_asked(int sensor);
void hardware_interval(int sensor, int64_t interval_us);

/** hardware_bus() - 0 .. BUSES - 1; BUSES: a file */
int hardware_bus(int sensor);

/** hardware_configured() - the interval in the configuration */
int64_t hardware_configured(int sensor);

/** hardware_reloaded() - a configuration was taken up: intervals are as in it */
void hardware_reloaded(void);

/** hardware_judge() - has what is due been read? */
void hardware_judge(void);

/* --- readings.c ----------------------------------------------------------------------------- */

void readings_reset(void);

/** readings_take() - on a worker: a source gave its next number. Return: that */
double readings_take(int sensor, bool must_be_published);

/** readings_sent() - it goes to the broker, with so many seconds to live; 0: no limit */
void readings_sent(const char *topic, const void *payload, size_t length, uint32_t expiry_s);

/** readings_pushed() - the daemon gave it to MQTT */
void readings_pushed(const char *topic, const void *payload, size_t length);
bool readings_is_one(const char *topic);

/** enum arrival - what became of a message */
enum arrival {
	ARRIVED,
	ACKNOWLEDGED,
	DECLINED, /* by the broker, and the daemon does not know yet */
	REFUSED,
	BROKEN, /* in flight when the connection broke */
};
void readings_event(const char *topic, const void *payload, size_t length, enum arrival what);

/** readings_failed(), readings_asked() - why the next may be published though it did not move */
void readings_failed(int sensor);
void readings_asked(int sensor);
void readings_life_begins(void);
void readings_life_ends(bool is_killed);
void readings_judge(void);
void readings_excuse(int sensor);

/** readings_end() - the books are closed. Return: how many were taken */
uint64_t readings_end(void);

/* --- outputs.c ------------------------------------------------------------------------------ */

extern const char *const output_names[OUTPUTS];

void outputs_reset(void);
void outputs_life_begins(void);
void outputs_config(char *text, size_t size);
void outputs_advance(int64_t now_us);
void outputs_judge(void);
void outputs_link(bool up);
void outputs_exit(void);

/** outputs_set() - a command. Return: will it be obeyed? */
bool outputs_set(int output, bool on, int64_t for_us);
bool outputs_is_on(int output);
bool outputs_is_held(int output);
void outputs_lost(int output);

/** outputs_requested(), outputs_written(), outputs_failed() - on a worker: the daemon did that */
void outputs_requested(int output, enum output_move initial, bool level);
void outputs_written(int output, bool on);
void outputs_failed(int output, bool on);

/* --- faults.c ------------------------------------------------------------------------------- */

/** faults_life_begins() - from now on things happen; the life ends so after @life_us */
void faults_life_begins(int64_t life_us, bool is_killed, bool is_last);
bool faults_is_killed(void);

/** faults_variant() - of the configuration that is in use */
int faults_variant(void);
void faults_reset(void);

/** faults_await_kill() - a task that ends when the life does. Return: as task_spawn() */
int faults_await_kill(struct task **ret);

/** days_write_config() - @variant: 0, 1, 2, 3 differ; negative: a file with a fault */
void days_write_config(int variant);
