# SPDX-License-Identifier: LGPL-2.1-or-later
"""asyncio, as it comes with Python, under the workloads of workloads.c; also its tasks and gather().

    peer_asyncio.py timers|tokens|reset|defer|wake|tasks|gather|idle COUNT AMOUNT
"""

import array
import asyncio
import json
import random
import socket
import sys
import threading
import time

WATCHED = 1000


def say(workload, count, events, begin, **more):
    cpu, wall = time.process_time() - begin[0], time.monotonic() - begin[1]
    line = {"peer": "asyncio", "workload": workload, "count": count, "events": events}
    if events:
        line |= {"cpu_ns": cpu * 1e9 / events, "wall_ns": wall * 1e9 / events}
    print(json.dumps({**line, **more}))


def begin():
    return time.process_time(), time.monotonic()


def average(values):
    return sum(values) / len(values) if values else 0


async def timers(count, seconds):
    loop, draw, over = asyncio.get_running_loop(), random.Random(1), asyncio.Event()
    late, early = array.array("d"), 0
    start = loop.time() + 0.2 + count * 20e-6
    end = start + seconds

    def fire(due, interval):
        nonlocal early
        now = loop.time()
        if due < end:
            late.append(now - due)
            early += now < due
        if now > end + 0.05:
            over.set()
        loop.call_at(due + interval, fire, due + interval, interval)

    expected = 0
    for _ in range(count):
        interval = draw.randrange(10, 1001) / 1000
        phase = draw.randrange(round(interval * 1000)) / 1000
        expected += int((seconds - phase - 1e-6) / interval) + 1
        loop.call_at(start + phase, fire, start + phase, interval)
    since = begin()
    await over.wait()
    tenth = len(late) // 10
    drift = (average(late[-tenth:]) - average(late[:tenth])) / (0.9 * seconds)
    in_order = sorted(late)
    say(
        "timers",
        count,
        len(late),
        since,
        missed=max(0, expected - len(late)),
        late_p50_us=in_order[len(late) // 2] * 1e6,
        late_p99_us=in_order[len(late) * 99 // 100] * 1e6,
        late_max_us=in_order[-1] * 1e6,
        early=early,
        drift_ppm=drift * 1e6,
    )


async def tokens(active, events):
    loop, over, left = asyncio.get_running_loop(), asyncio.Event(), events
    pairs = [socket.socketpair() for _ in range(WATCHED)]

    def ready(i):
        nonlocal left
        pairs[i][0].recv(1)
        left -= 1
        if left <= 0:
            over.set()
        else:
            pairs[(i + 1) % WATCHED][1].send(b"x")

    for i, (near, far) in enumerate(pairs):
        near.setblocking(False)
        far.setblocking(False)
        loop.add_reader(near, ready, i)
    for n in range(active):
        pairs[n * WATCHED // active][1].send(b"x")
    since = begin()
    await over.wait()
    say("tokens", active, events, since)


async def reset(count, resets):
    loop = asyncio.get_running_loop()
    handles = [loop.call_later(3600 + n, print) for n in range(count)]
    since = begin()
    for n in range(resets):
        handles[n % count].cancel()
        handles[n % count] = loop.call_later(3600, print)
    say("reset", count, resets, since)
    for handle in handles:
        handle.cancel()


async def defer(count, calls):
    loop, over, left = asyncio.get_running_loop(), asyncio.Event(), calls

    def deferred():
        nonlocal left
        left -= 1
        if left <= 0:
            over.set()
        else:
            loop.call_soon(deferred)

    for _ in range(count):
        loop.call_soon(deferred)
    since = begin()
    await over.wait()
    say("defer", count, calls, since)


async def wake(_, wakes):
    loop, over, woken = asyncio.get_running_loop(), asyncio.Event(), threading.Semaphore(0)
    waits, asked = [], 0

    def ring():
        waits.append(time.monotonic() - asked)
        if len(waits) == wakes:
            over.set()
        woken.release()

    def other():
        nonlocal asked
        for _ in range(wakes):
            time.sleep(200e-6)
            asked = time.monotonic()
            loop.call_soon_threadsafe(ring)
            woken.acquire()

    thread = threading.Thread(target=other)
    since = begin()
    thread.start()
    await over.wait()
    thread.join()
    waits.sort()
    say(
        "wake",
        1,
        wakes,
        since,
        wait_p50_us=waits[wakes // 2] * 1e6,
        wait_p99_us=waits[wakes * 99 // 100] * 1e6,
    )


async def nothing():
    return 0


async def tasks(_, amount):
    since = begin()
    for _ in range(amount):
        await asyncio.create_task(nothing())
    say("tasks", 1, amount, since)


async def gather(count, amount):
    since = begin()
    for _ in range(amount // count):
        await asyncio.gather(*(nothing() for _ in range(count)))
    say("gather", count, amount // count * count, since)


async def idle(*_):
    with open("/proc/self/statm", encoding="ascii") as file:
        say("idle", 0, 0, begin(), rss_kib=int(file.read().split()[1]) * 4)


asyncio.run(globals()[sys.argv[1]](int(sys.argv[2]), int(sys.argv[3])))
