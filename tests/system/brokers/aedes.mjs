// SPDX-License-Identifier: LGPL-2.1-or-later
// node aedes.mjs PACKAGE PORT: an aedes that says on stderr what mosquitto does, as far as the tests read it.
import { createServer } from 'node:net'

const [name, port] = process.argv.slice(2)
const aedes = await import(name)
const Aedes = aedes.Aedes ?? aedes.default
const broker = Aedes.createBroker ? await Aedes.createBroker() : new Aedes()

const say = (text) => process.stderr.write(text + '\n')
const connects = new WeakMap() // by client: its CONNECT

broker.preConnect = (client, packet, done) => {
  connects.set(client, packet)
  done(null, true)
}
broker.on('clientReady', (client) => {
  const { protocolVersion, clean, keepalive, username } = connects.get(client)
  const user = username ? `, u'${username}'` : ''
  say(`New client connected from ${client.conn.remoteAddress}:${client.conn.remotePort} as ${client.id}` +
    ` (p${protocolVersion === 5 ? 5 : 2}, c${clean ? 1 : 0}, k${keepalive}${user}).`)
})
broker.on('clientError', (client, error) => say(`Client ${client.id}: ${error.message}`))
broker.on('connectionError', (client, error) => say(`Connection: ${error.message}`))

createServer({ noDelay: true }, broker.handle).listen(Number(port), '127.0.0.1', () => say('running'))
