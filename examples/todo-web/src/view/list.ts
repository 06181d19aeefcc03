// The list on the page: one row for each todo, keyed by the todo's id.
//
// A change, from here or from elsewhere, touches the rows it is about and no others: rows are reused, moved as little
// as possible, and the one that has the focus is never moved. What is being typed is disturbed by nothing but the
// removal of that very todo, and even then the text is handed over instead of being lost.

import type { ElementId } from 'weftline';
import type { Filter } from '../address.ts';
import type { Place, Todo } from '../todos.ts';
import { announce, find, reducedMotion } from './dom.ts';
import { dragRows } from './drag.ts';
import { reorder } from './reorder.ts';
import { Row } from './row.ts';

/** What a person does to the todos. */
export interface Actions {
  complete(id: ElementId, completed: boolean): void;
  rename(id: ElementId, title: string): void;
  remove(id: ElementId): void;
  move(id: ElementId, place: Place): void;
  /** The todo was removed elsewhere while this text was being typed for it. */
  orphanedDraft(text: string): void;
}

const MOVE_MS = 180;
/** Beyond this many rows sliding them would be a burden instead of a help. */
const MAX_SLIDING_ROWS = 300;

export class ListView {
  readonly #list = find<HTMLUListElement>('.todo-list');
  readonly #actions: Actions;
  readonly #rows = new Map<ElementId, Row>();
  readonly #byElement = new WeakMap<Element, Row>();
  #editing: Row | undefined;
  /** What to draw when the drag that is going on has ended. */
  #waiting: { todos: readonly Todo[]; filter: Filter } | undefined;
  #dragging = false;

  constructor(actions: Actions) {
    this.#actions = actions;
    const list = this.#list;
    list.addEventListener('change', (event) => {
      const row = this.#rowOf(event.target);
      if (row !== undefined && event.target === row.toggle) actions.complete(row.todo.id, row.toggle.checked);
    });
    list.addEventListener('click', (event) => {
      const button = event.target instanceof Element ? event.target.closest('.destroy') : null;
      const row = this.#rowOf(button);
      if (row !== undefined) actions.remove(row.todo.id);
    });
    list.addEventListener('dblclick', (event) => {
      const row = this.#rowOf(event.target);
      if (row !== undefined && event.target instanceof HTMLLabelElement) this.#startEditing(row);
    });
    list.addEventListener('focusout', (event) => {
      if (event.target === this.#editing?.edit) this.#endEditing('save');
    });
    list.addEventListener('keydown', (event) => this.#onKey(event));
    dragRows(list, {
      start: () => {
        this.#dragging = true;
      },
      end: (row, drop) => {
        this.#dragging = false;
        const waiting = this.#waiting;
        this.#waiting = undefined;
        if (waiting !== undefined) this.render(waiting.todos, waiting.filter);
        if (drop !== undefined) this.#move(row, drop.target, drop.side);
      },
    });
  }

  render(todos: readonly Todo[], filter: Filter): void {
    if (this.#dragging) {
      this.#waiting = { todos, filter };
      return;
    }
    const wanted: Row[] = [];
    const present = new Set<ElementId>();
    for (const todo of todos) {
      present.add(todo.id);
      let row = this.#rows.get(todo.id);
      if (row === undefined) row = this.#create(todo);
      else row.update(todo);
      // A todo that is being edited stays in sight until that is over, whatever the filter.
      if (filter === 'all' || todo.completed === (filter === 'completed') || row === this.#editing) wanted.push(row);
    }
    this.#forget(present);
    this.#place(wanted.map((row) => row.element));
  }

  #create(todo: Todo): Row {
    const row = new Row(todo);
    this.#rows.set(todo.id, row);
    this.#byElement.set(row.element, row);
    return row;
  }

  /** Drops the rows whose todos are gone. */
  #forget(present: ReadonlySet<ElementId>): void {
    for (const [id, row] of this.#rows) {
      if (present.has(id)) continue;
      this.#rows.delete(id);
      if (row !== this.#editing) continue;
      this.#editing = undefined;
      row.stopEditing();
      const draft = row.edit.value.trim();
      if (draft !== '' && draft !== row.todo.title) this.#actions.orphanedDraft(draft);
    }
  }

  /** Makes these the rows on the page, and lets a person see which ones changed their place. */
  #place(wanted: readonly HTMLElement[]): void {
    const list = this.#list;
    const old = [...list.children];
    if (old.length === wanted.length && old.every((element, index) => element === wanted[index])) return;

    const focused = document.activeElement;
    const focusedRow = focused !== null && list.contains(focused) ? focused.closest('li') : null;
    const slide = old.length <= MAX_SLIDING_ROWS && !reducedMotion();
    const tops = slide ? new Map(old.map((element) => [element, element.getBoundingClientRect().top])) : undefined;

    reorder(list, wanted, focusedRow);

    if (focusedRow !== null && !focusedRow.isConnected) this.#refocus(old.indexOf(focusedRow), focused as Element);
    for (const element of wanted) {
      const before = tops?.get(element);
      if (before === undefined) continue;
      const distance = before - element.getBoundingClientRect().top;
      if (Math.abs(distance) < 1) continue;
      element.animate([{ translate: `0 ${distance}px` }, { translate: '0 0' }], { duration: MOVE_MS, easing: 'ease-out' });
    }
  }

  /** The row with the focus has gone: the next one takes it, at the same control, so that the keyboard keeps its place. */
  #refocus(index: number, focused: Element): void {
    const rows = this.#list.children;
    const next = rows[Math.min(index, rows.length - 1)];
    const control = ['toggle', 'destroy', 'handle'].find((name) => focused.classList.contains(name));
    const target = next === undefined || control === undefined ? undefined : find(`.${control}`, next);
    (target ?? find('.new-todo')).focus();
  }

