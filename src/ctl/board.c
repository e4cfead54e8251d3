/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Devices are found by a sorted list of their names, for there may be ten thousand, and each reading looks
 * for one. All histories together have a bound, so with many rows each gets fewer samples.
 */
#include "board.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define SAMPLES	      ((size_t)1024 * 1024) /* of all histories: 32 MiB */
#define SAMPLES_LEAST 16
#define SAMPLES_MOST  2048

struct board {
	struct board_filter filter;
	int64_t span_us;
	struct devices devices;
	struct row *rows;
	size_t count;
	size_t *by_name; /* indexes of devices */
	size_t *first;	 /* of each device: its first row */
};

bool filter_has(const struct board_filter *filter, const struct device *device, const char *channel)
{
	size_t length = strlen(device->name);

	for (size_t i = 0; i < filter->count; i++) {
		const char *name = filter->names[i];

		if (strncmp(name, device->name, length) != 0)
			continue;
		if (name[length] == '\0' ||
		    (name[length] == '.' && channel && strcmp(name + length + 1, channel) == 0))
			return true;
	}
	return filter->count == 0;
}

int board_new(struct board **ret, const struct board_filter *filter, int64_t span_us)
{
	struct board *board = calloc(1, sizeof(*board));

	if (!board)
		return -ENOMEM;
	board->filter = *filter;
	board->span_us = span_us;
	*ret = board;
	return 0;
}

static void clear(struct board *board)
{
	for (size_t i = 0; i < board->count; i++)
		history_free(board->rows[i].history);
	free(board->rows);
	free(board->by_name);
	free(board->first);
	devices_free(&board->devices);
}

static void clear_freep(struct board *board)
{
	clear(board);
}

struct board *board_free(struct board *board)
{
	if (board)
		clear(board);
	free(board);
	return NULL;
}

/* --- The daemon's list -------------------------------------------------------------------------- */

static int compare(const void *left, const void *right, void *data)
{
	const struct devices *devices = data;
	const size_t *a = left, *b = right;

	return strcmp(devices->list[*a].name, devices->list[*b].name);
}

static size_t rows_of(const struct device *device)
{
	return device->channel_count > 0 ? device->channel_count : 1;
}

static const char *channel_name(const struct device *device, size_t channel)
{
	return device->channel_count > 0 ? device->channels[channel].name : NULL;
}

static size_t capacity_for(size_t rows)
{
	size_t samples = SAMPLES / (rows > 0 ? rows : 1);

	if (samples < SAMPLES_LEAST)
		return SAMPLES_LEAST;
	return samples < SAMPLES_MOST ? samples : SAMPLES_MOST;
}

static int add_rows(struct board *next, struct device *device, size_t capacity)
{
	int r;

	for (size_t i = 0; i < rows_of(device); i++) {
		struct row *row = &next->rows[next->count];

		if (!filter_has(&next->filter, device, channel_name(device, i)))
			continue;
		*row = (struct row){ .device = device, .channel = i, .value = (double)NAN };
		r = history_new(&row->history, next->span_us, capacity);
		if (r < 0)
			return r;
		next->count++;
	}
	return 0;
}

/* devices without a row are of no interest */
static int make_rows(struct board *next)
{
	size_t rows = 0;
	int r;

	for (size_t i = 0; i < next->devices.count; i++)
		rows += rows_of(&next->devices.list[i]);
	next->rows = calloc(rows + 1, sizeof(*next->rows));
	next->by_name = calloc(next->devices.count + 1, sizeof(*next->by_name));
	next->first = calloc(next->devices.count + 1, sizeof(*next->first));
	if (!next->rows || !next->by_name || !next->first)
		return -ENOMEM;
	for (size_t i = 0; i < next->devices.count; i++) {
		next->by_name[i] = i;
		next->first[i] = next->count;
		r = add_rows(next, &next->devices.list[i], capacity_for(rows));
		if (r < 0)
			return r;
	}
	next->first[next->devices.count] = next->count;
	qsort_r(next->by_name, next->devices.count, sizeof(*next->by_name), compare,
		&next->devices);
	return 0;
}

