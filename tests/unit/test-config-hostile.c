/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files that nobody should write: each ends in faults, quickly, and never in a crash. The time limit
 * is the test case's own.
 */
#include <fcntl.h>

#include "config-fixture.h"
#include "fixture.h"

#include "iotd/base.h"

/* libconfig 1.5 loses the tokens that it holds when it meets a syntax error; everything else is ours */
const char *__lsan_default_suppressions(void); /* NOLINT: the sanitizer's own name */
const char *__lsan_default_suppressions(void)  /* NOLINT */
{
	return "leak:strbuf_append\nleak:libconfig_yylex\n";
}

/* expect() - the first fault of "t.conf" begins with @fault */
static void expect(const char *fault)
{
	char *told = faults_text("t.conf", NULL);

	ck_assert_msg(strncmp(told, fault, strlen(fault)) == 0, "%.300s\n-- and not\n%s", told,
		      fault);
	free(told);
}

/* @head, @count times @middle, @tail */
static void text_write_many(const char *name, const char *head, const char *middle, size_t count,
			    const char *tail)
{
	size_t length = 0, step = strlen(middle);
	char *text = malloc(strlen(head) + count * step + strlen(tail) + 1);

	ck_assert_ptr_nonnull(text);
	length = (size_t)(stpcpy(text, head) - text);
	for (size_t i = 0; i < count; i++, length += step)
		memcpy(text + length, middle, step);
	length += (size_t)(stpcpy(text + length, tail) - (text + length));
	file_write(name, text, length);
	free(text);
}

static void expect_text(const char *head, const char *middle, size_t count, const char *tail,
			const char *fault)
{
	text_write_many("t.conf", head, middle, count, tail);
	expect(fault);
}

START_TEST(what_is_no_file)
{
	char *told;

	told = faults_text("nowhere.conf", NULL);
	ck_assert_str_eq(told, "nowhere.conf: cannot be read: No such file or directory\n");
	free(told);
	told = faults_text(".", NULL);
	ck_assert_str_eq(told, ".: is no regular file\n");
	free(told);
	told = faults_text("/dev/zero", NULL);
	ck_assert_str_eq(told, "/dev/zero: is no regular file\n");
	free(told);
	ck_assert_int_eq(mkfifo("fifo", 0600), 0);
	told = faults_text("fifo", NULL);
	ck_assert_str_eq(told, "fifo: is no regular file\n");
	free(told);
	text_write("t.conf", "\n@include \"fifo\"");
	expect("t.conf:2: @include \"fifo\": is no regular file\n");
	text_write("more.conf", "");
	text_write("t.conf",
		   "@include \"more.conf\" @include \"fifo\"\n"); /* libconfig would open it */
	expect("t.conf:1: @include \"fifo\": is no regular file\n");
	text_write("t.conf", "@include \"nowhere\"\n@include \"gone\"\n");
	expect("t.conf:1: @include \"nowhere\": cannot be read: No such file or directory\n"
	       "t.conf:2: @include \"gone\": cannot be read: No such file or directory\n");
}
END_TEST

