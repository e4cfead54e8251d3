/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Why TLS failed, in words that name the cause and the key of the configuration that is about it.
 * Three sources: the broker's alert (RFC 8446, section 6), what we found wrong with its
 * certificate, and what OpenSSL says of the rest.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "iotd/base.h"
#include "tls-session.h"
#include "words.h"

#define NAMES_SIZE 96

/* --- the broker's alerts -------------------------------------------------------------------- */

static const struct {
	int alert;
	const char *words;
} alerts[] = {
	{ SSL_AD_HANDSHAKE_FAILURE, "it has no cipher, curve or signature in common with us" },
	{ SSL_AD_BAD_CERTIFICATE, "it does not take our certificate (mqtt.tls.cert_file)" },
	{ SSL_AD_UNSUPPORTED_CERTIFICATE, "it does not take a certificate such as ours" },
	{ SSL_AD_CERTIFICATE_REVOKED, "our certificate is revoked (mqtt.tls.cert_file)" },
	{ SSL_AD_CERTIFICATE_EXPIRED, "our certificate has expired (mqtt.tls.cert_file)" },
	{ SSL_AD_CERTIFICATE_UNKNOWN, "it does not take our certificate (mqtt.tls.cert_file)" },
	{ SSL_AD_UNKNOWN_CA, "it does not know the CA of our certificate (mqtt.tls.cert_file)" },
	{ SSL_AD_ACCESS_DENIED, "access denied" },
	{ SSL_AD_DECRYPT_ERROR, "a signature or a key does not fit" },
	{ SSL_AD_PROTOCOL_VERSION, "it speaks no version of TLS that we do: 1.2 or 1.3" },
	{ SSL_AD_INSUFFICIENT_SECURITY, "it wants stronger ciphers than we have" },
	{ SSL_AD_INTERNAL_ERROR, "it has an internal error" },
	{ SSL_AD_UNRECOGNIZED_NAME, "it has no certificate for this host name (SNI)" },
	{ SSL_AD_CERTIFICATE_REQUIRED, "it wants a client certificate" },
	{ SSL_AD_NO_APPLICATION_PROTOCOL, "it speaks none of our protocols (mqtt.tls.alpn)" },
};

static bool is_about_certificate(int alert)
{
	return alert == SSL_AD_HANDSHAKE_FAILURE || alert == SSL_AD_BAD_CERTIFICATE ||
	       alert == SSL_AD_NO_CERTIFICATE || alert == SSL_AD_CERTIFICATE_REQUIRED;
}

/* with a PSK these mean something else. Return: NULL: nothing else */
static const char *psk_words(int alert)
{
	switch (alert) {
	case SSL_AD_UNKNOWN_PSK_IDENTITY:
		return "it does not know our PSK identity (mqtt.tls.psk_identity)";
	case SSL_AD_HANDSHAKE_FAILURE:
		return "it takes no PSK, or does not know our PSK identity (mqtt.tls.psk_identity)";
	case SSL_AD_BAD_RECORD_MAC:
	case SSL_AD_DECRYPT_ERROR:
	case SSL_AD_ILLEGAL_PARAMETER:
		return "it has another PSK for our identity (mqtt.tls.psk_file)";
	default:
		return NULL;
	}
}

static const char *alert_words(int alert, const struct tls_facts *facts)
{
	const char *words = facts->identity ? psk_words(alert) : NULL;

	if (words)
		return words;
	if (facts->was_asked && !facts->has_certificate && is_about_certificate(alert))
		return "it wants a client certificate: set mqtt.tls.cert_file and key_file";
	for (size_t i = 0; i < ARRAY_SIZE(alerts); i++)
		if (alerts[i].alert == alert)
			return alerts[i].words;
	return SSL_alert_desc_string_long(alert);
}

/* --- the library ---------------------------------------------------------------------------- */

static void reason_of(char *buffer, size_t size, unsigned long error)
{
	const char *words = ERR_reason_error_string(error);

	if (ERR_SYSTEM_ERROR(error))
		error_words(buffer, size, ERR_GET_REASON(error));
	else
		(void)snprintf(buffer, size, "%s", words ? words : "OpenSSL does not say why");
}

void tls_library_words(char *buffer, size_t size)
{
	reason_of(buffer, size, ERR_peek_error());
}

/* what we found in the broker's answers */
static void finding_words(char *buffer, size_t size, unsigned long error)
{
	char reason[96];

	switch (ERR_GET_REASON(error)) {
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_VERSION_TOO_LOW:
		(void)snprintf(buffer, size,
			       "the broker speaks an old version of TLS only: iotd wants 1.2 at "
			       "least");
		break;
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_WRONG_SSL_VERSION:
		(void)snprintf(buffer, size,
			       "what answers there does not speak TLS: is this the broker's port "
			       "for it?");
		break;
	default:
		reason_of(reason, sizeof(reason), error);
		(void)snprintf(buffer, size, "TLS failed: %s", reason);
		break;
	}
}

