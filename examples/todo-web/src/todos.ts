// The document behind a list, and the only place that knows how it is laid out.
//
// Document `todo/NAME`; in its root map `list`, under the key `todos`, a list; each todo is a map element of it with a
// register `title` and a flag `completed`. The terminal client reads and writes the same layout. Whoever writes first
// creates the list, and lists that were created apart merge, so nobody has to prepare anything. Beside it, under the key
// `note`, a text, which the terminal client leaves alone.

import type { ElementId, ListHandle, Replica, Snapshot, TextHandle } from 'weftline';

/** A todo as the page shows it. While nothing in it changes it stays the same object. */
export interface Todo {
  readonly id: ElementId;
  readonly title: string;
  readonly completed: boolean;
}

/** Where to put a todo: next to another one. Neighbours are what a person sees, also when a filter hides the rest. */
export type Place = { readonly before: ElementId } | { readonly after: ElementId };

export const documentName = (list: string): string => `todo/${list}`;

export class TodoList {
  readonly #replica: Replica;
  readonly #list: ListHandle;
  /** Snapshots share what did not change, so a known snapshot means a known todo. */
  readonly #known = new WeakMap<object, Todo>();

  constructor(replica: Replica) {
    this.#replica = replica;
    this.#list = replica.map('list').list('todos');
  }

  /** What everybody may write beside the todos. */
  get note(): TextHandle {
    return this.#replica.map('list').text('note');
  }

  /** All todos in their order. */
  all(): Todo[] {
    const ids = this.#list.ids();
    return this.#list.snapshot().flatMap((element, index) => this.#todo(ids[index], element) ?? []);
  }

  /** Appends a todo; an empty title is ignored. Returns whether there is a new todo. */
  add(title: string): boolean {
    const text = title.trim();
    if (text === '') return false;
    this.#replica.transact(() => this.#list.pushMap().put('title', text));
    return true;
  }

  /** Gives a todo another title; an empty one removes the todo. */
  rename(id: ElementId, title: string): void {
    const text = title.trim();
    if (text === '') return this.remove([id]);
    if (this.#has(id) && this.#list.map(id).get('title') !== text) this.#list.map(id).put('title', text);
  }

  /** Marks todos as completed or active, in one transaction. Todos that are so already are left alone. */
  complete(ids: readonly ElementId[], completed: boolean): void {
    this.#replica.transact(() => {
      for (const id of ids) {
        if (!this.#has(id)) continue;
        const flag = this.#list.map(id).flag('completed');
        if (flag.value !== completed) flag.set(completed);
      }
    });
  }

  /** Removes todos, in one transaction. */
  remove(ids: readonly ElementId[]): void {
    this.#replica.transact(() => {
      for (const id of ids) if (this.#has(id)) this.#list.remove(id);
    });
  }

  /** Puts a todo next to another one. Nothing happens when either has been removed in the meantime. */
  move(id: ElementId, place: Place): void {
    const from = this.#list.indexOf(id);
    const next = this.#list.indexOf('before' in place ? place.before : place.after);
    if (from < 0 || next < 0 || from === next) return;
    // The index counts as if the todo had already been taken out.
    const to = ('before' in place ? next : next + 1) - (from < next ? 1 : 0);
    if (to !== from) this.#list.move(id, to);
  }

  #has(id: ElementId): boolean {
    return this.#list.indexOf(id) >= 0;
  }

  /** Elements of other shapes may have been put there by other programs: they are not shown and not touched. */
  #todo(id: ElementId | undefined, element: Snapshot): Todo | undefined {
    if (id === undefined || element === null || typeof element !== 'object') return undefined;
    if (Array.isArray(element) || element instanceof Uint8Array) return undefined;
    let todo = this.#known.get(element);
    if (todo?.id !== id) {
      const { title, completed } = element as { readonly [key: string]: Snapshot };
      todo = { id, title: typeof title === 'string' ? title : '', completed: completed === true };
      this.#known.set(element, todo);
    }
    return todo;
  }
}
