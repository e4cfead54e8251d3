/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The books of the readings. A source's number counts up from 1, so that each reading tells by itself
 * which one it is, and a record of it is kept from the moment when it was taken to the end.
 *
 * Taken -> pushed (the daemon gave it to MQTT, in the instant when it was taken) -> arrived ->
 * acknowledged. At the end each that was pushed has been acknowledged or refused, unless it was discarded,
 * or its time was over, and of those the spool has told the number, or a kill came within a second.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "days.h"
#include "iotd/spool.h"

#define RECORDS_MAX (8U << 20) /* of a sensor; address space, not memory */
#define LIVES_MAX   64

enum {
	IS_MUST = 1 << 0, /* the daemon must push it, if its deadband says so */
	IS_PUSHED = 1 << 1,
	HAS_ARRIVED = 1 << 2,
	IS_ACKNOWLEDGED = 1 << 3,
	IS_REFUSED = 1 << 4,
	WAS_DECLINED = 1 << 6, /* by the broker: it may come later, or never */
	WAS_BROKEN = 1 << 5,   /* in flight when a connection broke, so it may arrive once more */
};

struct record {
	int64_t time_us, real_us;
	int64_t ended_us; /* acknowledged or refused */
	uint32_t order;	  /* in which it was pushed */
	uint16_t flags;
	uint8_t life, arrived_life;
};

static struct sensor_books {
	struct record *records; /* number 1 is the first */
	uint32_t count, judged;
	int64_t excused_us;
	uint32_t pushed; /* the last one */
	int64_t pushed_us;
	bool is_free; /* of the deadband, once */
} books[SENSORS];

static struct {
	uint32_t last_order;			/* of those pushed */
	uint32_t arrived_order;			/* the last first arrival */
	uint32_t arrived_of_life[LIVES_MAX];	/* the same by the life in which they were pushed */
	uint64_t pushes, acknowledged, refused; /* of this life */
	uint64_t queued;			/* left behind by the last life */
	bool is_queue_known;
	uint64_t discarded; /* of all lives */
	struct {
		int64_t began_us, ended_us, disk_us; /* disk: when it failed last, as of then */
		bool is_killed;
	} lives[LIVES_MAX];
	bool is_order_loose; /* the disk failed when a life began */
} ledger;

