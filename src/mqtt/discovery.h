/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Home Assistant's discovery: what was told of which device, and when it is told again. On the
 * reactor's thread.
 */

#include "commands.h"
#include "iotd/discovery.h"
#include "iotd/reactor.h"
#include "publisher.h"

struct discovery;

/** struct discovery_parts - what it works with; all must outlive it */
struct discovery_parts {
	struct reactor *reactor;
	struct publisher *publisher;
	const struct settings *settings;
	const struct discovery_host *host; /* NULL: nothing is known */
};

/** discovery_new() - tells of ourselves. Return: 0; -ENOMEM */
int discovery_new(struct discovery **ret, const struct discovery_parts *parts);

/** discovery_free() - NULL is fine. Returns NULL */
struct discovery *discovery_free(struct discovery *discovery);

/** discovery_update() - other settings, whose mqtt part says the same, in new memory */
void discovery_update(struct discovery *discovery, const struct settings *settings);

/** discovery_announce() - tell what is new of @device; what it no longer has is removed */
void discovery_announce(struct discovery *discovery, const struct discovery_device *device);

/** discovery_withdraw() - the device @name is gone, and all that was told of it */
void discovery_withdraw(struct discovery *discovery, const char *name);

/** discovery_retire() - hand over now what waits; and remove all, if @next has other topics */
void discovery_retire(struct discovery *discovery, const struct settings *next);

/** discovery_topic_of_birth() - to be subscribed to: there Home Assistant says that it started */
const char *discovery_topic_of_birth(const struct discovery *discovery);

/** discovery_own_topics() - to be subscribed to, with what is retained; NULL: none (discovery_filter()) */
const char *discovery_own_topics(const struct discovery *discovery);

/**
 * discovery_receive() - a message came in; may be called from within the library
 * Return: true, it was of discovery and no command.
 */
bool discovery_receive(struct discovery *discovery, const struct incoming *incoming);

static inline void discovery_freep(struct discovery **discovery)
{
	*discovery = discovery_free(*discovery);
}
