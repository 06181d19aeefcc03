// A field bound to a text: what is typed, what others write meanwhile, and where the caret is.

import { WebSocket } from 'ws';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Replica, bindTextarea } from 'weftline';
import type { Replica as ReplicaType, TextField, TextHandle, WebSocketClass } from '../js/index.node.js';
import { difference } from '../js/textarea.js';
import { changeTo, freshName, openInMemory, randomFrom, relayProgram, startRelay } from './support.js';

/** A textarea as the standard describes it, as far as it is used. */
class Field implements TextField {
  readonly #listeners = new Map<string, Set<(event: Event) => void>>();
  #value = '';
  selectionStart = 0;
  selectionEnd = 0;
  /** How often all of it was set. */
  sets = 0;

  get value(): string {
    return this.#value;
  }

  set value(value: string) {
    this.#value = value.replace(/\r\n?/g, '\n');
    this.selectionStart = this.selectionEnd = this.#value.length;
    this.sets += 1;
  }

  setSelectionRange(start: number, end: number): void {
    [this.selectionStart, this.selectionEnd] = [Math.min(start, this.#value.length), Math.min(end, this.#value.length)];
  }

  setRangeText(replacement: string, start: number, end: number, mode: 'preserve'): void {
    expect(mode).toBe('preserve');
    expect(start).toBeLessThanOrEqual(end);
    expect(end).toBeLessThanOrEqual(this.#value.length);
    this.#value = this.#value.slice(0, start) + replacement + this.#value.slice(end);
    const [more, behind] = [replacement.length - (end - start), start + replacement.length];
    if (this.selectionStart > end) this.selectionStart += more;
    else if (this.selectionStart > start) this.selectionStart = start;
    if (this.selectionEnd > end) this.selectionEnd += more;
    else if (this.selectionEnd > start) this.selectionEnd = behind;
  }

  addEventListener(type: string, listener: (event: Event) => void): void {
    this.#listeners.set(type, (this.#listeners.get(type) ?? new Set()).add(listener));
  }

  removeEventListener(type: string, listener: (event: Event) => void): void {
    this.#listeners.get(type)?.delete(listener);
  }

  /** What a listener throws comes out. */
  tell(type: string): void {
    for (const listener of this.#listeners.get(type) ?? []) listener(new Event(type));
  }

  /** Somebody types in place of what is selected. */
  type(insert: string): void {
    const [start, end] = [this.selectionStart, this.selectionEnd];
    this.#value = this.#value.slice(0, start) + insert + this.#value.slice(end);
    this.selectionStart = this.selectionEnd = start + insert.length;
    this.tell('input');
  }

  select(start: number, end: number = start): void {
    this.setSelectionRange(start, end);
  }

  get selection(): [number, number] {
    return [this.selectionStart, this.selectionEnd];
  }
}

describe('the difference', () => {
  const done = (before: string, { start, count, insert }: ReturnType<typeof difference>): string =>
    before.slice(0, start) + insert + before.slice(start + count);

  test.each([
    ['', 'a', 1, { start: 0, count: 0, insert: 'a' }],
    ['aaa', 'aaaa', 2, { start: 1, count: 0, insert: 'a' }],
    ['aaa', 'aaaa', 4, { start: 3, count: 0, insert: 'a' }],
    ['aaa', 'aa', 1, { start: 1, count: 1, insert: '' }],
    ['one two', 'one', 3, { start: 3, count: 4, insert: '' }],
    ['😀', '😁', 2, { start: 0, count: 2, insert: '😁' }],
    ['\u{1f600}', '\u{1fa00}', 2, { start: 0, count: 2, insert: '\u{1fa00}' }],
    ['😀', '😀😀', 2, { start: 0, count: 0, insert: '😀' }],
    ['a😀', 'a\ud83d', 2, { start: 1, count: 2, insert: '\ud83d' }],
    ['same', 'same', 2, { start: 4, count: 0, insert: '' }],
  ])('from %j to %j with the caret at %i', (before, after, caret, splice) => {
    const found = difference(before, after, caret);
    expect(done(before, found)).toBe(after);
    if (before !== after) expect(found).toEqual(splice);
  });

  test('leads from any string to any other, between characters, wherever the caret is', () => {
    const random = randomFrom(1);
    const string = (): string => Array.from({ length: random(6) }, () => ['a', 'b', '😀', '😁', '🌱'][random(5)]!).join('');
    for (let round = 0; round < 3000; round += 1) {
      const [before, after] = [string(), string()];
      const found = difference(before, after, random(after.length + 1));
      expect(done(before, found)).toBe(after);
      for (const at of [found.start, found.start + found.count]) expect(before.charCodeAt(at) & 0xfc00).not.toBe(0xdc00);
    }
  });
});

describe('a field', () => {
  let replica: ReplicaType;
  let text: TextHandle;
  let field: Field;
  let unbind: () => void;

  beforeEach(async () => {
    replica = await openInMemory();
    text = replica.map('m').text('note');
    field = new Field();
    unbind = bindTextarea(text, field);
  });

  afterEach(() => replica.close());

  test('shows the text, and writes what is typed', () => {
    for (const letter of 'buy 🥛') field.type(letter);
    expect(text.toString()).toBe('buy 🥛');
    field.select(0, 3);
    field.type('get');
    field.select(3);
    field.type('');
    expect(text.toString()).toBe('get 🥛');
    const other = new Field();
    bindTextarea(text, other);
    expect(other.value).toBe('get 🥛');
    other.select(6);
    other.type('!');
    expect(field.value).toBe('get 🥛!');
    expect(field.selection).toEqual([3, 3]);
    expect(field.sets).toBe(0);
  });

  test('each input is one edit of what was typed, where it was typed', () => {
    text.append('aaaa');
    const told: unknown[] = [];
    text.subscribe(({ deltas }) => told.push(...deltas!));
    field.select(2);
    field.type('a');
    field.select(1, 3);
    field.type('');
    expect(told).toEqual([[{ retain: 2 }, { insert: 'a' }], [{ retain: 1 }, { delete: 2 }]]);
  });

  test('the caret and the selection stay with their characters when others write', () => {
    text.append('one two three');
    field.select(4, 7);
    text.insert(0, '😀 ');
    expect(field.selection).toEqual([7, 10]);
    text.append('!');
    text.insert(3, 'before ');
    text.insert(16, '-');
    expect(field.value).toBe('😀 before one tw-o three!');
    expect(field.value.slice(...field.selection)).toBe('tw-o');
    field.select(7);
    text.insert(7, 'x');
    expect(field.selection).toEqual([7, 7]);
    text.delete(4, 8);
    expect(field.selection).toEqual([4, 4]);
    replica.transact(() => {
      text.insert(0, '>>');
      text.append('<<');
      text.delete(5, 1);
    });
    expect(field.value).toBe(text.toString());
    expect(field.selection).toEqual([5, 5]);
    expect(field.sets).toBe(0);
  });

  test('a text that comes and goes with what it is in', () => {
    text.append('came');
    expect(field.value).toBe('came');
    replica.map('m').remove('note');
    expect(field.value).toBe('');
    field.type('again');
    expect(text.toString()).toBe('again');
  });

  test('a word that is composed is not disturbed, and comes where it belongs', () => {
    text.append('one three');
    field.select(4);
    field.tell('compositionstart');
    field.type('t');
    expect(text.toString()).toBe('one tthree');
    text.insert(0, 'zero ');
    text.append('!');
    expect(field.value).toBe('one tthree');
    field.type('w');
    field.type('o ');
    expect(field.value).toBe('one two three');
    expect(text.toString()).toBe('zero one tthree!');
    field.tell('compositionend');
    expect(text.toString()).toBe('zero one two three!');
    expect(field.value).toBe('zero one two three!');
    expect(field.selection).toEqual([13, 13]);
  });

  test('ends of lines of any sort', () => {
    text.append('a\r\nb\rc');
    expect(field.value).toBe('a\nb\nc');
    field.select(3);
    field.type('!');
    field.select(2);
    field.type('?');
    expect(text.toString()).toBe('a\r\n?b!\rc');
    field.select(1, 2);
    field.type('');
    expect(text.toString()).toBe('a?b!\rc');
    field.select(4);
    text.insert(0, '\r\n');
    expect(field.value).toBe('\na?b!\nc');
  });

  test('half a character becomes a mark of replacement, in the text and in the field', () => {
    field.type('a\ud83d');
    expect(text.toString()).toBe('a\ufffd');
    expect(field.value).toBe('a\ufffd');
    expect(field.selection).toEqual([2, 2]);
  });

  test('what cannot be written is not shown', () => {
    const list = replica.list('l');
    const element = list.insertText(0);
    element.append('x');
    const other = new Field();
    bindTextarea(element, other);
    list.remove(element.id!);
    expect(other.value).toBe('');
    expect(() => other.type('y')).toThrowError(expect.objectContaining({ code: 'no-such-element' }));
    expect(other.value).toBe('');
  });

  test('after the end nothing is written and nothing shown', () => {
    field.type('a');
    unbind();
    unbind();
    field.type('b');
    text.append('c');
    expect([text.toString(), field.value]).toEqual(['ac', 'ab']);
  });
});

describe.runIf(relayProgram !== undefined)('through the relay', () => {
  test.each([1, 2, 3])('two people who type at the same time see the same, and each caret stays in its word: seed %i', async (seed) => {
    const relay = await startRelay('memory');
    const [name, random] = [freshName(), randomFrom(seed)];
    const webSocket = WebSocket as unknown as WebSocketClass;
    const people = await Promise.all(
      ['anna', 'ben'].map(async (word) => {
        const replica = await Replica.open(name, { relay: relay.url, storage: 'memory', webSocket });
        const [text, field] = [replica.text('note'), new Field()];
        bindTextarea(text, field);
        return { replica, text, field, word };
      }),
    );
    for (const { field, word } of people) field.type(`<${word}`);
    await Promise.all(people.map(({ replica }) => changeTo(replica, () => replica.text('note').length === 9)));
    const typed = people.map(() => '');
    for (let step = 0; step < 60; step += 1) {
      const at = random(2);
      const letter = '😀🌱abcd'.match(/./gu)![random(6)]!;
      typed[at] += letter;
      people[at]!.field.type(letter);
      if (random(3) === 0) await new Promise((done) => setImmediate(done));
    }
    const length = 9 + typed.join('').length;
    await Promise.all(people.map(({ replica }) => changeTo(replica, () => replica.text('note').length === length)));
    for (const { field, text } of people) expect(field.value).toBe(text.toString());
    expect(people[0]!.field.value).toBe(people[1]!.field.value);
    people.forEach(({ field, word }, at) => expect(field.value).toContain(`<${word}${typed[at]}`));
    await Promise.all(people.map(({ replica }) => replica.close()));
    await relay.kill();
  });
});
