// The link, against servers that are no relays, and against the relay itself where its program is at hand.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { WebSocket, WebSocketServer, type WebSocket as ServerSocket } from 'ws';
import { MemoryStorage, Replica } from 'weftline';
import type { OpenOptions, Replica as ReplicaType, Status, WebSocketClass } from '../js/index.node.js';
import { TestStorage, changeTo, freshName, relayProgram, startRelay, statusOf, type Relay } from './support.js';

const webSocket = WebSocket as unknown as WebSocketClass;

describe('a server that is no relay', () => {
  let server: WebSocketServer;
  let url: string;
  let replica: ReplicaType;

  const connected = async (): Promise<ServerSocket> => {
    const [socket] = (await once(server, 'connection')) as [ServerSocket];
    return socket;
  };

  beforeEach(async () => {
    server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    await once(server, 'listening');
    url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });

  afterEach(async () => {
    await replica.close();
    for (const client of server.clients) client.terminate();
    server.close();
  });

  const open = async (options: OpenOptions = {}): Promise<void> => {
    replica = await Replica.open(freshName(), { relay: url, storage: 'memory', webSocket, ...options });
  };

  test('what must be stored before anything is claimed is stored at once when there is a connection', async () => {
    const storage = new TestStorage();
    storage.writeIntervalMs = 60_000;
    const connection = connected();
    await open({ storage, connect: false });
    replica.map('m').put('a', 1);
    await vi.waitFor(() => expect(storage.batches.length).toBe(1));
    replica.map('m').put('b', 2);
    replica.connect();
    const socket = await connection;
    // Hello and Open; the latter waits for the write.
    await once(socket, 'message');
    await once(socket, 'message');
    expect(storage.batches.length).toBeGreaterThan(1);
  });

  test('connecting is a status, and disconnecting closes the socket', async () => {
    const connection = connected();
    await open();
    expect(replica.status.link).toBe('connecting');
    const socket = await connection;
    await once(socket, 'message');
    const closed = once(socket, 'close');
    replica.disconnect();
    expect(replica.status.link).toBe('offline');
    expect((await closed)[0]).toBe(1000);
    replica.disconnect();
    const again = connected();
    replica.connect();
    replica.connect();
    await again;
    expect(server.clients.size).toBe(1);
  });

  test('nothing is connected unless it is asked for', async () => {
    await open({ connect: false });
    expect(replica.status.link).toBe('offline');
    await replica.flushed();
    expect(server.clients.size).toBe(0);
  });

  test('a lost connection is made again', async () => {
    const first = connected();
    await open();
    const second = first.then(() => connected());
    (await first).terminate();
    await statusOf(replica, (status) => status.link === 'offline');
    await second;
    await statusOf(replica, (status) => status.link === 'connecting');
  });

  test.each([
    ['a text', (socket: ServerSocket) => socket.send('hello')],
    ['nonsense', (socket: ServerSocket) => socket.send(new Uint8Array([255, 255, 255, 255]))],
  ])('%s is an error of the protocol, after which the connection is another one', async (_, say) => {
    const first = connected();
    await open();
    const socket = await first;
    const [closed, second] = [once(socket, 'close'), connected()];
    say(socket);
    const status = await statusOf(replica, (status) => status.error !== undefined);
    expect(status).toMatchObject({ link: 'offline', error: expect.stringContaining('protocol') });
    await Promise.all([closed, second]);
  });

  test('who is sent away says why, and stays away until told to connect where the relay says so', async () => {
    // Hello: layout 0, versions 1 to 1, no features, no name, frames of 64 KiB, a heartbeat of 15 s. Goodbye: why, and when.
    const hello = [0, 1, 0, 0, 1, 1, 0, 0, 0x80, 0x80, 0x04, 0x98, 0x75];
    const goodbye = (reason: number, ...retry: number[]): number[] => [4, 12, 0, 0, reason, ...retry];
    // Denied, never; then a store that is full, an hour.
    const lastWords = [goodbye(3, 1), goodbye(8, 0x80, 0xdd, 0xdb, 0x01)];
    server.on('connection', (socket) => {
      socket.send(Uint8Array.from(hello));
      const words = lastWords.shift();
      if (words !== undefined) socket.send(Uint8Array.from(words));
    });
    await open();
    const parked = await statusOf(replica, ({ closed }) => closed !== undefined);
    expect([parked.link, parked.closed, parked.isParked]).toEqual(['offline', 'denied', true]);
    expect(parked.error).toBe('the relay ended the connection: denied');
    replica.connect();
    const away = await statusOf(replica, ({ closed }) => closed === 'storage-full');
    expect([away.link, away.isParked]).toEqual(['offline', undefined]);
    const again = connected();
    replica.connect();
    await again;
  });

  test('edits are unsaved as long as nobody has them', async () => {
    await open();
    replica.map('m').put('k', 1);
    await replica.flushed();
    expect(replica.status).toMatchObject({ unsaved: 1, unstored: 0 });
  });

  test('ACK-6 the status and its event always say the same', async () => {
    const told: [Status, Status][] = [];
    await open({ connect: false });
    replica.onStatus((status) => {
      told.push([status, replica.status]);
      if (replica.counter('c').value === 1) replica.counter('c').add(1);
    });
    replica.onStatus((status) => told.push([status, replica.status]));
    replica.counter('c').add(1);
    await replica.flushed();
    replica.connect();
    await connected();
    replica.disconnect();
    expect(told.length).toBeGreaterThan(4);
    for (const [event, value] of told) expect(event).toBe(value);
    expect(told.at(-1)![0]).toEqual({ link: 'offline', unsaved: 2, unstored: 0 });
  });

  test('who is told of the link may end it', async () => {
    const sockets: WebSocket[] = [];
    class Recorded extends WebSocket {
      constructor(url: string) {
        super(url);
        sockets.push(this);
      }
    }
    await open({ connect: false, webSocket: Recorded as unknown as WebSocketClass });
    const links: string[] = [];
    replica.onStatus(({ link }) => {
      links.push(link);
      if (link === 'connecting') replica.disconnect();
    });
    replica.connect();
    replica.connect();
    expect(links).toEqual(['connecting', 'offline', 'connecting', 'offline']);
    expect(sockets.map((socket) => socket.readyState)).toEqual([WebSocket.CLOSING, WebSocket.CLOSING]);
  });

  test('closing is the end, also if a listener would connect again', async () => {
    const connection = connected();
    await open();
    const closed = once(await connection, 'close');
    replica.onStatus(({ link }) => {
      if (link === 'offline') replica.connect();
    });
    let dialled = 0;
    server.on('connection', () => (dialled += 1));
    await replica.close();
    await closed;
    expect(replica.status.link).toBe('offline');
    expect(dialled).toBe(0);
  });

  test('waiting to be synced ends with the replica', async () => {
    await open();
    const synced = replica.synced();
    const ended = expect(synced).rejects.toMatchObject({ code: 'closed' });
    await replica.close();
    await ended;
  });
});

