/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The configuration: each key with a good and a bad value, each fault at its line and in its words,
 * the defaults, and the files that are installed.
 */
#include <math.h>
#include <syslog.h>
#include <time.h>

#include "config-fixture.h"

#include "iotd/clock.h"
#include "iotd/driver.h"

struct example {
	const char *text, *faults; /* without "t.conf:" before each line of it; "" is fine */
};

/* expect() - @text has exactly these faults */
static void expect(const char *text, const char *faults)
{
	char *told, *wanted = NULL;
	size_t size;
	FILE *stream = open_memstream(&wanted, &size);

	ck_assert_ptr_nonnull(stream);
	for (const char *at = faults, *end; *at != '\0'; at = end + 1) {
		end = strchrnul(at, '\n');
		ck_assert_int_ge(fprintf(stream, "t.conf:%.*s\n", (int)(end - at), at), 1);
		if (*end == '\0')
			break;
	}
	ck_assert_int_eq(fclose(stream), 0);
	text_write("t.conf", text);
	told = faults_text("t.conf", NULL);
	ck_assert_msg(strcmp(told, wanted) == 0, "%s\n-- has the faults\n%s-- and not\n%s", text,
		      told, wanted);
	free(told);
	free(wanted);
}

static void expect_all(const struct example *examples, size_t count)
{
	for (size_t i = 0; i < count; i++)
		expect(examples[i].text, examples[i].faults);
}

#define EXPECT_ALL(examples) expect_all(examples, ARRAY_SIZE(examples))

static const struct example root_examples[] = {
	{ "", "" },
	{ "# only a comment", "" },
	{ "device = \"greenhouse-1\";", "" },
	{ "device = \"\";", "1: device: must not be empty" },
	{ "device = \"a/b\";", "1: device: must not hold \"/\", \"+\" or \"#\" nor begin with "
			       "\"$\": it is a level of all topics" },
	{ "device = 5;", "1: device: must be a string in quotes, not a number" },
	{ "log_level = \"debug\";", "" },
	{ "log_level = \"waring\";",
	  "1: log_level: \"waring\" is not \"debug\", \"info\", \"notice\", \"warning\" or \"err\" "
	  "(did you mean \"warning\"?)" },
	{ "driver_dir = \"/usr/lib/iotd/drivers\";", "" },
	{ "driver_dir = \"/opt\";", "" },
	{ "driver_dir = \"\";", "1: driver_dir: must not be empty" },
	{ "driver_dir = \"drivers\";", "1: driver_dir: \"drivers\" is no absolute path" },
	{ "sensor = ();", "1: sensor: unknown key (did you mean \"sensors\"?)" },
	{ "com = { };", "1: com: unknown key (did you mean \"commands\"?)" },
	{ "co = { };", "1: co: unknown key" },
	{ "xyzzy = 1;", "1: xyzzy: unknown key" },
	{ "mqtt = 5;", "1: mqtt: must be a group, { … }, not a number" },
	{ "sensors = { };", "1: sensors: must be a list, ( … ), not a group" },
	{ "sensors = ( 5 );", "1: sensors[0]: must be a group, { … }, not a number" },
	{ "inputs = ( \"x\" ); outputs = ( true ); i2c = ( ( ) );",
	  "1: i2c[0]: must be a group, { … }, not a list\n"
	  "1: inputs[0]: must be a group, { … }, not a string\n"
	  "1: outputs[0]: must be a group, { … }, not true or false" },
	{ "device = \"x\";\ndevice = \"y\";", "2: device: a key that its group has already" },
	{ "mqtt = { tls = { verify = true; };\nqos = 1; tls : { verify = true;\nverify = 1; }; };\n"
	  "mqtt = 5;",
	  "2: mqtt.tls: a key that its group has already\n"
	  "3: mqtt.tls.verify: a key that its group has already\n"
	  "4: mqtt: a key that its group has already" },
	{ "sensors = ( { a = 1; }, { b = ( 1, 2 ); a = 2; c = \"b = \"; /* b = */\nb = 2; } );",
	  "1: sensors[0].name: is missing\n"
	  "1: sensors[0].driver: is missing\n"
	  "1: sensors[0].a: unknown key\n"
	  "1: sensors[1].name: is missing\n"
	  "1: sensors[1].driver: is missing\n"
	  "1: sensors[1].a: unknown key\n"
	  "1: sensors[1].c: unknown key\n"
	  "2: sensors[1].b: a key that its group has already" },
	{ "a = ( ( 1 ), ( 2, { x = 1; }, {\nx = 1; x = 2; } ) ); b = 1;",
	  "1: a: unknown key\n"
	  "2: a[1][2].x: a key that its group has already" }, /* and no more of that line */
	{ "a = 1\n\n= 2", "3: syntax error, here or in the line before (a quote, bracket or comma "
			  "missing or too many?)" },
};

START_TEST(keys_of_the_file)
{
	EXPECT_ALL(root_examples);
}
END_TEST

#define MQTT(body) "mqtt = { " body " };"

