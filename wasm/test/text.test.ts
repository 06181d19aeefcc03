// Texts: against plain strings, at the edges of characters, told as deltas, and through the relay.

import { WebSocket } from 'ws';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Replica } from 'weftline';
import type { Replica as ReplicaType, TextDelta, TextEvent, TextHandle, WebSocketClass } from '../js/index.node.js';
import { changeTo, freshName, openInMemory, randomFrom, relayProgram, startRelay } from './support.js';

const withCode = (code: string): unknown => expect.objectContaining({ name: 'WeftlineError', code });

/** A string with a delta done to it, which must be one of it. */
function applied(string: string, delta: TextDelta): string {
  let [result, at] = ['', 0];
  for (const step of delta) {
    if ('insert' in step) {
      expect(step.insert).not.toBe('');
      result += step.insert;
      continue;
    }
    const count = 'retain' in step ? step.retain : step.delete;
    expect(count).toBeGreaterThan(0);
    expect(at + count).toBeLessThanOrEqual(string.length);
    if ('retain' in step) result += string.slice(at, at + count);
    at += count;
  }
  return result + string.slice(at);
}

let replica: ReplicaType;
let text: TextHandle;

beforeEach(async () => {
  replica = await openInMemory();
  text = replica.text('note');
});

afterEach(() => replica.close());

describe('reading and writing', () => {
  test('a text that was never written is empty, and looking at it or deleting nothing creates nothing', () => {
    const nested = replica.map('m').text('t');
    for (const none of [text, nested]) {
      expect([none.length, none.lines, none.toString(), none.slice(0, 5), none.snapshot()]).toEqual([0, 1, '', '', '']);
      none.delete(0, 0);
      none.setText('');
      expect(() => none.delete(0, 1)).toThrowError(withCode('index-out-of-range'));
      expect(none.cursor(0)).toBeInstanceOf(Uint8Array);
      expect(() => none.cursor(1)).toThrowError(withCode('index-out-of-range'));
    }
    expect(replica.snapshot()).toEqual({});
    expect(replica.status.unsaved).toBe(0);
  });

  test('it is edited by index', () => {
    text.append('buy bread');
    text.replace(4, 5, 'milk');
    text.insert(0, '- ');
    text.append('\nand 🥛\n');
    text.delete(2, 4);
    expect(text.toString()).toBe('- milk\nand 🥛\n');
    expect(text.snapshot()).toBe(text.toString());
    expect(`${text}`).toBe(text.toString());
    expect([text.length, text.lines]).toEqual([14, 3]);
    expect([text.slice(2, 6), text.slice(11), text.slice(11, 13), text.slice(100), text.slice(5, 3)]).toEqual(['milk', '🥛\n', '🥛', '', '']);
  });

  test('it is a string in snapshots, wherever it is', () => {
    const list = replica.list('l');
    const element = list.insertText(0);
    element.append('in a list');
    list.pushText();
    replica.map('m').text('k').append('in a map');
    text.append('a root');
    expect(replica.snapshot()).toEqual({ l: ['in a list', ''], m: { k: 'in a map' }, note: 'a root' });
    expect(list.kind(0)).toBe('text');
    expect(list.text(element.id!).toString()).toBe('in a list');
    const before = replica.snapshot();
    element.insert(0, '> ');
    expect(replica.snapshot()).toEqual({ l: ['> in a list', ''], m: { k: 'in a map' }, note: 'a root' });
    expect(replica.snapshot()['m']).toBe(before['m']);
    list.remove(element.id!);
    expect(() => element.append('x')).toThrowError(withCode('no-such-element'));
    expect(element.snapshot()).toBe('');
    expect(() => replica.list('l').map(list.ids()[0]!).put('k', 1)).toThrowError(withCode('wrong-kind'));
  });

  test('of several kinds under one key a text is shown before plain things, and after lists and maps', () => {
    for (const map of [replica.map('a'), replica.map('b')]) {
      map.set('k').add('member');
      map.counter('k').add(1);
      map.text('k').append('text');
      expect(map.snapshot()).toEqual({ k: 'text' });
    }
    replica.map('a').map('k').put('in', 1);
    replica.map('b').list('k').push(1);
    expect(replica.snapshot()).toEqual({ a: { k: { in: 1 } }, b: { k: [1] } });
  });

  test('a transaction shows its edits as it goes, and takes all of them back', () => {
    text.append('seen');
    expect(() =>
      replica.transact(() => {
        text.insert(4, ' 😀');
        text.delete(0, 2);
        expect([text.toString(), text.snapshot(), text.length]).toEqual(['en 😀', 'en 😀', 5]);
        throw new Error('undone');
      }),
    ).toThrowError('undone');
    expect(text.toString()).toBe('seen');
  });

  test('setting all of it writes only what differs', () => {
    text.append('the quick brown fox 🦊 jumps');
    let deltas: readonly TextDelta[] | undefined;
    text.subscribe((event) => (deltas = event.deltas));
    text.setText('the quick red fox 🦊🐶 jumps');
    expect(text.toString()).toBe('the quick red fox 🦊🐶 jumps');
    expect(deltas).toHaveLength(1);
    const kept = deltas![0]!.reduce((sum, step) => sum + ('delete' in step ? step.delete : 0), 0);
    expect(kept).toBeLessThan(6);
    deltas = undefined;
    text.setText(text.toString());
    expect(deltas).toBeUndefined();
  });
});