test('a connection that is not allowed is a status, not an exception', async () => {
  class Refusing {
    constructor() {
      throw new DOMException('insecure', 'SecurityError');
    }
  }
  const webSocket = Refusing as unknown as WebSocketClass;
  const replica = await Replica.open(freshName(), { relay: 'ws://example.com', storage: 'memory', webSocket });
  expect(replica.status).toEqual({ link: 'offline', unsaved: 0, unstored: 0, error: 'the relay cannot be reached from here' });
  await replica.close();
});

test('addresses and classes are checked at once', async () => {
  for (const relay of ['http://example.com', 'nonsense', '']) {
    await expect(Replica.open(freshName(), { relay, webSocket })).rejects.toMatchObject({ code: 'bad-argument' });
  }
  const replica = await Replica.open(freshName(), { storage: 'memory' });
  expect(() => replica.connect()).toThrowError(expect.objectContaining({ code: 'bad-argument' }));
  await expect(replica.synced()).rejects.toMatchObject({ code: 'bad-argument' });
  replica.disconnect();
  await replica.close();
});

describe('when to connect again', () => {
  interface Dialled {
    onopen(): void;
    onclose(): void;
    isClosed: boolean;
  }
  let dialled: Dialled[];
  let link: { connect(): void; disconnect(): void; away(retry: number): void };
  let isUnwelcome: boolean;
  let prepare: () => Promise<boolean> | undefined;

  beforeEach(async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    dialled = [];
    class Socket {
      isClosed = false;
      constructor() {
        dialled.push(this as unknown as Dialled);
      }
      close(): void {
        this.isClosed = true;
      }
    }
    const file = pathToFileURL(join(process.env['WEFTLINE_PACKED']!, 'node_modules/weftline/dist/transport/link.js')).href;
    const { Link } = (await import(/* @vite-ignore */ file)) as { Link: new (...args: unknown[]) => typeof link };
    const ignore = (): void => {};
    isUnwelcome = false;
    prepare = () => undefined;
    const events = { dialing: ignore, opened: ignore, received: ignore, ended: ignore, refused: ignore, prepare: () => prepare(), isUnwelcome: () => isUnwelcome, nextDelay: () => 29_000 };
    link = new Link(Socket, 'ws://relay.example', events);
  });

  afterEach(() => {
    link.disconnect();
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  test('as the backoff says', () => {
    link.connect();
    dialled[0]!.onclose();
    vi.advanceTimersByTime(28_999);
    expect(dialled.length).toBe(1);
    vi.advanceTimersByTime(1);
    expect(dialled.length).toBe(2);
  });

  test('when the relay asked to, and not when somebody looks', () => {
    let look = (): void => {};
    vi.stubGlobal('document', {
      visibilityState: 'visible',
      addEventListener: (_: string, listener: () => void) => (look = listener),
      removeEventListener() {},
    });
    link.connect();
    link.away(60_000);
    look();
    vi.advanceTimersByTime(59_999);
    expect(dialled.length).toBe(1);
    vi.advanceTimersByTime(1);
    expect(dialled.length).toBe(2);
    link.away(0);
    vi.advanceTimersByTime(5_000);
    expect(dialled.length).toBe(3);
  });

  test('never, where the relay asked for that, before somebody asks for it', () => {
    link.connect();
    link.away(1);
    expect([dialled[0]!.isClosed, vi.getTimerCount()]).toEqual([true, 0]);
    link.connect();
    expect(dialled.length).toBe(2);
  });

  test('at once where it is asked for, but never twice', () => {
    link.connect();
    dialled[0]!.onclose();
    link.connect();
    link.connect();
    expect(dialled.length).toBe(2);
  });

  test('soon while somebody looks at the page', () => {
    vi.stubGlobal('document', { visibilityState: 'visible', addEventListener() {}, removeEventListener() {} });
    link.connect();
    dialled[0]!.onclose();
    vi.advanceTimersByTime(5_000);
    expect(dialled.length).toBe(2);
  });

  test('not so soon where the relay would say the same again', () => {
    vi.stubGlobal('document', { visibilityState: 'visible', addEventListener() {}, removeEventListener() {} });
    isUnwelcome = true;
    link.connect();
    dialled[0]!.onclose();
    vi.advanceTimersByTime(28_999);
    expect(dialled.length).toBe(1);
    vi.advanceTimersByTime(1);
    expect(dialled.length).toBe(2);
  });

  test('once what it takes is there, and later if that fails or takes too long', async () => {
    const asked: ((isThere: boolean) => void)[] = [];
    prepare = () => new Promise((there) => asked.push(there));
    link.connect();
    link.connect();
    expect([asked.length, dialled.length]).toEqual([1, 0]);
    asked[0]!(false);
    await vi.waitFor(() => expect(vi.getTimerCount()).toBe(1));
    vi.advanceTimersByTime(29_000);
    vi.advanceTimersByTime(15_000);
    vi.advanceTimersByTime(29_000);
    expect([asked.length, dialled.length]).toEqual([3, 0]);
    // That of an attempt that was given up does not count any more.
    asked[1]!(true);
    await Promise.resolve();
    expect(dialled.length).toBe(0);
    asked[2]!(true);
    await vi.waitFor(() => expect(dialled.length).toBe(1));
  });

  test('when a connection does not come up; one that is up stays', () => {
    link.connect();
    vi.advanceTimersByTime(15_000);
    expect(dialled[0]!.isClosed).toBe(true);
    vi.advanceTimersByTime(29_000);
    expect(dialled.length).toBe(2);
    dialled[1]!.onopen();
    vi.advanceTimersByTime(3_600_000);
    expect(dialled[1]!.isClosed).toBe(false);
  });
});

describe.runIf(relayProgram !== undefined)('the relay', () => {
  let relay: Relay;
  let dir: string;
  let replicas: ReplicaType[];

  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'weftline-relay-'));
    relay = await startRelay(join(dir, 'relay.sqlite'));
    replicas = [];
  });

  afterEach(async () => {
    await Promise.all(replicas.map((replica) => replica.close()));
    await relay.kill();
    rmSync(dir, { recursive: true, force: true });
  });

  const open = async (name: string, options: OpenOptions = {}): Promise<ReplicaType> => {
    const replica = await Replica.open(name, { relay: relay.url, storage: 'memory', webSocket, ...options });
    replicas.push(replica);
    return replica;
  };

  test('what one writes the other sees, and both know where they stand', async () => {
    const name = freshName();
    const [first, second] = await Promise.all([open(name), open(name)]);
    await Promise.all([first.synced(), second.synced()]);
    const origins: string[] = [];
    second.subscribe((event) => origins.push(event.origin));
    const seen = changeTo(second, () => second.list('l').length === 2);
    first.list('l').pushMap().put('k', new Uint8Array([1, 2]));
    first.list('l').push(2n ** 60n);
    expect(first.status).toMatchObject({ link: 'live', unsaved: 3 });
    await Promise.all([first.synced(), seen]);
    expect(first.status).toEqual({ link: 'live', unsaved: 0, unstored: 0 });
    expect(second.snapshot()).toEqual(first.snapshot());
    expect(second.list('l').ids()).toEqual(first.list('l').ids());
    expect(new Set(origins)).toEqual(new Set(['remote']));
  });

  test('DUR-1 nothing is sent before its write has completed', async () => {
    const storage = new TestStorage();
    let sent = 0;
    class Counting extends WebSocket {
      override send(bytes: Uint8Array): void {
        sent += 1;
        super.send(bytes);
      }
    }
    const replica = await open(freshName(), { storage, webSocket: Counting as unknown as WebSocketClass });
    await replica.synced();
    const before = sent;
    let complete = (): void => {};
    const isWriting = new Promise<void>((writing) => {
      storage.beforeWrite = () => {
        writing();
        return new Promise((done) => (complete = done));
      };
    });
    replica.list('l').push(1);
    await isWriting;
    replica.list('l').push(2);
    for (let turn = 0; turn < 20; turn += 1) await new Promise((done) => setImmediate(done));
    expect(sent).toBe(before);
    expect(replica.status).toEqual({ link: 'live', unsaved: 2, unstored: 2 });
    storage.beforeWrite = () => Promise.resolve();
    complete();
    await replica.synced();
    expect(sent).toBeGreaterThan(before);
  });

  test('what was written offline, on both sides, comes together', async () => {
    const name = freshName();
    const [first, second] = await Promise.all([open(name, { connect: false }), open(name, { connect: false })]);
    for (const [index, replica] of [first, second].entries()) {
      replica.map('m').list('todos').pushMap().put('title', `todo ${index}`);
      replica.map('m').put('same', index);
      replica.counter('c').add(10 + index);
      replica.set('s').add(`member ${index}`);
      replica.flag('f').set(index === 1);
    }
    first.connect();
    second.connect();
    await Promise.all([first.synced(), second.synced()]);
    const together = (replica: ReplicaType): boolean => replica.counter('c').value === 21;
    await Promise.all([changeTo(first, () => together(first)), changeTo(second, () => together(second))]);
    expect(first.snapshot()).toEqual(second.snapshot());
    expect(first.map('m').list('todos').length).toBe(2);
    expect(first.map('m').values('same').sort()).toEqual([0, 1]);
    expect(first.set('s').values()).toEqual(['member 0', 'member 1']);
    expect(first.flag('f').value).toBe(true);
  });

  test('a relay that is killed and started again has every edit it said was saved', async () => {
    const name = freshName();
    const first = await open(name);
    for (let index = 0; index < 50; index += 1) first.list('l').push(index);
    await first.synced();
    const port = Number(new URL(relay.url).port);
    await relay.kill();
    await statusOf(first, (status) => status.link !== 'live');
    first.list('l').push('offline');
    expect(first.status.unsaved).toBe(1);
    relay = await startRelay(join(dir, 'relay.sqlite'), port);
    await first.synced();
    const second = await open(name);
    await second.synced();
    expect(second.snapshot()).toEqual(first.snapshot());
    expect(second.list('l').length).toBe(51);
  });

  test('an opening whose edits were not saved is settled by the next', async () => {
    const name = freshName();
    const storage = new MemoryStorage();
    const first = await open(name, { storage, connect: false });
    first.list('l').push('kept');
    await first.close();
    const second = await open(name, { storage });
    expect(second.status.unsaved).toBe(1);
    await second.synced();
    const other = await open(name);
    await other.synced();
    expect(other.snapshot()).toEqual({ l: ['kept'] });
  });

  test('a large transaction arrives whole', async () => {
    const name = freshName();
    const [first, second] = await Promise.all([open(name), open(name)]);
    await second.synced();
    const texts = Array.from({ length: 300 }, (_, index) => `${index} `.repeat(2_000));
    let isWhole = true;
    second.subscribe(() => (isWhole &&= second.list('l').length === 300));
    const seen = changeTo(second, () => second.list('l').length > 0);
    first.transact(() => texts.forEach((text) => first.list('l').push(text)));
    await seen;
    expect(isWhole).toBe(true);
    expect(second.list('l').snapshot()).toEqual(texts);
    await first.synced();
  });
});
