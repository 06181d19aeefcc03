// The link to the relay: when to connect, and when again.
//
// After a connection ended it waits as long as the engine's backoff says; a browser that comes online, a page that is looked at again, or
// a call of `connect` does not wait, and while a page is looked at it never waits long. Where the relay asked for time, or not to come
// again, only a call of `connect` does not wait.
// A connection that does not come up in time is given up: where packets vanish, browsers would try for minutes. Going
// offline closes the socket at once, because browsers leave it open and silent. `disconnect` closes it and stays away until
// `connect`. Whoever is told of an event may call `connect` and `disconnect`.

import { connectWebSocket, type Transport, type WebSocketClass } from './websocket.js';

export interface LinkEvents {
  dialing(): void;
  opened(): void;
  received(bytes: Uint8Array): void;
  ended(): void;
  /** What is to be had before each connection, if anything is: whether it is there. */
  prepare(): Promise<boolean> | undefined;
  /** There can be no connection: a page that came over https refuses unencrypted ones, for example. */
  refused(cause: unknown): void;
  /** How long to wait before the next attempt, in milliseconds. */
  nextDelay(): number;
  /** Whether the relay would say the same again, most likely: then nobody is in a hurry. */
  isUnwelcome(): boolean;
}

/** The longest wait by the backoff while somebody looks at the page. */
const LONGEST_WATCHED_WAIT_MS = 5_000;
/** How long a connection may take to come up. */
const CONNECT_TIMEOUT_MS = 15_000;

export class Link {
  readonly #webSocket: WebSocketClass;
  readonly #url: string;
  readonly #events: LinkEvents;
  #isWanted = false;
  /** The relay asked for time, or not to come again: nothing is tried before, unless `connect` is called. */
  #isAway = false;
  #transport: Transport | undefined;
  /** What the next connection waits for. Another one, or none, if that was given up. */
  #prepared: Promise<boolean> | undefined;
  /** Of the wait for the next attempt, or for the attempt under way. */
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(webSocket: WebSocketClass, url: string, events: LinkEvents) {
    this.#webSocket = webSocket;
    this.#url = url;
    this.#events = events;
  }

  connect(): void {
    this.#isAway = false;
    if (!this.#isWanted) {
      this.#isWanted = true;
      globalThis.addEventListener?.('online', this.#hurry);
      globalThis.addEventListener?.('offline', this.#lose);
      globalThis.document?.addEventListener('visibilitychange', this.#hurry);
    }
    this.#dial();
  }

  disconnect(): void {
    if (!this.#isWanted) return;
    this.#isWanted = false;
    globalThis.removeEventListener?.('online', this.#hurry);
    globalThis.removeEventListener?.('offline', this.#lose);
    globalThis.document?.removeEventListener('visibilitychange', this.#hurry);
    this.#end();
  }

  send(bytes: Uint8Array): void {
    this.#transport?.send(bytes);
  }

  /** Ends this connection as the relay asks: 0 for as the backoff says, 1 for good, else for so many milliseconds. */
  away(retry: number): void {
    if (retry === 0) return this.drop();
    this.#isAway = true;
    this.#end();
    // Whoever is told of the end may have connected, or given up, meanwhile. A timer holds no more than 31 bits.
    if (retry > 1 && this.#isAway && this.#isWanted) this.#timer = setTimeout(() => this.connect(), Math.min(retry, 0x7fff_ffff));
  }

  /** Ends this connection; the next one comes after the backoff. */
  drop(): void {
    this.#end();
    this.#wait();
  }

  readonly #hurry = (): void => {
    if (globalThis.document?.visibilityState !== 'hidden') this.#dial();
  };

  readonly #lose = (): void => {
    if (this.#transport !== undefined) this.drop();
  };

  #dial(): void {
    if (!this.#isWanted || this.#isAway || this.#transport !== undefined || this.#prepared !== undefined) return;
    clearTimeout(this.#timer);
    const prepared = this.#events.prepare();
    if (prepared === undefined) return this.#open();
    this.#prepared = prepared;
    this.#timer = setTimeout(() => this.drop(), CONNECT_TIMEOUT_MS);
    this.#events.dialing();
    void prepared.then((isThere) => {
      if (this.#prepared !== prepared) return;
      this.#prepared = undefined;
      if (isThere) this.#open();
      else this.drop();
    });
  }

  #open(): void {
    clearTimeout(this.#timer);
    try {
      this.#transport = connectWebSocket(this.#webSocket, this.#url, {
        opened: () => {
          clearTimeout(this.#timer);
          this.#events.opened();
        },
        received: (bytes) => this.#events.received(bytes),
        ended: () => {
          this.#transport = undefined;
          this.#events.ended();
          this.#wait();
        },
      });
    } catch (cause) {
      this.#events.refused(cause);
      this.drop();
      return;
    }
    this.#timer = setTimeout(() => this.drop(), CONNECT_TIMEOUT_MS);
    this.#events.dialing();
  }

  #end(): void {
    const transport = this.#transport;
    this.#transport = undefined;
    this.#prepared = undefined;
    clearTimeout(this.#timer);
    transport?.close();
    this.#events.ended();
  }

  #wait(): void {
    if (!this.#isWanted || this.#isAway || this.#transport !== undefined) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#dial(), this.#backoff());
  }

  #backoff(): number {
    const delay = this.#events.nextDelay();
    // The remainder is as evenly spread as the delay, where a minimum would bring everybody back at once.
    const isWatched = globalThis.document?.visibilityState === 'visible' && !this.#events.isUnwelcome();
    return isWatched ? delay % LONGEST_WATCHED_WAIT_MS : delay;
  }
}
