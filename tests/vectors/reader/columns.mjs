// The columns of core/docs/format.md, section 2.

import { Malformed, hex, json, text, unfold } from './bytes.mjs'

/** A table of replicas, ascending. In a delta the writer leads. */
export const table = (reader, led = false) => {
  const count = reader.count()
  const lead = led ? [reader.id()] : []
  const ids = Array.from({ length: count }, () => reader.id())
  ids.forEach((id, at) => {
    if (at > 0 && ids[at - 1] >= id) throw new Malformed('a table that does not ascend')
  })
  return [...lead, ...ids]
}

/** Runs of dots as {number, first, last}, until `done(dots so far, runs so far)`. */
const runs = (reader, done) => {
  const found = []
  let before = { number: 0, last: -1 }
  for (let dots = 0; !done(dots, found.length); ) {
    const head = reader.v()
    const [gap, other, more] = [Math.floor(head / 4), head & 2, head & 1]
    const number = before.number + (other ? reader.v() + 1 : 0)
    const first = other || found.length === 0 ? gap + 1 : before.last + gap + 2
    const last = more ? first + reader.v() + 1 : first
    before = { number, first, last }
    found.push(before)
    dots += last - first + 1
  }
  return found
}

/** The n dots of a dots column, as {number, seq}. */
export const dots = (reader, n) => {
  const column = runs(reader, count => count >= n)
  const all = column.flatMap(({ number, first, last }) => {
    if (last - first >= n) throw new Malformed('a longer run of dots than there are dots')
    return Array.from({ length: last - first + 1 }, (_, at) => ({ number, seq: first + at }))
  })
  if (all.length !== n) throw new Malformed('a dots column of another length')
  return all
}

/** A set of dots, as [id, first, last] for each run, ascending by id. (In a delta the numbers do not ascend as ids do.) */
export const set = (reader, ids) => {
  const count = reader.count()
  const all = runs(reader, (_, found) => found >= count).map(({ number, first, last }) => [replica(ids, number), first, last])
  return all.sort((a, b) => (a[0] === b[0] ? a[1] - b[1] : a[0] < b[0] ? -1 : 1))
}

export const replica = (ids, number) => {
  if (!(number in ids)) throw new Malformed(`replica number ${number}`)
  return ids[number]
}

/** n stamps, as [milliseconds, counter]. */
export const stamps = (reader, n) => {
  const all = []
  let ms = 0n
  while (all.length < n) {
    const head = reader.big()
    ms += unfold(head >> 2n)
    const counter = head & 2n ? reader.v() : 0
    const length = head & 1n ? reader.v() + 2 : 1
    for (let at = 0; at < length; at += 1) all.push([json(ms), counter])
    if (all.length > n) throw new Malformed('more stamps than entries')
  }
  return all
}

/** Whatever is told in runs: `read` gives the element and whether the run has more of them than one. */
const column = (reader, n, read) => {
  const all = []
  while (all.length < n) {
    const { element, more } = read(all.length)
    const length = more ? reader.v() + 2 : 1
    if (all.length + length > n) throw new Malformed('a run beyond the end of its column')
    for (let at = 0; at < length; at += 1) all.push(element)
  }
  return all
}

/** The containers of elements with these dots. */
export const containers = (reader, ids, places) => {
  const known = []
  return column(reader, places.length, at => {
    const head = reader.v()
    const [rest, kind, more] = [Math.floor(head / 8), (head >> 1) & 3, head & 1]
    let element
    if (kind === 0) {
      if (!(rest in known)) throw new Malformed(`container number ${rest}`)
      element = known[rest]
    } else {
      if (kind === 1) {
        const root = reader.u8()
        element = { root: text(reader.take(rest)), kind: root }
      } else if (kind === 2) {
        element = { entity: [replica(ids, places[at].number), places[at].seq - rest] }
      } else {
        element = { entity: [replica(ids, rest), reader.v()] }
      }
      known.push(element)
    }
    return { element, more }
  })
}

