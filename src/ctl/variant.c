/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"
#include "variant.h"

int string_read(sd_bus_message *message, char **ret)
{
	const char *text;
	char *copy;
	int r;

	r = sd_bus_message_read_basic(message, SD_BUS_TYPE_STRING, &text);
	if (r < 0)
		return r;
	if (r == 0)
		return -EBADMSG;
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	text_clean(copy);
	free(*ret);
	*ret = copy;
	return 0;
}

int variant_enter(sd_bus_message *message, const char *contents)
{
	const char *found;
	char type;
	int r;

	r = sd_bus_message_peek_type(message, &type, &found);
	if (r < 0)
		return r;
	if (r == 0 || type != SD_BUS_TYPE_VARIANT)
		return -EBADMSG;
	if (strcmp(found, contents) != 0) {
		r = sd_bus_message_skip(message, "v");
		return r < 0 ? r : 0;
	}
	r = sd_bus_message_enter_container(message, SD_BUS_TYPE_VARIANT, contents);
	return r < 0 ? r : 1;
}

int variant_string(sd_bus_message *message, char **ret)
{
	int r = variant_enter(message, "s");

	if (r <= 0)
		return r;
	r = string_read(message, ret);
	return r < 0 ? r : sd_bus_message_exit_container(message);
}

int variant_number(sd_bus_message *message, uint64_t *ret)
{
	int r = variant_enter(message, "t");

	if (r <= 0)
		return r;
	r = sd_bus_message_read_basic(message, SD_BUS_TYPE_UINT64, ret);
	return r < 0 ? r : sd_bus_message_exit_container(message);
}
