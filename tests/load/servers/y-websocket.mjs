// The server of y-websocket, on a port that the system picks. Documents are in memory.

import http from 'node:http'

import { setupWSConnection } from '@y/websocket-server/utils'
import { WebSocketServer } from 'ws'
import { announce } from './announce.mjs'

const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false })
sockets.on('connection', setupWSConnection)

const server = http.createServer((_, response) => response.end('okay'))
server.on('upgrade', (request, socket, head) => {
  sockets.handleUpgrade(request, socket, head, (upgraded) => sockets.emit('connection', upgraded, request))
})
server.listen(0, '127.0.0.1', () => announce(server.address().port))
