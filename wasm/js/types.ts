// The vocabulary of the package: values, kinds, paths, snapshots, changes, status.

import type { StorageProblem } from './errors.js';

/** A plain value. Integers within ±(2^53 − 1) come back as `number`, larger ones as `bigint`. */
export type Scalar = null | boolean | number | bigint | string | Uint8Array;

/** A frozen object without a prototype: any string is a usable key, also `constructor`. The order of keys is the same everywhere. */
export interface MapSnapshot {
  readonly [key: string]: Snapshot;
}

/**
 * What a document or a part of it holds at one moment. Never changes; what did not change from one to the next is the same
 * object. (JavaScript cannot freeze the contents of a `Uint8Array`: copy one before you write to it.)
 */
export type Snapshot = Scalar | MapSnapshot | readonly Snapshot[];

/**
 * What a container is. Containers of one name or key and different kinds are different containers. Where one of them is shown for
 * all, it is the last in this order: a list before a map, a map before a text, a text before the others.
 */
export type Kind = 'register' | 'flag' | 'counter' | 'set' | 'text' | 'map' | 'list';

declare const elementIdBrand: unique symbol;

/** Names an element of a list for ever, wherever it moves. Opaque; equal ids are equal strings, on every replica. */
export type ElementId = string & { readonly [elementIdBrand]: true };

/** One step on the way from the document to a container. */
export type PathStep =
  | { readonly root: string; readonly kind: Kind }
  | { readonly key: string; readonly kind: Kind }
  | { readonly element: ElementId };

/**
 * What became of a text, from its beginning on: so much is retained, this comes here, so much goes from here. What is behind the
 * last step is retained. Counts are code units of UTF-16, as strings count them; characters are never cut in two.
 */
export type TextDelta = readonly ({ readonly retain: number } | { readonly insert: string } | { readonly delete: number })[];

/** What changed in the container at `path`. */
export type Change =
  | { readonly path: readonly PathStep[]; readonly type: 'key'; readonly key: string }
  | { readonly path: readonly PathStep[]; readonly type: 'member'; readonly member: Scalar }
  | { readonly path: readonly PathStep[]; readonly type: 'value' }
  | { readonly path: readonly PathStep[]; readonly type: 'text'; readonly delta: TextDelta }
  | { readonly path: readonly PathStep[]; readonly type: 'marks'; readonly key: string }
  | { readonly path: readonly PathStep[]; readonly type: 'inserted' | 'removed' | 'moved'; readonly element: ElementId };

/** What one transaction, or one arrival from the relay, did to the document. */
export interface ChangeEvent {
  readonly origin: 'local' | 'remote';
  readonly changes: readonly Change[];
  /**
   * The store had been copied or put back to an older state, and what was written here was repaired: it is all there, but elements of
   * lists may have other ids, and everything may have another place. Anything may have changed, whatever `changes` says.
   */
  readonly forkRepaired?: true;
}

/** At which of its ends a mark takes in what is typed right there. */
export type Expand = 'none' | 'before' | 'after' | 'both';

/** A piece of a text, all of which has the same marks. */
export interface TextSpan {
  readonly text: string;
  /** Their values by key. Without a prototype. */
  readonly marks: { readonly [key: string]: Scalar };
}

/** What a transaction, or an arrival from the relay, did to one text. */
export interface TextEvent {
  readonly origin: 'local' | 'remote';
  /**
   * Each goes on from what the one before it led to. Empty where only marks changed. `undefined` where the text came or went with
   * what it is in: what it reads now is all that can be said.
   */
  readonly deltas: readonly TextDelta[] | undefined;
}

/** How the connection to the relay stands. */
export type Link = 'offline' | 'connecting' | 'catching-up' | 'live';

/** Why a relay ends a connection. */
export type CloseReason =
  | 'done'
  | 'version'
  | 'protocol'
  | 'denied'
  | 'superseded'
  | 'limit'
  | 'restart'
  | 'storage'
  | 'storage-full'
  | 'too-many'
  | 'quarantined'
  | 'expired'
  | 'token'
  | 'revoked';

/** Why a relay does not take an edit. */
export type Refusal =
  | 'not-ready'
  | 'gap'
  | 'fork'
  | 'too-large'
  | 'invalid'
  | 'too-many-replicas'
  | 'read-only'
  | 'document-full'
  | 'storage'
  | 'storage-full';

/** Where this replica stands. An immutable object: a new one for each change. */
export interface Status {
  readonly link: Link;
  /** Edits that are not yet durable at the relay. */
  readonly unsaved: number;
  /** Edits that are not yet durable in local storage. */
  readonly unstored: number;
  /** Why edits are not being stored at present. Absent while local storage works. */
  readonly storage?: StorageProblem;
  /**
   * Whether the browser has promised not to evict what is stored. Absent until it has answered, and where nobody can be asked:
   * then it may be gone one day, and only what is at the relay is safe.
   */
  readonly isPersistent?: boolean;
  /** Why the relay ended the last connection. Absent once it has answered on another one. */
  readonly closed?: CloseReason;
  /** The relay said not to come again: no further connection is made before `connect` is called. */
  readonly isParked?: boolean;
  /**
   * Why the relay refused an edit, until it takes one. Every such edit is kept here. Some are sent again when the relay can take them
   * (`document-full`, `storage`, `storage-full`), the others by the next opening.
   */
  readonly refused?: Refusal;
  /** Which edit: its writer and number, as the relay's logs name it. */
  readonly refusedEdit?: string;
  /** What is wrong at present, for people. Absent when nothing is. */
  readonly error?: string;
}
