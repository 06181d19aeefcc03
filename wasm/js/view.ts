// Snapshots: the document as frozen values that share what did not change.
//
// A tree of nodes, one for each container somebody looked at. A change marks what it touches and the way up to the root;
// the next look reads the marked keys and elements from the engine, copies the containers on the way, and leaves the rest as
// it is, so two snapshots differ in identity exactly where they differ in content. Values of keys and elements that are
// plain, and flags and counters, are read together with their container; maps, lists, sets and texts have nodes of their own.
//
// Nothing is read while a transaction is open: snapshots show committed states only.

import type { Reader } from './codec.js';
import { args, readIds, readScalars, type Engine } from './engine.js';
import { Read } from './ops.js';
import { ALL_KINDS, childName, elementName, slotOf, stepName } from './paths.js';
import type { Change, ElementId, Kind, MapSnapshot, PathStep, Scalar, Snapshot } from './types.js';

/** Where a map or a list in a list carries its id. Hidden from loops, copies and JSON. */
const ELEMENT_ID = Symbol.for('weftline.elementId');

/** The id of a map or a list that was found in the snapshot of a list. */
export function elementId(snapshot: Snapshot | undefined): ElementId | undefined {
  return (snapshot as { [ELEMENT_ID]?: ElementId } | null | undefined)?.[ELEMENT_ID];
}

export const EMPTY_MAP: MapSnapshot = Object.freeze(emptyObject());
export const EMPTY_LIST: readonly Snapshot[] = Object.freeze([]);

/** Beyond this share of elements to place, a list is read anew: cheaper than placing them one by one. */
const REREAD_SHARE = 8;

/** What is at a key or in an element: a value, or that there is a container with a node of its own. */
type Cell = { readonly kind: Kind; readonly value: Snapshot | undefined } | undefined;

export class View {
  readonly #engine: Engine;
  /** Stands for the document: like a map, with root names as keys. */
  readonly #root = new Node('map', []);

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  document(): MapSnapshot {
    return this.#map(this.#root) as MapSnapshot;
  }

  map(path: readonly PathStep[]): MapSnapshot {
    return (this.#snapshotAt(path, 'map') as MapSnapshot | undefined) ?? EMPTY_MAP;
  }

  list(path: readonly PathStep[]): readonly Snapshot[] {
    return (this.#snapshotAt(path, 'list') as readonly Snapshot[] | undefined) ?? EMPTY_LIST;
  }

  set(path: readonly PathStep[]): readonly Scalar[] {
    return (this.#snapshotAt(path, 'set') as readonly Scalar[] | undefined) ?? (EMPTY_LIST as readonly Scalar[]);
  }

  /** A register, a flag, a counter or a text. */
  value(path: readonly PathStep[], kind: Kind): Scalar | undefined {
    return this.#snapshotAt(path, kind) as Scalar | undefined;
  }

  /** The ids beside the snapshot of a list. */
  ids(path: readonly PathStep[]): readonly ElementId[] {
    this.list(path);
    return this.#node(path, 'list').ids;
  }

  /** Notes what a change touched. */
  mark(change: Change): void {
    let node = this.#root;
    // Roots are shown while there is anything in them.
    if (change.path.length === 1) node.touch(slotOf(change.path[0]!));
    for (const step of change.path) {
      const name = stepName(step);
      const child = node.children.get(name);
      // A container without a node is shown by its parent, or by nobody.
      node.touch(slotOf(step), child);
      if (child === undefined) return;
      node = child;
    }
    switch (change.type) {
      case 'key':
        node.touch(change.key);
        for (const kind of ALL_KINDS) node.children.get(childName(change.key, kind))?.outdate();
        break;
      case 'inserted':
      case 'removed':
        // Somebody may have asked for what is in it before it came, or may ask after it went.
        node.children.get(elementName(change.element))?.outdate();
        node.touch(change.element);
        break;
      case 'moved':
        node.touch(change.element);
        break;
      default:
        node.isNew = true;
    }
  }

  #node(path: readonly PathStep[], kind: Kind): Node {
    let node = this.#root;
    path.forEach((step, at) => {
      const name = stepName(step);
      const childKind = at === path.length - 1 ? kind : 'element' in step ? kindAbove(path[at + 1]!) : step.kind;
      let child = node.children.get(name);
      // An element was asked for as what it is not, perhaps before it was there: that stands in nobody's way.
      if (child === undefined || (child.kind !== childKind && child.snapshot === undefined)) {
        node.children.set(name, (child = new Node(childKind, path.slice(0, at + 1))));
      }
      node = child;
    });
    return node;
  }

  #snapshotAt(path: readonly PathStep[], kind: Kind): Snapshot | undefined {
    const node = this.#node(path, kind);
    // An element is asked for as what it is not: nothing of that kind is there.
    if (node.kind !== kind) return undefined;
    return this.#refresh(node);
  }

  #refresh(node: Node): Snapshot | undefined {
    switch (node.kind) {
      case 'map':
        return this.#map(node);
      case 'list':
        return this.#list(node);
      default:
        return this.#leaf(node);
    }
  }

