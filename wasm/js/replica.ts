// A replica of one document: it joins the engine, local storage, the link to the relay, and those who listen.
//
// Everything that happens is passed to the engine, and then all it wants done is done (`#drain`). The engine never calls
// back: listeners run after it has returned, so they may use everything here. No call leaves the engine in the middle of
// something, except a transaction, whose body runs while it is open.
//
// Rules: DUR-1 nothing is sent before it is stored: the engine holds back what it was not told is durable. TAB-1 each tab
// is a replica with its own slot. ACK-6 the status is the engine's, read anew after each thing that happens.

/// <reference lib="esnext.disposable" preserve="true" />

import { badArgument, wellFormed, type Reader, type Writer } from './codec.js';
import { Engine, readChanges, readPersist } from './engine.js';
import { ClosedError, PoisonedError, StorageError, WeftlineError } from './errors.js';
import { Events, shielded } from './events.js';
import { CounterHandle, FlagHandle, ListHandle, MapHandle, RegisterHandle, SetHandle, TextHandle, type Host } from './handles.js';
import { Output } from './ops.js';
import { PresenceBoard, type Presence } from './presence.js';
import { Flusher } from './storage/flusher.js';
import { IndexedDbStorage } from './storage/indexeddb.js';
import { MemoryStorage } from './storage/memory.js';
import type { SlotLock, Storage, Store } from './storage/types.js';
import { Link } from './transport/link.js';
import type { WebSocketClass } from './transport/websocket.js';
import type { ChangeEvent, Kind, MapSnapshot, PathStep, Status } from './types.js';
import { View } from './view.js';

export interface OpenOptions {
  /** The relay's address, `ws:` or `wss:`. Without one the document stays on this device. */
  readonly relay?: string | URL | null | undefined;
  /** Where the document is kept. By default `'indexeddb'` where that exists, else `'memory'`. */
  readonly storage?: 'indexeddb' | 'memory' | Storage | undefined;
  /**
   * What says to the relay who this is and what it may do: a token, or who gives one. It is asked before each connection, and again
   * when the relay says that the last one ends soon; if it fails, it is asked later.
   */
  readonly token?: string | (() => string | Promise<string>) | undefined;
  /** Whether to connect at once. By default yes, where there is a relay. */
  readonly connect?: boolean | undefined;
  /** The websocket class, where there is no global one: that of the package `ws`, say. */
  readonly webSocket?: WebSocketClass | undefined;
}

const REPLICA = Symbol.for('weftline.replica');
/** What a relay says to whoever it may take back with another token. */
const NO_TOKEN: readonly unknown[] = ['token', 'expired', 'revoked'];
/** The table of the store that grows: the log. */
const ROWS = 'rows/';
const STATUS_FIELDS = ['link', 'unsaved', 'unstored', 'closed', 'isParked', 'refused', 'refusedEdit', 'storage', 'isPersistent', 'error'] as const;

/** What a replica is made of. @internal */
export interface Parts {
  readonly name: string;
  readonly engine: Engine;
  readonly store: Store;
  readonly slot: SlotLock | null;
  readonly stored: readonly Uint8Array[];
  readonly webSocket: WebSocketClass | undefined;
  readonly relay: string | undefined;
  readonly token: OpenOptions['token'];
}

