# SPDX-License-Identifier: LGPL-2.1-or-later
"""The dashboards of conf/examples: what each panel of Grafana asks is asked for real.

Grafana itself is not in Debian. So its part is played: it fills in its variables as
https://grafana.com/docs/grafana/latest/dashboards/variables/variable-syntax says, and the files are compared
with its own definition of a dashboard, grafana/grafana: kinds/dashboard/dashboard_kind.cue (Grafana 9 and 10).
"""

import json
import math
import os
import re
import time
from pathlib import Path

import pytest

from iotd_harness import PATIENCE, SLOW, output
from iotd_prometheus import NodeExporter, Prometheus

EXAMPLES = Path(os.environ.get("IOTD_SOURCE", Path(__file__).parents[2])) / "conf/examples"
DASHBOARDS = ["grafana-iotd", "grafana-sensors"]
DEVICE = 'the "big" house (1)'

# What a dashboard and a panel have, by type; "?" after those that need not be there.
DASHBOARD = {
    "uid": str, "title": str, "description": str, "tags": list, "schemaVersion": int, "version": int,
    "editable": bool, "timezone": str, "graphTooltip": int, "time": dict, "refresh": str,
    "templating": dict, "annotations": dict, "links": list, "panels": list,
}  # fmt: skip
ROW = {"type": str, "id": int, "title": str, "collapsed": bool, "gridPos": dict, "panels": list}
PANEL = {
    "type": str, "id": int, "title": str, "datasource": dict, "gridPos": dict, "targets": list,
    "options": dict, "fieldConfig": dict,
}  # fmt: skip
MAY = {"description": str, "repeat": str, "repeatDirection": str, "maxPerRow": int}
FIELD = {"unit", "min", "max", "decimals", "color", "custom", "mappings", "thresholds", "noValue"}
VARIABLES = {"datasource", "query"}  # the types here


def dashboard(name):
    return json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))


def targets(board):
    return [(panel, target) for panel in board["panels"] for target in panel.get("targets", [])]


def check_types(given, must, may=()):
    assert must.keys() <= given.keys() <= {*must, *may}, given.keys() ^ must.keys()
    for key, kind in {**must, **dict(may)}.items():
        assert key not in given or type(given[key]) is kind, (key, given[key])


def check_place(taken, place):
    """Inside of a grid that is 24 wide, and on nobody else."""
    assert place.keys() == {"x", "y", "w", "h"} and all(type(n) is int for n in place.values())
    assert place["w"] > 0 and place["h"] > 0 and place["x"] >= 0 and place["x"] + place["w"] <= 24
    for x in range(place["x"], place["x"] + place["w"]):
        for y in range(place["y"], place["y"] + place["h"]):
            assert (x, y) not in taken, place
            taken.add((x, y))


