# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host of Sparkplug B: reads payloads by Google's protobuf, keeps what the specification has it keep.

The table of fields is that of the specification (3.0, chapter 6.4; Eclipse Tahu, sparkplug_b.proto),
apart from the .proto that iotd is built with: a slip in one of them shows.
"""

import time
from dataclasses import dataclass

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from iotd_broker import Client

NAMESPACE = "spBv1.0"
REBIRTH = "Node Control/Rebirth"
UINT64, DOUBLE, BOOLEAN, STRING = 8, 10, 11, 12  # datatypes

# message | field | number | type | "value": one of the oneof, "list": repeated
FIELDS = """
    PropertyValue | type          |  1 | uint32 |
    PropertyValue | is_null       |  2 | bool   |
    PropertyValue | int_value     |  3 | uint32 | value
    PropertyValue | long_value    |  4 | uint64 | value
    PropertyValue | float_value   |  5 | float  | value
    PropertyValue | double_value  |  6 | double | value
    PropertyValue | boolean_value |  7 | bool   | value
    PropertyValue | string_value  |  8 | string | value
    PropertySet   | keys          |  1 | string | list
    PropertySet   | values        |  2 | PropertyValue | list
    Metric        | name          |  1 | string |
    Metric        | alias         |  2 | uint64 |
    Metric        | timestamp     |  3 | uint64 |
    Metric        | datatype      |  4 | uint32 |
    Metric        | is_historical |  5 | bool   |
    Metric        | is_transient  |  6 | bool   |
    Metric        | is_null       |  7 | bool   |
    Metric        | metadata      |  8 | bytes  |
    Metric        | properties    |  9 | PropertySet |
    Metric        | int_value     | 10 | uint32 | value
    Metric        | long_value    | 11 | uint64 | value
    Metric        | float_value   | 12 | float  | value
    Metric        | double_value  | 13 | double | value
    Metric        | boolean_value | 14 | bool   | value
    Metric        | string_value  | 15 | string | value
    Metric        | bytes_value   | 16 | bytes  | value
    Metric        | dataset_value | 17 | bytes  | value
    Metric        | template_value | 18 | bytes | value
    Payload       | timestamp     |  1 | uint64 |
    Payload       | metrics       |  2 | Metric | list
    Payload       | seq           |  3 | uint64 |
    Payload       | uuid          |  4 | string |
    Payload       | body          |  5 | bytes  |
"""


def _payload_class():
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="host.proto", package="host", syntax="proto2")
    messages = {}
    for line in FIELDS.strip().splitlines():
        owner, name, number, kind, more = (cell.strip() for cell in line.split("|"))
        if owner not in messages:
            messages[owner] = file.message_type.add(name=owner)
        field = messages[owner].field.add(name=name, number=int(number))
        field.label = kinds.LABEL_REPEATED if more == "list" else kinds.LABEL_OPTIONAL
        if kind in messages:
            field.type, field.type_name = kinds.TYPE_MESSAGE, f".host.{kind}"
        else:
            field.type = getattr(kinds, f"TYPE_{kind.upper()}")
        if more == "value":
            if not messages[owner].oneof_decl:
                messages[owner].oneof_decl.add(name="value")
            field.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    descriptor = pool.FindMessageTypeByName("host.Payload")
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(pool).GetPrototype(descriptor)


Payload = _payload_class()


@dataclass
class Said:
    """One message of the node, read."""

    verb: str
    device: str
    payload: object
    message: object

    @property
    def seq(self):
        return self.payload.seq if self.payload.HasField("seq") else None

    @property
    def values(self):
        """{name: value}, None for what is null."""
        return {metric.name: value_of(metric) for metric in self.payload.metrics}

    @property
    def historical(self):
        flags = {metric.is_historical for metric in self.payload.metrics}
        assert len(flags) <= 1, self
        return flags == {True}

    @property
    def times(self):
        return {metric.timestamp for metric in self.payload.metrics}

    def __str__(self):
        old = " historical" if self.historical else ""
        return f"{self.verb}/{self.device} seq={self.seq}{old} {self.values}"


def value_of(metric):
    kind = metric.WhichOneof("value")
    return None if metric.is_null or kind is None else getattr(metric, kind)


def parse(message):
    """A Said, or None if it is no message of a node."""
    levels = message.topic.split("/")
    if levels[0] != NAMESPACE or len(levels) < 4 or levels[2].endswith("CMD"):
        return None
    payload = Payload()
    payload.ParseFromString(message.payload)
    return Said(levels[2], "/".join(levels[4:]), payload, message)


class Host(Client):
    """Hears all of Sparkplug; waits for what the node says; sends NCMD and DCMD."""

    def __init__(self, port, group="iotd", node="test"):
        self.group, self.node = group, node
        super().__init__(port, prefix=NAMESPACE)

    def said(self, verb=None, device=None, since=0, match=None):
        """All that the node said, in order."""
        heard = (parse(message) for message in self.all(f"{self.group}/+/{self.node}/#", since=since))
        return [
            one
            for one in heard
            if one
            and verb in (None, one.verb)
            and device in (None, one.device)
            and (match is None or match(one))
        ]

    def wait_said(self, verb, device="", match=None, since=0, **more):
        """The first message of this kind."""
        topic = f"{self.group}/{verb}/{self.node}" + (f"/{device}" if device else "")
        found = self.wait(
            topic, match=lambda m: match is None or match(parse(m)), since=since, **more
        )
        return parse(found) if not isinstance(found, list) else [parse(one) for one in found]

    def order(self, verb, name, value, device="", retain=False):
        """Send an NCMD or a DCMD."""
        payload = Payload(timestamp=int(time.time() * 1000))
        metric = payload.metrics.add(name=name, timestamp=payload.timestamp)
        if isinstance(value, bool):
            metric.datatype, metric.boolean_value = BOOLEAN, value
        else:
            metric.datatype, metric.double_value = DOUBLE, value
        topic = f"{self.group}/{verb}/{self.node}" + (f"/{device}" if device else "")
        self.publish(topic, payload.SerializeToString(), qos=0, retain=retain)


def assert_spoken_well(said):
    """What a host relies on, over all sessions of a node."""
    seq, born, session = None, set(), None
    for one in said:
        assert not one.message.retain, one
        if one.verb == "NDEATH":
            assert one.seq is None and set(one.values) == {"bdSeq"}, one
            if session == one.values["bdSeq"]:
                session, born = None, set()
            continue
        assert one.message.qos == 0, one
        assert one.payload.HasField("timestamp"), one
        if one.verb == "NBIRTH":
            assert one.seq == 0 and one.values[REBIRTH] is False, one
            session, born = one.values["bdSeq"], set()
        else:
            assert session is not None, f"{one}: the node is not born"
            assert one.seq == (seq + 1) % 256, f"{one} after {seq}"
        seq = one.seq
        if one.verb == "DBIRTH":
            born.add(one.device)
        if one.verb == "DDATA":
            assert one.device in born, f"{one}: the device is not born"
            assert one.payload.metrics, one
        if one.verb == "DDEATH":
            assert one.device in born, f"{one}: the device is not born"
            born.remove(one.device)
        for metric in one.payload.metrics:
            assert metric.HasField("name") and metric.HasField("timestamp"), one
            assert metric.HasField("datatype") == one.verb.endswith("BIRTH"), one
