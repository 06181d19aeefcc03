// Handles: typed access to the containers of a document, by path.
//
// A handle holds nothing but its path, so it costs little, never goes stale, and may be made before there is anything at its
// place: reading creates nothing, and the first write creates what is missing on the way, except elements of lists.

import { badArgument, wellFormed, type Reader, type Writer } from './codec.js';
import { Edit, Read } from './ops.js';
import { args, badIndex, readIds, readScalars } from './engine.js';
import type { ElementId, Expand, Kind, MapSnapshot, PathStep, Scalar, Snapshot, TextEvent, TextSpan } from './types.js';
import type { View } from './view.js';

/** What handles need of their replica. */
export interface Host {
  /** Runs the edit in the open transaction, or in one of its own. */
  edit(args: () => Writer): Reader;
  read(args: Writer): Reader;
  /** Committed states only. */
  view(): View;
  isInTransaction(): boolean;
  subscribeTo(path: readonly PathStep[], listener: (event: TextEvent) => void): () => void;
}

/** What all handles can do. */
export abstract class Handle<S> {
  /** The way from the document to this container. */
  readonly path: readonly PathStep[];
  /** @internal */
  protected readonly host: Host;

  /** @internal */
  constructor(host: Host, path: readonly PathStep[]) {
    this.host = host;
    this.path = path;
  }

  /** The id, if this is an element of a list. */
  get id(): ElementId | undefined {
    const step = this.path[this.path.length - 1]!;
    return 'element' in step ? step.element : undefined;
  }

  /** What is here as of the last transaction. Frozen; the same object as long as nothing changes. */
  abstract snapshot(): S;

  /** Calls the listener when this container, or anything in it, changed. Returns how to end that. */
  subscribe(listener: () => void): () => void {
    return this.host.subscribeTo(this.path, () => listener());
  }

  /** @internal */
  protected read(op: Read, fill: (args: Writer) => Writer = same): Reader {
    return this.host.read(fill(args().byte(op).path(this.path)));
  }

  /** @internal */
  protected edit(op: Edit, fill: (args: Writer) => Writer = same): Reader {
    return this.host.edit(() => fill(args().byte(op).path(this.path)));
  }
}

/** Keys with values and nested containers. */
export class MapHandle extends Handle<MapSnapshot> {
  /** The value at a key; of concurrent ones the last written. Flags and nested containers have their own accessors. */
  get(key: string): Scalar | undefined {
    return optional(this.read(Read.MapGet, (args) => args.string(text(key))));
  }

  /** All values at a key: more than one after concurrent writes, until the next one. */
  values(key: string): Scalar[] {
    return readScalars(this.read(Read.MapValues, (args) => args.string(text(key))));
  }

  /** Whether there is anything at a key. */
  has(key: string): boolean {
    return this.read(Read.MapHas, (args) => args.string(text(key))).byte() !== 0;
  }

  /** The keys at which there is anything, in their order. */
  keys(): string[] {
    const reader = this.read(Read.MapKeys);
    return Array.from({ length: reader.uint() }, () => reader.string());
  }

  /** Puts a value at a key, in place of everything that is there. */
  put(key: string, value: Scalar): void {
    this.edit(Edit.MapPut, (args) => args.string(text(key)).scalar(value));
  }

  /** Removes everything at a key. */
  remove(key: string): void {
    this.edit(Edit.MapRemove, (args) => args.string(text(key)));
  }

  /** Removes everything. */
  clear(): void {
    this.edit(Edit.MapClear);
  }

