import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { elementId } from 'weftline';
import type { MapSnapshot, Replica, Snapshot } from '../js/index.node.js';
import { openInMemory } from './support.js';

let replica: Replica;

beforeEach(async () => {
  replica = await openInMemory();
});

afterEach(() => replica.close());

function fill(): void {
  const map = replica.map('m');
  map.map('left').put('k', 1);
  map.map('right').put('k', 2);
  const list = map.list('list');
  for (let index = 0; index < 20; index += 1) list.pushMap().put('index', index);
}

const at = (snapshot: Snapshot | undefined, ...keys: (string | number)[]): Snapshot | undefined =>
  keys.reduce<Snapshot | undefined>((inside, key) => (inside as MapSnapshot | undefined)?.[key], snapshot);

test('nothing changed, nothing new', () => {
  fill();
  const before = replica.snapshot();
  expect(replica.snapshot()).toBe(before);
  expect(replica.map('m').map('left').snapshot()).toBe(at(before, 'm', 'left'));
  expect(replica.map('m').list('list').snapshot()).toBe(at(before, 'm', 'list'));
});

test('what did not change stays the same object', () => {
  fill();
  const before = replica.snapshot();
  replica.map('m').map('left').put('k', 3);
  const after = replica.snapshot();
  expect(after).not.toBe(before);
  expect(at(after, 'm', 'left')).toEqual({ k: 3 });
  expect(at(before, 'm', 'left')).toEqual({ k: 1 });
  expect(at(after, 'm', 'right')).toBe(at(before, 'm', 'right'));
  expect(at(after, 'm', 'list')).toBe(at(before, 'm', 'list'));
});

test('an edit in an element replaces its slot only', () => {
  fill();
  const list = replica.map('m').list('list');
  const before = list.snapshot();
  list.map(list.ids()[7]!).put('index', 'seven');
  const after = list.snapshot();
  expect(after.map((element, index) => element === before[index])).toEqual(before.map((_, index) => index !== 7));
  expect(after[7]).toEqual({ index: 'seven' });
});

test('moves, insertions and removals share the elements', () => {
  fill();
  const list = replica.map('m').list('list');
  const ids = list.ids();
  const before = list.snapshot();
  list.move(ids[0]!, 19);
  list.remove(ids[5]!);
  list.insertMap(3).put('index', 'new');
  list.move(ids[10]!, 1);
  const after = list.snapshot();
  const expected = [1, 10, 2, 3, 'new', 4, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19, 0];
  expect(after.map((element) => at(element, 'index'))).toEqual(expected);
  for (const element of after) {
    const index = at(element, 'index');
    if (typeof index === 'number') expect(element).toBe(before[index]);
  }
  expect(after.map((element) => elementId(element))).toEqual(list.ids());
});

test('any mixture of edits gives what reading everything anew gives', async () => {
  // The same edits on a replica whose snapshots are taken all the time, and on one that is read once, at the end.
  const other = await openInMemory();
  let seed = 12345;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  for (let step = 0; step < 600; step += 1) {
    const [kind, key, where, value] = [random(11), `k${random(4)}`, random(1000), random(100)];
    for (const each of [replica, other]) {
      const map = each.map('m');
      const list = map.list('list');
      const index = list.length === 0 ? 0 : where % list.length;
      const nested = list.kind(index) === 'map' ? list.map(list.ids()[index]!) : undefined;
      if (kind === 0) map.put(key, value);
      else if (kind === 1) map.remove(key);
      else if (kind === 2) map.map(key).map('n').put(`v${value % 3}`, value);
      else if (kind === 3) map.set('set').add(value % 10);
      else if (kind === 4) map.set('set').delete(value % 10);
      else if (kind === 5) list.insert(index, value);
      else if (kind === 6) list.insertMap(index).put('v', value);
      else if (kind === 7 && list.length > 0) list.move(index, value % list.length);
      else if (kind === 8 && list.length > 0) list.remove(index);
      else if (kind === 9) nested?.list('l').push(value);
      else if (kind === 10) nested?.counter('c').add(value);
    }
    const snapshot = replica.snapshot();
    expect(replica.map('m').list('list').ids().length).toBe((at(snapshot, 'm', 'list') as readonly Snapshot[] | undefined)?.length ?? 0);
  }
  expect(replica.snapshot()).toEqual(other.snapshot());
  await other.close();
});

test('what was removed is empty, whoever asks', () => {
  const list = replica.list('l');
  const map = list.pushMap();
  const counter = list.pushCounter();
  map.put('k', 1);
  map.list('deep').push('x');
  counter.add(3);
  expect([map.snapshot(), map.list('deep').snapshot(), counter.snapshot()]).toEqual([{ k: 1, deep: ['x'] }, ['x'], 3]);
  list.remove(map.id!);
  list.remove(counter.id!);
  expect([map.snapshot(), map.list('deep').snapshot(), counter.snapshot()]).toEqual([{}, [], 0]);
});

test('what was undone and came again is seen by handles of before', () => {
  const list = replica.list('l');
  let early = replica.map('m');
  expect(() =>
    replica.transact(() => {
      early = list.pushMap();
      throw new Error('undo');
    }),
  ).toThrow('undo');
  expect([early.snapshot(), list.snapshot()]).toEqual([{}, []]);
  // What was undone never was: the next element may have the same id.
  const map = list.pushMap();
  expect(list.snapshot()).toEqual([{}]);
  map.put('k', 1);
  expect(early.snapshot()).toEqual(early.id === map.id ? { k: 1 } : {});
});

