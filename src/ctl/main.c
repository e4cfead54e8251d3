/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* iotctl: options, then one verb. */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"

#include "iotd/parse.h"
#include "iotd/suggest.h"

#define MINUTES_MAX (7ULL * 24 * 60)
#define SIZE_MOST   9999 /* columns, rows */

static const struct verb verbs[] = {
	{ "status", "", "how it is: connection, spool, every device", 0, 0, 0, verb_status },
	{ "list", "", "sensors, inputs and outputs", 0, 0, OPTION_NAMES | OPTION_KIND, verb_list },
	{ "read", "NAME...", "read sensors and inputs now", 1, -1, 0, verb_read },
	{ "set", "NAME STATE", "set an output: on, off or toggle", 2, 2, OPTION_FOR, verb_set },
	{ "pulse", "NAME DURATION", "an output on, and off again after DURATION", 2, 2, 0,
	  verb_pulse },
	{ "toggle", "NAME", "an output to its other state", 1, 1, OPTION_FOR, verb_toggle },
	{ "interval", "NAME DURATION", "read it that often, until the next reload", 2, 2, 0,
	  verb_interval },
	{ "reload", "", "read the configuration again", 0, 0, 0, verb_reload },
	{ "stats", "", "counters since the start", 0, 0, 0, verb_stats },
	{ "scan", "[BUS]", "find I2C chips, and print the configuration for them", 0, 1, 0,
	  verb_scan },
	{ "check", "[FILE]", "is the configuration good?", 0, 1, 0, verb_check },
	{ "spool", "[export]", "readings that wait for the broker; or all of them", 0, 1, 0,
	  verb_spool },
	{ "watch", "[NAME...]", "readings as they come", 0, -1,
	  OPTION_PLOT | OPTION_SECONDS | OPTION_COUNT | OPTION_MINUTES | OPTION_SIZE, verb_watch },
	{ "top", "", "sensors by what they cost", 0, 0, OPTION_INTERVAL | OPTION_COUNT, verb_top },
};

static const char options_help[] =
	"      --json           print JSON\n"
	"      --instance NAME  talk to iotd@NAME\n"
	"      --for DURATION   set, toggle: and back again after DURATION\n"
	"      --names          list: names only\n"
	"      --kind KIND      list: sensor, input or output only\n"
	"      --plot NAME      watch: as a plot; NAME or NAME.CHANNEL\n"
	"      --size WxH       watch: of a plot that is printed, 80x20\n"
	"      --minutes N      watch: that a sparkline or a plot shows, 5\n"
	"      --seconds N      watch: and no longer\n"
	"      --interval DURATION  top: between two tables, 2s\n"
	"      --count N        watch: so many readings; top: so many tables\n"
	"  -V, --version        print the version and exit\n"
	"  -h, --help           print this help and exit\n";

static void print_help(void)
{
	char call[64];

	(void)fputs("Usage: iotctl [OPTIONS] [VERB ...]\n"
		    "Shows and steers the running iotd. Without a verb: status.\n"
		    "\n",
		    stdout);
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		(void)snprintf(call, sizeof(call), "%s %s", verbs[i].name, verbs[i].arguments);
		(void)printf("  %-23s %s\n", call, verbs[i].help);
	}
	(void)printf("\n%s\nDurations: 250ms, 5s, 10m, 1h. See iotctl(1).\n", options_help);
}

static int bad_usage(const struct ctl *ctl, const char *what, const char *word)
{
	return ctl_fail(ctl, EX_USAGE, "%s%s; try \"iotctl --help\"", what, word);
}

/* --- The command line --------------------------------------------------------------------------- */

static const struct option option_names[] = {
	{ "json", no_argument, NULL, 'j' },	      { "instance", required_argument, NULL, 'i' },
	{ "for", required_argument, NULL, 'f' },      { "names", no_argument, NULL, 'n' },
	{ "kind", required_argument, NULL, 'k' },     { "plot", required_argument, NULL, 'p' },
	{ "seconds", required_argument, NULL, 's' },  { "count", required_argument, NULL, 'c' },
	{ "minutes", required_argument, NULL, 'm' },  { "size", required_argument, NULL, 'z' },
	{ "interval", required_argument, NULL, 'e' }, { "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },	      { 0 },
};

/* Return: EX_OK; EX_USAGE, said */
static int take_duration(const struct ctl *ctl, const char *text, int64_t *ret_us)
{
	if (parse_duration(text, ret_us) < 0 || *ret_us == 0)
		return bad_usage(ctl, "no duration (250ms, 5s, 10m, 1h): ", text);
	return EX_OK;
}

static int take_kind(struct ctl *ctl, const char *text)
{
	for (int kind = DEVICE_SENSOR; kind <= DEVICE_OUTPUT; kind++)
		if (strcmp(text, device_kind_name((enum device_kind)kind)) == 0) {
			ctl->kind = kind;
			return EX_OK;
		}
	return bad_usage(ctl, "--kind is sensor, input or output, not ", text);
}

/* digits, 1 .. @most. Return: EX_OK; EX_USAGE, said */
static int take_number(const struct ctl *ctl, const char *text, unsigned long long most,
		       unsigned long long *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0' || text[0] < '0' || text[0] > '9' || *ret == 0 ||
	    *ret > most)
		return bad_usage(ctl, "no such number: ", text);
	return EX_OK;
}