START_TEST(includes_without_end)
{
	char name[32], text[64];

	expect_text("\n@include \"t.conf\"\n", "", 0, "",
		    "t.conf:2: @include \"t.conf\": includes itself\n");
	text_write("b.conf", "\n\n@include \"t.conf\"");
	expect_text("@include \"b.conf\"\n", "", 0, "",
		    "b.conf:3: @include \"t.conf\": includes itself\n");
	for (int i = 0; i < 12; i++) {
		(void)snprintf(name, sizeof(name), "d%d.conf", i);
		(void)snprintf(text, sizeof(text), "@include \"d%d.conf\"", i + 1);
		text_write(name, text);
	}
	expect_text(
		"@include \"d0.conf\"\n", "", 0, "",
		"d9.conf:1: @include \"d10.conf\": files include each other more than 10 deep\n");
	text_write("empty.conf", "");
	expect_text("", "@include \"empty.conf\"\n", 2000, "",
		    "t.conf:1000: @include \"empty.conf\": more than 1000 files\n");
	expect_text("@include", "", 0, "",
		    "t.conf:1: write @include \"FILE\": in one line, UTF-8, no backslash\n");
	expect_text("@include \"\"", "", 0, "",
		    "t.conf:1: write @include \"FILE\": in one line, UTF-8, no backslash\n");
	expect_text("@include \"x\ny\"", "", 0, "",
		    "t.conf:1: write @include \"FILE\": in one line, UTF-8, no backslash\n");
	expect_text("@include \"x\x1b[2Jy\"", "", 0, "", /* faults repeat it on a terminal */
		    "t.conf:1: write @include \"FILE\": in one line, UTF-8, no backslash\n");
	expect_text("@include \"x\xffy\"", "", 0, "",
		    "t.conf:1: write @include \"FILE\": in one line, UTF-8, no backslash\n");
	text_write("open.conf", "device = \"x");
	expect_text("@include \"open.conf\"\n\";", "", 0, "",
		    "open.conf:1: the string that begins here does not end in this file\n");
	expect_text("/* x\n", "y\n", 10, "",
		    "t.conf:1: the comment that begins here does not end in this file\n");
}
END_TEST

START_TEST(sizes_without_end)
{
	/* what comes behind an include counts, too, and a file as large as the rest has no room */
	text_write_many("half.conf", "", "# 45678\n", 600000, "");
	text_write_many("t.conf", "@include \"half.conf\"\n", "# 45678\n", 600000, "");
	expect("t.conf: is over 8 MiB\n");
	text_write_many("b.conf", "@include \"half.conf\"\n", "# 45678\n", 600000,
			"@include \"half.conf\"\n");
	text_write("t.conf", "\n@include \"b.conf\"\n");
	expect("t.conf:2: @include \"b.conf\": makes the configuration larger than 8 MiB\n");
	expect_text("device = \"", "0123456789", 1000000, "\";", "t.conf: is over 8 MiB\n");
	expect_text("device = \"", "0123456789", 800000, "\";",
		    "t.conf:1: a string of more than 65535 bytes\n");
	expect_text("device = \"", "\\n", 800000, "\";",
		    "t.conf:1: a string of more than 65535 bytes\n");
	expect_text("device = \"", "0123456789", 6553, "\";",
		    "t.conf:1: device: is longer than 128 bytes\n");
	expect_text("sensors = (", "[", 100000, "",
		    "t.conf:1: brackets are nested more than 64 deep\n");
	expect_text("a = ", "{ a = ", 100000, "",
		    "t.conf:1: brackets are nested more than 64 deep\n");
	expect_text("a = ", "(", 63, "", "t.conf:1: syntax error");
	expect_text("a = [", "1,", 2000000, "1];",
		    "t.conf:1: more than 100000 elements in one list\n");
	expect_text("device = ", "\"abc\" /**/\n", 500000, ";",
		    "t.conf:16384: a string of more than 65535 bytes\n");
	expect_text("device = [", "\"abc\",\n", 500000, "1];",
		    "t.conf:100001: more than 100000 elements in one list\n");
	expect_text("a = ((", "1,1),(", 900000, "1));",
		    "t.conf:1: more than 100000 elements in one list\n");
	expect_text("a = (", "((1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)),", 90000, "1);",
		    "t.conf:1: more than 1000000 values\n");
	expect_text("a = (", "(),", 99990, "1);", "t.conf:1: a: unknown key\n");
	expect_text("\n", "\n", 8000000, "x", "t.conf:8000002: syntax error");
	expect_text("", "a", 8000000, " = 1;", "t.conf:1: aaaaaaaaaaaa");
	expect_text("a = ", "1", 8000000, ";", "t.conf:1: a number of more than 400 digits\n");
}
END_TEST

START_TEST(siblings_without_end)
{
	FILE *stream = fopen("t.conf", "we");

	ck_assert_ptr_nonnull(stream);
	for (int i = 0; i < 600000; i++)
		(void)fprintf(stream, "k%d=1;", i);
	ck_assert_int_eq(fclose(stream), 0);
	expect("t.conf:1: more than 256 keys in one group\n");
	expect_text("sensors = (", "{x=1;},\n", 20000, "{} );",
		    "t.conf:1: sensors[0].name: is missing\n");
}
END_TEST

