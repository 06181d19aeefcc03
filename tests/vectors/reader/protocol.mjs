// Messages, rows and records: core/docs/format.md, section 10. A message is its kind, `u8`, and its body, as in a frame without its channel.

import { Malformed, Reader, hex, json, text } from './bytes.mjs'
import * as content from './content.mjs'
import { replica, table } from './columns.mjs'

const list = (reader, element) => Array.from({ length: reader.count() }, () => element(reader))
const option = (reader, held) => (flag(reader) ? held(reader) : null)
const flag = reader => {
  const byte = reader.u8()
  if (byte > 1) throw new Malformed(`a bool of ${byte}`)
  return byte === 1
}
const choice = (reader, names) => {
  const name = names[reader.v()]
  if (name === undefined) throw new Malformed('an unknown choice')
  return name
}
const word = reader => hex(reader.take(8))
const hash = reader => hex(reader.take(16))
const string = reader => text(reader.bytes())

const version = reader => content.version(reader.bytes()).entries
const optionalVersion = reader => {
  const bytes = reader.bytes()
  return bytes.length === 0 ? null : content.version(bytes).entries
}
const horizon = (reader, of) => {
  const seqs = list(reader, from => from.v())
  if (seqs.length !== 0 && seqs.length !== (of ?? []).length) throw new Malformed('a horizon of another length')
  return seqs.flatMap((seq, at) => (seq > 0 ? [[of[at][0], seq]] : []))
}
const voidFact = reader => [reader.id(), reader.v(), reader.tag()]
const lease = reader => [reader.v(), word(reader)]
const chain = reader => [reader.v(), reader.tag()]
const cursor = reader => ({ epoch: json(reader.big()), position: reader.v() })
const claim = reader => ({ replica: reader.id(), seq: reader.v(), tag: reader.tag(), lease_no: reader.v(), incs: list(reader, word) })
const settle = reader => ({ replica: reader.id(), is_whole: flag(reader), marks: list(reader, chain) })
const fact = reader => {
  const [id, seq, tag, sameUpto] = [reader.id(), reader.v(), reader.tag(), reader.v()]
  return { replica: id, seq, tag, same_upto: sameUpto, lease: option(reader, lease) }
}

const LEVELS = ['memory', 'stored', 'quorum']
const NACKS = ['not ready', 'gap', 'fork', 'too large', 'invalid', 'too many replicas', 'read only',
  'document full', 'storage', 'storage full']
const REASONS = ['done', 'version', 'protocol', 'denied', 'superseded', 'limit', 'restart', 'storage',
  'storage full', 'too many', 'quarantined', 'expired', 'token', 'revoked']

const retry = reader => {
  const said = reader.v()
  return said === 0 ? 'backoff' : said === 1 ? 'never' : said
}

/** A row, as it is in logs and in Rows. */
export const row = bytes => {
  const reader = new Reader(bytes)
  const kind = reader.u8()
  if (kind === 1) {
    const before = reader.tag()
    return { delta: content.delta(reader.rest(), before) }
  }
  if (kind === 2) return { diff: content.diff(reader.rest()) }
  const said = kind === 3 ? { void: voidFact(reader) } : kind === 4 ? { lease: [reader.id(), ...lease(reader)] } : undefined
  if (!said) throw new Malformed(`a row of kind ${kind}`)
  reader.end()
  return said
}

const bodies = {
  1: reader => {
    const hello = {
      min_version: reader.v(),
      max_version: reader.v(),
      features: json(reader.big()),
      agent: string(reader),
      max_frame: reader.v(),
      heartbeat_ms: reader.v(),
    }
    reader.rest()
    return { hello }
  },
  2: reader => ({
    open: {
      document: string(reader),
      opening: word(reader),
      connection: reader.v(),
      cursor: option(reader, cursor),
      version_hash: hash(reader),
      beacon: hash(reader),
      version: optionalVersion(reader),
      voids: list(reader, voidFact),
      claims: list(reader, claim),
      settles: list(reader, settle),
      packed: flag(reader),
      staged: option(reader, from => ({ id: hash(from), len: from.v() })),
    },
  }),
  3: reader => {
    const [epoch, head, versionHash, beacon] = [json(reader.big()), reader.v(), hash(reader), hash(reader)]
    const told = optionalVersion(reader)
    return {
      open_ack: {
        epoch,
        head,
        version_hash: versionHash,
        beacon,
        version: told,
        horizon: horizon(reader, told),
        facts: list(reader, fact),
        voids: list(reader, voidFact),
        resume: choice(reader, ['tail', 'same', 'diff', 'ask']),
        roster: option(reader, from => ({ since: from.v(), later: list(from, one => one.v()) })),
      },
    }
  },
  5: reader => ({ caught_up: { position: reader.v(), version_hash: hash(reader) } }),
  6: reader => ({ ack: { replica: reader.id(), through: reader.v(), level: choice(reader, LEVELS), position: reader.v() } }),
  7: reader => ({ want: flag(reader) ? { digest: content.digest(reader.bytes()) } : { version: version(reader) } }),
  9: reader => ({ durable: { version: version(reader), level: choice(reader, LEVELS), position: reader.v() } }),
  10: reader => {
    const [id, seq, reason] = [hash(reader), reader.v(), choice(reader, NACKS)]
    return { nack: { replica: id, seq, reason, retry: retry(reader), version: optionalVersion(reader) } }
  },
  11: reader => ({ close: { reason: choice(reader, REASONS), retry: retry(reader) } }),
  12: reader => ({ goodbye: { reason: choice(reader, REASONS), retry: retry(reader) } }),
  17: reader => ({ offer: { version: version(reader), by_digest: flag(reader) } }),
}

