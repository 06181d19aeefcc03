// How values, paths and records cross into the WebAssembly module and back: as bytes, one call for many of them.
//
// Numbers are LEB128, text is UTF-8 behind its length. The other half is `src/wire.rs`; both sides are always of one
// build, so nothing here is versioned, and nothing of it is ever stored or sent.

import { WeftlineError } from './errors.js';
import type { ElementId, Kind, PathStep, Scalar } from './types.js';

const utf8 = new TextEncoder();
// A mark of the byte order is a character like others here.
const text = new TextDecoder('utf-8', { ignoreBOM: true });

/** Kinds by number, as `weftline::Kind` has them. */
const KINDS: readonly (Kind | undefined)[] = [undefined, 'register', 'flag', 'counter', 'set', 'map', 'list', 'text'];

const enum Tag {
  Null,
  False,
  True,
  /** An integer that a float holds exactly, as a float. */
  Safe,
  Float,
  String,
  Bytes,
  /** Any other integer of 64 bits. */
  Int,
  /** A counter beyond 64 bits: two halves. */
  Wide,
}

const enum StepTag {
  Root,
  Key,
  Element,
}

/** Grows as it is written to. One is shared by all calls, because none of them outlives its statement. */
export class Writer {
  #bytes = new Uint8Array(256);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  /** The bytes written; valid until the next write. */
  done(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  reset(): this {
    this.#length = 0;
    return this;
  }

  byte(value: number): this {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
    return this;
  }

  /** A number up to 2^53. */
  uint(value: number): this {
    this.#reserve(8);
    while (value > 0x7f) {
      this.#bytes[this.#length++] = (value % 0x80) | 0x80;
      value = Math.floor(value / 0x80);
    }
    this.#bytes[this.#length++] = value;
    return this;
  }

  bytes(value: Uint8Array): this {
    this.uint(value.length);
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
    return this;
  }

  string(value: string): this {
    return this.bytes(utf8.encode(value));
  }

  kind(kind: Kind): this {
    return this.byte(KINDS.indexOf(kind));
  }

  scalar(value: Scalar): this {
    if (value === null) return this.byte(Tag.Null);
    switch (typeof value) {
      case 'boolean':
        return this.byte(value ? Tag.True : Tag.False);
      case 'string':
        return this.byte(Tag.String).string(value);
      case 'number':
        // Negative zero is no integer: it would lose its sign.
        return this.byte(Number.isSafeInteger(value) && !Object.is(value, -0) ? Tag.Safe : Tag.Float).#float(value);
      case 'bigint':
        if (BigInt.asIntN(64, value) !== value) throw badArgument('an integer has at most 64 bits');
        return this.byte(Tag.Int).#long(value);
      default:
        if (value instanceof Uint8Array) return this.byte(Tag.Bytes).bytes(value);
        throw badArgument('a value is null, a boolean, a number, a bigint, a string or a Uint8Array');
    }
  }

  element(id: ElementId): this {
    const match = ID.exec(id);
    if (match === null) throw new WeftlineError('no-such-element', 'not the id of an element');
    const hex = match[1]!.replaceAll('-', '');
    this.#reserve(16);
    for (let at = 0; at < 32; at += 2) this.#bytes[this.#length++] = Number.parseInt(hex.slice(at, at + 2), 16);
    return this.uint(Number(match[2]));
  }

  path(path: readonly PathStep[]): this {
    this.uint(path.length);
    for (const step of path) {
      if ('root' in step) this.byte(StepTag.Root).kind(step.kind).string(step.root);
      else if ('key' in step) this.byte(StepTag.Key).kind(step.kind).string(step.key);
      else this.byte(StepTag.Element).element(step.element);
    }
    return this;
  }

  #float(value: number): this {
    this.#reserve(8);
    this.#view.setFloat64(this.#length, value, true);
    this.#length += 8;
    return this;
  }

  #long(value: bigint): this {
    this.#reserve(8);
    this.#view.setBigInt64(this.#length, value, true);
    this.#length += 8;
    return this;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + more));
    grown.set(this.#bytes);
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

/** Reads what the module wrote. It trusts it: both are of one build. */
export class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  byte(): number {
    return this.#bytes[this.#at++]!;
  }

  uint(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
  }

  bytes(): Uint8Array {
    const length = this.uint();
    this.#at += length;
    return this.#bytes.slice(this.#at - length, this.#at);
  }

  rest(): Uint8Array {
    return this.#bytes.subarray(this.#at);
  }

  string(): string {
    const length = this.uint();
    this.#at += length;
    return text.decode(this.#bytes.subarray(this.#at - length, this.#at));
  }

  float(): number {
    this.#at += 8;
    return this.#view.getFloat64(this.#at - 8, true);
  }

  kind(): Kind {
    return KINDS[this.byte()]!;
  }

  scalar(): Scalar {
    switch (this.byte() as Tag) {
      case Tag.Null:
        return null;
      case Tag.False:
        return false;
      case Tag.True:
        return true;
      case Tag.Safe:
      case Tag.Float:
        return this.float();
      case Tag.String:
        return this.string();
      case Tag.Bytes:
        return this.bytes();
      case Tag.Int:
        return this.#long();
      case Tag.Wide: {
        const low = BigInt.asUintN(64, this.#long());
        return (this.#long() << 64n) | low;
      }
    }
  }

  replica(): string {
    let uuid = '';
    for (let at = 0; at < 16; at++) {
      if (at === 4 || at === 6 || at === 8 || at === 10) uuid += '-';
      uuid += this.byte().toString(16).padStart(2, '0');
    }
    return uuid;
  }

  peer(): string {
    this.#at += 8;
    return this.#view.getBigUint64(this.#at - 8, true).toString(16).padStart(16, '0');
  }

  element(): ElementId {
    return elementIdOf(this.replica(), this.uint());
  }

  path(): PathStep[] {
    const path: PathStep[] = [];
    for (let left = this.uint(); left > 0; left--) {
      const tag = this.byte() as StepTag;
      if (tag === StepTag.Element) {
        path.push({ element: this.element() });
      } else {
        const kind = this.kind();
        path.push(tag === StepTag.Root ? { root: this.string(), kind } : { key: this.string(), kind });
      }
    }
    return path;
  }

  #long(): bigint {
    this.#at += 8;
    return this.#view.getBigInt64(this.#at - 8, true);
  }
}

/** The text of an id: as Rust programs print the same dot. */
export function elementIdOf(replica: string, seq: number): ElementId {
  return `${replica}:${seq}` as ElementId;
}

/** Text as UTF-8 holds it: halves of characters become U+FFFD, so that a name here is what it is everywhere. */
export function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\ufffd');
}

export function badArgument(message: string): WeftlineError {
  return new WeftlineError('bad-argument', message);
}

const ID = /^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}):([0-9]{1,14})$/;
