// Storage in memory: for tests, for Node programs that keep nothing, and as the shortest example of a `Storage`.
//
// What is written lives as long as the object, so replicas opened one after the other, or at the same time, on one
// `MemoryStorage` share it like tabs share a database.

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
    return Promise.resolve([...this.#records.values()]);
  }

  write(batch: Batch): Promise<void> {
    for (const change of batch.changes) {
      if ('key' in change) this.#records.set(change.key, change.record);
      else for (const key of this.#records.keys()) if (key >= change.first && key <= change.last) this.#records.delete(key);
    }
    return Promise.resolve();
  }

  compact(plan: () => Compaction | null): Promise<void> {
    const compaction = plan();
    if (compaction === null) return Promise.resolve();
    for (const [key, record] of this.#records) if (compaction.isCovered(record)) this.#records.delete(key);
    this.#records.set(compaction.key, compaction.record);
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
