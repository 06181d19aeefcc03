import 'fake-indexeddb/auto';
import { forceCloseDatabase } from 'fake-indexeddb';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { IndexedDbStorage, MemoryStorage, Replica } from 'weftline';
import type { OpenOptions, Replica as ReplicaType, Storage } from '../js/index.node.js';
import { contract, type Lab } from './contract.js';
import { TestLocks, TestStorage, freshName, statusOf } from './support.js';

const kinds: Record<string, () => Storage> = {
  memory: () => new MemoryStorage(),
  indexeddb: () => new IndexedDbStorage({ locks: new TestLocks() }),
  'indexeddb without locks': () => new IndexedDbStorage({ locks: null }),
};

const labs: Record<string, () => Lab> = {
  memory: () => ({ storage: new MemoryStorage(), hasSlots: true, freshName }),
  indexeddb: () => ({ storage: new IndexedDbStorage({ locks: new TestLocks() }), hasSlots: true, freshName }),
  'indexeddb without locks': () => ({ storage: new IndexedDbStorage({ locks: null }), hasSlots: false, freshName }),
};

describe.each(Object.entries(labs))('the contract: %s', (_, make) => {
  test.each(contract.map(({ name, run }) => [name, run] as const))('%s', async (_, run) => {
    await run(make());
  });
});

/** Who wrote an element, as its id tells. */
const writerOf = (replica: ReplicaType): string => replica.list('writers').push(0).split(':')[0]!;

describe.each(Object.entries(kinds))('%s', (kind, make) => {
  let storage: Storage;
  let name: string;
  const open = (options: OpenOptions = {}): Promise<ReplicaType> => Replica.open(name, { storage, ...options });

  beforeEach(() => {
    storage = make();
    name = freshName();
  });

  test('what was flushed is there again', async () => {
    const first = await open();
    first.map('m').list('l').pushMap().put('k', 'v');
    first.counter('c').add(5);
    expect(first.status.unstored).toBe(3);
    await first.flushed();
    expect(first.status).toEqual({ link: 'offline', unsaved: 3, unstored: 0 });
    const snapshot = first.snapshot();
    await first.close();

    const second = await open();
    expect(second.snapshot()).toEqual(snapshot);
    expect(second.status).toEqual({ link: 'offline', unsaved: 3, unstored: 0 });
    second.counter('c').add(1);
    expect(second.counter('c').value).toBe(6);
    await second.close();
  });

  test('closing stores what is left', async () => {
    const first = await open();
    for (let index = 0; index < 100; index += 1) first.list('l').push(index);
    await first.close();
    const second = await open();
    expect(second.list('l').length).toBe(100);
    await second.close();
  });

  test('ID-3 an id goes on where there are locks, and is a fresh one where there are none', async () => {
    const first = await open();
    const before = writerOf(first);
    await first.close();
    const second = await open();
    if (kind === 'indexeddb without locks') expect(writerOf(second)).not.toBe(before);
    else expect(writerOf(second)).toBe(before);
    await second.close();
  });

  test('TAB-1 two tabs on one store write as two replicas, and neither loses anything', async () => {
    const [first, second] = await Promise.all([open(), open()]);
    expect(writerOf(first)).not.toBe(writerOf(second));
    for (let index = 0; index < 20; index += 1) {
      first.list('l').push(`first ${index}`);
      second.list('l').push(`second ${index}`);
    }
    await Promise.all([first.close(), second.close()]);
    const third = await open();
    expect(third.list('l').length).toBe(40);
    expect(third.list('writers').length).toBe(2);
    expect(third.status.unsaved).toBe(42);
    await third.close();
  });

  test('documents are apart', async () => {
    const first = await open();
    first.map('m').put('k', 1);
    await first.close();
    const other = await Replica.open(freshName(), { storage });
    expect(other.snapshot()).toEqual({});
    await other.close();
  });

  test('a grown log is folded into a snapshot, and everything is still there', async () => {
    const text = 'x'.repeat(1000);
    const first = await open();
    for (let index = 0; index < 200; index += 1) first.map('m').put(`k${index % 10}`, text + index);
    await first.flushed();
    // What is not at the relay stays, edit for edit; the log beside it goes.
    const store = await storage.open(name);
    await vi.waitFor(async () => expect((await store.load()).length).toBeLessThan(220));
    const snapshot = first.snapshot();
    await first.close();
    const second = await open();
    expect(second.snapshot()).toEqual(snapshot);
    second.map('m').put('one', 'more');
    await second.close();

    const third = await open();
    expect(third.snapshot()).toEqual({ m: { ...(snapshot['m'] as object), one: 'more' } });
    expect(third.status.unsaved).toBe(201);
    await third.close();
    await store.close();
  });
});

