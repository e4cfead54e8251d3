/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the parts of TLS share: tls.c (a session), tls-context.c (what sessions share), tls-words.c. */

#include <openssl/ssl.h>

#include "tls.h"

/** struct tls_psk - a key that both sides know */
struct tls_psk {
	unsigned char key[PSK_MAX_PSK_LEN];
	size_t length; /* 0: none */
};

/** struct tls_facts - what the words for a failure depend on */
struct tls_facts {
	const char *host, *identity; /* identity: of the PSK; NULL: none */
	bool has_certificate;	     /* of our own */
	bool was_asked;		     /* for a certificate, and had none that suits */
};

/** struct tls - a session */
struct tls {
	SSL *ssl;
	char host[256];
	struct tls_psk psk; /* a copy: the files may be read anew meanwhile */
	struct tls_facts facts;
	bool is_up;
	char why[224]; /* "": nothing went wrong */
};

/** tls_of() - the session that the library calls back for */
struct tls *tls_of(const SSL *ssl);

/** tls_callbacks() - have the library tell a context's sessions what it is asked, and what it finds */
void tls_callbacks(SSL_CTX *shared, bool verifies, bool has_psk);

/** tls_context_session() - begin @tls: its ssl, psk and facts. Return: 0; -ENOMEM */
int tls_context_session(struct tls_context *context, struct tls *tls);

/** tls_error_words() - the library's @error: what the broker said, or what its answer lacks */
void tls_error_words(char *buffer, size_t size, unsigned long error, const struct tls_facts *facts);

/** tls_verify_words() - what is wrong with the broker's certificate */
void tls_verify_words(char *buffer, size_t size, X509_STORE_CTX *store,
		      const struct tls_facts *facts);

/** tls_library_words() - the first thing that this thread's library complained about */
void tls_library_words(char *buffer, size_t size);