static const struct example mqtt_examples[] = {
	{ MQTT(""), "" },
	{ MQTT("broker = \"mqtt://10.0.0.1\"; protocol = 4; username = \"u\"; password = \"p\";"),
	  "" },
	{ MQTT("broker = \"mqtt://[fe80::1]:1884\"; client_id = \"c\"; topic = \"a/b\"; format = "
	       "\"json\";"),
	  "" },
	{ MQTT("broker = \"unix:/run/m.sock\"; qos = 2; retain = true; keepalive = 60; expiry = "
	       "\"0s\";"),
	  "" },
	{ MQTT("broker = [ \"mqtt://a\" ]; password_file = \"/etc/p\"; compat = \"\";"), "" },
	{ MQTT("reconnect_min = \"500ms\"; reconnect_max = \"1d\"; tls = { verify = true; ca_file "
	       "= \"\"; };"),
	  "" },
	{ MQTT("discovery = { enabled = false; prefix = \"homeassistant\"; style = \"entity\"; };"),
	  "" },
	{ MQTT("discovery = { enabled = true; style = \"device\"; }; format = \"value\";"), "" },

	{ MQTT("broker = 5;"), "1: mqtt.broker: must be a list, ( … ), not a number" },
	{ MQTT("broker = ( );"), "1: mqtt.broker: names no broker" },
	{ MQTT("broker = ( 5 );"), "1: mqtt.broker[0]: must be a string in quotes, not a number" },
	{ MQTT("broker = \"localhost\";"),
	  "1: mqtt.broker: \"localhost\" is no broker (write mqtt://HOST[:1883], "
	  "mqtts://HOST[:8883] or unix:/PATH)" },
	{ MQTT("broker = \"mqtt://\";"), "1: mqtt.broker: \"mqtt://\" has no host" },
	{ MQTT("broker = \"mqtt://:1883\";"), "1: mqtt.broker: \"mqtt://:1883\" has no host" },
	{ MQTT("broker = \"mqtt://a b\";"), "1: mqtt.broker: \"mqtt://a b\" has a malformed host" },
	{ MQTT("broker = \"mqtt://::1\";"),
	  "1: mqtt.broker: \"mqtt://::1\" write an IPv6 address in brackets: mqtt://[::1]:1883" },
	{ MQTT("broker = \"mqtt://[::g]\";"),
	  "1: mqtt.broker: \"mqtt://[::g]\" has a malformed host" },
	{ MQTT("broker = \"mqtt://[::1\";"),
	  "1: mqtt.broker: \"mqtt://[::1\" has a malformed host" },
	{ MQTT("broker = \"mqtt://[::1]x\";"),
	  "1: mqtt.broker: \"mqtt://[::1]x\" has a malformed host" },
	{ MQTT("broker = \"mqtt://a/\";"),
	  "1: mqtt.broker: \"mqtt://a/\" has a path: MQTT has none" },
	{ MQTT("broker = \"mqtt://a:0\";"),
	  "1: mqtt.broker: \"mqtt://a:0\" has a bad port (1 to 65535)" },
	{ MQTT("broker = \"mqtt://a:\";"),
	  "1: mqtt.broker: \"mqtt://a:\" has a bad port (1 to 65535)" },
	{ MQTT("broker = \"mqtt://a:65536\";"),
	  "1: mqtt.broker: \"mqtt://a:65536\" has a bad port (1 to 65535)" },
	{ MQTT("broker = \"mqtt://u:secret@a\";"),
	  "1: mqtt.broker: holds an \"@\": give user and password by username and password_file" },
	{ MQTT("broker = \"unix:x\";"), "1: mqtt.broker: \"unix:x\" must name a socket by its "
					"whole path: unix:/run/mosquitto.sock" },
	{ MQTT("broker = \"mqtts://a\";"), "" },
	{ MQTT("broker = [ \"mqtts://[::1]:8884\", \"mqtt://a\", \"unix:/s\" ];"), "" },
	{ MQTT("broker = \"wss://a\";"),
	  "1: mqtt.broker: \"wss://a\" is MQTT over a websocket, which libmosquitto does not have: "
	  "use the broker's port for mqtt:// or mqtts://" },
	{ MQTT("protocol = 3;"), "1: mqtt.protocol: must be 5, or 4 for MQTT 3.1.1" },
	{ MQTT("protocol = \"5\";"), "1: mqtt.protocol: must be a whole number, not a string" },
	{ MQTT("client_id = true;"),
	  "1: mqtt.client_id: must be a string in quotes, not true or false" },
	{ MQTT("username = 5;"), "1: mqtt.username: must be a string in quotes, not a number" },
	{ MQTT("password = 12345;"), "1: mqtt.password: must be a string in quotes, not a number" },
	{ MQTT("passwrd = \"secret\";"),
	  "1: mqtt.passwrd: unknown key (did you mean \"password\"?)" },
	{ MQTT("password = \"secret\";\npassword_file = \"/x\";"),
	  "2: mqtt.password_file: password is given too: leave one of them out" },
	{ MQTT("protocol = 4; password = \"x\";"),
	  "1: mqtt.username: is missing: MQTT 3.1.1 has no password without it" },
	{ MQTT("topic = \"\";"), "1: mqtt.topic: must not be empty" },
	{ MQTT("topic = \"a/+\";"),
	  "1: mqtt.topic: must not hold \"+\" or \"#\": these are for subscriptions" },
	{ MQTT("topic = \"a#\";"),
	  "1: mqtt.topic: must not hold \"+\" or \"#\": these are for subscriptions" },
	{ MQTT("topic = \"/a\";"), "1: mqtt.topic: must not begin or end with \"/\"" },
	{ MQTT("topic = \"a/\";"), "1: mqtt.topic: must not begin or end with \"/\"" },
	{ MQTT("topic = \"$SYS/a\";"),
	  "1: mqtt.topic: must not begin with \"$\": that is the broker's own" },
	{ MQTT("topic = \"\xff\";"), "1: mqtt.topic: is no valid UTF-8" },
	{ MQTT("topic = \"\xed\xa0\x80\";"), "1: mqtt.topic: is no valid UTF-8" },
	{ MQTT("topic = \"a\\nb\";"), "1: mqtt.topic: holds a control character" },
	{ MQTT("format = \"jsn\";"),
	  "1: mqtt.format: \"jsn\" is not \"json\", \"value\", \"senml\", \"cbor\", \"influx\" or "
	  "\"sparkplug\" (did you mean \"json\"?)" },
	{ MQTT("format = \"sparkplug\"; qos = 0; retain = false;"), "" },
	{ MQTT("format = \"sparkplug\"; discovery = { enabled = false; }; compat = \"\";"), "" },
	{ MQTT("format = \"sparkplug\";\nqos = 1;\nretain = true;"),
	  "2: mqtt.qos: Sparkplug is sent at QoS 0: leave it out\n"
	  "3: mqtt.retain: Sparkplug retains nothing: leave it out" },
	{ MQTT("format = \"sparkplug\";") "\nsensors = ( { name = \"a\"; driver = \"file\"; "
					  "path = \"/x\"; channel = \"c\";\n"
					  "topic = \"a/b\";\nqos = 2;\nretain = true; } );",
	  "3: sensors[0].topic: Sparkplug has topics of its own: leave it out\n"
	  "4: sensors[0].qos: Sparkplug is sent at QoS 0: leave it out\n"
	  "5: sensors[0].retain: Sparkplug retains nothing: leave it out" },
	{ MQTT("format = \"sparkplug\";\ndiscovery = {\nenabled = true; };"),
	  "3: mqtt.discovery.enabled: needs format = \"json\" or \"value\": Home Assistant reads "
	  "no "
	  "\"sparkplug\"" },
	{ MQTT("compat = \"mqtt-io\";\nformat = \"sparkplug\";"),
	  "2: mqtt.format: compat = \"mqtt-io\" has its own format: leave this out" },
	{ MQTT("qos = 3;"), "1: mqtt.qos: 3 is out of range (0 to 2)" },
	{ MQTT("qos = -1;"), "1: mqtt.qos: -1 is out of range (0 to 2)" },
	{ MQTT("qos = 1.5;"), "1: mqtt.qos: must be a whole number, not one with decimals" },
	{ MQTT("qso = 1;"), "1: mqtt.qso: unknown key (did you mean \"qos\"?)" },
	{ MQTT("retain = 1;"), "1: mqtt.retain: must be true or false, not a number" },
	{ MQTT("keepalive = \"1s\";"), "1: mqtt.keepalive: \"1s\" is out of range (5s to 65535s)" },
	{ MQTT("keepalive = 65536;"), "1: mqtt.keepalive: 65536 is out of range (5s to 65535s)" },
	{ MQTT("keepalive = \"10 s\";"),
	  "1: mqtt.keepalive: \"10 s\" is no duration (write \"250ms\", \"10s\", \"5m\")" },
	{ MQTT("keepalive = -5;"),
	  "1: mqtt.keepalive: -5 is no duration (write \"250ms\", \"10s\", \"5m\")" },
	{ MQTT("keepalive = \"999999999d\";"), "1: mqtt.keepalive: \"999999999d\" is too long" },
	{ MQTT("keepalive = true;"),
	  "1: mqtt.keepalive: must be a string in quotes, not true or false" },
	{ MQTT("reconnect_min = 0;"), "1: mqtt.reconnect_min: 0 is out of range (100ms to 1d)" },
	{ MQTT("reconnect_max = \"2d\";"),
	  "1: mqtt.reconnect_max: \"2d\" is out of range (100ms to 1d)" },
	{ MQTT("reconnect_min = \"61s\";"), "1: mqtt.reconnect_min: is longer than reconnect_max" },
	{ MQTT("discovery = {\nenabled = true; prefix = \"a/b\"; }; topic = \"a/b\";"),
	  "2: mqtt.discovery.prefix: is mqtt.topic too: our status would be taken for Home "
	  "Assistant's" },
	{ MQTT("discovery = { prefix = \"\"; };"), "1: mqtt.discovery.prefix: must not be empty" },
	{ MQTT("discovery = { style = \"devic\"; };"),
	  "1: mqtt.discovery.style: \"devic\" is not \"device\" or \"entity\" (did you mean "
	  "\"device\"?)" },
	{ MQTT("compat = \"mqtt-io\";"), "" },
	{ MQTT("compat = \"mqtt-io\"; format = \"value\";"), "" },
	{ MQTT("compat = \"mqtt-io\"; format = \"json\";"),
	  "1: mqtt.format: compat = \"mqtt-io\" has its own format: leave this out" },
	{ MQTT("compat = \"mqttio\";"),
	  "1: mqtt.compat: \"mqttio\" is not \"\" or \"mqtt-io\" (did you mean \"mqtt-io\"?)" },
	{ MQTT("expiry = \"1m\"; user_properties = false;"), "" },
	{ MQTT("expiry = \"36500d\";"), "" },
	{ MQTT("expiry = \"soon\"; user_properties = 1;"),
	  "1: mqtt.expiry: \"soon\" is no duration (write \"250ms\", \"10s\", \"5m\")\n"
	  "1: mqtt.user_properties: must be true or false, not a number" },
};

START_TEST(keys_of_mqtt)
{
	EXPECT_ALL(mqtt_examples);
}
END_TEST

#define TLS(body)  MQTT("broker = \"mqtts://a\"; tls = {\n" body " };")
#define NOTHING	   "1: mqtt.tls: no broker is mqtts://, so nothing would be encrypted"
#define UNREADABLE ": cannot read \"/no/where\": No such file or directory"