/** The databases that are opened from now on, and what has to be restored afterwards. */
function openedDatabases(): { databases: IDBDatabase[]; spy: { mockRestore(): void } } {
  const databases: IDBDatabase[] = [];
  const open = indexedDB.open.bind(indexedDB);
  const spy = vi.spyOn(indexedDB, 'open').mockImplementation((...args) => {
    const request = open(...args);
    request.addEventListener('success', () => databases.push(request.result));
    return request;
  });
  return { databases, spy };
}

describe('indexeddb', () => {
  test('ID-2 slots are taken lowest first, and given back', async () => {
    const locks = new TestLocks();
    const storage = new IndexedDbStorage({ locks });
    const name = freshName();
    const slot = (index: number): string => `weftline/${name}/slot/${index}`;
    const first = await Replica.open(name, { storage });
    const second = await Replica.open(name, { storage });
    expect(locks.names).toEqual([slot(0), slot(1)]);
    await first.close();
    await vi.waitFor(() => expect(locks.names).toEqual([slot(1)]));
    const third = await Replica.open(name, { storage });
    expect(locks.names.sort()).toEqual([slot(0), slot(1)]);
    await Promise.all([second.close(), third.close()]);
  });

  test('ID-5 a slot that is taken away is not written under any more', async () => {
    const locks = new TestLocks();
    const storage = new IndexedDbStorage({ locks });
    const name = freshName();
    const replica = await Replica.open(name, { storage });
    const before = writerOf(replica);
    locks.steal(`weftline/${name}/slot/0`);
    await vi.waitFor(() => expect(locks.names).toEqual([]));
    await Promise.resolve();
    expect(writerOf(replica)).not.toBe(before);
    await replica.close();
  });

  test('DUR-7 a connection that is lost is opened again, and nothing is lost', async () => {
    const storage = new IndexedDbStorage({ locks: new TestLocks() });
    const name = freshName();
    const { databases, spy } = openedDatabases();
    const replica = await Replica.open(name, { storage });
    replica.list('l').push('before');
    await replica.flushed();
    forceCloseDatabase(databases.at(-1) as never);
    replica.list('l').push('after');
    await replica.flushed();
    expect(databases.length).toBe(2);
    spy.mockRestore();
    await replica.close();
    const again = await Replica.open(name, { storage });
    expect(again.snapshot()).toEqual({ l: ['before', 'after'] });
    await again.close();
  });

  test('DUR-7 a database that cannot be opened again at once is opened later', async () => {
    const storage = new IndexedDbStorage({ locks: new TestLocks() });
    const databases: IDBDatabase[] = [];
    const open = indexedDB.open.bind(indexedDB);
    const spy = vi.spyOn(indexedDB, 'open').mockImplementation((...args) => {
      if (databases.length === 1) {
        databases.length = 0;
        const request = { error: new DOMException('full', 'QuotaExceededError') } as IDBOpenDBRequest;
        setImmediate(() => request.onerror!(new Event('error')));
        return request;
      }
      const request = open(...args);
      request.addEventListener('success', () => databases.push(request.result));
      return request;
    });
    const replica = await Replica.open(freshName(), { storage });
    forceCloseDatabase(databases.at(-1) as never);
    replica.list('l').push('kept');
    const failed = await statusOf(replica, (status) => status.error !== undefined);
    expect(failed).toMatchObject({ error: 'local storage is full', storage: 'quota' });
    await statusOf(replica, (status) => status.unstored === 0);
    expect(replica.status).toEqual({ link: 'offline', unsaved: 1, unstored: 0 });
    spy.mockRestore();
    await replica.close();
  });

  test('DUR-7 what is evicted under a replica that is open is told, and stored again', async () => {
    const storage = new IndexedDbStorage({ locks: new TestLocks() });
    const name = freshName();
    const { databases, spy } = openedDatabases();
    const replica = await Replica.open(name, { storage });
    const told: string[] = [];
    replica.onStorageError((error) => told.push(error.reason));
    replica.list('l').push('before');
    await replica.flushed();
    // As the browser does it: the database is closed and gone.
    const deleted = indexedDB.deleteDatabase(`weftline/${name}`);
    await new Promise((resolve) => (deleted.onsuccess = resolve));
    expect((await indexedDB.databases()).some((database) => database.name === `weftline/${name}`)).toBe(false);
    replica.list('l').push('after');
    await vi.waitFor(() => expect(told).toEqual(['evicted']));
    await replica.flushed();
    const store = await storage.open(name);
    await vi.waitFor(async () => expect((await store.load()).length).toBeGreaterThan(2));
    await store.close();
    await replica.close();
    spy.mockRestore();
    const again = await Replica.open(name, { storage });
    expect(again.snapshot()).toEqual({ l: ['before', 'after'] });
    await again.close();
  });

  test('DUR-7 a database that the browser closes is looked at at once', async () => {
    const storage = new IndexedDbStorage({ locks: new TestLocks() });
    const { databases, spy } = openedDatabases();
    const replica = await Replica.open(freshName(), { storage });
    forceCloseDatabase(databases[0] as never);
    await vi.waitFor(() => expect(databases.length).toBe(2));
    await replica.close();
    expect(databases.length).toBe(2);
    spy.mockRestore();
  });

  test('DUR-7 own edits and their mark are one strict transaction, and its completion is what counts', async () => {
    const replica = await Replica.open(freshName(), { storage: new IndexedDbStorage({ locks: new TestLocks() }) });
    const seen: { key: string; tx: IDBTransaction }[] = [];
    const unstored: number[] = [];
    const put = IDBObjectStore.prototype.put;
    const spy = vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(function (this: IDBObjectStore, value, key) {
      seen.push({ key: String(key), tx: this.transaction });
      const request = put.call(this, value, key);
      request.addEventListener('success', () => unstored.push(replica.status.unstored));
      return request;
    });
    replica.counter('c').add(1);
    await vi.waitFor(() => expect(replica.status.unstored).toBe(0));
    spy.mockRestore();
    expect(seen.map(({ key }) => key.split('/')[0])).toEqual(['rows', 'outbox', 'slots']);
    expect([...new Set(seen.map(({ tx }) => tx))].map(({ durability }) => durability)).toEqual(['strict']);
    expect(unstored).toEqual([1, 1, 1]);
    await replica.close();
  });

  test('ID-3 an engine that does not know strict transactions has no slots', async () => {
    const transaction = IDBDatabase.prototype.transaction;
    const spy = vi.spyOn(IDBDatabase.prototype, 'transaction').mockImplementation(function (this: IDBDatabase, ...args) {
      return Object.defineProperty(transaction.apply(this, args), 'durability', { value: undefined });
    });
    const locks = new TestLocks();
    const storage = new IndexedDbStorage({ locks });
    const name = freshName();
    const writers = new Set<string>();
    for (let opening = 0; opening < 3; opening += 1) {
      const replica = await Replica.open(name, { storage });
      writers.add(writerOf(replica));
      await replica.close();
    }
    expect([writers.size, locks.names]).toEqual([3, []]);
    spy.mockRestore();
  });

  test('DUR-4 a tab whose slot was taken by force writes nothing that another one does not expect', async () => {
    const locks = new TestLocks();
    const storage = new IndexedDbStorage({ locks });
    const name = freshName();
    const first = await Replica.open(name, { storage });
    first.list('l').push('stored');
    await first.flushed();
    const store = await storage.open(name);
    await store.load();
    const slot = (await indexedDB.databases()).length;
    expect(slot).toBeGreaterThan(0);
    // Somebody writes into the slot, and goes on where the first one was.
    await store.write({ changes: [{ key: 'slots/00000000', record: new Uint8Array([1]) }], isStrict: true });
    first.list('l').push('too late');
    await expect(first.flushed()).rejects.toMatchObject({ reason: 'taken' });
    expect(first.status).toMatchObject({ storage: 'taken', unstored: 1 });
    expect(first.list('l').snapshot()).toEqual(['stored', 'too late']);
    await expect(first.close()).rejects.toMatchObject({ reason: 'taken' });
    await store.close();
  });

  test('the log is few records however long it is, and all of it is read', async () => {
    const storage = new IndexedDbStorage({ locks: new TestLocks() });
    const name = freshName();
    const store = await storage.open(name);
    for (let from = 0; from < 10_000; from += 10) {
      const changes = Array.from({ length: 10 }, (_, at) => ({ key: `rows/${from + at}`, record: new Uint8Array([1, at]) }));
      await store.write({ changes, isStrict: false });
    }
    await store.close();
    const database = await new Promise<IDBDatabase>((resolve) => {
      const request = indexedDB.open(`weftline/${name}`);
      request.onsuccess = () => resolve(request.result);
    });
    const count = await new Promise<number>((resolve) => {
      const request = database.transaction('records').objectStore('records').count();
      request.onsuccess = () => resolve(request.result);
    });
    database.close();
    expect(count).toBeLessThan(512 + 10_000 / 512 + 20);
    const again = await storage.open(name);
    expect((await again.load()).length).toBe(10_000);
    await again.close();
  });

  test('is what a replica uses where there is one', async () => {
    const name = freshName();
    const replica = await Replica.open(name);
    replica.map('m').put('k', 1);
    await replica.close();
    expect((await indexedDB.databases()).map((database) => database.name)).toContain(`weftline/${name}`);
  });
});

