/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The spool on a file that somebody else made: see stranger.h for the input, whose first byte also says how large
 * the file may be. Mostly the file says that it is ours, or the rest would not be looked at.
 *
 * Promises: iotd starts, whatever the file is; that of another program is left alone, byte for byte; a damaged one is put aside and is still there; what was pushed and not acknowledged is in the file at the end, in its order,
 * behind all that was there before; and so it is told, page by page.
 */
#include <errno.h>
#include <sqlite3.h>
#include <unistd.h>

#include "stranger.h"

#include "iotd/base.h"
#include "iotd/spool.h"
#include "spool/store.h"

#define PATH	  "spool.db"
#define PUSHED	  5 /* the last right before the stop */
#define WINDOW	  64
#define TAKEN_MAX 5000

static char aside[STORE_PATH_SIZE];
static int asides;
static bool is_anothers;

/* --- the file ------------------------------------------------------------------------------- */

static void make_ours(void)
{
	struct store *store;

	must(store_open(&store, PATH, false, aside) == 0 && !aside[0]);
	store_close(store);
}

/* --- the spool ------------------------------------------------------------------------------ */

static void told_fault(struct spool_events *events, int error, const char *why)
{
	(void)events;
	must(error <= 0 && (error == 0) == (why == NULL));
	/* nothing but the file is wrong here */
	must(error == 0 || error == -EBADMSG || error == -EMEDIUMTYPE || error == -EPROTONOSUPPORT);
	is_anothers |= error == -EMEDIUMTYPE || error == -EPROTONOSUPPORT;
}

static void told_aside(struct spool_events *events, const char *path)
{
	(void)events;
	asides++;
	must(strncmp(path, PATH ".damaged-", strlen(PATH ".damaged-")) == 0);
	(void)snprintf(aside, sizeof(aside), "%s", path);
	must(access(aside, F_OK) == 0);
}

static uint64_t discarded;

static void told_discarding(struct spool_events *events, enum spool_bound bound)
{
	(void)events;
	(void)bound;
}

static void told_discarded(struct spool_events *events, uint64_t count, int64_t duration_us)
{
	(void)events;
	must(count > 0 && duration_us >= 0);
	discarded += count;
}

static uint64_t expired;

static void told_expiring(struct spool_events *events)
{
	(void)events;
}

static void told_expired(struct spool_events *events, uint64_t count, int64_t duration_us)
{
	(void)events;
	must(count > 0 && duration_us >= 0);
	expired += count;
}

static void push(struct spool *spool, int number)
{
	struct message *message;
	char payload[32];
	int length = snprintf(payload, sizeof(payload), "ours %d", number);

	must(message_new(&message, "t/ours", payload, (size_t)length) == 0);
	message->qos = 1;
	(void)spool_push(spool, message);
}

static bool is_ours(const struct message *message, int number)
{
	char payload[32];
	int length = snprintf(payload, sizeof(payload), "ours %d", number);

	return strcmp(message->topic, "t/ours") == 0 && message->length == (size_t)length &&
	       memcmp(message->payload, payload, message->length) == 0;
}

/* a window of readings is in flight when the connection breaks */
static void take_some(struct spool *spool)
{
	int taken = 0;

	while (taken < WINDOW && spool_next(spool))
		taken++;
	world_sleep(1000000);
	spool_rewind(spool);
}

static struct {
	struct spool_page page;
	uint64_t last, next;
	int seen; /* of ours */
	bool is_told;
} paging;

static void told_page(struct spool_page *page, const struct spool_paged *paged)
{
	must(page == &paging.page && paged->error <= 0 && paged->error != -ECANCELED);
	must(paged->count <= page->limit && (paged->error == 0 || paged->count == 0));
	for (size_t i = 0; i < paged->count; i++) {
		const struct spool_entry *entry = &paged->entries[i];

		must(entry->id > paging.last);
		paging.last = entry->id;
		if (paging.seen < PUSHED - 1 && is_ours(entry->message, paging.seen))
			paging.seen++;
	}
	must(paged->next == 0 || (paged->next >= paging.last && paged->next > page->after));
	paging.next = paged->next;
	paging.is_told = true;
}

