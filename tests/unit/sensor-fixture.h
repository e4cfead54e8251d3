/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Sensors with a fake driver whose outcomes a test programs. On the virtual clock, where a job takes no
 * time; what hangs for real runs on the kernel's clock and hangs on a pipe that the test holds.
 */
#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reactor-fixture.h"

#include "iotd/clock.h"
#include "iotd/device.h"

#define EPOCH_US  123456789012345 /* no round number */
#define SECOND	  USEC_PER_SEC
#define MSEC	  USEC_PER_MSEC
#define HOUR	  (3600 * SECOND)
#define DAY	  (24 * HOUR)
#define TIMES_MAX 4096
#define NONE	  ((double)NAN)
#define FAR	  ((double)INFINITY)
#define SLOW_CHIP (-ETIME) /* of an outcome: -ETIMEDOUT in words of the driver */

/* one try: what its calls return. The last one of a program stays */
struct outcome {
	int open, start, collect;
	int64_t wait_us; /* from start() to collect() */
	int agains;	 /* collect() says so often that it still converts, for 10 ms each time */
	double value;	 /* 0: counts up */
};

/* belongs to the worker while a job is out, to the test else */
struct fake {
	struct option_value options[1]; /* found again by them */
	const struct outcome *program;
	size_t length, at;
	int agains, opens, tries;
	atomic_int collects, closes;
	int gate;	  /* collect() reads a byte from here first; -1: not */
	bool closed_here; /* on the reactor's thread, where it may block */
	atomic_int hangs;
	bool is_prompt; /* collect() says so; the driver has no start() then */
	int leaves;	/* so often collect() leaves it to the worker */
	int here;	/* collects on the reactor's thread */
	unsigned int since_open;
	const char *channel;	     /* its name, from the next open() on; NULL: as it is */
	int64_t takes_us;	     /* each read, for real */
	int64_t times_us[TIMES_MAX]; /* of the first tries */
};

extern struct worker_key *key;
extern struct stats stats;
extern struct device_parts parts;

/* what devices told */
extern struct told {
	int count;
	int64_t times_us[TIMES_MAX];
	double value;	 /* the last */
	char words[256]; /* of statuses and logs: "offline " "online " */
	char buses[64];	 /* "hangs " "answers " */
	char log[512];
	int logged;
	int stop_at; /* ends the run when so many readings came */
	void (*act)(void);
} told;

/* a test may change it before it makes a sensor */
extern struct driver fake_driver;

extern char name[8];
extern struct sensor_settings settings;
extern struct channel_settings group;
extern struct fake fake;
extern struct sensor *sensor;

void set_up_virtual(void);
void set_up_real(void);
void tear_down(void);

struct sensor *make(struct fake *of, const struct sensor_settings *with, struct worker_key *on);

/* makes @sensor with @fake, whose program this is */
void start(const struct outcome *program, size_t length);

/* run, but end when told.stop_at readings came */
void watch_until(int64_t until_us);
void watch_for(int64_t duration_us);

const char *info_fault(void);

/* what on_answer() was told */
extern struct asked {
	int answers, error;
	double value;
	char fault[192];
} asked;

void on_answer(void *data, int error, const char *fault, const struct reading *reading);
void ask(void);

/* of told.act: what is told first ends @sensor */
void act_free(void);
