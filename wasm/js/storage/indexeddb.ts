// Storage in the browser's database: one database for each document, shared by all tabs of a profile.
//
// Rules: DUR-1, DUR-7 a strict write resolves when its transaction has completed, never when a request has succeeded, and the
// engine is asked whether it honours strictness at all. DUR-4 tabs add to what is there and never put their own state over it:
// what a slot was told is replaced only if it is still what this tab told it, in the transaction that looks. ID-2, TAB-4 slots
// are Web Locks; without those no id is continued.
//
// A connection that the browser closes (Safari does so to pages in the background) is opened again at once; the call that fails
// rejects and may be repeated. If there is nothing in the database then, it was evicted, and the replica is told.
//
// Every row is a record. Many of them are made one, a pack, so that opening a document reads few records however long the log.

import { StorageError } from '../errors.js';
import type { Batch, Compaction, SlotLock, Storage, Store } from './types.js';

/** The object store: what the engine wants kept, by its keys. */
const RECORDS = 'records';
const VERSION = 1;
/** More writers than this in one profile share no slots: they take new identities. */
const MOST_SLOTS = 64;
/** So many rows become one pack. */
const ROWS_IN_PACK = 512;
const ROWS = 'rows/';
const SLOTS = 'slots/';
/** A strict write costs milliseconds of disk: this many a second at most, where edits come faster. */
const WRITE_INTERVAL_MS = 30;

export interface IndexedDbOptions {
  /** Another lock manager than the browser's. `null`: none, as where there is none. */
  readonly locks?: Pick<LockManager, 'request'> | null;
  /** Whether to ask the browser not to evict what is stored, once a page. By default yes; some browsers ask the person. */
  readonly persist?: boolean;
}

/** A row, or another record; or many rows. */
type Stored = Uint8Array | readonly Uint8Array[];

export class IndexedDbStorage implements Storage {
  readonly #locks: Pick<LockManager, 'request'> | null;
  readonly #persist: boolean;

  constructor(options: IndexedDbOptions = {}) {
    this.#locks = options.locks === undefined ? (globalThis.navigator?.locks ?? null) : options.locks;
    this.#persist = options.persist ?? true;
  }

  async open(name: string): Promise<Store> {
    if (globalThis.indexedDB === undefined) throw new StorageError('blocked', undefined);
    const store = new IndexedDbStore(`weftline/${name}`, this.#locks, persistence(this.#persist));
    await store.connect();
    return store;
  }
}

class IndexedDbStore implements Store {
  readonly writeIntervalMs = WRITE_INTERVAL_MS;
  onEmptied: (() => void) | undefined;
  readonly persistence?: Promise<boolean>;
  readonly #name: string;
  readonly #locks: Pick<LockManager, 'request'> | null;
  #database: Promise<IDBDatabase> | undefined;
  #isClosed = false;
  /** Whether the database was there before. */
  #isKnown = false;
  /** About how many rows are not in a pack. */
  #looseRows = 0;
  /** What each slot may hold for all this tab knows: what was loaded or written last, and what was tried since. */
  readonly #slots = new Map<string, (Uint8Array | undefined)[]>();