START_TEST(bytes_that_are_no_text)
{
	char garbage[4096];

	file_write("t.conf", "device = \"a\";\n\0x", 16);
	expect("t.conf:2: holds a NUL byte: is it a text file?\n");
	expect_text("device = \"a\\x00b\";", "", 0, "",
		    "t.conf:1: the string holds a NUL byte (\\x00)\n");
	srandom(20261122);
	for (int round = 0; round < 200; round++) {
		for (size_t i = 0; i < sizeof(garbage); i++)
			garbage[i] = (char)(1 + random() % 255);
		file_write("t.conf", garbage, sizeof(garbage));
		expect("t.conf:");
	}
	expect_text("\xef\xbb\xbf"
		    "device = \"a\";",
		    "", 0, "", "t.conf:1: syntax error");
}
END_TEST

static const struct {
	const char *text, *fault;
} numbers[] = {
	{ "2147483648", "the number is too large" },
	{ "-2147483649", "the number is too large" },
	{ "99999999999999999999", "the number is too large" },
	{ "99999999999999999999L", "the number is too large" },
	{ "0xFFFFFFFF", "of over 31 bits: write 0xFFFFFFFFL" },
	{ "0xFFFFFFFFFFFFFFFFFL", "the number is too large" },
	{ "1.0e400", "the number is too large" },
	{ "-1.0e400", "the number is too large" },
	{ "010", "leave out the leading zero" },
	{ "-01", "leave out the leading zero" },
};

START_TEST(numbers_that_libconfig_bends)
{
	char text[128], fault[128];
	struct settings *set;

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		(void)snprintf(text, sizeof(text), "mqtt = {\n keepalive = %s; };",
			       numbers[i].text);
		text_write("t.conf", text);
		(void)snprintf(fault, sizeof(fault), "t.conf:2: %s: %s", numbers[i].text,
			       numbers[i].fault);
		expect(fault);
	}
	set = settings_of("mqtt = { keepalive = 0x1E; qos = 0; expiry = 0L; }; # 010 1e400\n"
			  "stats = { interval = 1.5e2; textfile = \"\"; }; device = \"010\";");
	ck_assert_int_eq(set->mqtt.keepalive_us, 30000000);
	ck_assert_int_eq(set->stats.interval_us, 150000000);
	settings_free(set);
	expect_text("mqtt = { keepalive = 5000000000L; };", "", 0, "",
		    "t.conf:1: mqtt.keepalive: 5000000000 is too long\n");
	expect_text("mqtt = { qos = 5000000000L; };", "", 0, "",
		    "t.conf:1: mqtt.qos: 5000000000 is out of range (0 to 2)\n");
}
END_TEST

START_TEST(no_fault_hides_the_others)
{
	char *told;

	text_write("broken.conf", "log_level = \"loud\";\n@include \"nowhere\"\n");
	text_write("t.conf", "device = \"\";\n"
			     "@include \"broken.conf\"\n"
			     "mqtt = {\n"
			     "  qos = 010;\n"
			     "  qos = 7;\n"
			     "  retian = true;\n"
			     "  keepalive = 99999999999;\n"
			     "};\n"
			     "mqtt = { format = \"xml\"; };\n"
			     "sensors = ( { name = \"\\x00\"; },\n"
			     "  { name = \"c\"; drver = \"file\"; } );\n"
			     "outputs = ( { name = \"pump\"; chip = \"c\"; line = 2;\n"
			     "  interlock = [ \"valve\", \"pump\" ]; } );\n");
	/* but what is missing may be in the file that cannot be read */
	told = faults_text("t.conf", NULL);
	ck_assert_str_eq(
		told,
		"t.conf:1: device: must not be empty\n"
		"broken.conf:1: log_level: \"loud\" is not \"debug\", \"info\", \"notice\", "
		"\"warning\" or \"err\"\n"
		"broken.conf:2: @include \"nowhere\": cannot be read: No such file or directory\n"
		"t.conf:4: 010: leave out the leading zero (it means octal to some)\n"
		"t.conf:5: mqtt.qos: a key that its group has already\n"
		"t.conf:6: mqtt.retian: unknown key (did you mean \"retain\"?)\n"
		"t.conf:7: 99999999999: the number is too large (sizes and durations may be "
		"written as \"5G\", \"90d\")\n"
		"t.conf:9: mqtt: a key that its group has already\n"
		"t.conf:10: the string holds a NUL byte (\\x00)\n"
		"t.conf:11: sensors[1].drver: unknown key (did you mean \"driver\"?)\n"
		"t.conf:13: outputs[0].interlock[1]: names the output itself\n");
	free(told);
}
END_TEST

