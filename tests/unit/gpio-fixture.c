/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines of a fake chip: see the header. On the virtual clock a request remembers when it came. */
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gpio-fixture.h"
#include "reactor-fixture.h"

void fake_line_close(struct fake_line *fake)
{
	ck_assert_int_eq(fake->takes, fake->frees); /* every line is given back */
	closep(&fake->ends[0]);
	closep(&fake->ends[1]);
}

int fake_line_request(struct fake_line *fake)
{
	if (fake->requests < (int)ARRAY_SIZE(fake->times_us) && reactor_is_virtual(reactor))
		fake->times_us[fake->requests] = reactor_now(reactor);
	fake->requests++;
	return fake->request_error;
}

void fake_line_take(struct fake_line *fake, const struct gpio_ops *ops, struct gpio_line **ret)
{
	fake->takes++;
	fake->line = (struct gpio_line){ ops, fake->ends[0] };
	*ret = &fake->line;
}

void fake_line_free(struct gpio_line *line)
{
	container_of(line, struct fake_line, line)->frees++;
}

void fake_line_pass_gate(struct fake_line *fake)
{
	char byte;

	if (fake->gate < 0)
		return;
	atomic_store(&fake->hangs, 1);
	ck_assert_int_eq(read(fake->gate, &byte, 1), 1);
	atomic_store(&fake->hangs, 0);
	fake->gate = -1;
}

void fake_line_end_chip(struct fake_line *fake)
{
	(void)close(fake->ends[1]);
	fake->ends[1] = -1;
}

void text_append(char *text, size_t size, const char *format, ...)
{
	size_t length = strlen(text);
	va_list arguments;

	va_start(arguments, format);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is, the line above */
	(void)vsnprintf(text + length, size - length, format, arguments);
	va_end(arguments);
	ck_assert_uint_lt(strlen(text), size - 1); /* else it may be cut */
}
