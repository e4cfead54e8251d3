/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A TLS session, under the valve (valve.c): the library for MQTT only ever sees plain bytes.
 *
 * libmosquitto can do TLS itself. It is not used for that: it would put the valve outside of what
 * is encrypted, where it cannot see the lengths of packets; it reads the CAs anew for each
 * connection (22 to 28 ms of CPU for Debian's), says why a handshake failed only to a log in
 * OpenSSL's words, spins while a server is silent (2.0.21), and takes one name for ALPN and none
 * for a CRL.
 *
 * The handshake runs on a worker. Once it is done a server can have the reactor do little more
 * than to decrypt: renegotiation is refused, and so is a request for a certificate behind the
 * handshake.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "iotd/base.h"
#include "tls-session.h"
#include "words.h"

struct tls *tls_of(const SSL *ssl)
{
	return SSL_get_app_data(ssl);
}

/* --- the library asks ----------------------------------------------------------------------- */

/* the first complaint is the one that counts */
static int on_verify(int good, X509_STORE_CTX *store)
{
	const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls *tls = tls_of(ssl);

	if (!good && tls->why[0] == '\0')
		tls_verify_words(tls->why, sizeof(tls->why), store, &tls->facts);
	return good;
}

/* called when there is none that suits */
static int on_certificate_wanted(SSL *ssl, X509 **certificate, EVP_PKEY **key)
{
	(void)certificate;
	(void)key;
	tls_of(ssl)->facts.was_asked = true;
	return 0;
}

static unsigned int on_psk_wanted(SSL *ssl, const char *hint, char *identity,
				  unsigned int identity_size, unsigned char *key,
				  unsigned int key_size)
{
	const struct tls *tls = tls_of(ssl);
	size_t length = strlen(tls->facts.identity);

	(void)hint;
	if (length >= identity_size || tls->psk.length > key_size)
		return 0;
	memcpy(identity, tls->facts.identity, length + 1);
	memcpy(key, tls->psk.key, tls->psk.length);
	return (unsigned int)tls->psk.length;
}

void tls_callbacks(SSL_CTX *shared, bool verifies, bool has_psk)
{
	SSL_CTX_set_verify(shared, verifies ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
			   verifies ? on_verify : NULL);
	SSL_CTX_set_client_cert_cb(shared, on_certificate_wanted);
	if (has_psk)
		SSL_CTX_set_psk_client_callback(shared, on_psk_wanted);
}

/* --- life ----------------------------------------------------------------------------------- */

/* whom the certificate must be for. An address is none for SNI: RFC 6066, section 3 */
static int tls_set_host(struct tls *tls, const char *host)
{
	size_t length = strlen(host);

	if (length > 0 && host[length - 1] == '.')
		length--; /* of a whole name; certificates and SNI are without it */
	if (length == 0 || length >= sizeof(tls->host))
		return -EINVAL;
	memcpy(tls->host, host, length);
	tls->facts.host = tls->host;
	if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls->ssl), tls->host) == 1)
		return 0;
	SSL_set_hostflags(tls->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (SSL_set1_host(tls->ssl, tls->host) != 1 ||
	    SSL_set_tlsext_host_name(tls->ssl, tls->host) != 1)
		return -ENOMEM;
	return 0;
}

int tls_new(struct tls **ret, struct tls_context *context, int fd, const char *host)
{
	struct tls *tls = calloc(1, sizeof(*tls));
	int r;

	if (!tls)
		return -ENOMEM;
	r = tls_context_session(context, tls);
	if (r == 0)
		r = tls_set_host(tls, host);
	if (r == 0 && (SSL_set_app_data(tls->ssl, tls) != 1 || SSL_set_fd(tls->ssl, fd) != 1))
		r = -ENOMEM;
	if (r < 0) {
		tls_free(tls);
		return r;
	}
	*ret = tls;
	return 0;
}

struct tls *tls_free(struct tls *tls)
{
	if (!tls)
		return NULL;
	ERR_clear_error();
	if (tls->is_up && tls->why[0] == '\0')
		(void)SSL_shutdown(tls->ssl);
	SSL_free(tls->ssl);
	explicit_bzero(&tls->psk, sizeof(tls->psk));
	free(tls);
	return NULL;
}

/* --- bytes ---------------------------------------------------------------------------------- */

/* the library's errors are a thread's: what an earlier call left would be taken for this one's */
static void library_begin(void)
{
	ERR_clear_error();
	errno = 0;
}

/* Return: -ECONNABORTED */
static int tls_fail(struct tls *tls, int kind, int error)
{
	if (tls->why[0] != '\0') /* on_verify() knew more */
		return -ECONNABORTED;
	if (kind == SSL_ERROR_SSL)
		tls_error_words(tls->why, sizeof(tls->why), ERR_peek_last_error(), &tls->facts);
	else if (kind == SSL_ERROR_SYSCALL && error != 0 && error != ECONNRESET && error != EPIPE)
		error_words(tls->why, sizeof(tls->why), error);
	else
		(void)snprintf(tls->why, sizeof(tls->why),
			       "the broker closed the connection during the TLS handshake: is this "
			       "its port for TLS?");
	return -ECONNABORTED;
}

int tls_handshake(struct tls *tls, short *ret_events)
{
	int r, error, kind;

	library_begin();
	r = SSL_connect(tls->ssl);
	error = errno;
	if (r == 1) {
		tls->is_up = true;
		return 0;
	}
	kind = SSL_get_error(tls->ssl, r);
	if (kind != SSL_ERROR_WANT_READ && kind != SSL_ERROR_WANT_WRITE)
		return tls_fail(tls, kind, error);
	*ret_events = kind == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
	return -EAGAIN;
}

ssize_t tls_read(struct tls *tls, void *buffer, size_t size)
{
	size_t length = 0;
	int r, error, kind;

	if (tls->why[0] != '\0')
		return -ECONNABORTED;
	library_begin();
	r = SSL_read_ex(tls->ssl, buffer, size, &length);
	error = errno;
	kind = SSL_get_error(tls->ssl, r);
	switch (kind) {
	case SSL_ERROR_NONE:
		return (ssize_t)length;
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE: /* not after the handshake: answers leave with the next write */
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		return -error; /* 0: its end, without a goodbye */
	default:
		return tls_fail(tls, kind, error);
	}
}

bool tls_has_more(const struct tls *tls)
{
	return tls->why[0] == '\0' && SSL_pending(tls->ssl) > 0;
}

ssize_t tls_write(struct tls *tls, const void *buffer, size_t size)
{
	size_t length = 0;
	int r, kind;

	if (tls->why[0] != '\0')
		return -EPIPE;
	library_begin();
	r = SSL_write_ex(tls->ssl, buffer, size, &length);
	kind = SSL_get_error(tls->ssl, r);
	if (kind == SSL_ERROR_NONE)
		return (ssize_t)length;
	return kind == SSL_ERROR_WANT_WRITE || kind == SSL_ERROR_WANT_READ ? -EAGAIN : -EPIPE;
}

const char *tls_why(const struct tls *tls)
{
	return tls->why[0] != '\0' ? tls->why : NULL;
}