/** Events of a page, where there is none. */
class TestPage extends EventTarget {
  readonly document = new EventTarget();
  readonly #before = new Map<string, unknown>();

  constructor() {
    super();
    const page = {
      document: this.document,
      addEventListener: this.addEventListener.bind(this),
      removeEventListener: this.removeEventListener.bind(this),
    };
    for (const [name, value] of Object.entries(page)) {
      this.#before.set(name, (globalThis as Record<string, unknown>)[name]);
      (globalThis as Record<string, unknown>)[name] = value;
    }
  }

  restore(): void {
    for (const [name, value] of this.#before) (globalThis as Record<string, unknown>)[name] = value;
  }
}

describe('a page that is put away', () => {
  let page: TestPage;
  beforeEach(() => {
    page = new TestPage();
    return () => page.restore();
  });

  const away: Record<string, (page: TestPage) => void> = {
    freeze: (page) => page.document.dispatchEvent(new Event('freeze')),
    'pagehide, to come back': (page) => page.dispatchEvent(Object.assign(new Event('pagehide'), { persisted: true })),
  };

  test.each(Object.entries(away))('ID-5 gives its slot back and its id up: %s', async (_, putAway) => {
    const locks = new TestLocks();
    const storage = new IndexedDbStorage({ locks });
    const name = freshName();
    const replica = await Replica.open(name, { storage });
    const before = writerOf(replica);
    putAway(page);
    // What was written under it is stored before anybody else may have the slot.
    expect(locks.names.length).toBe(1);
    expect(writerOf(replica)).not.toBe(before);
    await vi.waitFor(() => expect(locks.names).toEqual([]));
    expect(replica.status.unstored).toBe(0);
    const other = await Replica.open(name, { storage });
    expect(locks.names.length).toBe(1);
    expect(writerOf(other)).toBe(before);
    await Promise.all([replica.close(), other.close()]);
    const third = await Replica.open(name, { storage });
    expect(third.list('writers').length).toBe(3);
    await third.close();
  });

  test('ID-5 nobody has the slot before what was written under it is stored', async () => {
    const storage = new TestStorage();
    const name = freshName();
    const replica = await Replica.open(name, { storage });
    let release = (): void => {};
    storage.beforeWrite = () => new Promise((resolve) => (release = resolve));
    replica.counter('c').add(1);
    page.document.dispatchEvent(new Event('freeze'));
    await new Promise((resolve) => setImmediate(resolve));
    const store = await storage.open(name);
    const slot = await store.acquireSlot();
    expect(slot?.index).toBe(1);
    storage.beforeWrite = () => Promise.resolve();
    release();
    await vi.waitFor(async () => expect((await store.acquireSlot())?.index).toBe(0));
    await replica.close();
  });

  test('a page that only goes keeps its id until it is gone', async () => {
    const locks = new TestLocks();
    const replica = await Replica.open(freshName(), { storage: new IndexedDbStorage({ locks }) });
    const before = writerOf(replica);
    page.dispatchEvent(Object.assign(new Event('pagehide'), { persisted: false }));
    expect(writerOf(replica)).toBe(before);
    await replica.close();
  });

  test('nothing is waited for when the page is hidden', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const storage = new TestStorage();
    storage.writeIntervalMs = 30;
    const replica = await Replica.open(freshName(), { storage });
    replica.counter('c').add(1);
    await vi.advanceTimersByTimeAsync(0);
    replica.counter('c').add(1);
    await vi.advanceTimersByTimeAsync(0);
    expect(storage.batches.length).toBe(1);
    page.document.dispatchEvent(new Event('visibilitychange'));
    await vi.advanceTimersByTimeAsync(0);
    expect([storage.batches.length, replica.status.unstored]).toEqual([2, 0]);
    vi.useRealTimers();
    await replica.close();
  });
});

