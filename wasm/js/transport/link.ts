// The link to the relay: when to connect, and when again.
//
// After a connection ended it waits as long as the engine's backoff says, or the relay itself; a browser that comes online,
// or a page that is looked at again, does not wait. Going offline closes the socket at once, because browsers leave it open
// and silent. `disconnect` closes it and stays away until `connect`.

import { connectWebSocket, type Transport, type WebSocketClass } from './websocket.js';

export interface LinkEvents {
  dialing(): void;
  opened(): void;
  received(bytes: Uint8Array): void;
  ended(): void;
  /** There can be no connection: a page that came over https refuses unencrypted ones, for example. */
  refused(cause: unknown): void;
  /** How long to wait before the next attempt, in milliseconds. */
  nextDelay(): number;
}

export class Link {
  readonly #webSocket: WebSocketClass;
  readonly #url: string;
  readonly #events: LinkEvents;
  #isWanted = false;
  #transport: Transport | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(webSocket: WebSocketClass, url: string, events: LinkEvents) {
    this.#webSocket = webSocket;
    this.#url = url;
    this.#events = events;
  }

  connect(): void {
    if (this.#isWanted) return;
    this.#isWanted = true;
    globalThis.addEventListener?.('online', this.#hurry);
    globalThis.addEventListener?.('offline', this.#lose);
    globalThis.document?.addEventListener('visibilitychange', this.#hurry);
    this.#dial();
  }

  disconnect(): void {
    if (!this.#isWanted) return;
    this.#isWanted = false;
    globalThis.removeEventListener?.('online', this.#hurry);
    globalThis.removeEventListener?.('offline', this.#lose);
    globalThis.document?.removeEventListener('visibilitychange', this.#hurry);
    clearTimeout(this.#timer);
    this.#end();
  }

  send(bytes: Uint8Array): void {
    this.#transport?.send(bytes);
  }

  /** Ends this connection; the next one comes after the delay, or after the backoff's if none is given. */
  drop(delayMs?: number): void {
    this.#end();
    this.#wait(delayMs);
  }

  readonly #hurry = (): void => {
    if (this.#transport !== undefined || globalThis.document?.visibilityState === 'hidden') return;
    clearTimeout(this.#timer);
    this.#dial();
  };

  readonly #lose = (): void => {
    if (this.#transport !== undefined) this.drop();
  };

  #dial(): void {
    if (!this.#isWanted) return;
    this.#events.dialing();
    try {
      this.#transport = connectWebSocket(this.#webSocket, this.#url, {
        opened: () => this.#events.opened(),
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
    }
  }

  #end(): void {
    const transport = this.#transport;
    this.#transport = undefined;
    transport?.close();
    this.#events.ended();
  }

  #wait(delayMs?: number): void {
    clearTimeout(this.#timer);
    if (this.#isWanted && this.#transport === undefined) this.#timer = setTimeout(() => this.#dial(), delayMs ?? this.#events.nextDelay());
  }
}
