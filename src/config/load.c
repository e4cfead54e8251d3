/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * config_load(): text, scan, parse, sections, checks.
 *
 * No step stops at a fault, so that a person sees them all at once; only a text that breaks off, or
 * that libconfig cannot parse, has no keys to look at. A section is a function; those that inherit
 * (sensors from mqtt) come after those that give.
 */
#include <errno.h>
#include <string.h>

#include "load.h"
#include "scan.h"
#include "value.h"

#include "iotd/base.h"
#include "iotd/plugins.h"
#include "iotd/suggest.h"

static const struct {
	const char *name;
	void (*load)(struct load *load, const config_setting_t *section);
} sections[] = {
	{ "mqtt", load_mqtt },	   { "spool", load_spool },	{ "commands", load_commands },
	{ "stats", load_stats },   { "i2c", load_i2c },		{ "sensors", load_sensors },
	{ "inputs", load_inputs }, { "outputs", load_outputs },
};

void *load_list(struct load *load, const config_setting_t *section, size_t size, size_t *ret_count)
{
	size_t count;
	void *list;

	*ret_count = 0;
	if (!section || !value_is_list(&load->faults, section))
		return NULL;
	count = (size_t)config_setting_length(section);
	if (count == 0)
		return NULL;
	list = calloc(count, size);
	if (!list) {
		fault_memory(&load->faults);
		return NULL;
	}
	*ret_count = count;
	return list;
}

void load_strings(struct load *load, const config_setting_t *setting, char ***ret,
		  size_t *ret_count)
{
	const char *text;
	size_t count;
	char **list;

	list = load_list(load, setting, sizeof(*list), &count);
	for (size_t i = 0; i < count; i++) {
		if (!value_string(&load->faults, config_setting_get_elem(setting, (unsigned int)i),
				  &text))
			text = "";
		table_string(&load->faults, &list[i], text);
	}
	*ret = list;
	*ret_count = count;
}

static void load_unknown(struct load *load, const config_setting_t *setting)
{
	struct suggest suggest = { .word = config_setting_name(setting) };

	for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
		if (strcmp(sections[i].name, config_setting_name(setting)) == 0)
			return;
		suggest_offer(&suggest, sections[i].name);
	}
	table_suggest(root_keys, &suggest);
	fault_unknown(&load->faults, setting, &suggest);
}

static void load_sections(struct load *load, const config_setting_t *root)
{
	uint64_t seen = 0;

	load_presets(load);
	for (int i = 0; i < config_setting_length(root); i++) {
		const config_setting_t *setting = config_setting_get_elem(root, (unsigned int)i);

		if (!table_take(load, root_keys, setting, load->settings, &seen))
			load_unknown(load, setting);
	}
	for (size_t i = 0; i < ARRAY_SIZE(sections) && load->faults.error == 0; i++)
		sections[i].load(load, config_setting_get_member(root, sections[i].name));
}

/* tree_parse() - Return: false, with a fault */
static bool tree_parse(struct load *load)
{
	const char *words;
	size_t line;

	if (config_read_string(&load->tree, load->text.data) == CONFIG_TRUE)
		return true;
	words = config_error_text(&load->tree);
	if (words && strcmp(words, "syntax error") == 0)
		words = "syntax error, here or in the line before (a quote, bracket or comma "
			"missing or too many?)";
	else if (words && strstr(words, "duplicate"))
		words = "a key that its group has already";
	line = (size_t)config_error_line(&load->tree);
	if (line >= load->text.line) /* at the end: behind the last newline */
		line = load->text.line - 1;
	fault_line(&load->faults, line, "%s", words ? words : "cannot be parsed");
	return false;
}

/* load_tree() - Return: 1; 0 there is none, with faults; -ENOMEM */
static int load_tree(struct load *load, const char *file)
{
	int r;

	r = text_load(&load->text, file, &load->faults);
	if (r < 0)
		return r;
	if (!load->faults.cut)
		scan_text(&load->text, &load->faults);
	faults_mark_text(&load->faults);
	if (load->faults.cut || load->faults.error < 0 || !tree_parse(load))
		return load->faults.error;
	return 1;
}

static int load_run(struct load *load, const char *file)
{
	int r;

	r = load_tree(load, file);
	if (r <= 0)
		return r;
	load->settings = calloc(1, sizeof(*load->settings));
	if (!load->settings)
		return -ENOMEM;
	table_string(&load->faults, &load->settings->file, file);
	load_sections(load, config_root_setting(&load->tree));
	if (load->faults.error < 0)
		return load->faults.error;
	check_across(load);
	return load->faults.error;
}

static void load_begin(struct load *load)
{
	config_init(&load->tree);
	load->faults.text = &load->text;
}

static void load_done(struct load *load)
{
	load->settings = settings_free(load->settings);
	config_destroy(&load->tree);
	faults_done(&load->faults);
	text_done(&load->text);
}

static int load_file(struct settings **ret, const char *file, struct config_faults *faults,
		     bool looks)
{
	cleanup(load_done) struct load load = { .looks = looks };
	int r;

	*faults = (struct config_faults){ 0 };
	load_begin(&load);
	r = load_run(&load, file);
	if (r < 0)
		return r;
	r = faults_tell(&load.faults, faults);
	if (r < 0)
		return r;
	*ret = take_ptr(load.settings);
	return 0;
}

int config_load(struct settings **ret, const char *file, struct config_faults *faults)
{
	return load_file(ret, file, faults, false);
}

int config_check(struct settings **ret, const char *file, struct config_faults *faults)
{
	return load_file(ret, file, faults, true);
}

int config_driver_dir(char **ret, const char *file)
{
	cleanup(load_done) struct load load = { 0 };
	const char *written = PLUGIN_FOLDER;
	char *copy;
	int r;

	load_begin(&load);
	r = load_tree(&load, file);
	if (r < 0)
		return r;
	if (r > 0)
		(void)config_lookup_string(&load.tree, "driver_dir", &written);
	copy = strdup(*written == '/' ? written : PLUGIN_FOLDER);
	if (!copy)
		return -ENOMEM;
	*ret = copy;
	return 0;
}

void config_faults_free(struct config_faults *faults)
{
	for (size_t i = 0; i < faults->count; i++)
		free(faults->lines[i]);
	free(faults->lines);
	*faults = (struct config_faults){ 0 };
}
