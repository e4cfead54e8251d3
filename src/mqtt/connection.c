/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One connection to a broker: the half of the link that runs on a worker.
 *
 * The library blocks while it resolves a name (10 to 20 s when the resolver is dead) and has no time-out
 * for anything before the CONNACK, so a worker job does all of that: it resolves by itself, tries
 * one address after the other (the library's own non-blocking connect takes only the first, so a
 * broker that listens on 127.0.0.1 only would be missed behind "localhost" = ::1), and drives the
 * handshake by poll() to the CONNACK, with a deadline for the whole. Only then does the reactor get
 * the handle.
 *
 * Each connection is a struct mosquitto of its own with a clean start: its queue has no limit and
 * keeps what was published while offline, so nothing may ever stay in it from one connection to the
 * next. What has to be sent again is known to the spool and the retained states.
 *
 * Once TCP is connected the library's bytes go through a valve (valve.c), also for the handshake.
 * Until then it must not send any, though TCP may be connected before the call that asks for it is
 * back: it is told that threads are at work (mosquitto_threaded_set()), which makes it queue what it
 * has to send. With TLS the session is made in between, so not a byte of MQTT leaves in the clear.
 *
 * What the library tells by its callbacks is in connection-records.c; what is published, in connection-publish.c.
 */
#include <errno.h>
#include <mqtt_protocol.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "connection-parts.h"
#include "connection.h"
#include "iotd/clock.h"
#include "words.h"

#define CONNECT_TIMEOUT_US (10 * USEC_PER_SEC)
#define TICK_MS		   100 /* how soon a cancelled attempt lets go of its worker */
#define KEEPALIVE_MIN_S	   5   /* the library refuses less */

/* --- bytes ---------------------------------------------------------------------------------- */

/* does the library still have to read? Before the CONNACK is looked at it reads no further */
static bool connection_has_input(const struct connection *c)
{
	int unread = 0, fd = mosquitto_socket(c->handle);

	if (fd < 0 || (c->answered && !c->adopted))
		return false;
	return ioctl(fd, FIONREAD, &unread) == 0 && unread > 0;
}

int connection_digest(struct connection *c)
{
	int code = MOSQ_ERR_SUCCESS;

	while (code == MOSQ_ERR_SUCCESS && c->lost == 0 && connection_has_input(c))
		code = mosquitto_loop_read(c->handle, 1);
	/* not for the library to find: at an end within a packet it looks at an errno of long ago */
	if (code == MOSQ_ERR_SUCCESS && c->valve.ended)
		return MOSQ_ERR_CONN_LOST;
	return code;
}

int connection_take_in(struct connection *c)
{
	int r, code;

	do { /* a TLS record is 16 KiB at most, so this ends soon */
		r = valve_fill(&c->valve);
		if (r == -EPROTO)
			return MOSQ_ERR_PROTOCOL;
		code = connection_digest(c);
	} while (r == 0 && code == MOSQ_ERR_SUCCESS && valve_has_more(&c->valve));
	if (r == -ECONNABORTED && c->valve.tls)
		return MOSQ_ERR_TLS;
	if (r == 0 || r == -ECONNRESET || code != MOSQ_ERR_CONN_LOST)
		return code;
	errno = -r;
	return MOSQ_ERR_ERRNO;
}

int connection_flush(struct connection *c, bool *ret_full)
{
	int code = MOSQ_ERR_SUCCESS;

	*ret_full = valve_drain(&c->valve) > 0;
	while (!*ret_full && code == MOSQ_ERR_SUCCESS && mosquitto_socket(c->handle) >= 0 &&
	       mosquitto_want_write(c->handle)) {
		code = mosquitto_loop_write(c->handle, 1);
		*ret_full = valve_drain(&c->valve) > 0;
	}
	if (*ret_full || code != MOSQ_ERR_SUCCESS || c->release_count == 0)
		return code;
	if (connection_release(c) < 0)
		return MOSQ_ERR_NOMEM;
	*ret_full = valve_drain(&c->valve) > 0;
	return code;
}

/* --- on the worker -------------------------------------------------------------------------- */

static int connection_fail(struct connection *c, const char *why)
{
	if (why != c->why)
		(void)snprintf(c->why, sizeof(c->why), "%s", why);
	return -EHOSTUNREACH;
}