describe('indices', () => {
  const SAMPLE = 'a😀b👩‍👩‍👧é字';

  test('none is within a character, wherever it is used', () => {
    text.append(SAMPLE);
    const inside = (at: number): boolean => (SAMPLE.charCodeAt(at) & 0xfc00) === 0xdc00;
    for (let at = 0; at <= SAMPLE.length; at += 1) {
      const uses = [() => text.insert(at, '!'), () => text.delete(at, 0), () => text.slice(0, at), () => text.slice(at), () => text.cursor(at)];
      uses.push(() => text.delete(0, at), () => text.replace(at, SAMPLE.length - at, '?'));
      for (const use of uses) {
        const attempt = (): void =>
          replica.transact(() => {
            use();
            throw new Error('fine');
          });
        expect(attempt, `${use} at ${at}`).toThrowError(inside(at) ? (withCode('inside-character') as Error) : 'fine');
      }
    }
    expect(text.toString()).toBe(SAMPLE);
    expect(() => text.insert(2, '!')).toThrowError(expect.objectContaining({ message: 'index 2 is in the middle of a character' }));
  });

  test('beyond the end is refused, and what is no index too', () => {
    text.append('😀');
    for (const use of [() => text.insert(3, 'x'), () => text.delete(0, 3), () => text.delete(2, 1), () => text.cursor(3)]) {
      expect(use).toThrowError(withCode('index-out-of-range'));
    }
    for (const index of [-1, 0.5, Number.NaN, '0']) {
      for (const use of [() => text.insert(index as number, 'x'), () => text.delete(0, index as number), () => text.slice(index as number)]) {
        expect(use).toThrowError(withCode('bad-argument'));
      }
    }
    expect(text.toString()).toBe('😀');
  });

  test('half a character is not written', () => {
    for (const half of ['\ud83d', '\ude00', 'a\ude00\ud83d', 7 as never]) {
      for (const write of [() => text.append(half), () => text.setText(half), () => text.replace(0, 0, half)]) {
        expect(write).toThrowError(withCode('bad-argument'));
      }
    }
    text.append('\ufeff\0\ufffd😀');
    expect(text.toString()).toBe('\ufeff\0\ufffd😀');
  });
});

describe('what is told', () => {
  let events: TextEvent[];
  const listen = (to: TextHandle): void => {
    events = [];
    to.subscribe((event) => events.push(event));
  };

  test('an edit as a delta in units of UTF-16', () => {
    text.append('a😀b😀c');
    listen(text);
    text.replace(3, 3, '🥛');
    expect(events).toEqual([{ origin: 'local', deltas: [[{ retain: 3 }, { delete: 3 }, { insert: '🥛' }]] }]);
    expect(text.toString()).toBe('a😀🥛c');
  });

  test('a transaction as one delta, also where it took back part of what it wrote', () => {
    text.append('0123456789');
    listen(text);
    replica.transact(() => {
      text.insert(5, '😀x😀');
      text.delete(7, 1);
      text.insert(0, '>');
      text.delete(11, 2);
    });
    expect(events).toEqual([{ origin: 'local', deltas: [[{ insert: '>' }, { retain: 5 }, { insert: '😀😀' }, { retain: 1 }, { delete: 2 }]] }]);
    expect(text.toString()).toBe('>01234😀😀5'.concat('89'));
  });

  test('the document hears the same, with the path', () => {
    const nested = replica.list('l').insertText(0);
    const told: unknown[] = [];
    replica.subscribe(({ changes }) => told.push(...changes));
    nested.append('x');
    expect(told).toEqual([{ type: 'text', path: nested.path, delta: [{ insert: 'x' }] }]);
    expect(Object.isFrozen((told[0] as { delta: TextDelta }).delta)).toBe(true);
  });

  test('no delta where it came or went as a whole', () => {
    const nested = replica.map('m').text('t');
    listen(nested);
    nested.append('came');
    nested.append('!');
    replica.map('m').remove('t');
    expect(events.map(({ deltas }) => deltas)).toEqual([undefined, [[{ retain: 4 }, { insert: '!' }]], undefined]);
    expect(nested.snapshot()).toBe('');
  });
});

