/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "iotd/clock.h"
#include "iotd/log.h"
#include "line.h"

#define CONSUMER_PREFIX "iotd:"

static int line_request(struct line *line)
{
	int r;

	line->held = gpio_line_free(line->held);
	line->request.kept = line->kept.fd >= 0 ? &line->kept : NULL;
	r = line->gpio->request(&line->held, &line->request, line->fault);
	if (r < 0)
		return r;
	line->is_adopted = line->kept.fd >= 0;
	line->kept.fd = -1; /* it is the line's now */
	return 0;
}

static int line_job(struct worker_job *job)
{
	struct line *line = container_of(job, struct line, job);
	int r;

	line->fault[0] = '\0';
	switch (line->operation) {
	case LINE_OPEN:
		r = line->is_adopted ? 0 : line_request(line);
		return r < 0 ? r : gpio_line_get(line->held, &line->on);
	case LINE_GET:
		return gpio_line_get(line->held, &line->on);
	case LINE_SET:
		return gpio_line_set(line->held, line->on);
	case LINE_CLOSE:
		line->held = gpio_line_free(line->held);
		return 0;
	}
	return -EINVAL;
}

static void line_destroy(struct line *line)
{
	gpio_line_free(line->held);
	closep(&line->kept.fd);
	free(line->where.chip);
	free(line->where.name);
	free(line);
}

static void line_close(struct line *line)
{
	bool was_closed = line->operation == LINE_CLOSE;

	if (was_closed || line_run(line, LINE_CLOSE, false) < 0)
		line_destroy(line);
}

static void line_job_idle(struct worker_job *job)
{
	struct line *line = container_of(job, struct line, job);

	if (line->is_freed)
		line_close(line);
	else
		future_resolve(&line->back, 0);
}

int line_new(struct line **ret, const struct device_parts *parts, const struct gpio *gpio,
	     struct worker_key *key, const struct gpio_request *request, const char *name)
{
	struct line *line = calloc(1, sizeof(*line));

	if (!line)
		return -ENOMEM;
	(void)snprintf(line->consumer, sizeof(line->consumer), CONSUMER_PREFIX "%s", name);
	line->gpio = gpio;
	line->store = parts->store;
	line->kept.fd = -1;
	line->request = *request;
	line->request.consumer = line->consumer;
	line->request.line = &line->where;
	line->where = *request->line;
	line->where.chip = strdup(request->line->chip);
	line->where.name = request->line->name ? strdup(request->line->name) : NULL;
	if (!line->where.chip || (request->line->name && !line->where.name)) {
		line_destroy(line);
		return -ENOMEM;
	}
	line->key = key;
	line->job.run = line_job;
	line->job.idle = line_job_idle;
	future_init(&line->back, parts->reactor, NULL);
	future_init(&line->hasten, parts->reactor, NULL);
	*ret = line;
	return 0;
}

struct line *line_free(struct line *line)
{
	if (!line)
		return NULL;
	line->is_freed = true;
	if (worker_job_is_idle(&line->job))
		line_close(line);
	return NULL;
}

int line_run(struct line *line, enum line_operation operation, bool on)
{
	if (!worker_job_is_idle(&line->job))
		return -EBUSY;
	line->operation = operation;
	line->on = on;
	future_init(&line->back, line->back.reactor, NULL);
	if (operation == LINE_OPEN ||
	    operation == LINE_SET) /* what comes while it runs may come too late for it */
		future_init(&line->hasten, line->hasten.reactor, NULL);
	return worker_run(line->key, &line->job);
}

/* --- the store ------------------------------------------------------------------------------ */

static const char *line_name(const struct line *line)
{
	return line->consumer + strlen(CONSUMER_PREFIX);
}

bool line_find_kept(struct line *line, struct line_times *times)
{
	if (!line->store || !line->store->take(line->store, line_name(line), &line->kept, times))
		return false;
	memcpy(line->stored, line->kept.place, sizeof(line->stored));
	return true;
}

void line_keep(struct line *line)
{
	const char *place = line->held->place;

	line->is_adopted = false;
	if (!line->store || place[0] == '\0' || strcmp(line->stored, place) == 0)
		return;
	line->store->put(line->store, line_name(line), line->held);
	memcpy(line->stored, place, sizeof(line->stored));
}

void line_remember(struct line *line, const struct line_times *times)
{
	if (line->stored[0] != '\0')
		line->store->remember(line->store, line_name(line), times);
}

void line_forget(struct line *line)
{
	if (line_is_idle(line)) { /* else it is the worker's, and is taken over or found stale */
		closep(&line->kept.fd);
		line->kept.fd = -1;
		line->is_adopted = false;
	}
	if (line->stored[0] != '\0')
		line->store->remove(line->store, line_name(line), line->stored);
	line->stored[0] = '\0';
}

bool line_comes_free(const struct line *line, int error)
{
	return error == -EBUSY && line->store && line->store->is_letting_go(line->store);
}

/* --- telling -------------------------------------------------------------------------------- */

bool line_is_idle(const struct line *line)
{
	return worker_job_is_idle(&line->job);
}

void line_describe(struct line *line, int error, char fault[static 192])
{
	if (!line_is_idle(line))
		(void)snprintf(fault, 192, "no answer within %lld s: %s hangs",
			       LINE_TIMEOUT_US / USEC_PER_SEC, line->request.line->chip);
	else if (error == -ENODEV && line->fault[0] == '\0')
		gpio_describe_gone(fault, line->request.line->chip);
	else
		(void)snprintf(fault, 192, "%s", line->fault[0] ? line->fault : strerror(-error));
}

static int64_t retry_us(unsigned int failures)
{
	int64_t wait_us = USEC_PER_SEC / 2;

	while (failures-- > 1 && wait_us < 10 * USEC_PER_SEC)
		wait_us *= 2;
	return wait_us < 10 * USEC_PER_SEC ? wait_us : 10 * USEC_PER_SEC;
}

int line_await_retry(struct line *line, struct task *task, task_step next)
{
	if (!line_is_idle(line))
		return task_await(task, &line->back, next);
	return task_await_for(task, &line->hasten, retry_us(++line->failures), next);
}

void line_hasten(struct line *line)
{
	line->failures = 0;
	future_resolve(&line->hasten, 0);
}

void line_log_offline(const struct device_parts *parts, enum device_kind kind, const char *name,
		      int error, const char *fault)
{
	struct log_fields fields = { .message_id = MESSAGE_ID_OFFLINE,
				     .name = name,
				     .error = error };

	log_event(LOG_WARNING, &fields, "%s %s: offline: %s%s", device_kind_name(kind), name, fault,
		  parts->is_once ? "" : "; trying again");
}

void line_log_online(enum device_kind kind, const char *name, int64_t age_us, unsigned int failures)
{
	struct log_fields fields = { .message_id = MESSAGE_ID_ONLINE, .name = name };
	char age[32];

	device_format_age(age, sizeof(age), age_us);
	log_event(LOG_NOTICE, &fields, "%s %s: online again after %s, %u failed tries",
		  device_kind_name(kind), name, age, failures);
}
