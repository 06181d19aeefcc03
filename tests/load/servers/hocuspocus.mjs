// Hocuspocus without any extension, so that documents are in memory, on a port that the system picks.

import { Server } from '@hocuspocus/server'
import { announce } from './announce.mjs'

const server = new Server({ address: '127.0.0.1', port: 0, quiet: true })
await server.listen()
announce(server.address.port)