/* "cert" and "both" are there, the latter with its key */
static const struct example tls_examples[] = {
	{ TLS(""), "" },
	{ TLS("ca_file = \"cert\"; alpn = \"mqtt\"; verify = false;"), "" },
	{ TLS("cert_file = \"cert\"; key_file = \"both\";"), "" },
	{ TLS("cert_file = \"both\";"), "" },
	{ TLS("psk_identity = \"i\"; psk_file = \"cert\";"), "" },
	{ TLS("verfy = true;"), "2: mqtt.tls.verfy: unknown key (did you mean \"verify\"?)" },
	{ TLS("verify = 1;"), "2: mqtt.tls.verify: must be true or false, not a number" },

	{ MQTT("tls = { };"), "" },
	{ MQTT("tls = { verify = true; ca_file = \"\"; };"), "" },
	{ MQTT("tls = { ca_file = \"cert\"; };"), NOTHING },
	{ MQTT("tls = { alpn = \"m\"; };"), NOTHING },
	{ MQTT("tls = { psk_identity = \"i\"; };"), NOTHING },
	{ MQTT("tls = { verify = false; };"), NOTHING },
	{ MQTT("broker = [ \"mqtt://a\", \"unix:/s\" ]; tls = { verify = false; };"), NOTHING },
	{ MQTT("broker = [ \"mqtt://a\", \"mqtts://b\" ]; tls = { verify = false; };"), "" },
	{ MQTT("broker = 5; tls = { verify = false; };"),
	  "1: mqtt.broker: must be a list, ( … ), not a number" },
	{ MQTT("broker = [ \"mqtt://\" ]; tls = { verify = false; };"),
	  "1: mqtt.broker[0]: \"mqtt://\" has no host" },

	{ TLS("ca_file = \"/no/where\";"), "2: mqtt.tls.ca_file" UNREADABLE },
	{ TLS("cert_file = \"both\"; key_file = \"/no/where\";"),
	  "2: mqtt.tls.key_file" UNREADABLE },
	{ TLS("cert_file = \"/no/where\";"), "2: mqtt.tls.cert_file" UNREADABLE },
	{ TLS("psk_identity = \"i\";\npsk_file = \"/no/where\";"),
	  "3: mqtt.tls.psk_file" UNREADABLE },
	{ TLS("ca_file = \"/\";"), "2: mqtt.tls.ca_file: cannot read \"/\": Is a directory" },
	{ TLS("ca_file = \"/dev/null\";"),
	  "2: mqtt.tls.ca_file: cannot read \"/dev/null\": Invalid argument" },

	{ TLS("key_file = \"both\";"), "2: mqtt.tls.key_file: is of no use without cert_file" },
	{ TLS("cert_file = \"cert\";"),
	  "1: mqtt.tls.key_file: is missing, and \"cert\" holds no key" },
	{ TLS("psk_identity = \"i\";"), "1: mqtt.tls.psk_file: is missing: psk_identity needs it" },
	{ TLS("psk_file = \"cert\";"), "1: mqtt.tls.psk_identity: is missing: psk_file needs it" },
	{ TLS("psk_identity = \"i\"; psk_file = \"cert\";\nca_file = \"cert\";\nkey_file = "
	      "\"both\";"),
	  "3: mqtt.tls.ca_file: is of no use with a PSK: there are no certificates then\n"
	  "4: mqtt.tls.key_file: is of no use with a PSK: there are no certificates then" },
};

START_TEST(keys_of_tls)
{
	char text[512];

	ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", folder, 1), 0);
	text_write("cert", "-----BEGIN CERTIFICATE-----\n");
	text_write("both", "-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n");
	EXPECT_ALL(tls_examples);
	(void)snprintf(text, sizeof(text), TLS("alpn = \"%0256d\";"), 0);
	expect(text, "2: mqtt.tls.alpn: is longer than 255 bytes");
	(void)snprintf(text, sizeof(text), TLS("psk_identity = \"%0129d\"; psk_file = \"cert\";"),
		       0);
	expect(text, "2: mqtt.tls.psk_identity: is longer than 128 bytes");
}
END_TEST

/* what the file does not say is taken from there, and what it says is not */
START_TEST(credentials_are_files_of_tls)
{
	struct settings *set;
	char faults[128];

	ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", folder, 1), 0);
	text_write("tls-ca", "a");
	text_write("tls-cert", "b");
	text_write("tls-key", "c");
	text_write("tls-psk", "d");
	text_write("mine", "e");
	set = settings_of(TLS("ca_file = \"mine\";"));
	ck_assert_str_eq(set->mqtt.tls.ca_file, "mine");
	ck_assert_str_eq(strrchr(set->mqtt.tls.cert_file, '/'), "/tls-cert");
	ck_assert_str_eq(strrchr(set->mqtt.tls.key_file, '/'), "/tls-key");
	ck_assert_ptr_null(set->mqtt.tls.psk_file);
	settings_free(set);
	set = settings_of(TLS("psk_identity = \"i\";"));
	ck_assert_str_eq(strrchr(set->mqtt.tls.psk_file, '/'), "/tls-psk");
	ck_assert_ptr_null(set->mqtt.tls.ca_file);
	ck_assert_ptr_null(set->mqtt.tls.cert_file);
	settings_free(set);
	set = settings_of(MQTT("broker = \"mqtt://a\";")); /* they may be there for another one */
	ck_assert_ptr_null(set->mqtt.tls.ca_file);
	settings_free(set);
	ck_assert_int_eq(unlink("tls-key"), 0);
	ck_assert_int_eq(mkdir("tls-key", 0700), 0);
	(void)snprintf(faults, sizeof(faults),
		       "2: mqtt.tls: cannot read \"%s/tls-key\": Is a directory", folder);
	expect(MQTT("broker = \"mqtts://a\";\ntls = { cert_file = \"mine\"; };"), faults);
}
END_TEST

static const struct example group_examples[] = {
	{ "spool = { path = \"\"; max_size = \"1M\"; };", "" },
	{ "spool = { path = \"/var/lib/iotd/spool.db\"; max_size = 1048576; };", "" },
	{ "spool = { path = \"/x\"; };", "" },
	{ "spool = { path = \"spool.db\"; };",
	  "1: spool.path: \"spool.db\" is no absolute path (\"\" keeps readings in memory only)" },
	{ "spool = { max_size = \"1\"; };", "1: spool.max_size: \"1\" is out of range (4K to 1T)" },
	{ "spool = { max_size = \"64MB\"; };",
	  "1: spool.max_size: \"64MB\" is no size (write \"64K\", \"64M\", \"1G\")" },
	{ "spool = { max_size = -1; };",
	  "1: spool.max_size: -1 is no size (write \"64K\", \"64M\", \"1G\")" },
	{ "spool = { size = \"1M\"; };", "1: spool.size: unknown key" },
	{ "commands = { enabled = false; allow = [ ]; };", "" },
	{ "commands = { allow = ( \"ping\", \"set\" ); };", "" },
	{ "commands = { enabled = \"no\"; };",
	  "1: commands.enabled: must be true or false, not a string" },
	{ "commands = { allow = \"ping\"; };",
	  "1: commands.allow: must be a list, ( … ), not a string" },
	{ "commands = { allow = [ \"pong\" ]; };",
	  "1: commands.allow[0]: \"pong\" is not \"ping\", \"list\", \"stats\", \"read\", \"set\", "
	  "\"pulse\", "
	  "\"toggle\", \"interval\", \"reload\" or \"count\" (did you mean \"ping\"?)" },
	{ "commands = { allow = [ \"ping\",\n\"reload\",\n\"count\" ]; };", "" },
	{ "stats = { interval = \"1h\"; textfile = \"\"; };", "" },
	{ "stats = { interval = \"10ms\"; };",
	  "1: stats.interval: \"10ms\" is out of range (100ms to 1d)" },
	{ "stats = { textfile = \"/no/such/folder/x.prom\"; };", "" }, /* it may come */
	{ "stats = {\ntextfile = \"x.prom\"; };",
	  "2: stats.textfile: \"x.prom\" is no absolute path (\"\" writes none)" },
	{ "stats = { textfile = \"/var/lib/\"; };",
	  "1: stats.textfile: \"/var/lib/\" is a folder: name a file in it, such as "
	  "\"iotd.prom\"" },
	{ "i2c = ( { bus = \"i2c-1\"; path = \"/dev/i2c-1\"; timeout = \"100ms\"; retries = 1; } "
	  ");",
	  "" },
	{ "i2c = ( { bus = \"i2c-1\"; } );", "" },
	{ "i2c = ( { path = \"/dev/i2c-1\"; } );", "1: i2c[0].bus: is missing" },
	{ "i2c = ( { bus = \"field\"; } );",
	  "1: i2c[0].path: is missing (only buses called i2c-N have one by themselves)" },
	{ "i2c = ( { bus = \"a b\"; path = \"/x\"; } );",
	  "1: i2c[0].bus: \"a b\" is no name: 1 to 64 of the characters A-Z a-z 0-9 _ -" },
	{ "i2c = ( { bus = \"a\"; path = \"\"; } );", "1: i2c[0].path: must not be empty" },
	{ "i2c = ( { bus = \"i2c-1\"; timeout = \"2m\"; } );",
	  "1: i2c[0].timeout: \"2m\" is out of range (0s to 1m)" },
	{ "i2c = ( { bus = \"i2c-1\"; retries = 11; } );",
	  "1: i2c[0].retries: 11 is out of range (0 to 10)" },
	{ "i2c = ( { bus = \"i2c-1\"; speed = 1; } );", "1: i2c[0].speed: unknown key" },
	{ "i2c = ( { bus = \"i2c-1\"; },\n{ bus = \"i2c-1\"; } );",
	  "2: i2c[1].bus: \"i2c-1\" is in use already, in t.conf:1" },
};

