// What the address of the page says: which list, which relay, which filter.
//
// The list and the relay are in the query and are fixed while the page is open; the filter is the part behind `#`.

export type Filter = 'all' | 'active' | 'completed';

export const DEFAULT_LIST = 'todos';

const RELAY_PORT = 8787;

/** The name of the list, e.g. from `/?list=groceries`. */
export function listName(location: Location): string {
  return new URLSearchParams(location.search).get('list')?.trim() || DEFAULT_LIST;
}

/** The address of the page for another list, all else as it is here. */
export function listAddress(location: Location, list: string): string {
  const url = new URL(location.href);
  if (list === DEFAULT_LIST) url.searchParams.delete('list');
  else url.searchParams.set('list', list);
  url.hash = '';
  return url.pathname + url.search;
}

/** The relay: from the address, else from the build, else on the machine that serves the page. */
export function relayAddress(location: Location): string {
  const asked = new URLSearchParams(location.search).get('relay') ?? import.meta.env.VITE_RELAY_URL;
  if (asked) return asked;
  // A browser refuses an unencrypted socket from an encrypted page.
  return `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.hostname || 'localhost'}:${RELAY_PORT}`;
}

/** The filter, e.g. from `#/active`; anything unknown shows all. */
export function filter(location: Location): Filter {
  const route = location.hash.replace(/^#!?\//, '');
  return route === 'active' || route === 'completed' ? route : 'all';
}
