/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A TLS session over a socket pair, with OpenSSL's own server at the other end, and what sessions
 * share. Who is refused and in which words: tests/system/test_tls.py.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"
#include "iotd/base.h"
#include "mqtt/tls.h"

#define HOST   "broker.test"
#define RECORD 16000 /* nearly as long as one may be */
#define ROUNDS 100   /* of a handshake */

static char folder[] = "/tmp/iotd-test-tls-XXXXXX";
static SSL_CTX *server_context;
static SSL *server;
static int ours, theirs; /* the ends of the pair */
static struct tls_context *context;
static struct tls *tls;
static const unsigned char psk[] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef };
static uint8_t bytes[1 << 20], got[1 << 20];

/* --- a broker's side ------------------------------------------------------------------------ */

static X509 *certificate_new(EVP_PKEY *key)
{
	X509 *certificate = X509_new();
	X509_NAME *name = X509_get_subject_name(certificate);
	X509_EXTENSION *host = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:" HOST);

	ck_assert_ptr_nonnull(host);
	ck_assert_int_eq(X509_set_version(certificate, X509_VERSION_3), 1);
	ck_assert_int_eq(ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1), 1);
	ck_assert_ptr_nonnull(X509_gmtime_adj(X509_getm_notBefore(certificate), -60));
	ck_assert_ptr_nonnull(X509_gmtime_adj(X509_getm_notAfter(certificate), 3600));
	ck_assert_int_eq(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
						    (const unsigned char *)HOST, -1, -1, 0),
			 1);
	ck_assert_int_eq(X509_set_issuer_name(certificate, name), 1);
	ck_assert_int_eq(X509_add_ext(certificate, host, -1), 1);
	ck_assert_int_eq(X509_set_pubkey(certificate, key), 1);
	ck_assert_int_gt(X509_sign(certificate, key, EVP_sha256()), 0);
	X509_EXTENSION_free(host);
	return certificate;
}