static int take_size(struct ctl *ctl, const char *text)
{
	char *by, *end;

	ctl->columns = strtoul(text, &by, 10);
	ctl->rows = *by == 'x' ? strtoul(by + 1, &end, 10) : 0;
	if (ctl->rows == 0 || *end != '\0' || ctl->columns == 0 || ctl->columns > SIZE_MOST ||
	    ctl->rows > SIZE_MOST)
		return bad_usage(ctl, "no size like 80x20: ", text);
	return EX_OK;
}

/* of watch and top. Return: EX_OK; EX_USAGE, said */
static int take_live_option(struct ctl *ctl, int letter)
{
	unsigned long long number = 0;
	int status;

	switch (letter) {
	case 'p':
		ctl->given |= OPTION_PLOT;
		ctl->plot = optarg;
		return EX_OK;
	case 's':
		ctl->given |= OPTION_SECONDS;
		return take_duration(ctl, optarg, &ctl->seconds_us);
	case 'c':
		ctl->given |= OPTION_COUNT;
		status = take_number(ctl, optarg, UINT64_MAX, &number);
		ctl->count = number;
		return status;
	case 'm':
		ctl->given |= OPTION_MINUTES;
		status = take_number(ctl, optarg, MINUTES_MAX, &number);
		ctl->minutes = (int64_t)number;
		return status;
	case 'z':
		ctl->given |= OPTION_SIZE;
		return take_size(ctl, optarg);
	case 'e':
		ctl->given |= OPTION_INTERVAL;
		return take_duration(ctl, optarg, &ctl->interval_us);
	default:
		return bad_usage(ctl, "bad command line", ""); /* getopt has said what */
	}
}

/* options of some verbs only. Return: EX_OK; EX_USAGE, said */
static int take_verb_option(struct ctl *ctl, int letter)
{
	switch (letter) {
	case 'f':
		ctl->given |= OPTION_FOR;
		return take_duration(ctl, optarg, &ctl->for_us);
	case 'n':
		ctl->given |= OPTION_NAMES;
		return EX_OK;
	case 'k':
		ctl->given |= OPTION_KIND;
		return take_kind(ctl, optarg);
	default:
		return take_live_option(ctl, letter);
	}
}

/* as iotd has it: what systemd may have in %i, as far as it is part of a file's name */
static bool is_instance(const char *text)
{
	return *text != '\0' && *text != '.' && strlen(text) <= NAME_LENGTH && !strchr(text, '/');
}

static int take_option(struct ctl *ctl, int letter)
{
	switch (letter) {
	case 'j':
		ctl->json = true;
		return EX_OK;
	case 'i':
		ctl->instance = optarg;
		return is_instance(optarg) ? EX_OK
					   : bad_usage(ctl, "no name of an instance: ", optarg);
	default:
		return take_verb_option(ctl, letter);
	}
}

/* Return: the verb of that name; NULL: there is none, and that is said */
static const struct verb *find_verb(const struct ctl *ctl, const char *name)
{
	struct suggest suggest = { .word = name };

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(name, verbs[i].name) == 0)
			return &verbs[i];
		suggest_offer(&suggest, verbs[i].name);
	}
	(void)ctl_fail(ctl, EX_USAGE, "no such verb: %s%s; try \"iotctl --help\"", name,
		       suggest_text(&suggest));
	return NULL;
}

static int run_verb(struct ctl *ctl, int argc, char **argv)
{
	const struct verb *verb = find_verb(ctl, argc > 0 ? argv[0] : "status");

	if (!verb)
		return EX_USAGE;
	if (argc > 0) {
		argc--;
		argv++;
	}
	if (ctl->given & ~verb->options)
		return bad_usage(ctl, "an option that is not for ", verb->name);
	if (argc < verb->min)
		return ctl_fail(ctl, EX_USAGE, "%s needs %s; try \"iotctl --help\"", verb->name,
				verb->arguments);
	if (verb->max >= 0 && argc > verb->max)
		return bad_usage(ctl, "unexpected argument: ", argv[verb->max]);
	return verb->run(ctl, argc, argv);
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	int letter, status;

	while ((letter = getopt_long(argc, argv, "Vh", option_names, NULL)) != -1) {
		if (letter == 'V') {
			(void)printf("iotctl %s\n", IOTD_VERSION);
			return EX_OK;
		}
		if (letter == 'h') {
			print_help();
			return EX_OK;
		}
		status = take_option(ctl, letter);
		if (status != EX_OK)
			return status;
	}
	return run_verb(ctl, argc - optind, argv + optind);
}

int main(int argc, char **argv)
{
	cleanup(ctl_close) struct ctl ctl = { .kind = -1 };
	const char *no_color = getenv("NO_COLOR");
	int status;

	(void)setlocale(LC_CTYPE, "C.UTF-8"); /* wcwidth() */
	ctl.color = isatty(STDOUT_FILENO) == 1 && (!no_color || no_color[0] == '\0');
	for (int i = 1; i < argc; i++)
		ctl.json |= strcmp(argv[i], "--json") == 0; /* also for what is wrong before it */
	opterr = !ctl.json;
	status = run(&ctl, argc, argv);
	if (fflush(stdout) != 0 && status == EX_OK)
		status = ctl_fail(&ctl, EXIT_FAILURE, "stdout: write failed");
	return status;
}
