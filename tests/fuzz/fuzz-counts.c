/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What inputs have counted, from a file that somebody else made: see stranger.h for the input. Mostly the file
 * says that it is ours, or the rest would not be looked at.
 *
 * Promises: iotd starts, whatever the file is; that of another program is left alone, byte for byte, and no total is
 * told; a damaged one is put aside, which is told, and is still there; what is counted then is what the next run
 * begins with, unless that finds damage, and tells it.
 */
#include <errno.h>
#include <math.h>
#include <unistd.h>

#include "stranger.h"

#include "iotd/base.h"
#include "iotd/counts.h"
#include "spool/count-file.h"

#define PATH  "counts.db"
#define INPUT "rain"

static struct counts *counts;
static struct count rain;
static bool is_known;

static struct {
	bool is_anothers;
	int asides;
	char aside[DATABASE_PATH_SIZE];
} told;

static void make_ours(void)
{
	char aside[DATABASE_PATH_SIZE];
	struct count_file *file;

	must(count_file_open(&file, PATH, false, aside) == 0 && !aside[0]);
	count_file_close(file);
}

/* --- what it tells -------------------------------------------------------------------------- */

static void on_fault(struct counts_events *events, int error, const char *why)
{
	(void)events;
	must(error <= 0 && (error == 0) == (why == NULL));
	/* nothing but the file is wrong here */
	must(error == 0 || error == -EBADMSG || error == -EMEDIUMTYPE || error == -EPROTONOSUPPORT);
	told.is_anothers |= error == -EMEDIUMTYPE || error == -EPROTONOSUPPORT;
}

static void on_aside(struct counts_events *events, const char *path)
{
	(void)events;
	told.asides++;
	must(strncmp(path, PATH ".damaged-", strlen(PATH ".damaged-")) == 0);
	(void)snprintf(told.aside, sizeof(told.aside), "%s", path);
	must(access(told.aside, F_OK) == 0);
}

static void get_rain(void)
{
	int r = counts_get(counts, INPUT, COUNT_EDGES, &rain);

	must(r == 0 || (r == -EAGAIN && !is_known));
	is_known = r == 0;
	must(isfinite(rain.start) && rain.start >= 0 && rain.start <= COUNT_TOTAL_MAX);
}

static void on_known(struct counts_events *events)
{
	(void)events;
	must(!is_known && counts_is_known(counts));
	get_rain();
}

static void on_collect(struct counts_events *events)
{
	(void)events;
	counts_put(counts, INPUT, &rain, is_known);
}

static struct counts_events events = { on_fault, on_aside, on_known, on_collect };

/* --- runs ----------------------------------------------------------------------------------- */

/* iotd from its start to its stop, in which it rains @amount times */
static void run(uint64_t amount)
{
	const struct counts_parts parts = { world.reactor, world.workers, PATH, &events };
	struct future *stopped;

	rain = (struct count){ .kind = COUNT_EDGES };
	is_known = false;
	must(counts_new(&counts, &parts) == 0);
	get_rain();
	world_sleep(2000000);
	rain.amount += amount;
	rain.run += amount;
	counts_changed(counts, false);
	world_sleep(
		3 *
		COUNTS_WRITE_US); /* a file that cannot be written is put aside by the second try */
	stopped = counts_stop(counts);
	must(stopped && world_await(stopped) == 0);
	counts = counts_free(counts);
}

/* the file is ours, or was put aside: it goes on */
static void check_next_run(void)
{
	struct count before = rain;
	int asides = told.asides;

	must(before.amount >= 7);
	run(3);
	must(!told.is_anothers && is_known && told.asides <= 3);
	if (told.asides == asides) /* else it was found to be damaged, and that was told */
		must(rain.start >= before.start && rain.start <= before.start &&
		     rain.amount == before.amount + 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stranger stranger;

	world_enter();
	stranger_makes(&stranger, (struct input){ data, size }, PATH, make_ours, "iotc");
	memset(&told, 0, sizeof(told));
	run(7);
	if (told.asides == 1)
		stranger_check_aside(&stranger, told.aside);
	must(told.asides <= (told.is_anothers ? 0 : 2));
	must(is_known == !told.is_anothers);
	if (told.is_anothers)
		stranger_check_untouched(&stranger);
	else
		check_next_run();
	stranger_free(&stranger);
	return 0;
}
