/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The MQTT layer against a real mosquitto on a free port of 127.0.0.1, on the real clock. A second
 * client, the observer, is connected to the same broker and driven by the same reactor.
 *
 * wait_until() turns the reactor until a condition holds, and fails after PATIENCE_US. Brokers die
 * with the test (PR_SET_PDEATHSIG) and are ended by their process id. Included by one program only.
 */
#include <check.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <netdb.h>
#include <netinet/in.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "iotd/clock.h"
#include "iotd/log.h"
#include "iotd/mqtt.h"

#define PATIENCE_US (20 * USEC_PER_SEC)
#define TICK_US	    1000
#define NOON_US	    1795353300123000LL
#define READINGS    500

/* --- what is tested ------------------------------------------------------------------------- */

static struct reactor *reactor;
static struct workers *workers;
static struct spool *spool;
static struct stats stats;
static struct broker_settings brokers[2];
static struct settings settings;
static struct mqtt_events events;
static struct control control;
static struct mqtt *mqtt;
static char directory[64];

static int ups, downs;
static char last_why[256];
static int executed;
static struct command last_command;

static void link_changed(struct mqtt_events *e, bool up, const char *broker, const char *why)
{
	ck_assert_ptr_eq(e, &events);
	ck_assert_ptr_nonnull(broker);
	ck_assert(up == (why == NULL));
	ups += up;
	downs += !up;
	if (why)
		(void)snprintf(last_why, sizeof(last_why), "%s", why);
}

static void execute(struct control *c, struct command *command)
{
	const struct state state = { DEVICE_OUTPUT, command->name, command->on, NOON_US };
	const struct command_result result = { .state = &state, .stats = &stats };

	ck_assert_ptr_eq(c, &control);
	executed++;
	last_command = *command;
	command->done(command, &result);
}

/* --- a resolver that knows two names more ------------------------------------------------------ */

static sem_t resolver_hangs;

/* "two.test" is 127.0.0.2, where nobody listens, and 127.0.0.1; "slow.test" hangs until it may go on */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
		struct addrinfo **ret)
{
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
	int r;

	*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	if (strcmp(name, "slow.test") == 0) {
		(void)sem_wait(&resolver_hangs);
		return EAI_AGAIN;
	}
	if (strcmp(name, "two.test") != 0)
		return real(name, service, hints, ret);
	r = real("127.0.0.2", service, hints, ret);
	if (r != 0)
		return r;
	return real("127.0.0.1", service, hints, &(*ret)->ai_next);
}

/* --- turning the reactor -------------------------------------------------------------------- */

struct wait {
	bool (*holds)(void);
	int64_t until_us;
	bool held;
};

static int wait_step(struct task *task, int result)
{
	struct wait *wait = task_data(task);

	wait->held = wait->holds && wait->holds();
	if (result < 0 || wait->held || reactor_now(reactor) >= wait->until_us)
		return result;
	return task_sleep(task, TICK_US, wait_step);
}

static bool wait_for(bool (*holds)(void), int64_t us)
{
	struct wait wait = { .holds = holds, .until_us = clock_boottime_us() + us };
	struct task *task;

	ck_assert_int_eq(task_spawn(&task, reactor, wait_step, &wait, NULL), 0);
	ck_assert_int_eq(reactor_run(reactor, task), 0);
	task_release(task);
	return wait.held;
}

static void wait_until(bool (*holds)(void))
{
	ck_assert_msg(wait_for(holds, PATIENCE_US),
		      "waited in vain: %" PRIu64 " published, %" PRIu64 " acknowledged, %" PRIu64
		      " queued, %" PRIu64 " in flight; the link's last words: %s",
		      stats.published, stats.acknowledged, stats.queued, stats.in_flight, last_why);
}

static bool is_connected(void)
{
	return mqtt_is_connected(mqtt);
}

static bool is_down(void)
{
	return downs > 0 && !mqtt_is_connected(mqtt);
}

static bool is_empty(void)
{
	return spool_is_empty(spool);
}

/* --- a broker ------------------------------------------------------------------------------- */

static pid_t broker_pid;
static int broker_log = -1;

static int listen_on_loopback(int *ret_port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(fd, 8), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	*ret_port = ntohs(address.sin_port);
	return fd;
}

/*
 * Not one of the kernel's for outgoing connections: somebody would have it when a broker that was away comes
 * back. Others who test here see by a socket with an abstract name, which dies with us, that it is taken
 * (iotd_harness.py).
 */
