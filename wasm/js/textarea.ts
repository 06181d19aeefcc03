// A field of a page that shows a text, and edits it.
//
// What somebody types is found by comparing what the field held with what it holds, near the caret; what others write is put into
// the field piece by piece, so that the caret and the selection stay where they are. While an input method composes a word, the
// field is left alone, because touching it would end the composition: what others write meanwhile is shown afterwards, and what is
// typed meanwhile is put where it belongs by then.
//
// Fields show each end of a line as one line feed, and texts may hold CR LF: `shown` is the text, `inField` what a field makes of it.

import { wellFormed } from './codec.js';
import type { TextHandle } from './handles.js';
import type { TextDelta } from './types.js';

/** What is needed of a `textarea`, or of an `input` of type `text`. */
export interface TextField {
  value: string;
  readonly selectionStart: number | null;
  readonly selectionEnd: number | null;
  setSelectionRange(start: number, end: number): void;
  setRangeText(replacement: string, start: number, end: number, mode: 'preserve'): void;
  addEventListener(type: string, listener: (event: Event) => void): void;
  removeEventListener(type: string, listener: (event: Event) => void): void;
}

/** One edit: this comes in place of so many units. */
interface Splice {
  readonly start: number;
  readonly count: number;
  readonly insert: string;
}

/**
 * Shows a text in a field from now on, and writes what is typed there into the text, as one small edit for each input. The caret stays
 * with the characters around it when others write. Half a character, which some input methods leave behind, becomes U+FFFD.
 * Returns how to end it. (What others write does not go into the field's own history of undoing.)
 */
export function bindTextarea(text: TextHandle, field: TextField): () => void {
  let shown = text.snapshot();
  let isComposing = false;
  /** What became of the text since it was as shown. */
  let pending: TextDelta[] = [];

  const show = (caret?: number): void => {
    const value = inField(shown);
    if (field.value === value) return;
    const [start, end] = caret === undefined ? [field.selectionStart, field.selectionEnd] : [caret, caret];
    field.value = value;
    if (start !== null) field.setSelectionRange(start, end ?? start);
  };

  /** The pending changes, if they lead to what is there; else the least that does. */
  const changes = (now: string): readonly TextDelta[] => {
    const told = pending;
    pending = [];
    if (told.reduce(applied, shown) === now) return told;
    const { start, count, insert } = difference(shown, now);
    return [[{ retain: start }, { delete: count }, { insert }]];
  };

  const refresh = (): void => {
    const now = text.snapshot();
    if (now === shown) pending = [];
    if (now === shown || isComposing) return;
    const deltas = changes(now);
    const isPlain = !(shown + now).includes('\r') && field.value === shown;
    shown = now;
    if (isPlain) for (const delta of deltas) write(field, delta);
    show();
  };

  const typed = (): void => {
    const now = text.snapshot();
    // What others wrote while a word was composed waits for the word.
    if (isComposing && now !== shown) return;
    const before = inField(shown);
    if (field.value !== before) {
      const caret = field.selectionEnd ?? field.value.length;
      const own = difference(before, field.value, caret);
      const deltas = now === shown ? [] : changes(now);
      const place = (index: number): number => deltas.reduce(moved, inText(shown, index));
      const [start, end] = [place(own.start), place(own.start + own.count)];
      const insert = wellFormed(own.insert);
      shown = now.slice(0, start) + insert + now.slice(end);
      try {
        text.replace(start, end - start, insert);
      } catch (error) {
        // The field shows what is so, not what could not be.
        shown = now;
        show();
        throw error;
      }
      // It is further on now, by as much as what it is in.
      if (deltas.length > 0) show(inField(shown.slice(0, start)).length + caret - own.start);
    }
    refresh();
    if (!isComposing) show();
  };

  const listeners: Record<string, (event: Event) => void> = {
    input: typed,
    compositionstart: () => {
      isComposing = true;
    },
    compositionend: () => {
      isComposing = false;
      typed();
    },
  };
  show();
  for (const [type, listener] of Object.entries(listeners)) field.addEventListener(type, listener);
  const stop = text.subscribe(({ deltas }) => {
    pending.push(...(deltas ?? []));
    refresh();
  });
  return () => {
    stop();
    for (const [type, listener] of Object.entries(listeners)) field.removeEventListener(type, listener);
  };
}

/** The least that leads from one to the other, in one place, never in the middle of a character. Where several places would do, the caret tells. */
export function difference(before: string, after: string, caret = after.length): Splice {
  const most = Math.min(before.length, after.length);
  let end = 0;
  const grow = (limit: number): void => {
    while (end < limit && before.charCodeAt(before.length - end - 1) === after.charCodeAt(after.length - end - 1)) end += 1;
  };
  // What is behind the caret was not typed.
  grow(Math.min(most, after.length - caret));
  let start = 0;
  while (start < most - end && before.charCodeAt(start) === after.charCodeAt(start)) start += 1;
  grow(most - start);
  if (start > 0 && (before.charCodeAt(start - 1) & 0xfc00) === 0xd800) start -= 1;
  if (end > 0 && (before.charCodeAt(before.length - end) & 0xfc00) === 0xdc00) end -= 1;
  return { start, count: before.length - end - start, insert: after.slice(start, after.length - end) };
}

/** A string with a delta done to it. */
function applied(string: string, delta: TextDelta): string {
  let [result, at] = ['', 0];
  for (const step of delta) {
    if ('insert' in step) result += step.insert;
    else if ('delete' in step) at += step.delete;
    else result += string.slice(at, (at += step.retain));
  }
  return result + string.slice(at);
}

/** Where an index is after a delta. What comes at it comes behind it. */
function moved(index: number, delta: TextDelta): number {
  let at = 0;
  for (const step of delta) {
    if ('retain' in step) at += step.retain;
    else if ('insert' in step) {
      if (at < index) index += step.insert.length;
      at += step.insert.length;
    } else index = Math.max(Math.min(index, at), index - step.delete);
    if (at > index) break;
  }
  return index;
}

/** Does a delta to a field, which keeps its selection. */
function write(field: TextField, delta: TextDelta): void {
  let at = 0;
  for (const step of delta) {
    if ('retain' in step) at += step.retain;
    else if ('insert' in step) {
      field.setRangeText(step.insert, at, at, 'preserve');
      at += step.insert.length;
    } else field.setRangeText('', at, at + step.delete, 'preserve');
  }
}

/** What a field makes of a text. */
function inField(text: string): string {
  return text.replace(/\r\n?/g, '\n');
}

/** The index in a text of what is at an index in a field. */
function inText(text: string, index: number): number {
  if (!text.includes('\r')) return index;
  let at = 0;
  for (let left = index; left > 0; left -= 1) at += text.startsWith('\r\n', at) ? 2 : 1;
  return at;
}
