/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Something that may happen ten thousand times a second is logged once a burst. */

#include "iotd/reactor.h"

/** struct burst - embedded; one kind of event */
struct burst {
	struct reactor *reactor;
	struct reactor_timer timer;
	int level;	  /* LOG_* */
	const char *what; /* "commands were refused": follows "N more" */
	uint64_t more;	  /* since the last line */
	int64_t last_us, told_us;
	bool active;
};

/** burst_init() - quiet; @what must outlive it */
void burst_init(struct burst *burst, struct reactor *reactor, int level, const char *what);

/**
 * burst_note() - it happened @count times; @text: one line, said only if no burst is under way
 *
 * Later ones are counted, and the count is said when it was quiet for 5 s, or each minute. Control characters in @text
 * are not written to the log: it may hold what a stranger sent.
 */
void burst_note(struct burst *burst, uint64_t count, const char *text);

/** burst_stop() - say what is left, then nothing more */
void burst_stop(struct burst *burst);
