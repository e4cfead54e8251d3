/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A GPIO line that is asked for, read and driven on its chip's worker: chips behind I2C or SPI
 * block. One operation at a time; its result is a future. Shared by inputs and outputs.
 */

#include <stdbool.h>

#include "device.h"

/* longer than any healthy chip takes */
#define LINE_TIMEOUT_US (3 * USEC_PER_SEC)

#define LINE_SOON_US (20 * USEC_PER_MSEC)

enum line_operation {
	LINE_OPEN,
	LINE_GET,
	LINE_SET,
	LINE_CLOSE
};

struct line {
	const struct gpio *gpio;
	struct gpio_request request;
	struct line_settings where; /* of the request; a copy, for the worker may be late */
	char consumer[NAME_LENGTH + 8];
	struct worker_key *key;
	struct line_store *store;     /* NULL: none */
	char stored[GPIO_PLACE_SIZE]; /* the place of what the store keeps; "": nothing */
	struct worker_job job;
	struct future back;    /* resolved when an abandoned job is back */
	struct future hasten;  /* resolved when the next try shall be now */
	unsigned int failures; /* in a row, since the start or line_hasten() */
	bool is_freed;

	/* with the worker while the job is out */
	enum line_operation operation;
	struct gpio_kept kept; /* to be taken over by LINE_OPEN; fd -1: none */
	bool is_adopted; /* it was, and is what is held; line_keep() makes it a line like others */
	struct gpio_line *held; /* NULL: not ours */
	bool on;		/* what to set; what was read, or is driven after LINE_OPEN */
	char fault[192];
};

/** line_new() - a line that is not held yet; @request without its consumer. Return: 0; -ENOMEM */
int line_new(struct line **ret, const struct device_parts *parts, const struct gpio *gpio,
	     struct worker_key *key, const struct gpio_request *request, const char *name);

/** line_free() - releases it on the worker, as soon as that is back. NULL is fine. Returns NULL */
struct line *line_free(struct line *line);

/**
 * line_run() - begin an operation; await &line->job.future, then look at held, on and fault
 * @on: for LINE_SET
 * Return: 0; -EBUSY one is under way; -EAGAIN no thread.
 */
int line_run(struct line *line, enum line_operation operation, bool on);

/**
 * line_find_kept() - of an output: LINE_OPEN shall take over what the store kept from an earlier run
 * @times: set to what was remembered, if there is such a line. Before the first operation
 */
bool line_find_kept(struct line *line, struct line_times *times);

/** line_keep() - of an output that is held: the store keeps it from now on */
void line_keep(struct line *line);

/** line_remember() - for who takes over what the store keeps */
void line_remember(struct line *line, const struct line_times *times);

/** line_forget() - the store does not keep it, and LINE_OPEN asks for it anew; what is held stays held */
void line_forget(struct line *line);

/** line_comes_free() - @error of LINE_OPEN is the store's doing, which lets go of it: try again after LINE_SOON_US */
bool line_comes_free(const struct line *line, int error);

/** line_is_idle() - true if no operation is under way, so that the fields may be looked at */
bool line_is_idle(const struct line *line);

/** line_describe() - @line->fault for a failed operation: the bus's words, or those of @error */
void line_describe(struct line *line, int error, char fault[static 192]);

/**
 * line_await_retry() - go on with @next to ask for the line once more, whatever the result
 *
 * That is when the operation that hangs is back, else after 0.5 s, with each failure in a row twice
 * that, up to 10 s, or when line_hasten() is called, if that is sooner. Return: as task_await_for().
 */
int line_await_retry(struct line *line, struct task *task, task_step next);

/** line_hasten() - chips came or went: do not wait for the next try, and begin with short waits again */
void line_hasten(struct line *line);

/** line_log_offline(), line_log_online() - the first failure and the recovery of an input or output */
void line_log_offline(const struct device_parts *parts, enum device_kind kind, const char *name,
		      int error, const char *fault);
void line_log_online(enum device_kind kind, const char *name, int64_t age_us,
		     unsigned int failures);
