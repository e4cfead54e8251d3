#!/usr/bin/node
// SPDX-License-Identifier: LGPL-2.1-or-later
// Node.js with mqtt.js, as a flow of Node-RED would have it: a timer a sensor, a file read a reading.
"use strict";

const fs = require("fs");
const mqtt = require("mqtt");

const [port, folder, count, interval, qos] = process.argv.slice(2);
const client = mqtt.connect(`mqtt://127.0.0.1:${port}`, { protocolVersion: 5 });

function sensor(name, due) {
	fs.readFile(`${folder}/${name}`, "ascii", (error, text) => {
		if (error)
			throw error;
		const reading = { time: new Date().toISOString(), value: parseFloat(text) };
		client.publish(`bench/sensor/${name}`, JSON.stringify(reading), { qos: Number(qos) });
	});
	due += Number(interval);
	setTimeout(sensor, due - performance.now(), name, due);
}

client.once("connect", () => {
	for (let i = 0; i < Number(count); i++)
		sensor(`s${i}`, performance.now());
});
