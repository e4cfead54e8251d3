/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What all TLS sessions of a link share, made once of the settings and their files. Each attempt
 * to connect looks whether a file was replaced since (a renewed certificate counts with the next
 * connection, and a reload makes one), and only then reads them anew.
 *
 * The CAs are those of ca_file, or the system's, which OpenSSL looks up one by one as it needs
 * them. A CRL in ca_file has the broker's certificate checked against it. What is in ca_file is
 * trusted, whether or not it signed itself: so the CA between, or the broker's own certificate,
 * will do.
 *
 * With a PSK nothing else proves who the broker is: ciphers that go by a certificate are not
 * offered (TLS 1.2), and a certificate is refused (TLS 1.3, where nobody offers who), for no CA is
 * trusted.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "iotd/base.h"
#include "tls-session.h"
#include "words.h"

#define PSK_CIPHERS "kECDHEPSK:kDHEPSK:kPSK:!eNULL:!LOW:!MEDIUM" /* TLS 1.2 */
/* TLS 1.3: RFC 8446, 4.2.11, a PSK goes with SHA-256, and a server may choose the cipher first */
#define PSK_SUITES  "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"
#define PSK_LINE    (2 * PSK_MAX_PSK_LEN + 3) /* digits, CR, LF, NUL */

struct tls_context {
	unsigned int references;
	char *files[TLS_FILES], *alpn, *identity;
	bool verifies;
	pthread_mutex_t lock; /* of what follows: two attempts may be under way */
	SSL_CTX *shared;      /* NULL: not yet */
	struct tls_psk psk;
	struct file_stamp stamps[TLS_FILES]; /* of what these were made of */
};

/* what is being made of the files */
struct making {
	const struct tls_context *context;
	SSL_CTX *shared;
	struct tls_psk psk;
	char *why;
	size_t size;
};

static void making_done(struct making *making)
{
	SSL_CTX_free(making->shared);
	explicit_bzero(&making->psk, sizeof(making->psk));
}

static int fail(struct making *making, const char *format, ...) printf_like(2, 3);

/* Return: -EHOSTUNREACH */
static int fail(struct making *making, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(making->why, making->size, format, arguments);
	va_end(arguments);
	return -EHOSTUNREACH;
}

static int fail_library(struct making *making, const char *path, const char *lacks)
{
	char words[96];

	tls_library_words(words, sizeof(words));
	return fail(making, "\"%.100s\" has no %s that can be used: %s", path, lacks, words);
}

/* --- certificates --------------------------------------------------------------------------- */

static bool has_crl(SSL_CTX *shared)
{
	STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(SSL_CTX_get_cert_store(shared));

	for (int i = 0; i < sk_X509_OBJECT_num(objects); i++)
		if (X509_OBJECT_get_type(sk_X509_OBJECT_value(objects, i)) == X509_LU_CRL)
			return true;
	return false;
}

static int make_trust(struct making *making)
{
	const char *path = making->context->files[TLS_CA];
	X509_VERIFY_PARAM *rules = SSL_CTX_get0_param(making->shared);

	if (!path)
		return SSL_CTX_set_default_verify_paths(making->shared) == 1 ? 0 : -ENOMEM;
	if (SSL_CTX_load_verify_file(making->shared, path) != 1)
		return fail_library(making, path, "CA certificate");
	(void)X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_PARTIAL_CHAIN);
	if (has_crl(making->shared))
		(void)X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_CRL_CHECK);
	return 0;
}

/* nobody is there to type it */
static int on_passphrase(char *buffer, int size, int writing, void *data)
{
	(void)buffer;
	(void)size;
	(void)writing;
	*(bool *)data = true;
	return -1;
}

static int fail_key(struct making *making, const char *path, bool is_encrypted)
{
	if (is_encrypted)
		return fail(making,
			    "the key in \"%.100s\" is encrypted, and nobody is there to type its "
			    "pass phrase: write it in the clear (openssl pkey)",
			    path);
	if (ERR_GET_LIB(ERR_peek_last_error()) == ERR_LIB_X509 ||
	    ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_NO_CERTIFICATE_ASSIGNED)
		return fail(making,
			    "the key in \"%.100s\" does not belong to the certificate in \"%.90s\"",
			    path, making->context->files[TLS_CERT]);
	return fail_library(making, path, "key");
}

