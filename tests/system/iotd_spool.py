# SPDX-License-Identifier: LGPL-2.1-or-later
"""Outages, and what must have arrived after them: for the tests of the spool."""

import time

from iotd_figures import IN_FLIGHT
from iotd_harness import PATIENCE, SLOW
from iotd_metronome import longest_gap

INTERVAL = 0.1  # of file_sensor()
GAP = 3 * INTERVAL * SLOW  # the longest that is allowed, and on a busy machine it happens


def outage(client, link):
    """Cut the line, and wait until the broker has said so. Return: when."""
    mark = client.mark()
    link.cut()
    client.wait("status", "offline", since=mark)
    return time.time()


def recover(client, link, topic="sensor/air"):
    """Mend the line; when this returns all that waited has come. Return: up to when, at least."""
    mark = client.mark()
    link.forward()
    client.wait("status", "online", since=mark)
    end = time.time()
    client.wait(topic, match=lambda m: m.time > end, since=mark)  # the oldest come first
    client.settle()
    return end


def arrived(client, topic="sensor/air"):
    """The times of the readings in the order in which each came for the first time."""
    return list(dict.fromkeys(message.time for message in client.all(topic)))


def assert_none_missing(times, lives):
    """In order, and without a hole in any of these (begin, end) of a life of iotd.

    A hole is what the schedule does not allow: what is lost is lost in batches of 0.4 s.
    """
    assert times == sorted(times), "oldest first"
    for begin, end in lives:
        life = [begin, *(t for t in times if begin <= t <= end), end]
        assert longest_gap(life) < GAP, life


def assert_balance(client):
    """Let the sensors rest, and wait for what is under way: each reading that iotd took, by its own
    counter, has arrived or was counted as discarded. For one that has lived all the time. Return:
    the statistics."""
    for name in {message.topic.rsplit("/", 1)[-1] for message in client.all("sensor/+")}:
        client.result("interval", name=name, interval="1d")
    deadline = time.monotonic() + PATIENCE
    while (stats := client.result("stats"))["queued"] > 0:
        assert time.monotonic() < deadline, stats
    client.settle()
    messages = client.all("sensor/+")
    distinct = len({(message.topic, message.time) for message in messages})
    kept = stats["readings"] - stats["discarded"]
    # What was in flight when the line broke may have arrived, unknown to iotd. And on a machine that
    # holds things up two readings may have been taken in one millisecond: they look like one.
    assert distinct - IN_FLIGHT <= kept <= len(messages), (stats, distinct, len(messages))
    return stats
