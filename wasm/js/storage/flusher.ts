// Writes what the engine wants stored: in order, several outputs in one transaction, again and again until it lasts.
//
// The first write goes at once; what comes while one is under way, or within a window from its beginning, goes together with
// the next. The window is the store's interval where writes are quick, and longer where they are slow or many: somebody who
// types is not made to wait, and a disk that is slow is not asked more often than it can answer. A failed write stays first in
// line and is tried again, so nothing in memory is lost; meanwhile nothing is reported as durable, so nothing is sent (DUR-1).
// Compactions run between writes.

import { StorageError } from '../errors.js';
import type { Compaction, Store, StoreChange } from './types.js';

/** What the engine wants written at once. */
export interface Persist {
  readonly token: number;
  readonly isStrict: boolean;
  readonly changes: readonly StoreChange[];
}

export interface FlusherEvents {
  /** These are durable now. */
  durable(tokens: readonly number[]): void;
  /** The last write failed and is being tried again, or (`undefined`) writing works. */
  trouble(error: StorageError | undefined): void;
  /** The store was compacted, or there was nothing to do. */
  compacted(): void;
}

const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 30_000;
/** The window is at least this many times as long as a strict write takes. */
const WINDOW_PER_WRITE = 2;
const LONGEST_WINDOW_MS = 250;
/** The window where many strict writes in a row have come as fast as they were let: a drag, not typing. */
const BUSY_WINDOW_MS = 100;
/** So many of them within this time. Whoever pauses for a second is not busy any more. */
const BUSY_WRITES = 60;
const BUSY_WITHIN_MS = 3_000;
const CALM_AFTER_MS = 1_000;
/** With this much waiting, the interval is not waited for. */
const MOST_WAITING_BYTES = 256 * 1024;

export class Flusher {
  readonly #store: Store;
  readonly #events: FlusherEvents;
  #waiting: Persist[] = [];
  #waitingBytes = 0;
  #plan: (() => Compaction | null) | undefined;
  #isBusy = false;
  #isUrgent = false;
  #isStopped = false;
  #fatal: StorageError | undefined;
  #begunAt = -Infinity;
  /** How long strict writes take, the latest ones counting most. */
  #writeMs = 0;
  /** When the last strict writes began. */
  #strictAt: number[] = [];
  #retryMs = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #pushed = 0;
  #written = 0;
  #onWritten: { readonly upTo: number; readonly resolve: () => void }[] = [];
  #onFailure: ((error: StorageError) => void) | undefined;

  constructor(store: Store, events: FlusherEvents) {
    this.#store = store;
    this.#events = events;
  }

