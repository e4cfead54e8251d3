/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The same as JSON: keys, times and numbers as they are over MQTT (iotd-mqtt(7)). NULL from a function
 * that makes JSON is out of memory, and can be given on: the one that takes it over fails, too.
 */

#include <jansson.h>
#include <stdio.h>
#include <systemd/sd-bus.h>

#include "ctl.h"
#include "device.h"

/** json_from_number() - an integer where it is one; null for what is no number */
json_t *json_from_number(double number);

/** json_from_time() - "2026-11-22T13:15:00.123Z" */
json_t *json_from_time(uint64_t realtime_us);

/** json_from_seconds() - microseconds as a number of seconds */
json_t *json_from_seconds(uint64_t lapse_us);

/** json_from_values() - {"time":"…","temperature":21.37} or {"time":"…","state":"on"}; {}: nothing is known */
json_t *json_from_values(const struct device *device);

/** json_from_device() - an object of the command list, with the newest values */
json_t *json_from_device(const struct device *device);

json_t *json_from_devices(const struct devices *devices);

/**
 * json_from_dictionary() - the next member of @message, an a{sv}; nested ones, too
 * Return: 0; -ENOMEM; -EBADMSG or another errno of sd-bus.
 */
int json_from_dictionary(json_t **ret, sd_bus_message *message);

/**
 * json_print() - one line; takes @value over
 * Return: EX_OK; EXIT_FAILURE, said: out of memory, @value is NULL
 */
int json_print(const struct ctl *ctl, FILE *file, json_t *value);

/** json_count() - a member of @object that is a number; 0: there is none, or it is negative */
uint64_t json_count(const json_t *object, const char *key);
