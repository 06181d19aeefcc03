// Storage in the browser's database: one database for each document, shared by all tabs of a profile.
//
// Rules: DUR-1, DUR-7 a strict write resolves when its transaction has completed, never when a request has succeeded, and the
// engine is asked whether it honours strictness at all. DUR-4 tabs add to
// what is there and never put their own state over it. ID-2, TAB-4 slots are Web Locks; without those no id is
// continued. A connection that the browser closes (Safari does so to pages in the background) is opened again by the next
// call; the call that fails rejects and may be repeated.

import { StorageError } from '../errors.js';
import type { Batch, Compaction, SlotLock, Storage, Store } from './types.js';

/** The object store: what the engine wants kept, by its keys. */
const RECORDS = 'records';
const VERSION = 1;
/** More writers than this in one profile share no slots: they take new identities. */
const MOST_SLOTS = 64;
/** A strict write costs milliseconds of disk: this many a second at most, where edits come faster. */
const WRITE_INTERVAL_MS = 30;

export interface IndexedDbOptions {
  /** Another lock manager than the browser's. `null`: none, as where there is none. */
  readonly locks?: Pick<LockManager, 'request'> | null;
}

export class IndexedDbStorage implements Storage {
  readonly #locks: Pick<LockManager, 'request'> | null;

  constructor(options: IndexedDbOptions = {}) {
    this.#locks = options.locks === undefined ? (globalThis.navigator?.locks ?? null) : options.locks;
  }

  async open(name: string): Promise<Store> {
    if (globalThis.indexedDB === undefined) throw new StorageError('blocked', undefined);
    askForPersistence();
    const store = new IndexedDbStore(`weftline/${name}`, this.#locks);
    await store.connect();
    return store;
  }
}

class IndexedDbStore implements Store {
  readonly writeIntervalMs = WRITE_INTERVAL_MS;
  readonly #name: string;
  readonly #locks: Pick<LockManager, 'request'> | null;
  #database: Promise<IDBDatabase> | undefined;
  #isClosed = false;

  constructor(name: string, locks: Pick<LockManager, 'request'> | null) {
    this.#name = name;
    this.#locks = locks;
  }

  async connect(): Promise<void> {
    await this.#open().catch((cause: unknown) => {
      throw storageError(cause);
    });
  }

  async acquireSlot(): Promise<SlotLock | null> {
    if (this.#locks === null) return null;
    // An engine that does not know the option does not tell it back either.
    const durability = await this.#run('readonly', (records) => records.transaction.durability);
    if (durability !== 'strict') return null;
    for (let index = 0; index < MOST_SLOTS; index += 1) {
      const lock = await takeLock(this.#locks, `${this.#name}/slot/${index}`);
      if (lock !== null) return { index, ...lock };
    }
    return null;
  }

  load(): Promise<readonly Uint8Array[]> {
    return this.#run('readonly', (records) => answer<Uint8Array[]>(records.getAll()));
  }

  write(batch: Batch): Promise<void> {
    return this.#run(
      'readwrite',
      (records) => {
        // Requests are served in the order in which they are made; the transaction completes after the last.
        for (const change of batch.changes) {
          if ('key' in change) records.put(change.record, change.key);
          else records.delete(IDBKeyRange.bound(change.first, change.last));
        }
      },
      batch.isStrict ? 'strict' : 'relaxed',
    );
  }

  compact(plan: () => Compaction | null): Promise<void> {
    return this.#run('readwrite', async (store) => {
      const [keys, records] = await Promise.all([answer(store.getAllKeys()), answer<Uint8Array[]>(store.getAll())]);
      const compaction = plan();
      if (compaction === null) return;
      keys.forEach((key, at) => {
        if (compaction.isCovered(records[at]!)) store.delete(key);
      });
      store.put(compaction.record, compaction.key);
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const database = this.#database;
    this.#database = undefined;
    (await database?.catch(() => undefined))?.close();
  }

  /** Runs one transaction and resolves when it has completed. */
  async #run<T>(
    mode: IDBTransactionMode,
    body: (records: IDBObjectStore) => T | Promise<T>,
    durability: IDBTransactionDurability = 'strict',
  ): Promise<T> {
    try {
      const tx = (await this.#open()).transaction(RECORDS, mode, { durability });
      const ended = new Promise<void>((resolve, reject) => {
        tx.oncomplete = () => resolve();
        tx.onabort = () => reject(tx.error ?? new DOMException('the transaction was aborted', 'AbortError'));
      });
      try {
        const result = await body(tx.objectStore(RECORDS));
        await ended;
        return result;
      } catch (error) {
        // Requests fail because the transaction does: what is wrong (no room, say) is told by the transaction.
        abort(tx);
        await ended.catch(ignore);
        throw tx.error ?? error;
      }
    } catch (cause) {
      const error = storageError(cause);
      if (error.reason !== 'quota') this.#forget();
      throw error;
    }
  }

  #open(): Promise<IDBDatabase> {
    if (this.#isClosed) return Promise.reject(new StorageError('lost', undefined));
    if (this.#database !== undefined) return this.#database;
    const request = indexedDB.open(this.#name, VERSION);
    request.onupgradeneeded = () => void request.result.createObjectStore(RECORDS);
    const opening = answer(request).then((database) => {
      database.onversionchange = database.onclose = () => this.#forget(opening);
      return database;
    });
    opening.catch(() => this.#forget(opening));
    return (this.#database = opening);
  }

  /** Closes the connection; the next call opens another one. */
  #forget(database = this.#database): void {
    if (database === this.#database) this.#database = undefined;
    database?.then(
      (database) => database.close(),
      () => undefined,
    );
  }
}

function answer<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function abort(tx: IDBTransaction): void {
  try {
    tx.abort();
  } catch {
    // It has ended already.
  }
}

function takeLock(locks: Pick<LockManager, 'request'>, name: string): Promise<Omit<SlotLock, 'index'> | null> {
  return new Promise((resolve, reject) => {
    let letGo = ignore;
    const held = new Promise<void>((done) => (letGo = done));
    let isHeld = false;
    const request = locks.request(name, { ifAvailable: true }, (lock) => {
      isHeld = lock !== null;
      queueMicrotask(() => decided());
      return isHeld ? held : undefined;
    });
    request.catch(reject);
    // The request ends when the lock is stolen, or else when `held` does.
    const ended = request.then(ignore, ignore);
    const decided = (): void => {
      const release = (): Promise<void> => {
        letGo();
        return ended;
      };
      resolve(isHeld ? { lost: ended, release } : null);
    };
  });
}

function ignore(): void {}

let persistenceAsked = false;

/** Asks, once a page, that the browser should not evict what is stored. Best effort: the browser decides. */
function askForPersistence(): void {
  if (persistenceAsked) return;
  persistenceAsked = true;
  void globalThis.navigator?.storage?.persist?.().catch(ignore);
}

function storageError(cause: unknown): StorageError {
  if (cause instanceof StorageError) return cause;
  const name = cause instanceof Error || cause instanceof DOMException ? cause.name : '';
  if (name === 'QuotaExceededError') return new StorageError('quota', cause);
  if (name === 'InvalidStateError' || name === 'AbortError' || name === 'UnknownError') return new StorageError('lost', cause);
  if (name === 'SecurityError' || name === 'VersionError') return new StorageError('blocked', cause);
  return new StorageError('failed', cause);
}
