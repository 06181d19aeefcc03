// One todo on the page: the nodes of one `<li>`, made once and kept for as long as the todo exists.

import type { Todo } from '../todos.ts';
import { find } from './dom.ts';

export class Row {
  readonly element: HTMLLIElement;
  readonly toggle: HTMLInputElement;
  readonly edit: HTMLInputElement;
  readonly #label: HTMLLabelElement;
  readonly #handle: HTMLButtonElement;
  readonly #destroy: HTMLButtonElement;
  #todo: Todo;

  constructor(todo: Todo) {
    const content = find<HTMLTemplateElement>('#todo-row').content.cloneNode(true) as DocumentFragment;
    this.element = find<HTMLLIElement>('li', content);
    this.toggle = find<HTMLInputElement>('.toggle', content);
    this.edit = find<HTMLInputElement>('.edit', content);
    this.#label = find<HTMLLabelElement>('label', content);
    this.#handle = find<HTMLButtonElement>('.handle', content);
    this.#destroy = find<HTMLButtonElement>('.destroy', content);
    this.element.dataset['id'] = todo.id;
    this.#todo = todo;
    this.#draw(todo);
  }

  get todo(): Todo {
    return this.#todo;
  }

  /** Shows the todo as it is now. What is being typed into the row's editor stays as it is. */
  update(todo: Todo): void {
    if (todo === this.#todo) return;
    this.#todo = todo;
    this.#draw(todo);
  }

  get editing(): boolean {
    return this.element.classList.contains('editing');
  }

  startEditing(): void {
    this.element.classList.add('editing');
    this.edit.value = this.#todo.title;
    this.edit.focus();
  }

  stopEditing(): void {
    this.element.classList.remove('editing');
  }

  #draw({ title, completed }: Todo): void {
    this.element.classList.toggle('completed', completed);
    this.toggle.checked = completed;
    // Text only, never markup: the title was written by somebody else.
    if (this.#label.textContent !== title) this.#label.textContent = title;
    this.toggle.setAttribute('aria-label', title);
    this.#handle.setAttribute('aria-label', `Move ${title}`);
    this.#destroy.setAttribute('aria-label', `Delete ${title}`);
  }
}
