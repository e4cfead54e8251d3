/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Home Assistant's discovery.
 *
 * Its messages are retained states (states.c), so each new connection tells them again by itself.
 * Here is what must be known besides: which components there are (@told, by device, each with a
 * hash of what was told of it), so that only what is new is told and what has gone is removed; and
 * in style device the components themselves, for all of them are one message. That waits for
 * SETTLE_US: at a start many devices come at once.
 *
 * A component that is gone stays in the message of the device, with its platform alone. The broker
 * keeps that message for a Home Assistant that is away now and then.
 *
 * What an earlier run told is still with the broker, and comes when we subscribe to our own topics.
 * What is of no device of the configuration is removed; the rest is taken as told, so that the
 * device removes what it no longer has as soon as its channels are known.
 *
 * When Home Assistant starts it says `online` on PREFIX/status: all is told again, a random time
 * later, for every device of the house hears that at once.
 *
 * A broker that speaks MQTT 5 says how large a message may be; one of MQTT 3.1.1 may end the
 * connection instead, again and again. So the message of the device has a limit of its own.
 */
#include <errno.h>
#include <mosquitto.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "discovery.h"
#include "iotd/clock.h"
#include "iotd/log.h"

#define SETTLE_US	(1 * USEC_PER_SEC)
#define BIRTH_MIN_US	(1 * USEC_PER_SEC)
#define BIRTH_MAX_US	(5 * USEC_PER_SEC)
#define SIZE_MAX_DEVICE 1048576
#define COMPONENTS_MAX	4096  /* more do not fit in that, and need not be tried */
#define GONE_MAX	1000  /* remembered: then they are no longer in the message */
#define RECALLED_MAX	65536 /* in one run, whatever the broker sends */
#define OURSELVES	""    /* no device has this name */

struct discovery {
	struct discovery_parts parts;
	json_t *told;	    /* {NAME: {ID: hash}} */
	json_t *components; /* {ID: component}; NULL: each is a message of its own */
	size_t gone;	    /* of these */
	bool is_too_large;
	json_t *configured; /* {NAME: true}; NULL: not asked for so far */
	size_t recalled;
	char *birth_topic, *own_topics;
	struct reactor_timer settle, birth;
};

static void no_memory(void)
{
	log_error("out of memory: Home Assistant is not told of everything");
}

/* --- messages ------------------------------------------------------------------------------- */

static void too_large(struct discovery *d)
{
	if (!d->is_too_large)
		log_error("discovery: the message of the device, with %zu entities, would be over "
			  "%d bytes and is not sent: set mqtt.discovery.style = \"entity\"",
			  json_object_size(d->components), SIZE_MAX_DEVICE);
	d->is_too_large = true;
}

/* the message of component @id, or with NULL of the device. Return: 0; -ENOMEM; -EMSGSIZE */
static int publish(struct discovery *d, const char *id, json_t *what)
{
	cleanup(message_freep) struct message *message = NULL;
	int r;

	r = discovery_message(&message, d->parts.settings, d->parts.host, id, what);
	if (r < 0)
		return r;
	if (!id && message->length > SIZE_MAX_DEVICE)
		return -EMSGSIZE;
	message->retain = true;
	message->qos = d->parts.settings->mqtt.qos == 2 ? 2 : 1;
	return publisher_set_state(d->parts.publisher, take_ptr(message));
}

static void settle(struct reactor_timer *timer)
{
	struct discovery *d = container_of(timer, struct discovery, settle);
	int r = -EMSGSIZE;

	if (json_object_size(d->components) <= COMPONENTS_MAX)
		r = publish(d, NULL, d->components);
	if (r == -EMSGSIZE)
		too_large(d);
	else if (r < 0)
		no_memory();
	else
		d->is_too_large = false;
}

static void settle_later(struct discovery *d)
{
	if (!reactor_timer_is_set(&d->settle))
		(void)reactor_set_timer(d->parts.reactor, &d->settle,
					reactor_now(d->parts.reactor) + SETTLE_US);
}

