# SPDX-License-Identifier: LGPL-2.1-or-later
"""Inputs (SPEC 2 and 3). All lines are emulated: each changes once a second."""

import pytest

from iotd_harness import SLOW

DOOR = {"name": "door", "chip": "gpiochip0", "line": 17}
BOTH = {**DOOR, "name": "both", "line": "GPIO18"}


@pytest.mark.parametrize("edge, state", [("rising", "on"), ("falling", "off")])
@pytest.mark.parametrize("active_low", [False, True], ids=["active high", "active low"])
def test_one_edge_is_published_after_the_start(simulated, client, edge, state, active_low):
    simulated(inputs=[{**DOOR, "edge": edge, "active_low": active_low}, BOTH])
    client.wait("input/both", count=4, timeout=12 * SLOW)
    client.wait("input/door", count=2, timeout=12 * SLOW)
    edges = client.all("input/door")[1:]
    assert {message.json["state"] for message in edges} == {state}
    assert all(b.time - a.time > 1.9 for a, b in zip(edges, edges[1:])), "every other edge"


def test_options_of_a_line_are_taken(simulated, client):
    simulated(
        inputs=[
            {**DOOR, "bias": "pull-up", "debounce": "20ms", "edge": "both"},
            {**BOTH, "bias": "disabled", "active_low": True},
        ]
    )
    for name in ("door", "both"):
        for state in ("on", "off"):  # what nobody had the time to send is replaced by the next
            client.state(f"input/{name}", state)


def test_disabled_input_is_silent(simulated, client):
    simulated(inputs=[{**DOOR, "enabled": False}, BOTH])
    client.wait("input/both", count=2)
    assert client.all("input/door") == []