static const char *path_of(const char *name)
{
	static char path[64];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void file_write(const char *name, const char *text)
{
	FILE *file = fopen(path_of(name), "we");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

static unsigned int on_psk_wanted(SSL *ssl, const char *identity, unsigned char *key,
				  unsigned int size)
{
	(void)ssl;
	ck_assert_uint_ge(size, sizeof(psk));
	if (strcmp(identity, "greenhouse") != 0)
		return 0;
	memcpy(key, psk, sizeof(psk));
	return sizeof(psk);
}

/* it signs itself: its certificate is also the CA's, in the file "ca" */
static void server_begin(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = certificate_new(key);
	FILE *file;

	SSL_CTX_set_psk_server_callback(server_context, on_psk_wanted);
	ck_assert_int_eq(SSL_CTX_set_num_tickets(server_context, 0), 1);
	ck_assert_int_eq(SSL_CTX_use_certificate(server_context, certificate), 1);
	ck_assert_int_eq(SSL_CTX_use_PrivateKey(server_context, key), 1);
	file = fopen(path_of("ca"), "we");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(PEM_write_X509(file, certificate), 1);
	ck_assert_int_eq(fclose(file), 0);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

/* a session to the server, by @settings */
static void session_begin(const struct tls_settings *settings)
{
	char why[256] = "";
	int pair[2], size = 4096;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
			 0);
	ours = pair[0];
	theirs = pair[1];
	ck_assert_int_eq(setsockopt(ours, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	server = SSL_new(server_context);
	ck_assert_int_eq(SSL_set_fd(server, theirs), 1);
	ck_assert_int_eq(tls_context_new(&context, settings), 0);
	ck_assert_msg(tls_context_prepare(context, why, sizeof(why)) == 0, "%s", why);
	ck_assert_int_eq(tls_new(&tls, context, ours, HOST "."), 0);
}

static void session_end(void)
{
	tls = tls_free(tls);
	context = tls_context_unref(context);
	SSL_free(server);
	(void)close(ours);
	(void)close(theirs);
}

static void begin(void)
{
	struct tls_settings settings = { .verify = true };
	char ca[64];

	ck_assert_int_eq(signal(SIGPIPE, SIG_IGN) == SIG_ERR, 0);
	ck_assert_ptr_nonnull(mkdtemp(folder));
	server_context = SSL_CTX_new(TLS_server_method());
	server_begin();
	(void)snprintf(ca, sizeof(ca), "%s", path_of("ca"));
	settings.ca_file = ca;
	session_begin(&settings);
}

static void end(void)
{
	session_end();
	SSL_CTX_free(server_context);
	(void)unlink(path_of("ca"));
	(void)unlink(path_of("psk"));
	(void)rmdir(folder);
	(void)snprintf(folder, sizeof(folder), "/tmp/iotd-test-tls-XXXXXX");
}

/* Return: as tls_handshake(), and what tls_read() says at once */
static int try_to_shake(void)
{
	short events = 0;
	int client = -EAGAIN, r = 0;

	for (int i = 0; i < ROUNDS && client != -ECONNABORTED && (client != 0 || r != 1); i++) {
		if (client != 0)
			client = tls_handshake(tls, &events);
		ERR_clear_error();
		if (r != 1)
			r = SSL_accept(server);
		if (client == 0 && r != 1 && tls_read(tls, got, 1) == -ECONNABORTED)
			return -ECONNABORTED;
	}
	return client == 0 && r != 1 ? -EAGAIN : client;
}

static void shake(void)
{
	int r = try_to_shake();

	ck_assert_msg(r == 0, "%d %s", r, tls_why(tls) ? tls_why(tls) : "no end of it");
}

/* --- tests ---------------------------------------------------------------------------------- */

START_TEST(bytes_go_both_ways)
{
	shake();
	ck_assert_int_eq(tls_read(tls, got, sizeof(got)), -EAGAIN);
	ck_assert_int_eq(SSL_write(server, "question", 8), 8);
	ck_assert_int_eq(tls_read(tls, got, sizeof(got)), 8);
	ck_assert_mem_eq(got, "question", 8);
	ck_assert_int_eq(tls_write(tls, "answer", 6), 6);
	ck_assert_int_eq(SSL_read(server, got, sizeof(got)), 6);
	ck_assert_mem_eq(got, "answer", 6);
	ck_assert_ptr_null(tls_why(tls));
}
END_TEST

/* poll() knows nothing of what is left of a record */
START_TEST(the_rest_of_a_record_is_told)
{
	shake();
	ck_assert_int_eq(SSL_write(server, bytes, RECORD), RECORD);
	ck_assert(!tls_has_more(tls));
	ck_assert_int_eq(tls_read(tls, got, RECORD / 2), RECORD / 2);
	ck_assert(tls_has_more(tls));
	ck_assert_int_eq(tls_read(tls, got + RECORD / 2, RECORD), RECORD / 2);
	ck_assert(!tls_has_more(tls));
	ck_assert_mem_eq(got, bytes, RECORD);
}
END_TEST

/* write until the socket takes no more. Return: how many bytes it took */
static size_t fill(void)
{
	size_t sent = 0;
	ssize_t n;

	while ((n = tls_write(tls, bytes + sent, RECORD)) > 0)
		sent += (size_t)n;
	ck_assert_int_eq(n, -EAGAIN);
	return sent;
}

/* the server reads, and we write, until it has @wanted bytes */
static void drain(size_t sent, size_t wanted)
{
	size_t length = 0;
	ssize_t n;

	for (int i = 0; i < 10000 && length < wanted; i++) {
		ERR_clear_error();
		n = SSL_read(server, got + length, (int)(sizeof(got) - length));
		length += n > 0 ? (size_t)n : 0;
		if (sent < wanted) {
			n = tls_write(tls, bytes + sent, wanted - sent);
			ck_assert(n > 0 || n == -EAGAIN);
			sent += n > 0 ? (size_t)n : 0;
		}
	}
	ck_assert_uint_eq(length, wanted);
	ck_assert_mem_eq(got, bytes, wanted);
}

START_TEST(a_full_socket_is_told_and_nothing_is_lost)
{
	size_t sent;

	shake();
	sent = fill();
	drain(sent, sent + 10 * (size_t)RECORD);
}
END_TEST

/* RFC 8446, 4.6.3: the answer waits behind what is being sent, and reading goes on */
START_TEST(new_keys_that_are_asked_for_while_the_socket_is_full)
{
	size_t sent;

	shake();
	sent = fill();
	ck_assert_int_eq(SSL_key_update(server, SSL_KEY_UPDATE_REQUESTED), 1);
	ck_assert_int_eq(SSL_do_handshake(server), 1);
	ck_assert_int_eq(SSL_write(server, "x", 1), 1);
	ck_assert_int_eq(tls_read(tls, got, sizeof(got)), -EAGAIN); /* the keys */
	ck_assert_int_eq(tls_read(tls, got, sizeof(got)), 1);
	ck_assert_int_eq(tls_read(tls, got, sizeof(got)), -EAGAIN);
	drain(sent, sent + 10 * (size_t)RECORD);
}
END_TEST

/* RFC 8446, 4.6.1: as many tickets as it likes, which must not hold who reads */
START_TEST(what_is_no_data_is_taken_a_little_at_a_time)
{
	int reads = 0;
	ssize_t n;

	shake();
	for (int i = 0; i < ROUNDS; i++) {
		ck_assert_int_eq(SSL_new_session_ticket(server), 1);
		ck_assert_int_eq(SSL_do_handshake(server), 1);
	}
	ck_assert_int_eq(SSL_write(server, "x", 1), 1);
	do
		n = tls_read(tls, got, sizeof(got));
	while (n == -EAGAIN && ++reads < 2 * ROUNDS);
	ck_assert_int_eq(n, 1);
	ck_assert_int_ge(reads, ROUNDS);
}
END_TEST

START_TEST(an_end_with_a_goodbye)
{
	shake();
	ck_assert_int_eq(SSL_shutdown(server), 0);
	ck_assert_int_eq(tls_read(tls, got, sizeof(got)), 0);
	ck_assert_ptr_null(tls_why(tls));
}
END_TEST

START_TEST(an_end_without_a_word)
{
	shake();
	ck_assert_int_eq(shutdown(theirs, SHUT_RDWR), 0);
	ck_assert_int_eq(tls_read(tls, got, sizeof(got)), 0);
	ck_assert_int_eq(tls_write(tls, "x", 1), -EPIPE);
	ck_assert_ptr_null(tls_why(tls));
}
END_TEST

START_TEST(rubbish_after_the_handshake_is_named)
{
	shake();
	ck_assert_int_eq(write(theirs, "\x17\x03\x03\x00\x20 is no record at all, though 32", 37),
			 37);
	ck_assert_int_eq(tls_read(tls, got, sizeof(got)), -ECONNABORTED);
	ck_assert_msg(strncmp(tls_why(tls), "TLS failed: ", 12) == 0, "%s", tls_why(tls));
	ck_assert_int_eq(tls_read(tls, got, sizeof(got)), -ECONNABORTED);
	ck_assert_int_eq(tls_write(tls, "x", 1), -EPIPE);
	ck_assert(!tls_has_more(tls));
}
END_TEST

START_TEST(we_say_goodbye)
{
	shake();
	tls = tls_free(tls);
	ck_assert_int_eq(SSL_read(server, got, sizeof(got)), 0);
	ck_assert_int_eq(SSL_get_shutdown(server), SSL_RECEIVED_SHUTDOWN);
}
END_TEST

static const struct {
	const char *identity, *key;
	int version;
	const char *words; /* NULL: it works */
} psks[] = {
	{ "greenhouse", "0123456789abcdef", TLS1_2_VERSION, NULL },
	{ "greenhouse", "0123456789ABCDEF\r\n", TLS1_3_VERSION, NULL },
	{ "greenhouse", "fedcba9876543210", TLS1_2_VERSION, "it has another PSK for our identity" },
	{ "greenhouse", "fedcba9876543210", TLS1_3_VERSION, "it has another PSK for our identity" },
	{ "attic", "0123456789abcdef", TLS1_2_VERSION, "know our PSK identity" },
	{ "attic", "0123456789abcdef", TLS1_3_VERSION,
	  "the broker does not take our PSK, but shows a certificate" },
};

START_TEST(a_psk)
{
	char file[64], identity[32];
	struct tls_settings settings = { .psk_identity = identity,
					 .psk_file = file,
					 .verify = false };

	session_end();
	file_write("psk", psks[_i].key);
	(void)snprintf(file, sizeof(file), "%s", path_of("psk"));
	(void)snprintf(identity, sizeof(identity), "%s", psks[_i].identity);
	ck_assert_int_eq(SSL_CTX_set_min_proto_version(server_context, psks[_i].version), 1);
	ck_assert_int_eq(SSL_CTX_set_max_proto_version(server_context, psks[_i].version), 1);
	session_begin(&settings);
	if (!psks[_i].words) {
		shake();
		ck_assert_int_eq(SSL_version(server), psks[_i].version);
		return;
	}
	ck_assert_int_eq(try_to_shake(), -ECONNABORTED);
	ck_assert_msg(strstr(tls_why(tls), psks[_i].words) != NULL, "%s", tls_why(tls));
}
END_TEST

/* the same size and time, so nobody looks; then a newer time */
START_TEST(files_are_read_again_when_they_changed)
{
	struct timespec times[2];
	struct stat before;
	char why[256] = "";
	int fd;

	ck_assert_int_eq(stat(path_of("ca"), &before), 0);
	times[0] = before.st_atim;
	times[1] = before.st_mtim;
	fd = open(path_of("ca"), O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq(write(fd, "rubbish", 7), 7);
	ck_assert_int_eq(futimens(fd, times), 0);
	ck_assert_int_eq(tls_context_prepare(context, why, sizeof(why)), 0);
	times[1].tv_sec++;
	ck_assert_int_eq(futimens(fd, times), 0);
	(void)close(fd);
	ck_assert_int_eq(tls_context_prepare(context, why, sizeof(why)), -EHOSTUNREACH);
	ck_assert_msg(strstr(why, "has no CA certificate that can be used"), "%s", why);
	shake(); /* a session that has begun keeps what it began with */
}
END_TEST

START_TEST(a_host_that_is_none)
{
	struct tls *other = NULL;
	char name[300];

	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	ck_assert_int_eq(tls_new(&other, context, ours, name), -EINVAL);
	ck_assert_int_eq(tls_new(&other, context, ours, "."), -EINVAL);
	ck_assert_ptr_null(other);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tls");
	TCase *tests = tcase_create("tls");

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 31 >> 3);
	tcase_add_checked_fixture(tests, begin, end);
	tcase_add_test(tests, bytes_go_both_ways);
	tcase_add_test(tests, the_rest_of_a_record_is_told);
	tcase_add_test(tests, a_full_socket_is_told_and_nothing_is_lost);
	tcase_add_test(tests, new_keys_that_are_asked_for_while_the_socket_is_full);
	tcase_add_test(tests, what_is_no_data_is_taken_a_little_at_a_time);
	tcase_add_test(tests, an_end_with_a_goodbye);
	tcase_add_test(tests, an_end_without_a_word);
	tcase_add_test(tests, rubbish_after_the_handshake_is_named);
	tcase_add_test(tests, we_say_goodbye);
	tcase_add_loop_test(tests, a_psk, 0, (int)ARRAY_SIZE(psks));
	tcase_add_test(tests, files_are_read_again_when_they_changed);
	tcase_add_test(tests, a_host_that_is_none);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