START_TEST(keys_of_small_groups)
{
	EXPECT_ALL(group_examples);
}
END_TEST

#define FILE_SENSOR(body)                                                                          \
	"sensors = ( { name = \"a\"; driver = \"file\"; path = \"/p\"; " body " } );"
#define I2C_SENSOR(body)                                                                           \
	"sensors = ( { name = \"a\"; driver = \"bme280\"; bus = \"i2c-1\"; " body " } );"

#define GAIN_SENSOR(gain)                                                                          \
	"sensors = ( { name = \"a\"; driver = \"veml7700\"; bus = \"i2c-1\"; gain = " gain "; } "  \
	");"
#define LIGHT_SENSOR(body)                                                                         \
	"sensors = ( { name = \"a\"; driver = \"tsl2561\"; bus = \"i2c-1\"; " body " } );"

static const struct example sensor_examples[] = {
	{ FILE_SENSOR(""), "" },
	{ FILE_SENSOR("interval = \"1ms\"; retries = 0; window = \"10s\"; aggregate = \"median\"; "
		      "topic = \"x/y\";"),
	  "" },
	{ FILE_SENSOR("qos = 0; retain = true; enabled = false;"), "" },
	{ FILE_SENSOR("channel = \"temperature\"; unit = \"°C\"; scale = 0.001; offset = -1; "
		      "digits = 9;"),
	  "" },
	{ FILE_SENSOR("min = -40; max = 85.5; deadband = 0.1; max_age = \"1m\"; device_class = "
		      "\"temperature\";"),
	  "" },
	{ FILE_SENSOR("channel = \"t\"; t = { scale = 2; };"), "" },
	{ I2C_SENSOR("address = 0x77; oversampling = 4; temperature = { offset = -0.4; deadband = "
		     "0.1; };"),
	  "" },
	{ I2C_SENSOR("pressure = { digits = 0; unit = \"mbar\"; device_class = \"pressure\"; max = "
		     "2000; min = 1; };"),
	  "" },

	{ "sensors = ( { } );",
	  "1: sensors[0].name: is missing\n1: sensors[0].driver: is missing" },
	{ "sensors = ( { name = \"a\"; driver = \"file\"; } );", "1: sensors[0].path: is missing" },
	{ "sensors = ( { name = \"a\"; driver = \"bme280\"; } );",
	  "1: sensors[0].bus: is missing" },
	{ "sensors = ( { name = \"a b\"; driver = \"file\"; path = \"/p\"; } );",
	  "1: sensors[0].name: \"a b\" is no name: 1 to 64 of the characters A-Z a-z 0-9 _ -" },
	{ "sensors = ( { name = \"a\"; driver = \"bmp820\"; } );",
	  "1: sensors[0].driver: \"bmp820\" is no driver (did you mean \"bmp280\"?)" },
	{ "sensors = ( { name = \"a\"; driver = \"xyzzy\"; adress = 1; offset = 1;\n"
	  "path = \"/x\"; oversampling = 2; t = { }; colour = 1; intervall = 5; qos = 7; } );",
	  "1: sensors[0].driver: \"xyzzy\" is no driver (iotd --list-drivers shows them)\n"
	  "1: sensors[0].adress: unknown key (did you mean \"address\"?)\n"
	  "2: sensors[0].qos: 7 is out of range (0 to 2)\n"
	  "2: sensors[0].colour: unknown key\n"
	  "2: sensors[0].intervall: unknown key (did you mean \"interval\"?)" },
	{ "sensors = ( { name = \"a\"; colour = 1; } );",
	  "1: sensors[0].driver: is missing\n1: sensors[0].colour: unknown key" },
	{ "sensors = ( { name = \"a\"; driver = 5; } );",
	  "1: sensors[0].driver: must be a string in quotes, not a number" },
	{ FILE_SENSOR("interval = \"10 s\";"),
	  "1: sensors[0].interval: \"10 s\" is no duration (write \"250ms\", \"10s\", \"5m\")" },
	{ FILE_SENSOR("interval = \"999us\";"),
	  "1: sensors[0].interval: \"999us\" is out of range (1ms to 365d)" },
	{ FILE_SENSOR("retries = 11;"), "1: sensors[0].retries: 11 is out of range (0 to 10)" },
	{ FILE_SENSOR("window = \"5s\";"), "1: sensors[0].window: is shorter than interval" },
	{ FILE_SENSOR("aggregate = \"max\";"), "" }, /* of one sample */
	{ FILE_SENSOR("window = \"60s\"; aggregate = \"avg\";"),
	  "1: sensors[0].aggregate: \"avg\" is not \"mean\", \"min\", \"max\", \"median\" or "
	  "\"last\"" },
	{ FILE_SENSOR("topic = \"#\";"),
	  "1: sensors[0].topic: must not hold \"+\" or \"#\": these are for subscriptions" },
	{ FILE_SENSOR("qos = 3;"), "1: sensors[0].qos: 3 is out of range (0 to 2)" },
	{ FILE_SENSOR("retain = 0;"), "1: sensors[0].retain: must be true or false, not a number" },
	{ FILE_SENSOR("enabled = \"\";"),
	  "1: sensors[0].enabled: must be true or false, not a string" },
	{ FILE_SENSOR("bus = \"i2c-1\"; address = 5;"),
	  "1: sensors[0].bus: driver \"file\" has no bus\n1: sensors[0].address: driver \"file\" "
	  "has no bus" },
	{ FILE_SENSOR("chanel = \"t\";"),
	  "1: sensors[0].chanel: unknown key (did you mean \"channel\"?)" },
	{ FILE_SENSOR("scal = 1;"), "1: sensors[0].scal: unknown key (did you mean \"scale\"?)" },
	{ FILE_SENSOR("channel = \"time\";"),
	  "1: sensors[0].channel: \"time\" is taken: a reading's own time has that key" },
	{ "mqtt = { format = \"value\"; }; " FILE_SENSOR("channel = \"status\";"),
	  "1: sensors[0].channel: \"status\" is taken: in format \"value\" online and offline have "
	  "that topic" },
	{ FILE_SENSOR("channel = \"t t\";"),
	  "1: sensors[0].channel: \"t t\" is no name: 1 to 64 of the characters A-Z a-z 0-9 _ -" },
	{ FILE_SENSOR("unit = \"0123456789abcdef\";"),
	  "1: sensors[0].unit: is longer than 15 bytes" },
	{ FILE_SENSOR("scale = 0;"), "1: sensors[0].scale: must not be 0" },
	{ FILE_SENSOR("scale = \"2\";"), "1: sensors[0].scale: must be a number, not a string" },
	{ FILE_SENSOR("offset = true;"),
	  "1: sensors[0].offset: must be a number, not true or false" },
	{ FILE_SENSOR("digits = 10;"), "1: sensors[0].digits: 10 is out of range (0 to 9)" },
	{ FILE_SENSOR("min = 2; max = 1;"), "1: sensors[0].min: is greater than max" },
	{ FILE_SENSOR("deadband = -0.5;"),
	  "1: sensors[0].deadband: -0.5 is out of range (at least 0)" },
	{ FILE_SENSOR("max_age = \"1m\";"), "" },
	{ FILE_SENSOR("deadband = 1; max_age = 0;"),
	  "1: sensors[0].max_age: 0 is out of range (1ms to 365d)" },
	{ FILE_SENSOR("device_class = 5;"),
	  "1: sensors[0].device_class: must be a string in quotes, not a number" },
	{ FILE_SENSOR("channel = \"t\"; scale = 2; t = { scale = 3; };"),
	  "1: sensors[0].t.scale: is given in the sensor's own group, too" },
	{ FILE_SENSOR("field = 0;"), "1: sensors[0].field: 0 is out of range (1 to 1024)" },
	{ FILE_SENSOR("match = 0;"),
	  "1: sensors[0].match: must be a string in quotes, not a number" },
	{ "sensors = ( { name = \"a\"; driver = \"file\"; path = \"\"; } );",
	  "1: sensors[0].path: must not be empty" },
	{ I2C_SENSOR("address = 0x78;"),
	  "1: sensors[0].address: 0x78 is out of range (0x08 to 0x77)" },
	{ I2C_SENSOR("address = 7;"),
	  "1: sensors[0].address: 0x07 is out of range (0x08 to 0x77)" },
	{ I2C_SENSOR("address = \"0x76\";"),
	  "1: sensors[0].address: must be a whole number, not a string" },
	{ I2C_SENSOR("adress = 0x76;"),
	  "1: sensors[0].adress: unknown key (did you mean \"address\"?)" },
	{ I2C_SENSOR("oversampling = 3;"),
	  "1: sensors[0].oversampling: 3 is not 1, 2, 4, 8 or 16" },
	{ LIGHT_SENSOR("gain = 16; integration_time = \"101ms\";"), "" },
	{ LIGHT_SENSOR("integration_time = \"0.402s\";"), "" },
	{ LIGHT_SENSOR("integration_time = 0.0137;"), "" },
	{ LIGHT_SENSOR("gain = 4; integration_time = \"100ms\";"),
	  "1: sensors[0].gain: 4 is not 1 or 16\n"
	  "1: sensors[0].integration_time: \"100ms\" is not \"13.7ms\", \"101ms\" or \"402ms\"" },
	{ LIGHT_SENSOR("integration_time = \"402\";"),
	  "1: sensors[0].integration_time: \"402s\" is not \"13.7ms\", \"101ms\" or \"402ms\"" },
	{ LIGHT_SENSOR("integration_time = \"long\";"),
	  "1: sensors[0].integration_time: \"long\" is no duration (write \"250ms\", \"10s\", "
	  "\"5m\")" },
	{ LIGHT_SENSOR("gain = 1.5;"),
	  "1: sensors[0].gain: must be a whole number, not one with decimals" },
	{ GAIN_SENSOR("0.25"), "" },
	{ GAIN_SENSOR("2"), "" },
	{ GAIN_SENSOR("0.5"), "1: sensors[0].gain: 0.5 is not 0.125, 0.25, 1 or 2" },
	{ GAIN_SENSOR("\"1\""), "1: sensors[0].gain: must be a number, not a string" },
	{ I2C_SENSOR("oversamplin = 4;"),
	  "1: sensors[0].oversamplin: unknown key (did you mean \"oversampling\"?)" },
	{ I2C_SENSOR("temprature = { };"),
	  "1: sensors[0].temprature: unknown key (did you mean \"temperature\"?)" },
	{ I2C_SENSOR("temperature = 5;"),
	  "1: sensors[0].temperature: must be a group, { … }, not a number" },
	{ I2C_SENSOR("scale = 2;"), "1: sensors[0].scale: unknown key" },
	{ I2C_SENSOR("temperature = { ofset = 1;\nunit = \"0123456789abcdef\"; };"),
	  "1: sensors[0].temperature.ofset: unknown key (did you mean \"offset\"?)\n"
	  "2: sensors[0].temperature.unit: is longer than 15 bytes" },
	{ "sensors = ( { name = \"a\"; driver = \"bme280\"; bus = \"main\"; } );",
	  "1: sensors[0].bus: \"main\" is neither i2c-N nor in the list i2c" },
	{ "i2c = ( { bus = \"field\"; path = \"/x\"; } );\n"
	  "sensors = ( { name = \"a\"; driver = \"bme280\"; bus = \"feild\"; } );",
	  "2: sensors[0].bus: \"feild\" is neither i2c-N nor in the list i2c (did you mean "
	  "\"field\"?)" },
};