START_TEST(secrets_stay_secret)
{
	static const char *const texts[] = {
		"mqtt = { password = \"s3cret\"; password_file = \"/x\"; };",
		"mqtt = { password = \"s3cret\" \"\\x01\"; };",
		"mqtt = { passwort = \"s3cret\"; };",
		"mqtt = { password = \"s3cret; };",
		"mqtt = { password = \"s3cret\"; ; = };",
		"mqtt = { broker = \"mqtt://u:s3cret@h\"; };",
		"mqtt = { broker = [ \"mqtts://u:s3cret@h\", \"mqtt://:s3cret@h\" ]; };",
		"password = \"s3cret\";",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		char *told;

		text_write("t.conf", texts[i]);
		told = faults_text("t.conf", NULL);
		ck_assert_str_ne(told, "");
		ck_assert_msg(!strstr(told, "s3cret"), "%s", told);
		free(told);
	}
}
END_TEST

/* the example of SPEC.md, without what is a comment there */
static const char example[] =
	"device = \"greenhouse-1\"; # the host's name\n"
	"log_level = \"info\";\n"
	"mqtt = { broker = \"mqtt://localhost:1883\"; protocol = 5; client_id = "
	"\"iotd-greenhouse-1\";\n"
	"  username = \"greenhouse\"; password_file = \"/etc/iotd/password\"; topic = "
	"\"iotd/greenhouse-1\";\n"
	"  format = \"json\"; qos = 1; retain = false; keepalive = \"30s\";\n"
	"  reconnect_min = \"1s\"; reconnect_max = \"60s\"; // exponential\n"
	"  tls = { ca_file = \"\"; cert_file = \"\"; key_file = \"\"; alpn = \"\"; psk_identity = "
	"\"\"; psk_file = \"\"; verify = true; };\n"
	"  discovery = { enabled = false; prefix = \"homeassistant\"; style = \"device\"; };\n"
	"  compat = \"\"; expiry = \"0s\"; };\n"
	"spool = { path = \"/var/lib/iotd/spool.db\"; max_size = \"64M\"; };\n"
	"commands = { enabled = true;\n"
	"  allow = [ \"ping\", \"list\", \"stats\", \"read\", \"set\", \"pulse\", \"toggle\", "
	"\"interval\" ]; };\n"
	"stats = { interval = \"60s\"; textfile = \"\"; };\n"
	"driver_dir = \"/usr/lib/iotd/drivers\";\n"
	"i2c = ( { bus = \"i2c-1\"; path = \"/dev/i2c-1\"; timeout = \"100ms\"; retries = 1; } );\n"
	"@include \"more.conf\"\n"
	"sensors = (\n"
	"  { name = \"air\"; driver = \"bme280\"; bus = \"i2c-1\"; address = 0x76; interval = "
	"\"10s\";\n"
	"    temperature = { offset = -0.4; deadband = 0.1; }; },\n"
	"  { name = \"cpu\"; driver = \"file\"; path = \"/sys/class/thermal/thermal_zone0/temp\";\n"
	"    channel = \"temperature\"; unit = \"\xc2\xb0"
	"C\"; scale = 0.001; interval = \"30s\"; } );\n"
	"inputs = ( { name = \"door\"; chip = \"gpiochip0\"; line = 17; /* or a name */\n"
	"    bias = \"pull-up\"; active_low = true; edge = \"both\"; debounce = \"20ms\"; } );\n"
	"outputs = ( { name = \"pump\"; chip = \"gpiochip0\"; line = 22; active_low = false; "
	"initial = \"off\";\n"
	"    max_on = \"10m\"; on_exit = \"keep\"; on_disconnect = \"off\"; disconnect_after = "
	"\"30s\"; interlock = [ \"valve\" ]; },\n"
	"  { name = \"valve\"; chip = \"gpiochip0\"; line = 23; } );\n";

