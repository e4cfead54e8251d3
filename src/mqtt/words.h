/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Numbers of MQTT, of the library and of the system, in words for people. Any thread. */

#include <stddef.h>
#include <stdint.h>

#define REASON_SIZE 96

/** reason_words() - "not authorized (0x87)": an MQTT 5 reason code, or a return code 1 .. 5 of MQTT 3.1.1's CONNACK */
void reason_words(char buffer[static REASON_SIZE], int reason);

/** error_words() - "connection refused": as strerror(), in lower case where it is a word */
void error_words(char *buffer, size_t size, int error);

/** library_words() - an enum mosq_err_t, or the reason code of a DISCONNECT; errno for MOSQ_ERR_ERRNO is @error */
void library_words(char *buffer, size_t size, int code, int error);

/** elapsed_words() - "850 ms", "42 s", "12 min", "30 h": two digits that matter, for the log */
void elapsed_words(char *buffer, size_t size, int64_t duration_us);
