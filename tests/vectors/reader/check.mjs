// Reads the vectors of the given files with the reader beside this, which was written from core/docs/format.md alone, and compares what it
// finds with what the files say: `node check.mjs FILE...`

import { readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'

import * as content from './content.mjs'
import * as protocol from './protocol.mjs'
import { beacon } from './hash.mjs'

const readers = {
  delta: (bytes, before) => content.delta(bytes, before),
  diff: content.diff,
  snapshot: content.snapshot,
  version: content.version,
  digest: content.digest,
  cursor: content.cursor,
  message: protocol.message,
  record: protocol.record,
  packed: (bytes, _, roster) => protocol.unpacked(bytes, roster.ids, roster.since),
}

const isMark = ({ kind, slot, payload }) => kind === 23 && slot.unit && payload.opaque !== undefined

/** What is wrong with a vector, if anything is. */
const fault = vector => {
  const read = readers[vector.kind]
  if (!read) return `the kind ${vector.kind}`
  const said = read(Buffer.from(vector.bytes, 'hex'), vector.before, vector.roster)
  if (vector.content && !isDeepStrictEqual(JSON.parse(JSON.stringify(said)), vector.content)) {
    return difference(JSON.parse(JSON.stringify(said)), vector.content, '')
  }
  if (vector.kind === 'snapshot' && beacon(said.state) !== said.beacon) return `the beacon ${beacon(said.state)}`
  const adds = said.adds ?? said.state?.adds ?? []
  for (const { payload } of adds.filter(isMark)) content.mark(Buffer.from(payload.opaque, 'hex'))
  return undefined
}

/** The first place where two contents differ. */
const difference = (ours, theirs, at) => {
  if (isDeepStrictEqual(ours, theirs)) return undefined
  const both = [ours, theirs].every(side => typeof side === 'object' && side !== null)
  if (!both) return `${at}: ${JSON.stringify(ours)} is read, ${JSON.stringify(theirs)} is expected`
  const keys = new Set([...Object.keys(ours), ...Object.keys(theirs)])
  for (const key of keys) {
    const found = difference(ours[key], theirs[key], `${at}/${key}`)
    if (found) return found
  }
  return at
}

let [read, failed] = [0, 0]
for (const file of process.argv.slice(2)) {
  for (const vector of JSON.parse(readFileSync(file, 'utf8'))) {
    read += 1
    let wrong
    try {
      wrong = fault(vector)
    } catch (error) {
      wrong = error.stack
    }
    if (wrong) {
      failed += 1
      console.error(`${file}: ${vector.name}: ${wrong}`)
    }
  }
}
console.log(`${read - failed} passed, ${failed} failed`)
process.exitCode = failed === 0 && read > 0 ? 0 : 1