/* Return: its index; -1: there is none */
static ssize_t find_device(const struct board *board, const char *name)
{
	size_t low = 0, high = board->devices.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(name, board->devices.list[board->by_name[middle]].name);

		if (order == 0)
			return (ssize_t)board->by_name[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return -1;
}

static double reading_of(const struct row *row)
{
	const struct device_channel *channel = row_channel(row);

	if (channel)
		return channel->number;
	return row->device->state < 0 ? (double)NAN : row->device->state;
}

/* what the device says of it, unless that is in the history */
static void keep_sample(struct row *row)
{
	uint64_t time_us = row->device->time_us;

	if (!isfinite(reading_of(row)))
		return;
	row->value = reading_of(row);
	if (time_us == 0 || time_us > INT64_MAX || time_us == row->time_us)
		return;
	row->time_us = time_us;
	row->is_gap = false;
	history_add(row->history, (int64_t)time_us, row->value);
}

static void keep_gap(struct row *row, int64_t now_us)
{
	row->is_gap = true;
	history_add(row->history, now_us, (double)NAN); /* one gap behind another is none */
}

static void keep_state(struct row *row, int64_t now_us)
{
	keep_sample(row);
	if (row->device->status == STATUS_OFFLINE)
		keep_gap(row, now_us);
	else if (row->is_gap && row->device->interval_us == 0 && isfinite(row->value)) {
		row->is_gap = false; /* a line that has not moved meanwhile */
		history_add(row->history, now_us, row->value);
	}
}

/* the row of the same channel before; NULL: there was none */
static struct row *row_before(struct board *board, const struct row *row)
{
	const char *channel = channel_name(row->device, row->channel), *before;
	ssize_t device = find_device(board, row->device->name);

	if (device < 0)
		return NULL;
	for (size_t i = board->first[device]; i < board->first[device + 1]; i++) {
		before = channel_name(board->rows[i].device, board->rows[i].channel);
		if (channel && before ? strcmp(channel, before) == 0 : channel == before)
			return &board->rows[i];
	}
	return NULL;
}

static void take_history(struct board *board, struct row *row)
{
	struct row *before = row_before(board, row);

	if (!before)
		return;
	history_free(row->history);
	row->history = take_ptr(before->history);
	row->value = before->value;
	if (row->device->time_us == 0)
		row->device->time_us = before->device->time_us;
	row->time_us = before->time_us;
	row->is_gap = before->is_gap;
}

int board_update(struct board *board, struct devices *devices, int64_t now_us)
{
	cleanup(clear_freep) struct board next = *board;
	struct board before;
	int r;

	next.devices = *devices;
	next.rows = NULL;
	next.by_name = next.first = NULL;
	next.count = 0;
	r = make_rows(&next);
	if (r < 0) {
		next.devices = (struct devices){ 0 }; /* they stay the caller's */
		return r;
	}
	for (size_t i = 0; i < next.count; i++) {
		take_history(board, &next.rows[i]);
		keep_state(&next.rows[i], now_us);
	}
	before = *board;
	*board = next;
	next = before; /* freed */
	*devices = (struct devices){ 0 };
	return 0;
}

void board_interrupt(struct board *board, int64_t now_us)
{
	for (size_t i = 0; i < board->count; i++)
		keep_gap(&board->rows[i], now_us);
}

/* --- Readings ----------------------------------------------------------------------------------- */

struct device *board_device(const struct board *board, const char *name)
{
	ssize_t index = find_device(board, name);

	if (index < 0 || board->first[index] == board->first[index + 1])
		return NULL;
	return &board->devices.list[index];
}

struct device *board_read(struct board *board, const char *name, sd_bus_message *message)
{
	struct device *device = board_device(board, name);
	size_t index;

	if (!device)
		return NULL;
	device_forget_values(device);
	if (device_read_values(device, message) < 0)
		return NULL;
	index = (size_t)(device - board->devices.list);
	for (size_t i = board->first[index]; i < board->first[index + 1]; i++)
		keep_sample(&board->rows[i]);
	return device;
}

size_t board_count(const struct board *board)
{
	return board->count;
}

const struct row *board_row(const struct board *board, size_t index)
{
	return &board->rows[index];
}

const struct devices *board_devices(const struct board *board)
{
	return &board->devices;
}

ssize_t board_find(const struct board *board, const char *name)
{
	char *names[] = { NULL };
	struct board_filter filter = { .names = names, .count = 1 };
	cleanup(freep) char *copy = strdup(name);

	names[0] = copy;
	for (size_t i = 0; copy && i < board->count; i++) {
		const struct row *row = &board->rows[i];

		if (filter_has(&filter, row->device, channel_name(row->device, row->channel)))
			return (ssize_t)i;
	}
	return -1;
}

/* Is it of a sensor whose chip has yet to say what it measures? */
static bool is_to_come(const struct board *board, const char *name)
{
	cleanup(freep) char *copy = strndup(name, strcspn(name, "."));
	ssize_t index = copy ? find_device(board, copy) : -1;

	return index >= 0 && board->devices.list[index].kind == DEVICE_SENSOR &&
	       board->devices.list[index].channel_count == 0;
}

const char *board_lacks(const struct board *board)
{
	for (size_t i = 0; i < board->filter.count; i++)
		if (board_find(board, board->filter.names[i]) < 0 &&
		    !is_to_come(board, board->filter.names[i]))
			return board->filter.names[i];
	return NULL;
}

bool device_is_late(const struct device *device, int64_t now_us, unsigned int intervals)
{
	int64_t age_us = device_last_us(device, now_us);

	return device->interval_us > 0 && device->interval_us < INT64_MAX / 8 &&
	       device->status != STATUS_OFFLINE && age_us >= 0 &&
	       (uint64_t)age_us > intervals * device->interval_us;
}
