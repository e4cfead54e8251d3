/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Words: durations, sizes, states, names, and numbers as text. The input is a text.
 *
 * Promises: what is accepted is in range and has the form that parse.h tells; a duration that is
 * written again is the same duration; a text is cut between characters, and mended only where it is no UTF-8.
 */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <strings.h>

#include "fuzz.h"

#include "iotd/base.h"
#include "iotd/parse.h"

#define DURATION_MAX_US (100LL * 365 * 86400 * 1000000)

static void check_duration(const char *text)
{
	int64_t us = -1, again = -1;
	char written[64];
	char *end;
	double seconds;
	int r = parse_duration(text, &us);

	must(r == 0 || r == -EINVAL || r == -ERANGE);
	if (r < 0) {
		must(us == -1);
		return;
	}
	must(us >= 0 && us <= DURATION_MAX_US);
	must(isdigit((unsigned char)*text));
	format_duration(written, sizeof(written), us);
	must(parse_duration(written, &again) == 0 && again == us);
	seconds = strtod(text, &end);
	if (*end == '\0')
		must(fabs(seconds * 1e6 - (double)us) <= 0.5 + seconds * 1e-9);
}

static void check_size(const char *text)
{
	uint64_t size = 1, plain;
	int r = parse_size(text, &size);
	char *end;

	must(r == 0 || r == -EINVAL || r == -ERANGE);
	if (r < 0) {
		must(size == 1);
		return;
	}
	errno = 0;
	plain = strtoull(text, &end, 10);
	must(isdigit((unsigned char)*text) && errno == 0);
	must(*end == '\0' ? size == plain : end[1] == '\0' && strchr("KMGT", *end));
	must(size >= plain);
}

static void check_state(const char *text, size_t length)
{
	bool on = false;
	int r = parse_state(text, length, &on);

	must(r == 0 || r == -EINVAL);
	if (r == 0)
		must(length <= 5 && strchr(on ? "oOtT1" : "oOfF0", text[0]));
}

static void check_name(const char *text)
{
	size_t length = strlen(text);

	if (!parse_name(text))
		return;
	must(length >= 1 && length <= 64);
	for (const char *at = text; *at; at++)
		must(isalnum((unsigned char)*at) || *at == '_' || *at == '-');
}

static void check_text(const char *text)
{
	cleanup(freep) char *copy = strdup(text);
	size_t length = strlen(text), first = text_character(text), fit = text_fit(text, 16);
	bool is_utf8 = text_is_utf8(text, length);

	must(copy && fit <= 16 && text_is_utf8(text, first));
	text_mend(copy);
	must(strlen(copy) == length && text_is_utf8(copy, length));
	must(is_utf8 == (strcmp(copy, text) == 0));
	if (is_utf8)
		must(first > 0 && text_is_utf8(text, fit) && (fit == length || fit >= 13));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	cleanup(freep) char *text = input_until(&input, '\0', NULL);

	check_duration(text);
	check_size(text);
	check_name(text);
	check_text(text);
	check_state((const char *)data, size);
	return 0;
}