describe('how often is written', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    return () => void vi.useRealTimers();
  });

  /** Edits this often for so long; gives when the writes began. */
  async function type(everyMs: number, forMs: number, writeMs: number): Promise<number[]> {
    const storage = new TestStorage();
    storage.writeIntervalMs = 30;
    const begun: number[] = [];
    const start = performance.now();
    storage.beforeWrite = () => {
      begun.push(performance.now() - start);
      return writeMs === 0 ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, writeMs));
    };
    const replica = await Replica.open(freshName(), { storage });
    for (let at = 0; at < forMs; at += everyMs) {
      replica.counter('c').add(1);
      await vi.advanceTimersByTimeAsync(everyMs);
    }
    const closing = replica.close();
    await vi.advanceTimersByTimeAsync(1_000);
    await closing;
    return begun;
  }

  const gaps = (begun: number[]): number[] => begun.slice(1).map((at, index) => at - begun[index]!);

  test('an edit goes at once, and nobody who types waits', async () => {
    expect(gaps(await type(125, 2_000, 3)).slice(0, -1).every((gap) => gap === 125)).toBe(true);
  });

  test('a drag is written every 30 ms, and after some seconds less often', async () => {
    const begun = await type(10, 6_000, 1);
    expect(gaps(begun).slice(0, 50).every((gap) => gap === 30)).toBe(true);
    expect(Math.max(...gaps(begun).slice(70, -2))).toBe(100);
    expect(Math.min(...gaps(begun).slice(70, -2))).toBe(100);
  });

  test('a slow disk is asked half of the time, and four times a second at least', async () => {
    expect(gaps(await type(10, 3_000, 50)).slice(2, -2).every((gap) => gap === 100)).toBe(true);
    expect(gaps(await type(10, 6_000, 200)).slice(2, -2).every((gap) => gap === 250)).toBe(true);
  });

  test('256 KiB are not waited for', async () => {
    const storage = new TestStorage();
    storage.writeIntervalMs = 30;
    const replica = await Replica.open(freshName(), { storage });
    replica.map('m').put('a', 1);
    await vi.advanceTimersByTimeAsync(0);
    replica.map('m').put('b', 'x'.repeat(300_000));
    await vi.advanceTimersByTimeAsync(0);
    expect(storage.batches.length).toBe(2);
    await replica.close();
  });
});

