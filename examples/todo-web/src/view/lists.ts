// The menu of lists. A list exists as soon as somebody opens it by its name, so there is no directory to ask: the
// browser remembers the names it has opened.

import { DEFAULT_LIST, listAddress } from '../address.ts';
import { find } from './dom.ts';

const STORAGE_KEY = 'weftline-todos/lists';

export function showLists(current: string): void {
  const known = remember(current);
  find('.lists-known').replaceChildren(...known.map((name) => entry(name, name === current)));

  const menu = find<HTMLDetailsElement>('.lists');
  const name = find<HTMLInputElement>('#list-name');
  find('.lists-new').addEventListener('submit', (event) => {
    event.preventDefault();
    const list = name.value.trim();
    if (list !== '') location.assign(listAddress(location, list));
  });
  menu.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !menu.open) return;
    menu.open = false;
    find('summary', menu).focus();
  });
  addEventListener('pointerdown', (event) => {
    if (event.target instanceof Node && !menu.contains(event.target)) menu.open = false;
  });
}

function entry(name: string, current: boolean): HTMLElement {
  const link = document.createElement('a');
  link.href = listAddress(location, name);
  link.textContent = name;
  if (current) link.setAttribute('aria-current', 'page');
  const item = document.createElement('li');
  item.append(link);
  return item;
}

/** All names opened in this browser so far, this one included. */
function remember(current: string): string[] {
  const names = new Set([DEFAULT_LIST, ...stored(), current]);
  const sorted = [...names].sort((a, b) => a.localeCompare(b));
  try {
    localStorage.setItem(STORAGE_KEY, JSON.stringify(sorted));
  } catch {
    // Without storage the menu is shorter; the lists themselves do not depend on it.
  }
  return sorted;
}

function stored(): string[] {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(STORAGE_KEY) ?? '[]');
    return Array.isArray(value) ? value.filter((name) => typeof name === 'string' && name !== '') : [];
  } catch {
    return [];
  }
}
