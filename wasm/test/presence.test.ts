// Who else has a document open: without a relay nobody, with one everybody else.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { Replica } from 'weftline';
import type { Peer, Replica as ReplicaType, WebSocketClass } from '../js/index.node.js';
import { freshName, openInMemory, relayProgram, startRelay, type Relay } from './support.js';

const webSocket = WebSocket as unknown as WebSocketClass;

/** Resolves as soon as the peers are as waited for; looked at after each change. */
function peersTo(replica: ReplicaType, are: (peers: readonly Peer[]) => boolean): Promise<void> {
  return new Promise((resolve) => {
    const check = (peers: readonly Peer[]): void => {
      if (!are(peers)) return;
      stop();
      resolve();
    };
    const stop = replica.presence.subscribe(check);
    check(replica.presence.peers);
  });
}

test('what is shown has a limit, is JSON, and is no edit', async () => {
  const replica = await openInMemory();
  replica.presence.set({ name: 'Ann', at: [1, 2.5, null, true] });
  expect(() => replica.presence.set('x'.repeat(5_000))).toThrow(expect.objectContaining({ code: 'limit' }));
  expect(() => replica.presence.set(undefined as never)).toThrow(expect.objectContaining({ code: 'bad-argument' }));
  replica.presence.clear();
  expect(replica.presence.peers).toEqual([]);
  expect(Object.isFrozen(replica.presence.peers)).toBe(true);
  expect(replica.status).toEqual({ link: 'offline', unsaved: 0, unstored: 0 });
  expect(replica.snapshot()).toEqual({});
  await replica.close();
  expect(() => replica.presence.set(1)).toThrow(expect.objectContaining({ code: 'closed' }));
});

describe.runIf(relayProgram !== undefined)('with a relay', () => {
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

  const open = async (name: string): Promise<ReplicaType> => {
    const replica = await Replica.open(name, { relay: relay.url, storage: 'memory', webSocket });
    replicas.push(replica);
    return replica;
  };

  test('each sees the others and not itself, until they go', async () => {
    const name = freshName();
    const [ann, ben] = await Promise.all([open(name), open(name)]);
    ann.presence.set({ name: 'Ann', cursor: 3 });
    ben.presence.set('just Ben');
    await Promise.all([peersTo(ann, (peers) => peers.length === 1), peersTo(ben, (peers) => peers.length === 1)]);
    expect([...ann.presence].map(({ value }) => value)).toEqual(['just Ben']);
    expect(ben.presence.peers[0]!.value).toEqual({ name: 'Ann', cursor: 3 });
    const id = ben.presence.peers[0]!.id;
    expect(id).toMatch(/^[0-9a-f]{16}$/);

    // The newest of many arrives; the list is another object, and Ann is the same peer.
    const before = ben.presence.peers;
    for (let cursor = 0; cursor < 500; cursor += 1) ann.presence.set({ name: 'Ann', cursor });
    await peersTo(ben, ([peer]) => (peer?.value as { cursor?: number }).cursor === 499);
    expect(ben.presence.peers).not.toBe(before);
    expect(ben.presence.peers[0]!.id).toBe(id);

    // Who comes later is told who is here; who shows nothing any more is gone, and so is who closes.
    const carl = await open(name);
    await peersTo(carl, (peers) => peers.length === 2);
    ben.presence.clear();
    await peersTo(carl, (peers) => peers.length === 1);
    await ann.close();
    await Promise.all([peersTo(carl, (peers) => peers.length === 0), peersTo(ben, (peers) => peers.length === 0)]);
    expect(carl.snapshot()).toEqual({});
  });

  test('a listener may do anything, and the others are told all the same', async () => {
    const name = freshName();
    const [ann, ben] = await Promise.all([open(name), open(name)]);
    const seen: number[] = [];
    const stop = ben.presence.subscribe((peers) => {
      stop();
      ben.presence.set(peers.length);
      ben.list('l').push(peers.length);
    });
    ben.presence.subscribe((peers) => seen.push(peers.length));
    const answered = peersTo(ann, (peers) => peers.length === 1);
    ann.presence.set('hello');
    await answered;
    expect(seen).toEqual([1]);
    expect(ben.list('l').snapshot()).toEqual([1]);
  });
});