const SLOTS = ['unit', 'key', 'member', 'owner', 'position']
const [UNIT, KEY, MEMBER, OWNER, POSITION] = [0, 1, 2, 3, 4]
const entity = (kind, slot) => ({ kind, slot, entity: true })
const plain = (kind, slot) => ({ kind, slot, entity: false })
const SHAPES = [
  undefined,
  ...[plain(1, KEY), plain(1, UNIT), plain(1, POSITION)],
  ...[plain(2, UNIT), plain(16, MEMBER), plain(17, OWNER), plain(18, POSITION)],
  ...[1, 2, 3, 4, 5, 6, 7].map(kind => entity(kind, KEY)),
  ...[1, 3, 4, 5, 6, 7].map(kind => entity(kind, POSITION)),
  ...[plain(19, MEMBER), plain(20, OWNER), plain(21, UNIT)],
  ...[8, 9, 10, 11, 12, 13].map(kind => entity(kind, KEY)),
  plain(23, UNIT),
]

const shape = number => {
  const own = number - 64
  const found = number < 64 ? SHAPES[number] : { kind: own >> 4, slot: (own >> 1) & 7, entity: (own & 1) === 1 }
  if (!found || found.slot >= SLOTS.length || found.kind === 22 || found.kind > 255) throw new Malformed(`shape ${number}`)
  return found
}

/** Heads of which many equal ones in a row are counted. */
class Heads {
  constructor(read, isCounted) {
    Object.assign(this, { read, isCounted, last: undefined, equal: 0, left: 0, more: false })
  }

  next(reader) {
    while (this.left === 0 && this.more) this.count(reader)
    if (this.left > 0) {
      this.left -= 1
      return this.last
    }
    const head = this.read(reader)
    this.equal = head === this.last && this.equal > 0 && this.equal < 3 ? this.equal + 1 : 1
    this.last = head
    if (!this.isCounted(head)) this.equal = 0
    if (this.equal === 3) this.count(reader)
    return head
  }

  count(reader) {
    this.left = reader.u8()
    this.more = this.left === 255
  }
}

const isCountedType = type => !(type <= 2 || (type >= 16 && type <= 64) || type === 128)
const isCountedKey = head => head % 2 === 1 && head > 1

const STEP = 1n << 60n

/** A total in a delta, with what it overwrites. */
const total = reader => {
  const head = reader.big()
  const flag = bit => Boolean((head >> BigInt(bit)) & 1n)
  const plus = flag(0) ? reader.big() : 0n
  const minus = flag(1) ? reader.big() : 0n
  let [step, second] = [head >> 4n, 0n]
  if (!flag(2) && !flag(3)) {
    if (step !== 0n) throw new Malformed('a step of a total that overwrites nothing')
    return { total: [json(plus), json(minus)], before: null }
  }
  if (flag(2) && flag(3)) second = reader.big()
  const isLong = step === 0n && !(flag(2) && flag(3) && second === 0n)
  if (isLong) step = reader.big()
  if (isLong && step < STEP) throw new Malformed('a short step in a long form')
  const grown = flag(2) ? [step, second] : [0n, step]
  return { total: [json(plus), json(minus)], before: [json(plus - grown[0]), json(minus - grown[1])] }
}

const payload = (reader, kind, types, inDelta) => {
  const value = () => reader.value(types.next(reader))
  if (kind === 1 || kind === 13) return { value: value() }
  if ((kind >= 2 && kind <= 12) || [16, 18, 19, 21].includes(kind)) return {}
  if (kind === 17) return inDelta ? total(reader) : { total: [json(reader.big()), json(reader.big())] }
  if (kind === 20) {
    const [plus, minus] = [reader.big(), reader.big()]
    const given = Array.from({ length: reader.count() }, () => [reader.id(), json(reader.big())])
    return { rights: { plus: json(plus), minus: json(minus), given } }
  }
  return { opaque: hex(reader.bytes()) }
}