/** Everything a replica does; the entries of the package add how it is opened. */
export class ReplicaBase {
  readonly name: string;
  /** @internal */
  readonly [REPLICA] = true;
  /** Who else has the document open, and what each shows of itself. Never stored. */
  readonly presence: Presence;
  readonly #presence: PresenceBoard;
  readonly #engine: Engine;
  readonly #store: Store;
  /** None where there are no locks, and from when it was given up. */
  #slot: SlotLock | null;
  readonly #flusher: Flusher;
  readonly #link: Link | undefined;
  readonly #token: (() => string | Promise<string>) | undefined;
  #view: View;
  readonly #events = new Events();
  readonly #statusListeners = new Set<(status: Status) => void>();
  readonly #storageListeners = new Set<(error: StorageError) => void>();
  /** Those who wait for a certain status. */
  readonly #waiting = new Set<() => void>();
  readonly #host: Host;
  #told: ChangeEvent[] = [];
  #status: Status = Object.freeze({ link: 'offline', unsaved: 0, unstored: 0 });
  #statusTold: Status = this.#status;
  #storageError: StorageError | undefined;
  #isPersistent: boolean | undefined;
  /** What is stored was lost: all of it is to be stored again. */
  #isEmptied = false;
  /** What is true once the compaction that was asked for last is done. */
  #compacted = (): void => {};
  #linkError: WeftlineError | undefined;
  #poison: PoisonedError | undefined;
  #isDraining = false;
  #isTelling = false;
  /** While a transaction is open: what made it impossible to commit, if anything did. */
  #transaction: { failure?: { readonly error: unknown } } | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closing: Promise<void> | undefined;
  /** The engine is gone. */
  #isOver = false;
  /** How long the log in the store is, and its snapshot, as far as is known. */
  #rowBytes: number;
  #snapshotBytes: number;

