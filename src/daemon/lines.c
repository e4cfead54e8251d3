/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The lines of outputs in systemd's descriptor store, between device and service.
 *
 * A line is kept as "OUTPUT@PLACE", "pump@gpiochip0.22.active-high.as-is": it belongs to an output of
 * that name, and to that place only.
 *
 * What is to move outputs later is in memory that is kept as well (a memfd): it is written without a
 * word to systemd, and there after a SIGKILL. Its name has the number of its layout, for the next
 * process may be of another version.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lines.h"

#include "iotd/clock.h"
#include "iotd/log.h"

/* longer than systemd takes to let go */
#define LET_GO_US    (1 * USEC_PER_SEC)
#define RECORDS_NAME "times.1"
#define RECORDS_MAX  1024 /* FileDescriptorStoreMax= of the unit */
#define RECORDS_SIZE (RECORDS_MAX * sizeof(struct record))

struct record {
	char output[NAME_LENGTH + 1]; /* "": free */
	struct line_times times;
};

struct lines {
	struct line_store store;
	struct fdstore *fdstore;
	struct reactor *reactor;
	int64_t removed_us;	/* when systemd was last told to let go of a line */
	struct record *records; /* NULL: times end with the process */
};

/* --- times ---------------------------------------------------------------------------------- */

static struct record *find_record(const struct lines *lines, const char *output)
{
	for (size_t i = 0; lines->records && i < RECORDS_MAX; i++)
		if (strcmp(lines->records[i].output, output) == 0)
			return &lines->records[i];
	return NULL;
}

static void remember(struct line_store *store, const char *output, const struct line_times *times)
{
	struct lines *lines = container_of(store, struct lines, store);
	struct record *record = find_record(lines, output);

	if (!record)
		record = find_record(lines, "");
	if (!record)
		return; /* there are no more records than lines that systemd keeps */
	record->times = *times;
	(void)snprintf(record->output, sizeof(record->output), "%s", output);
}

static void forget(struct lines *lines, const char *output)
{
	struct record *record = find_record(lines, output);

	if (record)
		record->output[0] = '\0';
}

static bool is_records(const void *data, const char *name)
{
	(void)data;
	return strcmp(name, RECORDS_NAME) == 0;
}

static struct record *map_records(int fd)
{
	struct stat status;
	void *records;

	if (fstat(fd, &status) < 0 || status.st_size != (off_t)RECORDS_SIZE)
		return NULL;
	records = mmap(NULL, RECORDS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return records == MAP_FAILED ? NULL : records;
}

static int new_records(struct lines *lines)
{
	cleanup(closep) int fd = memfd_create("iotd-times", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)RECORDS_SIZE) < 0)
		return -errno;
	lines->records = map_records(fd);
	return lines->records ? fdstore_put(lines->fdstore, RECORDS_NAME, fd) : -ENOMEM;
}

static void open_records(struct lines *lines)
{
	char name[FDSTORE_NAME_SIZE];
	cleanup(closep) int fd = fdstore_take(lines->fdstore, is_records, NULL, name);

	if (fd < 0)
		return;
	lines->records = map_records(fd);
	if (!lines->records)
		fdstore_remove(lines->fdstore, name);
}

/* --- lines ---------------------------------------------------------------------------------- */

static void store_name(char name[static FDSTORE_NAME_SIZE], const char *output, const char *place)
{
	(void)snprintf(name, FDSTORE_NAME_SIZE, "%s@%s", output, place);
}

/* the place in a stored name if it is one of @output's, else NULL */
static const char *place_of(const char *name, const char *output)
{
	size_t length = strlen(output);

	if (strncmp(name, output, length) != 0 || name[length] != '@' || name[length + 1] == '\0')
		return NULL;
	return name + length + 1;
}

static bool is_of_output(const void *data, const char *name)
{
	return place_of(name, data) != NULL;
}

static bool take(struct line_store *store, const char *output, struct gpio_kept *kept,
		 struct line_times *times)
{
	struct lines *lines = container_of(store, struct lines, store);
	const struct record *record = find_record(lines, output);
	char name[FDSTORE_NAME_SIZE];

	kept->fd = fdstore_take(lines->fdstore, is_of_output, output, name);
	if (kept->fd < 0)
		return false;
	(void)snprintf(kept->place, sizeof(kept->place), "%s", place_of(name, output));
	*times = record ? record->times : (struct line_times){ 0 };
	return true;
}

static const char *put_error(int error)
{
	return error == -ENOSPC ? "FileDescriptorStoreMax= of its unit is too small"
				: strerror(-error);
}

static void put(struct line_store *store, const char *output, const struct gpio_line *line)
{
	struct lines *lines = container_of(store, struct lines, store);
	struct log_fields fields = { .name = output };
	char name[FDSTORE_NAME_SIZE];
	int r;

	store_name(name, output, line->place);
	r = fdstore_put(lines->fdstore, name, line->fd);
	if (r == 0 && !lines->records)
		r = new_records(lines);
	fields.error = r;
	if (r < 0)
		log_event(LOG_WARNING, &fields,
			  "output %s may move when iotd is restarted: systemd cannot be given its "
			  "line: %s",
			  output, put_error(r));
}

static void let_go(struct lines *lines, const char *name)
{
	lines->removed_us = reactor_now(lines->reactor);
	fdstore_remove(lines->fdstore, name);
}

static void remove_line(struct line_store *store, const char *output, const char *place)
{
	struct lines *lines = container_of(store, struct lines, store);
	char name[FDSTORE_NAME_SIZE];

	forget(lines, output);
	store_name(name, output, place);
	let_go(lines, name);
}

static bool is_letting_go(struct line_store *store)
{
	const struct lines *lines = container_of(store, struct lines, store);

	return reactor_now(lines->reactor) < lines->removed_us + LET_GO_US;
}

/* --- life ----------------------------------------------------------------------------------- */

static bool is_any(const void *data, const char *name)
{
	(void)data;
	(void)name;
	return true;
}

void lines_release_others(struct lines *lines)
{
	char name[FDSTORE_NAME_SIZE];
	int fd;

	while ((fd = fdstore_take(lines->fdstore, is_any, NULL, name)) >= 0) {
		log_notice("%s was kept from an earlier run, and is let go: no output wants it",
			   name);
		closep(&fd);
		let_go(lines, name);
		name[strcspn(name, "@")] = '\0';
		forget(lines, name);
	}
}

struct line_store *lines_store(struct lines *lines)
{
	return fdstore_has_service(lines->fdstore) ? &lines->store : NULL;
}

int lines_new(struct lines **ret, struct reactor *reactor, struct worker_key *key)
{
	cleanup(lines_freep) struct lines *lines = calloc(1, sizeof(*lines));
	int r;

	if (!lines)
		return -ENOMEM;
	lines->store = (struct line_store){ take, put, remember, remove_line, is_letting_go };
	lines->reactor = reactor;
	lines->removed_us = INT64_MIN / 2;
	r = fdstore_new(&lines->fdstore, key);
	if (r < 0)
		return r;
	open_records(lines);
	*ret = take_ptr(lines);
	return 0;
}

struct lines *lines_free(struct lines *lines)
{
	if (!lines)
		return NULL;
	if (lines->records)
		(void)munmap(lines->records, RECORDS_SIZE);
	fdstore_free(lines->fdstore);
	free(lines);
	return NULL;
}
