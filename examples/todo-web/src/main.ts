// The page: opens the replica that the address names and wires it to the views. The replica is the only state; every
// change of it, from here or from elsewhere, ends in `render`.

import { Replica, bindTextarea, type Status } from 'weftline';
import { filter, listName, relayAddress, type Filter } from './address.ts';
import { documentName, TodoList } from './todos.ts';
import { announce, find } from './view/dom.ts';
import { ListView } from './view/list.ts';
import { showLists } from './view/lists.ts';
import { PeopleView } from './view/people.ts';
import { StatusView } from './view/status.ts';

const OFFLINE_KEY = 'weftline-todos/work-offline';

/** An empty list may be one that has not arrived yet: what is said there depends on that. */
const EMPTY: Record<Status['link'], string> = {
  'offline': 'Nothing on this device yet. What you add is kept here, and shared as soon as you are online.',
  'connecting': 'Nothing on this device yet. You can begin, the relay is being asked for the rest.',
  'catching-up': 'Nothing on this device yet. You can begin, the rest is on its way.',
  'live': 'Nothing here yet. Everyone who opens this list sees what you add.',
};

const page = find('.page');
const newTodo = find<HTMLInputElement>('.new-todo');
const toggleAll = find<HTMLInputElement>('.toggle-all');
const clearCompleted = find<HTMLButtonElement>('.clear-completed');
const offlineSwitch = find<HTMLInputElement>('.offline-switch input');
const note = find<HTMLTextAreaElement>('.note textarea');

void start();

async function start(): Promise<void> {
  const list = listName(location);
  document.title = `${list} · Weftline todos`;
  find('h1').textContent = list;
  showLists(list);
  installServiceWorker();
  try {
    // Who chose to work offline stays offline over a reload, until the switch is turned back.
    offlineSwitch.checked = sessionStorage.getItem(OFFLINE_KEY) === 'yes';
    const replica = await Replica.open(documentName(list), {
      relay: relayAddress(location),
      connect: !offlineSwitch.checked,
    });
    run(replica);
    page.dataset['state'] = 'ready';
  } catch (error) {
    page.dataset['state'] = 'failed';
    const problem = find('.problem');
    problem.textContent = `This list could not be opened: ${error instanceof Error ? error.message : String(error)}`;
    problem.hidden = false;
  }
}

function run(replica: Replica): void {
  const todos = new TodoList(replica);
  const status = new StatusView();
  const view = new ListView({
    complete: (id, completed) => todos.complete([id], completed),
    rename: (id, title) => {
      todos.rename(id, title);
      // Also when the title is the old one: the filter may hide the todo now that it is no longer being edited.
      render();
    },
    remove: (id) => todos.remove([id]),
    move: (id, place) => todos.move(id, place),
    orphanedDraft: (text) => {
      announce('The todo you were editing has been deleted elsewhere. Your text is in the field for new todos.');
      if (newTodo.value === '') newTodo.value = text;
      newTodo.focus();
    },
  });

  const render = (): void => {
    const all = todos.all();
    const shown = filter(location);
    showFrame(all.length, all.filter((todo) => todo.completed).length, shown);
    view.render(all, shown);
  };

  newTodo.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.isComposing) return;
    if (todos.add(newTodo.value)) newTodo.value = '';
  });
  toggleAll.addEventListener('change', () => todos.complete(todos.all().map((todo) => todo.id), toggleAll.checked));
  clearCompleted.addEventListener('click', () => {
    todos.remove(todos.all().filter((todo) => todo.completed).map((todo) => todo.id));
    newTodo.focus();
  });
  offlineSwitch.addEventListener('change', () => {
    sessionStorage.setItem(OFFLINE_KEY, offlineSwitch.checked ? 'yes' : 'no');
    if (offlineSwitch.checked) replica.disconnect();
    else replica.connect();
  });
  addEventListener('hashchange', render);
  // What is not yet in this browser's own storage would be lost with the page. It is a matter of milliseconds, but true.
  addEventListener('beforeunload', (event) => {
    if (replica.status.unstored > 0) event.preventDefault();
  });

  bindTextarea(todos.note, note);
  note.disabled = false;
  const people = new PeopleView(replica.presence, todos.note, note);
  todos.note.subscribe(() => people.render());

  replica.subscribe(render);
  const showStatus = (now: Status): void => {
    status.show(now);
    find('.empty').textContent = EMPTY[now.link];
  };
  replica.onStatus(showStatus);
  showStatus(replica.status);
  render();
}

/** All that is around the rows: what is hidden, the counter, the filters. */
function showFrame(total: number, completed: number, shown: Filter): void {
  const active = total - completed;
  for (const part of ['.main', '.footer', '.info']) find(part).hidden = total === 0;
  find('.empty').hidden = total > 0;
  toggleAll.checked = total > 0 && active === 0;
  clearCompleted.hidden = completed === 0;

  const number = document.createElement('strong');
  number.textContent = String(active);
  find('.todo-count').replaceChildren(number, ` ${active === 1 ? 'item' : 'items'} left`);

  const none = find('.none-match');
  none.hidden = shown === 'all' || (shown === 'active' ? active : completed) > 0;
  none.textContent = shown === 'active' ? 'All done.' : 'Nothing completed yet.';

  for (const link of document.querySelectorAll<HTMLAnchorElement>('.filters a')) {
    const selected = link.hash === (shown === 'all' ? '#/' : `#/${shown}`);
    link.classList.toggle('selected', selected);
    if (selected) link.setAttribute('aria-current', 'true');
    else link.removeAttribute('aria-current');
  }
}

/** From the build only: the development server serves every module by itself, and a kept copy would hide changes. */
function installServiceWorker(): void {
  if (import.meta.env.PROD && 'serviceWorker' in navigator) {
    navigator.serviceWorker.register(`${import.meta.env.BASE_URL}service-worker.js`).catch((error: unknown) => {
      console.warn('the page will not open without a network:', error);
    });
  }
}
