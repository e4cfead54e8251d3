# SPDX-License-Identifier: LGPL-2.1-or-later
"""Readers of what mqtt.format writes, made from the standards and not from iotd.

SenML: RFC 8428, in JSON and (by python3-cbor2) in CBOR. The line protocol: InfluxDB's reference of it.
Each is strict: what its standard does not allow is an AssertionError.
"""

import io
import json
import re
import shutil
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass

from iotd_harness import PATIENCE, Process, free_port

# --- SenML -----------------------------------------------------------------------------------------

# RFC 8428, table 4: the labels of its JSON and of its CBOR
BASE = dict(zip(("bver", "bn", "bt", "bu", "bv", "bs"), range(-1, -7, -1)))
PLAIN = dict(zip(("n", "u", "v", "vs", "vb", "s", "t", "ut", "vd"), range(9)))
LABELS = {number: label for label, number in {**BASE, **PLAIN}.items()}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9:./_-]*")  # 4.5.1
ABSOLUTE = 2**28  # 4.5.3
# IANA's "SenML Units", without those that are marked "not recommended" but for deg and 1/min
UNITS = set(
    "m kg s A K cd mol Hz rad sr N Pa J W C V F Ohm S Wb T H Cel lm lx Bq Gy Sv kat m2 m3 m/s m/s2 m3/s W/m2 cd/m2 "
    "bit bit/s lat lon pH dB dBW count / %RH %EL EL 1/s S/m B VA VAs var vars J/m kg/m3 NTU deg 1/min".split()
)


@dataclass
class Said:
    """A value of a message: what it is called, in which unit, and when it was so (None: now)."""

    name: str
    unit: str
    value: object
    time: float


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def resolve(pack):
    """The records of a pack as 4.6 resolves them."""
    assert isinstance(pack, list) and pack
    base, said = {"bn": "", "bt": 0}, []
    for record in pack:
        assert isinstance(record, dict) and set(record) <= {*BASE, *PLAIN}, record
        base.update({key: value for key, value in record.items() if key in BASE})
        assert isinstance(base["bn"], str) and is_number(base["bt"])
        assert base.get("bver", 10) == 10, "of RFC 8428 alone"
        assert len({"v", "vs", "vb", "vd", "s"} & set(record)) == 1, record
        name = base["bn"] + record.get("n", "")
        assert NAME.fullmatch(name), name
        value = record["vb"] if "vb" in record else record["v"]
        assert isinstance(value, bool) if "vb" in record else is_number(value), record
        unit = record.get("u", base.get("bu"))
        assert unit is None or unit in UNITS, unit
        time = base["bt"] + record.get("t", 0)
        said.append(Said(name, unit, value, time if time >= ABSOLUTE else None))
    assert len({one.name for one in said}) == len(said), pack
    return said


def no_twins(pairs):
    assert len(dict(pairs)) == len(pairs), pairs
    return dict(pairs)


def read_senml(payload):
    def never(constant):
        raise AssertionError(f"{constant} is no JSON")

    return resolve(json.loads(payload, object_pairs_hook=no_twins, parse_constant=never))


def read_cbor(payload):
    import cbor2  # pylint: disable=import-outside-toplevel

    stream = io.BytesIO(payload)
    pack = cbor2.CBORDecoder(stream).decode()
    assert stream.read() == b"", "something is behind the pack"
    return resolve([{LABELS[label]: value for label, value in one.items()} for one in pack])


# --- the line protocol -----------------------------------------------------------------------------

FLOAT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
INTEGER = re.compile(r"[+-]?\d+[iu]")
WORDS = {
    **dict.fromkeys(("t", "T", "true", "True", "TRUE"), True),
    **dict.fromkeys(("f", "F", "false", "False", "FALSE"), False),
}


@dataclass
class Point:
    measurement: str
    tags: dict
    fields: dict
    time: int  # ns


def take(line, at, escaped, ends):
    """The element that begins at `at`, and where one of `ends` ends it; a backslash escapes `escaped`."""
    element = ""
    while at < len(line) and line[at] not in ends:
        if line[at] == "\\" and line[at + 1 : at + 2] in escaped:
            at += 1
        element += line[at]
        at += 1
    assert element and at < len(line), f"{line!r} breaks off, or has nothing, at {at}"
    return element, at


def field_value(text):
    if text in WORDS:
        return WORDS[text]
    if INTEGER.fullmatch(text):
        return int(text[:-1])
    assert FLOAT.fullmatch(text), f"{text!r} is no value of a field (strings are none of ours)"
    return float(text)


def read_line(payload):
    """One point; of several lines, or with a line end, it is none of ours."""
    line = payload.decode("utf-8")
    assert "\n" not in line and not line.startswith("#"), line
    measurement, at = take(line, 0, (",", " "), ", ")
    parts = [{}, {}]
    for kind, opening in enumerate((",", " ")):
        while line[at] == opening:
            key, at = take(line, at + 1, (",", "=", " "), "=, ")
            assert line[at] == "=" and key not in parts[kind], line
            text, at = take(line, at + 1, (",", "=", " "), ", ")
            parts[kind][key] = text if kind == 0 else field_value(text)
            opening = ","
    tags, fields = parts
    assert fields and line[at] == " " and re.fullmatch(r"-?\d+", line[at + 1 :]), line
    return Point(measurement, tags, fields, int(line[at + 1 :]))


# --- a real InfluxDB -------------------------------------------------------------------------------

INFLUXD = shutil.which("influxd")


class Influx:
    """An influxd of our own (InfluxDB 1, Debian's package influxdb) with a database `iotd`."""

    def __init__(self, folder):
        self.port = free_port()
        config = folder / "influxdb.conf"
        config.write_text(
            f'reporting-disabled = true\nbind-address = "127.0.0.1:{free_port()}"\n'
            f'[meta]\ndir = "{folder}/meta"\n'
            f'[data]\ndir = "{folder}/data"\nwal-dir = "{folder}/wal"\n'
            f"[monitor]\nstore-enabled = false\n"
            f'[http]\nbind-address = "127.0.0.1:{self.port}"\nlog-enabled = false\n',
            encoding="utf-8",
        )
        self.process = Process([INFLUXD, "run", "-config", str(config)], "influxd")
        self.process.log.wait(
            lambda line: "Listening on HTTP" in line.text,
            timeout=3 * PATIENCE,  # it is large
            hint="that say it runs",
        )
        self.ask("CREATE DATABASE iotd")

    def _post(self, path, body):
        try:
            request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=body)
            with urllib.request.urlopen(request, timeout=30) as reply:
                return reply.read()
        except urllib.error.HTTPError as refused:
            raise AssertionError(f"{body!r}: {refused} {refused.read()!r}") from refused

    def write(self, *lines):
        """Lines as they came over MQTT."""
        self._post("/write?db=iotd", b"\n".join(lines))

    def ask(self, query):
        """The rows of all series, as dictionaries; times in ns."""
        body = urllib.parse.urlencode({"db": "iotd", "epoch": "ns", "q": query}).encode()
        result = json.loads(self._post("/query", body))["results"][0]
        assert "error" not in result, result
        return [
            dict(zip(series["columns"], row))
            for series in result.get("series", [])
            for row in series["values"]
        ]

    def close(self):
        self.process.kill()
