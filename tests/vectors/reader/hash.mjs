// The hashes of core/docs/format.md, section 7: SipHash-1-3 with 128 bits, and the beacon.

const MASK = (1n << 64n) - 1n
const MASK128 = (1n << 128n) - 1n
const rotate = (x, by) => ((x << by) | (x >> (64n - by))) & MASK
const le = bytes => bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n)

const round = v => {
  v[0] = (v[0] + v[1]) & MASK
  v[1] = rotate(v[1], 13n) ^ v[0]
  v[0] = rotate(v[0], 32n)
  v[2] = (v[2] + v[3]) & MASK
  v[3] = rotate(v[3], 16n) ^ v[2]
  v[0] = (v[0] + v[3]) & MASK
  v[3] = rotate(v[3], 21n) ^ v[0]
  v[2] = (v[2] + v[1]) & MASK
  v[1] = rotate(v[1], 17n) ^ v[2]
  v[2] = rotate(v[2], 32n)
}

/** The 16 bytes of the function number `use` over bytes. */
export const hash = (use, bytes) => {
  const [k0, k1] = [le(Buffer.from('weftline')), BigInt(use)]
  const v = [k0 ^ 0x736f6d6570736575n, k1 ^ 0x646f72616e646f6dn ^ 0xeen, k0 ^ 0x6c7967656e657261n, k1 ^ 0x7465646279746573n]
  const absorb = word => {
    v[3] ^= word
    round(v)
    v[0] ^= word
  }
  const whole = bytes.length - (bytes.length % 8)
  for (let at = 0; at < whole; at += 8) absorb(le(bytes.subarray(at, at + 8)))
  absorb(le(bytes.subarray(whole)) | (BigInt(bytes.length & 255) << 56n))
  const out = Buffer.alloc(16)
  v[2] ^= 0xeen
  for (let at = 0; at < 3; at += 1) round(v)
  out.writeBigUInt64LE(v[0] ^ v[1] ^ v[2] ^ v[3], 0)
  v[1] ^= 0xddn
  for (let at = 0; at < 3; at += 1) round(v)
  out.writeBigUInt64LE(v[0] ^ v[1] ^ v[2] ^ v[3], 8)
  return out
}

/** The number that SplitMix64 gives from a state. */
const split = state => {
  let z = (state + 0x9e3779b97f4a7c15n) & MASK
  z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & MASK
  return z ^ (z >> 31n)
}
const constant = number => split((0x9e3779b97f4a7c15n * BigInt(number)) & MASK)

/** The hash of words for the beacon. */
const mix = words => {
  const even = words.length % 2 === 0 ? words : [...words, 0n]
  let sum = 0n
  for (let at = 0; at < even.length; at += 2) {
    sum += ((even[at] + constant(at)) & MASK) * ((even[at + 1] + constant(at + 1)) & MASK)
  }
  let [l, h] = [sum & MASK, (sum >> 64n) & MASK]
  h ^= split(l)
  l ^= split(h)
  h ^= split(l)
  return (h << 64n) | l
}

const words = bytes => {
  const found = []
  for (let at = 0; at < bytes.length; at += 8) found.push(le(bytes.subarray(at, at + 8)))
  return found
}
const ofText = (bytes, sort = 0) => {
  const head = (256n * BigInt(bytes.length) + BigInt(sort)) & MASK
  return [head, ...(bytes.length > 48 ? words(hash(4, bytes)) : words(bytes))]
}
const ofId = id => words(Buffer.from(id, 'hex'))
const ofDot = ([id, seq]) => [...ofId(id), BigInt(seq)]
const ofBytes = (...bytes) => le(Buffer.from(bytes))

const ofValue = value => {
  if (value === null) return [0n, 0n]
  if (typeof value === 'boolean') return [1n, value ? 1n : 0n]
  if (typeof value === 'string') return ofText(Buffer.from(value), 4)
  if ('int' in value) return [2n, BigInt.asUintN(64, BigInt(value.int))]
  if ('float' in value) return [3n, BigInt(`0x${value.float}`)]
  return ofText(Buffer.from(value.bytes, 'hex'), 5)
}

const ofContainer = container => ('root' in container ? ofText(Buffer.from(container.root)) : ofDot(container.entity))
const classOf = container => ('root' in container ? [0, container.kind] : [1, 0])

const SLOTS = { unit: 0, key: 1, member: 2, owner: 3, position: 4 }
const ofSlot = slot => {
  if ('key' in slot) return ofText(Buffer.from(slot.key))
  if ('member' in slot) return ofValue(slot.member)
  if ('position' in slot) return [2n * BigInt(slot.position.bunch) + (slot.position.backward ? 1n : 0n)]
  return []
}

const ofPayload = payload => {
  if ('value' in payload) return [1, ofValue(payload.value)]
  if ('total' in payload) return [2, payload.total.map(BigInt)]
  if ('opaque' in payload) return [3, ofText(Buffer.from(payload.opaque, 'hex'))]
  if (!('rights' in payload)) return [0, []]
  const { plus, minus, given } = payload.rights
  const list = Buffer.concat(
    given.map(([id, amount]) => {
      const number = Buffer.alloc(8)
      number.writeBigUInt64LE(BigInt(amount))
      return Buffer.concat([Buffer.from(id, 'hex'), number])
    }),
  )
  return [4, [BigInt(plus), BigInt(minus), ...ofText(list)]]
}

const shareOfEntry = ({ dot, hlc, container, slot, kind, entity, payload }) => {
  const [payloadClass, payloadWords] = ofPayload(payload)
  const slotClass = SLOTS[Object.keys(slot)[0]]
  const shape = ofBytes(kind, entity ? 1 : 0, ...classOf(container), slotClass, payloadClass, 0, 0)
  const stamp = (BigInt(hlc[0]) << 16n) | BigInt(hlc[1])
  return mix([shape, ...ofDot(dot), stamp, ...ofContainer(container), ...ofSlot(slot), ...payloadWords])
}

const shareOfText = ({ first, container, bunch, backward, text }) => {
  const shape = ofBytes(22, 0, ...classOf(container), 4, 1, 0, 0)
  const keys = mix([shape, ...ofId(first[0]), 2n * BigInt(bunch) + (backward ? 1n : 0n), ...ofContainer(container)])
  const [low, high] = [keys & MASK, keys >> 64n]
  let [sum, seq] = [0n, BigInt(first[1])]
  for (const character of text) {
    const x = (seq * constant(0)) & MASK
    const spread = ((x ^ (x >> 32n)) * ((constant(1) + 1n) & MASK)) & MASK
    sum += (low ^ spread) * (high ^ ((BigInt(character.codePointAt(0)) * constant(2)) & MASK))
    seq += 1n
  }
  return sum
}

/** The beacon of a whole state, as hex. */
export const beacon = ({ adds, text }) => {
  const entries = adds.reduce((sum, entry) => sum + shareOfEntry(entry), 0n)
  const all = (text.reduce((sum, run) => sum + shareOfText(run), entries)) & MASK128
  const out = Buffer.alloc(16)
  out.writeBigUInt64LE(all & MASK, 0)
  out.writeBigUInt64LE(all >> 64n, 8)
  return out.toString('hex')
}
