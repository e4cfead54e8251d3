/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Widths follow the C library's table, in the locale that main() has set: UTF-8 with any language. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <wchar.h>

#include "text.h"

#include "iotd/clock.h"
#include "iotd/parse.h"

#define CUT    "…"
#define DIGITS 15 /* the most that a double always holds: 21.37 stays 21.37 */

/* --- Colours ------------------------------------------------------------------------------------ */

const char *color_begin(enum color color, bool is_on)
{
	static const char *const sequences[] = {
		[COLOR_PLAIN] = "",	  [COLOR_BOLD] = "\033[1m",   [COLOR_DIM] = "\033[2m",
		[COLOR_RED] = "\033[31m", [COLOR_GREEN] = "\033[32m", [COLOR_YELLOW] = "\033[33m",
	};

	return is_on ? sequences[color] : "";
}

const char *color_end(enum color color, bool is_on)
{
	return is_on && color != COLOR_PLAIN ? "\033[0m" : "";
}

enum color status_color(enum device_status status)
{
	switch (status) {
	case STATUS_UNKNOWN:
		return COLOR_PLAIN;
	case STATUS_ONLINE:
		return COLOR_GREEN;
	case STATUS_OFFLINE:
		return COLOR_RED;
	}
	return COLOR_PLAIN;
}

/* --- What a terminal may be given --------------------------------------------------------------- */

/* C1 too: U+009B begins an escape sequence as ESC [ does, and is C2 9B in UTF-8 */
static bool is_control(const unsigned char *character)
{
	return character[0] < 0x20 || character[0] == 0x7f ||
	       (character[0] == 0xc2 && character[1] < 0xa0);
}

static void clean(char *text, const char *allowed)
{
	char *to = text;

	text_mend(text);
	for (size_t length; *text != '\0'; text += length) {
		length = text_character(text);
		if (is_control((const unsigned char *)text) && !strchr(allowed, *text)) {
			*to++ = '?';
			continue;
		}
		memmove(to, text, length);
		to += length;
	}
	*to = '\0';
}

void text_clean(char *text)
{
	clean(text, "");
}

void text_clean_lines(char *text)
{
	clean(text, "\n\t");
}

size_t text_width(const char *text)
{
	size_t width = 0, length;
	wchar_t character;
	int columns;

	for (; *text != '\0'; text += length) {
		mbstate_t state = { 0 };

		length = mbrtowc(&character, text, strlen(text), &state);
		if (length == 0 || length > strlen(text)) { /* no character: a column a byte */
			length = 1;
			width++;
			continue;
		}
		columns = wcwidth(character);
		width += columns < 0 ? 1 : (size_t)columns;
	}
	return width;
}

/* --- Values ------------------------------------------------------------------------------------- */

void number_text(char *buffer, size_t size, double number)
{
	if (!isfinite(number))
		(void)snprintf(buffer, size, "-");
	else
		(void)snprintf(buffer, size, "%.*g", DIGITS, number + 0.0); /* + 0.0: no "-0" */
}

void value_text(char *buffer, size_t size, const struct device_channel *channel)
{
	size_t length;

	number_text(buffer, size, channel->number);
	if (!isfinite(channel->number) || channel->unit[0] == '\0')
		return;
	length = strlen(buffer);
	(void)snprintf(buffer + length, size - length, " %s", channel->unit);
}

/* Return: how long it is now; @size: there is no room for more, which is shown */
static size_t append(char *buffer, size_t size, size_t length, const char *text)
{
	size_t more = strlen(text);

	if (length >= size)
		return size;
	if (length + more + sizeof(CUT) > size) {
		memcpy(buffer + length, CUT, sizeof(CUT));
		return size;
	}
	memcpy(buffer + length, text, more + 1);
	return length + more;
}

static bool has_number(const struct device *device)
{
	for (size_t i = 0; i < device->channel_count; i++)
		if (isfinite(device->channels[i].number))
			return true;
	return false;
}

void values_text(char *buffer, size_t size, const struct device *device)
{
	char value[TEXT_SIZE];
	size_t length = 0;

	(void)snprintf(buffer, size, "%s",
		       device->state < 0   ? "-"
		       : device->state > 0 ? "on"
					   : "off");
	if (!has_number(device))
		return;
	for (size_t i = 0; i < device->channel_count; i++) {
		value_text(value, sizeof(value), &device->channels[i]);
		length = append(buffer, size, length, i > 0 ? ", " : "");
		length = append(buffer, size, length, device->channels[i].name);
		length = append(buffer, size, length, " ");
		length = append(buffer, size, length, value);
	}
}

/* --- Times and sizes ---------------------------------------------------------------------------- */

void age_text(char *buffer, size_t size, int64_t age_us)
{
	int64_t seconds = age_us / USEC_PER_SEC;

	if (age_us < 0)
		(void)snprintf(buffer, size, "-");
	else if (seconds < 120)
		(void)snprintf(buffer, size, "%" PRId64 " s", seconds);
	else if (seconds < 120LL * 60)
		(void)snprintf(buffer, size, "%" PRId64 " min", seconds / 60);
	else if (seconds < 48LL * 3600)
		(void)snprintf(buffer, size, "%" PRId64 " h", seconds / 3600);
	else
		(void)snprintf(buffer, size, "%" PRId64 " d", seconds / 86400);
}

void lapse_text(char *buffer, size_t size, uint64_t lapse_us)
{
	if (lapse_us < 1000)
		(void)snprintf(buffer, size, "%" PRIu64 " us", lapse_us);
	else if (lapse_us < (uint64_t)USEC_PER_SEC)
		(void)snprintf(buffer, size, "%.3g ms", (double)lapse_us / USEC_PER_MSEC);
	else if (lapse_us < 100 * (uint64_t)USEC_PER_SEC)
		(void)snprintf(buffer, size, "%.3g s", (double)lapse_us / USEC_PER_SEC);
	else
		age_text(buffer, size, (int64_t)(lapse_us > INT64_MAX ? INT64_MAX : lapse_us));
}

void bytes_text(char *buffer, size_t size, uint64_t bytes)
{
	static const char units[] = "KMGT";
	double amount = (double)bytes / 1024;
	size_t i = 0;

	if (bytes < 1024) {
		(void)snprintf(buffer, size, "%" PRIu64 " bytes", bytes);
		return;
	}
	for (; amount >= 1024 && i + 2 < sizeof(units); i++)
		amount /= 1024;
	(void)snprintf(buffer, size, amount < 10 ? "%.1f %ciB" : "%.0f %ciB", amount, units[i]);
}