def check_field(field):
    assert field.keys() == {"defaults", "overrides"} and field["overrides"] == []
    assert field["defaults"].keys() <= FIELD
    for mapping in field["defaults"].get("mappings", []):
        assert mapping.keys() == {"type", "options"} and mapping["type"] == "value"
        for result in mapping["options"].values():
            assert result.keys() == {"text", "color", "index"}
    if "thresholds" in field["defaults"]:
        steps = field["defaults"]["thresholds"]["steps"]
        assert field["defaults"]["thresholds"]["mode"] == "absolute"
        assert steps[0]["value"] is None, "the first is minus infinity"
        values = [step["value"] for step in steps[1:]]
        assert values == sorted(values)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_it_is_what_grafana_says_a_dashboard_is(name):
    board = dashboard(name)
    check_types(board, DASHBOARD)
    assert board["schemaVersion"] == 36 and re.fullmatch("[a-z-]{1,40}", board["uid"])
    taken, ids = set(), [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    for panel in board["panels"]:
        check_place(taken, panel["gridPos"])
        if panel["type"] == "row":
            check_types(panel, ROW)
            continue
        check_types(panel, PANEL, MAY)
        assert panel["type"] in ("stat", "timeseries", "state-timeline")
        check_field(panel["fieldConfig"])
        refs = [target["refId"] for target in panel["targets"]]
        assert refs == sorted(set(refs)) and all(re.fullmatch("[A-Z]", ref) for ref in refs)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_its_variables_are_there_and_used(name):
    board = dashboard(name)
    assert board["templating"].keys() == {"list"}
    variables = {one["name"]: one for one in board["templating"]["list"]}
    assert {one["type"] for one in variables.values()} == VARIABLES
    text = json.dumps([board["panels"], board["templating"]])
    used = set(re.findall(r"\$\{?([a-z]+)", text))
    grafanas = {"m", "tag", "time"}  # $m, $tag_device, $timeFilter; the others begin with __
    assert used - grafanas == set(variables)
    sources = [one["datasource"] for one in [*variables.values(), *board["panels"]] if "datasource" in one]
    sources += [target["datasource"] for _, target in targets(board)]
    kind = variables["datasource"]["query"]
    assert sources and all(one == {"type": kind, "uid": "${datasource}"} for one in sources)


# --- with a real Prometheus ------------------------------------------------------------------------


@pytest.fixture
def prometheus(tmp_path):
    """What it scrapes is /collector/iotd.prom, by way of node_exporter."""
    folder = tmp_path / "collector"
    folder.mkdir()
    exporter = NodeExporter(folder)
    one = Prometheus(tmp_path, exporter.address)
    yield one
    one.close()
    exporter.close()


def substitute(text, values):
    """Variables of a query as Grafana fills them in: several values are a pattern."""
    for name, value in values.items():
        text = text.replace(f"${name}", value)
    assert not re.search(r"\$[a-z_{]", text), text
    return text


def pattern(values):
    """For Prometheus: escaped, and the backslashes again, since it is within quotes."""
    escaped = [re.sub(r'([\\^$*+?.()|{}\[\]])', r"\\\\\1", value).replace('"', '\\"') for value in values]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def fill_variables(board, prometheus):
    """The variables of a query are asked for one after another."""
    filled = {"__rate_interval": "3s", "__range": "1m"}
    for variable in board["templating"]["list"]:
        if variable["type"] != "query":
            continue
        query = substitute(variable["query"], filled)
        selector, label = re.fullmatch(r"label_values\((.+), (\w+)\)", query).groups()
        found = prometheus.ask(f"label/{label}/values", **{"match[]": selector})
        assert found, query
        filled[variable["name"]] = pattern(found)
    return filled


def is_finite(series):
    return math.isfinite(float(series["value"][1]))


def wait_for_series(prometheus, expression):
    """Until it has a value: a rate needs two samples."""
    deadline = time.monotonic() + PATIENCE
    while not (found := [one for one in prometheus.query(expression) if is_finite(one)]):
        assert time.monotonic() < deadline, expression
    return found


def test_every_expression_has_data(simulated, client, prometheus, tmp_path, value_file):
    air = {"name": "air", "driver": "bme280", "bus": "i2c-1", "address": 0x76, "interval": "100ms"}
    simulated(
        device=DEVICE,
        sensors=[air, {"name": "tank", "driver": "file", "path": "/no/such", "channel": "level"}],
        inputs=[{"name": "door", "chip": "gpiochip0", "line": 3}],
        outputs=[output("pump", 22)],
        mqtt={"topic": "iotd/test", "qos": 1},
        stats={"interval": "100ms", "textfile": str(tmp_path / "collector/iotd.prom")},
    )
    client.wait("sensor/air", timeout=PATIENCE)
    wait_for_series(prometheus, "iotd_acknowledgement_latency_seconds > 0")
    wait_for_series(prometheus, "iotd_sensor_online == 0")
    board = dashboard("grafana-iotd")
    filled = fill_variables(board, prometheus)
    for panel, target in targets(board):
        for series in wait_for_series(prometheus, substitute(target["expr"], filled)):
            labels = re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])
            assert labels and set(labels) <= series["metric"].keys(), (panel["title"], series)
    [offline] = [target for panel, target in targets(board) if panel["title"] == "Offline"]
    [series] = wait_for_series(prometheus, f"({substitute(offline['expr'], filled)}) == 1")
    assert float(series["value"][1]) == 1


def test_every_figure_of_iotd_is_on_it(simulated, client, tmp_path):
    file = tmp_path / "iotd.prom"
    simulated(stats={"interval": "100ms", "textfile": str(file)})
    client.wait("stats", count=2)
    while not file.exists():  # a worker makes it: nothing that MQTT brings says when
        client.wait("stats", since=client.mark())
    text = "\n".join(target["expr"] for _, target in targets(dashboard("grafana-iotd")))
    text += " ".join(f"iotd_{kind}_online" for kind in ("sensor", "input", "output"))
    told = set(re.findall(r"^# TYPE (iotd_\w+)", file.read_text(encoding="utf-8"), re.M))
    assert len(told) > 25
    assert told - set(re.findall(r"iotd_\w+", text)) == set()


# --- with a real InfluxDB --------------------------------------------------------------------------


def test_every_query_has_data(simulated, client, influx):
    air = {"name": "air", "driver": "bme280", "bus": "i2c-1", "address": 0x76, "interval": "100ms"}
    simulated(
        device=DEVICE,
        sensors=[air],
        inputs=[{"name": "rain", "chip": "gpiochip0", "line": 4, "edge": "rising", "count": True}],
        outputs=[output("pump", 22)],
        mqtt={"format": "influx", "topic": "iotd/test"},
    )
    for topic in ("sensor/air", "input/rain", "output/pump"):
        client.wait(topic, timeout=12 * SLOW)
        influx.write(client.all(topic)[-1].payload)
    board = dashboard("grafana-sensors")
    filled = {"__interval": "1s", "timeFilter": "time >= now() - 1h"}
    offers = {}
    for variable in board["templating"]["list"][1:]:
        rows = [list(row.values()) for row in influx.ask(substitute(variable["query"], filled))]
        keep = re.compile(variable.get("regex", "/.*/").strip("/"))
        # a key and its value, or a value and more (Grafana's response_parser.ts)
        values = [row[0] if "FIELD KEYS" in variable["query"] else row[1] for row in rows]
        offers[variable["name"]] = sorted({value for value in values if keep.match(value)})
    assert offers == {
        "device": [DEVICE],
        "channel": ["humidity", "pressure", "rate", "temperature", "total"],
    }
    filled["device"] = re.escape(DEVICE)
    for panel, target in targets(board):
        for channel in offers["channel"] if "repeat" in panel else ["-"]:
            rows = influx.ask(substitute(target["query"], {**filled, "channel": channel}))
            assert any(row["mean" if "repeat" in panel else "last"] is not None for row in rows), rows
