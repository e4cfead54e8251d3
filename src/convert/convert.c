/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "convert.h"

#include "iotd/parse.h"

/* --- writing -------------------------------------------------------------------------------- */

static int part_new(struct part *part)
{
	part->stream = open_memstream(&part->text, &part->size);
	return part->stream ? 0 : -ENOMEM;
}

/* Return: 0; -ENOMEM: not all was kept */
static int part_close(struct part *part)
{
	FILE *stream = take_ptr(part->stream);

	return stream && fclose(stream) != 0 ? -ENOMEM : 0;
}

static void part_done(struct part *part)
{
	(void)part_close(part);
	free(part->text);
}

FILE *part_begin(struct part *part)
{
	(void)fputs(part->count++ > 0 ? ",\n  {" : "  {", part->stream);
	return part->stream;
}

void write_text(FILE *out, const char *key, const char *text)
{
	(void)fprintf(out, " %s = \"", key);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			(void)fputc('\\', out);
		(void)fputc(*text, out);
	}
	(void)fputs("\";", out);
}

void write_word(FILE *out, const char *key, const char *format, ...)
{
	va_list arguments;

	(void)fprintf(out, " %s = ", key);
	va_start(arguments, format);
	(void)vfprintf(out, format, arguments);
	va_end(arguments);
	(void)fputc(';', out);
}

void write_number(FILE *out, const char *key, double number)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%.12g", number);
	write_word(out, key, "%s%s", text, strpbrk(text, ".e") ? "" : ".0");
}

/* --- what must be unique -------------------------------------------------------------------- */

bool claim(struct convert *convert, const char *format, ...)
{
	va_list arguments;
	char *text, **grown;
	int r;

	va_start(arguments, format);
	r = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (r < 0) {
		convert->reader.error = -ENOMEM;
		return false;
	}
	grown = reallocarray(convert->claims, convert->claim_count + 1, sizeof(*grown));
	if (grown)
		convert->claims = grown;
	else
		convert->reader.error = -ENOMEM;
	for (size_t i = 0; grown && i < convert->claim_count; i++)
		if (strcmp(grown[i], text) == 0)
			grown = NULL;
	if (!grown) {
		free(text);
		return false;
	}
	grown[convert->claim_count++] = text;
	return true;
}

/* what is left of @text with other characters replaced, and room for a number behind it */
static void make_name(char name[static NAME_SIZE], const char *text)
{
	(void)snprintf(name, NAME_SIZE, "%.*s", NAME_SIZE - 1, text);
	for (char *at = name; *at; at++)
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-",
			    *at))
			*at = '_';
}

bool claim_name(struct convert *convert, const struct item *item, const char *key, const char *kind,
		const char *what, char name[static NAME_SIZE])
{
	const char *text = item_text(&convert->reader, item, key);

	if (!text || *text == '\0') {
		tell(&convert->reader, item, key, "is missing: left out");
		return false;
	}
	make_name(name, text);
	for (unsigned int number = 2; !claim(convert, "%s %s", kind, name); number++) {
		if (convert->reader.error < 0)
			return false;
		make_name(name, text);
		(void)snprintf(name + (strlen(name) < 60 ? strlen(name) : 60), 5, "_%u",
			       number % 1000);
	}
	if (!parse_name(text))
		tell(&convert->reader, item, key,
		     "\"%s\" is no name in iotd (A-Z a-z 0-9 _ -, at most 64): it is \"%s\", and "
		     "%s changes",
		     text, name, what);
	else if (strcmp(name, text) != 0)
		tell(&convert->reader, item, key, "\"%s\" is taken: it is \"%s\", and %s changes",
		     text, name, what);
	return true;
}

/* --- the whole ------------------------------------------------------------------------------ */

static const struct key root_keys[] = {
	{ .name = "mqtt" },
	{ .name = "gpio_modules" },
	{ .name = "sensor_modules" },
	{ .name = "digital_inputs" },
	{ .name = "digital_outputs" },
	{ .name = "sensor_inputs" },
	{ .name = "options" }, /* install_requirements */
	{ "stream_modules",
	  "iotd has no streams (serial ports, NFC readers): keep mqtt-io for them, "
	  "with a client_id of its own" },
	{ "logging", "iotd logs to the journal; how much is told by log_level" },
	{ "reporting", "iotd reports to nobody" },
	{ NULL },
};

int convert_new(struct convert **ret, const char *file, char fault[static TREE_FAULT_SIZE])
{
	cleanup(convert_freep) struct convert *convert = calloc(1, sizeof(*convert));
	const yaml_node_t *root;
	int r;

	(void)snprintf(fault, TREE_FAULT_SIZE, "%s: out of memory", file);
	if (!convert || part_new(&convert->root) < 0 || part_new(&convert->mqtt) < 0 ||
	    part_new(&convert->sensors) < 0 || part_new(&convert->inputs) < 0 ||
	    part_new(&convert->outputs) < 0)
		return -ENOMEM;
	convert->reader.file = file;
	r = tree_load(&convert->reader.tree, file, fault);
	if (r < 0)
		return r;
	root = tree_root(&convert->reader.tree);
	if (!tree_member(&convert->reader.tree, root, "mqtt")) {
		(void)snprintf(fault, TREE_FAULT_SIZE,
			       "%s:%zu: this is no configuration of mqtt-io: it has no section "
			       "\"mqtt\"",
			       file, root ? tree_line(root) : 1);
		return -EBADMSG;
	}
	*ret = take_ptr(convert);
	return 0;
}

struct convert *convert_free(struct convert *convert)
{
	if (!convert)
		return NULL;
	part_done(&convert->root);
	part_done(&convert->mqtt);
	part_done(&convert->sensors);
	part_done(&convert->inputs);
	part_done(&convert->outputs);
	for (size_t i = 0; i < convert->claim_count; i++)
		free(convert->claims[i]);
	free(convert->claims);
	reader_done(&convert->reader);
	free(convert);
	return NULL;
}

int convert_run(struct convert *convert)
{
	struct part *parts[] = { &convert->root, &convert->mqtt, &convert->sensors,
				 &convert->inputs, &convert->outputs };
	const struct item root = { .node = tree_root(&convert->reader.tree) };

	tell_keys(&convert->reader, &root, root_keys);
	convert_mqtt(convert);
	convert_modules(convert);
	convert_inputs(convert);
	convert_outputs(convert);
	convert_sensors(convert); /* last: its names give way */
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (part_close(parts[i]) < 0)
			convert->reader.error = -ENOMEM;
	return convert->reader.error;
}

static void write_list(FILE *out, const char *name, const struct part *part)
{
	if (part->count > 0)
		(void)fprintf(out, "\n%s = (\n%s\n);\n", name, part->text);
}

int convert_write(struct convert *convert, FILE *out)
{
	(void)fprintf(out,
		      "# Made by iotd-convert from a configuration of mqtt-io; see iotd.conf(5).\n"
		      "%s\nmqtt = {\n%s};\n",
		      convert->root.text + strspn(convert->root.text, " "), convert->mqtt.text);
	write_list(out, "sensors", &convert->sensors);
	write_list(out, "inputs", &convert->inputs);
	write_list(out, "outputs", &convert->outputs);
	return fflush(out) != 0 || ferror(out) ? -EIO : 0;
}

size_t convert_tell(struct convert *convert, FILE *out)
{
	reader_sort(&convert->reader);
	for (size_t i = 0; i < convert->reader.line_count; i++)
		(void)fprintf(out, "%s\n", convert->reader.lines[i].text);
	return convert->reader.line_count;
}
