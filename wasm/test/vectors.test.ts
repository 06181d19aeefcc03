// The golden vectors that the Rust codec and an independent reader are held against, read by the package.

import { readFileSync } from 'node:fs';
import { afterEach, expect, test, vi } from 'vitest';
import { MemoryStorage, Replica } from 'weftline';
import type { Storage, Store } from '../js/index.node.js';
import { TestStorage, freshName } from './support.js';

interface Vector {
  readonly name: string;
  readonly kind: string;
  readonly bytes: string;
  readonly before?: string;
  readonly shows?: unknown;
}

const file = new URL('../../tests/vectors/v1/story.json', import.meta.url);
const story = JSON.parse(readFileSync(file, 'utf8')) as Vector[];
const end = story.findIndex((vector) => vector.shows !== undefined);
const whole = story[end]!;

const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));

/** A store that holds these records. */
function holding(records: readonly Uint8Array[]): Storage {
  const inner = new MemoryStorage();
  return {
    async open(name): Promise<Store> {
      const store = await inner.open(name);
      return {
        acquireSlot: () => store.acquireSlot(),
        load: () => Promise.resolve([...records]),
        write: (batch) => store.write(batch),
        compact: (plan) => store.compact(plan),
        close: () => store.close(),
      };
    },
  };
}

/** Roots of kinds that have no handles here, and a bounded counter in a map: JavaScript passes them on and does not show them. */
const HIDDEN = ['g', 'least', 'most', 'off', 'r'];

const shown = (() => {
  const { m, ...roots } = structuredClone(whole.shows) as Record<string, Record<string, unknown>>;
  for (const root of HIDDEN) delete roots[root];
  delete m!['stock'];
  return { ...roots, m };
})();

/** What is read here in the form of the vectors: plain JSON, whose numbers are doubles. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return Number.isNaN(value) ? null : value;
  return Object.fromEntries(Object.entries(value).map(([key, held]) => [key, plain(held)]));
}

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

test('a snapshot shows what the vector says', async () => {
  const record = Uint8Array.from([6, ...bytesOf(whole.bytes)]);
  const replica = await Replica.open(freshName(), { storage: holding([record]) });
  expect(plain(replica.snapshot())).toEqual(shown);
  await replica.close();
});

test('the deltas before it, as rows of a store, show the same', async () => {
  const deltas = story.slice(0, end).filter((vector) => vector.kind === 'delta');
  const records = deltas.map((delta) => Uint8Array.from([2, 1, ...bytesOf(delta.before!), ...bytesOf(delta.bytes)]));
  const replica = await Replica.open(freshName(), { storage: holding(records) });
  expect(plain(replica.snapshot())).toEqual(shown);
  await replica.close();
});

test('the package writes the bytes of the vector', async () => {
  vi.useFakeTimers({ now: 1_700_000_000_000, toFake: ['Date'] });
  vi.spyOn(crypto, 'getRandomValues').mockImplementation((array) => {
    (array as unknown as Uint8Array).forEach((_, at, bytes) => (bytes[at] = at + 1));
    return array;
  });
  const storage = new TestStorage();
  const replica = await Replica.open(freshName(), { storage });
  replica.transact(() => {
    replica.map('m').put('k', 'v');
    replica.map('m').counter('hits').add(3);
    replica.list('l').push('a');
    replica.text('t').insert(0, 'Weft');
  });
  await replica.close();
  const expected = story.find((vector) => vector.name === 'as the npm package writes it')!;
  const changes = storage.batches.flatMap((batch) => batch.changes);
  const written = changes.map((change) => ('record' in change ? Buffer.from(change.record).toString('hex') : ''));
  expect(written).toContain(`0201${expected.before}${expected.bytes}`);
});
