// What a Node server is at least: whatever comes goes to everybody else on the same path, on the package `ws`.

import { WebSocketServer } from 'ws'
import { announce } from './announce.mjs'

const rooms = new Map()
const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false })

server.on('connection', (socket, request) => {
  const path = request.url
  const room = rooms.get(path) ?? new Set()
  rooms.set(path, room)
  room.add(socket)
  socket.on('message', (data) => {
    for (const other of room) {
      if (other !== socket) other.send(data, { binary: true })
    }
  })
  socket.on('error', () => socket.terminate())
  socket.on('close', () => {
    room.delete(socket)
    if (room.size === 0) rooms.delete(path)
  })
})
server.on('listening', () => announce(server.address().port))