static int free_port(void)
{
	static int next;
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int port, claim, fd, length, r, yes = 1;

	for (next = next ? next : 20000 + getpid() * 61 % 12000; next < 32768; next++) {
		port = next;
		claim = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		length = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "iotd-test-port-%d",
				  port);
		if (bind(claim, (struct sockaddr *)&name,
			 (socklen_t)(sizeof(sa_family_t) + 1 + (size_t)length)) < 0) {
			(void)close(claim);
			continue;
		}
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		address.sin_port = htons((uint16_t)port);
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
		r = bind(fd, (struct sockaddr *)&address, sizeof(address));
		(void)close(fd);
		if (r == 0)
			return next++; /* and @claim stays */
		(void)close(claim);
	}
	ck_abort_msg("no free port");
	return -1;
}

static void path_of(char *buffer, size_t size, const char *name)
{
	(void)snprintf(buffer, size, "%s/%s", directory, name);
}

static void write_file(const char *name, const char *text)
{
	char path[128];
	FILE *file;

	path_of(path, sizeof(path), name);
	file = fopen(path, "we");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

/* the broker says when it is ready: "mosquitto version … running" */
static void broker_await(void)
{
	char text[8192];
	size_t length = 0;
	ssize_t n;

	do {
		n = read(broker_log, text + length, sizeof(text) - 1 - length);
		ck_assert_msg(n > 0, "the broker ended: %s", text);
		length += (size_t)n;
		text[length] = '\0';
	} while (!strstr(text, " running"));
}

static void __attribute__((noreturn)) broker_exec(int log)
{
	char config[128];

	path_of(config, sizeof(config), "mosquitto.conf");
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)dup2(log, STDERR_FILENO);
	(void)dup2(log, STDOUT_FILENO);
	(void)execlp("mosquitto", "mosquitto", "-c", config, (char *)NULL);
	(void)execl("/usr/sbin/mosquitto", "mosquitto", "-c", config, (char *)NULL);
	_exit(127);
}

static void broker_start(int port, const char *more)
{
	char address[128], config[1024];
	int pipes[2];

	if (port > 0)
		(void)snprintf(address, sizeof(address), "%d 127.0.0.1", port);
	else
		(void)snprintf(address, sizeof(address), "0 %s/socket", directory);
	(void)snprintf(config, sizeof(config), "listener %s\n%s%suser root\nlog_dest stderr\n",
		       address, more,
		       strstr(more, "allow_anonymous") ? "" : "allow_anonymous true\n");
	write_file("mosquitto.conf", config);
	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	broker_pid = fork();
	ck_assert_int_ge(broker_pid, 0);
	if (broker_pid == 0)
		broker_exec(pipes[1]);
	(void)close(pipes[1]);
	broker_log = pipes[0];
	broker_await();
	(void)fcntl(broker_log, F_SETFL, O_NONBLOCK);
}

/* it does nothing more when this returns */
static void broker_freeze(void)
{
	int status;

	ck_assert_int_eq(kill(broker_pid, SIGSTOP), 0);
	ck_assert_int_eq(waitpid(broker_pid, &status, WUNTRACED), broker_pid);
	ck_assert(WIFSTOPPED(status));
}

static void broker_stop(int number)
{
	if (broker_pid <= 0)
		return;
	(void)kill(broker_pid, number);
	(void)kill(broker_pid, SIGCONT);
	(void)waitpid(broker_pid, NULL, 0);
	broker_pid = 0;
	(void)close(broker_log);
	broker_log = -1;
}

/* --- the observer --------------------------------------------------------------------------- */

struct seen {
	char topic[48], payload[256], correlation[16];
	int qos;
	bool retained;
};

static struct {
	struct mosquitto *handle;
	struct reactor_io io;
	struct seen *seen;
	size_t count, bytes;
	bool subscribed;
} observer;