  /** The map at a key. Maps created there independently merge, as do all nested containers. */
  map(key: string): MapHandle {
    return new MapHandle(this.host, this.#below(key, 'map'));
  }

  /** The list at a key. */
  list(key: string): ListHandle {
    return new ListHandle(this.host, this.#below(key, 'list'));
  }

  /** The set at a key. */
  set(key: string): SetHandle {
    return new SetHandle(this.host, this.#below(key, 'set'));
  }

  /** The counter at a key. */
  counter(key: string): CounterHandle {
    return new CounterHandle(this.host, this.#below(key, 'counter'));
  }

  /** The flag at a key. */
  flag(key: string): FlagHandle {
    return new FlagHandle(this.host, this.#below(key, 'flag'));
  }

  /** The text at a key. */
  text(key: string): TextHandle {
    return new TextHandle(this.host, this.#below(key, 'text'));
  }

  snapshot(): MapSnapshot {
    return this.host.view().map(this.path);
  }

  #below(key: string, kind: Kind): readonly PathStep[] {
    return below(this.path, { key: text(key), kind });
  }
}

/** Elements in an order that all replicas agree on. Each has an id that stays when it moves. */
export class ListHandle extends Handle<readonly Snapshot[]> {
  /** How many elements there are. */
  get length(): number {
    return this.read(Read.ListLength).uint();
  }

  /** The value of an element; `undefined` if there is none, or if it is a container. */
  get(at: number | ElementId): Scalar | undefined {
    return optional(this.read(Read.ListGet, (args) => target(args, at)));
  }

  /** What an element is; `undefined` if there is none. */
  kind(at: number | ElementId): Kind | undefined {
    const reader = this.read(Read.ListKind, (args) => target(args, at));
    return reader.byte() === 0 ? undefined : reader.kind();
  }

  /** The ids of all elements, in their order: parallel to the snapshot. */
  ids(): readonly ElementId[] {
    return this.host.isInTransaction() ? readIds(this.read(Read.ListIds), (id) => id) : this.host.view().ids(this.path);
  }

  /** Where an element is at present; −1 if it is not in the list any more. */
  indexOf(id: ElementId): number {
    return this.read(Read.ListIndexOf, (args) => args.element(id)).uint() - 1;
  }

  /** Inserts a value before the element that is at `index`, or at the end if `index` is the length. */
  insert(index: number, value: Scalar): ElementId {
    return this.edit(Edit.ListInsert, (args) => args.uint(position(index)).scalar(value)).element();
  }

  /** Appends a value. */
  push(value: Scalar): ElementId {
    return this.insert(this.length, value);
  }

  /** Inserts an empty map before the element that is at `index`, or at the end if `index` is the length. */
  insertMap(index: number): MapHandle {
    return this.map(this.#insert(index, 'map'));
  }

  /** Inserts an empty list. */
  insertList(index: number): ListHandle {
    return this.list(this.#insert(index, 'list'));
  }

  /** Inserts an empty set. */
  insertSet(index: number): SetHandle {
    return this.setAt(this.#insert(index, 'set'));
  }

  /** Inserts a counter, at 0. */
  insertCounter(index: number): CounterHandle {
    return this.counter(this.#insert(index, 'counter'));
  }

  /** Inserts a flag, off. */
  insertFlag(index: number): FlagHandle {
    return this.flag(this.#insert(index, 'flag'));
  }

  /** Inserts an empty text. */
  insertText(index: number): TextHandle {
    return this.text(this.#insert(index, 'text'));
  }

  /** Appends an empty map. */
  pushMap(): MapHandle {
    return this.insertMap(this.length);
  }

  /** Appends an empty list. */
  pushList(): ListHandle {
    return this.insertList(this.length);
  }

  /** Appends an empty set. */
  pushSet(): SetHandle {
    return this.insertSet(this.length);
  }

  /** Appends a counter, at 0. */
  pushCounter(): CounterHandle {
    return this.insertCounter(this.length);
  }

  /** Appends a flag, off. */
  pushFlag(): FlagHandle {
    return this.insertFlag(this.length);
  }

  /** Appends an empty text. */
  pushText(): TextHandle {
    return this.insertText(this.length);
  }

  /** Removes an element with all that is in it. */
  remove(at: number | ElementId): void {
    this.edit(Edit.ListRemove, (args) => target(args, at));
  }

  /** Moves an element to where its index will be `toIndex`. */
  move(at: number | ElementId, toIndex: number): void {
    this.edit(Edit.ListMove, (args) => target(args, at).uint(position(toIndex)));
  }

  /** Overwrites the value of an element. */
  set(at: number | ElementId, value: Scalar): void {
    this.edit(Edit.ListSet, (args) => target(args, at).scalar(value));
  }

  /** The map that is this element. */
  map(id: ElementId): MapHandle {
    return new MapHandle(this.host, this.#below(id));
  }

  /** The list that is this element. */
  list(id: ElementId): ListHandle {
    return new ListHandle(this.host, this.#below(id));
  }

  /** The set that is this element. (`set` overwrites a value.) */
  setAt(id: ElementId): SetHandle {
    return new SetHandle(this.host, this.#below(id));
  }

  /** The counter that is this element. */
  counter(id: ElementId): CounterHandle {
    return new CounterHandle(this.host, this.#below(id));
  }

  /** The flag that is this element. */
  flag(id: ElementId): FlagHandle {
    return new FlagHandle(this.host, this.#below(id));
  }

  /** The register that is this element. */
  register(id: ElementId): RegisterHandle {
    return new RegisterHandle(this.host, this.#below(id));
  }

  /** The text that is this element. */
  text(id: ElementId): TextHandle {
    return new TextHandle(this.host, this.#below(id));
  }

  snapshot(): readonly Snapshot[] {
    return this.host.view().list(this.path);
  }

  #insert(index: number, kind: Kind): ElementId {
    return this.edit(Edit.ListInsertContainer, (args) => args.uint(position(index)).kind(kind)).element();
  }

  #below(id: ElementId): readonly PathStep[] {
    if (typeof id !== 'string') throw badArgument('the id of an element is a string');
    return below(this.path, { element: id });
  }
}

/** Values without order, each once. Adding wins over a concurrent removal. */
export class SetHandle extends Handle<readonly Scalar[]> {
  /** How many members there are. */
  get size(): number {
    return this.read(Read.SetSize).uint();
  }

  /** Whether a value is a member. */
  has(value: Scalar): boolean {
    return this.read(Read.SetHas, (args) => args.scalar(value)).byte() !== 0;
  }

  /** The members, in the same order on all replicas. */
  values(): Scalar[] {
    const reader = this.read(Read.Content);
    return reader.byte() === 0 || reader.kind() !== 'set' ? [] : readScalars(reader);
  }

  /** Adds a member, also if it is one: a concurrent removal then does not take it away. */
  add(value: Scalar): void {
    this.edit(Edit.SetAdd, (args) => args.scalar(value));
  }

  /** Removes a member. Returns whether it was one. */
  delete(value: Scalar): boolean {
    const isMember = this.has(value);
    if (isMember) this.edit(Edit.SetRemove, (args) => args.scalar(value));
    return isMember;
  }

  /** Removes every member. */
  clear(): void {
    this.edit(Edit.SetClear);
  }

  snapshot(): readonly Scalar[] {
    return this.host.view().set(this.path);
  }
}

/** A number that replicas add to; all additions count. */
export class CounterHandle extends Handle<number | bigint> {
  /** The sum: a `bigint` only beyond ±(2^53 − 1). */
  get value(): number | bigint {
    return (leaf(this.read(Read.Content), 'counter') as number | bigint | undefined) ?? 0;
  }

  /** Adds an integer, which may be negative. */
  add(amount: number | bigint): void {
    if (typeof amount !== 'bigint' && !Number.isSafeInteger(amount)) throw badArgument('counters count in integers');
    // Negative zero counts as zero.
    this.edit(Edit.CounterAdd, (args) => args.scalar(amount === 0 ? 0 : amount));
  }

  snapshot(): number | bigint {
    return (this.host.view().value(this.path, 'counter') as number | bigint | undefined) ?? 0;
  }
}

/** On or off. Enabling wins over a concurrent disabling. */
export class FlagHandle extends Handle<boolean> {
  /** Whether it is on. */
  get value(): boolean {
    return leaf(this.read(Read.Content), 'flag') === true;
  }

  /** Turns it on, also if it is: a concurrent disabling then does not turn it off. */
  enable(): void {
    this.set(true);
  }

  /** Turns it off. */
  disable(): void {
    this.set(false);
  }

  /** Turns it on or off. */
  set(isOn: boolean): void {
    this.edit(Edit.FlagSet, (args) => args.byte(isOn ? 1 : 0));
  }

  snapshot(): boolean {
    return this.host.view().value(this.path, 'flag') === true;
  }
}

/** A value that is overwritten as a whole. */
export class RegisterHandle extends Handle<Scalar | undefined> {
  /** The value; of concurrent ones the last written. */
  get(): Scalar | undefined {
    return leaf(this.read(Read.Content), 'register');
  }

  /** All values: more than one after concurrent writes, until the next one. */
  values(): Scalar[] {
    return readScalars(this.read(Read.RegisterValues));
  }

  /** Overwrites all values that are there. */
  set(value: Scalar): void {
    this.edit(Edit.RegisterSet, (args) => args.scalar(value));
  }

  snapshot(): Scalar | undefined {
    return this.host.view().value(this.path, 'register');
  }
}

/**
 * Characters in an order that all replicas agree on. What several write at one place stays whole, one behind the other; deleting
 * takes away what was seen, not what others write there meanwhile.
 *
 * Indices and lengths count code units of UTF-16, as those of strings do. A character beyond U+FFFF has two: an index in the middle of
 * it is refused (`inside-character`), and so is an index beyond the end (`index-out-of-range`), and a string that holds half a
 * character (`bad-argument`).
 */
export class TextHandle extends Handle<string> {
  /** How many code units of UTF-16 it has. */
  get length(): number {
    return this.read(Read.TextLength).uint();
  }

  /** How many lines there are: one more than line feeds. */
  get lines(): number {
    const reader = this.read(Read.TextLength);
    reader.uint();
    return reader.uint();
  }

  /** All of it; inside a transaction, as it is at that moment. */
  override toString(): string {
    return this.slice(0);
  }

  /** What is from `start` to before `end`, as far as there is anything. */
  slice(start: number, end: number = Number.MAX_SAFE_INTEGER): string {
    return found(this.read(Read.TextSlice, (args) => args.uint(position(start)).uint(position(end)))).string();
  }

  /** Inserts a string so that it begins at `index`. */
  insert(index: number, string: string): void {
    this.replace(index, 0, string);
  }

  /** Inserts a string at the end. */
  append(string: string): void {
    this.replace(this.length, 0, string);
  }

  /** Deletes `count` units from `index` on. What others write among them meanwhile stays. */
  delete(index: number, count: number): void {
    this.replace(index, count, '');
  }

  /** Puts a string in place of `count` units from `index` on. */
  replace(index: number, count: number, string: string): void {
    this.edit(Edit.TextReplace, (args) => args.uint(position(index)).uint(position(count)).string(whole(string)));
  }

  /**
   * Makes it read as `string`, by the fewest insertions and deletions. What others write meanwhile stays where it is, as far as what it is
   * next to stays.
   */
  setText(string: string): void {
    this.edit(Edit.TextSet, (args) => args.string(whole(string)));
  }

  /**
   * Marks `count` units from `index` on: bold, a link, a comment. A key has one value at a time for each character; of concurrent ones the
   * last written. Bold goes on where one types on behind it (`'after'`); a link should not (`'none'`).
   */
  mark(index: number, count: number, key: string, value: Scalar = true, expand: Expand = 'after'): void {
    const ends = EXPANDS.indexOf(expand);
    if (ends < 0) throw badArgument('a mark expands none, before, after or both');
    this.edit(Edit.TextMark, (args) => args.uint(position(index)).uint(position(count)).string(text(key)).byte(ends).scalar(value));
  }

  /** Takes a key off `count` units from `index` on. */
  unmark(index: number, count: number, key: string): void {
    this.edit(Edit.TextUnmark, (args) => args.uint(position(index)).uint(position(count)).string(text(key)));
  }

  /** The text in pieces, each with its marks: nothing if it is empty, one if nothing is marked. */
  spans(): TextSpan[] {
    const reader = this.read(Read.TextSpans);
    const spans: TextSpan[] = [];
    while (!reader.done) {
      const [text, marks] = [reader.string(), Object.create(null) as Record<string, Scalar>];
      for (let left = reader.uint(); left > 0; left -= 1) {
        const key = reader.string();
        marks[key] = reader.scalar();
      }
      spans.push({ text, marks });
    }
    return spans;
  }

  /**
   * The place at an index, as bytes that may be kept and sent: it stays between the characters it is between while the text is edited.
   * With `'left'` it keeps to the character before it, and what is inserted there comes behind it; with `'right'` to the one behind it.
   */
  cursor(index: number, bias: 'left' | 'right' = 'right'): Uint8Array {
    return found(this.read(Read.TextCursor, (args) => args.byte(bias === 'left' ? 0 : 1).uint(position(index)))).bytes();
  }

  /** Where a cursor of this text is now. `undefined` if this replica has not got yet what it was made in, or the text is not there. */
  indexOf(cursor: Uint8Array): number | undefined {
    const place = this.read(Read.TextIndexOf, (args) => args.bytes(cursor)).uint();
    return place === 0 ? undefined : place - 1;
  }

  /** Calls the listener when the text changed, with what became of it. Returns how to end that. */
  override subscribe(listener: (event: TextEvent) => void): () => void {
    return this.host.subscribeTo(this.path, listener);
  }

  snapshot(): string {
    return (this.host.view().value(this.path, 'text') as string | undefined) ?? '';
  }
}

const EXPANDS: readonly Expand[] = ['none', 'before', 'after', 'both'];

function same(args: Writer): Writer {
  return args;
}

function below(path: readonly PathStep[], step: PathStep): readonly PathStep[] {
  return Object.freeze([...path, Object.freeze(step)]);
}

function text(key: string): string {
  if (typeof key !== 'string') throw badArgument('a key is a string');
  return wellFormed(key);
}

function position(index: number): number {
  if (!Number.isSafeInteger(index) || index < 0) throw badArgument('an index is an integer from 0');
  return index;
}

/** UTF-8 holds no half of a character. */
function whole(string: string): string {
  if (typeof string !== 'string' || wellFormed(string) !== string) throw badArgument('what is written is a string of whole characters');
  return string;
}

/** The reply, unless it is about an index that is no place in the text. */
function found(reader: Reader): Reader {
  if (reader.byte() === 0) throw badIndex(reader.uint(), reader.uint());
  return reader;
}

/** An element by its place or by its id. */
function target(args: Writer, at: number | ElementId): Writer {
  return typeof at === 'number' ? args.byte(0).uint(position(at)) : args.byte(1).element(at);
}

function optional(reader: Reader): Scalar | undefined {
  return reader.byte() === 0 ? undefined : reader.scalar();
}

/** The content of a register, a flag or a counter, if it is one. */
function leaf(reader: Reader, kind: Kind): Scalar | undefined {
  if (reader.byte() === 0 || reader.kind() !== kind) return undefined;
  return kind === 'register' ? optional(reader) : reader.scalar();
}