void connection_explain(struct connection *c, int code, int error)
{
	const char *why = code == MOSQ_ERR_TLS && c->valve.tls ? tls_why(c->valve.tls) : NULL;
	size_t length;

	if (why)
		(void)snprintf(c->why, sizeof(c->why), "%s", why);
	else
		library_words(c->why, sizeof(c->why), code, error);
	length = strlen(c->why);
	if (code >= MQTT_RC_UNSPECIFIED) /* a DISCONNECT */
		(void)snprintf(c->why + length, sizeof(c->why) - length, "%s", c->reason.told);
}

static int connection_fail_library(struct connection *c, int code, int error)
{
	connection_explain(c, code, error);
	return -EHOSTUNREACH;
}

static int connection_log_in_as(struct connection *c)
{
	char secret[PASSWORD_SIZE];
	bool found;
	int rc, r;

	r = connection_find_password(c, secret, &found);
	if (r < 0)
		return r;
	rc = mosquitto_username_pw_set(c->handle, c->username, found ? secret : NULL);
	explicit_bzero(secret, sizeof(secret));
	return rc == MOSQ_ERR_SUCCESS ? 0 : connection_fail_library(c, rc, errno);
}

/* Return: 0; -EHOSTUNREACH with @why; -ENOMEM */
static int connection_make_handle(struct connection *c)
{
	const struct message *will = c->will_message;
	int rc;

	c->handle = mosquitto_new(c->client_id, true, c);
	if (!c->handle)
		return errno == EINVAL ? connection_fail(c, "mqtt.client_id is not valid")
				       : -ENOMEM;
	connection_listen(c);
	rc = mosquitto_int_option(c->handle, MOSQ_OPT_PROTOCOL_VERSION,
				  c->protocol == 4 ? MQTT_PROTOCOL_V311 : MQTT_PROTOCOL_V5);
	if (rc == MOSQ_ERR_SUCCESS)
		rc = mosquitto_int_option(c->handle, MOSQ_OPT_TCP_NODELAY, 1);
	if (rc == MOSQ_ERR_SUCCESS)
		rc = mosquitto_will_set_v5(c->handle, will->topic, (int)will->length, will->payload,
					   c->will.qos, c->will.retain && will->retain, NULL);
	if (rc != MOSQ_ERR_SUCCESS)
		return connection_fail_library(c, rc, errno);
	return connection_log_in_as(c);
}

/* wait for @events on the socket. Return: 1 there they are; 0 not yet; negative: over */
static int connection_poll(struct connection *c, short events, int64_t deadline_us,
			   const char *late)
{
	struct pollfd fd = { .fd = c->valve.outer, .events = events };

	if (atomic_load(&c->job.abandoned))
		return -ECANCELED;
	if (clock_boottime_us() >= deadline_us)
		return connection_fail(c, late);
	if (mosquitto_socket(c->handle) < 0)
		return connection_fail_library(c, c->lost ? c->lost : MOSQ_ERR_CONN_LOST,
					       ECONNRESET);
	if (fd.fd < 0)
		fd.fd = mosquitto_socket(c->handle);
	return poll(&fd, 1, TICK_MS) > 0;
}

