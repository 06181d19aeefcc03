// Deltas, diffs, snapshots, version vectors, digests, cursors: core/docs/format.md, sections 2 (anchors) to 6.

import { Malformed, Reader, hex, json, text } from './bytes.mjs'
import * as columns from './columns.mjs'
import { hash } from './hash.mjs'

const scalars = string => Array.from(string)

/** What all runs of text say, cut at the given lengths. */
const cut = (heads, containers, characters, ids) => {
  const all = scalars(characters)
  const runs = heads.map((head, at) => {
    const said = all.splice(0, head.length)
    if (said.length !== head.length) throw new Malformed('fewer characters than their runs say')
    const first = [columns.replica(ids, head.place.number), head.place.seq]
    return { first, container: containers[at], bunch: head.bunch, backward: head.backward, text: said.join('') }
  })
  if (all.length > 0) throw new Malformed('more characters than their runs say')
  return runs
}

const textOfDelta = (reader, ids, firstSeq, dots, every) => {
  const heads = []
  let next = firstSeq
  for (let another = true; another; ) {
    const seq = next + (every ? 0 : reader.v())
    const head = reader.v()
    another = (head & 1) === 1
    const length = every && !another ? dots - (seq - firstSeq) : reader.v() + 1
    heads.push({ place: { number: 0, seq }, bunch: seq - Math.floor(head / 4), backward: (head & 2) !== 0, length })
    next = seq + length
  }
  const containers = columns.containers(reader, ids, heads.map(head => head.place))
  return cut(heads, containers, text(reader.rest()), ids)
}

/** A delta; `before` is the tag before it (hex). */
export const delta = (bytes, before) => {
  const reader = new Reader(bytes)
  reader.version()
  const ids = columns.table(reader, true)
  const flags = reader.u8()
  const flag = bit => (flags & (1 << bit)) !== 0
  const firstSeq = reader.v()
  const stamp = flag(3) ? reader.fixed(8) : null
  const dots = flag(6) ? reader.v() + 2 : 1
  const mixed = flag(5) && flag(7)
  const how = mixed ? reader.u8() : flags
  const [removesSet, removesOne] = [(how & 32) !== 0, (how & 128) !== 0]
  if (mixed && ((removesSet && removesOne) || flag(4) || (how & ~160) !== 0)) throw new Malformed('a mixture of flags')
  const deps = flag(0) ? [[ids[0], firstSeq - 1]] : []
  if (flag(1)) {
    for (let left = reader.v() + 1; left > 0; left -= 1) deps.push([columns.replica(ids, reader.v()), reader.v()])
  }
  const own = ({ number, seq }) => ({ number, seq: seq + firstSeq - 1 })
  let bunches = []
  if (flag(2)) {
    const places = columns.dots(reader, reader.v() + 1).map(own)
    bunches = columns.bunches(reader, ids, places)
  }
  let adds = []
  if (flag(3)) {
    const all = () => Array.from({ length: dots }, (_, at) => ({ number: 0, seq: firstSeq + at }))
    const places = flag(4) ? all() : columns.dots(reader, reader.v() + 1).map(own)
    adds = columns.entries(reader, ids, places, true)
  }
  const removes = removesSet ? columns.set(reader, ids) : []
  if (removesOne) {
    const seq = firstSeq - 1 - reader.v()
    removes.push([ids[0], seq, seq])
  }
  const every = flag(4) && !flag(3)
  const runs = every || mixed ? textOfDelta(reader, ids, firstSeq, dots, every) : []
  reader.end()
  const tag = hash(2, Buffer.concat([Buffer.from(before, 'hex'), bytes])).subarray(0, 8)
  const hlc = stamp === null ? null : [json(stamp >> 16n), Number(stamp & 65535n)]
  return { writer: ids[0], first_seq: firstSeq, dots, prev_tag: before, tag: hex(tag), deps, hlc, bunches, adds, removes, text: runs }
}

/** The tag before the first delta of a replica. */
export const startTag = id => hex(hash(1, Buffer.from(id, 'hex')).subarray(0, 8))

const compare = (a, b) => (a.number === b.number ? a.seq - b.seq : a.number - b.number)

const textOfDiff = (reader, ids, bunches) => {
  const heads = []
  let before = { number: 0, last: 0 }
  for (let left = reader.count(); left > 0; left -= 1) {
    const head = reader.v()
    const [gap, elsewhere, other, more] = [Math.floor(head / 8), head & 4, head & 2, head & 1]
    const number = before.number + (other ? reader.v() + 1 : 0)
    const seq = other || heads.length === 0 ? gap + 1 : before.last + gap + 1
    const length = more ? reader.v() + 2 : 1
    const where = elsewhere ? reader.v() : 0
    const place = { number, seq }
    const last = bunches.filter(bunch => compare(bunch, place) <= 0).length - 1
    const bunch = bunches[last - Math.floor(where / 2)]
    if (!bunch || bunch.number !== number) throw new Malformed('text in no bunch')
    heads.push({ place, bunch: bunch.seq, backward: (where & 1) === 1, length })
    before = { number, last: seq + length - 1 }
  }
  const containers = columns.containers(reader, ids, heads.map(head => head.place))
  return cut(heads, containers, heads.length > 0 ? text(reader.bytes()) : '', ids)
}