void tls_error_words(char *buffer, size_t size, unsigned long error, const struct tls_facts *facts)
{
	int alert = ERR_GET_REASON(error) - SSL_AD_REASON_OFFSET;

	if (ERR_GET_LIB(error) == ERR_LIB_SSL && alert >= 0 && alert <= UINT8_MAX)
		(void)snprintf(buffer, size, "the broker refuses us: %s (TLS alert %d)",
			       alert_words(alert, facts), alert);
	else
		finding_words(buffer, size, error);
}

/* --- the broker's certificate --------------------------------------------------------------- */

/* "2026-11-23 12:00 UTC" */
static void date_words(char *buffer, size_t size, const ASN1_TIME *time)
{
	struct tm date;

	if (!time || ASN1_TIME_to_tm(time, &date) != 1 ||
	    strftime(buffer, size, "%Y-%m-%d %H:%M UTC", &date) == 0)
		(void)snprintf(buffer, size, "an unknown time");
}

/* what a memory BIO holds, without what would break a line of the log */
static void take_text(char *buffer, size_t size, BIO *text)
{
	int length = BIO_read(text, buffer, (int)size - 1);

	buffer[length > 0 ? length : 0] = '\0';
	for (char *at = buffer; *at; at++)
		if ((unsigned char)*at < ' ' || (unsigned char)*at > '~')
			*at = '?';
}

/* "C = DE, CN = attic CA" */
static void name_words(char buffer[static NAMES_SIZE], const X509_NAME *name)
{
	BIO *text = BIO_new(BIO_s_mem());

	buffer[0] = '\0';
	if (!text)
		return;
	(void)X509_NAME_print_ex(text, name, 0, XN_FLAG_ONELINE);
	take_text(buffer, NAMES_SIZE, text);
	(void)BIO_free(text);
}

/* "DNS:a, IP Address:192.0.2.1", or the subject of an old one without */
static void host_words(char buffer[static NAMES_SIZE], const X509 *certificate)
{
	int at = X509_get_ext_by_NID(certificate, NID_subject_alt_name, -1);
	BIO *text = at >= 0 ? BIO_new(BIO_s_mem()) : NULL;

	name_words(buffer, X509_get_subject_name(certificate));
	if (!text)
		return;
	(void)X509V3_EXT_print(text, X509_get_ext(certificate, at), 0, 0);
	take_text(buffer, NAMES_SIZE, text);
	(void)BIO_free(text);
}

static void unknown_ca_words(char *buffer, size_t size, const X509 *certificate)
{
	char issuer[NAMES_SIZE];

	name_words(issuer, X509_get_issuer_name(certificate));
	(void)snprintf(buffer, size,
		       "the broker's certificate is from an unknown CA, \"%s\": mqtt.tls.ca_file "
		       "must have its certificate",
		       issuer);
}

static void wrong_host_words(char *buffer, size_t size, const X509 *certificate,
			     const struct tls_facts *facts)
{
	char names[NAMES_SIZE];

	host_words(names, certificate);
	(void)snprintf(buffer, size,
		       "the broker's certificate is for another host: for %s, and not for "
		       "\"%.64s\"",
		       names, facts->host);
}

static void time_words(char *buffer, size_t size, const X509 *certificate, bool is_over,
		       const char *whose)
{
	char date[32];

	date_words(date, sizeof(date),
		   is_over ? X509_get0_notAfter(certificate) : X509_get0_notBefore(certificate));
	(void)snprintf(buffer, size,
		       is_over ? "%s has expired, on %s (is this host's clock right?)"
			       : "%s is not valid yet, until %s (is this host's clock right?)",
		       whose, date);
}

void tls_verify_words(char *buffer, size_t size, X509_STORE_CTX *store,
		      const struct tls_facts *facts)
{
	int error = X509_STORE_CTX_get_error(store), depth = X509_STORE_CTX_get_error_depth(store);
	const char *whose =
		depth == 0 ? "the broker's certificate" : "the certificate of the broker's CA";
	const X509 *certificate = X509_STORE_CTX_get_current_cert(store);

	if (facts->identity) {
		(void)snprintf(buffer, size,
			       "the broker does not take our PSK, but shows a certificate "
			       "(mqtt.tls.psk_identity)");
		return;
	}
	switch (certificate ? error : X509_V_ERR_UNSPECIFIED) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		time_words(buffer, size, certificate, error == X509_V_ERR_CERT_HAS_EXPIRED, whose);
		break;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		wrong_host_words(buffer, size, certificate, facts);
		break;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		unknown_ca_words(buffer, size, certificate);
		break;
	case X509_V_ERR_CERT_REVOKED:
		(void)snprintf(buffer, size, "%s is revoked (CRL in mqtt.tls.ca_file)", whose);
		break;
	case X509_V_ERR_UNABLE_TO_GET_CRL:
		(void)snprintf(buffer, size, "mqtt.tls.ca_file has CRLs, but none for the CA of %s",
			       whose);
		break;
	case X509_V_ERR_CRL_HAS_EXPIRED:
		(void)snprintf(
			buffer, size,
			"the CRL in mqtt.tls.ca_file is out of date: the CA has a newer one");
		break;
	default:
		(void)snprintf(buffer, size, "%s is not good: %s", whose,
			       X509_verify_cert_error_string(error));
		break;
	}
}
