// Presence: who else has the document open, and what each shows of itself at this moment.
//
// Values cross as JSON: any client in any language reads them. Nothing of it is stored, and nothing of it is in the document. The
// list of peers is frozen and replaced when something changed, as snapshots are.
//
// Not here: when anything is sent, and who is still here: that is the engine's.

import { badArgument, type Reader } from './codec.js';
import { shielded } from './events.js';

/** What can be shown: whatever JSON holds. */
export type PresenceValue = null | boolean | number | string | readonly PresenceValue[] | { readonly [key: string]: PresenceValue };

declare const peerIdBrand: unique symbol;

/** Names an open document in one tab or program, for as long as it is open. */
export type PeerId = string & { readonly [peerIdBrand]: true };

/** Somebody else who has the document open and shows something. */
export interface Peer {
  readonly id: PeerId;
  /** `null` also where it is not JSON. */
  readonly value: PresenceValue;
}

export interface Presence {
  /** Everybody else who shows something. Frozen; the same object until something changes. */
  readonly peers: readonly Peer[];
  [Symbol.iterator](): Iterator<Peer>;
  /**
   * Shows a value to everybody else, in place of what was shown before: a name, a colour, a cursor. At most 4 KiB of JSON. It
   * is sent at once, or when there is a connection; called often, the newest value is sent ten times a second. It goes when the
   * page does.
   */
  set(value: PresenceValue): void;
  /** Shows nothing any more. */
  clear(): void;
  /** Calls the listener when somebody came, went, or shows something else. Returns how to end that. */
  subscribe(listener: (peers: readonly Peer[]) => void): () => void;
}

const utf8 = new TextEncoder();
const text = new TextDecoder('utf-8', { fatal: true });

/** What a replica has of it. @internal */
export class PresenceBoard implements Presence {
  readonly #show: (value: Uint8Array | undefined) => void;
  readonly #known = new Map<PeerId, Peer>();
  readonly #listeners = new Set<(peers: readonly Peer[]) => void>();
  #peers: readonly Peer[] = Object.freeze([]);
  #told: readonly Peer[] = this.#peers;

  constructor(show: (value: Uint8Array | undefined) => void) {
    this.#show = show;
  }

  get peers(): readonly Peer[] {
    return this.#peers;
  }

  [Symbol.iterator](): Iterator<Peer> {
    return this.#peers[Symbol.iterator]();
  }

  set(value: PresenceValue): void {
    const json = JSON.stringify(value) as string | undefined;
    if (json === undefined) throw badArgument('what is shown is a value of JSON');
    this.#show(utf8.encode(json));
  }

  clear(): void {
    this.#show(undefined);
  }

  subscribe(listener: (peers: readonly Peer[]) => void): () => void {
    const own = (peers: readonly Peer[]): void => listener(peers);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  /** Reads what a `Presence` output says. */
  note(reader: Reader): void {
    while (!reader.done) {
      const id = reader.peer() as PeerId;
      if (reader.byte() === 0) this.#known.delete(id);
      else this.#known.set(id, Object.freeze({ id, value: valueOf(reader.bytes()) }));
    }
    this.#peers = Object.freeze([...this.#known.values()]);
  }

  /** Whether there is something that the listeners were not told. */
  get isNew(): boolean {
    return this.#told !== this.#peers;
  }

  tell(): void {
    const peers = (this.#told = this.#peers);
    // Whoever is told of something newer meanwhile is not told of this any more.
    for (const listener of [...this.#listeners]) if (this.#told === peers && this.#listeners.has(listener)) shielded(() => listener(peers));
  }

  /** Nobody is told of anything any more. */
  end(): void {
    this.#listeners.clear();
  }
}

function valueOf(bytes: Uint8Array): PresenceValue {
  try {
    return JSON.parse(text.decode(bytes)) as PresenceValue;
  } catch {
    return null;
  }
}