  #leaf(node: Node): Snapshot | undefined {
    if (!node.isNew) return node.snapshot;
    const reader = this.#engine.read(args().byte(Read.Content).path(node.path));
    const kind = reader.byte() === 0 ? undefined : reader.kind();
    if (kind !== node.kind) node.snapshot = undefined;
    else if (kind === 'set') node.snapshot = share(node.snapshot, Object.freeze(readScalars(reader)));
    else node.snapshot = readLeaf(reader, kind);
    node.isNew = false;
    return node.snapshot;
  }

  #map(node: Node): Snapshot | undefined {
    if (node.isClean) return node.snapshot;
    const old = node.snapshot as MapSnapshot | undefined;
    let next: Record<string, Snapshot>;
    let isSame = old !== undefined;
    let hasGrown = false;
    const put = (key: string, cell: Cell): void => {
      let value = cell?.value;
      node.shown.delete(key);
      if (cell === undefined) for (const kind of ALL_KINDS) node.children.delete(childName(key, kind));
      else if (hasNode(cell.kind)) {
        const name = childName(key, cell.kind);
        node.shown.set(key, name);
        value = this.#refresh(this.#child(node, name, cell.kind, key));
      }
      isSame &&= old?.[key] === value;
      hasGrown ||= !(key in next);
      if (value === undefined) delete next[key];
      else next[key] = value;
    };

    if (node.isNew || old === undefined) {
      const reader = this.#engine.read(args().byte(Read.Content).path(node.path));
      const isThere = reader.byte() !== 0 && reader.kind() === 'map';
      next = emptyObject();
      node.shown.clear();
      if (isThere) for (let left = reader.uint(); left > 0; left -= 1) put(reader.string(), readCell(reader));
      isSame &&= isThere && Object.keys(next).length === Object.keys(old!).length;
      node.prune((key) => key in next);
      if (!isThere) {
        node.settle(undefined);
        return undefined;
      }
    } else {
      next = Object.assign(emptyObject(), old);
      const keys = [...node.stale];
      if (keys.length > 0) {
        const request = args().byte(Read.Cells).path(node.path).uint(keys.length);
        for (const key of keys) request.string(key);
        const reader = this.#engine.read(request);
        const cells = keys.map(() => readCell(reader));
        cells.forEach((cell, at) => put(keys[at]!, cell));
      }
      for (const child of node.dirty) {
        const step = child.path[child.path.length - 1]!;
        const key = slotOf(step);
        if (!node.stale.has(key) && node.shown.get(key) === stepName(step)) put(key, { kind: child.kind, value: undefined });
      }
    }
    if (isSame) node.settle(old);
    else node.settle(Object.freeze(branded(hasGrown ? inOrder(next) : next, node.path)));
    return node.snapshot;
  }

  #list(node: Node): Snapshot | undefined {
    if (node.isClean) return node.snapshot;
    const old = node.snapshot as readonly Snapshot[] | undefined;
    const oldIds = node.ids;
    const isReread = node.isNew || old === undefined || node.stale.size * REREAD_SHARE > node.ids.length + REREAD_SHARE;
    if (isReread ? !this.#readList(node) : !this.#patchList(node)) {
      node.settle(undefined);
      node.ids = EMPTY_IDS;
      return undefined;
    }
    const next = node.pending;
    // Equal values that are other elements are another list: its ids are.
    const isSame = old !== undefined && isEqual(old, next) && isEqual(oldIds, node.ids);
    node.settle(isSame ? old : Object.freeze(branded(next, node.path)));
    node.pending = [];
    return node.snapshot;
  }

  #readList(node: Node): boolean {
    const reader = this.#engine.read(args().byte(Read.Content).path(node.path));
    if (reader.byte() === 0 || reader.kind() !== 'list') {
      node.prune(() => false);
      return false;
    }
    const cells: Cell[] = [];
    const ids = readIds(reader, (id) => {
      cells.push(readCell(reader));
      return id;
    });
    node.pending = cells.map((cell, at) => this.#element(node, ids[at]!, cell));
    node.setIds(ids);
    const present = new Set<string>(ids);
    node.prune((id) => present.has(id));
    return true;
  }

  /** Takes out what moved or went, and puts what came or moved where it is now, from the front: so each index is final. */
  #patchList(node: Node): boolean {
    const next = [...(node.snapshot as readonly Snapshot[])];
    let ids = [...node.ids];
    const dirty = new Set([...node.dirty].map((child) => slotOf(child.path[child.path.length - 1]!)));
    const stale = [...node.stale] as ElementId[];
    if (stale.length > 0) {
      const request = args().byte(Read.Cells).path(node.path).uint(stale.length);
      for (const id of stale) request.element(id);
      const reader = this.#engine.read(request);
      const found = stale.map((id) => {
        const place = reader.uint();
        return { id, index: place - 1, cell: place === 0 ? undefined : readCell(reader) };
      });
      const kept = ids.map((id) => !node.stale.has(id));
      const values = next.filter((_, at) => kept[at]);
      ids = ids.filter((_, at) => kept[at]);
      for (const { id, index, cell } of found.sort((a, b) => a.index - b.index)) {
        dirty.delete(id);
        if (index < 0) {
          node.children.delete(elementName(id));
          continue;
        }
        ids.splice(index, 0, id);
        values.splice(index, 0, this.#element(node, id, cell));
      }
      next.splice(0, next.length, ...values);
      node.setIds(ids);
    }
    ids.forEach((id, at) => {
      const child = dirty.has(id) ? node.children.get(elementName(id)) : undefined;
      if (child !== undefined && hasNode(child.kind)) next[at] = this.#refresh(child)!;
    });
    node.pending = next;
    return true;
  }

  #element(node: Node, id: ElementId, cell: Cell): Snapshot {
    if (cell === undefined) return null;
    if (!hasNode(cell.kind)) return cell.value!;
    return this.#refresh(this.#child(node, elementName(id), cell.kind, id)) ?? null;
  }

  #child(parent: Node, name: string, kind: Kind, slot: string): Node {
    let child = parent.children.get(name);
    // What was asked for as another kind before there was anything gives way.
    if (child === undefined || child.kind !== kind) {
      const step: PathStep =
        parent.kind === 'list' ? { element: slot as ElementId } : parent === this.#root ? { root: slot, kind } : { key: slot, kind };
      parent.children.set(name, (child = new Node(kind, [...parent.path, step])));
    }
    return child;
  }
}

