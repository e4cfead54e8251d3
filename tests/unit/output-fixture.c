/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The fake chip, the rules between outputs, and the set-up: see the header. log_event() is replaced.
 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "output-fixture.h"

#include "iotd/log.h"

struct pin pins[OUTPUTS];
size_t pin_count;
bool interlocked;
char told[1024], driven[1024];
char logs[2048];

static struct worker_key *keys[OUTPUTS];
static struct stats stats;
static pthread_mutex_t driven_mutex = PTHREAD_MUTEX_INITIALIZER; /* each line has its own worker */

/* --- the fake chip -------------------------------------------------------------------------- */

static void drive(struct pin *pin, bool on)
{
	pin->line.level = on;
	(void)pthread_mutex_lock(&driven_mutex);
	text_append(driven, sizeof(driven), "%s%c ", pin->name, on ? '+' : '-');
	(void)pthread_mutex_unlock(&driven_mutex);
}

static int fake_get(struct gpio_line *line, bool *ret_on)
{
	const struct pin *pin = container_of(line, struct pin, line.line);

	*ret_on = pin->line.level;
	return pin->get_error;
}

static int fake_set(struct gpio_line *line, bool on)
{
	struct pin *pin = container_of(line, struct pin, line.line);

	pin->sets++;
	fake_line_pass_gate(&pin->line);
	if (pin->set_error)
		return pin->set_error;
	drive(pin, on);
	return 0;
}

static int fake_read_events(struct gpio_line *line, struct gpio_event *events, size_t count)
{
	(void)line;
	(void)events;
	(void)count;
	return 0;
}

static const struct gpio_ops fake_ops = { fake_get, fake_set, fake_read_events, fake_line_free };

static int fake_request(struct gpio_line **ret, const struct gpio_request *request,
			char fault[static 192])
{
	struct pin *pin = pins;
	int r;

	while (strcmp(pin->name, request->line->chip) != 0)
		pin++;
	r = fake_line_request(&pin->line);
	ck_assert(request->output);
	if (r < 0) {
		(void)snprintf(fault, 192, "held by \"somebody\"");
		return r;
	}
	if (request->kept && strcmp(request->kept->place, pin->place) != 0)
		return -ESTALE;
	if (!request->kept && request->initial != MOVE_KEEP)
		drive(pin, request->initial == MOVE_ON);
	fake_line_take(&pin->line, &fake_ops, ret);
	memcpy((*ret)->place, pin->place, sizeof(pin->place));
	if (request->kept)
		(void)close(request->kept->fd);
	return 0;
}

static const struct gpio fake_gpio = { fake_request };

/* --- what devices tell ---------------------------------------------------------------------- */

static void on_status(struct device_events *events, enum device_kind kind, const char *of,
		      enum device_status status)
{
	(void)events;
	ck_assert_int_eq(kind, DEVICE_OUTPUT);
	text_append(told, sizeof(told), "%s:%s ", of, device_status_name(status));
}

static void on_state(struct device_events *events, const struct state *state)
{
	(void)events;
	ck_assert_int_eq(state->kind, DEVICE_OUTPUT);
	ck_assert_int_le(llabs(state->time_us - clock_realtime_us()), 60 * SECOND);
	text_append(told, sizeof(told), "%s:%s ", state->name, state->on ? "on" : "off");
}

static struct device_events events = { .status = on_status, .state = on_state };
struct device_parts parts = { .events = &events, .stats = &stats };

void log_event(int level, const struct log_fields *fields, const char *format, ...)
{
	size_t length = strlen(logs);
	va_list arguments;

	(void)level;
	(void)fields;
	va_start(arguments, format);
	(void)vsnprintf(logs + length, sizeof(logs) - length, format, arguments);
	va_end(arguments);
	text_append(logs, sizeof(logs), "\n");
}

static const char *blocked_by(struct output_rules *rules, const struct output *output,
			      bool (*is_on)(const struct output *other))
{
	(void)rules;
	for (size_t i = 0; i < 2 && i < pin_count; i++) /* the third one is free */
		if (interlocked && output != pins[2].output && pins[i].output != output &&
		    is_on(pins[i].output))
			return pins[i].name;
	return NULL;
}

static void went_off(struct output_rules *rules, const struct output *output)
{
	(void)rules;
	for (size_t i = 0; i < pin_count; i++)
		if (pins[i].output != output)
			output_wake(pins[i].output);
}

static struct output_rules rules = { blocked_by, went_off };

/* --- tools ---------------------------------------------------------------------------------- */

static void set_up_parts(void)
{
	ck_assert_int_eq(workers_new(&workers, reactor, "work", 4), 0);
	parts.reactor = reactor;
	interlocked = false;
	pin_count = 0;
	told[0] = driven[0] = logs[0] = '\0';
	memset(pins, 0, sizeof(pins));
	for (int i = 0; i < OUTPUTS; i++) {
		struct pin *pin = &pins[i];

		ck_assert_int_eq(worker_key_new(&keys[i], workers, 0), 0);
		*pin = (struct pin){ .name = { (char)('a' + i) }, .line = FAKE_LINE_INIT };
		pin->settings.name = pin->name;
		pin->settings.line.chip = pin->name;
		pin->settings.initial = MOVE_OFF;
		pin->settings.disconnect_after_us = 30 * SECOND;
	}
}

void set_up_virtual(void)
{
	ck_assert_int_eq(reactor_new_virtual(&reactor, 1000000007), 0);
	set_up_parts();
}

void set_up_real(void)
{
	ck_assert_int_eq(reactor_new(&reactor), 0);
	set_up_parts();
}

void tear_down(void)
{
	while (pin_count > 0) {
		pin_count--;
		pins[pin_count].output = output_free(pins[pin_count].output);
	}
	ck_assert_int_eq(workers_free(workers, 20 * SECOND), 0);
	for (int i = 0; i < OUTPUTS; i++) {
		fake_line_close(&pins[i].line);
		worker_key_free(keys[i]);
	}
	reactor = reactor_free(reactor);
}

void make(size_t count)
{
	for (; pin_count < count; pin_count++)
		ck_assert_int_eq(output_new(&pins[pin_count].output, &parts,
					    &pins[pin_count].settings, &fake_gpio, keys[pin_count],
					    &rules),
				 0);
}

void start(size_t count)
{
	make(count);
	run_for(1);
	told[0] = driven[0] = '\0';
}

void on_answer(void *data, int error, const char *fault, const struct state *state)
{
	struct answer *answer = data;

	answer->count++;
	answer->error = error;
	ck_assert((error == 0) == (fault == NULL));
	(void)snprintf(answer->fault, sizeof(answer->fault), "%s", fault ? fault : "");
	answer->state = state ? state->on : -1;
}

struct answer set(int pin, bool on, int64_t for_us)
{
	struct answer answer = { .error = 1 };

	output_set(pins[pin].output, on, for_us, on_answer, &answer);
	run_for(1);
	ck_assert_int_eq(answer.count, 1);
	return answer;
}

void assert_told(const char *expected)
{
	ck_assert_str_eq(told, expected);
	told[0] = '\0';
}

int info_state(int pin)
{
	struct device_info info;

	output_info(pins[pin].output, &info);
	return info.state;
}
