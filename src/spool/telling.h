/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the spool has to tell: each trouble when it begins and when it ends, once. */

#include "iotd/spool.h"

struct telling {
	struct spool_events *events; /* NULL: nobody listens */
	bool is_faulty;		     /* the file's, told and not over */
	bool is_discarding;
	uint64_t discarded; /* since that began */
	int64_t since_us;
	bool is_expiring;
	uint64_t expired;		 /* since that began */
	int64_t expiring_us, expired_us; /* when it began; the last time */
};

/**
 * telling_fault() - how the file is: 0 or a negative errno
 * @lost: readings that were only there; they are told also if the fault is known
 */
void telling_fault(struct telling *telling, int error, uint64_t lost);

/** telling_words() - a file's fault, for a person */
const char *telling_words(int error);

/** telling_aside() - a damaged file was put aside as @path */
void telling_aside(const struct telling *telling, const char *path);

/** telling_discarded() - @count readings had to go */
void telling_discarded(struct telling *telling, uint64_t count, enum spool_bound bound,
		       int64_t now_us);

/** telling_room() - there is room again */
void telling_room(struct telling *telling, int64_t now_us);

/** telling_expired() - the time of @count readings is over */
void telling_expired(struct telling *telling, uint64_t count, int64_t now_us);

/** telling_acknowledged() - a reading has reached the broker */
void telling_acknowledged(struct telling *telling, int64_t now_us);

/** telling_end() - whatever is under way ends */
void telling_end(struct telling *telling, int64_t now_us);
