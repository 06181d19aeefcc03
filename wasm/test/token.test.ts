// Tokens: when they are asked for, and what a relay that wants them says.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { Replica } from 'weftline';
import type { OpenOptions, Replica as ReplicaType, WebSocketClass } from '../js/index.node.js';
import { changeTo, freshName, relayProgram, startRelay, statusOf, type Relay } from './support.js';

const webSocket = WebSocket as unknown as WebSocketClass;
const HELLO = 1;
const OPEN = 2;
const TOKEN = 129;

describe('a server that listens', () => {
  let server: WebSocketServer;
  let replica: ReplicaType;
  /** Of each connection, the kinds of messages in their order, and the tokens. */
  let heard: { kinds: number[]; tokens: string[] }[];

  beforeEach(async () => {
    heard = [];
    server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    server.on('connection', (socket) => {
      const said: (typeof heard)[number] = { kinds: [], tokens: [] };
      heard.push(said);
      socket.on('message', (bytes: Buffer) => {
        said.kinds.push(bytes[1]!);
        if (bytes[1] === TOKEN) said.tokens.push(bytes.subarray(3).toString());
      });
    });
    await once(server, 'listening');
  });

  afterEach(async () => {
    await replica.close();
    for (const client of server.clients) client.terminate();
    server.close();
  });

  const open = async (token: OpenOptions['token']): Promise<void> => {
    const relay = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
    replica = await Replica.open(freshName(), { relay, storage: 'memory', webSocket, token });
  };

  test('AUTH-2 hears the token before the document is opened, a new one on each connection', async () => {
    let count = 0;
    await open(() => Promise.resolve(`token ${(count += 1)}`));
    expect(replica.status.link).toBe('connecting');
    await vi.waitFor(() => expect(heard[0]?.kinds).toEqual([HELLO, TOKEN, OPEN]));
    for (const client of server.clients) client.terminate();
    await vi.waitFor(() => expect(heard[1]?.kinds).toEqual([HELLO, TOKEN, OPEN]), 5_000);
    expect(heard.map(({ tokens }) => tokens)).toEqual([['token 1'], ['token 2']]);
  });

  test('hears one that does not change as well, and none where there is none', async () => {
    await open('always the same');
    await vi.waitFor(() => expect(heard[0]?.kinds).toEqual([HELLO, TOKEN, OPEN]));
    expect(heard[0]!.tokens).toEqual(['always the same']);
    await replica.close();
    await open(undefined);
    await vi.waitFor(() => expect(heard[1]?.kinds).toEqual([HELLO, OPEN]));
  });

  test.each([
    ['throws', () => { throw new Error('logged out'); }],
    ['rejects', () => Promise.reject(new Error('logged out'))],
  ])('hears nothing while who gives tokens %s', async (_, refuse) => {
    let isLoggedIn = false;
    await open(() => (isLoggedIn ? 'token' : refuse()));
    const status = await statusOf(replica, ({ error }) => error !== undefined);
    expect(status).toMatchObject({ link: 'offline', error: 'there is no token for the relay' });
    expect(heard).toEqual([]);
    isLoggedIn = true;
    replica.connect();
    await vi.waitFor(() => expect(heard[0]?.kinds).toEqual([HELLO, TOKEN, OPEN]));
  });

  test('hears nothing from who is closed before there is a token', async () => {
    let give = (_: string): void => {};
    await open(() => new Promise((given) => (give = given)));
    await replica.close();
    give('late');
    await new Promise((done) => setImmediate(done));
    expect(heard).toEqual([]);
  });
});

describe.runIf(relayProgram !== undefined)('a relay that wants tokens', () => {
  let relay: Relay;
  let dir: string;
  let key: string;
  let replicas: ReplicaType[];

  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'weftline-token-'));
    key = join(dir, 'keys.json');
    execFileSync(relayProgram!, ['keygen', key]);
    relay = await startRelay('memory', 0, ['--auth-keys', `${key}.pub`, '--auth-leeway', '0s']);
    replicas = [];
  });

  afterEach(async () => {
    await Promise.all(replicas.map((replica) => replica.close()));
    await relay.kill();
    rmSync(dir, { recursive: true, force: true });
  });

  const tokenFor = (document: string, ...more: string[]): string =>
    execFileSync(relayProgram!, ['token', '--key', key, '--sub', 'alice', '--document', document, ...more], { encoding: 'utf8' }).trim();

  const open = async (name: string, token: OpenOptions['token']): Promise<ReplicaType> => {
    const replica = await Replica.open(name, { relay: relay.url, storage: 'memory', webSocket, token });
    replicas.push(replica);
    return replica;
  };

  test('is told who it is by, and turns away whoever does not say so', async () => {
    const name = freshName();
    const alice = await open(name, () => tokenFor(name, '--write'));
    alice.map('m').put('k', 1);
    await alice.synced();
    const stranger = await open(name, undefined);
    stranger.map('m').put('s', 1);
    expect(await statusOf(stranger, ({ closed }) => closed !== undefined)).toMatchObject({ closed: 'token', isParked: true, unsaved: 1 });
    const other = await open(`${name}-other`, tokenFor(name, '--write'));
    expect(await statusOf(other, ({ closed }) => closed !== undefined)).toMatchObject({ closed: 'denied', isParked: true });
    const forger = await open(name, `${tokenFor(name).slice(0, -8)}AAAAAAAA`);
    const status = await statusOf(forger, ({ closed }) => closed !== undefined);
    expect(status).toMatchObject({ closed: 'token', error: 'the relay ended the connection: token' });
    expect(status.isParked).toBeUndefined();
  });

  test('AUTH-3 keeps readers from writing, and loses no edit of theirs', async () => {
    const name = freshName();
    const alice = await open(name, tokenFor(name, '--write'));
    let mayWrite = false;
    const ben = await open(name, () => tokenFor(name, ...(mayWrite ? ['--write'] : [])));
    await ben.synced();
    ben.list('l').push('ben');
    expect(await statusOf(ben, ({ refused }) => refused !== undefined)).toMatchObject({ link: 'live', unsaved: 1, refused: 'read-only' });
    const seen = changeTo(ben, () => ben.list('l').length === 2);
    alice.list('l').push('alice');
    await seen;
    expect(ben.status.unsaved).toBe(1);
    mayWrite = true;
    ben.disconnect();
    ben.connect();
    await ben.synced();
    expect(ben.status.refused).toBeUndefined();
    const both = changeTo(alice, () => alice.list('l').length === 2);
    if (alice.list('l').length < 2) await both;
  });

  test('AUTH-4 asks for another token in time, on the connection that there is', async () => {
    const name = freshName();
    let asked = 0;
    const replica = await open(name, () => {
      asked += 1;
      return tokenFor(name, '--write', '--expires', asked < 3 ? '3s' : '1h');
    });
    await replica.synced();
    const links = new Set<string>();
    replica.onStatus(({ link }) => links.add(link));
    await vi.waitFor(() => expect(asked).toBe(3), 20_000);
    replica.map('m').put('k', 1);
    await replica.synced();
    expect([...links]).toEqual(['live']);
  });

  test('shows the door to who has no other token, and takes it back with one', async () => {
    const name = freshName();
    const expiring = tokenFor(name, '--write', '--expires', '2s');
    let token = expiring;
    const replica = await open(name, () => token);
    await replica.synced();
    expect((await statusOf(replica, ({ closed }) => closed !== undefined)).closed).toBe('expired');
    replica.map('m').put('k', 1);
    token = tokenFor(name, '--write');
    await replica.synced();
    expect(replica.status.closed).toBeUndefined();
  });
});
