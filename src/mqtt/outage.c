/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An outage begins with a failed attempt or a lost connection, and ends with a connection that
 * holds. The first failure is logged, and the first connection after it with how long and how many
 * tries. If that one is lost again before it held for OUTAGE_HELD_US it is still the same outage (a
 * broker that throws us out each time, a rival with our client id): that is said once, and its end when a
 * connection has held. What lies between is logged only if the reason is another one ("connection
 * refused" became "not authorized"), once a minute at most.
 */
#include <stdio.h>
#include <string.h>

#include "iotd/clock.h"
#include "iotd/log.h"
#include "outage.h"
#include "words.h"

#define SAY_AGAIN_US (60 * USEC_PER_SEC) /* another reason is logged too, so often at most */

static void outage_remember(struct outage *outage, int64_t now_us, const char *why)
{
	(void)snprintf(outage->said, sizeof(outage->said), "%s", why);
	outage->said_us = now_us;
}

static void outage_begin(struct outage *outage, int64_t now_us, const char *why)
{
	*outage = (struct outage){ .under_way = true, .since_us = now_us };
	outage_remember(outage, now_us, why);
}

/* is @why news? */
static bool outage_is_told_again(struct outage *outage, int64_t now_us, const char *why)
{
	if (strcmp(why, outage->said) == 0 || now_us - outage->said_us < SAY_AGAIN_US)
		return false;
	outage_remember(outage, now_us, why);
	return true;
}

bool outage_failed(struct outage *outage, int64_t now_us, const char *url, const char *why)
{
	bool begins = !outage->under_way;

	if (begins) {
		outage_begin(outage, now_us, why);
		log_warning("cannot connect to %s: %s; readings are kept, and iotd tries again",
			    url, why);
	} else if (outage_is_told_again(outage, now_us, why)) {
		log_warning("still cannot connect to %s: %s", url, why);
	} else {
		log_debug("try %u: cannot connect to %s: %s", outage->tries + 1, url, why);
	}
	outage->tries++;
	return begins;
}

void outage_lost(struct outage *outage, int64_t now_us, int64_t up_us, const char *url,
		 const char *why)
{
	char lasted[32];

	elapsed_words(lasted, sizeof(lasted), now_us - up_us);
	if (!outage->under_way) {
		outage_begin(outage, now_us, why);
		log_warning("lost the connection to %s after %s: %s; readings are kept, and iotd "
			    "connects again",
			    url, lasted, why);
		return;
	}
	outage->losses++;
	if (outage->losses == 1) {
		outage_remember(outage, now_us, why);
		log_warning(
			"connections to %s do not last: lost after %s: %s; iotd goes on trying, "
			"and says when one has held for %d s",
			url, lasted, why, (int)(OUTAGE_HELD_US / USEC_PER_SEC));
	} else if (outage_is_told_again(outage, now_us, why)) {
		log_warning("connections to %s still do not last: lost after %s: %s", url, lasted,
			    why);
	} else {
		log_debug("lost the connection to %s after %s: %s", url, lasted, why);
	}
}

void outage_connected(struct outage *outage, int64_t now_us, const char *url)
{
	char took[32];

	elapsed_words(took, sizeof(took), now_us - outage->since_us);
	if (!outage->under_way)
		log_info("connected to %s", url);
	else if (outage->losses == 0)
		log_notice("connected to %s after %s and %u tries", url, took, outage->tries + 1);
	else
		log_debug("connected to %s after %s", url, took);
}

void outage_held(struct outage *outage, int64_t now_us, const char *url)
{
	char took[32];

	elapsed_words(took, sizeof(took), now_us - outage->since_us);
	if (outage->under_way && outage->losses > 0)
		log_notice("the connection to %s holds again, after %s, %u tries and %u losses",
			   url, took, outage->tries, outage->losses);
	outage->under_way = false;
}