describe('cursors', () => {
  test('stay between the characters they are between', () => {
    text.append('one 😀 two');
    const [left, right] = [text.cursor(6, 'left'), text.cursor(6)];
    text.insert(6, '[🥛]');
    expect([text.indexOf(left), text.indexOf(right)]).toEqual([6, 10]);
    text.delete(4, 6);
    expect([text.indexOf(left), text.indexOf(right)]).toEqual([4, 4]);
    text.setText('');
    expect([text.indexOf(left), text.indexOf(right)]).toEqual([0, 0]);
    text.append('new');
    expect([text.indexOf(text.cursor(0, 'left')), text.indexOf(text.cursor(3))]).toEqual([0, 3]);
  });

  test('the start and the end of a text that is not there yet are those of what comes', () => {
    replica.text('').append('another text, of which no cursor below is');
    const nested = replica.map('m').text('t');
    const [start, end] = [nested.cursor(0, 'left'), nested.cursor(0)];
    expect(nested.indexOf(start)).toBeUndefined();
    nested.append('came');
    expect([nested.indexOf(start), nested.indexOf(end)]).toEqual([0, 4]);
  });

  test('what is no cursor is refused', () => {
    for (const bytes of [new Uint8Array(), new Uint8Array(40).fill(255)]) expect(() => text.indexOf(bytes)).toThrowError(withCode('bad-argument'));
  });
});

describe('marks', () => {
  const spans = (of: TextHandle): unknown[] => of.spans().map(({ text, marks }) => [text, { ...marks }]);

  test('say something of characters, and stay with them', () => {
    expect(text.spans()).toEqual([]);
    text.append('buy 🥛 milk');
    expect(spans(text)).toEqual([['buy 🥛 milk', {}]]);
    text.mark(4, 2, 'bold');
    text.mark(7, 4, 'link', 'https://milk.example', 'none');
    text.insert(6, '🥛');
    text.append('!');
    text.insert(0, '> ');
    const marked = [['> buy ', {}], ['🥛🥛', { bold: true }], [' ', {}], ['milk', { link: 'https://milk.example' }], ['!', {}]];
    expect(spans(text)).toEqual(marked);
    text.mark(8, 3, '__proto__', 7, 'both');
    expect(text.spans()[2]!.marks['__proto__']).toBe(7);
    text.unmark(0, text.length, '__proto__');
    expect(spans(text)).toEqual(marked);
    expect(text.snapshot()).toBe('> buy 🥛🥛 milk!');
  });

  test('are told by their key, and touch no delta', () => {
    text.append('word');
    const [told, events]: [unknown[], TextEvent[]] = [[], []];
    replica.subscribe(({ changes }) => told.push(...changes));
    text.subscribe((event) => events.push(event));
    text.mark(0, 4, 'bold');
    text.unmark(1, 1, 'bold');
    expect(told.every((change) => (change as { type: string; key: string }).type === 'marks')).toBe(true);
    expect(told[0]).toEqual({ path: text.path, type: 'marks', key: 'bold' });
    expect(events).toEqual([{ origin: 'local', deltas: [] }, { origin: 'local', deltas: [] }]);
  });

  test('are refused where indices are', () => {
    text.append('😀');
    for (const use of [() => text.mark(1, 1, 'k'), () => text.unmark(0, 1, 'k')]) expect(use).toThrowError(withCode('inside-character'));
    for (const use of [() => text.mark(0, 3, 'k'), () => replica.map('m').text('t').mark(0, 1, 'k')]) {
      expect(use).toThrowError(withCode('index-out-of-range'));
    }
    expect(() => text.mark(0, 2, 'k', true, 'sideways' as never)).toThrowError(withCode('bad-argument'));
    expect(() => text.mark(0, 2, 'k', {} as never)).toThrowError(withCode('bad-argument'));
    expect(replica.snapshot()).toEqual({ note: '😀' });
  });
});

const PIECES = ['a', 'bc\n', '😀', '👩‍👧', 'e\u0301', '字', '\ufeff', '\u{10ffff}x'];

