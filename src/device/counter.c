/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "counter.h"
#include "iotd/clock.h"

#define DIGITS 6 /* 0.2794 mm in a minute are 0.004657 mm/s */

void counter_init(struct counter *counter, const struct input_settings *settings)
{
	struct channel *total = &counter->channels[COUNTER_TOTAL];
	struct channel *rate = &counter->channels[COUNTER_RATE];

	*counter = (struct counter){ .edges = 0 };
	*total = (struct channel){ .name = "total", .digits = DIGITS };
	*rate = (struct channel){ .name = "rate", .unit = "Hz", .digits = DIGITS };
	(void)snprintf(total->unit, sizeof(total->unit), "%s", settings->unit);
	if (settings->unit[0] != '\0') /* which has room for "/s": config sees to it */
		(void)snprintf(rate->unit, sizeof(rate->unit), "%.13s/s", settings->unit);
}

void counter_read(struct counter *counter, const struct input_settings *settings, int64_t now_us,
		  struct reading *ret)
{
	int64_t elapsed_us = counter->told_us > 0 ? now_us - counter->told_us : 0;
	double since = (double)(counter->edges - counter->told) * settings->scale;

	*ret = (struct reading){ .name = settings->name,
				 .time_us = clock_realtime_us(),
				 .count = COUNTER_CHANNELS };
	ret->values[COUNTER_TOTAL] = (struct value){ &counter->channels[COUNTER_TOTAL],
						     (double)counter->edges * settings->scale };
	ret->values[COUNTER_RATE] =
		(struct value){ &counter->channels[COUNTER_RATE],
				elapsed_us > 0 ? since * (double)USEC_PER_SEC / (double)elapsed_us
					       : 0 };
	counter->told = counter->edges;
	counter->told_us = now_us;
}
