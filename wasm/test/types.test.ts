import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Replica } from '../js/index.node.js';
import { openInMemory } from './support.js';

let replica: Replica;

beforeEach(async () => {
  replica = await openInMemory();
});

afterEach(() => replica.close());

test('reading creates nothing', () => {
  expect(replica.map('m').map('deep').list('deeper').length).toBe(0);
  expect(replica.map('m').get('k')).toBeUndefined();
  expect(replica.map('m').keys()).toEqual([]);
  expect(replica.list('l').get(3)).toBeUndefined();
  expect(replica.set('s').values()).toEqual([]);
  expect(replica.counter('c').value).toBe(0);
  expect(replica.flag('f').value).toBe(false);
  expect(replica.register('r').get()).toBeUndefined();
  expect(replica.map('m').map('deep').snapshot()).toEqual({});
  expect(replica.snapshot()).toEqual({});
  expect(replica.status.unsaved).toBe(0);
});

test('taking away what is not there creates nothing either', () => {
  replica.map('m').remove('k');
  replica.map('m').map('deep').clear();
  replica.map('m').set('tags').clear();
  expect(replica.map('m').set('tags').delete('x')).toBe(false);
  replica.map('m').flag('f').disable();
  expect(replica.snapshot()).toEqual({});
  expect(replica.status.unsaved).toBe(0);
});

describe('values', () => {
  const values = {
    null: null,
    true: true,
    false: false,
    zero: 0,
    'negative zero': -0,
    integer: -12345,
    'largest exact integer': Number.MAX_SAFE_INTEGER,
    fraction: 0.1,
    large: 1e300,
    infinity: -Infinity,
    'not a number': NaN,
    'large integer': 2n ** 63n - 1n,
    'small integer': -(2n ** 63n),
    text: 'grün 🌱',
    empty: '',
    'mark of the byte order': '\ufeffa',
    bytes: new Uint8Array([0, 255, 7]),
  };

  test.each(Object.entries(values))('%s comes back as it was', (name, value) => {
    replica.map('m').put(name, value);
    replica.register('r').set(value);
    replica.list('l').push(value);
    replica.set('s').add(value);
    expect(replica.map('m').get(name)).toStrictEqual(value);
    expect(replica.register('r').get()).toStrictEqual(value);
    expect(replica.list('l').get(0)).toStrictEqual(value);
    expect(replica.set('s').values()).toStrictEqual([value]);
    expect(replica.set('s').has(value)).toBe(true);
    expect(replica.snapshot()).toEqual({ m: { [name]: value }, r: value, l: [value], s: [value] });
  });

  test('an integer comes back as a number where a number holds it', () => {
    replica.map('m').put('k', 7n);
    expect(replica.map('m').get('k')).toBe(7);
  });

  test.each([undefined, {}, [], Symbol('x'), () => 1, 2n ** 63n])('%s is refused', (value) => {
    expect(() => replica.map('m').put('k', value as never)).toThrowError(expect.objectContaining({ code: 'bad-argument' }));
    expect(replica.snapshot()).toEqual({});
  });
});

describe('maps', () => {
  test('keys that mean something to objects are keys like others', () => {
    const map = replica.map('__proto__');
    for (const key of ['__proto__', 'constructor', 'toString', '']) map.put(key, key);
    expect(map.keys()).toEqual(['', '__proto__', 'constructor', 'toString']);
    const snapshot = replica.snapshot()['__proto__'] as Record<string, unknown>;
    expect(Object.keys(snapshot).sort()).toEqual(map.keys());
    expect(snapshot['constructor']).toBe('constructor');
    expect(Object.getPrototypeOf(snapshot)).toBeNull();
  });

  test('a key is what UTF-8 makes of it, for everybody', () => {
    const marked = replica.map('m').map('\ufeff');
    const [half, counter] = [marked.map('\ud800'), replica.counter('c\udc00')];
    let heard = 0;
    half.subscribe(() => (heard += 1));
    for (const value of [1, 2]) {
      half.put('🌱', value);
      counter.add(1);
      expect(half.snapshot()).toEqual({ '🌱': value });
      expect(marked.snapshot()).toEqual({ '\ufffd': { '🌱': value } });
      expect(counter.snapshot()).toBe(value);
    }
    expect(replica.map('m').keys()).toEqual(['\ufeff']);
    expect(heard).toBe(2);
  });

  test('a put replaces whatever is at the key', () => {
    const map = replica.map('m');
    map.list('k').push(1);
    expect(map.has('k')).toBe(true);
    expect(map.get('k')).toBeUndefined();
    map.put('k', 'plain');
    expect(map.list('k').length).toBe(0);
    expect(replica.snapshot()).toEqual({ m: { k: 'plain' } });
    map.clear();
    expect(map.keys()).toEqual([]);
    expect(replica.snapshot()).toEqual({});
  });

  test('containers nest', () => {
    const map = replica.map('m');
    map.map('a').map('b').list('c').pushMap().counter('d').add(2);
    map.set('tags').add('x');
    map.flag('done').enable();
    expect(replica.snapshot()).toEqual({ m: { a: { b: { c: [{ d: 2 }] } }, tags: ['x'], done: true } });
  });
});