START_TEST(keys_of_sensors)
{
	EXPECT_ALL(sensor_examples);
}
END_TEST

#define INPUT(body)  "inputs = ( { name = \"i\"; chip = \"gpiochip0\"; line = 17; " body " } );"
#define OUTPUT(body) "outputs = ( { name = \"o\"; chip = \"gpiochip0\"; line = 17; " body " } );"

static const struct example line_examples[] = {
	{ INPUT("bias = \"pull-up\"; active_low = true; edge = \"both\"; debounce = \"20ms\"; "
		"count = false;"),
	  "" },
	{ INPUT("device_class = \"door\"; enabled = false;"), "" },
	{ "inputs = ( { name = \"i\"; chip = \"gpiochip0\"; line = \"GPIO17\"; } );", "" },
	{ OUTPUT("active_low = true; initial = \"keep\"; max_on = \"10m\"; on_exit = \"off\"; bias "
		 "= \"disabled\";"),
	  "" },
	{ OUTPUT("on_disconnect = \"on\"; disconnect_after = 5; interlock = [ ]; device_class = "
		 "\"x\"; enabled = true;"),
	  "" },

	{ "inputs = ( { } );", "1: inputs[0].name: is missing\n1: inputs[0].chip: is missing\n1: "
			       "inputs[0].line: is missing" },
	{ "outputs = ( { } );", "1: outputs[0].name: is missing\n1: outputs[0].chip: is "
				"missing\n1: outputs[0].line: is missing" },
	{ "inputs = ( { name = \"\"; chip = \"\"; line = \"\"; } );",
	  "1: inputs[0].name: \"\" is no name: 1 to 64 of the characters A-Z a-z 0-9 _ -\n"
	  "1: inputs[0].chip: must not be empty\n1: inputs[0].line: must not be empty" },
	{ "inputs = ( { name = \"i\"; chip = \"c\"; line = -1; } );",
	  "1: inputs[0].line: -1 is out of range (0 to 65535)" },
	{ "inputs = ( { name = \"i\"; chip = \"c\"; line = true; } );",
	  "1: inputs[0].line: must be a string in quotes, not true or false" },
	{ INPUT("bias = \"up\";"), "1: inputs[0].bias: \"up\" is not \"as-is\", \"disabled\", "
				   "\"pull-up\" or \"pull-down\"" },
	{ INPUT("bias = \"pull_up\";"),
	  "1: inputs[0].bias: \"pull_up\" is not \"as-is\", \"disabled\", \"pull-up\" or "
	  "\"pull-down\" (did you mean \"pull-up\"?)" },
	{ INPUT("active_low = 1;"),
	  "1: inputs[0].active_low: must be true or false, not a number" },
	{ INPUT("edge = \"raising\";"), "1: inputs[0].edge: \"raising\" is not \"both\", "
					"\"rising\" or \"falling\" (did you mean \"rising\"?)" },
	{ INPUT("debounce = \"2h\";"), "1: inputs[0].debounce: \"2h\" is out of range (0s to 1h)" },
	{ INPUT("count = true; interval = \"60s\"; scale = 0.2794; unit = \"mm\";"), "" },
	{ INPUT("count = true; frequency = true;"), "" },
	{ INPUT("on_time = true; interval = \"10s\";"), "" },
	{ INPUT("on_time = true; count = true;"),
	  "1: inputs[0].on_time: a counter has no state: count and on_time exclude each other" },
	{ INPUT("edge = \"rising\";\non_time = true;"),
	  "2: inputs[0].on_time: needs edge = \"both\"" },
	{ INPUT("on_time = true;\nscale = 2;\nfrequency = true;"),
	  "2: inputs[0].scale: only a counter has it: count = true is missing\n"
	  "3: inputs[0].frequency: only a counter has it: count = true is missing" },
	{ INPUT("count = true; unit = \"12345678901234\";"),
	  "1: inputs[0].unit: is longer than 13 bytes" },
	{ INPUT("interval = \"60s\";\nscale = 1;\nunit = \"mm\";"),
	  "1: inputs[0].interval: only a counter has it: count = true is missing\n"
	  "2: inputs[0].scale: only a counter has it: count = true is missing\n"
	  "3: inputs[0].unit: only a counter has it: count = true is missing" },
	{ INPUT("initial = \"on\";"), "1: inputs[0].initial: unknown key" },
	{ INPUT("enabled = 1;"), "1: inputs[0].enabled: must be true or false, not a number" },
	{ OUTPUT("initial = \"of\";"), "1: outputs[0].initial: \"of\" is not \"keep\", \"off\" or "
				       "\"on\" (did you mean \"off\"?)" },
	{ OUTPUT("max_on = \"10min\";"),
	  "1: outputs[0].max_on: \"10min\" is no duration (write \"250ms\", \"10s\", \"5m\")" },
	{ OUTPUT("on_exit = 0;"),
	  "1: outputs[0].on_exit: must be a string in quotes, not a number" },
	{ OUTPUT("on_disconnect = \"stay\";"),
	  "1: outputs[0].on_disconnect: \"stay\" is not \"keep\", \"off\" or \"on\"" },
	{ OUTPUT("disconnect_after = \"x\";"), "1: outputs[0].disconnect_after: \"x\" is no "
					       "duration (write \"250ms\", \"10s\", \"5m\")" },
	{ OUTPUT("on_disconect = \"off\";"),
	  "1: outputs[0].on_disconect: unknown key (did you mean \"on_disconnect\"?)" },
	{ OUTPUT("interlock = \"x\";"),
	  "1: outputs[0].interlock: must be a list, ( … ), not a string" },
	{ OUTPUT("interlock = [ 5 ];"),
	  "1: outputs[0].interlock[0]: must be a string in quotes, not a number" },
};

