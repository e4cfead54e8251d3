/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* iotd-convert: from a configuration of mqtt-io to one of iotd. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "convert.h"

static const char help[] =
	"Usage: iotd-convert FILE\n"
	"Makes a configuration of iotd from FILE, a YAML file of mqtt-io.\n"
	"\n"
	"The configuration is written to standard output; what iotd does otherwise is told\n"
	"on standard error, a line a key: FILE:LINE: KEY: why, and what to do instead.\n"
	"\n"
	"  -V, --version  print the version and exit\n"
	"  -h, --help     print this help and exit\n"
	"\n"
	"See iotd-convert(1).\n";

static int bad_usage(const char *what, const char *word)
{
	(void)fprintf(stderr, "iotd-convert: %s%s; try \"iotd-convert --help\"\n", what, word);
	return EX_USAGE;
}

static int run(const char *file)
{
	cleanup(convert_freep) struct convert *convert = NULL;
	char fault[TREE_FAULT_SIZE];

	if (convert_new(&convert, file, fault) < 0) {
		(void)fprintf(stderr, "%s\n", fault);
		return EX_CONFIG;
	}
	if (convert_run(convert) < 0) {
		(void)fprintf(stderr, "iotd-convert: out of memory\n");
		return EXIT_FAILURE;
	}
	if (convert_write(convert, stdout) < 0) {
		(void)fprintf(stderr, "iotd-convert: stdout: write failed\n");
		return EXIT_FAILURE;
	}
	return convert_tell(convert, stderr) > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	static const struct option names[] = {
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};

	switch (getopt_long(argc, argv, "Vh", names, NULL)) {
	case 'V':
		(void)printf("iotd-convert %s\n", IOTD_VERSION);
		return EXIT_SUCCESS;
	case 'h':
		(void)fputs(help, stdout);
		return EXIT_SUCCESS;
	case -1:
		break;
	default:
		return bad_usage("bad command line", ""); /* getopt has said what */
	}
	if (optind == argc)
		return bad_usage("which file?", "");
	if (optind + 1 < argc)
		return bad_usage("unexpected argument: ", argv[optind + 1]);
	return run(argv[optind]);
}
