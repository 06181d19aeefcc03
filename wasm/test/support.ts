// What several tests need.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Batch, Compaction, OpenOptions, Replica as ReplicaType, SlotLock, Status, Storage, Store } from '../js/index.node.js';
import { MemoryStorage, Replica } from 'weftline';

let documents = 0;

/** A name no other document has. */
export function freshName(): string {
  documents += 1;
  return `doc-${process.pid}-${documents}`;
}

/** Opens a document that is kept in memory. */
export function openInMemory(options: OpenOptions = {}): Promise<ReplicaType> {
  return Replica.open(freshName(), { storage: 'memory', ...options });
}

/** Resolves as soon as the status is one that is waited for. */
export function statusOf(replica: ReplicaType, is: (status: Status) => boolean): Promise<Status> {
  return new Promise((resolve) => {
    const check = (status: Status): void => {
      if (!is(status)) return;
      stop();
      resolve(status);
    };
    const stop = replica.onStatus(check);
    check(replica.status);
  });
}

/** Resolves as soon as what is looked at is as waited for; looked at after each change. */
export function changeTo(replica: ReplicaType, is: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const check = (): void => {
      if (!is()) return;
      stop();
      resolve();
    };
    const stop = replica.subscribe(check);
    check();
  });
}

/** Mulberry32: enough for a test, and the same everywhere. */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** A storage in memory whose writes can be made to fail or to wait. */
export class TestStorage implements Storage {
  readonly #inner = new MemoryStorage();
  /** Called before each write; throws or waits as the test wants. */
  beforeWrite: (batch: Batch) => Promise<void> = () => Promise.resolve();
  readonly batches: Batch[] = [];
  compactions = 0;
  /** As a store says it. */
  writeIntervalMs = 0;

  async open(name: string): Promise<Store> {
    const inner = await this.#inner.open(name);
    const storage = this;
    return {
      writeIntervalMs: storage.writeIntervalMs,
      acquireSlot: (): Promise<SlotLock | null> => inner.acquireSlot(),
      load: () => inner.load(),
      async write(batch: Batch): Promise<void> {
        await storage.beforeWrite(batch);
        storage.batches.push(batch);
        await inner.write(batch);
      },
      async compact(plan: () => Compaction | null): Promise<void> {
        await inner.compact(plan);
        storage.compactions += 1;
      },
      close: () => inner.close(),
    };
  }
}

/** Exclusive locks as the browser has them, as far as they are used. */
export class TestLocks {
  readonly #held = new Map<string, (reason: unknown) => void>();

  readonly request = (async (name: string, _options: LockOptions, body: (lock: Lock | null) => unknown) => {
    await Promise.resolve();
    if (this.#held.has(name)) return body(null);
    const stolen = new Promise((_, reject) => this.#held.set(name, reject));
    try {
      return await Promise.race([body({ name, mode: 'exclusive' }), stolen]);
    } finally {
      this.#held.delete(name);
    }
  }) as LockManager['request'];

  get names(): string[] {
    return [...this.#held.keys()];
  }

  steal(name: string): void {
    this.#held.get(name)?.(new DOMException('stolen', 'AbortError'));
  }
}

export interface Relay {
  readonly url: string;
  kill(): Promise<void>;
}

/** The relay's program, if the environment names one. */
export const relayProgram = process.env['WEFTLINE_RELAY_BIN'];

/** Starts a relay. With a port of 0 the system chooses one. */
export async function startRelay(store: string, port = 0, more: readonly string[] = []): Promise<Relay> {
  const args = ['--listen', `127.0.0.1:${port}`, '--store', store, ...more];
  const relay: ChildProcess = spawn(relayProgram!, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  for await (const line of createInterface({ input: relay.stdout! })) {
    const url = /listening on (ws:\S+)/.exec(line)?.[1];
    if (url === undefined) continue;
    return {
      url,
      async kill() {
        const ended = once(relay, 'exit');
        relay.kill('SIGKILL');
        await ended;
      },
    };
  }
  throw new Error('the relay ended before it listened');
}
