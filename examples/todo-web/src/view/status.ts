// What the page says about the connection: exactly what the replica says, in words.

import type { Status } from 'weftline';
import { announce, count, find } from './dom.ts';

const WORDS: Record<Status['link'], string> = {
  'offline': 'Offline',
  'connecting': 'Connecting',
  'catching-up': 'Catching up',
  'live': 'Live',
};

export class StatusView {
  readonly #root = find('.sync');
  readonly #link = find('.sync-link');
  readonly #detail = find('.sync-detail');
  readonly #problem = find('.problem');
  #announced: Status['link'] | undefined;

  show(status: Status): void {
    const { link, unsaved, unstored, error } = status;
    Object.assign(this.#root.dataset, { link, unsaved, unstored });
    this.#root.classList.toggle('waiting', unsaved > 0);
    this.#link.textContent = WORDS[link];
    this.#detail.textContent = detail(status);
    this.#root.title = unstored > 0 ? `${count(unstored, 'edit')} not yet written to this device` : '';
    // It is read aloud when it changes, so it is not touched when it does not.
    if (this.#problem.textContent !== (error ?? '')) this.#problem.textContent = error ?? '';
    this.#problem.hidden = error === undefined;
    // The link only: counts change with every key and would drown everything else that is to be heard.
    if (link !== this.#announced) announce(link === 'live' || link === 'offline' ? `${WORDS[link]}. ${detail(status)}` : WORDS[link]);
    this.#announced = link;
  }
}

function detail({ link, unsaved }: Status): string {
  if (unsaved > 0) return `${count(unsaved, 'edit')} not saved at the relay yet`;
  return link === 'live' ? 'All edits saved' : 'No edits waiting';
}