/** The entries of these dots ({number, seq}). */
export const entries = (reader, ids, places, inDelta) => {
  if (places.length > reader.left) throw new Malformed('more entries than bytes')
  const held = containers(reader, ids, places)
  const shapes = column(reader, places.length, () => {
    const head = reader.v()
    return { element: shape(Math.floor(head / 2)), more: head & 1 }
  })
  const positioned = places.filter((_, at) => shapes[at].slot === POSITION)
  const firsts = column(reader, positioned.length, at => {
    const head = reader.v()
    const { seq } = positioned[at]
    const bunch = seq - Math.floor(head / 4)
    if (bunch < 1) throw new Malformed('a position in no bunch')
    return { element: { bunch, backward: (head & 2) !== 0 }, more: head & 1 }
  })
  const keys = []
  const keyHeads = new Heads(from => from.v(), isCountedKey)
  const types = new Heads(from => from.u8(), isCountedType)
  return places.map((place, at) => {
    const { kind, slot, entity } = shapes[at]
    let where = { [SLOTS[slot]]: true }
    if (slot === POSITION) where = { position: firsts.shift() }
    if (slot === MEMBER) where = { member: reader.value(types.next(reader)) }
    if (slot === KEY) {
      const head = keyHeads.next(reader)
      const number = Math.floor(head / 2)
      if (head % 2 === 1) keys.push(text(reader.take(number)))
      else if (!(number in keys)) throw new Malformed(`key number ${number}`)
      where = { key: head % 2 === 1 ? keys.at(-1) : keys[number] }
    }
    const dot = [replica(ids, place.number), place.seq]
    return { dot, container: held[at], slot: where, kind, entity, payload: payload(reader, kind, types, inDelta) }
  })
}

/** Bunches with these ids ({number, seq}). */
export const bunches = (reader, ids, places) => {
  const found = []
  places.forEach((place, at) => {
    let head = reader.big()
    const rank = head === 14n ? Number(reader.s()) : 0
    if (head === 14n) head = reader.big()
    const side = head & 1n ? 'left' : 'right'
    const [how, reference] = [Number((head >> 1n) & 3n), head >> 3n]
    let parent = null
    if (how === 0) {
      const beside = found[at - 1]?.parent
      if (!beside) throw new Malformed('a bunch beside nothing')
      parent = { bunch: beside.bunch, index: beside.index + Number(unfold(reference)) }
    } else if (how === 3 && reference === 0n) {
      parent = null
    } else if (how === 3) {
      const bunch = [replica(ids, Number(reference) - 2), reader.v()]
      parent = { bunch, index: Number(reader.s()) }
    } else {
      const other = places[how === 1 ? at - Number(reference) : at + Number(reference)]
      if (!other) throw new Malformed('a parent that is not there')
      parent = { bunch: [replica(ids, other.number), other.seq], index: Number(reader.s()) }
    }
    found.push({ id: [replica(ids, place.number), place.seq], side, rank, parent })
  })
  return found
}

/** An anchor; its bunch is one of `places`. */
const anchor = (reader, ids, places) => {
  const head = reader.v()
  if (head < 2) return head === 0 ? 'start' : 'end'
  const place = places[Math.floor(head / 2) - 1]
  if (!place) throw new Malformed('an anchor in no bunch')
  return { bunch: [replica(ids, place.number), place.seq], index: Number(reader.s()), before: head % 2 === 1 }
}

/** `count` anchors, with the chains of their bunches. */
export const anchors = (reader, count) => {
  const ids = table(reader)
  const places = dots(reader, reader.count())
  const chains = bunches(reader, ids, places)
  const found = Array.from({ length: count }, () => anchor(reader, ids, places))
  return { bunches: chains, anchors: found }
}

/** The removal pairs of a snapshot, one for each run. */
export const removals = (reader, ids) => {
  const found = []
  let number = -1
  for (let left = reader.count(); left > 0; left -= 1) {
    number += reader.v() + 1
    const own = replica(ids, number)
    let before = { remover: 0, removed: null }
    for (let count = reader.v() + 1; count > 0; count -= 1) {
      const head = reader.v()
      const [step, elsewhere, more] = [Math.floor(head / 4), head & 2, head & 1]
      const remover = before.remover + step
      let removed
      if (elsewhere) removed = [replica(ids, reader.v()), reader.v()]
      else if (step === 0) removed = [before.removed[0], before.removed[1] + reader.v() + 2]
      else removed = [own, remover - reader.v() - 1]
      const run = more ? reader.v() : 0
      const length = more ? Math.floor(run / 2) + 2 : 1
      const chain = more ? run % 2 === 1 : false
      found.push({ remover: [own, remover], removed, length, chain })
      before = { remover: remover + (chain ? length - 1 : 0), removed: [removed[0], removed[1] + length - 1] }
    }
  }
  return found
}
