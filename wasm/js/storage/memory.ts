// Storage in memory: for tests, for Node programs that keep nothing, and as the shortest example of a `Storage`.
//
// What is written lives as long as the object, so replicas opened one after the other, or at the same time, on one
// `MemoryStorage` share it like tabs share a database.

import { StorageError } from '../errors.js';
import type { Batch, Compaction, SlotLock, Storage, Store } from './types.js';

interface Contents {
  readonly records: Map<string, Uint8Array>;
  readonly slots: Set<number>;
}

export class MemoryStorage implements Storage {
  readonly #documents = new Map<string, Contents>();

  open(name: string): Promise<Store> {
    let contents = this.#documents.get(name);
    if (contents === undefined) this.#documents.set(name, (contents = { records: new Map(), slots: new Set() }));
    return Promise.resolve(new MemoryStore(contents));
  }
}

class MemoryStore implements Store {
  readonly #records: Map<string, Uint8Array>;
  readonly #slots: Set<number>;
  /** What slots held when this store looked last: who writes there looks first (DUR-4). */
  readonly #known = new Map<string, Uint8Array>();
  #isClosed = false;

  constructor(contents: Contents) {
    this.#records = contents.records;
    this.#slots = contents.slots;
  }

  acquireSlot(): Promise<SlotLock> {
    let index = 0;
    while (this.#slots.has(index)) index += 1;
    this.#slots.add(index);
    const release = (): Promise<void> => {
      this.#slots.delete(index);
      return Promise.resolve();
    };
    return Promise.resolve({ index, lost: new Promise<void>(() => {}), release });
  }

  load(): Promise<readonly Uint8Array[]> {
    for (const [key, record] of this.#records) if (isSlot(key)) this.#known.set(key, record);
    return Promise.resolve([...this.#records.values()]);
  }

  async write(batch: Batch): Promise<void> {
    this.#check();
    // All of it is looked at before any of it is done.
    for (const change of batch.changes) {
      if (!('key' in change)) continue;
      if (!(change.record instanceof Uint8Array)) throw new StorageError('failed', undefined);
      if (isSlot(change.key) && this.#records.get(change.key) !== this.#known.get(change.key)) throw new StorageError('taken', undefined);
    }
    for (const change of batch.changes) {
      if ('key' in change) {
        this.#records.set(change.key, change.record);
        if (isSlot(change.key)) this.#known.set(change.key, change.record);
      } else for (const key of this.#records.keys()) if (key >= change.first && key <= change.last) this.#records.delete(key);
    }
  }

  async compact(plan: () => Compaction | null): Promise<void> {
    this.#check();
    const compaction = plan();
    if (compaction === null) return;
    for (const [key, record] of this.#records) if (compaction.isCovered(record)) this.#records.delete(key);
    this.#records.set(compaction.key, compaction.record);
  }

  close(): Promise<void> {
    this.#isClosed = true;
    return Promise.resolve();
  }

  #check(): void {
    if (this.#isClosed) throw new StorageError('lost', undefined);
  }
}

function isSlot(key: string): boolean {
  return key.startsWith('slots/');
}