const LAID_OUT_BY_HAND = {
  4: reader => {
    const [from, to, rows] = [reader.v(), reader.v(), []]
    while (reader.left > 0) rows.push(row(reader.bytes()))
    return { rows: { from, to, rows } }
  },
  8: reader => ({ diff: { position: reader.v(), diff: content.diff(reader.rest()) } }),
  13: reader => ({ ping: reader.rest() && true }),
  14: reader => ({ pong: reader.rest() && true }),
  15: reader => ({ ask: reader.rest() && true }),
  16: reader => ({
    part: { position: reader.v(), total: reader.v(), id: hash(reader), offset: reader.v(), bytes: hex(reader.rest()) },
  }),
  18: reader => {
    const to = reader.v()
    const head = reader.v()
    const ids = head & 1 ? list(reader, from => from.id()) : []
    const rows = head & 2 ? [hex(reader.rest())] : []
    while (reader.left > 0) rows.push(hex(reader.bytes()))
    return { packed: { from: to + 1 - Math.floor(head / 4), to, new_ids: ids, rows } }
  },
  128: reader => {
    const whole = flag(reader)
    const states = []
    while (reader.left > 0) {
      const [peer, head] = [word(reader), reader.v()]
      states.push({ peer, clock: Math.floor(head / 2), value: head & 1 ? hex(reader.bytes()) : null })
    }
    return { presence: { whole, states } }
  },
  129: reader => ({ token: hex(reader.rest()) }),
}

/** A message: its kind and its body. */
export const message = bytes => {
  const reader = new Reader(bytes)
  const kind = reader.u8()
  const byHand = LAID_OUT_BY_HAND[kind]
  if (!byHand && reader.v() !== 0) throw new Malformed('another layout')
  const read = byHand ?? bodies[kind]
  if (!read) throw new Malformed(`a message of kind ${kind}`)
  const said = read(reader)
  reader.end()
  return said
}

/** A record of a client's store. */
export const record = bytes => {
  const reader = new Reader(bytes)
  const kind = reader.u8()
  if (kind === 1) {
    const [index, held, id] = [reader.v(), flag(reader), hash(reader)]
    const slot = { index, replica: held ? id : null, high_water: reader.v(), tag: reader.tag(), lease_no: reader.v() }
    const incs = []
    while (reader.left > 0) incs.push(word(reader))
    return { slot: { ...slot, incs } }
  }
  if (kind === 2) return { row: row(reader.rest()) }
  if (kind === 3) {
    const [id, firstSeq, lastSeq] = [reader.id(), reader.v(), reader.v()]
    const deps = list(reader, () => reader.tag())
    return { outbox: { replica: id, first_seq: firstSeq, last_seq: lastSeq, deps, row: row(reader.rest()) } }
  }
  if (kind === 4) return ended(reader, { acked: [reader.id(), reader.v()] })
  if (kind === 5) return ended(reader, { cursor: cursor(reader) })
  if (kind === 6) return { snapshot: content.snapshot(reader.rest()) }
  if (kind === 7) {
    const [id, lastSeq] = [reader.id(), reader.v()]
    return { positions: { replica: id, last_seq: lastSeq, bunches: content.positions(reader) } }
  }
  throw new Malformed(`a record of kind ${kind}`)
}

const ended = (reader, said) => {
  reader.end()
  return said
}

/** The delta that a packed row stands for, and the tag before it, unless that is what was told last. `ids` are the roster's, `since` its time. */
export const unpacked = (bytes, ids, since) => {
  const reader = new Reader(bytes)
  const head = reader.v()
  if (head === 0) return { diff: content.diff(reader.rest()) }
  if (head === 1) return ended(reader, { void: voidFact(reader) })
  const [writer, after, others, tagged] = [head >> 3, head & 4, head & 2, head & 1]
  if (after) throw new Malformed('a row after another, by itself')
  const id = writer === 1 ? reader.id() : replica(ids, writer - 2)
  const tag = tagged ? reader.tag() : null
  const named = others
    ? list(reader, from => {
        const number = from.v()
        return number === 0 ? from.id() : replica(ids, number - 1)
      })
    : []
  const flags = reader.u8()
  const first = reader.big()
  const out = [1, ...varint(named.length), ...Buffer.from([id, ...named].join(''), 'hex'), flags, ...varint(first)]
  if (flags & 8) {
    const stamp = reader.big()
    const ms = BigInt(since) + (stamp & 2n ? -(stamp >> 2n) - 1n : stamp >> 2n)
    const counter = stamp & 1n ? reader.big() : 0n
    const fixed = Buffer.alloc(8)
    fixed.writeBigUInt64LE((ms << 16n) | counter)
    out.push(...fixed)
  }
  // A first delta continues the start of its chain.
  const before = tag ?? (first === 1n ? content.startTag(id) : null)
  return { tag: before, delta: hex(Buffer.concat([Buffer.from(out), reader.rest()])) }
}

const varint = number => {
  const out = []
  let rest = BigInt(number)
  for (; rest > 127n; rest >>= 7n) out.push(Number(rest & 127n) | 128)
  return [...out, Number(rest)]
}
