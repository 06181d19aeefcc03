// What every store of a replica promises, as a suite that each kind of it runs: in Node with a stand-in for the browser's
// database (storage.test.ts), and in Chromium with the real one (browser/). `relay/client/src/storage/contract.rs` is the same
// suite for native replicas; a rule is told in one sentence there and here.
//
// It needs nothing but the package itself, so that it runs in a page too.

import type { Batch, Compaction, Storage, Store } from '../js/index.js';

/** A kind of store. */
export interface Lab {
  readonly storage: Storage;
  /** Whether it has slots: exclusive locks, and writes that survive a power cut. */
  readonly hasSlots: boolean;
  /** A name that no document has yet. */
  freshName(): string;
}

export interface Clause {
  readonly name: string;
  run(lab: Lab): Promise<void>;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function bytes(text: string): Uint8Array {
  return encoder.encode(text);
}

function put(key: string, text: string): Batch['changes'][number] {
  return { key, record: bytes(text) };
}

function strict(...changes: Batch['changes']): Batch {
  return { changes, isStrict: true };
}

function relaxed(...changes: Batch['changes']): Batch {
  return { changes, isStrict: false };
}

async function texts(store: Store): Promise<string[]> {
  return (await store.load()).map((record) => decoder.decode(record)).sort();
}

function same(found: unknown, expected: unknown): void {
  const [a, b] = [found, expected].map((value) => JSON.stringify(value));
  if (a !== b) throw new Error(`expected ${b}, found ${a}`);
}

async function failure(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('it should have failed');
}

/** Opens a document, and closes what was opened at the end. */
async function opened(lab: Lab, run: (open: () => Promise<Store>) => Promise<void>): Promise<void> {
  const name = lab.freshName();
  const stores: Store[] = [];
  try {
    await run(async () => {
      const store = await lab.storage.open(name);
      stores.push(store);
      return store;
    });
  } finally {
    for (const store of stores) await store.close();
  }
}

export const contract: readonly Clause[] = [
  {
    name: 'a store that is opened for the first time is empty',
    run: (lab) => opened(lab, async (open) => same(await texts(await open()), [])),
  },
  {
    name: 'DUR-7 what was written is there for whoever opens the store next, written strictly or not',
    run: (lab) =>
      opened(lab, async (open) => {
        const store = await open();
        await store.write(relaxed(put('rows/01', 'a'), put('cursor/00', 'c1')));
        await store.write(strict(put('rows/02', 'b'), put('outbox/0101', 'o')));
        same(await texts(await open()), ['a', 'b', 'c1', 'o']);
        await store.close();
        same(await texts(await open()), ['a', 'b', 'c1', 'o']);
      }),
  },
  {
    name: 'an ack takes out of the outbox what it covers and leaves the state',
    run: (lab) =>
      opened(lab, async (open) => {
        const store = await open();
        for (const seq of ['01', '02', '03', '10']) await store.write(strict(put(`rows/${seq}`, `r${seq}`), put(`outbox/aa${seq}`, `o${seq}`)));
        await store.write(relaxed({ first: 'outbox/aa00', last: 'outbox/aa03' }));
        same(await texts(store), ['o10', 'r01', 'r02', 'r03', 'r10']);
      }),
  },
  {
    name: 'of what replaces the last is there, and the steps of a write are taken in their order',
    run: (lab) =>
      opened(lab, async (open) => {
        const store = await open();
        await store.write(strict(put('cursor/00', '1'), put('cursor/00', '2'), { first: 'cursor/00', last: 'cursor/00' }, put('cursor/00', '3')));
        same(await texts(store), ['3']);
        await store.write(relaxed(put('cursor/00', '4')));
        same(await texts(await open()), ['4']);
      }),
  },
  {
    name: 'documents are apart',
    run: async (lab) =>
      opened(lab, async (open) => {
        await (await open()).write(strict(put('rows/01', 'a')));
        const other = await lab.storage.open(lab.freshName());
        same(await texts(other), []);
        await other.close();
      }),
  },
  {
    name: 'DUR-4 openings at the same time overwrite nothing of each other',
    run: (lab) =>
      opened(lab, async (open) => {
        const stores = [await open(), await open(), await open()];
        const write = async (store: Store, number: number): Promise<void> => {
          for (let round = 0; round < 10; round += 1) {
            await store.write({ changes: [put(`rows/${number}${round}`, `r${number}${round}`)], isStrict: round % 2 === 0 });
            // Each of them compacts what it knows, which is what it wrote.
            if (round === 3 + number) {
              await store.compact(() => ({
                key: `snapshots/${number}`,
                record: bytes(`s${number}`),
                isCovered: (record) => decoder.decode(record).startsWith(`r${number}`) && decoder.decode(record) <= `r${number}${round}`,
              }));
            }
          }
        };
        await Promise.all(stores.map(write));
        const expected = [0, 1, 2].flatMap((number) => [
          `s${number}`,
          ...Array.from({ length: 10 }, (_, round) => `r${number}${round}`).slice(4 + number),
        ]);
        same(await texts(await open()), expected.sort());
      }),
  },
  {
    name: 'ID-2 no two openings hold one slot, and the lowest free one is taken',
    run: (lab) =>
      opened(lab, async (open) => {
        const slots = [await (await open()).acquireSlot(), await (await open()).acquireSlot()];
        same(
          slots.map((slot) => slot?.index ?? null),
          lab.hasSlots ? [0, 1] : [null, null],
        );
        await slots[0]?.release();
        const again = await (await open()).acquireSlot();
        same(again?.index ?? null, lab.hasSlots ? 0 : null);
        await again?.release();
        await slots[1]?.release();
      }),
  },
  {
    name: 'a compaction keeps what it does not stand for, and asks for its plan when nothing can come between',
    run: (lab) =>
      opened(lab, async (open) => {
        const store = await open();
        for (let row = 10; row < 99; row += 1) await store.write(relaxed(put(`rows/${row}`, `r${row}`)));
        await store.write(strict(put('outbox/aa01', 'o'), put('slots/00', 'slot'), put('snapshots/aa', 'an older one')));
        await store.compact((): Compaction | null => null);
        same((await store.load()).length, 89 + 3);
        const isCovered = (record: Uint8Array): boolean => /^(r[1-7]|an)/.test(decoder.decode(record));
        await store.compact(() => ({ key: 'snapshots/bb', record: bytes('the state'), isCovered }));
        const rest = Array.from({ length: 19 }, (_, at) => `r${at + 80}`);
        same(await texts(await open()), ['o', ...rest, 'slot', 'the state']);
      }),
  },
  {
    name: 'a long log keeps every row, once',
    run: (lab) =>
      opened(lab, async (open) => {
        const store = await open();
        const other = await open();
        const names = Array.from({ length: 1_500 }, (_, row) => `row ${row}`);
        for (let from = 0; from < names.length; from += 100) {
          const changes = names.slice(from, from + 100).map((name) => put(`rows/${name}`, name));
          await Promise.all([store.write(relaxed(...changes)), from % 300 === 0 ? other.write(relaxed(...changes)) : undefined]);
        }
        const found = await texts(await open());
        same([...new Set(found)], names.sort());
        await store.compact(() => ({ key: 'snapshots/aa', record: bytes('s'), isCovered: (record) => decoder.decode(record) !== 'row 7' }));
        same([...new Set(await texts(other))], ['row 7', 's']);
      }),
  },
  {
    name: 'a write is whole or absent, and after one that failed the store goes on',
    run: (lab) =>
      opened(lab, async (open) => {
        const store = await open();
        await store.write(strict(put('rows/01', 'a')));
        // No store can hold a function.
        const wrong = { key: 'rows/03', record: (() => undefined) as unknown as Uint8Array };
        await failure(store.write(strict(put('rows/02', 'b'), wrong)));
        same(await texts(store), ['a']);
        await store.write(strict(put('rows/02', 'b')));
        same(await texts(await open()), ['a', 'b']);
      }),
  },
  {
    name: 'DUR-4 what a slot was told is not replaced by who did not know of it',
    run: (lab) =>
      opened(lab, async (open) => {
        const [first, second] = [await open(), await open()];
        await first.load();
        await second.load();
        await first.write(strict(put('slots/00', 'first 1'), put('rows/01', 'a')));
        await first.write(strict(put('slots/00', 'first 2')));
        const error = (await failure(second.write(strict(put('slots/00', 'second 1'), put('rows/02', 'b'))))) as { reason?: string };
        same(error.reason, 'taken');
        same(await texts(await open()), ['a', 'first 2']);
        await second.load();
        await second.write(strict(put('slots/00', 'second 1')));
        same(((await failure(first.write(strict(put('slots/00', 'first 3'))))) as { reason?: string }).reason, 'taken');
      }),
  },
  {
    name: 'a store that was closed is not written any more',
    run: (lab) =>
      opened(lab, async (open) => {
        const store = await open();
        await store.write(strict(put('rows/01', 'a')));
        await store.close();
        await failure(store.write(strict(put('rows/02', 'b'))));
        same(await texts(await open()), ['a']);
      }),
  },
];
