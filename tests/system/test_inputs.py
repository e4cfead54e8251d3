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
    words = [message.json["state"] for message in client.all("input/door")]
    assert len(words) in (2, 3) and set(words[1:]) == {state}


def test_options_of_a_line_are_taken(simulated, client):
    simulated(
        inputs=[
            {**DOOR, "bias": "pull-up", "debounce": "20ms", "edge": "both"},
            {**BOTH, "bias": "disabled", "active_low": True},
        ]
    )
    for name in ("door", "both"):
        assert {m.json["state"] for m in client.wait(f"input/{name}", count=2)} == {"on", "off"}


def test_disabled_input_is_silent(simulated, client):
    simulated(inputs=[{**DOOR, "enabled": False}, BOTH])
    client.wait("input/both", count=2)
    assert client.all("input/door") == []