test('asking for an element as what it is not disturbs nobody', () => {
  const list = replica.list('l');
  const counter = list.pushCounter();
  list.push('plain');
  expect(list.snapshot()).toEqual([0, 'plain']);
  expect(list.map(counter.id!).snapshot()).toEqual({});
  expect(list.flag(list.ids()[1]!).snapshot()).toBe(false);
  counter.add(1);
  list.set(1, 'changed');
  expect(list.snapshot()).toEqual([1, 'changed']);
  expect(list.map(counter.id!).snapshot()).toEqual({});
  expect(list.register(list.ids()[1]!).snapshot()).toBe('changed');
});

test('keys come in one order, whichever was first', () => {
  for (const key of ['b', 'd', 'a', 'c']) {
    replica.map('m').put(key, 1);
    replica.snapshot();
  }
  expect(Object.keys(replica.snapshot()['m'] as MapSnapshot)).toEqual(['a', 'b', 'c', 'd']);
});

test('a list is another one when its elements are, also if they hold the same', () => {
  const list = replica.list('l');
  list.push('same');
  const [snapshot, ids] = [list.snapshot(), list.ids()];
  replica.transact(() => {
    list.remove(0);
    list.push('same');
  });
  expect(list.snapshot()).toEqual(snapshot);
  expect(list.snapshot()).not.toBe(snapshot);
  expect(list.ids()).not.toEqual(ids);
});

test('what is gone is not kept', async () => {
  const map = replica.map('m');
  const seen = Array.from({ length: 100 }, (_, index) => {
    map.map(`k${index}`).put('k', index);
    const reference = new WeakRef(map.map(`k${index}`).snapshot());
    map.remove(`k${index}`);
    map.snapshot();
    return reference;
  });
  setFlagsFromString('--expose-gc');
  // References hold until the turn is over.
  await new Promise((done) => setImmediate(done));
  (runInNewContext('gc') as () => void)();
  expect(seen.filter((reference) => reference.deref() !== undefined).length).toBeLessThan(10);
});

test('snapshots are frozen, all the way down', () => {
  fill();
  replica.set('s').add('x');
  const check = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    expect(Object.isFrozen(value)).toBe(true);
    Object.values(value).forEach(check);
  };
  check(replica.snapshot());
});

test('the id of an element rides along unseen', () => {
  const map = replica.list('l').pushMap();
  map.put('k', 1);
  const [element] = replica.list('l').snapshot();
  expect(elementId(element)).toBe(map.id);
  expect(JSON.stringify(element)).toBe('{"k":1}');
  expect(elementId({ ...(element as MapSnapshot) })).toBeUndefined();
  expect(elementId('plain')).toBeUndefined();
  expect(elementId(undefined)).toBeUndefined();
});

test('within a transaction a snapshot shows the edits so far, and leaves no trace if they are undone', () => {
  replica.map('m').put('k', 1);
  const before = replica.snapshot();
  expect(() =>
    replica.transact(() => {
      replica.map('m').put('k', 2);
      replica.list('l').push('x');
      expect(replica.snapshot()).toEqual({ m: { k: 2 }, l: ['x'] });
      expect(replica.list('l').ids().length).toBe(1);
      throw new Error('undo');
    }),
  ).toThrow('undo');
  expect(replica.snapshot()).toBe(before);
});

test('a root of two kinds shows one of them, and both through their handles', () => {
  replica.map('x').put('k', 1);
  replica.list('x').push('a');
  expect(replica.snapshot()).toEqual({ x: ['a'] });
  expect(replica.map('x').snapshot()).toEqual({ k: 1 });
  replica.map('x').put('k', 2);
  expect(replica.map('x').snapshot()).toEqual({ k: 2 });
  expect(replica.snapshot()).toEqual({ x: ['a'] });
});

test('of several kinds under a key a list is shown before a map, and a map before the others', () => {
  const map = replica.map('m');
  map.put('k', 1);
  map.counter('other').add(2);
  map.set('other').add('x');
  expect(replica.snapshot()).toEqual({ m: { k: 1, other: ['x'] } });
  map.map('k').put('a', 2);
  expect(replica.snapshot()).toEqual({ m: { k: { a: 2 }, other: ['x'] } });
  map.list('k').push('y');
  expect(replica.snapshot()).toEqual({ m: { k: ['y'], other: ['x'] } });
  map.map('k').put('a', 3);
  expect(replica.snapshot()).toEqual({ m: { k: ['y'], other: ['x'] } });
  expect([map.get('k'), map.map('k').snapshot(), map.counter('other').value]).toEqual([1, { a: 3 }, 2]);
  map.put('k', 4);
  expect(replica.snapshot()).toEqual({ m: { k: 4, other: ['x'] } });
});

test('registers, flags, counters and sets have snapshots that keep their identity', () => {
  replica.register('r').set(new Uint8Array([1]));
  replica.set('s').add('x');
  replica.map('m').flag('f').enable();
  const [bytes, members] = [replica.register('r').snapshot(), replica.set('s').snapshot()];
  replica.counter('c').add(1);
  expect(replica.register('r').snapshot()).toBe(bytes);
  expect(replica.set('s').snapshot()).toBe(members);
  expect(replica.counter('c').snapshot()).toBe(1);
  expect(replica.map('m').flag('f').snapshot()).toBe(true);
  replica.map('m').flag('f').disable();
  expect(replica.map('m').flag('f').snapshot()).toBe(false);
  replica.counter('c').add(1);
  expect(replica.counter('c').snapshot()).toBe(2);
});
