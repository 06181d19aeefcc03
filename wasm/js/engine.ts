// The WebAssembly engine behind one replica, and the guard around it.
//
// A call that traps leaves the module in an unknown state. From then on every call, of every replica of this module, throws
// `PoisonedError`: memory is shared, so none of them can be trusted. Nothing else the module does throws; its errors are
// returned, as a code and numbers, and become exceptions here.

import { Reader, Writer, badArgument, elementIdOf } from './codec.js';
import { ClosedError, PoisonedError, WeftlineError } from './errors.js';
import { call, create, destroy } from './module.js';
import { Command, Fault } from './ops.js';
import type { Persist } from './storage/flusher.js';
import type { StoreChange } from './storage/types.js';
import type { Change, ChangeEvent, CloseReason, ElementId, Link, Refusal, Scalar, Status, TextDelta } from './types.js';

export interface Opening {
  readonly name: string;
  /** The slot whose exclusive lock is held; `null` where no lock is to be had. */
  readonly slot: number | null;
  readonly stored: readonly Uint8Array[];
}

/** How many random bytes an engine takes: for the id of the replica and for the backoff. */
const ENTROPY_BYTES = 32;

const LINKS: readonly Link[] = ['offline', 'connecting', 'catching-up', 'live'];
const CLOSE_REASONS: readonly CloseReason[] = [
  'done',
  'version',
  'protocol',
  'denied',
  'superseded',
  'limit',
  'restart',
  'storage',
  'storage-full',
  'too-many',
  'quarantined',
  'expired',
  'token',
  'revoked',
];
const REFUSALS: readonly Refusal[] = [
  'not-ready',
  'gap',
  'fork',
  'too-large',
  'invalid',
  'too-many-replicas',
  'read-only',
  'document-full',
  'storage',
  'storage-full',
];

let poison: PoisonedError | undefined;

function guarded<T>(call: () => T): T {
  if (poison !== undefined) throw poison;
  try {
    return call();
  } catch (cause) {
    poison = new PoisonedError(cause);
    throw poison;
  }
}

const writer = new Writer();

/** Starts the arguments of a call. */
export function args(): Writer {
  return writer.reset();
}

const NOTHING = new Uint8Array();

/** Ends the engines of replicas that nobody has closed, when nobody can any more. */
const abandoned = new FinalizationRegistry(end);

function end(engine: number): void {
  if (poison === undefined) guarded(() => destroy(engine));
}

export class Engine {
  readonly #number: number;
  #isFreed = false;

