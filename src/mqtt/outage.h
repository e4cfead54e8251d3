/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the log says about a connection that fails: when it begins and when it ends. On the reactor's thread. */

#include <stdbool.h>
#include <stdint.h>

#define OUTAGE_HELD_US 10000000 /* a connection that held this long was a good one */

/** struct outage - embedded; zeroed: none */
struct outage {
	bool under_way;
	int64_t since_us;
	unsigned int tries;  /* to connect, that failed */
	unsigned int losses; /* of connections that did not hold */
	char said[384];	     /* why, as it was last logged */
	int64_t said_us;
};

/** outage_failed() - an attempt to connect failed. Return: it is the first one of an outage */
bool outage_failed(struct outage *outage, int64_t now_us, const char *url, const char *why);

/** outage_lost() - a connection that was made at @up_us is gone */
void outage_lost(struct outage *outage, int64_t now_us, int64_t up_us, const char *url,
		 const char *why);

/** outage_connected() - connected, for now */
void outage_connected(struct outage *outage, int64_t now_us, const char *url);

/** outage_held() - the connection has held for OUTAGE_HELD_US */
void outage_held(struct outage *outage, int64_t now_us, const char *url);