describe('lists', () => {
  test('insert, overwrite, remove, move', () => {
    const list = replica.list('l');
    const a = list.push('a');
    const c = list.push('c');
    const b = list.insert(1, 'b');
    expect(list.snapshot()).toEqual(['a', 'b', 'c']);
    expect(list.ids()).toEqual([a, b, c]);
    expect([list.indexOf(c), list.get(c), list.get(0), list.length]).toEqual([2, 'c', 'a', 3]);
    list.move(a, 2);
    expect(list.snapshot()).toEqual(['b', 'c', 'a']);
    list.move(2, 0);
    expect(list.ids()).toEqual([a, b, c]);
    list.set(b, 'B');
    list.set(2, 'C');
    expect(list.snapshot()).toEqual(['a', 'B', 'C']);
    list.remove(0);
    list.remove(c);
    expect(list.snapshot()).toEqual(['B']);
    expect([list.indexOf(a), list.get(a), list.kind(a), list.kind(b)]).toEqual([-1, undefined, undefined, 'register']);
  });

  test('elements of every kind', () => {
    const list = replica.list('l');
    list.pushMap().put('k', 1);
    list.pushList().push('inner');
    list.pushSet().add('member');
    list.pushCounter().add(3);
    list.pushFlag().enable();
    list.push('plain');
    expect(list.snapshot()).toEqual([{ k: 1 }, ['inner'], ['member'], 3, true, 'plain']);
    const ids = list.ids();
    expect(ids.map((id) => list.kind(id))).toEqual(['map', 'list', 'set', 'counter', 'flag', 'register']);
    expect(list.map(ids[0]!).id).toBe(ids[0]);
    list.counter(ids[3]!).add(-1);
    list.flag(ids[4]!).disable();
    list.setAt(ids[2]!).add('another');
    list.register(ids[5]!).set('changed');
    expect(list.snapshot()).toEqual([{ k: 1 }, ['inner'], ['another', 'member'], 2, false, 'changed']);
  });

  test('an element is one thing, and says so', () => {
    const list = replica.list('l');
    const map = list.pushMap();
    const error = { code: 'wrong-kind', message: 'a counter was expected, there is a map' };
    expect(() => list.counter(map.id!).add(1)).toThrowError(expect.objectContaining(error));
    expect(list.counter(map.id!).value).toBe(0);
    expect(list.list(map.id!).snapshot()).toEqual([]);
    expect(list.snapshot()).toEqual([{}]);
  });

  test('what was removed cannot be edited', () => {
    const list = replica.list('l');
    const map = list.pushMap();
    list.remove(map.id!);
    expect(() => map.put('k', 1)).toThrowError(expect.objectContaining({ code: 'no-such-element' }));
    expect(() => list.remove(map.id!)).toThrowError(expect.objectContaining({ code: 'no-such-element' }));
    expect(map.snapshot()).toEqual({});
    expect(list.snapshot()).toEqual([]);
  });

  test('indices and ids that make no sense are refused', () => {
    const list = replica.list('l');
    list.push('a');
    const error = { code: 'index-out-of-range', message: 'index 3 where the length is 1' };
    expect(() => list.insert(3, 'x')).toThrowError(expect.objectContaining(error));
    expect(() => list.remove(1)).toThrowError(expect.objectContaining({ code: 'index-out-of-range' }));
    for (const index of [-1, 0.5, NaN, '0']) {
      expect(() => list.insert(index as number, 'x')).toThrowError(expect.objectContaining({ code: 'bad-argument' }));
    }
    expect(() => list.remove('nonsense' as never)).toThrowError(expect.objectContaining({ code: 'no-such-element' }));
    expect(list.snapshot()).toEqual(['a']);
  });
});

test('sets hold each value once, in one order', () => {
  const set = replica.set('s');
  for (const value of ['b', 2, 'a', true, 'b', 2n]) set.add(value);
  expect(set.values()).toEqual([true, 2, 'a', 'b']);
  expect(set.size).toBe(4);
  expect(set.delete('b')).toBe(true);
  expect(set.delete('b')).toBe(false);
  expect(set.snapshot()).toEqual([true, 2, 'a']);
  set.clear();
  expect(set.size).toBe(0);
});

test('counters count in integers, beyond what a number holds', () => {
  const counter = replica.counter('c');
  counter.add(5);
  counter.add(-7n);
  expect(counter.value).toBe(-2);
  counter.add(2n ** 62n);
  expect(counter.value).toBe(2n ** 62n - 2n);
  expect(counter.snapshot()).toBe(2n ** 62n - 2n);
  expect(() => counter.add(0.5)).toThrowError(expect.objectContaining({ code: 'bad-argument' }));
  counter.add(2n ** 62n);
  counter.add(2n ** 62n);
  counter.add(2n ** 62n - 10n);
  expect(() => counter.add(2n ** 62n)).toThrowError(expect.objectContaining({ code: 'counter-overflow' }));
});

test('limits are told with what was found', () => {
  expect(() => replica.map('m').put('k'.repeat(2000), 1)).toThrowError(
    expect.objectContaining({ code: 'limit', message: 'the length of a key is 2000, the limit is 1024' }),
  );
  const list = replica.list('l');
  const narrow = (): void => replica.transact(() => Array.from({ length: 10_000 }, (_, index) => list.insert(index >> 1, 0)) && undefined);
  expect(narrow).toThrowError(expect.objectContaining({ code: 'limit', message: expect.stringContaining('the depth of positions') }));
  let map = replica.map('m');
  for (let depth = 0; depth < 70; depth += 1) map = map.map('deeper');
  expect(() => map.put('k', 1)).toThrowError(expect.objectContaining({ code: 'limit' }));
  expect(replica.snapshot()).toEqual({});
});
