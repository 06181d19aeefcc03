import { expect, test } from 'vitest';
import { ClosedError, PoisonedError, Replica, WeftlineError, isReplica } from 'weftline';
import { freshName, openInMemory } from './support.js';

let isTrap = false;

// The module as it is, until it is to trap.
const { Instance } = WebAssembly;
WebAssembly.Instance = function (module: WebAssembly.Module) {
  const exports = new Instance(module).exports as Record<string, (...args: unknown[]) => unknown>;
  const call = (...args: unknown[]): unknown => {
    if (isTrap) throw new WebAssembly.RuntimeError('unreachable');
    return exports['call']!(...args);
  };
  return { exports: { ...exports, call } };
} as unknown as typeof WebAssembly.Instance;

test('a closed replica does nothing any more', async () => {
  const replica = await openInMemory();
  const list = replica.list('l');
  list.push(1);
  const closing = replica.close();
  expect(replica.close()).toBe(closing);
  await closing;
  for (const call of [
    () => list.push(2),
    () => list.length,
    () => list.snapshot(),
    () => replica.snapshot(),
    () => replica.transact(() => 1),
    () => replica.connect(),
    () => replica.disconnect(),
  ]) {
    expect(call).toThrow(ClosedError);
  }
  await expect(replica.flushed()).rejects.toThrow(ClosedError);
  await expect(replica.synced()).rejects.toThrow(ClosedError);
});

test('a replica is not closed in the middle of a transaction', async () => {
  const replica = await openInMemory();
  expect(() => replica.transact(() => void replica.close())).toThrowError(expect.objectContaining({ code: 'transaction' }));
  await replica.close();
});

test('a replica can be disposed of', async () => {
  const replica = await openInMemory();
  await replica[Symbol.asyncDispose]();
  expect(() => replica.snapshot()).toThrow(ClosedError);
});

test('replicas are known by their brand', async () => {
  const replica = await openInMemory();
  expect(isReplica(replica)).toBe(true);
  for (const other of [null, undefined, {}, 'replica', Replica]) expect(isReplica(other)).toBe(false);
  await replica.close();
});

test('names are checked', async () => {
  await expect(Replica.open('')).rejects.toMatchObject({ code: 'bad-argument' });
  await expect(Replica.open(7 as never)).rejects.toMatchObject({ code: 'bad-argument' });
  await expect(Replica.open('x'.repeat(1000), { storage: 'memory' })).rejects.toMatchObject({ code: 'limit' });
});

test('errors are ordinary errors', async () => {
  const replica = await openInMemory();
  try {
    replica.map('m').put('k', {} as never);
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(WeftlineError);
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ name: 'WeftlineError', code: 'bad-argument' });
  }
  await replica.close();
});

// The last test of this file, because nothing works after it.
test('after a trap every replica says that it cannot go on', async () => {
  const [replica, other] = await Promise.all([openInMemory(), openInMemory()]);
  replica.map('m').put('k', 1);
  isTrap = true;
  expect(() => replica.map('m').put('k', 2)).toThrow(PoisonedError);
  expect(() => replica.snapshot()).toThrow(PoisonedError);
  expect(replica.status).toMatchObject({ link: 'offline', error: expect.stringContaining('reload') });
  expect(() => other.map('m').put('k', 2)).toThrow(PoisonedError);
  await expect(Replica.open(freshName(), { storage: 'memory' })).rejects.toThrow(PoisonedError);
  await Promise.all([replica.close(), other.close()]);
});