const TIERS = ['version', 'full', 'digest']

/** A diff from its progress on. */
const difference = (reader, tier, ids) => {
  const [base, ahead, head] = [[], [], []]
  const covered = ids.map(id => {
    const from = tier === 'full' ? 0 : reader.v()
    const step = tier === 'digest' ? Number(reader.s()) : reader.v()
    if (from > 0) base.push([id, from])
    if (step > 0) head.push([id, from + step, reader.tag()])
    if (step < 0) ahead.push([id, from - step])
    return Math.max(from, from + step)
  })
  const heads = []
  let number = 0
  for (let left = reader.count(); left > 0; left -= 1) {
    const at = reader.v()
    number += Math.floor(at / 2)
    heads.push([columns.replica(ids, number), covered[number] - (at & 1 ? reader.v() : 0)])
  }
  const places = columns.dots(reader, reader.count())
  const bunches = columns.bunches(reader, ids, places)
  const added = columns.dots(reader, reader.count())
  const stamps = columns.stamps(reader, added.length)
  const adds = columns.entries(reader, ids, added, false).map((entry, at) => ({ ...entry, hlc: stamps[at] }))
  const runs = textOfDiff(reader, ids, places)
  const removes = []
  if (tier === 'version') {
    let remover = -1
    for (let left = reader.count(); left > 0; left -= 1) {
      remover += reader.v() + 1
      removes.push([columns.replica(ids, remover), columns.set(reader, ids)])
    }
  }
  const dead = tier === 'digest' ? columns.set(reader, ids) : []
  return { tier, base, ahead, head, heads, bunches, adds, text: runs, removes, dead }
}

export const diff = bytes => {
  const reader = new Reader(bytes)
  reader.version()
  const tier = TIERS[reader.u8()]
  if (!tier) throw new Malformed('an unknown tier')
  const found = difference(reader, tier, columns.table(reader))
  reader.end()
  return found
}

export const snapshot = bytes => {
  const reader = new Reader(bytes)
  if (hex(reader.take(4)) !== hex(Buffer.from('WFTL'))) throw new Malformed('another magic')
  reader.version()
  if (reader.u8() !== 1 || reader.fixed(2) !== 0n) throw new Malformed('another kind of envelope')
  const length = reader.fixed(8)
  const checksum = hex(reader.take(4))
  const sum = hash(6, Buffer.concat([bytes.subarray(0, 16), bytes.subarray(20)]))
  if (BigInt(reader.left) !== length || hex(sum.subarray(0, 4)) !== checksum) throw new Malformed('a damaged envelope')
  const sections = new Map()
  while (reader.left > 0) {
    const id = reader.v()
    if (id % 2 === 0 && id > 10) throw new Malformed(`the section ${id}`)
    sections.set(id, new Reader(reader.bytes()))
  }
  const section = id => sections.get(id) ?? new Reader(Buffer.alloc(0))
  const ids = columns.table(section(2))
  const state = difference(section(4), 'full', ids)
  const horizon = ids.flatMap(id => {
    const seq = section(6).left > 0 ? section(6).v() : 0
    return seq > 0 ? [[id, seq]] : []
  })
  const removals = columns.removals(section(8), ids)
  const beacon = hex(section(10).take(16))
  for (const id of [2, 4, 6, 8, 10]) section(id).end()
  return { state, horizon, removals, beacon }
}

const versionFrom = reader => {
  reader.version()
  return columns.table(reader).map(id => [id, reader.v(), reader.tag()])
}

export const version = bytes => {
  const reader = new Reader(bytes)
  const entries = versionFrom(reader)
  reader.end()
  return { entries, hash: versionHash(entries) }
}

export const versionHash = entries =>
  hex(hash(3, Buffer.concat(entries.map(([id, seq, tag]) => Buffer.concat([Buffer.from(id, 'hex'), word(seq), Buffer.from(tag, 'hex')])))))

const word = number => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(number))
  return bytes
}

export const digest = bytes => {
  const reader = new Reader(bytes)
  const entries = versionFrom(reader)
  const live = columns.set(reader, entries.map(([id]) => id))
  reader.end()
  return { version: entries, live }
}

/** A cursor, as it is kept. */
export const cursor = bytes => {
  const reader = new Reader(bytes)
  reader.version()
  const { bunches, anchors } = columns.anchors(reader, 1)
  reader.end()
  return { bunches, anchor: anchors[0] }
}

/** The payload of a mark. */
export const mark = bytes => {
  const reader = new Reader(bytes)
  const key = text(reader.bytes())
  const value = reader.value(reader.u8())
  const { bunches, anchors } = columns.anchors(reader, 2)
  reader.end()
  return { key, value, bunches, start: anchors[0], end: anchors[1] }
}

/** Chains of bunches, as they are kept beside a row. */
export const positions = reader => {
  reader.version()
  const ids = columns.table(reader)
  const places = columns.dots(reader, reader.count())
  const bunches = columns.bunches(reader, ids, places)
  reader.end()
  return bunches
}