/* ours are told, in order and behind all that was there */
static void page_all(struct spool *spool, size_t limit)
{
	int pages = 0;

	memset(&paging, 0, sizeof(paging));
	do {
		paging.page = (struct spool_page){ paging.next, limit, told_page };
		paging.is_told = false;
		spool_page(spool, &paging.page);
		for (int i = 0; i < 10 && !paging.is_told; i++)
			world_sleep(1);
		must(paging.is_told);
	} while (paging.next > 0 && ++pages < TAKEN_MAX);
	must(paging.next > 0 || paging.seen == PUSHED - 1);
}

/* all are acknowledged but ours, of which only the first is. Return: how many of ours came, in order */
static int take_all(struct spool *spool)
{
	struct message *message;
	int seen = 0, taken = 0;

	for (int idle = 0; idle < 7 && taken < TAKEN_MAX; idle++) {
		while ((message = spool_next(spool)) && taken++ < TAKEN_MAX) {
			idle = 0;
			if (seen < PUSHED - 1 && is_ours(message, seen))
				seen++;
			if (seen < 2)
				spool_done(spool, message->id);
		}
		world_sleep(1000000);
	}
	return taken < TAKEN_MAX ? seen : PUSHED - 1;
}

static void use_spool(uint64_t max_size)
{
	static struct spool_events events = { told_fault,     told_aside,    told_discarding,
					      told_discarded, told_expiring, told_expired };
	static char path[] = PATH;
	const struct spool_settings settings = { .path = path, .max_size = max_size };
	struct stats stats = { 0 };
	const struct spool_parts parts = { world.reactor, world.workers, &settings, &events,
					   &stats };
	struct spool *spool;

	must(spool_new(&spool, &parts) == 0);
	for (int i = 0; i < PUSHED - 1; i++)
		push(spool, i);
	world_sleep(2000000);
	page_all(spool, 100);
	take_some(spool);
	page_all(spool, 7);
	must(take_all(spool) == PUSHED - 1);
	spool_rewind(spool);
	push(spool, PUSHED - 1);
	must(world_await(spool_stop(spool)) == 0);
	must(stats.in_flight == 0);
	must(discarded <= stats.discarded);
	must(expired == stats.expired);
	spool_free(spool);
}

/* row numbers that began right below the greatest that is taken */
static bool sequence_is_over(struct store *store)
{
	sqlite3_stmt *statement;
	sqlite3 *db;
	int64_t last = 0;

	store_close(store);
	must(sqlite3_open(PATH, &db) == SQLITE_OK);
	must(sqlite3_prepare_v2(db, "SELECT max(seq) FROM sqlite_sequence", -1, &statement, NULL) ==
	     SQLITE_OK);
	must(sqlite3_step(statement) == SQLITE_ROW);
	last = sqlite3_column_int64(statement, 0);
	(void)sqlite3_finalize(statement);
	(void)sqlite3_close_v2(db);
	return last > INT64_MAX / 2;
}

/* ours that were not acknowledged are the last ones of the file */
static void check_file(void)
{
	static struct message *messages[TAKEN_MAX];
	struct store_rows rows;
	struct store *store;
	char again[STORE_PATH_SIZE];
	int64_t first;
	int count, next = 1;

	must(store_open(&store, PATH, false, again) == 0 && !again[0]);
	if (store_rows(store, &rows) < 0) {
		must(sequence_is_over(store));
		return;
	}
	must(rows.count >= PUSHED - 1);
	first = rows.last - (PUSHED - 2);
	count = store_load(store, first, rows.last, messages, TAKEN_MAX);
	must(count == PUSHED - 1);
	for (int i = 0; i < count; i++) {
		must(is_ours(messages[i], next++));
		message_free(messages[i]);
	}
	store_close(store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stranger stranger;

	world_enter();
	stranger_makes(&stranger, (struct input){ data, size }, PATH, make_ours, "iotd");
	asides = 0;
	discarded = 0;
	expired = 0;
	is_anothers = false;
	aside[0] = '\0';
	use_spool(size > 0 && data[0] & 4 ? 64 << 20 : 1 << 16);
	if (asides == 1)
		stranger_check_aside(&stranger, aside);
	must(asides <= (is_anothers ? 0 : 2));
	if (is_anothers)
		stranger_check_untouched(&stranger);
	else
		check_file();
	stranger_free(&stranger);
	return 0;
}
