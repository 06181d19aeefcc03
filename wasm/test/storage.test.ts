import 'fake-indexeddb/auto';
import { forceCloseDatabase } from 'fake-indexeddb';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { IndexedDbStorage, MemoryStorage, Replica } from 'weftline';
import type { OpenOptions, Replica as ReplicaType, Storage } from '../js/index.node.js';
import { TestLocks, TestStorage, freshName, statusOf } from './support.js';

const kinds: Record<string, () => Storage> = {
  memory: () => new MemoryStorage(),
  indexeddb: () => new IndexedDbStorage({ locks: new TestLocks() }),
  'indexeddb without locks': () => new IndexedDbStorage({ locks: null }),
};

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
    const databases: IDBDatabase[] = [];
    const open = indexedDB.open.bind(indexedDB);
    const spy = vi.spyOn(indexedDB, 'open').mockImplementation((...args) => {
      const request = open(...args);
      request.addEventListener('success', () => databases.push(request.result));
      return request;
    });
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
    expect(failed.error).toBe('local storage is full');
    await statusOf(replica, (status) => status.unstored === 0);
    expect(replica.status.error).toBeUndefined();
    spy.mockRestore();
    await replica.close();
  });

  test('is what a replica uses where there is one', async () => {
    const name = freshName();
    const replica = await Replica.open(name);
    replica.map('m').put('k', 1);
    await replica.close();
    expect((await indexedDB.databases()).map((database) => database.name)).toContain(`weftline/${name}`);
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
    replica.map('m').put('a', 1);
    const failed = await statusOf(replica, (status) => status.error !== undefined);
    expect(failed).toEqual({ link: 'offline', unsaved: 1, unstored: 1, error: 'local storage failed' });
    replica.map('m').put('b', 2);
    await statusOf(replica, (status) => status.unstored === 0 && status.error === undefined);
    expect(failures).toBe(3);
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
