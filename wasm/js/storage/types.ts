// Where replicas keep their documents. Implement `Storage` to keep them somewhere else.
//
// A store is a map from text keys to small records. The rules an implementation keeps: a write is atomic and lasts once its
// promise resolves; one that failed may be tried again. Several replicas (tabs) may use one store at the same time, and what
// each of them writes is kept: nothing ever replaces the store as a whole. Slots are exclusive. All of it is a suite of tests:
// `test/contract.ts`.

/** One step of a write: puts a record under a key, or removes all keys from the first to the last, both included. */
export type StoreChange =
  | { readonly key: string; readonly record: Uint8Array }
  | { readonly first: string; readonly last: string };

/** One atomic write: its changes in their order. */
export interface Batch {
  readonly changes: readonly StoreChange[];
  /** Whether it must survive a power cut once the promise has resolved. If not, surviving the page is enough. */
  readonly isStrict: boolean;
}

/** What a compaction does: removes the records for which the answer is true, and puts one. */
export interface Compaction {
  readonly key: string;
  readonly record: Uint8Array;
  readonly isCovered: (record: Uint8Array) => boolean;
}

/** A slot held by one replica. */
export interface SlotLock {
  readonly index: number;
  /** Resolves when the slot was taken away. */
  readonly lost: Promise<void>;
  /** Resolves when the slot is free. */
  release(): Promise<void>;
}

/** One document's store, opened by one replica. */
export interface Store {
  /**
   * Takes the lowest slot nobody holds, until it is released or the process ends. `null` if exclusive slots, or writes that
   * survive a power cut, are not to be had here: then the replica takes a new identity, which is always safe.
   */
  acquireSlot(): Promise<SlotLock | null>;
  /** All records, in any order. */
  load(): Promise<readonly Uint8Array[]>;
  write(batch: Batch): Promise<void>;
  /**
   * Asks `plan`, in the midst of a transaction, what to do, does it to the records there are, and writes it strictly. The
   * answer is true of that moment only: nothing else of this replica may run between asking and judging the last record.
   * `null`: nothing is to be done.
   */
  compact(plan: () => Compaction | null): Promise<void>;
  /** The shortest time between the beginnings of two writes, in milliseconds. */
  readonly writeIntervalMs?: number;
  /** Whether the browser has promised to keep what is stored until somebody deletes it. */
  readonly persistence?: Promise<boolean>;
  /** Set by the replica, which wants to know when everything is gone that was stored, and the store goes on empty. */
  onEmptied?: (() => void) | undefined;
  close(): Promise<void>;
}

/** Opens stores by the name of the document. */
export interface Storage {
  open(name: string): Promise<Store>;
}