static void clear(struct discovery *d, const char *id)
{
	cleanup(freep) char *topic = discovery_topic(d->parts.settings, id);
	struct message *empty;

	/* an earlier run may have said there what this one has not */
	if (topic && message_new(&empty, topic, NULL, 0) == 0) {
		empty->retain = true;
		empty->qos = 1;
		(void)publisher_set_state(d->parts.publisher, empty);
	}
	if (topic)
		publisher_forget_state(d->parts.publisher, topic, true);
	else
		no_memory();
}

/* --- components ----------------------------------------------------------------------------- */

static json_int_t hash_of(const json_t *component)
{
	cleanup(freep) char *text = json_dumps(component, JSON_COMPACT);
	uint64_t hash = 14695981039346656037U; /* FNV-1a, 64 bit: offset and prime */

	for (const char *at = text ? text : ""; *at; at++)
		hash = (hash ^ (uint8_t)*at) * 1099511628211U;
	return (json_int_t)hash;
}

static void forget_gone(struct discovery *d)
{
	const char *id;
	json_t *component;
	void *next;

	json_object_foreach_safe(d->components, next, id, component)
	{
		if (json_object_size(component) == 1)
			(void)json_object_del(d->components, id);
	}
	d->gone = 0;
}

static bool is_gone(const struct discovery *d, const char *id)
{
	return json_object_size(json_object_get(d->components, id)) == 1;
}

static int remove_component(struct discovery *d, const char *id)
{
	if (!d->components) {
		clear(d, id);
		return 0;
	}
	if (is_gone(d, id))
		return 0;
	if (d->gone == GONE_MAX)
		forget_gone(d);
	d->gone++;
	settle_later(d);
	return json_object_set_new(d->components, id, discovery_remains(id)) < 0 ? -ENOMEM : 0;
}

static int tell_component(struct discovery *d, const char *id, json_t *component)
{
	if (!d->components)
		return publish(d, id, component);
	d->gone -= is_gone(d, id); /* it is back */
	settle_later(d);
	return json_object_set(d->components, id, component) < 0 ? -ENOMEM : 0;
}

/* not only as an earlier run told: that has no hash */
static bool is_announced(json_t *told)
{
	const char *id;
	json_t *hash;

	json_object_foreach(told, id, hash)
	{
		if (json_integer_value(hash) != 0)
			return true;
	}
	return false;
}

static int remove_others(struct discovery *d, json_t *known, const json_t *components)
{
	const char *id;
	json_t *hash;
	int r = 0;

	json_object_foreach(known, id, hash)
	{
		(void)hash;
		if (r == 0 && !json_object_get(components, id))
			r = remove_component(d, id);
	}
	return r;
}

/* Return: 0; -ENOMEM */
static int take(struct discovery *d, const char *name, json_t *components)
{
	cleanup(json_decrefp) json_t *told = json_object();
	json_t *known = json_object_get(d->told, name), *component;
	const json_t *hash;
	const char *id;
	int r;

	if (!components || !told)
		return -ENOMEM;
	r = remove_others(d, known, components);
	json_object_foreach(components, id, component)
	{
		json_int_t now = hash_of(component);

		hash = json_object_get(known, id);
		if (r == 0 && (!hash || json_integer_value(hash) != now))
			r = tell_component(d, id, component);
		if (r == 0 && json_object_set_new(told, id, json_integer(now)) < 0)
			r = -ENOMEM;
	}
	if (r == 0 && json_object_set_new(d->told, name, take_ptr(told)) < 0)
		r = -ENOMEM;
	return r;
}

void discovery_announce(struct discovery *d, const struct discovery_device *device)
{
	cleanup(json_decrefp) json_t *components = discovery_components(d->parts.settings, device);

	if (take(d, device->info.name, components) < 0)
		no_memory();
}

void discovery_withdraw(struct discovery *d, const char *name)
{
	cleanup(json_decrefp) json_t *none = json_object();

	if (!json_object_get(d->told, name))
		return;
	if (take(d, name, none) < 0)
		no_memory();
	(void)json_object_del(d->told, name);
}

