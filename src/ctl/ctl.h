/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What all verbs of iotctl share. A verb answers with the program's exit code, and whoever finds that
 * something cannot be done says so with ctl_fail(), once, and hands its code on: EX_OK is 0.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sysexits.h>
#include <systemd/sd-bus.h>

#include "iotd/base.h"
#include "iotd/model.h"

/** enum ctl_option - options that only some verbs take; bits */
enum ctl_option {
	OPTION_FOR = 1,
	OPTION_NAMES = 2,
	OPTION_KIND = 4,
	OPTION_PLOT = 8,
	OPTION_SECONDS = 16,
	OPTION_COUNT = 32,
	OPTION_MINUTES = 64,
	OPTION_SIZE = 128,
	OPTION_INTERVAL = 256
};

/** struct ctl - this run of the program; freed with ctl_close() */
struct ctl {
	bool json;	      /* --json */
	bool is_quiet;	      /* what fails now is not said */
	bool color;	      /* stdout is a terminal, and nobody asked for none */
	const char *instance; /* --instance; NULL: iotd's own */
	unsigned int given;   /* enum ctl_option */
	int64_t for_us;	      /* --for; 0: for good */
	int kind;	      /* --kind, enum device_kind; -1: all */
	const char *plot;     /* --plot: NAME or NAME.CHANNEL; else NULL */
	int64_t seconds_us;   /* --seconds; 0: without end */
	uint64_t count;	      /* --count: readings, or tables; 0: without end */
	int64_t minutes;      /* --minutes that a history has; 0: as many as usual */
	size_t columns, rows; /* --size of a plot; 0: as usual */
	int64_t interval_us;  /* --interval between two tables; 0: as usual */

	sd_bus *bus;	      /* set by bus_open(); NULL before */
	char *service;	      /* "org.iotd1", or the instance's; set by bus_open() */
	unsigned int waiting; /* calls that are not answered yet: bus.c's */
	pid_t agent;	      /* polkit's, agent.c's; 0: none */
};

/** struct verb - a row of main.c's table */
struct verb {
	const char *name;
	const char *arguments; /* for the help: "NAME STATE" */
	const char *help;
	int min, max;	      /* arguments; max -1: any number */
	unsigned int options; /* enum ctl_option that it takes besides --json and --instance */
	/* @argv holds @argc arguments, NULL behind them. Return: the exit code */
	int (*run)(struct ctl *ctl, int argc, char **argv);
};

/** ctl_close() - free what bus_open() made, and end what agent_start() started */
void ctl_close(struct ctl *ctl);

/**
 * ctl_fail() - say on stderr why it cannot be done: in words, or with --json as {"error":"…"}
 * Control characters in the words do not reach the terminal. Return: @status
 */
printf_like(3, 4) int ctl_fail(const struct ctl *ctl, int status, const char *format, ...);

/** ctl_no_memory() - the same, for that one reason. Return: EXIT_FAILURE */
int ctl_no_memory(const struct ctl *ctl);

int verb_check(struct ctl *ctl, int argc, char **argv);
int verb_interval(struct ctl *ctl, int argc, char **argv);
int verb_list(struct ctl *ctl, int argc, char **argv);
int verb_pulse(struct ctl *ctl, int argc, char **argv);
int verb_read(struct ctl *ctl, int argc, char **argv);
int verb_reload(struct ctl *ctl, int argc, char **argv);
int verb_scan(struct ctl *ctl, int argc, char **argv);
int verb_set(struct ctl *ctl, int argc, char **argv);
int verb_spool(struct ctl *ctl, int argc, char **argv);
int verb_stats(struct ctl *ctl, int argc, char **argv);
int verb_status(struct ctl *ctl, int argc, char **argv);
int verb_toggle(struct ctl *ctl, int argc, char **argv);
int verb_top(struct ctl *ctl, int argc, char **argv);
int verb_watch(struct ctl *ctl, int argc, char **argv);