START_TEST(keys_of_lines)
{
	EXPECT_ALL(line_examples);
}
END_TEST

static const struct example cross_examples[] = {
	/* names */
	{ "sensors = ( { name = \"x\"; driver = \"file\"; path = \"/p\"; } );\n"
	  "inputs = ( { name = \"x\"; chip = \"c\"; line = 1; } );\n"
	  "outputs = ( { name = \"x\"; chip = \"c\"; line = 2; } );",
	  "2: inputs[0].name: \"x\" is in use already, in t.conf:1\n"
	  "3: outputs[0].name: \"x\" is in use already, in t.conf:1" },
	/* addresses, the usual one included */
	{ "sensors = ( { name = \"a\"; driver = \"bme280\"; bus = \"i2c-1\"; },\n"
	  "{ name = \"b\"; driver = \"bme280\"; bus = \"i2c-1\"; address = 0x76; },\n"
	  "{ name = \"c\"; driver = \"bme280\"; bus = \"i2c-2\"; address = 0x76; } );",
	  "2: sensors[1].address: address 0x76 on \"i2c-1\" is in use already, in t.conf:1" },
	/* lines */
	{ "inputs = ( { name = \"a\"; chip = \"gpiochip0\"; line = 1; } );\n"
	  "outputs = ( { name = \"b\"; chip = \"/dev/gpiochip0\"; line = 1; },\n"
	  "{ name = \"c\"; chip = \"gpiochip1\"; line = 1; }, { name = \"d\"; chip = "
	  "\"gpiochip1\"; line = \"L\"; },\n"
	  "{ name = \"e\"; chip = \"gpiochip1\"; line = \"L\"; } );",
	  "2: outputs[0].line: line 1 of gpiochip0 is in use already, in t.conf:1\n"
	  "4: outputs[3].line: line \"L\" of gpiochip1 is in use already, in t.conf:3" },
	/* topics */
	{ "mqtt = { topic = \"t\"; };\n"
	  "sensors = ( { name = \"a\"; driver = \"file\"; path = \"/p\"; topic = \"t/x\"; },\n"
	  "{ name = \"b\"; driver = \"file\"; path = \"/p\"; topic = \"t/x\"; },\n"
	  "{ name = \"c\"; driver = \"file\"; path = \"/p\"; topic = \"t/command\"; },\n"
	  "{ name = \"d\"; driver = \"file\"; path = \"/p\"; topic = \"t/sensor/a/status\"; },\n"
	  "{ name = \"e\"; driver = \"file\"; path = \"/p\"; topic = \"t/output/o/set\"; },\n"
	  "{ name = \"f\"; driver = \"file\"; path = \"/p\"; topic = \"t/sensor/g\"; },\n"
	  "{ name = \"g\"; driver = \"file\"; path = \"/p\"; } );\n"
	  "outputs = ( { name = \"o\"; chip = \"c\"; line = 1; } );",
	  "3: sensors[1].topic: topic \"t/x\" is in use already, in t.conf:2\n"
	  "4: sensors[2].topic: topic \"t/command\" is iotd's own\n"
	  "5: sensors[3].topic: topic \"t/sensor/a/status\" is iotd's own\n"
	  "6: sensors[4].topic: topic \"t/output/o/set\" is iotd's own\n"
	  "8: sensors[6]: topic \"t/sensor/g\" is in use already, in t.conf:7" },
	/* interlocks */
	{ "outputs = ( { name = \"pump\"; chip = \"c\"; line = 1; initial = \"on\"; on_exit = "
	  "\"on\"; on_disconnect = \"on\";\n"
	  "interlock = [ \"pump\", \"vale\",\n\"heater\", \"valve\" ]; },\n"
	  "{ name = \"valve\"; chip = \"c\"; line = 2; initial = \"on\"; on_exit = \"on\"; "
	  "on_disconnect = \"on\"; } );",
	  "2: outputs[0].interlock[0]: names the output itself\n"
	  "2: outputs[0].interlock[1]: \"vale\" is no output (did you mean \"valve\"?)\n"
	  "3: outputs[0].interlock[2]: \"heater\" is no output\n"
	  "3: outputs[0].interlock[3]: \"valve\" has initial = \"on\" as well\n"
	  "3: outputs[0].interlock[3]: \"valve\" has on_exit = \"on\" as well\n"
	  "3: outputs[0].interlock[3]: \"valve\" has on_disconnect = \"on\" as well" },
	/* all faults, in the order of the file, although mqtt is read first */
	{ "sensors = ( { name = \"a\"; driver = \"file\"; pth = \"/p\"; } );\nmqtt = {\n qos = "
	  "9;\n};\nspol = { };",
	  "1: sensors[0].path: is missing\n"
	  "1: sensors[0].pth: unknown key (did you mean \"path\"?)\n"
	  "3: mqtt.qos: 9 is out of range (0 to 2)\n"
	  "5: spol: unknown key (did you mean \"spool\"?)" },
};

START_TEST(checks_across_sections)
{
	EXPECT_ALL(cross_examples);
}
END_TEST

START_TEST(defaults)
{
	struct settings *set = settings_of("device = \"d\";");

	ck_assert_str_eq(set->file, "t.conf");
	ck_assert_int_eq(set->log_level, LOG_INFO);
	ck_assert_uint_eq(set->mqtt.broker_count, 1);
	ck_assert_str_eq(set->mqtt.brokers[0].url, "mqtt://localhost:1883");
	ck_assert_str_eq(set->mqtt.brokers[0].host, "localhost");
	ck_assert_int_eq(set->mqtt.brokers[0].port, 1883);
	ck_assert_int_eq((int)set->mqtt.brokers[0].scheme, MQTT_TCP);
	ck_assert_int_eq(set->mqtt.protocol, 5);
	ck_assert_str_eq(set->mqtt.client_id, "iotd-d");
	ck_assert_str_eq(set->mqtt.topic, "iotd/d");
	ck_assert_ptr_null(set->mqtt.username);
	ck_assert_ptr_null(set->mqtt.password);
	ck_assert_ptr_null(set->mqtt.password_file);
	ck_assert_int_eq((int)set->mqtt.format, FORMAT_JSON);
	ck_assert_int_eq(set->mqtt.qos, 1);
	ck_assert(!set->mqtt.retain && set->mqtt.tls.verify && !set->mqtt.discovery_enabled);
	ck_assert_int_eq(set->mqtt.keepalive_us, 30 * USEC_PER_SEC);
	ck_assert_int_eq(set->mqtt.reconnect_min_us, USEC_PER_SEC);
	ck_assert_int_eq(set->mqtt.reconnect_max_us, 60 * USEC_PER_SEC);
	ck_assert_int_eq(set->mqtt.expiry_us, 0);
	ck_assert(set->mqtt.user_properties);
	ck_assert_str_eq(set->mqtt.discovery_prefix, "homeassistant");
	ck_assert_str_eq(set->mqtt.discovery_style, "device");
	ck_assert_str_eq(set->mqtt.compat, "");
	ck_assert_str_eq(set->spool.path, "/var/lib/iotd/spool.db");
	ck_assert_uint_eq(set->spool.max_size, 64U << 20);
	ck_assert(set->commands.enabled);
	for (int kind = 0; kind < COMMAND_KINDS; kind++)
		ck_assert_int_eq(set->commands.allow[kind],
				 kind != COMMAND_RELOAD && kind != COMMAND_COUNT);
	ck_assert_int_eq(set->stats.interval_us, 60 * USEC_PER_SEC);
	ck_assert_str_eq(set->stats.textfile, "");
	ck_assert_str_eq(set->driver_dir, "/usr/lib/iotd/drivers");
	ck_assert_uint_eq(set->i2c_count + set->sensor_count + set->input_count + set->output_count,
			  0);
	settings_free(set);

	set = settings_of("");
	ck_assert_str_ne(set->device, "");
	ck_assert_ptr_null(strpbrk(set->device, "/+#. "));
	settings_free(set);
	ck_assert_ptr_null(settings_free(NULL));
}
END_TEST