static int tell_of_ourselves(struct discovery *d)
{
	cleanup(json_decrefp) json_t *components = discovery_diagnostics(d->parts.settings);

	return take(d, OURSELVES, components);
}

/* @act for each component's message: that of the device, or its own */
static void for_each_message(struct discovery *d, void (*act)(struct discovery *d, const char *id))
{
	const char *name, *id;
	json_t *ids, *hash;

	if (d->components) {
		act(d, NULL);
		return;
	}
	json_object_foreach(d->told, name, ids)
	{
		json_object_foreach(ids, id, hash)
		{
			(void)hash;
			act(d, id);
		}
	}
}

void discovery_retire(struct discovery *d, const struct settings *next)
{
	bool waits = reactor_timer_is_set(&d->settle);

	reactor_stop_timer(&d->settle);
	reactor_stop_timer(&d->birth);
	if (!discovery_is_same(d->parts.settings, next))
		for_each_message(d, clear);
	else if (waits)
		settle(&d->settle);
}

/* --- what earlier runs told ----------------------------------------------------------------- */

static int configure(json_t *names, const char *name, bool is_enabled)
{
	return is_enabled && json_object_set_new(names, name, json_true()) < 0 ? -ENOMEM : 0;
}

/* all devices of the settings; NULL: out of memory */
static json_t *configured_names(const struct settings *settings)
{
	cleanup(json_decrefp) json_t *names = json_object();
	int r = configure(names, OURSELVES, true);

	for (size_t i = 0; r == 0 && i < settings->sensor_count; i++)
		r = configure(names, settings->sensors[i].name, settings->sensors[i].enabled);
	for (size_t i = 0; r == 0 && i < settings->input_count; i++)
		r = configure(names, settings->inputs[i].name, settings->inputs[i].enabled);
	for (size_t i = 0; r == 0 && i < settings->output_count; i++)
		r = configure(names, settings->outputs[i].name, settings->outputs[i].enabled);
	return r < 0 ? NULL : take_ptr(names);
}

/* a hash that no component has: it is told when it is announced */
static int take_as_told(struct discovery *d, const char *name, const char *id)
{
	json_t *told = json_object_get(d->told, name);

	if (!told) {
		told = json_object();
		if (json_object_set_new(d->told, name, told) < 0)
			return -ENOMEM;
	}
	return json_object_set_new(told, id, json_integer(0));
}

/* an earlier run told of @id */
static void recall(struct discovery *d, const char *id)
{
	char name[NAME_LENGTH + 1];
	json_t *told;
	int r = 0;

	if (discovery_name(name, id) < 0 || d->recalled == RECALLED_MAX)
		return;
	told = json_object_get(d->told, name);
	if (json_object_get(told, id))
		return;
	d->recalled++;
	if (!d->configured)
		d->configured = configured_names(d->parts.settings);
	if (!d->configured)
		r = -ENOMEM;
	else if (is_announced(told) || !json_object_get(d->configured, name))
		r = remove_component(d, id);
	else
		r = take_as_told(d, name, id);
	if (r < 0)
		no_memory();
}

static void recall_device(struct discovery *d, const struct incoming *incoming)
{
	cleanup(json_decrefp) json_t *object =
		json_loadb(incoming->payload, incoming->length, 0, NULL);
	json_t *component;
	const char *id;

	json_object_foreach(json_object_get(object, "cmps"), id, component)
	{
		if (json_object_size(component) > 1) /* else it was gone already */
			recall(d, id);
	}
}

/* the ID of PREFIX/PLATFORM/NODE/ID/config */
static void recall_entity(struct discovery *d, const char *topic)
{
	const char *end = strrchr(topic, '/'), *begin = end;
	cleanup(freep) char *id = NULL;

	while (begin && begin > topic && begin[-1] != '/')
		begin--;
	if (begin)
		id = strndup(begin, (size_t)(end - begin));
	if (id)
		recall(d, id);
}