  /** The module must be loaded. */
  constructor(opening: Opening) {
    const entropy = crypto.getRandomValues(new Uint8Array(ENTROPY_BYTES));
    this.#number = guarded(() => create(entropy));
    abandoned.register(this, this.#number, this);
    // A writer of its own: the shared one would stay as large as all that is stored.
    const request = new Writer()
      .string(opening.name)
      .uint(opening.slot === null ? 0 : opening.slot + 1);
    for (const record of opening.stored) request.bytes(record);
    try {
      this.#call(Command.Open, request.done());
    } catch (error) {
      this.free();
      throw error;
    }
  }

  // ---- the document ----

  begin(): void {
    this.#call(Command.Begin);
  }

  /** Gives what the transaction changed. */
  commit(): ChangeEvent {
    return readChanges(this.#call(Command.Commit));
  }

  rollback(): void {
    this.#call(Command.Rollback);
  }

  /** The arguments begin with what edit it is, and where. */
  edit(args: Writer): Reader {
    return this.#call(Command.Edit, args.done());
  }

  /** The arguments begin with what is asked, and of what. */
  read(args: Writer): Reader {
    return this.#call(Command.Read, args.done());
  }

  // ---- what drives it ----

  dialing(): void {
    this.#call(Command.Dialing);
  }

  connected(): void {
    this.#call(Command.Connected);
  }

  disconnected(): void {
    this.#call(Command.Disconnected);
  }

  /** An error means that the connection must be closed. */
  frame(bytes: Uint8Array): void {
    this.#call(Command.Frame, bytes);
  }

  /** An error means that the connection must be closed. */
  tick(): void {
    this.#call(Command.Tick);
  }

  durable(token: number): void {
    this.#call(Command.Durable, args().uint(token).done());
  }

  retire(): void {
    this.#call(Command.Retire);
  }

  /** When to call `tick`, in milliseconds since the epoch; undefined: no need to. */
  deadline(): number | undefined {
    const reader = this.#call(Command.Deadline);
    return reader.done ? undefined : reader.uint();
  }

  /** The next thing to do, or undefined. */
  poll(): Reader | undefined {
    const reader = this.#call(Command.Poll);
    return reader.done ? undefined : reader;
  }

  status(): Status & { stuck: number } {
    const reader = this.#call(Command.Status);
    const [link, unsaved, unstored, stuck] = [LINKS[reader.byte()]!, reader.uint(), reader.uint(), reader.uint()];
    const closed = CLOSE_REASONS[reader.byte() - 1];
    const isParked = reader.byte() !== 0;
    const refused = REFUSALS[reader.byte() - 1];
    return {
      link,
      unsaved,
      unstored,
      stuck,
      ...(closed === undefined ? {} : { closed }),
      ...(isParked ? { isParked } : {}),
      ...(refused === undefined ? {} : { refused, refusedEdit: reader.element() }),
    };
  }

  /** How long to wait before the next attempt to connect, in milliseconds. */
  nextDelay(): number {
    return this.#call(Command.NextDelay).uint();
  }

  resetDelay(): void {
    this.#call(Command.ResetDelay);
  }

  isCompactionDue(rowBytes: number, snapshotBytes: number): boolean {
    return this.#call(Command.IsCompactionDue, args().uint(rowBytes).uint(snapshotBytes).done()).byte() !== 0;
  }

  /** The whole document as one record for storage; undefined while something in it is not stored yet (DUR-1). */
  compact(): { key: string; record: Uint8Array } | undefined {
    const reader = this.#call(Command.Compact);
    if (reader.done) return undefined;
    reader.byte();
    return { key: reader.string(), record: reader.bytes() };
  }

  /** Whether a stored record is superfluous beside what `compact` gave last. */
  covers(record: Uint8Array): boolean {
    return this.#call(Command.Covers, record).byte() !== 0;
  }

  /** What is shown to others, or nothing any more. */
  setPresence(value: Uint8Array | undefined): void {
    const request = new Uint8Array(value === undefined ? 1 : value.length + 1);
    if (value !== undefined) {
      request[0] = 1;
      request.set(value, 1);
    }
    this.#call(Command.SetPresence, request);
  }

  /** What says what may be done at the relay; empty for nothing. */
  setToken(token: string): void {
    this.#call(Command.SetToken, new TextEncoder().encode(token));
  }

  free(): void {
    if (this.#isFreed) return;
    this.#isFreed = true;
    abandoned.unregister(this);
    end(this.#number);
  }

  #call(command: Command, bytes: Uint8Array = NOTHING): Reader {
    if (this.#isFreed) throw new ClosedError();
    const reader = new Reader(guarded(() => call(this.#number, command, Date.now(), bytes)));
    const fault = reader.byte() as Fault | 0;
    if (fault !== 0) throw errorOf(fault, reader);
    return reader;
  }
}

/** What a `Changed` output says. */
export function readChanges(reader: Reader): ChangeEvent {
  const origin = reader.byte() === 0 ? 'local' : 'remote';
  const changes: Change[] = [];
  while (!reader.done) {
    const path = Object.freeze(reader.path().map((step) => Object.freeze(step)));
    changes.push(Object.freeze(readChange(path, reader)));
  }
  return { origin, changes };
}

function readChange(path: Change['path'], reader: Reader): Change {
  switch (reader.byte()) {
    case 0:
      return { path, type: 'key', key: reader.string() };
    case 1:
      return { path, type: 'member', member: reader.scalar() };
    case 2:
      return { path, type: 'value' };
    case 3:
      return { path, type: 'inserted', element: reader.element() };
    case 4:
      return { path, type: 'removed', element: reader.element() };
    case 5:
      return { path, type: 'moved', element: reader.element() };
    case 6:
      return { path, type: 'text', delta: Object.freeze(Array.from({ length: reader.uint() }, () => Object.freeze(readStep(reader)))) };
    default:
      return { path, type: 'marks', key: reader.string() };
  }
}

function readStep(reader: Reader): TextDelta[number] {
  switch (reader.byte()) {
    case 0:
      return { retain: reader.uint() };
    case 1:
      return { insert: reader.string() };
    default:
      return { delete: reader.uint() };
  }
}

/** What a `Persist` output says. */
export function readPersist(reader: Reader): Persist {
  const token = reader.uint();
  const isStrict = reader.byte() === 1;
  const changes: StoreChange[] = [];
  while (!reader.done) changes.push(readStoreChange(reader));
  return { token, isStrict, changes };
}

function readStoreChange(reader: Reader): StoreChange {
  return reader.byte() === 0
    ? { key: reader.string(), record: reader.bytes() }
    : { first: reader.string(), last: reader.string() };
}

/** The elements of a list: a replica is named only where it is another one than that of the element before. */
export function readIds<T>(reader: Reader, each: (id: ElementId) => T): T[] {
  let replica = '';
  return Array.from({ length: reader.uint() }, () => {
    if (reader.byte() !== 0) replica = reader.replica();
    return each(elementIdOf(replica, reader.uint()));
  });
}

export function readScalars(reader: Reader): Scalar[] {
  return Array.from({ length: reader.uint() }, () => reader.scalar());
}

function errorOf(fault: Fault, reader: Reader): WeftlineError {
  switch (fault) {
    case Fault.NoSuchElement:
      return new WeftlineError('no-such-element', 'there is no such element in the list');
    case Fault.IndexOutOfRange:
      return badIndex(reader.uint(), reader.uint());
    case Fault.WrongKind:
      return new WeftlineError('wrong-kind', `a ${reader.kind()} was expected, there is a ${reader.kind()}`);
    case Fault.Limit:
      return new WeftlineError('limit', `${LIMITS[reader.byte()]} is ${reader.uint()}, the limit is ${reader.uint()}`);
    case Fault.CounterOverflow:
      return new WeftlineError('counter-overflow', 'the counter would leave its range');
    case Fault.Transaction:
      return new WeftlineError('transaction', 'not possible at this point of a transaction');
    case Fault.Protocol:
      return new WeftlineError('protocol', `the relay ${['broke the protocol', 'has gone silent', 'speaks another version'][reader.byte()]}`);
    case Fault.StoredData:
      return new WeftlineError('stored-data', `what is stored cannot be read (${reader.uint()})`);
    default:
      return badArgument('the engine did not understand');
  }
}

/** What is within the length and refused all the same is between the halves of a character. */
export function badIndex(index: number, length: number): WeftlineError {
  return index < length
    ? new WeftlineError('inside-character', `index ${index} is in the middle of a character`)
    : new WeftlineError('index-out-of-range', `index ${index} where the length is ${length}`);
}

/** What limits are on, by number. */
const LIMITS = [
  'a limit',
  'the length of a key',
  'the depth of containers',
  'the size of a transaction',
  'the length of a name',
  'the depth of positions',
  'the size of what is shown',
];
