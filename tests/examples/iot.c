/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The key pattern: sensor, publisher and commands are tasks, gathered on one loop.
 *
 *	async def main():
 *		await asyncio.to_thread(connect)
 *		await asyncio.gather(sensor(), publisher(), commands(), heartbeat())
 *
 * - What blocks runs on a worker: connecting, and a sensor whose read takes 300 ms. The loop goes
 *   on meanwhile; the heartbeat, due every 20 ms, measures how late it is because of others.
 * - The library's callbacks only record: they resolve a future, and a task goes on.
 * - The handle has one owner at a time: the worker that connects, then the loop.
 * - "stop" ends the task of the commands with -ECANCELED, and so the gather, and so the others.
 *
 * usage: iot PORT; publishes iot/reading and iot/beat, listens to iot/command, answers on
 * iot/reply.
 */
#include <errno.h>
#include <mosquitto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "iotd/clock.h"
#include "iotd/worker.h"

#define READ_TAKES_US	  (300 * USEC_PER_MSEC)
#define BEAT_INTERVAL_US  (20 * USEC_PER_MSEC)
#define TICK_INTERVAL_US  USEC_PER_SEC
#define STOP_TIMEOUT_US	  (2 * USEC_PER_SEC)
#define KEEPALIVE_SECONDS 30

enum {
	SENSOR,
	PUBLISHER,
	COMMANDS,
	HEARTBEAT,
	TASKS
};

struct iot {
	int port;
	struct reactor *reactor;
	struct workers *workers;
	struct worker_key *sensor_key, *broker_key;

	struct mosquitto *client;
	struct worker_job connect;
	struct reactor_io io;
	struct reactor_timer tick;
	struct future connected, command; /* resolved by the library's callbacks */
	char word[16];			  /* of the command */

	struct worker_job read;
	int count;	       /* of the readings */
	struct future reading; /* resolved by the sensor, awaited by the publisher */
	int64_t beat_due_us;

	struct task *tasks[TASKS], *all;
};

/* --- the broker, on the loop ---------------------------------------------------------------- */

