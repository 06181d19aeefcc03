// Checked, not run: what users write has the types they expect.

import { MemoryStorage, Replica, WeftlineError, bindTextarea, elementId, isReplica } from 'weftline';
import type { ChangeEvent, ElementId, ListHandle, MapSnapshot, Peer, PeerId, PresenceValue, Scalar, Snapshot, Status, Storage, Store, TextEvent, TextHandle, TextSpan } from 'weftline';

export async function sample(): Promise<void> {
  await using replica = await Replica.open('todo/groceries', { relay: 'wss://relay.example', storage: new MemoryStorage() });
  const todos: ListHandle = replica.map('list').list('todos');

  const id: ElementId | undefined = replica.transact(() => {
    const todo = todos.pushMap();
    todo.put('title', 'milk');
    todo.flag('completed').enable();
    return todo.id;
  });
  const title: Scalar | undefined = id === undefined ? undefined : todos.map(id).get('title');
  const snapshot: MapSnapshot = replica.snapshot();
  const elements: readonly Snapshot[] = todos.snapshot();
  const first: ElementId | undefined = elementId(elements[0]);
  const note: TextHandle = todos.pushMap().text('note');
  note.insert(0, 'buy 🥛');
  const cursor: Uint8Array = note.cursor(4, 'left');
  const [length, caret]: [number, number | undefined] = [note.length, note.indexOf(cursor)];
  const unsubscribe: () => void = note.subscribe(({ origin, deltas }: TextEvent) => void [origin === 'local', deltas?.length, length, caret]);
  const unbind: () => void = bindTextarea(note, document.createElement('textarea'));
  bindTextarea(note, document.createElement('input'));
  note.mark(0, 3, 'link', 'https://milk.example', 'none');
  const spans: TextSpan[] = note.spans();
  void spans[0]?.marks['link'];
  unsubscribe();
  unbind();
  const sum: number | bigint = replica.counter('c').value;
  const stop: () => void = replica.subscribe((event: ChangeEvent) => {
    for (const change of event.changes) {
      if (change.type === 'key') change.key.trim();
      else if (change.type === 'member') void change.member;
      else if (change.type === 'text') change.delta.forEach((step) => 'insert' in step && step.insert.trim());
      else if (change.type === 'marks') change.key.trim();
      else if (change.type !== 'value') void change.element;
    }
  });
  stop();
  replica.onStatus(({ link, unsaved, error }: Status) => void [link === 'live', unsaved + 1, error?.trim()]);
  replica.presence.set({ name: 'Ann', cursor: [3, 5] });
  const leave: () => void = replica.presence.subscribe((peers: readonly Peer[]) => void peers.length);
  for (const { id, value } of replica.presence) void [id satisfies PeerId, value satisfies PresenceValue];
  replica.presence.clear();
  leave();
  void [title, snapshot['list'], first, sum, isReplica(replica)];

  // @ts-expect-error A snapshot is read-only.
  snapshot['list'] = 1;
  // @ts-expect-error The link of a replica is one of four words.
  void (replica.status.link === 'on');
  // @ts-expect-error What is shown is JSON.
  replica.presence.set(() => 1);
  // @ts-expect-error The peers are read-only.
  replica.presence.peers.push();
  // @ts-expect-error An id is not any string.
  todos.remove('some text');
  // @ts-expect-error Objects are no values.
  todos.push({ title: 'milk' });
  // @ts-expect-error Handles come from replicas.
  new ListHandle();

  try {
    await replica.synced();
  } catch (error) {
    if (error instanceof WeftlineError && error.code === 'closed') return;
    throw error;
  }
}

export const storage: Storage = {
  async open(): Promise<Store> {
    const records = new Map<string, Uint8Array>();
    return {
      acquireSlot: async () => null,
      load: async () => [...records.values()],
      async write({ changes }) {
        for (const change of changes) {
          if ('key' in change) records.set(change.key, change.record);
          else for (const key of records.keys()) if (key >= change.first && key <= change.last) records.delete(key);
        }
      },
      async compact(plan) {
        const compaction = plan();
        if (compaction === null) return;
        for (const [key, record] of records) if (compaction.isCovered(record)) records.delete(key);
        records.set(compaction.key, compaction.record);
      },
      async close() {},
    };
  },
};