/** Makes random edits, and gives what they make of a plain string. */
function edited(handle: TextHandle, plain: string, random: (below: number) => number): string {
  const place = (): number => {
    const at = random(plain.length + 1);
    return (plain.charCodeAt(at) & 0xfc00) === 0xdc00 ? at - 1 : at;
  };
  const [a, b, piece, choice] = [place(), place(), PIECES[random(PIECES.length)]!, random(10)];
  const [start, end] = [Math.min(a, b), Math.min(Math.max(a, b), Math.min(a, b) + 12)];
  const stop = (plain.charCodeAt(end) & 0xfc00) === 0xdc00 ? end - 1 : end;
  if (choice < 5) {
    handle.insert(start, piece);
    return plain.slice(0, start) + piece + plain.slice(start);
  }
  if (choice < 7) {
    handle.delete(start, stop - start);
    return plain.slice(0, start) + plain.slice(stop);
  }
  if (choice < 8) {
    handle.append(piece);
    return plain + piece;
  }
  const next = plain.slice(0, start) + piece + plain.slice(stop);
  if (choice < 9) handle.replace(start, stop - start, piece);
  else handle.setText(next);
  return next;
}

test.each(Array.from({ length: 40 }, (_, seed) => seed))('a text is the string that the same edits make, and its deltas lead there: seed %i', (seed) => {
  const random = randomFrom(seed);
  let [plain, told] = ['', ''];
  text.subscribe(({ deltas }) => (told = deltas!.reduce(applied, told)));
  for (let step = 0; step < 150; step += 1) {
    if (random(4) > 0) plain = edited(text, plain, random);
    else {
      replica.transact(() => {
        for (let left = random(6); left >= 0; left -= 1) plain = edited(text, plain, random);
      });
    }
    expect(text.toString()).toBe(plain);
    expect([text.length, text.lines, text.snapshot(), told]).toEqual([plain.length, plain.split('\n').length, plain, plain]);
  }
});

describe.runIf(relayProgram !== undefined)('through the relay', () => {
  const webSocket = WebSocket as unknown as WebSocketClass;

  test('what two type at one place at the same time stays whole, and cursors mean the same for both', async () => {
    const relay = await startRelay('memory');
    const name = freshName();
    const open = (): Promise<ReplicaType> => Replica.open(name, { relay: relay.url, storage: 'memory', webSocket });
    const [anna, ben] = await Promise.all([open(), open()]);
    anna.text('note').append('[😀]');
    await anna.synced();
    await changeTo(ben, () => ben.text('note').toString() === '[😀]');
    const cursor = anna.text('note').cursor(3);
    const told: TextEvent[] = [];
    ben.text('note').subscribe((event) => told.push(event));
    anna.disconnect();
    ben.disconnect();
    for (const letter of 'anna 🌱') anna.text('note').insert(anna.text('note').length - 1, letter);
    for (const letter of 'ben 🥛') ben.text('note').insert(ben.text('note').length - 1, letter);
    expect(told.splice(0).every(({ origin }) => origin === 'local')).toBe(true);
    anna.connect();
    ben.connect();
    await changeTo(anna, () => anna.text('note').length === 17);
    await changeTo(ben, () => ben.text('note').length === 17);
    expect(['[😀anna 🌱ben 🥛]', '[😀ben 🥛anna 🌱]']).toContain(anna.text('note').toString());
    expect(ben.text('note').toString()).toBe(anna.text('note').toString());
    expect([anna.text('note').indexOf(cursor), ben.text('note').indexOf(cursor)]).toEqual([16, 16]);
    expect(told.every(({ origin, deltas }) => origin === 'remote' && deltas !== undefined)).toBe(true);
    await Promise.all([anna.close(), ben.close()]);
    await relay.kill();
  });

  test.each([1, 2, 3, 4])('what several write comes together, and the deltas of each lead there: seed %i', async (seed) => {
    const relay = await startRelay('memory');
    const [name, random] = [freshName(), randomFrom(seed)];
    const open = (): Promise<ReplicaType> => Replica.open(name, { relay: relay.url, storage: 'memory', webSocket });
    const replicas = await Promise.all([open(), open(), open()]);
    const told = replicas.map(() => '');
    replicas.forEach((one, at) => one.text('note').subscribe(({ deltas }) => (told[at] = deltas!.reduce(applied, told[at]!))));
    for (let round = 0; round < 8; round += 1) {
      if (random(2) === 0) replicas[random(3)]!.disconnect();
      for (let step = 0; step < 20; step += 1) {
        const handle = replicas[random(3)]!.text('note');
        const plain = handle.toString();
        expect(edited(handle, plain, random)).toBe(handle.toString());
        if (random(3) === 0) await new Promise((done) => setImmediate(done));
      }
      for (const one of replicas) one.connect();
      await Promise.all(replicas.map((one) => one.synced()));
    }
    const fresh = await open();
    await fresh.synced();
    const expected = fresh.text('note').toString();
    for (const one of replicas) await changeTo(one, () => one.text('note').toString() === expected);
    expect(told).toEqual([expected, expected, expected]);
    await Promise.all([fresh, ...replicas].map((one) => one.close()));
    await relay.kill();
  });
});
