/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Objects: /org/iotd1/sensor/NAME and such come and go with the devices, and tell what becomes
 * of these.
 *
 * sd-bus knows three folders of them (properties.c); what clients were told of each device is
 * kept here, a few words, and only while there is a connection. Whoever notes that something of
 * a device may have changed queues its object, once. In a later turn it is compared with what
 * was told, and what is other now is told in one signal. So nothing is told of what went to and
 * fro meanwhile, and however much is noted, no more than one signal an object waits.
 *
 * Nothing is told, and all stays queued, while the bus does not take what we write, and while an
 * answer to GetManagedObjects is being made, which the signals would overtake. The next such
 * answer waits in turn until all is told, or who asks without end would silence us. So a
 * listener ends up with the truth.
 *
 * An object that is gone leaves the list at once, and the queue when that was told: before one
 * of the same name that came later.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "iotd/log.h"
#include "objects.h"
#include "told.h"

#define AT_ONCE	   16  /* looked at in a turn */
#define QUEUED_MAX 256 /* messages that wait to be written when another one is made */

enum stage {
	STAGE_TOLD,
	STAGE_NEW, /* nobody was told of it */
	STAGE_GONE
};

struct object {
	TAILQ_ENTRY(object) link;
	bool is_queued, is_kept;
	enum stage stage;
	enum device_kind kind;
	size_t index; /* of the joint's device() */
	struct told told;
	char name[];
};

struct objects {
	struct dbus *dbus;
	struct object **list; /* by kind, then name */
	size_t count;
	TAILQ_HEAD(, object) queue;
	struct reactor_call call;
};

/* --- the list ------------------------------------------------------------------------------- */

struct key {
	enum device_kind kind;
	const char *name;
};

static int compare_key(const void *a, const void *b)
{
	const struct object *object = *(struct object *const *)b;
	const struct key *key = a;

	return key->kind != object->kind ? (int)key->kind - (int)object->kind
					 : strcmp(key->name, object->name);
}

static int compare_objects(const void *a, const void *b)
{
	const struct object *object = *(struct object *const *)a;
	const struct key key = { object->kind, object->name };

	return compare_key(&key, b);
}

static struct object *find(const struct objects *objects, enum device_kind kind, const char *name)
{
	const struct key key = { kind, name };
	struct object **at;

	if (!objects || objects->count == 0)
		return NULL;
	at = bsearch(&key, objects->list, objects->count, sizeof(struct object *), compare_key);
	return at ? *at : NULL;
}

/* the devices may be on their way: while iotd is being stopped, and within a reload */
static bool is_there(const struct dbus *dbus, const struct object *object, struct device_info *ret)
{
	struct dbus_joint *joint = dbus->parts.joint;

	return joint->device(joint, object->index, ret) && ret->kind == object->kind &&
	       strcmp(ret->name, object->name) == 0;
}

bool objects_find(const struct dbus *dbus, enum device_kind kind, const char *name,
		  struct device_info *ret)
{
	const struct object *object = find(dbus->objects, kind, name);

	return object && is_there(dbus, object, ret);
}

/* for sd-bus, which frees it: all below a folder */
static int enumerate(sd_bus *bus, const char *folder, void *data, char ***ret, sd_bus_error *error)
{
	const struct dbus *dbus = data;
	const struct objects *objects = dbus->objects;
	size_t count = objects ? objects->count : 0, at = 0;
	char **paths = calloc(count + 1, sizeof(char *));

	(void)bus;
	(void)error;
	if (!paths)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const struct object *object = objects->list[i];

		if (strcmp(properties_folder(object->kind), folder) == 0)
			paths[at] = properties_path_new(object->kind, object->name);
		at += paths[at] != NULL;
	}
	*ret = paths;
	return 0;
}

/* --- the queue ------------------------------------------------------------------------------ */

static void unqueue(struct objects *objects, struct object *object)
{
	if (object->is_queued)
		TAILQ_REMOVE(&objects->queue, object, link);
	object->is_queued = false;
}

static void enqueue(struct objects *objects, struct object *object)
{
	if (object->is_queued)
		return;
	object->is_queued = true;
	TAILQ_INSERT_TAIL(&objects->queue, object, link);
	reactor_defer(objects->dbus->parts.reactor, &objects->call);
}

static bool has_to_wait(const struct dbus *dbus)
{
	return dbus_queued(dbus) > QUEUED_MAX || listing_is_of_objects(dbus);
}

static int tell_change(struct dbus *dbus, struct object *object, const char *path)
{
	const char *interface = properties_interface(object->kind);
	const char *names[TOLD_NAMES];
	struct device_info info;
	struct told now;
	int r = 0;

	if (!is_there(dbus, object, &info))
		return 0;
	now = told_of(&info);
	if (object->stage == STAGE_NEW)
		r = sd_bus_emit_interfaces_added(dbus->bus, path, interface, NULL);
	else if (told_changes(&object->told, &now, names) > 0)
		r = sd_bus_emit_properties_changed_strv(dbus->bus, path, interface,
							(char **)(uintptr_t)names);
	if (r < 0)
		return r;
	object->stage = STAGE_TOLD;
	object->told = now;
	return 0;
}

/* what cannot be told, for want of memory, is told when it is noted the next time */
static void tell(struct dbus *dbus, struct object *object)
{
	cleanup(freep) char *path = properties_path_new(object->kind, object->name);
	int r = path ? 0 : -ENOMEM;

	if (r == 0 && object->stage != STAGE_GONE)
		r = tell_change(dbus, object, path);
	else if (r == 0)
		r = sd_bus_emit_interfaces_removed(dbus->bus, path,
						   properties_interface(object->kind), NULL);
	if (r < 0)
		log_debug("D-Bus: %s is not told: %s", object->name, strerror(-r));
	if (object->stage == STAGE_GONE)
		free(object);
}

