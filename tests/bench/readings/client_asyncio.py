#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The text that iotd comes from: asyncio, a task a sensor, and paho for MQTT, with its own thread."""

import asyncio
import datetime
import json
import sys

import paho.mqtt.client as mqtt


async def sensor(client, folder, name, interval, qos):
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        with open(f"{folder}/{name}", encoding="ascii") as file:
            value = float(file.read())
        now = datetime.datetime.now(datetime.timezone.utc)
        time = now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03}Z"
        client.publish(f"bench/sensor/{name}", json.dumps({"time": time, "value": value}), qos)
        due += interval
        await asyncio.sleep(due - loop.time())


async def main(port, folder, count, interval_ms, qos):
    if hasattr(mqtt, "CallbackAPIVersion"):
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    else:
        client = mqtt.Client(protocol=mqtt.MQTTv5)
    client.connect("127.0.0.1", int(port))
    client.loop_start()
    await asyncio.gather(
        *(
            sensor(client, folder, f"s{i}", int(interval_ms) / 1000, int(qos))
            for i in range(int(count))
        )
    )


asyncio.run(main(*sys.argv[1:]))