static void mutate(char *text, size_t *length, size_t room)
{
	static const char tokens[] = "{}()[]=;,\"\\#/*@+-.0x9eL\n \t\xff";
	size_t at = (size_t)random() % *length, span = 1 + (size_t)random() % 12;

	if (span > *length - at)
		span = *length - at;
	switch (random() % 4) {
	case 0: /* another byte */
		text[at] = tokens[(size_t)random() % (sizeof(tokens) - 1)];
		break;
	case 1: /* cut some out */
		memmove(text + at, text + at + span, *length - at - span);
		*length -= span;
		break;
	case 2: /* say some twice */
		if (*length + span > room)
			break;
		memmove(text + at + span, text + at, *length - at);
		*length += span;
		break;
	default: /* any bit */
		text[at] = (char)(text[at] ^ (1 << (random() % 8)));
		break;
	}
}

START_TEST(a_mutated_example)
{
	char text[sizeof(example) * 2];
	unsigned int fine = 0, bad = 0;

	text_write("more.conf", "");
	settings_free(settings_of(example));
	srandom(280);
	for (int round = 0; round < 4000; round++) {
		size_t length = sizeof(example) - 1;
		char *told;

		memcpy(text, example, length);
		for (long edits = 1 + random() % 3; edits > 0 && length > 1; edits--)
			mutate(text, &length, sizeof(text));
		file_write("t.conf", text, length);
		told = faults_text("t.conf", NULL);
		if (*told == '\0')
			fine++;
		else
			bad++;
		free(told);
	}
	/* neither may be rare, or the mutations test nothing */
	ck_assert_uint_gt(fine, 100);
	ck_assert_uint_gt(bad, 2000);
}
END_TEST

START_TEST(many_faults)
{
	struct config_faults faults;
	struct settings *settings = NULL;
	FILE *stream = fopen("t.conf", "we");

	ck_assert_ptr_nonnull(stream);
	ck_assert_int_ge(fputs("sensors = (\n", stream), 0);
	for (int i = 0; i < 20000; i++)
		(void)fputs("{ name = 5; },\n", stream);
	ck_assert_int_ge(fputs("{} );\n", stream), 0);
	ck_assert_int_eq(fclose(stream), 0);
	ck_assert_int_eq(config_load(&settings, "t.conf", &faults), -EBADMSG);
	ck_assert_uint_eq(faults.count, 10001);
	ck_assert_str_eq(faults.lines[0],
			 "t.conf:2: sensors[0].name: must be a string in quotes, not a number");
	ck_assert_str_eq(faults.lines[9999], "t.conf:5001: sensors[4999].driver: is missing");
	ck_assert_str_eq(faults.lines[10000],
			 "t.conf: more than 10000 faults; the rest is not shown");
	config_faults_free(&faults);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config-hostile");
	TCase *tests = tcase_create("config-hostile");

	tcase_add_unchecked_fixture(tests, folder_enter, folder_leave);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, what_is_no_file);
	tcase_add_test(tests, includes_without_end);
	tcase_add_test(tests, no_fault_hides_the_others);
	tcase_add_test(tests, sizes_without_end);
	tcase_add_test(tests, siblings_without_end);
	tcase_add_test(tests, bytes_that_are_no_text);
	tcase_add_test(tests, numbers_that_libconfig_bends);
	tcase_add_test(tests, secrets_stay_secret);
	tcase_add_test(tests, a_mutated_example);
	tcase_add_test(tests, many_faults);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
