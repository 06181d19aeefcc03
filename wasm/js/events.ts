// Who is told what changed: the listeners of the document, and those of single containers.
//
// Listeners are called when no transaction is open and the engine is idle, so they may call anything, also edit, subscribe
// and unsubscribe. What they edit is told afterwards, in order: nobody sees a later change before an earlier one. A listener
// that throws does not keep the others from being told; its error goes where uncaught errors go. Whoever ended its
// subscription is called no more, also not for what is just being told.

import { ALL_KINDS, childName, elementName, stepName } from './paths.js';
import type { Change, ChangeEvent, PathStep, TextDelta, TextEvent } from './types.js';

type Listener = (event: TextEvent) => void;
/** Who is to be told, and what became of the text if it is one. */
type Concerned = Map<Listener, TextDelta[] | undefined>;

interface Branch {
  readonly listeners: Set<Listener>;
  readonly branches: Map<string, Branch>;
}

export class Events {
  readonly #all = new Set<(event: ChangeEvent) => void>();
  readonly #root: Branch = newBranch();
  /** All listeners of containers. */
  readonly #within = new Set<Listener>();

  subscribe(listener: (event: ChangeEvent) => void): () => void {
    // Each subscription is its own, also where one function subscribes twice.
    const own = (event: ChangeEvent): void => listener(event);
    this.#all.add(own);
    return () => void this.#all.delete(own);
  }

  /** The listener is called when the container, or anything in it, changed. */
  subscribeTo(path: readonly PathStep[], listener: Listener): () => void {
    const own = (event: TextEvent): void => listener(event);
    const way = [this.#root];
    for (const step of path) {
      const { branches } = way[way.length - 1]!;
      const name = stepName(step);
      let branch = branches.get(name);
      if (branch === undefined) branches.set(name, (branch = newBranch()));
      way.push(branch);
    }
    way[way.length - 1]!.listeners.add(own);
    this.#within.add(own);
    return () => {
      this.#within.delete(own);
      if (!way[way.length - 1]!.listeners.delete(own)) return;
      // Branches nobody listens to any more go with the last listener.
      for (let at = way.length - 1; at > 0 && isBare(way[at]!); at -= 1) way[at - 1]!.branches.delete(stepName(path[at - 1]!));
    };
  }

  tell(event: ChangeEvent): void {
    const concerned: Concerned = new Map();
    if (event.forkRepaired === true) allBelow(this.#root, concerned);
    for (const change of event.changes) this.#concerned(change, concerned);
    for (const [listener, deltas] of concerned) {
      if (this.#within.has(listener)) shielded(() => listener({ origin: event.origin, deltas }));
    }
    for (const listener of [...this.#all]) if (this.#all.has(listener)) shielded(() => listener(event));
  }

  clear(): void {
    this.#all.clear();
    this.#within.clear();
    this.#root.listeners.clear();
    this.#root.branches.clear();
  }

  #concerned(change: Change, into: Concerned): void {
    let branch: Branch | undefined = this.#root;
    for (const step of change.path) {
      branch = branch.branches.get(stepName(step));
      if (branch === undefined) return;
      for (const listener of branch.listeners) if (!into.has(listener)) into.set(listener, []);
    }
    if (change.type === 'text') for (const listener of branch.listeners) into.get(listener)?.push(change.delta);
    // What came or went as a whole came or went for everybody below.
    if (change.type === 'key') for (const kind of ALL_KINDS) allBelow(branch.branches.get(childName(change.key, kind)), into);
    else if ('element' in change) allBelow(branch.branches.get(elementName(change.element)), into);
  }
}

function allBelow(branch: Branch | undefined, into: Concerned): void {
  if (branch === undefined) return;
  for (const listener of branch.listeners) into.set(listener, undefined);
  for (const below of branch.branches.values()) allBelow(below, into);
}

function newBranch(): Branch {
  return { listeners: new Set(), branches: new Map() };
}

function isBare(branch: Branch): boolean {
  return branch.listeners.size === 0 && branch.branches.size === 0;
}

/** Calls a listener; what it throws is reported as uncaught, and goes no further. */
export function shielded(call: () => void): void {
  try {
    call();
  } catch (error) {
    if (typeof reportError === 'function') reportError(error);
    else
      queueMicrotask(() => {
        throw error;
      });
  }
}
