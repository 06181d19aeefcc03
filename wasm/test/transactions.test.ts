import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ChangeEvent, Replica } from '../js/index.node.js';
import { openInMemory } from './support.js';

let replica: Replica;
let events: ChangeEvent[];

beforeEach(async () => {
  replica = await openInMemory();
  events = [];
  replica.subscribe((event) => events.push(event));
});

afterEach(() => replica.close());

test('a transaction is one change and gives what its body gives', () => {
  const result = replica.transact(() => {
    replica.map('m').put('a', 1);
    replica.map('m').put('b', 2);
    return replica.map('m').keys();
  });
  expect(result).toEqual(['a', 'b']);
  expect(events.length).toBe(1);
  expect(events[0]!.origin).toBe('local');
  expect(events[0]!.changes).toEqual([
    { path: [{ root: 'm', kind: 'map' }], type: 'key', key: 'a' },
    { path: [{ root: 'm', kind: 'map' }], type: 'key', key: 'b' },
  ]);
});

test('nothing edited, nothing told', () => {
  expect(replica.transact(() => 7)).toBe(7);
  expect(events).toEqual([]);
  expect(replica.status.unsaved).toBe(0);
});

test('a throw undoes everything', () => {
  replica.list('l').push('kept');
  const before = replica.snapshot();
  const error = new Error('no');
  const body = (): void => {
    replica.list('l').push('lost');
    replica.list('l').remove(0);
    replica.map('m').map('deep').put('k', 1);
    throw error;
  };
  expect(() => replica.transact(body)).toThrow(error);
  expect(replica.snapshot()).toBe(before);
  expect(replica.list('l').snapshot()).toEqual(['kept']);
  expect(events.length).toBe(1);
});

test('an error of an edit leaves through the body like any other', () => {
  expect(() =>
    replica.transact(() => {
      replica.list('l').push('lost');
      replica.list('l').insert(7, 'x');
    }),
  ).toThrowError(expect.objectContaining({ code: 'index-out-of-range' }));
  expect(replica.snapshot()).toEqual({});
});

test('an inner transaction is part of the outer one', () => {
  replica.transact(() => {
    replica.map('m').put('outer', 1);
    replica.transact(() => replica.map('m').put('inner', 2));
  });
  expect(events.length).toBe(1);
  expect(replica.snapshot()).toEqual({ m: { outer: 1, inner: 2 } });
});

test('an inner throw undoes the outer transaction, even if it is caught', () => {
  const attempt = (): void =>
    replica.transact(() => {
      replica.map('m').put('outer', 1);
      try {
        replica.transact(() => {
          throw new Error('inner');
        });
      } catch {
        // The outer body goes on.
      }
    });
  expect(attempt).toThrow('inner');
  expect(replica.snapshot()).toEqual({});
});

test('an asynchronous body is refused', () => {
  expect(() =>
    replica.transact(async () => {
      replica.map('m').put('k', 1);
    }),
  ).toThrowError(expect.objectContaining({ code: 'bad-argument' }));
  expect(replica.snapshot()).toEqual({});
});

test('listeners may use everything, and hear of it in order', () => {
  const seen: unknown[] = [];
  replica.subscribe(() => {
    const count = replica.counter('c').value as number;
    seen.push(replica.snapshot()['c']);
    if (count < 3) replica.transact(() => replica.counter('c').add(1));
  });
  replica.counter('c').add(1);
  expect(seen).toEqual([1, 2, 3]);
  expect(events.length).toBe(3);
});

test('those who listen to a container hear of it, of what is in it, and of what it is in', () => {
  const heard: string[] = [];
  const list = replica.map('m').list('l');
  const element = list.pushMap();
  const stops = [
    replica.map('m').subscribe(() => heard.push('map')),
    list.subscribe(() => heard.push('list')),
    element.subscribe(() => heard.push('element')),
    element.counter('c').subscribe(() => heard.push('counter')),
    replica.map('other').subscribe(() => heard.push('other')),
  ];
  element.counter('c').add(1);
  expect(heard.splice(0)).toEqual(['map', 'list', 'element', 'counter']);
  element.put('k', 1);
  expect(heard.splice(0)).toEqual(['map', 'list', 'element']);
  list.push('x');
  expect(heard.splice(0)).toEqual(['map', 'list']);
  replica.transact(() => {
    list.push('y');
    element.put('k', 2);
  });
  expect(heard.splice(0)).toEqual(['map', 'list', 'element']);
  replica.map('m').remove('l');
  expect(heard.splice(0)).toEqual(['map', 'list', 'element', 'counter']);
  for (const stop of stops) stop();
  replica.map('m').put('k', 1);
  expect(heard).toEqual([]);
});

test('unsubscribing works at once, also from inside, and twice', () => {
  const heard: string[] = [];
  const stopFirst = replica.subscribe(() => {
    heard.push('first');
    stopSecond();
    stopFirst();
    stopFirst();
  });
  const stopSecond = replica.subscribe(() => heard.push('second'));
  const handler = (): unknown => heard.push('both');
  const stopOne = replica.map('m').subscribe(handler);
  replica.map('m').subscribe(handler);
  stopOne();
  replica.map('m').put('k', 1);
  replica.map('m').put('k', 2);
  expect(heard).toEqual(['both', 'first', 'both']);
});

test('who stopped listening, or closed, hears no more, not even of what is just being told', async () => {
  const heard: string[] = [];
  const closing: Promise<void>[] = [];
  replica.map('m').subscribe(() => {
    heard.push('first');
    stop();
    if (replica.map('m').has('end')) return;
    replica.map('m').put('end', true);
    closing.push(replica.close());
  });
  const stop = replica.map('m').subscribe(() => heard.push('second'));
  replica.map('m').subscribe(() => heard.push('third'));
  replica.subscribe(() => heard.push('fourth'));
  replica.onStatus(() => heard.push('status'));
  replica.map('m').put('k', 1);
  await Promise.all(closing);
  expect(heard).toEqual(['first']);
});

test('a listener that throws keeps nobody else from hearing', async () => {
  const reported = new Promise((resolve) => process.once('uncaughtException', resolve));
  const others = process.listeners('uncaughtException').filter((listener) => listener !== process.listeners('uncaughtException').at(-1));
  for (const listener of others) process.off('uncaughtException', listener);
  const heard: string[] = [];
  replica.subscribe(() => {
    throw new Error('from a listener');
  });
  replica.subscribe(() => heard.push('other'));
  replica.map('m').put('k', 1);
  expect(heard).toEqual(['other']);
  expect(await reported).toEqual(new Error('from a listener'));
  for (const listener of others) process.on('uncaughtException', listener);
});