static int make_identity(struct making *making)
{
	const char *certificate = making->context->files[TLS_CERT];
	const char *key = making->context->files[TLS_KEY];
	bool is_encrypted = false;
	int r = 0;

	if (!certificate)
		return 0;
	if (!key)
		key = certificate;
	if (SSL_CTX_use_certificate_chain_file(making->shared, certificate) != 1)
		return fail_library(making, certificate, "certificate");
	SSL_CTX_set_default_passwd_cb(making->shared, on_passphrase);
	SSL_CTX_set_default_passwd_cb_userdata(making->shared, &is_encrypted);
	if (SSL_CTX_use_PrivateKey_file(making->shared, key, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(making->shared) != 1)
		r = fail_key(making, key, is_encrypted);
	SSL_CTX_set_default_passwd_cb_userdata(making->shared, NULL);
	return r;
}

/* --- a PSK ---------------------------------------------------------------------------------- */

static int read_line(struct making *making, const char *path, char line[static PSK_LINE])
{
	FILE *stream = fopen(path, "re");
	bool is_read = stream && fgets(line, PSK_LINE, stream);

	if (stream)
		(void)fclose(stream);
	if (!is_read)
		return fail(making, "\"%.100s\" cannot be read, or is empty", path);
	line[strcspn(line, "\r\n")] = '\0';
	return 0;
}

static int make_psk(struct making *making)
{
	const char *path = making->context->files[TLS_PSK];
	struct tls_psk *psk = &making->psk;
	char line[PSK_LINE];
	int r;

	if (!path)
		return fail(
			making,
			"psk_identity is given, but neither psk_file nor the credential tls-psk");
	r = read_line(making, path, line);
	if (r < 0)
		return r;
	if (OPENSSL_hexstr2buf_ex(psk->key, sizeof(psk->key), &psk->length, line, '\0') != 1 ||
	    psk->length == 0)
		r = fail(making,
			 "\"%.100s\" has no PSK: its first line must be the key as hexadecimal "
			 "digits",
			 path);
	explicit_bzero(line, sizeof(line));
	if (r == 0 && (SSL_CTX_set_cipher_list(making->shared, PSK_CIPHERS) != 1 ||
		       SSL_CTX_set_ciphersuites(making->shared, PSK_SUITES) != 1))
		r = -ENOMEM;
	return r;
}

/* --- making --------------------------------------------------------------------------------- */

static int make_alpn(struct making *making)
{
	const char *alpn = making->context->alpn;
	unsigned char list[1 + UINT8_MAX];
	size_t length = alpn ? strlen(alpn) : 0;

	if (length == 0)
		return 0;
	list[0] = (unsigned char)length; /* RFC 7301, 3.1: config/ lets no longer one through */
	memcpy(list + 1, alpn, length);
	return SSL_CTX_set_alpn_protos(making->shared, list, (unsigned int)length + 1) == 0
		       ? 0
		       : -ENOMEM; /* 0 is success, there */
}

/* into @making. Return: 0; -EHOSTUNREACH, and why; -ENOMEM */
static int make(struct making *making)
{
	const struct tls_context *context = making->context;
	bool has_psk = context->identity;
	int r;

	ERR_clear_error();
	making->shared = SSL_CTX_new(TLS_client_method());
	if (!making->shared || SSL_CTX_set_min_proto_version(making->shared, TLS1_2_VERSION) != 1)
		return -ENOMEM;
	(void)SSL_CTX_set_options(making->shared, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
							  SSL_OP_IGNORE_UNEXPECTED_EOF);
	(void)SSL_CTX_set_mode(making->shared,
			       SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* else a server's flood of what is no data for us would hold the reactor in one read */
	(void)SSL_CTX_clear_mode(making->shared, SSL_MODE_AUTO_RETRY);
	tls_callbacks(making->shared, context->verifies || has_psk, has_psk);
	if (has_psk) {
		r = make_psk(making);
	} else {
		r = context->verifies ? make_trust(making) : 0;
		if (r == 0)
			r = make_identity(making);
	}
	return r < 0 ? r : make_alpn(making);
}

static int read_stamps(const struct tls_context *context, struct making *making,
		       struct file_stamp stamps[static TLS_FILES])
{
	char words[96];
	int r;

	for (enum tls_file file = 0; file < TLS_FILES; file++) {
		if (!context->files[file])
			continue;
		r = file_stamp_read(&stamps[file], context->files[file]);
		if (r == 0)
			continue;
		error_words(words, sizeof(words), r);
		return fail(making, "cannot read \"%.128s\": %s", context->files[file], words);
	}
	return 0;
}

int tls_context_prepare(struct tls_context *context, char *why, size_t size)
{
	cleanup(making_done) struct making making = { .context = context,
						      .why = why,
						      .size = size };
	struct file_stamp stamps[TLS_FILES] = { 0 };
	SSL_CTX *before;
	int r;

	r = read_stamps(context, &making, stamps);
	if (r < 0)
		return r;
	(void)pthread_mutex_lock(&context->lock);
	if (!context->shared || !file_stamps_equal(stamps, context->stamps, TLS_FILES)) {
		r = make(&making);
		if (r == 0) {
			before = context->shared;
			context->shared = making.shared;
			making.shared = before;
			context->psk = making.psk;
			memcpy(context->stamps, stamps, sizeof(stamps));
		}
	}
	(void)pthread_mutex_unlock(&context->lock);
	return r;
}

int tls_context_session(struct tls_context *context, struct tls *tls)
{
	(void)pthread_mutex_lock(&context->lock);
	tls->ssl = context->shared ? SSL_new(context->shared) : NULL;
	tls->psk = context->psk;
	(void)pthread_mutex_unlock(&context->lock);
	tls->facts = (struct tls_facts){
		.identity = context->identity,
		.has_certificate = context->files[TLS_CERT] != NULL,
	};
	return tls->ssl ? 0 : -ENOMEM;
}

/* --- life ----------------------------------------------------------------------------------- */

bool tls_is_wanted(const struct mqtt_settings *settings)
{
	for (size_t i = 0; i < settings->broker_count; i++)
		if (settings->brokers[i].scheme == MQTT_TLS)
			return true;
	return false;
}

static int copy(char **ret, const char *text)
{
	*ret = text ? strdup(text) : NULL;
	return text && !*ret ? -ENOMEM : 0;
}

int tls_context_new(struct tls_context **ret, const struct tls_settings *settings)
{
	const char *const files[TLS_FILES] = {
		[TLS_CA] = settings->ca_file,
		[TLS_CERT] = settings->cert_file,
		[TLS_KEY] = settings->key_file,
		[TLS_PSK] = settings->psk_file,
	};
	struct tls_context *context = calloc(1, sizeof(*context));
	int r;

	if (!context)
		return -ENOMEM;
	context->references = 1;
	context->verifies = settings->verify;
	(void)pthread_mutex_init(&context->lock, NULL); /* cannot fail: nptl(7), no attributes */
	r = copy(&context->alpn, settings->alpn);
	if (r == 0)
		r = copy(&context->identity, settings->psk_identity);
	for (enum tls_file file = 0; r == 0 && file < TLS_FILES; file++)
		r = copy(&context->files[file], files[file]);
	if (r < 0)
		(void)tls_context_unref(context);
	else
		*ret = context;
	return r;
}

struct tls_context *tls_context_ref(struct tls_context *context)
{
	if (context)
		context->references++;
	return context;
}

struct tls_context *tls_context_unref(struct tls_context *context)
{
	if (!context || --context->references > 0)
		return NULL;
	SSL_CTX_free(context->shared);
	explicit_bzero(&context->psk, sizeof(context->psk));
	(void)pthread_mutex_destroy(&context->lock);
	for (enum tls_file file = 0; file < TLS_FILES; file++)
		free(context->files[file]);
	free(context->alpn);
	free(context->identity);
	free(context);
	return NULL;
}