const EMPTY_IDS: readonly ElementId[] = Object.freeze([]);

class Node {
  readonly kind: Kind;
  readonly path: readonly PathStep[];
  snapshot: Snapshot | undefined = undefined;
  /** Nothing of it was read yet, or all of it is to be read again. */
  isNew = true;
  /** Keys or ids to read again. */
  readonly stale = new Set<string>();
  /** Children in which something changed. */
  readonly dirty = new Set<Node>();
  readonly children = new Map<string, Node>();
  /** Maps: the child that is shown under a key, where that is one with a node. */
  readonly shown = new Map<string, string>();
  /** Lists: the ids beside the snapshot, and the next snapshot while it is made. */
  ids: readonly ElementId[] = EMPTY_IDS;
  pending: Snapshot[] = [];

  constructor(kind: Kind, path: readonly PathStep[]) {
    this.kind = kind;
    this.path = path;
  }

  get isClean(): boolean {
    return !this.isNew && this.stale.size === 0 && this.dirty.size === 0;
  }

  touch(slot: string, child?: Node): void {
    // A child that holds nothing was asked for as what is not there: it is not what is shown.
    if (child?.snapshot === undefined || !hasNode(child.kind)) this.stale.add(slot);
    if (child !== undefined) this.dirty.add(child);
  }

  setIds(ids: ElementId[]): void {
    this.ids = Object.freeze(ids);
  }

  /** All below may have changed. */
  outdate(): void {
    this.isNew = true;
    for (const child of this.children.values()) child.outdate();
  }

  settle(snapshot: Snapshot | undefined): void {
    this.snapshot = snapshot;
    this.isNew = false;
    this.stale.clear();
    this.dirty.clear();
  }

  /** Forgets the children under keys and in elements that are gone. */
  prune(isThere: (slot: string) => boolean): void {
    for (const [name, child] of this.children) if (!isThere(slotOf(child.path[child.path.length - 1]!))) this.children.delete(name);
  }
}

/** Whether containers of a kind are read on their own, not with what they are in. */
function hasNode(kind: Kind): boolean {
  return kind === 'map' || kind === 'list' || kind === 'set' || kind === 'text';
}

/** What a container must be for a step to lead out of it. */
function kindAbove(step: PathStep): Kind {
  return 'element' in step ? 'list' : 'map';
}

function readCell(reader: Reader): Cell {
  if (reader.byte() === 0) return undefined;
  const kind = reader.kind();
  return { kind, value: hasNode(kind) ? undefined : readLeaf(reader, kind) };
}

function readLeaf(reader: Reader, kind: Kind): Scalar | undefined {
  if (kind === 'register' && reader.byte() === 0) return undefined;
  return kind === 'text' ? reader.string() : reader.scalar();
}

function emptyObject(): Record<string, Snapshot> {
  return Object.create(null) as Record<string, Snapshot>;
}

/** The same entries in an order that does not depend on which came first: all replicas show the same. */
function inOrder(snapshot: Record<string, Snapshot>): Record<string, Snapshot> {
  const ordered = emptyObject();
  for (const key of Object.keys(snapshot).sort()) ordered[key] = snapshot[key]!;
  return ordered;
}

function branded<T extends object>(snapshot: T, path: readonly PathStep[]): T {
  const step = path[path.length - 1];
  return step !== undefined && 'element' in step ? Object.defineProperty(snapshot, ELEMENT_ID, { value: step.element }) : snapshot;
}

/** The old one, if both hold the same. */
function share(old: Snapshot | undefined, next: readonly Scalar[]): readonly Scalar[] {
  const before = old as readonly Scalar[] | undefined;
  return before !== undefined && isEqual(before, next) ? before : next;
}

function isEqual(before: readonly unknown[], next: readonly unknown[]): boolean {
  return before === next || (before.length === next.length && next.every((value, at) => before[at] === value));
}
