/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* CBOR of SenML as the JSON that it stands for (RFC 8428, table 4), to be compared with format "senml". */

#include <cbor.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

static inline const char *senml_label(const cbor_item_t *key)
{
	static const char *const base[] = { "bver", "bn", "bt", "bu", "bv", "bs" };
	static const char *const plain[] = { "n", "u", "v", "vs", "vb", "s", "t", "ut", "vd" };
	uint64_t number = cbor_is_int(key) ? cbor_get_int(key) : UINT64_MAX;

	if (cbor_isa_uint(key) && number < sizeof(plain) / sizeof(plain[0]))
		return plain[number];
	if (cbor_isa_negint(key) && number < sizeof(base) / sizeof(base[0]))
		return base[number];
	return NULL;
}

/* NULL: it is nothing that SenML has */
static inline json_t *json_from_scalar(const cbor_item_t *item)
{
	if (cbor_isa_uint(item))
		return json_integer((json_int_t)cbor_get_int(item));
	if (cbor_isa_negint(item))
		return json_integer(-1 - (json_int_t)cbor_get_int(item));
	if (cbor_isa_string(item) && cbor_string_is_definite(item))
		return json_stringn((const char *)cbor_string_handle(item),
				    cbor_string_length(item));
	if (cbor_is_float(item)) /* first: libcbor asserts that what it asks for a truth is none */
		return json_real(cbor_float_get_float(item));
	if (cbor_is_bool(item))
		return json_boolean(cbor_get_bool(item));
	return NULL;
}

static inline json_t *json_from_record(const cbor_item_t *item)
{
	json_t *record = json_object();

	for (size_t i = 0; i < cbor_map_size(item); i++) {
		const struct cbor_pair *pair = &cbor_map_handle(item)[i];
		const char *label = senml_label(pair->key);

		if (!label || json_object_get(record, label) ||
		    json_object_set_new(record, label, json_from_scalar(pair->value)) < 0) {
			json_decref(record);
			return NULL;
		}
	}
	return record;
}

/** json_from_cbor() - the pack; the caller owns it. NULL: it is none, or something is behind it */
static inline json_t *json_from_cbor(const void *bytes, size_t length)
{
	struct cbor_load_result result;
	cbor_item_t *item = cbor_load(bytes, length, &result);
	json_t *pack = NULL;

	if (!item)
		return NULL;
	if (cbor_isa_array(item) && result.read == length) {
		pack = json_array();
		for (size_t i = 0; pack && i < cbor_array_size(item); i++) {
			const cbor_item_t *record = cbor_array_handle(item)[i];

			if (!cbor_isa_map(record) ||
			    json_array_append_new(pack, json_from_record(record)) < 0) {
				json_decref(pack);
				pack = NULL;
			}
		}
	}
	cbor_decref(&item);
	return pack;
}

/** senml_equal() - the same records, keys, texts and, to the last bit, numbers */
static inline bool senml_equal(const json_t *a, const json_t *b)
{
	size_t index;
	const char *key;
	json_t *one, *other, *member;

	if (!a || !b || json_array_size(a) != json_array_size(b))
		return false;
	json_array_foreach(a, index, one)
	{
		other = json_array_get(b, index);
		if (json_object_size(one) != json_object_size(other))
			return false;
		json_object_foreach(one, key, member)
		{
			const json_t *its = json_object_get(other, key);

			if (json_is_number(member)
				    ? !json_is_number(its) ||
					      json_number_value(member) != json_number_value(its)
				    : !json_equal(member, its))
				return false;
		}
	}
	return true;
}
