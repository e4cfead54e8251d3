/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* iotd: options, then check, read once, or run. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "iotd/config.h"
#include "iotd/daemon.h"
#include "iotd/log.h"
#include "iotd/memory.h"
#include "iotd/service.h"

#define DEFAULT_CONFIG "/etc/iotd.conf"
#define CONFIG_FOLDER  "/etc/iotd/" /* of instances */

enum action {
	ACTION_RUN,
	ACTION_CHECK,
	ACTION_ONCE,
	ACTION_LIST_DRIVERS,
	ACTION_SCAN,
	ACTION_VERSION,
	ACTION_HELP
};

struct options {
	enum action action;
	const char *config; /* NULL: not given */
	char instance_config[sizeof(CONFIG_FOLDER) + NAME_LENGTH + sizeof(".conf")];
	const char *bus; /* to scan; NULL: all */
	int log_level;	 /* -1: the file's */
	struct daemon_options daemon;
};

static const char help[] =
	"Usage: iotd [OPTIONS]\n"
	"Reads sensors and GPIO lines, publishes them over MQTT, obeys commands.\n"
	"\n"
	"  -c, --config FILE      configuration file (default " DEFAULT_CONFIG ")\n"
	"      --instance NAME    one of several: " CONFIG_FOLDER
	"NAME.conf, org.iotd1.NAME on D-Bus\n"
	"  -t, --check            check the configuration and exit\n"
	"  -1, --once             read every sensor and input once, print and exit\n"
	"  -s, --simulate         emulate I2C buses and GPIO chips\n"
	"  -l, --list-drivers     list the drivers, one a line, and exit\n"
	"      --scan [BUS]       find I2C chips, print the configuration for them and exit\n"
	"      --log-level LEVEL  debug, info (default), notice, warning or err\n"
	"  -V, --version          print the version and exit\n"
	"  -h, --help             print this help and exit\n"
	"\n"
	"See iotd(8) and iotd.conf(5).\n";

static int bad_usage(const char *what, const char *word)
{
	(void)fprintf(stderr, "iotd: %s%s; try \"iotd --help\"\n", what, word);
	return EX_USAGE;
}

/* what systemd may have in %i, as far as it is part of a file's name */
static bool is_instance(const char *text)
{
	return *text && *text != '.' && strlen(text) <= NAME_LENGTH && !strchr(text, '/');
}

static int set_option(struct options *options, int letter)
{
	switch (letter) {
	case 'c':
		options->config = optarg;
		return 0;
	case 't':
		options->action = ACTION_CHECK;
		return 0;
	case '1':
		options->action = ACTION_ONCE;
		return 0;
	case 's':
		options->daemon.simulate = true;
		return 0;
	case 'l':
		options->action = ACTION_LIST_DRIVERS;
		return 0;
	case 'S':
		options->action = ACTION_SCAN;
		options->bus = optarg;
		return 0;
	case 'L':
		options->log_level = log_level_from_name(optarg);
		options->daemon.has_log_level = true;
		return options->log_level < 0 ? bad_usage("unknown log level: ", optarg) : 0;
	case 'I':
		options->daemon.instance = optarg;
		return is_instance(optarg) ? 0 : bad_usage("no name for an instance: ", optarg);
	case 'V':
		options->action = ACTION_VERSION;
		return 0;
	case 'h':
		options->action = ACTION_HELP;
		return 0;
	default:
		return bad_usage("bad command line", ""); /* getopt has said what */
	}
}

static void set_config(struct options *options)
{
	const char *instance = options->daemon.instance;

	if (options->config)
		return;
	options->config = instance ? options->instance_config : DEFAULT_CONFIG;
	(void)snprintf(options->instance_config, sizeof(options->instance_config), "%s%s.conf",
		       CONFIG_FOLDER, instance ? instance : "");
}