static int connection_await_tcp(struct connection *c, int64_t deadline_us)
{
	socklen_t size = sizeof(int);
	int error = 0, r;

	do
		r = connection_poll(c, POLLOUT, deadline_us, "no answer in 10 s");
	while (r == 0);
	if (r < 0)
		return r;
	/* asked by ourselves: the library does not always look */
	if (getsockopt(mosquitto_socket(c->handle), SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		error = errno;
	if (error != 0) {
		error_words(c->why, sizeof(c->why), error);
		return -EHOSTUNREACH;
	}
	r = valve_open(&c->valve, mosquitto_socket(c->handle), c->protocol);
	if (r < 0) {
		error_words(c->why, sizeof(c->why), r);
		return -EHOSTUNREACH;
	}
	connection_listen_closely(c);
	return 0;
}

static int connection_encrypt(struct connection *c, int64_t deadline_us)
{
	short events = 0;
	int r;

	r = tls_new(&c->valve.tls, c->tls, c->valve.outer, c->host);
	if (r < 0)
		return r;
	while ((r = tls_handshake(c->valve.tls, &events)) == -EAGAIN) {
		r = connection_poll(c, events, deadline_us,
				    "no answer in 10 s: something listens there, but says nothing "
				    "in TLS");
		if (r < 0)
			return r;
	}
	return r < 0 ? connection_fail(c, tls_why(c->valve.tls)) : 0;
}

/* Return: -EHOSTUNREACH, with @why. If it was for the will, the next connection has another one */
static int connection_refused(struct connection *c)
{
	char reason[REASON_SIZE];
	const char *next = "";

	if (c->connack == MQTT_RC_RETAIN_NOT_SUPPORTED && c->will.retain) {
		c->will.retain = false;
		next = "; the next try is with a will that is not retained";
	} else if (c->connack == MQTT_RC_QOS_NOT_SUPPORTED && c->will.qos > 0) {
		c->will.qos = 0;
		next = "; the next try is with a will of QoS 0";
	}
	reason_words(reason, c->connack);
	(void)snprintf(c->why, sizeof(c->why), "the broker refuses us: %s%s%s", reason,
		       c->reason.told, next);
	return -EHOSTUNREACH;
}

/* also by who does not speak MQTT 5, and says so in words of MQTT 3.1.1, or none. Return: -EHOSTUNREACH, with @why */
static int connection_unanswered(struct connection *c, int code, int error)
{
	size_t length;

	if (c->is_old) {
		c->connack = MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION;
		return connection_refused(c);
	}
	(void)connection_fail_library(c, code, error);
	length = strlen(c->why);
	if (c->protocol == 5 && code == MOSQ_ERR_CONN_LOST)
		(void)snprintf(c->why + length, sizeof(c->why) - length,
			       " without an answer: does it speak MQTT 5? (see mqtt.protocol)");
	return -EHOSTUNREACH;
}

/* POLLOUT is never asked for here: the library wants to write long before it can */
static int connection_await_answer(struct connection *c, int64_t deadline_us)
{
	int r, rc, error;
	bool full;

	rc = connection_flush(c, &full);
	error = errno;
	while (!c->answered && rc == MOSQ_ERR_SUCCESS) {
		r = connection_poll(c, POLLIN, deadline_us,
				    "no answer in 10 s: something listens there, but says nothing");
		if (r < 0)
			return r;
		if (r > 0)
			rc = connection_take_in(c);
		if (rc == MOSQ_ERR_SUCCESS && !c->answered)
			rc = connection_flush(c, &full);
		error = errno;
	}
	if (c->answered && c->connack != 0)
		return connection_refused(c);
	if (rc != MOSQ_ERR_SUCCESS)
		return connection_unanswered(c, rc, error);
	c->will = (struct connection_will){ .qos = c->limits.qos > 0, .retain = c->limits.retain };
	return 0;
}

static void connection_drop_handle(struct connection *c)
{
	if (c->handle)
		mosquitto_destroy(c->handle);
	c->handle = NULL;
	valve_close(&c->valve);
}

static int connection_handshake(struct connection *c, const char *host, int port,
				int64_t deadline_us)
{
	int r, rc;

	r = connection_make_handle(c);
	if (r < 0)
		return r;
	(void)mosquitto_threaded_set(c->handle, true); /* not a byte before the valve is there */
	rc = mosquitto_connect_async(c->handle, host, port, c->keepalive_s);
	if (rc != MOSQ_ERR_SUCCESS)
		return connection_fail_library(c, rc, errno);
	r = connection_await_tcp(c, deadline_us);
	if (r == 0 && c->scheme == MQTT_TLS)
		r = connection_encrypt(c, deadline_us);
	if (r < 0)
		return r;
	(void)mosquitto_threaded_set(c->handle, false);
	c->is_introduced = true;
	rc = mosquitto_loop_write(c->handle, 1);
	if (rc != MOSQ_ERR_SUCCESS)
		return connection_fail_library(c, rc, errno);
	return connection_await_answer(c, deadline_us);
}

/* one address, or one socket */
static int connection_try(struct connection *c, const char *host, int port, int64_t deadline_us)
{
	int r;

	c->answered = false;
	c->adopted = false;
	c->lost = 0;
	c->reason.told[0] = '\0';
	c->reason_count = 0;
	c->is_old = false;
	c->record_count = c->release_count = 0;
	r = connection_handshake(c, host, port, deadline_us);
	if (r < 0)
		connection_drop_handle(c);
	return r;
}

static int connection_resolve(struct connection *c, struct addrinfo **ret)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	int r;

	r = getaddrinfo(c->host, NULL, &hints, ret);
	if (r == 0)
		return 0;
	(void)snprintf(c->why, sizeof(c->why), "cannot resolve \"%.100s\": %s", c->host,
		       r == EAI_SYSTEM ? strerror(errno) : gai_strerror(r));
	return -EHOSTUNREACH;
}

static int connection_try_addresses(struct connection *c)
{
	struct addrinfo *all, *next;
	char address[NI_MAXHOST];
	int64_t now_us, deadline_us;
	int r, left = 0;

	r = connection_resolve(c, &all);
	if (r < 0)
		return r;
	for (next = all; next; next = next->ai_next)
		left++;
	deadline_us = clock_boottime_us() + CONNECT_TIMEOUT_US;
	r = connection_fail(c, "the name has no address");
	for (next = all; next && r == -EHOSTUNREACH; next = next->ai_next, left--) {
		if (getnameinfo(next->ai_addr, next->ai_addrlen, address, sizeof(address), NULL, 0,
				NI_NUMERICHOST) != 0)
			continue;
		now_us = clock_boottime_us(); /* each address gets its share of what is left */
		r = connection_try(c, address, c->port, now_us + (deadline_us - now_us) / left);
	}
	freeaddrinfo(all);
	return r;
}

static int connection_run(struct worker_job *job)
{
	struct connection *c = container_of(job, struct connection, job);
	int r = -EHOSTUNREACH;

	switch (c->scheme) {
	case MQTT_TCP:
		r = connection_try_addresses(c);
		break;
	case MQTT_UNIX:
		r = connection_try(c, c->host, 0, clock_boottime_us() + CONNECT_TIMEOUT_US);
		break;
	case MQTT_TLS:
		r = tls_context_prepare(c->tls, c->why, sizeof(c->why));
		if (r == 0)
			r = connection_try_addresses(c);
		break;
	}
	if (r == 0 && atomic_load(&job->abandoned))
		connection_drop_handle(c);
	return r;
}

static int connection_run_close(struct worker_job *job)
{
	connection_drop_handle(container_of(job, struct connection, job));
	return 0;
}

/* --- on the reactor ------------------------------------------------------------------------- */

/* Return: a copy, or NULL: out of memory, noted in @failed, or @text is NULL */
static char *copy(const char *text, bool *failed)
{
	char *duplicate = text ? strdup(text) : NULL;

	*failed = *failed || (text && !duplicate);
	return duplicate;
}

static int keepalive_seconds(int64_t keepalive_us)
{
	int64_t seconds = (keepalive_us + USEC_PER_SEC - 1) / USEC_PER_SEC;

	if (seconds < KEEPALIVE_MIN_S)
		return KEEPALIVE_MIN_S;
	return seconds > UINT16_MAX ? UINT16_MAX : (int)seconds;
}

int connection_new(struct connection **ret, const struct mqtt_settings *settings, size_t broker,
		   const struct message *will_message, const struct connection_will *will)
{
	const struct broker_settings *to = &settings->brokers[broker];
	cleanup(connection_freep) struct connection *c = NULL;
	bool failed = false;

	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	valve_init(&c->valve);
	c->url = copy(to->url, &failed);
	c->host = copy(to->host, &failed);
	c->client_id = copy(settings->client_id, &failed);
	c->username = copy(settings->username, &failed);
	c->password = copy(settings->password, &failed);
	c->password_file = copy(settings->password_file, &failed);
	if (failed || message_new(&c->will_message, will_message->topic, will_message->payload,
				  will_message->length) < 0)
		return -ENOMEM;
	c->will_message->retain = will_message->retain;
	c->will = *will;
	c->scheme = to->scheme;
	c->port = to->port;
	c->protocol = settings->protocol;
	c->keepalive_s = keepalive_seconds(settings->keepalive_us);
	*ret = take_ptr(c);
	return 0;
}

struct connection *connection_free(struct connection *connection)
{
	if (!connection)
		return NULL;
	connection_drop_handle(connection);
	if (connection->password)
		explicit_bzero(connection->password, strlen(connection->password));
	free(connection->url);
	free(connection->host);
	free(connection->client_id);
	free(connection->username);
	free(connection->password);
	free(connection->password_file);
	message_free(connection->will_message);
	tls_context_unref(connection->tls);
	free(connection);
	return NULL;
}

static void connection_idle(struct worker_job *job)
{
	struct connection *c = container_of(job, struct connection, job);

	if (c->orphaned)
		connection_free(c);
}

static int connection_hand_over(struct connection *c, struct worker_key *key,
				int (*run)(struct worker_job *job))
{
	c->job = (struct worker_job){ .run = run, .idle = connection_idle };
	return worker_run(key, &c->job);
}

int connection_connect(struct connection *connection, struct worker_key *key)
{
	return connection_hand_over(connection, key, connection_run);
}

int connection_close(struct connection *connection, struct worker_key *key)
{
	return connection_hand_over(connection, key, connection_run_close);
}

struct connection *connection_orphan(struct connection *connection)
{
	if (!connection)
		return NULL;
	if (worker_job_is_idle(&connection->job))
		return connection_free(connection);
	connection->orphaned = true;
	return NULL;
}