void readings_reset(void)
{
	memset(&ledger, 0, sizeof(ledger));
	ledger.is_queue_known = true;
	for (int i = 0; i < SENSORS; i++) {
		struct record *records = books[i].records;

		if (!records) {
			records = mmap(NULL, RECORDS_MAX * sizeof(*records), PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
			if (records == MAP_FAILED)
				days_fail("no memory for the books");
		}
		memset(records, 0, (books[i].count + 1) * sizeof(*records));
		books[i] = (struct sensor_books){ .records = records };
	}
}

/* --- taken and pushed ----------------------------------------------------------------------- */

double readings_take(int sensor, bool must_be_published)
{
	struct sensor_books *book = &books[sensor];

	if (book->count + 2 >= RECORDS_MAX)
		days_fail("more readings than the books can hold");
	book->records[++book->count] = (struct record){
		.time_us = days_now(),
		.real_us = days_real(),
		.flags = must_be_published ? IS_MUST : 0,
		.life = (uint8_t)world.life,
	};
	return book->count;
}

void readings_failed(int sensor)
{
	books[sensor].is_free = true;
}

void readings_asked(int sensor)
{
	books[sensor].is_free = true;
}

void readings_excuse(int sensor)
{
	books[sensor].excused_us = days_now();
	books[sensor].is_free = true;
}

static int sensor_of(const char *topic)
{
	static const char prefix[] = TOPIC "/sensor/s";
	size_t length = sizeof(prefix) - 1;
	int sensor;

	if (strncmp(topic, prefix, length) != 0 || topic[length] == '\0')
		return -1;
	sensor = topic[length] - '0';
	if (sensor < 0 || sensor >= SENSORS ||
	    strcmp(topic + length + 1, world.is_value_format ? "/" CHANNEL : "") != 0)
		return -1;
	return sensor;
}

bool readings_is_one(const char *topic)
{
	return sensor_of(topic) >= 0;
}

static struct record *find(const char *topic, const void *payload, size_t length)
{
	struct sensor_books *book = &books[sensor_of(topic)];
	char text[128], time[CLOCK_UTC_SIZE];
	const char *number = text;
	unsigned long at;

	days_text(text, sizeof(text), payload, length);
	if (!world.is_value_format)
		number = strstr(text, "\"" CHANNEL "\":");
	if (!number)
		days_fail("what is this? %s %s", topic, text);
	at = strtoul(number + (world.is_value_format ? 0 : sizeof("\"\":" CHANNEL) - 1), NULL, 10);
	if (at < 1 || at > book->count)
		days_fail("never taken: %s %s", topic, text);
	clock_format_utc(time, book->records[at].real_us);
	if (!world.is_value_format && !strstr(text, time))
		days_fail("not its own time, %s: %s %s", time, topic, text);
	return &book->records[at];
}

/* "publish only when it moved that much", "publish at least that often" */
static void judge_deadband(const struct sensor_books *book, const struct record *record)
{
	uint32_t number = (uint32_t)(record - book->records);
	int64_t age_us = record->time_us - book->pushed_us;
	bool moved = number - book->pushed >= DEADBAND;

	if ((record->flags & IS_PUSHED) && !moved && !book->is_free && world.hours == 0 &&
	    age_us < (DEADBAND_MAX_AGE_S - 7) * USEC_PER_SEC)
		days_fail("s%d: published within its deadband", SENSOR_DEADBAND);
	if (!(record->flags & IS_PUSHED) && (record->flags & IS_MUST) &&
	    (moved || age_us > DEADBAND_MAX_AGE_S * USEC_PER_SEC))
		days_fail("s%d: not published: moved by %u, %lld ms after the last",
			  SENSOR_DEADBAND, number - book->pushed,
			  (long long)(age_us / USEC_PER_MSEC));
}

static void judge_record(int sensor, struct sensor_books *book, const struct record *record)
{
	if (record->time_us == book->excused_us)
		; /* as it was taken its sensor was being stopped */
	else if (sensor == SENSOR_DEADBAND)
		judge_deadband(book, record);
	else if ((record->flags & (IS_MUST | IS_PUSHED)) == IS_MUST)
		days_fail("s%d: reading %ld was taken and not published", sensor,
			  (long)(record - book->records));
	if (!(record->flags & IS_PUSHED))
		return;
	book->pushed = (uint32_t)(record - book->records);
	book->pushed_us = record->time_us;
	book->is_free = false;
}

void readings_judge(void)
{
	for (int i = 0; i < SENSORS; i++) {
		struct sensor_books *book = &books[i];

		while (book->judged < book->count)
			judge_record(i, book, &book->records[++book->judged]);
	}
}

void readings_pushed(const char *topic, const void *payload, size_t length)
{
	struct record *record = find(topic, payload, length);

	if (record->flags & IS_PUSHED)
		days_fail("published twice: %s", topic);
	if (record->time_us != days_now())
		days_fail("published late: %s", topic);
	record->flags |= IS_PUSHED;
	record->order = ++ledger.last_order;
	ledger.pushes++;
	days_trace("push %u: %s, %ld", record->order, topic,
		   (long)(record - books[sensor_of(topic)].records));
}

/* of an earlier life, or if the clock was set meanwhile, the file knows it by another clock */
static bool is_expiry_known(const struct record *record)
{
	return record->life == world.life &&
	       record->real_us - record->time_us == days_real() - days_now();
}

void readings_sent(const char *topic, const void *payload, size_t length, uint32_t expiry_s)
{
	const struct record *record = find(topic, payload, length);
	int64_t left_us = world.expiry_us - (days_now() - record->time_us);

	if ((expiry_s > 0) != (world.expiry_us > 0))
		days_fail("%s: %u s to live", topic, expiry_s);
	if (world.expiry_us == 0 || !is_expiry_known(record))
		return;
	if (left_us <= 0)
		days_fail("sent though nobody wants it any more: %s, push %u", topic,
			  record->order);
	if (expiry_s != (left_us + USEC_PER_SEC - 1) / USEC_PER_SEC)
		days_fail("%s: %u s to live, not %lld us", topic, expiry_s, (long long)left_us);
}

/* --- at the broker -------------------------------------------------------------------------- */

static bool may_be_lost(const struct record *record, int64_t at_us)
{
	int life = record->life;
	int64_t ended_us = ledger.lives[life].ended_us;

	if (life == world.life) /* at the end of the last one nothing is left */
		return false;
	if (ledger.lives[life].disk_us > 0 && ended_us - ledger.lives[life].disk_us < DISK_SLACK_US)
		return true;
	if (!world.has_file)
		return true;
	return ledger.lives[life].is_killed && ended_us - at_us <= USEC_PER_SEC;
}

/* acknowledged, and yet a kill or a disk came before its row was removed */
static bool may_come_back(const struct record *record)
{
	for (int i = record->life; i < world.life; i++) {
		int64_t ended_us = ledger.lives[i].ended_us;

		if (record->ended_us <= ended_us &&
		    ((ledger.lives[i].is_killed && ended_us - record->ended_us <= USEC_PER_SEC) ||
		     (ledger.lives[i].disk_us > 0 &&
		      ended_us - ledger.lives[i].disk_us < DISK_SLACK_US)))
			return true;
	}
	return false;
}

static void judge_order(const char *topic, const struct record *record)
{
	uint32_t *last = ledger.is_order_loose ? &ledger.arrived_of_life[record->life]
					       : &ledger.arrived_order;

	if (record->order <= *last)
		days_fail("out of order: %s, push %u after push %u", topic, record->order, *last);
	if (record->order > ledger.arrived_order)
		ledger.arrived_order = record->order;
	if (record->order > ledger.arrived_of_life[record->life])
		ledger.arrived_of_life[record->life] = record->order;
}

static void arrived(const char *topic, struct record *record)
{
	if (!(record->flags & IS_PUSHED))
		days_fail("sent but never published: %s", topic);
	if ((record->flags & (IS_ACKNOWLEDGED | IS_REFUSED)) && !may_come_back(record))
		days_fail("sent again after it was acknowledged: %s, push %u", topic,
			  record->order);
	if (!(record->flags & (HAS_ARRIVED | WAS_DECLINED)))
		judge_order(topic, record);
	else if (!(record->flags & (WAS_BROKEN | WAS_DECLINED)) &&
		 record->arrived_life == world.life)
		days_fail("doubled though its connection never broke: %s", topic);
	record->flags |= HAS_ARRIVED;
	record->flags &= (uint16_t)~WAS_BROKEN;
	record->arrived_life = (uint8_t)world.life;
}

void readings_event(const char *topic, const void *payload, size_t length, enum arrival what)
{
	struct record *record = find(topic, payload, length);

	switch (what) {
	case ARRIVED:
		arrived(topic, record);
		break;
	case ACKNOWLEDGED:
		record->flags |= IS_ACKNOWLEDGED;
		record->ended_us = days_now();
		ledger.acknowledged++;
		break;
	case DECLINED:
		record->flags |= WAS_DECLINED;
		break;
	case REFUSED:
		record->flags |= IS_REFUSED | WAS_DECLINED;
		record->ended_us = days_now();
		ledger.refused++;
		break;
	case BROKEN:
		record->flags |= WAS_BROKEN;
		break;
	}
}

/* --- lives ---------------------------------------------------------------------------------- */

/* a row whose removal did not reach the file is found by the next life, and older than what arrived */
static bool discarded_may_come_back(int life)
{
	int64_t ended_us = ledger.lives[life].ended_us, disk_us = ledger.lives[life].disk_us;

	return (ledger.lives[life].is_killed && (world.is_small || world.expiry_us > 0)) ||
	       (disk_us > 0 && ended_us - disk_us < DISK_SLACK_US);
}

void readings_life_begins(void)
{
	if (world.life >= LIVES_MAX)
		days_fail("too many lives");
	ledger.lives[world.life].began_us = days_now();
	ledger.pushes = ledger.acknowledged = ledger.refused = 0;
	ledger.is_order_loose |= atomic_load(&world.disk_error) != 0;
	if (world.life > 0 && discarded_may_come_back(world.life - 1)) {
		ledger.arrived_order = 0;
		memset(ledger.arrived_of_life, 0, sizeof(ledger.arrived_of_life));
	}
	for (int i = 0; i < SENSORS; i++)
		books[i].is_free = true;
}

/* what it found + what it got = what went + what is left: to the last one */
void readings_life_ends(bool is_killed)
{
	const struct stats *stats = &world.daemon->stats;
	uint64_t out = ledger.acknowledged + ledger.refused + stats->discarded + stats->expired +
		       stats->queued;
	bool has_disk =
		world.disk_failed_us == 0 || days_now() - world.disk_failed_us >= DISK_SLACK_US;

	for (int i = 0; i < SENSORS && is_killed; i++)
		books[i].excused_us = days_now();
	if (out < ledger.pushes || (ledger.is_queue_known && out != ledger.pushes + ledger.queued))
		days_fail("the count is wrong: found %lu, published %lu; acknowledged %lu, refused "
			  "%lu, discarded %lu, left %lu",
			  ledger.queued, ledger.pushes, ledger.acknowledged, ledger.refused,
			  stats->discarded, stats->queued);
	ledger.is_queue_known = !is_killed && has_disk;
	ledger.queued = world.has_file ? stats->queued : 0;
	ledger.discarded += stats->discarded + stats->expired;
	ledger.lives[world.life].ended_us = days_now();
	ledger.lives[world.life].disk_us = world.disk_failed_us;
	ledger.lives[world.life].is_killed = is_killed;
}

static uint64_t count_gone(int sensor)
{
	const struct sensor_books *book = &books[sensor];
	uint64_t gone = 0;

	for (uint32_t i = 1; i <= book->count; i++) {
		const struct record *record = &book->records[i];
		bool is_at_home = record->flags & (IS_ACKNOWLEDGED | IS_REFUSED);

		if ((record->flags & IS_PUSHED) && !is_at_home &&
		    !may_be_lost(record, record->time_us))
			gone++;
		if ((record->flags & IS_ACKNOWLEDGED) && !(record->flags & HAS_ARRIVED) &&
		    world.qos > 0)
			days_fail("s%d: reading %u was acknowledged and never arrived", sensor, i);
	}
	return gone;
}

uint64_t readings_end(void)
{
	uint64_t gone = 0, taken = 0;
	bool is_exact = world.life == 0;

	for (int i = 0; i < SENSORS; i++) {
		gone += count_gone(i);
		taken += books[i].count;
	}
	if (gone > ledger.discarded || (is_exact && gone != ledger.discarded))
		days_fail("%lu readings are lost, and %lu were counted as discarded", gone,
			  ledger.discarded);
	return taken;
}