/* --- Home Assistant's birth ----------------------------------------------------------------- */

static void tell_again(struct discovery *d, const char *id)
{
	cleanup(freep) char *topic = discovery_topic(d->parts.settings, id);

	if (topic)
		publisher_repeat_state(d->parts.publisher, topic);
}

static void born(struct reactor_timer *timer)
{
	for_each_message(container_of(timer, struct discovery, birth), tell_again);
}

static int64_t birth_delay(const struct discovery *d)
{
	uint64_t random = 0;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = (uint64_t)reactor_now(
			d->parts.reactor); /* microseconds are random enough */
	return BIRTH_MIN_US + (int64_t)(random % (uint64_t)(BIRTH_MAX_US - BIRTH_MIN_US + 1));
}

static void receive_birth(struct discovery *d, const struct incoming *incoming)
{
	static const char online[] = "online";

	/* one that is retained may be old: to tell all once too often does no harm */
	if (incoming->length == strlen(online) &&
	    memcmp(incoming->payload, online, strlen(online)) == 0 &&
	    !reactor_timer_is_set(&d->birth))
		(void)reactor_set_timer(d->parts.reactor, &d->birth,
					reactor_now(d->parts.reactor) + birth_delay(d));
}

static bool is_our_own(const struct discovery *d, const char *topic)
{
	bool matches = false;

	return d->own_topics &&
	       mosquitto_topic_matches_sub(d->own_topics, topic, &matches) == MOSQ_ERR_SUCCESS &&
	       matches;
}

bool discovery_receive(struct discovery *d, const struct incoming *incoming)
{
	/* else it is what we say right now (MQTT 3.1.1) */
	bool is_earlier = incoming->retained && incoming->length > 0;

	if (strcmp(incoming->topic, d->birth_topic) == 0)
		receive_birth(d, incoming);
	else if (!is_our_own(d, incoming->topic))
		return false;
	else if (is_earlier && d->components)
		recall_device(d, incoming);
	else if (is_earlier)
		recall_entity(d, incoming->topic);
	return true;
}

const char *discovery_topic_of_birth(const struct discovery *d)
{
	return d->birth_topic;
}

const char *discovery_own_topics(const struct discovery *d)
{
	return d->own_topics;
}

/* --- life ----------------------------------------------------------------------------------- */

int discovery_new(struct discovery **ret, const struct discovery_parts *parts)
{
	static const struct discovery_host unknown;
	const struct mqtt_settings *settings = &parts->settings->mqtt;
	cleanup(discovery_freep) struct discovery *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return -ENOMEM;
	d->parts = *parts;
	if (!d->parts.host)
		d->parts.host = &unknown;
	d->settle.fire = settle;
	d->birth.fire = born;
	d->told = json_object();
	if (discovery_is_by_device(settings))
		d->components = json_object();
	if (asprintf(&d->birth_topic, "%s/status", settings->discovery_prefix) < 0)
		d->birth_topic = NULL;
	if (!d->told || !d->birth_topic || (discovery_is_by_device(settings) && !d->components))
		return -ENOMEM;
	r = discovery_filter(&d->own_topics, d->parts.settings);
	if (r == 0)
		r = tell_of_ourselves(d);
	if (r < 0)
		return r;
	*ret = take_ptr(d);
	return 0;
}

struct discovery *discovery_free(struct discovery *discovery)
{
	if (!discovery)
		return NULL;
	reactor_stop_timer(&discovery->settle);
	reactor_stop_timer(&discovery->birth);
	json_decref(discovery->told);
	json_decref(discovery->components);
	json_decref(discovery->configured);
	free(discovery->birth_topic);
	free(discovery->own_topics);
	free(discovery);
	return NULL;
}

void discovery_update(struct discovery *discovery, const struct settings *settings)
{
	discovery->parts.settings = settings;
	json_decref(discovery->configured);
	discovery->configured = NULL;
	if (tell_of_ourselves(discovery) < 0)
		no_memory();
}
