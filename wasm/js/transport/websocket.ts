// The websocket: the only part that knows there is one.
//
// A transport reports each thing once, and nothing any more after `close` was called on it (SES-1): what still trickles in
// from a connection that was given up is not the business of the next one. When to connect and what to say is decided
// elsewhere, in the driver and the engine.

/** The part of a websocket class that is used: the browser's, Node's own from version 22, or that of the package `ws`. */
export interface WebSocketClass {
  new (url: string): WebSocketLike;
}

export interface WebSocketLike {
  binaryType: string;
  send(data: Uint8Array<ArrayBuffer>): void;
  close(code?: number): void;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
}

export interface TransportEvents {
  opened(): void;
  received(bytes: Uint8Array): void;
  /** The connection ended, or never came up. */
  ended(): void;
}

export interface Transport {
  send(bytes: Uint8Array): void;
  close(): void;
}

/** Starts to connect. */
export function connectWebSocket(WebSocket: WebSocketClass, url: string, events: TransportEvents): Transport {
  const socket = new WebSocket(url);
  socket.binaryType = 'arraybuffer';
  socket.onopen = () => events.opened();
  socket.onmessage = (event: { data: unknown }) => {
    // Text is not part of the protocol: an empty frame is not either, and is refused by the engine. Where tests imitate a
    // browser, bytes may be an `ArrayBuffer` of another realm, so nothing is asked about it.
    events.received(typeof event.data === 'string' ? new Uint8Array() : new Uint8Array(event.data as ArrayBuffer));
  };
  // An error is always followed by a close.
  socket.onerror = () => undefined;
  socket.onclose = () => {
    detach(socket);
    events.ended();
  };
  return {
    send: (bytes) => socket.send(bytes as Uint8Array<ArrayBuffer>),
    close: () => {
      detach(socket);
      socket.close(1000);
    },
  };
}

function detach(socket: WebSocketLike): void {
  socket.onopen = null;
  socket.onmessage = null;
  socket.onclose = null;
  // Closing a socket that is still connecting is an error to some classes, and one without a listener ends a process.
  socket.onerror = () => undefined;
}