  /** @internal */
  constructor(parts: Parts) {
    this.name = parts.name;
    this.#engine = parts.engine;
    this.#store = parts.store;
    this.#slot = parts.slot;
    const { token } = parts;
    this.#token = typeof token === 'string' ? () => token : token;
    // If there is a snapshot, and it is not the longest record, compacting once too often does no harm.
    this.#snapshotBytes = parts.stored.reduce((longest, record) => Math.max(longest, record.length), 0);
    this.#rowBytes = parts.stored.reduce((sum, record) => sum + record.length, -this.#snapshotBytes);
    this.#view = new View(parts.engine);
    this.presence = this.#presence = new PresenceBoard((value) => {
      const engine = this.#running();
      this.#happens(() => engine.setPresence(value));
    });
    this.#flusher = new Flusher(parts.store, {
      durable: (tokens) => this.#happens(() => tokens.forEach((token) => this.#engine.durable(token))),
      trouble: (error) => {
        const isNews = error?.reason !== this.#storageError?.reason;
        this.#happens(() => {
          this.#storageError = error;
        });
        if (error !== undefined && isNews) this.#tellStorage(error);
      },
      compacted: () => this.#compacted(),
    });
    parts.store.onEmptied = () => {
      this.#isEmptied = true;
      this.#happens(() => undefined);
      this.#tellStorage(new StorageError('evicted', undefined));
    };
    void parts.store.persistence?.then((isPersistent) =>
      this.#happens(() => {
        this.#isPersistent = isPersistent;
      }),
    );
    if (parts.relay !== undefined && parts.webSocket !== undefined) {
      this.#link = new Link(parts.webSocket, parts.relay, {
        dialing: () => this.#happens(() => this.#engine.dialing()),
        opened: () => {
          this.#happens(() => this.#engine.connected());
          // What is to be proven before anything is claimed is not waited for.
          this.#flusher.hurry();
        },
        ended: () => this.#happens(() => this.#engine.disconnected()),
        received: (bytes) =>
          this.#happens(() =>
            this.#dropOnError(() => {
              this.#engine.frame(bytes);
              this.#linkError = undefined;
            }),
          ),
        prepare: () => this.#token && this.#newToken(this.#token),
        refused: (cause) => {
          this.#linkError = new WeftlineError('protocol', 'the relay cannot be reached from here', { cause });
        },
        nextDelay: () => this.#engine.nextDelay(),
        isUnwelcome: () => NO_TOKEN.includes(this.#status.closed),
      });
    }
    this.#host = {
      edit: (args) => this.#edit(args),
      read: (args) => this.#running().read(args),
      view: () => this.#currentView(),
      isInTransaction: () => this.#transaction !== undefined,
      subscribeTo: (path, listener) => this.#events.subscribeTo(path, listener),
    };
    void parts.slot?.lost.then(() => this.#happens(() => this.#engine.retire()));
    globalThis.addEventListener?.('pagehide', this.#hide);
    globalThis.document?.addEventListener('visibilitychange', this.#hurry);
    globalThis.document?.addEventListener('freeze', this.#hide);
    this.#happens(() => undefined);
  }

  // ---- the document ----

  /** A root map. Roots always exist; a handle costs nothing. */
  map(root: string): MapHandle {
    return new MapHandle(this.#host, rootPath(root, 'map'));
  }

  list(root: string): ListHandle {
    return new ListHandle(this.#host, rootPath(root, 'list'));
  }

  set(root: string): SetHandle {
    return new SetHandle(this.#host, rootPath(root, 'set'));
  }

  counter(root: string): CounterHandle {
    return new CounterHandle(this.#host, rootPath(root, 'counter'));
  }

  flag(root: string): FlagHandle {
    return new FlagHandle(this.#host, rootPath(root, 'flag'));
  }

  register(root: string): RegisterHandle {
    return new RegisterHandle(this.#host, rootPath(root, 'register'));
  }

  text(root: string): TextHandle {
    return new TextHandle(this.#host, rootPath(root, 'text'));
  }

  /**
   * Runs the body, whose edits become one atomic transaction: no replica ever shows half of it. If the body throws,
   * everything is undone. The body must not wait for anything. A transaction inside another one is part of it; if the inner
   * body throws, the outer transaction is undone too, whatever its body makes of the error.
   */
  transact<T>(body: () => T): T {
    const engine = this.#running();
    const outer = this.#transaction;
    if (outer !== undefined) {
      try {
        return this.#bodyOf(body);
      } catch (error) {
        outer.failure ??= { error };
        throw error;
      }
    }
    const transaction: { failure?: { readonly error: unknown } } = {};
    try {
      engine.begin();
      this.#transaction = transaction;
      const result = this.#bodyOf(body);
      if (transaction.failure !== undefined) throw transaction.failure.error;
      this.#transaction = undefined;
      this.#noteChanges(engine.commit());
      return result;
    } catch (error) {
      this.#transaction = undefined;
      if (!(error instanceof PoisonedError)) engine.rollback();
      throw error;
    } finally {
      this.#happens(() => undefined);
    }
  }

  /** The whole document by root name. Frozen; what does not change stays the same object. */
  snapshot(): MapSnapshot {
    return this.#currentView().document();
  }

  /** Calls the listener after each transaction here and each arrival from the relay. Returns how to end that. */
  subscribe(listener: (event: ChangeEvent) => void): () => void {
    return this.#events.subscribe(listener);
  }

  // ---- storage and relay ----

  get status(): Status {
    return this.#status;
  }

  /** Calls the listener when the status changed, always with what `status` says at that moment. */
  onStatus(listener: (status: Status) => void): () => void {
    const own = (status: Status): void => listener(status);
    this.#statusListeners.add(own);
    return () => void this.#statusListeners.delete(own);
  }

  /**
   * Calls the listener when local storage begins to fail, or fails in another way than before, and when what was stored is gone.
   * What is the matter at present is `status.storage`.
   */
  onStorageError(listener: (error: StorageError) => void): () => void {
    const own = (error: StorageError): void => listener(error);
    this.#storageListeners.add(own);
    return () => void this.#storageListeners.delete(own);
  }

  /** Connects to the relay, now and whenever the connection is lost, until `disconnect`. */
  connect(): void {
    this.#running();
    if (this.#link === undefined) throw noRelay();
    this.#link.connect();
  }

  /** Closes the connection and stays offline until `connect`. */
  disconnect(): void {
    this.#running();
    this.#link?.disconnect();
  }

  /** Resolves when every edit made so far is durable in local storage. */
  async flushed(): Promise<void> {
    this.#running();
    this.#flusher.hurry();
    await this.#flusher.written();
    if (this.#status.unstored > 0 || this.#poison !== undefined) this.#running();
    if (this.#status.unstored > 0 && this.#storageError !== undefined) throw this.#storageError;
  }

  /** Resolves when the replica is live and every edit is durable at the relay. Rejects if there is no relay. */
  async synced(): Promise<void> {
    this.#running();
    if (this.#link === undefined) throw noRelay();
    this.#flusher.hurry();
    await new Promise<void>((resolve, reject) => {
      const check = (): void => {
        const { link, unsaved } = this.#status;
        if (this.#poison !== undefined) reject(this.#poison);
        else if (this.#isOver) reject(new ClosedError());
        else if (link === 'live' && unsaved === 0) resolve();
        else return;
        this.#waiting.delete(check);
      };
      this.#waiting.add(check);
      check();
    });
  }

  /**
   * Ends everything: what is not stored yet is stored first. Rejects if that failed. The replica cannot be used afterwards;
   * calling it again is harmless.
   */
  close(): Promise<void> {
    if (this.#transaction !== undefined) throw new WeftlineError('transaction', 'a replica is not closed in the middle of a transaction');
    if (this.#closing === undefined) {
      this.#events.clear();
      this.#statusListeners.clear();
      this.#storageListeners.clear();
      this.#presence.end();
      // Not in this call: whoever is told something at this moment finds the replica closed, and cannot open a connection again.
      this.#closing = Promise.resolve().then(() => this.#close());
    }
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // ---- inside ----

  async #close(): Promise<void> {
    this.#link?.disconnect();
    try {
      await this.#flusher.finish();
    } finally {
      this.#flusher.stop();
      clearTimeout(this.#timer);
      globalThis.removeEventListener?.('pagehide', this.#hide);
      globalThis.document?.removeEventListener('visibilitychange', this.#hurry);
      globalThis.document?.removeEventListener('freeze', this.#hide);
      this.#isOver = true;
      this.#engine.free();
      for (const check of [...this.#waiting]) check();
      await this.#store.close();
      // Last, so that whoever takes the slot next finds everything written.
      await this.#slot?.release();
    }
  }

  #running(): Engine {
    if (this.#poison !== undefined) throw this.#poison;
    if (this.#closing !== undefined) throw new ClosedError();
    return this.#engine;
  }

  #currentView(): View {
    const engine = this.#running();
    // What a transaction sees is nobody else's business and may be undone, so it is not kept.
    return this.#transaction === undefined ? this.#view : new View(engine);
  }

  #edit(args: () => Writer): Reader {
    if (this.#transaction !== undefined) return this.#running().edit(args());
    return this.transact(() => this.#engine.edit(args()));
  }

  #bodyOf<T>(body: () => T): T {
    const result = body();
    if (typeof (result as { then?: unknown } | null | undefined)?.then === 'function') {
      throw badArgument('the body of a transaction must not be asynchronous');
    }
    return result;
  }

  /** Tells the engine something, then does what it wants done. Nothing that happens from outside throws. */
  #happens(what: () => void): void {
    if (this.#isOver || this.#poison !== undefined) return;
    try {
      what();
      this.#drain();
    } catch (error) {
      if (!(error instanceof PoisonedError)) throw error;
      this.#poison = error;
      clearTimeout(this.#timer);
      this.#link?.disconnect();
      this.#setStatus({ link: 'offline', unsaved: this.#status.unsaved, unstored: this.#status.unstored, error: error.message });
    }
    if (!this.#isDraining) this.#tell();
  }

  #drain(): void {
    // What is done here may make further things happen: the loop below finds what they lead to.
    if (this.#isDraining) return;
    this.#isDraining = true;
    try {
      for (let output = this.#engine.poll(); output !== undefined; output = this.#engine.poll()) this.#do(output);
    } finally {
      this.#isDraining = false;
    }
    this.#readStatus();
    this.#setTimer();
    this.#compactInTime();
  }

  #do(output: Reader): void {
    switch (output.byte() as Output) {
      case Output.Transmit:
        this.#link?.send(output.rest());
        break;
      case Output.Persist: {
        const persist = readPersist(output);
        for (const change of persist.changes) if ('key' in change && change.key.startsWith(ROWS)) this.#rowBytes += change.record.length;
        this.#flusher.push(persist);
        break;
      }
      case Output.Changed:
        this.#noteChanges(readChanges(output));
        break;
      case Output.Presence:
        this.#presence.note(output);
        break;
      case Output.ForkRepaired:
        this.#view = new View(this.#engine);
        this.#told.push({ origin: 'remote', changes: [], forkRepaired: true });
        break;
      case Output.TokenWanted:
        // Without another one the relay ends the connection, and the next begins with a new attempt.
        if (this.#token) void this.#newToken(this.#token);
        break;
      case Output.Disconnect:
        this.#link?.away(output.uint());
        break;
    }
  }

  /** Gets a token and gives it to the engine; says whether there was one. */
  async #newToken(token: () => string | Promise<string>): Promise<boolean> {
    try {
      const given = await token();
      this.#happens(() => this.#engine.setToken(given));
      return true;
    } catch (cause) {
      this.#linkError = new WeftlineError('token', 'there is no token for the relay', { cause });
      return false;
    }
  }

  #noteChanges(event: ChangeEvent): void {
    if (event.changes.length === 0) return;
    for (const change of event.changes) this.#view.mark(change);
    const last = this.#told[this.#told.length - 1];
    // What arrives together is told together.
    if (last?.origin === 'remote' && event.origin === 'remote' && last.forkRepaired !== true) {
      this.#told[this.#told.length - 1] = { origin: 'remote', changes: [...last.changes, ...event.changes] };
    } else {
      this.#told.push(event);
    }
  }

  /** A connection on which the engine finds an error is of no use any more. */
  #dropOnError(call: () => void): void {
    try {
      call();
    } catch (error) {
      if (!(error instanceof WeftlineError) || error instanceof PoisonedError) throw error;
      this.#linkError = error;
      // What the engine says last comes before the end.
      this.#drain();
      this.#link?.drop();
    }
  }

  #readStatus(): void {
    const { stuck, ...engine } = this.#engine.status();
    const { link } = engine;
    if (link === 'live' && this.#status.link !== 'live') this.#engine.resetDelay();
    const error = this.#storageError?.message ?? this.#refusal(stuck, engine);
    const storage = this.#storageError?.reason;
    const isPersistent = this.#isPersistent;
    this.#setStatus({
      ...engine,
      ...(storage === undefined ? {} : { storage }),
      ...(isPersistent === undefined ? {} : { isPersistent }),
      ...(error === undefined ? {} : { error }),
    });
  }

  /** What the relay says against us, if anything. */
  #refusal(stuck: number, { closed, refused }: Status): string | undefined {
    if (stuck > 0) return `the relay refuses ${stuck} of the edits${refused === undefined ? '' : `: ${refused}`}`;
    if (refused !== undefined) return `the relay refuses an edit: ${refused}`;
    if (closed !== undefined) return `the relay ended the connection: ${closed}`;
    return this.#linkError?.message;
  }

  #setStatus(status: Status): void {
    const old = this.#status;
    const isSame = STATUS_FIELDS.every((field) => old[field] === status[field]);
    if (!isSame) this.#status = Object.freeze(status);
  }

  #setTimer(): void {
    clearTimeout(this.#timer);
    const deadline = this.#engine.deadline();
    if (deadline === undefined) return;
    // Longer waits than a timer can hold are cut; waking early is harmless.
    const wait = Math.min(Math.max(deadline - Date.now(), 0), 0x7fff_ffff);
    this.#timer = setTimeout(() => this.#happens(() => this.#dropOnError(() => this.#engine.tick())), wait);
  }

  #compactInTime(): void {
    if (this.#status.unstored > 0) return;
    if (!this.#isEmptied && !this.#engine.isCompactionDue(this.#rowBytes, this.#snapshotBytes)) return;
    this.#rowBytes = 0;
    let isWhole = false;
    this.#compacted = () => {
      if (isWhole) this.#isEmptied = false;
    };
    this.#flusher.compact(() => {
      const snapshot = this.#isOver || this.#poison !== undefined ? undefined : this.#engine.compact();
      if (snapshot === undefined) return null;
      isWhole = true;
      this.#snapshotBytes = snapshot.record.length;
      return { ...snapshot, isCovered: (stored) => this.#engine.covers(stored) };
    });
  }

  /** Tells the listeners what happened, in order; what they make happen is told in turn. After `close` nobody is told. */
  #tell(): void {
    if (this.#isTelling || this.#transaction !== undefined) return;
    this.#isTelling = true;
    try {
      while (this.#closing === undefined) {
        const event = this.#told.shift();
        if (event !== undefined) this.#events.tell(event);
        else if (this.#presence.isNew) this.#presence.tell();
        else if (this.#status !== this.#statusTold) this.#tellStatus((this.#statusTold = this.#status));
        else return;
      }
    } finally {
      this.#isTelling = false;
    }
  }

  #tellStatus(status: Status): void {
    for (const check of [...this.#waiting]) check();
    for (const listener of [...this.#statusListeners]) {
      // A listener changed it: the round that follows tells everybody what is true now.
      if (this.#status !== status) return;
      if (this.#statusListeners.has(listener)) shielded(() => listener(status));
    }
  }

  #tellStorage(error: StorageError): void {
    for (const listener of [...this.#storageListeners]) if (this.#storageListeners.has(listener)) shielded(() => listener(error));
  }

  /** The page may be gone in a moment, or has come back: neither is a time to wait before writing. */
  readonly #hurry = (): void => this.#flusher.hurry();

  /**
   * ID-5: whether a page that is put away still holds its locks when it comes back, nobody says. So it gives its slot to others,
   * once what was written under it is stored; what it writes later is written under another id.
   */
  readonly #hide = (event: Event): void => {
    this.#flusher.hurry();
    const slot = this.#slot;
    const isPutAway = event.type === 'freeze' || (event as PageTransitionEvent).persisted;
    if (!isPutAway || slot === null || this.#transaction !== undefined) return;
    this.#slot = null;
    this.#happens(() => this.#engine.retire());
    void this.#flusher.written().then(() => slot.release());
  };
}

/** Opens a replica, once the engine is loaded. @internal */
export async function openReplica<R extends ReplicaBase>(
  make: new (parts: Parts) => R,
  load: () => Promise<unknown>,
  name: string,
  options: OpenOptions,
): Promise<R> {
  if (typeof name !== 'string' || name === '') throw badArgument('a document has a name');
  const relay = options.relay === undefined || options.relay === null ? undefined : relayUrl(options.relay);
  const webSocket = options.webSocket ?? (globalThis.WebSocket as WebSocketClass | undefined);
  if (relay !== undefined && webSocket === undefined) throw badArgument('there is no WebSocket here: give one as the option webSocket');
  const store = await storageOf(options.storage).open(name);
  let slot: SlotLock | null = null;
  let engine: Engine | undefined;
  try {
    await load();
    // The slot first: whoever held it before has written its last when the lock is free.
    slot = await store.acquireSlot();
    const stored = await store.load();
    engine = new Engine({ name, slot: slot?.index ?? null, stored });
    const replica = new make({ name, engine, store, slot, stored, relay, webSocket, token: options.token });
    if (relay !== undefined && options.connect !== false) replica.connect();
    return replica;
  } catch (error) {
    engine?.free();
    await slot?.release();
    await store.close();
    throw error;
  }
}

/** Whether a value is a replica, of whatever copy of this package. */
export function isReplica(value: unknown): value is ReplicaBase {
  return typeof value === 'object' && value !== null && REPLICA in value;
}

function storageOf(option: OpenOptions['storage']): Storage {
  const storage = option ?? (globalThis.indexedDB === undefined ? 'memory' : 'indexeddb');
  if (storage === 'memory') return new MemoryStorage();
  if (storage === 'indexeddb') return new IndexedDbStorage();
  return storage;
}

function relayUrl(relay: string | URL): string {
  const address = String(relay);
  if (!/^wss?:\/\/./.test(address)) throw badArgument('the address of a relay begins with ws:// or wss://');
  return address;
}

function rootPath(root: string, kind: Kind): readonly PathStep[] {
  if (typeof root !== 'string') throw badArgument('the name of a root is a string');
  return Object.freeze([Object.freeze({ root: wellFormed(root), kind })]);
}

function noRelay(): WeftlineError {
  return badArgument('the replica was opened without a relay');
}