/* after each call that may have written: ask for EPOLLOUT as long as something waits */
static void broker_watch(struct iot *iot)
{
	(void)reactor_modify_io(&iot->io,
				mosquitto_want_write(iot->client) ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void broker_check(struct iot *iot, int error)
{
	if (error == MOSQ_ERR_SUCCESS) {
		broker_watch(iot);
		return;
	}
	reactor_remove_io(&iot->io); /* the library has closed it */
	future_reject(&iot->connected, -ENOTCONN);
	future_reject(&iot->command, -ENOTCONN);
}

static void broker_ready(struct reactor_io *io, uint32_t events)
{
	struct iot *iot = container_of(io, struct iot, io);
	int error = MOSQ_ERR_SUCCESS;

	if (events & EPOLLOUT)
		error = mosquitto_loop_write(iot->client, 1);
	if (error == MOSQ_ERR_SUCCESS && events & ~(uint32_t)EPOLLOUT)
		error = mosquitto_loop_read(iot->client, 1);
	broker_check(iot, error);
}

static void broker_tick(struct reactor_timer *timer)
{
	struct iot *iot = container_of(timer, struct iot, tick);

	broker_check(iot, mosquitto_loop_misc(iot->client)); /* the keepalive */
	(void)reactor_set_timer(iot->reactor, timer, reactor_now(iot->reactor) + TICK_INTERVAL_US);
}

static void broker_publish(struct iot *iot, const char *topic, const char *text)
{
	broker_check(iot, mosquitto_publish(iot->client, NULL, topic, (int)strlen(text), text, 0,
					    false));
}

static void on_connack(struct mosquitto *client, void *data, int code)
{
	struct iot *iot = data;

	(void)client;
	if (code == 0)
		future_resolve(&iot->connected, 0);
	else
		future_reject(&iot->connected, -ECONNREFUSED);
}

static void on_message(struct mosquitto *client, void *data,
		       const struct mosquitto_message *message)
{
	struct iot *iot = data;
	size_t length = (size_t)message->payloadlen;

	(void)client;
	if (iot->command.done || length >= sizeof(iot->word))
		return; /* one at a time, and no command is that long */
	memcpy(iot->word, message->payload, length);
	iot->word[length] = '\0';
	future_resolve(&iot->command, 0);
}

/* --- sensor: read on a worker, hand the reading on ------------------------------------------ */

static int sensor_read(struct worker_job *job)
{
	static const struct timespec slow_hardware = { .tv_nsec = READ_TAKES_US * NSEC_PER_USEC };

	(void)job;
	(void)nanosleep(&slow_hardware, NULL);
	return 21;
}

static int sensor_step(struct task *task, int result)
{
	struct iot *iot = task_data(task);
	int r;

	if (result < 0)
		return result;
	if (result > 0) { /* a temperature; at first there is none */
		iot->count++;
		future_resolve(&iot->reading, result);
	}
	r = worker_run(iot->sensor_key, &iot->read);
	if (r < 0)
		return r;
	return task_await(task, &iot->read.future, sensor_step);
}

/* --- publisher: send each reading ----------------------------------------------------------- */

static int publisher_step(struct task *task, int result)
{
	struct iot *iot = task_data(task);
	char text[64];

	if (result < 0)
		return result;
	if (result > 0) {
		(void)snprintf(text, sizeof(text), "{\"count\":%d,\"celsius\":%d}", iot->count,
			       result);
		broker_publish(iot, "iot/reading", text);
	}
	future_init(&iot->reading, iot->reactor, NULL);
	return task_await(task, &iot->reading, publisher_step);
}

/* --- commands: answer each, until "stop" ---------------------------------------------------- */

static int commands_step(struct task *task, int result)
{
	struct iot *iot = task_data(task);

	if (result < 0)
		return result;
	if (iot->command.done) {
		printf("command: %s\n", iot->word);
		broker_publish(iot, "iot/reply",
			       strcmp(iot->word, "ping") == 0 ? "pong" : iot->word);
		if (strcmp(iot->word, "stop") == 0)
			return -ECANCELED;
	}
	future_init(&iot->command, iot->reactor, NULL);
	return task_await(task, &iot->command, commands_step);
}

/* --- heartbeat: every 20 ms, without drift -------------------------------------------------- */

static int heartbeat_step(struct task *task, int result)
{
	struct iot *iot = task_data(task);
	char text[64];

	if (result < 0)
		return result;
	if (iot->beat_due_us == 0)
		iot->beat_due_us = reactor_now(iot->reactor);
	(void)snprintf(text, sizeof(text), "%lld",
		       (long long)(clock_boottime_us() - iot->beat_due_us));
	broker_publish(iot, "iot/beat", text);
	iot->beat_due_us += BEAT_INTERVAL_US;
	return task_sleep_until(task, iot->beat_due_us, heartbeat_step);
}

/* --- main: connect, gather, stop ------------------------------------------------------------ */

static int broker_connect(struct worker_job *job)
{
	struct iot *iot = container_of(job, struct iot, connect);

	return mosquitto_connect(iot->client, "127.0.0.1", iot->port, KEEPALIVE_SECONDS) ==
			       MOSQ_ERR_SUCCESS
		       ? 0
		       : -ECONNREFUSED;
}

static int main_gathered(struct task *task, int result)
{
	static const char *const names[TASKS] = { "sensor", "publisher", "commands", "heartbeat" };
	struct iot *iot = task_data(task);

	for (int i = 0; i < TASKS; i++)
		if (task_result(iot->tasks[i]) == -ECANCELED)
			printf("ended: %s\n", names[i]);
	return result == -ECANCELED ? 0 : result;
}

static int main_connected(struct task *task, int result)
{
	static const task_step steps[TASKS] = { sensor_step, publisher_step, commands_step,
						heartbeat_step };
	struct iot *iot = task_data(task);

	if (result < 0)
		return result;
	puts("connected");
	broker_check(iot, mosquitto_subscribe(iot->client, NULL, "iot/command", 1));
	future_init(&iot->command, iot->reactor, NULL);
	for (int i = 0; i < TASKS; i++) {
		result = task_spawn(&iot->tasks[i], iot->reactor, steps[i], iot, NULL);
		if (result < 0)
			return result;
	}
	result = task_gather(&iot->all, iot->reactor, iot->tasks, TASKS);
	if (result < 0)
		return result;
	return task_await(task, task_future(iot->all), main_gathered);
}

static int main_has_socket(struct task *task, int result)
{
	struct iot *iot = task_data(task);

	if (result < 0)
		return result;
	future_init(&iot->connected, iot->reactor, NULL);
	result = reactor_add_io(iot->reactor, &iot->io, mosquitto_socket(iot->client), EPOLLIN);
	if (result < 0)
		return result;
	broker_tick(&iot->tick);
	return task_await(task, &iot->connected, main_connected);
}

static int main_started(struct task *task, int result)
{
	struct iot *iot = task_data(task);

	result = worker_run(iot->broker_key, &iot->connect);
	if (result < 0)
		return result;
	return task_await(task, &iot->connect.future, main_has_socket);
}

static void main_ended(struct task *task)
{
	struct iot *iot = task_data(task);

	iot->all = task_release(iot->all);
	for (int i = 0; i < TASKS; i++) {
		if (iot->tasks[i])
			task_cancel(iot->tasks[i]);
		iot->tasks[i] = task_release(iot->tasks[i]);
	}
	reactor_stop_timer(&iot->tick);
	reactor_remove_io(&iot->io);
}

static int run(struct iot *iot)
{
	struct task *task;
	int r;

	r = reactor_new(&iot->reactor);
	if (r < 0)
		return r;
	r = workers_new(&iot->workers, iot->reactor, "work", 2);
	if (r < 0)
		return r;
	r = worker_key_new(&iot->sensor_key, iot->workers, 0);
	if (r < 0)
		return r;
	r = worker_key_new(&iot->broker_key, iot->workers, 0);
	if (r < 0)
		return r;
	iot->client = mosquitto_new(NULL, true, iot);
	if (!iot->client)
		return -errno;
	(void)mosquitto_int_option(iot->client, MOSQ_OPT_TCP_NODELAY,
				   1); /* else replies wait 40 ms for an ACK */
	mosquitto_connect_callback_set(iot->client, on_connack);
	mosquitto_message_callback_set(iot->client, on_message);
	r = task_spawn(&task, iot->reactor, main_started, iot, main_ended);
	if (r < 0)
		return r;
	r = reactor_run(iot->reactor, task);
	task_release(task);
	return r;
}

/* takes everything back in reverse order, however far run() came */
static void clean_up(struct iot *iot)
{
	if (workers_free(iot->workers, STOP_TIMEOUT_US) < 0)
		_Exit(EXIT_FAILURE); /* a worker hangs: nothing that it uses may be freed */
	worker_key_free(iot->sensor_key);
	worker_key_free(iot->broker_key);
	if (iot->client) {
		(void)mosquitto_disconnect(iot->client);
		mosquitto_destroy(iot->client);
	}
	reactor_free(iot->reactor);
}

int main(int argc, char **argv)
{
	struct iot iot = { .connect.run = broker_connect,
			   .read.run = sensor_read,
			   .io.ready = broker_ready,
			   .tick.fire = broker_tick,
			   .port = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 1883 };
	int r;

	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	(void)mosquitto_lib_init();
	r = run(&iot);
	if (r < 0)
		fprintf(stderr, "iot: %s\n", strerror(-r));
	clean_up(&iot);
	(void)mosquitto_lib_cleanup();
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
