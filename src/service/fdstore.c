/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * systemd's file descriptor store (sd_pid_notify_with_fds(3), sd_listen_fds_with_names(3),
 * systemd.service(5) FileDescriptorStoreMax=).
 *
 * What was kept in an earlier run is there at the start, by its name; systemd holds a copy of each
 * until it is told to let go. Telling may block while systemd does not listen, so a worker does it,
 * under the key of notify.c: systemd hears all in the order in which it was said, so a descriptor is
 * never kept by a message that overtook its removal, and what was kept before READY=1 or STOPPING=1 was
 * said is kept when systemd hears that.
 *
 * What is removed is in use until systemd has closed it, which it does on a thread of its own: neither
 * an answer nor a barrier (sd_notify_barrier(3)) tells when.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <systemd/sd-daemon.h>

#include "iotd/log.h"
#include "iotd/parse.h"
#include "iotd/service.h"

struct kept {
	SLIST_ENTRY(kept) link;
	int fd;
	char name[FDSTORE_NAME_SIZE];
};

/* something to tell; frees itself */
struct request {
	struct worker_job job;
	struct fdstore *store;
	int fd; /* to be kept; -1: to be removed */
	char name[FDSTORE_NAME_SIZE];
};

struct fdstore {
	struct worker_key *key;
	SLIST_HEAD(, kept) kept; /* of an earlier run, not taken yet */
	bool has_service;	 /* there is a systemd to tell */
	bool is_failing;	 /* what was told last did not arrive, which was logged */
	uint64_t count;		 /* what systemd shall keep */
	uint64_t limit;		 /* what it does at most; 0: it does not say (before 254) */
};

static void request_free(struct request *request)
{
	closep(&request->fd);
	free(request);
}

/* --- on the worker -------------------------------------------------------------------------- */

static int tell(struct worker_job *job)
{
	const struct request *request = container_of(job, struct request, job);
	char text[FDSTORE_NAME_SIZE + 64];

	if (request->fd < 0) {
		(void)snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", request->name);
		return sd_notify(0, text);
	}
	/* not polled: a chip that is unplugged is our affair, and comes back under the same name */
	(void)snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", request->name);
	return sd_pid_notify_with_fds(0, 0, text, &request->fd, 1);
}

/* --- on the reactor ------------------------------------------------------------------------- */

/* of what does not arrive the first is logged */
static void note_result(struct fdstore *store, const char *name, bool is_put, int result)
{
	struct log_fields fields = { .error = result };
	bool is_failing = result < 0;

	if (is_failing && !store->is_failing)
		log_event(LOG_WARNING, &fields, "systemd could not be told to %s %s: %s; %s",
			  is_put ? "keep" : "let go of", name, strerror(-result),
			  is_put ? "outputs may move when iotd is restarted"
				 : "it stays in use until iotd is restarted");
	store->is_failing = is_failing;
}

static void told(struct worker_job *job)
{
	struct request *request = container_of(job, struct request, job);

	note_result(request->store, request->name, request->fd >= 0, future_result(&job->future));
	request_free(request);
}

/* takes @fd over. Return: 0; -ENOMEM; of worker_run() */
static int ask(struct fdstore *store, const char *name, int fd)
{
	struct request *request = calloc(1, sizeof(*request));
	int r;

	if (!request) {
		closep(&fd);
		return -ENOMEM;
	}
	request->job.run = tell;
	request->job.idle = told;
	request->store = store;
	request->fd = fd;
	(void)snprintf(request->name, sizeof(request->name), "%s", name);
	r = worker_run(store->key, &request->job);
	if (r < 0)
		request_free(request);
	return r;
}

static int kept_new(struct fdstore *store, const char *name, int fd)
{
	struct kept *kept = calloc(1, sizeof(*kept));

	if (!kept)
		return -ENOMEM;
	kept->fd = fd;
	(void)snprintf(kept->name, sizeof(kept->name), "%s", name);
	SLIST_INSERT_HEAD(&store->kept, kept, link);
	return 0;
}

/* what systemd handed over; what does not fit into memory is closed */
static void receive(struct fdstore *store)
{
	char **names = NULL;
	int count = sd_listen_fds_with_names(1, &names);

	store->count = count > 0 ? (uint64_t)count : 0;
	for (int i = 0; i < count; i++) {
		int fd = SD_LISTEN_FDS_START + i;

		if (strlen(names[i]) >= FDSTORE_NAME_SIZE || kept_new(store, names[i], fd) < 0)
			closep(&fd);
		free(names[i]);
	}
	free(names);
}

int fdstore_new(struct fdstore **ret, struct worker_key *key)
{
	const char *limit = getenv("FDSTORE");
	struct fdstore *store = calloc(1, sizeof(*store));

	if (!store)
		return -ENOMEM;
	SLIST_INIT(&store->kept);
	store->has_service = getenv("NOTIFY_SOCKET") != NULL;
	store->key = key;
	if (limit)
		(void)parse_size(limit, &store->limit);
	receive(store);
	*ret = store;
	return 0;
}

struct fdstore *fdstore_free(struct fdstore *store)
{
	struct kept *kept;

	if (!store)
		return NULL;
	while ((kept = SLIST_FIRST(&store->kept))) {
		SLIST_REMOVE_HEAD(&store->kept, link);
		closep(&kept->fd);
		free(kept);
	}
	free(store);
	return NULL;
}

bool fdstore_has_service(const struct fdstore *store)
{
	return store->has_service;
}

int fdstore_take(struct fdstore *store, bool (*match)(const void *data, const char *name),
		 const void *data, char name[static FDSTORE_NAME_SIZE])
{
	struct kept *kept;
	int fd;

	SLIST_FOREACH(kept, &store->kept, link)
	if (match(data, kept->name))
		break;
	if (!kept)
		return -1;
	SLIST_REMOVE(&store->kept, kept, kept, link);
	memcpy(name, kept->name, sizeof(kept->name));
	fd = kept->fd;
	free(kept);
	return fd;
}

int fdstore_put(struct fdstore *store, const char *name, int fd)
{
	int copy, r;

	if (!store->has_service)
		return 0;
	store->count++; /* also if it fails: it will be removed all the same */
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	r = copy < 0 ? -errno : ask(store, name, copy);
	if (r < 0)
		return r;
	return store->limit > 0 && store->count > store->limit ? -ENOSPC : 0;
}

void fdstore_remove(struct fdstore *store, const char *name)
{
	int r;

	if (!store->has_service)
		return;
	store->count -= store->count > 0;
	r = ask(store, name, -1);
	if (r < 0)
		note_result(store, name, false, r);
}