static int parse_options(struct options *options, int argc, char **argv)
{
	static const struct option names[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "instance", required_argument, NULL, 'I' },
		{ "check", no_argument, NULL, 't' },
		{ "once", no_argument, NULL, '1' },
		{ "simulate", no_argument, NULL, 's' },
		{ "list-drivers", no_argument, NULL, 'l' },
		{ "scan", optional_argument, NULL, 'S' },
		{ "log-level", required_argument, NULL, 'L' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int letter, r;

	*options = (struct options){ .log_level = -1 };
	while ((letter = getopt_long(argc, argv, "c:t1slVh", names, NULL)) != -1) {
		r = set_option(options, letter);
		if (r != 0 || options->action == ACTION_VERSION || options->action == ACTION_HELP)
			return r; /* who asks for help gets it, whatever else the line says */
	}
	/* getopt takes an optional argument only behind a "=" */
	if (optind < argc && options->action == ACTION_SCAN && !options->bus)
		options->bus = argv[optind++];
	set_config(options);
	return optind < argc ? bad_usage("unexpected argument: ", argv[optind]) : 0;
}

/* Return: EX_OK; EX_CONFIG with every fault on stderr; EX_OSERR */
static int load(struct settings **ret, const struct options *options)
{
	static const struct log_fields refused = { .message_id = MESSAGE_ID_CONFIG_REFUSED };
	struct config_faults faults = { 0 };
	bool is_check = options->action == ACTION_CHECK;
	int r;

	if (options->log_level >= 0)
		log_set_level(options->log_level);
	daemon_load_drivers(options->config, is_check);
	r = is_check ? config_check(ret, options->config, &faults)
		     : config_load(ret, options->config, &faults);
	for (size_t i = 0; i < faults.count; i++) {
		if (is_check)
			(void)fprintf(stderr, "%s\n", faults.lines[i]);
		else
			log_error("%s", faults.lines[i]);
	}
	if (r == -EBADMSG && options->action == ACTION_RUN)
		log_event(LOG_ERR, &refused, "%s is refused, not started", options->config);
	config_faults_free(&faults);
	if (r == 0) {
		log_set_level(options->log_level >= 0 ? options->log_level : (*ret)->log_level);
		return EX_OK;
	}
	if (r == -EBADMSG)
		return EX_CONFIG;
	log_error("%s: cannot be loaded: %s", options->config, strerror(-r));
	return EXIT_FAILURE;
}

/* systemd waits longer for a file system that is away, or for a slow board */
static int load_patiently(struct settings **ret, const struct options *options)
{
	struct starting *starting;
	char doing[256];
	int status;

	(void)snprintf(doing, sizeof(doing), "reading %s", options->config);
	starting = starting_new(doing);
	status = load(ret, options);
	starting_free(starting);
	return status;
}

static int run_daemon(struct settings *settings, const struct daemon_options *options)
{
	cleanup(daemon_freep) struct daemon *daemon = NULL;
	int r;

	r = daemon_new(&daemon, settings, options);
	if (r < 0) {
		log_error("cannot start: %s", strerror(-r));
		return EXIT_FAILURE;
	}
	r = daemon_run(daemon);
	if (r < 0)
		log_error("ended by a failure: %s", strerror(-r));
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run(const struct options *options)
{
	cleanup(settings_freep) struct settings *settings = NULL;
	int r;

	r = options->action == ACTION_RUN ? load_patiently(&settings, options)
					  : load(&settings, options);
	if (r != EX_OK)
		return r;
	if (options->action == ACTION_CHECK) {
		(void)printf("%s: ok (%zu sensors, %zu inputs, %zu outputs)\n", options->config,
			     settings->sensor_count, settings->input_count, settings->output_count);
		return EXIT_SUCCESS;
	}
	if (options->action == ACTION_ONCE)
		return daemon_once(settings, &options->daemon, stdout) < 0 ? EXIT_FAILURE
									   : EXIT_SUCCESS;
	return run_daemon(take_ptr(settings), &options->daemon);
}

static int scan(const struct options *options)
{
	int r;

	if (options->log_level >= 0)
		log_set_level(options->log_level);
	r = daemon_scan(options->bus, &options->daemon, stdout);
	if (r == -EINVAL)
		return bad_usage("no I2C bus (i2c-1, 1 or /dev/i2c-1): ", options->bus);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct options options;
	int r;

	memory_use_little();
	r = parse_options(&options, argc, argv);
	if (r != EX_OK)
		return r;
	switch (options.action) {
	case ACTION_LIST_DRIVERS:
		daemon_load_drivers(options.config, true);
		daemon_list_drivers(stdout);
		break;
	case ACTION_SCAN:
		r = scan(&options);
		break;
	case ACTION_VERSION:
		(void)printf("iotd %s\n", IOTD_VERSION);
		break;
	case ACTION_HELP:
		(void)fputs(help, stdout);
		break;
	case ACTION_RUN:
	case ACTION_CHECK:
	case ACTION_ONCE:
		r = run(&options);
		break;
	}
	if (fflush(stdout) != 0 && r == EXIT_SUCCESS) {
		(void)fprintf(stderr, "iotd: stdout: write failed\n");
		r = EXIT_FAILURE;
	}
	return r;
}
