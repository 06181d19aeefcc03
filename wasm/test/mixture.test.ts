// Snapshots against reading everything anew, over random edits by one replica, and by several through the relay.
//
// Inside a transaction a snapshot is made from nothing, so it says what any other one must say. Handles are kept for long and
// asked at random: of what is gone, of what came again, of what is there as something else.

import { WebSocket } from 'ws';
import { describe, expect, test } from 'vitest';
import { Replica, WeftlineError } from 'weftline';
import type { CounterHandle, ElementId, FlagHandle, ListHandle, MapHandle, RegisterHandle, Replica as ReplicaType } from '../js/index.node.js';
import type { Scalar, SetHandle, TextHandle, WebSocketClass } from '../js/index.node.js';
import { changeTo, freshName, openInMemory, randomFrom, relayProgram, startRelay } from './support.js';

type Kinds = { map: MapHandle; list: ListHandle; set: SetHandle; counter: CounterHandle; flag: FlagHandle; register: RegisterHandle; text: TextHandle };
/** A handle, and what it is for. */
type Any = { [K in keyof Kinds]: { readonly kind: K; readonly handle: Kinds[K] } }[keyof Kinds];

const KINDS = ['map', 'list', 'set', 'counter', 'flag', 'text'] as const;
const KEYS = ['a', 'b', 'c'];
const VALUES: readonly Scalar[] = [1, 2, 'x', null, true];
/** Some handles to begin with, two kinds under one name among them, which stay. */
const ROOTS = 10;
const MOST_HANDLES = 60;
/** What edits by handles of what is gone, or is something else, are refused with. */
const REFUSED = ['no-such-element', 'wrong-kind', 'limit'];

class Editor {
  readonly replica: ReplicaType;
  readonly #random: (below: number) => number;
  readonly #handles: Any[];