static void observer_message(struct mosquitto *handle, void *data,
			     const struct mosquitto_message *message,
			     const mosquitto_property *properties)
{
	struct seen *seen = &observer.seen[observer.count];
	uint16_t length = 0;
	void *correlation = NULL;

	(void)handle;
	(void)data;
	observer.bytes += (size_t)message->payloadlen;
	if (observer.count == 4000)
		return;
	memset(seen, 0, sizeof(*seen));
	(void)snprintf(seen->topic, sizeof(seen->topic), "%s", message->topic);
	(void)snprintf(seen->payload, sizeof(seen->payload), "%.*s", message->payloadlen,
		       message->payloadlen > 0 ? (const char *)message->payload : "");
	seen->qos = message->qos;
	seen->retained = message->retain;
	(void)mosquitto_property_read_binary(properties, MQTT_PROP_CORRELATION_DATA, &correlation,
					     &length, false);
	if (correlation)
		memcpy(seen->correlation, correlation, length < 15 ? length : 15);
	free(correlation);
	observer.count++;
}

static void observer_subscribed(struct mosquitto *handle, void *data, int mid, int count,
				const int *granted, const mosquitto_property *properties)
{
	(void)handle;
	(void)data;
	(void)mid;
	(void)count;
	(void)granted;
	(void)properties;
	observer.subscribed = true;
}

static void observer_ready(struct reactor_io *io, uint32_t bits)
{
	(void)bits;
	if (mosquitto_loop_read(observer.handle, 1) != MOSQ_ERR_SUCCESS ||
	    mosquitto_socket(observer.handle) < 0) {
		reactor_remove_io(io);
		return;
	}
	while (mosquitto_want_write(observer.handle))
		if (mosquitto_loop_write(observer.handle, 1) != MOSQ_ERR_SUCCESS)
			break;
}

static bool observer_is_subscribed(void)
{
	return observer.subscribed;
}