describe('when writing fails', () => {
  test('DUR-7 it is said, tried again, and nothing is lost', async () => {
    const storage = new TestStorage();
    const name = freshName();
    const replica = await Replica.open(name, { storage });
    let failures = 0;
    storage.beforeWrite = () => {
      failures += 1;
      return failures <= 2 ? Promise.reject(new DOMException('full', 'QuotaExceededError')) : Promise.resolve();
    };
    const told: string[] = [];
    const stop = replica.onStorageError((error) => told.push(error.reason));
    replica.map('m').put('a', 1);
    const failed = await statusOf(replica, (status) => status.error !== undefined);
    expect(failed).toEqual({ link: 'offline', unsaved: 1, unstored: 1, storage: 'failed', error: 'local storage failed' });
    replica.map('m').put('b', 2);
    await statusOf(replica, (status) => status.unstored === 0 && status.error === undefined);
    expect([failures, told]).toEqual([3, ['failed']]);
    stop();
    await replica.close();
    const again = await Replica.open(name, { storage });
    expect(again.snapshot()).toEqual({ m: { a: 1, b: 2 } });
    await again.close();
  });

  test('closing says so instead of trying for ever', async () => {
    const storage = new TestStorage();
    const replica = await Replica.open(freshName(), { storage });
    storage.beforeWrite = () => Promise.reject(new Error('broken'));
    replica.map('m').put('a', 1);
    await expect(replica.close()).rejects.toMatchObject({ code: 'storage', reason: 'failed' });
    expect(() => replica.map('m').get('a')).toThrowError(expect.objectContaining({ code: 'closed' }));
  });
});

test('edits made while a write is under way go together with the next', async () => {
  const storage = new TestStorage();
  const replica = await Replica.open(freshName(), { storage });
  let release = (): void => {};
  storage.beforeWrite = () => new Promise((resolve) => (release = resolve));
  for (let index = 0; index < 10; index += 1) replica.counter('c').add(1);
  storage.beforeWrite = () => Promise.resolve();
  release();
  await replica.flushed();
  expect(storage.batches.length).toBe(2);
  expect(storage.batches.every((batch) => batch.isStrict)).toBe(true);
  await replica.close();
});

test('what is stored and damaged is an error, not a fresh start', async () => {
  const storage = new MemoryStorage();
  const name = freshName();
  const store = await storage.open(name);
  await store.write({ changes: [{ key: 'rows/x', record: new Uint8Array([99, 1, 2]) }], isStrict: true });
  await expect(Replica.open(name, { storage })).rejects.toMatchObject({ code: 'stored-data' });
});