  constructor(replica: ReplicaType, random: (below: number) => number) {
    this.replica = replica;
    this.#random = random;
    this.#handles = [
      { kind: 'map', handle: replica.map('m') },
      { kind: 'map', handle: replica.map('l') },
      { kind: 'list', handle: replica.list('l') },
      { kind: 'list', handle: replica.map('m').list('a') },
      { kind: 'map', handle: replica.map('m').map('a') },
      { kind: 'set', handle: replica.set('s') },
      { kind: 'counter', handle: replica.counter('c') },
      { kind: 'register', handle: replica.register('m') },
      { kind: 'text', handle: replica.text('s') },
      { kind: 'text', handle: replica.map('m').text('b') },
    ];
  }

  /** One edit, or a transaction of some of them that may be undone. */
  step(): void {
    if (this.#random(5) < 3) return this.#edit();
    const undone = new Error('undone');
    try {
      this.replica.transact(() => {
        for (let left = this.#random(5); left >= 0; left -= 1) this.#edit();
        if (this.#random(4) === 0) throw undone;
      });
    } catch (error) {
      if (error !== undone) throw error;
    }
  }

  /** Looks at some of it, so that snapshots are there that can go stale. */
  look(): void {
    for (const { handle } of this.#handles) if (this.#random(3) === 0) handle.snapshot();
    if (this.#random(3) === 0) this.replica.snapshot();
  }

  check(): void {
    const seen = (): unknown => [
      this.replica.snapshot(),
      this.#handles.map(({ kind, handle }) => [handle.path, handle.snapshot(), kind === 'list' ? handle.ids() : undefined]),
    ];
    expect(seen()).toEqual(this.replica.transact(seen));
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#random(from.length)]!;
  }

  #edit(): void {
    let any = this.#pick(this.#handles);
    if (this.#random(3) === 0) any = this.#below(any);
    try {
      this.#editBy(any);
    } catch (error) {
      if (!(error instanceof WeftlineError) || !REFUSED.includes(error.code)) throw error;
    }
    if (this.#handles.length > MOST_HANDLES) this.#handles.splice(ROOTS, this.#handles.length - MOST_HANDLES);
  }

  /** A container in this one, now and then as what it is not. */
  #below(any: Any): Any {
    let kind: keyof Kinds = this.#pick(KINDS);
    let below = any;
    if (any.kind === 'map') {
      below = { kind, handle: any.handle[kind](this.#pick(KEYS)) } as Any;
    } else if (any.kind === 'list' && any.handle.length > 0) {
      const id: ElementId = this.#pick(any.handle.ids());
      if (this.#random(8) > 0) kind = any.handle.kind(id)!;
      below = { kind, handle: kind === 'set' ? any.handle.setAt(id) : any.handle[kind](id) } as Any;
    }
    this.#handles.push(below);
    return below;
  }

  #editBy(any: Any): void {
    const value = this.#pick(VALUES);
    switch (any.kind) {
      case 'map': {
        const [key, choice] = [this.#pick(KEYS), this.#random(9)];
        if (choice < 4) any.handle.put(key, value);
        else if (choice < 7) any.handle.remove(key);
        else if (choice < 8) any.handle.clear();
        else any.handle.flag(key).set(value === true);
        break;
      }
      case 'list': {
        const { handle } = any;
        const [length, choice] = [handle.length, this.#random(13)];
        const index = this.#random(length + 1);
        if (choice < 2) handle.insert(index, value);
        else if (choice === 2) this.#handles.push({ kind: 'map', handle: handle.insertMap(index) });
        else if (choice === 3) this.#handles.push({ kind: 'list', handle: handle.insertList(index) });
        else if (choice === 4) this.#handles.push({ kind: 'set', handle: handle.insertSet(index) });
        else if (choice === 5) this.#handles.push({ kind: 'counter', handle: handle.insertCounter(index) });
        else if (choice === 6) this.#handles.push({ kind: 'flag', handle: handle.insertFlag(index) });
        else if (choice === 7) this.#handles.push({ kind: 'text', handle: handle.insertText(index) });
        else if (length > 0 && choice < 10) handle.move(this.#random(length), this.#random(length));
        else if (length > 0 && choice < 12) handle.remove(this.#random(length));
        else if (length > 0) handle.set(this.#random(length), value);
        break;
      }
      case 'set':
        if (this.#random(4) === 0) any.handle.clear();
        else if (this.#random(3) === 0) any.handle.delete(value);
        else any.handle.add(value);
        break;
      case 'counter':
        any.handle.add(1);
        break;
      case 'text': {
        const { length } = any.handle;
        if (this.#random(3) > 0) any.handle.insert(this.#random(length + 1), this.#pick(KEYS));
        else if (length > 0) any.handle.delete(this.#random(length), 1);
        else any.handle.setText(this.#pick(KEYS));
        break;
      }
      default:
        any.handle.set((any.kind === 'flag' ? value === true : value) as never);
    }
  }
}

test.each(Array.from({ length: 60 }, (_, seed) => seed))('what one replica shows is what there is: seed %i', async (seed) => {
  const replica = await openInMemory();
  const editor = new Editor(replica, randomFrom(seed));
  for (let step = 0; step < 120; step += 1) {
    editor.step();
    editor.look();
    if (step % 5 === 0) editor.check();
  }
  editor.check();
  await replica.close();
});

describe.runIf(relayProgram !== undefined)('through the relay', () => {
  test.each([1, 2, 3, 4, 5, 6])('what several show is what a fresh one shows, key for key: seed %i', async (seed) => {
    const relay = await startRelay('memory');
    const [name, random] = [freshName(), randomFrom(seed)];
    const webSocket = WebSocket as unknown as WebSocketClass;
    const open = (): Promise<ReplicaType> => Replica.open(name, { relay: relay.url, storage: 'memory', webSocket });
    const editors = (await Promise.all([open(), open(), open()])).map((replica) => new Editor(replica, random));
    for (const editor of editors) editor.replica.subscribe(() => editor.look());
    for (let round = 0; round < 12; round += 1) {
      if (random(2) === 0) editors[random(3)]!.replica.disconnect();
      for (let step = 0; step < 12; step += 1) {
        editors[random(3)]!.step();
        // What others sent comes in between.
        if (random(3) === 0) await new Promise((done) => setImmediate(done));
      }
      for (const { replica } of editors) replica.connect();
      await Promise.all(editors.map(({ replica }) => replica.synced()));
      for (const editor of editors) editor.check();
    }
    const fresh = await open();
    await fresh.synced();
    const expected = JSON.stringify(fresh.snapshot());
    for (const editor of editors) {
      await changeTo(editor.replica, () => JSON.stringify(editor.replica.snapshot()) === expected);
      editor.check();
    }
    await Promise.all([fresh, ...editors.map(({ replica }) => replica)].map((replica) => replica.close()));
    await relay.kill();
  });
});