static void observer_open(int port, const char *user, const char *password)
{
	observer.handle = mosquitto_new("observer", true, NULL);
	ck_assert_ptr_nonnull(observer.handle);
	(void)mosquitto_int_option(observer.handle, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
	(void)mosquitto_int_option(observer.handle, MOSQ_OPT_RECEIVE_MAXIMUM, 1000);
	(void)mosquitto_username_pw_set(observer.handle, user, password);
	mosquitto_message_v5_callback_set(observer.handle, observer_message);
	mosquitto_subscribe_v5_callback_set(observer.handle, observer_subscribed);
	ck_assert_int_eq(mosquitto_connect(observer.handle, "127.0.0.1", port, 600),
			 MOSQ_ERR_SUCCESS);
	observer.io.ready = observer_ready;
	ck_assert_int_eq(
		reactor_add_io(reactor, &observer.io, mosquitto_socket(observer.handle), EPOLLIN),
		0);
	ck_assert_int_eq(mosquitto_subscribe(observer.handle, NULL, "#", 2), MOSQ_ERR_SUCCESS);
	observer.subscribed = false;
	wait_until(observer_is_subscribed);
}

static void observer_close(void)
{
	if (!observer.handle)
		return;
	reactor_remove_io(&observer.io);
	mosquitto_destroy(observer.handle);
	observer.handle = NULL;
}

static void observer_publish(const char *topic, const char *payload, bool retain,
			     const char *response)
{
	mosquitto_property *properties = NULL;

	if (response) {
		ck_assert_int_eq(mosquitto_property_add_string(&properties,
							       MQTT_PROP_RESPONSE_TOPIC, response),
				 0);
		ck_assert_int_eq(mosquitto_property_add_binary(
					 &properties, MQTT_PROP_CORRELATION_DATA, "c17", 3),
				 0);
	}
	ck_assert_int_eq(mosquitto_publish_v5(observer.handle, NULL, topic, (int)strlen(payload),
					      payload, 1, retain, properties),
			 MOSQ_ERR_SUCCESS);
	mosquitto_property_free_all(&properties);
}

static const char *wanted_topic, *wanted_payload;

static const struct seen *find_seen(const char *topic, const char *payload)
{
	for (size_t i = 0; i < observer.count; i++)
		if (strcmp(observer.seen[i].topic, topic) == 0 &&
		    (!payload || strcmp(observer.seen[i].payload, payload) == 0))
			return &observer.seen[i];
	return NULL;
}

static bool is_seen(void)
{
	return find_seen(wanted_topic, wanted_payload) != NULL;
}

/* wait until the observer got @payload, NULL: any, on @topic */
static const struct seen *await_message(const char *topic, const char *payload)
{
	wanted_topic = topic;
	wanted_payload = payload;
	wait_until(is_seen);
	return find_seen(topic, payload);
}

/* --- life ----------------------------------------------------------------------------------- */

static void use_broker(size_t i, const char *host, int port)
{
	char url[128];

	free(brokers[i].url);
	free(brokers[i].host);
	(void)snprintf(url, sizeof(url), "mqtt://%s:%d", host, port);
	brokers[i].url = strdup(url);
	brokers[i].host = strdup(host);
	brokers[i].port = port;
	brokers[i].scheme = port > 0 ? MQTT_TCP : MQTT_UNIX;
	settings.mqtt.broker_count = i + 1;
}

static void setup(void)
{
	static char client_id[] = "iotd-test", topic[] = "iotd/t";
	static const struct spool_settings spool_settings = { .max_size = 64 << 20 };
	struct spool_parts spool_parts = { .settings = &spool_settings, .stats = &stats };

	(void)signal(SIGPIPE, SIG_IGN);
	(void)strcpy(directory, "/tmp/test-mqtt-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	log_set_level(LOG_ERR);
	(void)sem_init(&resolver_hangs, 0, 0);
	settings = (struct settings){
		.mqtt = { .brokers = brokers,
			  .protocol = 5,
			  .client_id = client_id,
			  .topic = topic,
			  .qos = 1,
			  .keepalive_us = 30 * USEC_PER_SEC,
			  .reconnect_min_us = 20000,
			  .reconnect_max_us = 100000 },
		.commands.enabled = true,
	};
	for (int i = 0; i < COMMAND_KINDS; i++)
		settings.commands.allow[i] = true;
	observer.seen = calloc(4001, sizeof(*observer.seen));
	events.link_changed = link_changed;
	control.execute = execute;
	ck_assert_int_eq(reactor_new(&reactor), 0);
	ck_assert_int_eq(workers_new(&workers, reactor, "work", 2), 0);
	spool_parts.reactor = reactor;
	ck_assert_int_eq(spool_new(&spool, &spool_parts), 0);
}

static void start(void)
{
	const struct mqtt_parts parts = { reactor,  workers, &settings, spool,
					  &control, &events, &stats };

	ck_assert_int_eq(mqtt_new(&mqtt, &parts), 0);
}

static void remove_files(void)
{
	static const char *const names[] = { "mosquitto.conf", "password", "passwd", "acl",
					     "socket" };
	char path[128];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		path_of(path, sizeof(path), names[i]);
		(void)unlink(path);
	}
	(void)rmdir(directory);
}

static void teardown(void)
{
	mqtt = mqtt_free(mqtt);
	observer_close();
	ck_assert_int_eq(workers_free(workers, 20 * USEC_PER_SEC), 0);
	spool = spool_free(spool);
	reactor = reactor_free(reactor);
	broker_stop(SIGKILL);
	for (size_t i = 0; i < ARRAY_SIZE(brokers); i++) {
		free(brokers[i].url);
		free(brokers[i].host);
	}
	free(observer.seen);
	(void)mosquitto_lib_cleanup();
	remove_files();
}

/* a broker with an observer, and the settings point to it. Return: its port */
static int start_broker(const char *more)
{
	int port = free_port();

	broker_start(port, more);
	use_broker(0, "127.0.0.1", port);
	if (!strstr(more, "allow_anonymous"))
		observer_open(port, NULL, NULL);
	return port;
}

static void publish_readings(int first, int count, uint8_t qos)
{
	struct message *message;
	char text[32];

	for (int i = first; i < first + count; i++) {
		int length = snprintf(text, sizeof(text), "%d", i);

		ck_assert_int_eq(message_new(&message, "iotd/t/sensor/air", text, (size_t)length),
				 0);
		message->qos = qos;
		mqtt_publish(mqtt, message);
	}
}

static void publish_state(const char *topic, const char *text)
{
	struct message *message;

	ck_assert_int_eq(message_new(&message, topic, text, strlen(text)), 0);
	mqtt_publish_state(mqtt, message);
}

static struct future *stopping;

static bool is_stopped(void)
{
	return future_result(stopping) != -EINPROGRESS;
}

/* Return: what mqtt_stop() ends with */
static int stop_within(int64_t us)
{
	stopping = mqtt_stop(mqtt, clock_boottime_us() + us);
	wait_until(is_stopped);
	return future_result(stopping);
}

static size_t readings_seen(void)
{
	size_t count = 0;

	for (size_t i = 0; i < observer.count; i++)
		count += strcmp(observer.seen[i].topic, "iotd/t/sensor/air") == 0;
	return count;
}

static bool all_readings_seen(void)
{
	return readings_seen() >= READINGS;
}