static void tell_queued(struct reactor_call *call)
{
	struct objects *objects = container_of(call, struct objects, call);
	struct dbus *dbus = objects->dbus;
	struct object *object;

	for (int i = 0; i < AT_ONCE && !has_to_wait(dbus); i++) {
		object = TAILQ_FIRST(&objects->queue);
		if (!object)
			return;
		unqueue(objects, object);
		tell(dbus, object);
		dbus_touch(dbus);
	}
	if (!TAILQ_EMPTY(&objects->queue) && !has_to_wait(dbus))
		reactor_defer(dbus->parts.reactor, call);
}

bool objects_are_told(const struct dbus *dbus)
{
	return !dbus->objects || TAILQ_EMPTY(&dbus->objects->queue);
}

void objects_go_on(struct dbus *dbus)
{
	if (!objects_are_told(dbus) && dbus_queued(dbus) == 0)
		reactor_defer(dbus->parts.reactor, &dbus->objects->call);
}

void objects_note(struct dbus *dbus, enum device_kind kind, const char *name)
{
	struct object *object = dbus ? find(dbus->objects, kind, name) : NULL;

	if (object)
		enqueue(dbus->objects, object);
}

/* --- devices come and go -------------------------------------------------------------------- */

static struct object *object_new(const struct device_info *info, enum stage stage)
{
	size_t size = strlen(info->name) + 1;
	struct object *object = calloc(1, sizeof(*object) + size);

	if (!object)
		return NULL;
	memcpy(object->name, info->name, size);
	object->kind = info->kind;
	object->stage = stage;
	object->told = told_of(info);
	return object;
}

static void remove_object(struct objects *objects, struct object *object)
{
	unqueue(objects, object);
	if (object->stage == STAGE_NEW) {
		free(object); /* nobody knows of it */
		return;
	}
	object->stage = STAGE_GONE;
	enqueue(objects, object);
}

/* what is gone, new or other than it was told; a name is that of one object only */
static void queue_changes(struct objects *objects, struct object **fresh, size_t count)
{
	for (size_t i = 0; i < objects->count; i++)
		if (!objects->list[i]->is_kept)
			remove_object(objects, objects->list[i]);
	for (size_t i = 0; i < count; i++) {
		fresh[i]->is_kept = false;
		if (objects->list)
			enqueue(objects, fresh[i]);
	}
}

static size_t count_devices(const struct dbus *dbus)
{
	struct dbus_joint *joint = dbus->parts.joint;
	struct device_info info;
	size_t count = 0;

	while (joint->device(joint, count, &info))
		count++;
	return count;
}

/* Return: 0; -ENOMEM: what is in @fresh and not in the list is to be freed */
static int make_list(const struct objects *objects, struct object **fresh, size_t count)
{
	struct dbus_joint *joint = objects->dbus->parts.joint;
	struct device_info info;
	struct object *object;

	for (size_t i = 0; i < count && joint->device(joint, i, &info); i++) {
		object = find(objects, info.kind, info.name);
		if (!object)
			object = object_new(&info, objects->list ? STAGE_NEW : STAGE_TOLD);
		if (!object)
			return -ENOMEM;
		object->is_kept = true;
		object->index = i;
		fresh[i] = object;
	}
	qsort(fresh, count, sizeof(struct object *), compare_objects);
	return 0;
}

static void forget_new(const struct objects *objects, struct object **fresh, size_t count)
{
	for (size_t i = 0; i < count && fresh[i]; i++)
		if (!find(objects, fresh[i]->kind, fresh[i]->name))
			free(fresh[i]);
}

int objects_look(struct dbus *dbus)
{
	size_t count = count_devices(dbus);
	cleanup(freep) struct object **fresh = calloc(count + 1, sizeof(struct object *));
	struct objects *objects = dbus->objects;

	if (!fresh)
		return -ENOMEM;
	if (make_list(objects, fresh, count) < 0) {
		forget_new(objects, fresh, count);
		return -ENOMEM;
	}
	queue_changes(objects, fresh, count);
	free(objects->list);
	objects->list = take_ptr(fresh);
	objects->count = count;
	return 0;
}

/* --- a connection --------------------------------------------------------------------------- */

int objects_begin(struct dbus *dbus)
{
	struct objects *objects = dbus->objects;

	if (objects)
		return 0;
	objects = dbus->objects = calloc(1, sizeof(*objects));
	if (!objects)
		return -ENOMEM;
	objects->dbus = dbus;
	objects->call.run = tell_queued;
	TAILQ_INIT(&objects->queue);
	return objects_look(dbus);
}

int objects_add(struct dbus *dbus)
{
	int r = sd_bus_add_object_manager(dbus->bus, NULL, DBUS_PATH);

	for (enum device_kind kind = DEVICE_SENSOR; r >= 0 && kind <= DEVICE_OUTPUT; kind++)
		r = sd_bus_add_node_enumerator(dbus->bus, NULL, properties_folder(kind), enumerate,
					       dbus);
	return r < 0 ? r : properties_add(dbus);
}

void objects_drop(struct dbus *dbus)
{
	struct objects *objects = take_ptr(dbus->objects);
	struct object *object;

	if (!objects)
		return;
	reactor_cancel_call(&objects->call);
	while ((object = TAILQ_FIRST(&objects->queue))) {
		unqueue(objects, object);
		if (object->stage == STAGE_GONE)
			free(object);
	}
	for (size_t i = 0; i < objects->count; i++)
		free(objects->list[i]);
	free(objects->list);
	free(objects);
}
