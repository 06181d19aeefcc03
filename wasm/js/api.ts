// What both entries of the package export, besides `Replica`.

export { ClosedError, PoisonedError, StorageError, WeftlineError, type ErrorCode, type StorageProblem } from './errors.js';
export type { CounterHandle, FlagHandle, Handle, ListHandle, MapHandle, RegisterHandle, SetHandle, TextHandle } from './handles.js';
export type { Peer, PeerId, Presence, PresenceValue } from './presence.js';
export { isReplica, type OpenOptions } from './replica.js';
export { IndexedDbStorage, type IndexedDbOptions } from './storage/indexeddb.js';
export { MemoryStorage } from './storage/memory.js';
export type { Batch, Compaction, SlotLock, Storage, Store, StoreChange } from './storage/types.js';
export type { WebSocketClass, WebSocketLike } from './transport/websocket.js';
export type { Change, ChangeEvent, CloseReason, ElementId, Expand, Kind, Link, MapSnapshot, PathStep, Refusal, Scalar, Snapshot, Status, TextDelta, TextEvent, TextSpan } from './types.js';
export { bindTextarea, type TextField } from './textarea.js';
export { elementId } from './view.js';