/* what config_check() says of a textfile; each of these is fine for config_load() */
static const struct {
	const char *path, *fault;
} looked_at[] = {
	{ "/tmp/x.prom", NULL },
	{ "/x.prom", NULL },
	{ "/no/such/x.prom", "t.conf:2: stats.textfile: there must be a folder \"/no/such\": No "
			     "such file or directory" },
	{ "/dev/null/x.prom", "t.conf:2: stats.textfile: \"/dev/null\" is no folder" },
	{ "/tmp", "t.conf:2: stats.textfile: \"/tmp\" is there and no regular file" },
	{ "/dev/null", "t.conf:2: stats.textfile: \"/dev/null\" is there and no regular file" },
};

START_TEST(who_checks_is_told_of_a_missing_folder_which_a_start_does_not_mind)
{
	struct settings *set = NULL;
	struct config_faults faults;
	char text[128];

	(void)snprintf(text, sizeof(text), "stats = {\ntextfile = \"%s\"; };", looked_at[_i].path);
	settings_free(settings_of(text));
	ck_assert_int_eq(config_check(&set, "t.conf", &faults), looked_at[_i].fault ? -EBADMSG : 0);
	ck_assert_uint_eq(faults.count, looked_at[_i].fault != NULL);
	if (looked_at[_i].fault)
		ck_assert_str_eq(faults.lines[0], looked_at[_i].fault);
	else
		ck_assert_str_eq(set->stats.textfile, looked_at[_i].path);
	config_faults_free(&faults);
	settings_free(set);
}
END_TEST

/* what systemd says, what the file says, the spool's path then, and where counts are */
static const struct {
	const char *state_directory, *text, *path, *directory;
} spool_paths[] = {
	{ NULL, "", "/var/lib/iotd/spool.db", "/var/lib/iotd" },
	{ "/var/lib/iotd", "", "/var/lib/iotd/spool.db", "/var/lib/iotd" },
	{ "/var/lib/iotd/attic", "", "/var/lib/iotd/attic/spool.db", "/var/lib/iotd/attic" },
	{ "/var/lib/iotd/attic:/var/lib/other", "spool = { max_size = \"1M\"; };",
	  "/var/lib/iotd/attic/spool.db", "/var/lib/iotd/attic" },
	{ "/var/lib/iotd/attic", "spool = { path = \"\"; };", "", "/var/lib/iotd/attic" },
	{ "/var/lib/iotd/attic", "spool = { path = \"/x.db\"; };", "/x.db", "/var/lib/iotd/attic" },
	{ NULL, "spool = { path = \"/data/iotd/x.db\"; };", "/data/iotd/x.db", "/data/iotd" },
	{ NULL, "spool = { path = \"/x.db\"; };", "/x.db", "" },
	{ NULL, "spool = { path = \"\"; };", "", "/var/lib/iotd" },
	{ "", "", "/var/lib/iotd/spool.db", "/var/lib/iotd" },
	{ "relative", "", "/var/lib/iotd/spool.db", "/var/lib/iotd" },
};

START_TEST(an_instance_has_a_spool_and_counts_of_its_own)
{
	struct settings *set;

	if (spool_paths[_i].state_directory)
		ck_assert_int_eq(setenv("STATE_DIRECTORY", spool_paths[_i].state_directory, 1), 0);
	set = settings_of(spool_paths[_i].text);
	ck_assert_str_eq(set->spool.path, spool_paths[_i].path);
	ck_assert_str_eq(set->state_directory, spool_paths[_i].directory);
	settings_free(set);
}
END_TEST

START_TEST(sensors_as_structs)
{
	struct settings *set = settings_of(
		"mqtt = { topic = \"t\"; qos = 2; retain = true; };\n"
		"i2c = ( { bus = \"field\"; path = \"/dev/i2c-7\"; timeout = \"1s\"; retries = 4; "
		"} );\n"
		"sensors = (\n"
		"{ name = \"air\"; driver = \"bme280\"; bus = \"i2c-1\"; oversampling = 8;\n"
		"  humidity = { digits = 0; max = 100; }; temperature = { offset = -0.4; deadband "
		"= 0.1; }; },\n"
		"{ name = \"far\"; driver = \"bmp280\"; bus = \"field\"; address = 0x77; qos = 0; "
		"retain = false;\n"
		"  window = \"1m\"; aggregate = \"last\"; topic = \"far/away\"; enabled = false; "
		"},\n"
		"{ name = \"cpu\"; driver = \"file\"; path = \"/p\"; channel = \"temperature\"; "
		"unit = \"°C\";\n"
		"  scale = 0.001; interval = 30; retries = 2; } );");
	const struct sensor_settings *air = &set->sensors[0], *far = &set->sensors[1],
				     *cpu = &set->sensors[2];

	ck_assert_uint_eq(set->sensor_count, 3);
	ck_assert_str_eq(air->driver->name, "bme280");
	ck_assert_uint_eq(air->address, 0x76);
	ck_assert_str_eq(air->topic, "t/sensor/air");
	ck_assert_int_eq(air->interval_us, 10 * USEC_PER_SEC);
	ck_assert_int_eq(air->window_us, 0);
	ck_assert_int_eq(air->retries, 1);
	ck_assert_int_eq(air->qos, 2);
	ck_assert(air->retain && air->enabled);
	ck_assert_uint_eq(air->option_count, air->driver->option_count);
	ck_assert(air->options[0].given && air->options[0].integer == 8);
	ck_assert_uint_eq(air->channel_count, 2);
	ck_assert_str_eq(air->channels[0].name, "humidity");
	ck_assert_int_eq(air->channels[0].digits, 0);
	ck_assert_double_eq(air->channels[0].max, 100);
	ck_assert_double_eq(air->channels[0].min, -INFINITY);
	ck_assert_double_eq(air->channels[1].offset, -0.4);
	ck_assert_double_eq(air->channels[1].scale, 1);
	ck_assert_double_eq(air->channels[1].deadband, 0.1);
	ck_assert_int_eq(air->channels[1].digits, -1);
	ck_assert_int_eq(air->channels[1].max_age_us, 300 * USEC_PER_SEC);
	ck_assert_str_eq(air->channels[1].unit, "");
	ck_assert_ptr_null(air->channels[1].device_class);

	ck_assert_str_eq(far->topic, "far/away");
	ck_assert_int_eq(far->retries, 4);
	ck_assert_int_eq(far->qos, 0);
	ck_assert(!far->retain && !far->enabled && !far->options[0].given);
	ck_assert_int_eq(far->options[0].integer, 1);
	ck_assert_int_eq((int)far->aggregate, AGGREGATE_LAST);

	ck_assert_ptr_null(cpu->bus);
	ck_assert_int_eq(cpu->retries, 2);
	ck_assert_int_eq(cpu->interval_us, 30 * USEC_PER_SEC);
	ck_assert_str_eq(cpu->options[0].string, "/p");
	ck_assert_uint_eq(cpu->channel_count, 1);
	ck_assert_str_eq(cpu->channels[0].name, "temperature");
	ck_assert_double_eq(cpu->channels[0].scale, 0.001);

	ck_assert_uint_eq(set->i2c_count, 2);
	ck_assert_str_eq(settings_find_i2c(set, "field")->path, "/dev/i2c-7");
	ck_assert_int_eq(settings_find_i2c(set, "field")->timeout_us, USEC_PER_SEC);
	ck_assert_str_eq(settings_find_i2c(set, "i2c-1")->path, "/dev/i2c-1");
	ck_assert_int_eq(settings_find_i2c(set, "i2c-1")->timeout_us, 100 * USEC_PER_MSEC);
	ck_assert_ptr_null(settings_find_i2c(set, "i2c-2"));
	settings_free(set);
}
END_TEST

