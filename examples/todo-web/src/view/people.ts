// Who else has this list open, and where in the note they are. The place is a cursor of the text, which stays where it was put while
// others write; a line number would not.

import type { Peer, Presence, PresenceValue, TextHandle } from 'weftline';
import { count, find } from './dom.ts';

/** The colours that people have: this page picks one of them for as long as it is open. */
const HUES = 12;

export class PeopleView {
  readonly #presence: Presence;
  readonly #note: TextHandle;
  readonly #field: HTMLTextAreaElement;
  readonly #root = find('.people');
  readonly #hue = Math.floor(Math.random() * HUES) * (360 / HUES);

  constructor(presence: Presence, note: TextHandle, field: HTMLTextAreaElement) {
    this.#presence = presence;
    this.#note = note;
    this.#field = field;
    presence.subscribe(() => this.render());
    document.addEventListener('selectionchange', () => this.#showMyself());
    field.addEventListener('focus', () => this.#showMyself());
    field.addEventListener('blur', () => this.#showMyself());
    this.#showMyself();
    this.render();
  }

  /** Also to be called when the note changed: a place in it is another line then. */
  render(): void {
    const { peers } = this.#presence;
    this.#root.hidden = peers.length === 0;
    this.#root.dataset['others'] = String(peers.length);
    const words = document.createElement('span');
    words.textContent = `${count(peers.length, 'other')} on this list`;
    this.#root.replaceChildren(...peers.map((peer) => this.#person(peer)), words);
  }

  #person({ value }: Peer): HTMLElement {
    const { hue, caret } = fieldsOf(value);
    const person = document.createElement('span');
    person.className = 'person';
    if (typeof hue === 'number') person.style.setProperty('--hue', String(hue));
    const index = Array.isArray(caret) ? this.#note.indexOf(Uint8Array.from(caret as number[])) : undefined;
    if (index !== undefined) person.textContent = `note, line ${this.#note.snapshot().slice(0, index).split('\n').length}`;
    return person;
  }

  /** The replica sends the newest of these as often as is sensible, so nothing is counted or delayed here. */
  #showMyself(): void {
    const isInNote = document.activeElement === this.#field;
    const index = Math.min(this.#field.selectionEnd, this.#note.length);
    const caret = isInNote ? [...this.#note.cursor(index, 'left')] : null;
    this.#presence.set({ hue: this.#hue, caret });
  }
}

/** What others show may be anything. */
function fieldsOf(value: PresenceValue): { readonly [key: string]: PresenceValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as { readonly [key: string]: PresenceValue }) : {};
}