  push(persist: Persist): void {
    if (this.#isStopped) return;
    this.#waiting.push(persist);
    this.#pushed += 1;
    for (const change of persist.changes) if ('key' in change) this.#waitingBytes += change.record.length;
    this.#next();
  }

  /** Compacts the store as soon as everything before has been written. */
  compact(plan: () => Compaction | null): void {
    if (this.#isStopped) return;
    this.#plan = plan;
    this.#next();
  }

  /** Writes without waiting for the interval, or for the next attempt after a failure. */
  hurry(): void {
    this.#isUrgent = true;
    this.#next();
  }

  /** Resolves when all that was pushed so far is durable, or when writing was stopped. */
  written(): Promise<void> {
    if (this.#isStopped || this.#written === this.#pushed) return Promise.resolve();
    return new Promise((resolve) => this.#onWritten.push({ upTo: this.#pushed, resolve }));
  }

  /** Writes what is left; rejects when that fails, instead of trying again for ever. */
  finish(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#fatal !== undefined) return reject(this.#fatal);
      this.#onFailure = reject;
      this.hurry();
      void this.written().then(resolve);
    });
  }

  /** Stops trying. A write that is under way is not interrupted; `written` waits for it no longer. */
  stop(): void {
    this.#isStopped = true;
    this.#waiting = [];
    this.#plan = undefined;
    clearTimeout(this.#timer);
    this.#written = this.#pushed;
    this.#tellWritten();
  }

  #next(): void {
    if (this.#isBusy || this.#isStopped) return;
    clearTimeout(this.#timer);
    if (this.#waiting.length === 0) {
      if (this.#plan !== undefined) void this.#compact(this.#plan);
      return;
    }
    const wait = this.#begunAt + (this.#retryMs || this.#window()) - performance.now();
    if (wait <= 0 || this.#isUrgent || (this.#retryMs === 0 && this.#waitingBytes >= MOST_WAITING_BYTES)) void this.#write();
    else this.#timer = setTimeout(() => this.#next(), wait);
  }

  /** How long after the beginning of a write the next one begins. */
  #window(): number {
    const interval = this.#store.writeIntervalMs ?? 0;
    if (interval === 0) return 0;
    const busy = this.#strictAt.length === BUSY_WRITES ? BUSY_WINDOW_MS : 0;
    return Math.min(Math.max(interval, WINDOW_PER_WRITE * this.#writeMs, busy), Math.max(interval, LONGEST_WINDOW_MS));
  }

  #noteStrict(beganAt: number, took: number): void {
    this.#writeMs = this.#writeMs === 0 ? took : (3 * this.#writeMs + took) / 4;
    const last = this.#strictAt[this.#strictAt.length - 1] ?? -Infinity;
    const isBusy = this.#strictAt.length === BUSY_WRITES;
    // Once busy, the writes come more slowly because of that, and it ends with a pause.
    const since = beganAt - (isBusy ? Infinity : BUSY_WITHIN_MS);
    this.#strictAt = beganAt - last > CALM_AFTER_MS ? [] : this.#strictAt.filter((at) => at >= since).slice(1 - BUSY_WRITES);
    this.#strictAt.push(beganAt);
  }

  async #write(): Promise<void> {
    this.#isBusy = true;
    this.#isUrgent = false;
    const beganAt = (this.#begunAt = performance.now());
    const group = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    try {
      const changes = group.flatMap((persist) => persist.changes);
      const isStrict = group.some((persist) => persist.isStrict);
      if (changes.length > 0) await this.#store.write({ changes, isStrict });
      if (isStrict) this.#noteStrict(beganAt, performance.now() - beganAt);
      this.#isBusy = false;
      if (this.#isStopped) return;
      if (this.#retryMs !== 0) this.#events.trouble(undefined);
      this.#retryMs = 0;
      this.#written += group.length;
      this.#events.durable(group.map((persist) => persist.token));
      this.#tellWritten();
    } catch (cause) {
      this.#isBusy = false;
      if (this.#isStopped) return;
      this.#waiting = [...group, ...this.#waiting];
      this.#retryMs = Math.min(this.#retryMs * 2 || FIRST_RETRY_MS, LAST_RETRY_MS);
      const error = cause instanceof StorageError ? cause : new StorageError('failed', cause);
      this.#events.trouble(error);
      this.#onFailure?.(error);
      // Somebody else goes on from what is stored: nothing of this may ever come after it.
      if (error.reason === 'taken') {
        this.#fatal = error;
        this.stop();
      }
    }
    this.#next();
  }

  async #compact(plan: () => Compaction | null): Promise<void> {
    this.#plan = undefined;
    this.#isBusy = true;
    try {
      await this.#store.compact(plan);
      this.#events.compacted();
    } catch {
      // Nothing is lost without it, and the next one is not far.
    }
    this.#isBusy = false;
    this.#next();
  }

  #tellWritten(): void {
    const isDone = ({ upTo }: { upTo: number }): boolean => upTo <= this.#written;
    const done = this.#onWritten.filter(isDone);
    this.#onWritten = this.#onWritten.filter((waiter) => !isDone(waiter));
    for (const { resolve } of done) resolve();
  }
}