START_TEST(lines_as_structs)
{
	struct settings *set = settings_of(
		"mqtt = { broker = \"mqtt://[::1]:1884\"; password = \"secret\"; };\n"
		"commands = { allow = [ \"ping\" ]; };\n"
		"inputs = ( { name = \"door\"; chip = \"gpiochip0\"; line = \"GPIO17\"; bias = "
		"\"pull-up\";\n"
		"  active_low = true; edge = \"falling\"; debounce = \"20ms\"; } );\n"
		"outputs = ( { name = \"pump\"; chip = \"gpiochip0\"; line = 22; interlock = [ "
		"\"valve\" ];\n"
		"  max_on = \"10m\"; on_disconnect = \"off\"; disconnect_after = \"10s\"; },\n"
		"  { name = \"valve\"; chip = \"gpiochip0\"; line = 23; initial = \"keep\"; "
		"on_exit = \"on\"; } );");
	const struct input_settings *door = &set->inputs[0];
	const struct output_settings *pump = &set->outputs[0], *valve = &set->outputs[1];

	ck_assert_str_eq(set->mqtt.brokers[0].host, "::1");
	ck_assert_int_eq(set->mqtt.brokers[0].port, 1884);
	ck_assert_str_eq(set->mqtt.password, "secret");
	ck_assert(set->commands.allow[COMMAND_PING] && !set->commands.allow[COMMAND_SET]);
	ck_assert_str_eq(door->line.name, "GPIO17");
	ck_assert_int_eq((int)door->line.bias, BIAS_PULL_UP);
	ck_assert(door->line.active_low && door->enabled && !door->count);
	ck_assert_int_eq((int)door->edge, EDGE_FALLING);
	ck_assert_int_eq(door->debounce_us, 20 * USEC_PER_MSEC);
	ck_assert_ptr_null(pump->line.name);
	ck_assert_uint_eq(pump->line.offset, 22);
	ck_assert_int_eq((int)pump->initial, MOVE_OFF);
	ck_assert_int_eq((int)pump->on_exit, MOVE_KEEP);
	ck_assert_int_eq((int)pump->on_disconnect, MOVE_OFF);
	ck_assert_int_eq(pump->disconnect_after_us, 10 * USEC_PER_SEC);
	ck_assert_int_eq(pump->max_on_us, 600 * USEC_PER_SEC);
	ck_assert_uint_eq(pump->interlock_count, 1);
	ck_assert_str_eq(pump->interlock[0], "valve");
	ck_assert_int_eq((int)valve->initial, MOVE_KEEP);
	ck_assert_int_eq((int)valve->on_exit, MOVE_ON);
	ck_assert_int_eq((int)valve->on_disconnect, MOVE_KEEP);
	ck_assert_int_eq(valve->disconnect_after_us, 30 * USEC_PER_SEC);
	settings_free(set);
}
END_TEST

START_TEST(includes_are_relative_to_their_file)
{
	struct settings *set;
	char *faults;

	ck_assert_int_eq(mkdir("sub", 0700), 0);
	text_write("sub/mqtt.conf", "mqtt = {\n@include \"qos.conf\"\n};\n");
	text_write("sub/qos.conf", "qos = 2;"); /* without a newline at its end */
	/* no includes: in a comment and in a string */
	expect("/*\n@include \"nowhere\"\n*/ device = \"a\\\"\n@include \\\"no\\\"\";\n",
	       "3: device: holds a control character");
	set = settings_of("device = \"d\";\n \t@include \"sub/mqtt.conf\"  # that one\nlog_level = "
			  "\"err\";\n");
	ck_assert_int_eq(set->mqtt.qos, 2);
	ck_assert_int_eq(set->log_level, LOG_ERR);
	settings_free(set);

	text_write("sub/qos.conf", "\nqos = 3;\n");
	text_write("t.conf", "device = 1;\n@include \"sub/mqtt.conf\"\nlog_level = 2;\n");
	faults = faults_text("t.conf", NULL);
	ck_assert_str_eq(faults, "t.conf:1: device: must be a string in quotes, not a number\n"
				 "sub/qos.conf:2: mqtt.qos: 3 is out of range (0 to 2)\n"
				 "t.conf:3: log_level: must be a string in quotes, not a number\n");
	free(faults);

	text_write("sub/qos.conf", "\nqos = ;\n");
	faults = faults_text("t.conf", NULL);
	ck_assert_ptr_nonnull(strstr(faults, "sub/qos.conf:2: syntax error"));
	free(faults);
}
END_TEST

START_TEST(thirty_thousand_sensors_in_time)
{
	struct timespec start, end;
	struct settings *set = NULL;
	FILE *stream = fopen("t.conf", "we");
	char *faults;

	ck_assert_ptr_nonnull(stream);
	ck_assert_int_ge(fprintf(stream, "sensors = (\n"), 1);
	for (int i = 0; i < 30000; i++)
		(void)fprintf(stream,
			      "%s{ name = \"s%d\"; driver = \"file\"; path = \"/tmp/%d\"; interval "
			      "= \"1s\";\n"
			      "channel = \"v\"; scale = 0.5; deadband = 0.1; }\n",
			      i > 0 ? "," : "", i, i);
	ck_assert_int_ge(fprintf(stream, ");\n"), 1);
	ck_assert_int_eq(fclose(stream), 0);

	ck_assert_int_eq(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start), 0);
	faults = faults_text("t.conf", &set);
	ck_assert_int_eq(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end), 0);
	ck_assert_str_eq(faults, "");
	ck_assert_uint_eq(set->sensor_count, 30000);
	ck_assert_str_eq(set->sensors[29999].name, "s29999");
	/* a fifth of a second here; much more under a sanitizer */
	ck_assert_int_lt(end.tv_sec - start.tv_sec, 8);
	free(faults);
	settings_free(set);
}
END_TEST

START_TEST(files_that_are_installed)
{
	static const char *const files[] = {
		"conf/iotd.conf",
		"conf/examples/minimal.conf",
		"conf/examples/greenhouse.conf",
		"conf/examples/meters.conf",
		"conf/examples/gateway.conf",
		"conf/examples/weather-station.conf",
		"conf/examples/power-meter.conf",
		"conf/examples/cold-store.conf",
	};
	char path[PATH_MAX], *faults;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", IOTD_SOURCE, files[i]);
		faults = faults_text(path, NULL);
		ck_assert_str_eq(faults, "");
		free(faults);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config");
	TCase *tests = tcase_create("config");
	SRunner *runner;
	int failed;

	tcase_add_unchecked_fixture(tests, folder_enter, folder_leave);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, keys_of_the_file);
	tcase_add_test(tests, keys_of_mqtt);
	tcase_add_test(tests, keys_of_tls);
	tcase_add_test(tests, credentials_are_files_of_tls);
	tcase_add_test(tests, keys_of_small_groups);
	tcase_add_test(tests, keys_of_sensors);
	tcase_add_test(tests, keys_of_lines);
	tcase_add_test(tests, checks_across_sections);
	tcase_add_test(tests, defaults);
	tcase_add_loop_test(tests, an_instance_has_a_spool_and_counts_of_its_own, 0,
			    ARRAY_SIZE(spool_paths));
	tcase_add_loop_test(tests,
			    who_checks_is_told_of_a_missing_folder_which_a_start_does_not_mind, 0,
			    ARRAY_SIZE(looked_at));
	tcase_add_test(tests, sensors_as_structs);
	tcase_add_test(tests, lines_as_structs);
	tcase_add_test(tests, includes_are_relative_to_their_file);
	tcase_add_test(tests, thirty_thousand_sensors_in_time);
	tcase_add_test(tests, files_that_are_installed);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
