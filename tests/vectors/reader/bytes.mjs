// The conventions of core/docs/format.md, section 1: numbers, ids, values. Everything that is read strictly once and in order.
//
// Numbers that may exceed 2^53 are BigInt while they are read. What a vector's JSON says is made by `json`.

/** Bytes that do not follow the document. */
export class Malformed extends Error {}

export const hex = bytes => Buffer.from(bytes).toString('hex')

/** A number as JSON holds it: as text where a double would round it. */
export const json = number => {
  const value = BigInt(number)
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : String(value)
}

/** `s` back from `v`: 0, -1, 1, -2, … are 0, 1, 2, 3, … */
export const unfold = value => (value & 1n ? -(value >> 1n) - 1n : value >> 1n)

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export const text = bytes => {
  try {
    return utf8.decode(bytes)
  } catch {
    throw new Malformed('text that is not UTF-8')
  }
}

export class Reader {
  constructor(bytes) {
    this.data = bytes
    this.at = 0
  }

  get left() {
    return this.data.length - this.at
  }

  take(length) {
    if (length > this.left) throw new Malformed(`${length} bytes announced, ${this.left} left`)
    this.at += Number(length)
    return this.data.subarray(this.at - Number(length), this.at)
  }

  rest() {
    return this.take(this.left)
  }

  end() {
    if (this.left > 0) throw new Malformed(`${this.left} bytes after the end`)
  }

  u8() {
    return this.take(1)[0]
  }

  /** Fixed width, little-endian. */
  fixed(width) {
    return this.take(width).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
  }

  /** `v`, as a BigInt. */
  big() {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.u8()
      value |= BigInt(byte & 127) << shift
      if (byte < 128) {
        if (byte === 0 && shift > 0n) throw new Malformed('a number in more bytes than it needs')
        if (value >= 1n << 64n) throw new Malformed('a number of more than 64 bits')
        return value
      }
      if (shift >= 63n) throw new Malformed('a number of more than ten bytes')
    }
  }

  /** `v`, where only numbers below 2^53 can be meant. */
  v() {
    const value = this.big()
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new Malformed(`the number ${value} here`)
    return Number(value)
  }

  /** `s`. */
  s() {
    return unfold(this.big())
  }

  /** A count of things that take at least a byte each. */
  count() {
    const count = this.v()
    if (count > this.left) throw new Malformed(`${count} elements in ${this.left} bytes`)
    return count
  }

  id() {
    const id = hex(this.take(16))
    if (/^0*$/.test(id)) throw new Malformed('the nil id')
    return id
  }

  tag() {
    return hex(this.take(8))
  }

  /** `len`, bytes. */
  bytes() {
    return this.take(this.v())
  }

  version() {
    const version = this.u8()
    if (version !== 1) throw new Malformed(`format version ${version}`)
  }

  /** What follows a value's type byte. */
  value(type) {
    if (type === 0) return null
    if (type === 1 || type === 2) return type === 2
    if (type === 3) return { int: json(this.s()) }
    if (type === 4) return { float: this.fixed(8).toString(16).padStart(16, '0') }
    if (type === 5) return text(this.bytes())
    if (type === 6) return { bytes: hex(this.bytes()) }
    if (type >= 16 && type < 64) return { int: type - 32 }
    if (type >= 64 && type < 128) return text(this.take(type - 64))
    if (type >= 128 && type < 192) return { bytes: hex(this.take(type - 128)) }
    throw new Malformed(`a value of type ${type}`)
  }
}
