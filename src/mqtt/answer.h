/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* From a command's result to the JSON text of its reply. Pure. */

#include "iotd/model.h"

/** answer_new() - {"id":…,"ok":true,"result":…} or with "error"; @id: JSON text, NULL: none. NULL: out of memory. Caller frees */
char *answer_new(const char *id, const struct command *command,
		 const struct command_result *result);

/** answer_new_fault() - {"id":…,"ok":false,"error":"…"}; @text: UTF-8. NULL: out of memory. Caller frees */
char *answer_new_fault(const char *id, const char *text);