  constructor(name: string, locks: Pick<LockManager, 'request'> | null, persistence: Promise<boolean> | undefined) {
    this.#name = name;
    this.#locks = locks;
    if (persistence !== undefined) this.persistence = persistence;
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
    return this.#run('readonly', async (records) => {
      const [keys, values] = await Promise.all([answer(records.getAllKeys()), answer<Stored[]>(records.getAll())]);
      this.#looseRows = 0;
      keys.forEach((key, at) => {
        const value = values[at]!;
        if (isLooseRow(key, value)) this.#looseRows += 1;
        if (String(key).startsWith(SLOTS)) this.#slots.set(String(key), [value as Uint8Array]);
      });
      return values.flat() as Uint8Array[];
    });
  }

  async write(batch: Batch): Promise<void> {
    const slots = new Map<string, Uint8Array>();
    let rows = 0;
    for (const change of batch.changes) {
      if (!('key' in change)) continue;
      if (change.key.startsWith(SLOTS)) slots.set(change.key, change.record);
      else if (change.key.startsWith(ROWS)) rows += 1;
    }
    await this.#run(
      'readwrite',
      async (records) => {
        for (const [key, record] of slots) await this.#claim(records, key, record);
        // Requests are served in the order in which they are made; the transaction completes after the last.
        for (const change of batch.changes) {
          if ('key' in change) records.put(change.record, change.key);
          else records.delete(IDBKeyRange.bound(change.first, change.last));
        }
      },
      batch.isStrict ? 'strict' : 'relaxed',
    );
    for (const [key, record] of slots) this.#slots.set(key, [record]);
    this.#looseRows += rows;
    // Nothing is lost without it, and the next one is not far.
    if (this.#looseRows >= ROWS_IN_PACK) void this.#pack().catch(ignore);
  }

  /** Notes what is about to be written into a slot, if nobody else has written there. */
  async #claim(records: IDBObjectStore, key: string, record: Uint8Array): Promise<void> {
    const found = await answer<Uint8Array | undefined>(records.get(key));
    const known = this.#slots.get(key) ?? [undefined];
    if (!known.some((expected) => isSame(expected, found))) throw new StorageError('taken', undefined);
    // A transaction that is said to have failed may have completed all the same.
    this.#slots.set(key, [...known.slice(-8), record]);
  }

  /** Makes one record of all rows that are one each. */
  #pack(): Promise<void> {
    this.#looseRows = 0;
    return this.#run(
      'readwrite',
      async (records) => {
        const range = IDBKeyRange.bound(ROWS, `${ROWS}\uffff`);
        const [keys, values] = await Promise.all([answer(records.getAllKeys(range)), answer<Stored[]>(records.getAll(range))]);
        const isLoose = keys.map((key, at) => isLooseRow(key, values[at]!));
        const rows = values.filter((_, at) => isLoose[at]);
        if (rows.length < 2) return;
        keys.forEach((key, at) => {
          if (isLoose[at]) records.delete(key);
        });
        records.put(rows, `${ROWS}pack/${crypto.randomUUID()}`);
      },
      'relaxed',
    );
  }

  compact(plan: () => Compaction | null): Promise<void> {
    return this.#run('readwrite', async (store) => {
      const [keys, records] = await Promise.all([answer(store.getAllKeys()), answer<Stored[]>(store.getAll())]);
      const compaction = plan();
      if (compaction === null) return;
      let looseRows = 0;
      keys.forEach((key, at) => {
        const record = records[at]!;
        const all = [record].flat() as Uint8Array[];
        const left = all.filter((one) => !compaction.isCovered(one));
        if (left.length === 0) store.delete(key);
        else if (left.length < all.length) store.put(left, key);
        else if (isLooseRow(key, record)) looseRows += 1;
      });
      store.put(compaction.record, compaction.key);
      this.#looseRows = looseRows;
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
      if (error.reason !== 'quota' && error.reason !== 'taken') this.#forget();
      throw error;
    }
  }

  #open(): Promise<IDBDatabase> {
    if (this.#isClosed) return Promise.reject(new StorageError('lost', undefined));
    if (this.#database !== undefined) return this.#database;
    const request = indexedDB.open(this.#name, VERSION);
    let isNew = false;
    request.onupgradeneeded = () => {
      isNew = true;
      request.result.createObjectStore(RECORDS);
    };
    const opening = answer(request).then((database) => {
      // Somebody deletes the database, or a newer version of the page changes it: nobody is to wait for us.
      database.onversionchange = () => this.#forget(opening);
      database.onclose = () => {
        this.#forget(opening);
        // At once, to see whether anything is left. If it cannot be opened, the next write says so.
        if (!this.#isClosed) void this.#open().catch(ignore);
      };
      if (isNew && this.#isKnown) {
        this.#slots.clear();
        this.#looseRows = 0;
        this.onEmptied?.();
      }
      this.#isKnown = true;
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

/** A page asks once. */
let asked: Promise<boolean> | undefined;

/** Asks the browser not to evict what is stored, or only whether it would. It decides. */
function persistence(ask: boolean): Promise<boolean> | undefined {
  const manager = globalThis.navigator?.storage;
  if (typeof manager?.persisted !== 'function') return undefined;
  if (!ask) return manager.persisted().catch(() => false);
  return (asked ??= manager.persist().catch(() => false));
}

function isLooseRow(key: IDBValidKey, value: Stored): boolean {
  return !Array.isArray(value) && String(key).startsWith(ROWS);
}

function isSame(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

function storageError(cause: unknown): StorageError {
  if (cause instanceof StorageError) return cause;
  const name = cause instanceof Error || cause instanceof DOMException ? cause.name : '';
  if (name === 'QuotaExceededError') return new StorageError('quota', cause);
  if (name === 'InvalidStateError' || name === 'AbortError' || name === 'UnknownError') return new StorageError('lost', cause);
  if (name === 'SecurityError' || name === 'VersionError') return new StorageError('blocked', cause);
  return new StorageError('failed', cause);
}
