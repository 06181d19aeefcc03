// The errors of the package: one class with a code, and one for each case that callers treat on its own.
//
// Texts are built here, not in the module, which tells codes and numbers only.

/** What went wrong, for programs. */
export type ErrorCode =
  | 'bad-argument'
  | 'closed'
  | 'counter-overflow'
  | 'index-out-of-range'
  | 'inside-character'
  | 'limit'
  | 'no-such-element'
  | 'poisoned'
  | 'protocol'
  | 'storage'
  | 'stored-data'
  | 'token'
  | 'transaction'
  | 'wrong-kind';

/** The base of all errors this package throws on purpose. */
export class WeftlineError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'WeftlineError';
    this.code = code;
  }
}

/** The replica was closed. */
export class ClosedError extends WeftlineError {
  constructor() {
    super('closed', 'the replica is closed');
    this.name = 'ClosedError';
  }
}

/**
 * The engine stopped in the middle of something and must not be trusted any more: every replica of this page is affected.
 * What was stored is safe. Reload the page, or restart the process, and open again.
 */
export class PoisonedError extends WeftlineError {
  constructor(cause: unknown) {
    super('poisoned', 'the engine failed and cannot go on; reload and open again', { cause });
    this.name = 'PoisonedError';
  }
}

/**
 * Why local storage fails. `quota`: no room. `lost`: the database went away, which may pass. `blocked`: not available here, or in
 * use by a newer version of the page. `evicted`: what was stored is gone; what is in memory is being stored again. `taken`:
 * another tab took the slot by force, and writes as this one did; what is not stored here cannot be stored any more. `failed`:
 * anything else.
 */
export type StorageProblem = 'quota' | 'lost' | 'blocked' | 'evicted' | 'taken' | 'failed';

/** Local storage failed. */
export class StorageError extends WeftlineError {
  readonly reason: StorageProblem;

  constructor(reason: StorageProblem, cause: unknown) {
    super('storage', TEXT_OF_REASON[reason], { cause });
    this.name = 'StorageError';
    this.reason = reason;
  }
}

const TEXT_OF_REASON: Readonly<Record<StorageProblem, string>> = {
  quota: 'local storage is full',
  lost: 'the connection to local storage was lost',
  blocked: 'local storage is not available',
  evicted: 'what was stored here is gone, and is being stored again',
  taken: 'another tab took over; reload to go on',
  failed: 'local storage failed',
};