  #onKey(event: KeyboardEvent): void {
    const row = this.#rowOf(event.target);
    if (row === undefined || event.isComposing) return;
    if (row.editing) {
      if (event.key === 'Enter') this.#endEditing('save');
      else if (event.key === 'Escape') this.#endEditing('cancel');
      else return;
      row.toggle.focus();
    } else if (event.altKey && (event.key === 'ArrowUp' || event.key === 'ArrowDown')) {
      const up = event.key === 'ArrowUp';
      const neighbour = up ? row.element.previousElementSibling : row.element.nextElementSibling;
      if (neighbour !== null) this.#move(row.element, neighbour, up ? 'before' : 'after');
    } else if (event.key === 'F2' || (event.key === 'Enter' && event.target === row.toggle)) {
      this.#startEditing(row);
    } else {
      return;
    }
    event.preventDefault();
  }

  #startEditing(row: Row): void {
    if (this.#editing !== undefined) this.#endEditing('save');
    this.#editing = row;
    row.startEditing();
  }

  #endEditing(how: 'save' | 'cancel'): void {
    const row = this.#editing;
    if (row === undefined) return;
    // First of all, because what follows takes the focus away and must not end the editing a second time.
    this.#editing = undefined;
    const { todo } = row;
    row.stopEditing();
    if (how === 'save') this.#actions.rename(todo.id, row.edit.value);
  }

  #move(element: Element, target: Element, side: 'before' | 'after'): void {
    const row = this.#rowOf(element);
    const next = this.#rowOf(target);
    if (row === undefined || next === undefined) return;
    this.#actions.move(row.todo.id, side === 'before' ? { before: next.todo.id } : { after: next.todo.id });
    const rows = [...this.#list.children];
    announce(`${row.todo.title}: now ${rows.indexOf(row.element) + 1} of ${rows.length}`);
  }

  #rowOf(target: EventTarget | null): Row | undefined {
    const element = target instanceof Element ? target.closest('.todo-list > li') : null;
    return element === null ? undefined : this.#byElement.get(element);
  }
}
