// Three replicas, one list: two browsers with profiles of their own and the terminal client, on a real relay. They
// begin before they have ever met, edit at the same time, one of them cut off, while the relay is killed; and in the end
// all three must show the same todos in the same order.
//
// A line for each step, then one JSON object on the last line. The exit status is 0 only if all of it held.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Cleanup, openBrowser, Relay, same, servePage, settings, Terminal, TodoPage, until } from './support.mjs';

/** @typedef {import('./support.mjs').Todo} Todo */

const LIST = 'workshop';
/** Long before somebody who waits for it would give up. */
const DEADLINE_MS = 240_000;

const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };

const BEFORE_MEETING = {
  ada: ['Warp the loom', 'Buy grey wool', 'Card the fleece'],
  ben: ['Ask Mira about Thursday', 'Return the library books', 'Order more heddles'],
  terminal: ['Oil the treadles', 'Water the seedlings'],
};

/** What must be there in the end, whatever the order, and whether it is completed. */
const EXPECTED = new Map([
  ['Warp the loom', true],
  ['Buy grey and white wool', false],
  ['Card the fleece', false],
  ['Return the library books', true],
  ['Order twelve more heddles', false],
  ['Oil the treadles', false],
  ['Sketch the border', false],
  ['Spin the last skein', true],
  ['Bake two loaves', false],
  ['Fold the blankets', false],
  ['Sweep the attic', false],
  ['Mend the fence', false],
  ['Label the jars', true],
]);

const started = performance.now();
const cleanup = new Cleanup();
const folder = await cleanup.folder();
const relay = new Relay(join(folder, 'relay.db'));
/** Every replica of the story, by name, from the moment it takes part. @type {Record<string, TodoPage | Terminal>} */
const replicas = {};
let offlineReloads = 0;
let converged = false;
let steps = 0;

const deadline = setTimeout(() => {
  console.log('\nfailed: the deadline has passed');
  void finish();
}, DEADLINE_MS);

try {
  converged = await story();
} catch (error) {
  console.log(`\nfailed: ${error instanceof Error ? (error.stack ?? error.message) : error}`);
}
await finish();

async function finish() {
  clearTimeout(deadline);
  if (!converged) await showLists();
  await cleanup.run();
  const result = {
    converged,
    replicas: Object.keys(replicas).length,
    edits: Object.values(replicas).reduce((sum, replica) => sum + replica.edits, 0),
    relay_kills: relay.kills,
    offline_reloads: offlineReloads,
    ms: Math.round(performance.now() - started),
  };
  console.log(JSON.stringify(result));
  process.exit(converged ? 0 : 1);
}

/** @returns {Promise<boolean>} whether all ended the same, and right */
async function story() {
  await mkdir(settings.out, { recursive: true });
  const server = await servePage();
  cleanup.add(() => server.close());

  // The relay chooses its port, then goes away: the replicas are to begin alone.
  await relay.start();
  cleanup.add(() => relay.stop());
  await relay.stop();
  step(`page at ${server.url}, relay will be at ${relay.url}, and is not running now`);

  const url = `${server.url}?list=${LIST}&relay=${encodeURIComponent(relay.url)}`;
  const [ada, ben] = await Promise.all(['ada', 'ben'].map((name) => openPage(name, url, {})));
  if (ada === undefined || ben === undefined) throw new Error('a browser is missing');
  const terminal = new Terminal({ store: join(folder, 'terminal'), relay: relay.url, list: LIST });
  Object.assign(replicas, { ada, ben, terminal });
  await Promise.all([ada.installed(), ben.installed()]);
  await ada.screenshots('empty');
  step('two browsers, each with a profile of its own, and a terminal open the same list');

  await Promise.all([
    inTurn(BEFORE_MEETING.ada, (title) => ada.add(title)),
    inTurn(BEFORE_MEETING.ben, (title) => ben.add(title)),
    inTurn(BEFORE_MEETING.terminal, (title) => terminal.add(title)),
  ]);
  must(same(titles(await ada.list()), BEFORE_MEETING.ada), 'Ada sees her own todos only');
  must(same(titles(await ben.list()), BEFORE_MEETING.ben), 'Ben sees his own todos only');
  must(same(titles(await terminal.listOffline()), BEFORE_MEETING.terminal), 'the terminal sees its own todos only');
  must((await ada.now()).unsaved === BEFORE_MEETING.ada.length, 'Ada is told that nothing of hers is saved at the relay');
  step('all three create the list and fill it, before they have ever met');

  await relay.start();
  await Promise.all([ada.saved(), ben.saved()]);
  const first = await agreement({ ada, ben, terminal }, Object.values(BEFORE_MEETING).flat().length);
  step(`the relay starts: all three have all ${first.length} todos, in one order`);
  await Promise.all([ada.toggle('Order more heddles'), ben.drag('Oil the treadles', titles(first)[0] ?? '')]);
  await agreement({ ada, ben, terminal }, first.length);
  await terminal.toggle('Order more heddles');
  await agreement({ ada, ben, terminal }, first.length);
  step('Ada completes a todo, Ben drags one to the top, the terminal takes the first back: all three agree');

  await Promise.all([ada.note.focus(), ben.note.focus()]);
  await Promise.all([ada.type('Loom 🌱 first. '), ben.type('Bread 🥖 later. ')]);
  await sameNote(ada, ben, 'Loom 🌱 first. '.length + 'Bread 🥖 later. '.length);
  const note = await ben.note.inputValue();
  for (const words of ['Loom 🌱 first. ', 'Bread 🥖 later. ']) must(note.includes(words), `"${words}" is whole in "${note}"`);
  const caret = note.indexOf('later');
  await ben.note.evaluate((field, at) => /** @type {HTMLTextAreaElement} */ (field).setSelectionRange(at, at + 5), caret);
  await ada.page.keyboard.press('Control+Home');
  await ada.type('Note: 😀');
  await ada.page.keyboard.press('Backspace');
  await sameNote(ada, ben, note.length + 6);
  const selected = await ben.note.evaluate((field) => {
    const { value, selectionStart, selectionEnd } = /** @type {HTMLTextAreaElement} */ (field);
    return value.slice(selectionStart, selectionEnd);
  });
  must(selected === 'later', `what Ben selected is still selected, and not "${selected}"`);
  step('Ada and Ben type into one note at the same time: their words stay whole, and the selection stays where it was');

  await ada.workOffline(true);
  await until("Ada's socket is closed", () => ada.openSockets === 0);
  step('Ada works offline: her socket is closed');

  // At the same time, without knowing of each other. Ada and Ben delete what another one edits, and drag the same todo.
  await Promise.all([
    (async () => {
      await ada.add('Sketch the border');
      await ada.rename('Buy grey wool', 'Buy grey and white wool');
      await ada.toggle('Return the library books');
      await ada.remove('Water the seedlings');
      await ada.rename('Ask Mira about Thursday', 'Ask Mira about Friday');
      await ada.drag('Oil the treadles', titles(await ada.list()).at(-1) ?? '');
    })(),
    (async () => {
      await ben.add('Bake bread');
      await ben.remove('Ask Mira about Thursday');
      await ben.toggle('Warp the loom');
      await ben.drag('Oil the treadles', titles(await ben.list())[3] ?? '');
    })(),
    (async () => {
      await terminal.rename('Water the seedlings', 'Water the seedlings twice');
      await terminal.toggle('Return the library books');
      await terminal.add('Mend the fence');
      await terminal.move('Warp the loom', 2);
    })(),
  ]);
  const unsaved = (await ada.now()).unsaved;
  must(unsaved >= 6, `Ada is told that her edits are not saved at the relay (${unsaved})`);
  await ada.screenshots('offline');
  step('all three add, edit, toggle, delete and reorder, Ada without the others');

  // Killed in the middle of it: nobody waits for the other's edits to be through.
  await Promise.all([
    (async () => {
      await ben.rename('Bake bread', 'Bake two loaves');
      await ben.add('Fold the blankets');
      await ben.rename('Order more heddles', 'Order twelve more heddles');
    })(),
    relay.kill(),
  ]);
  must(relay.kills === 1, 'the relay was running when it was killed');
  await ben.status('told that the relay is gone', ({ link }) => link !== 'live');
  step('the relay is killed while Ben goes on');

  await ben.add('Sweep the attic');
  await ben.drag('Fold the blankets', 'Return the library books');
  await terminal.add('Label the jars');
  await terminal.toggle('Label the jars');
  await terminal.move('Label the jars', 1);
  must((await ben.now()).unsaved >= 2, 'Ben is told that his edits wait');
  step('without a relay Ben and the terminal edit on');

  // No network and no page server: the page can come from the service worker only.
  const before = await ada.list();
  await server.close();
  await ada.page.context().setOffline(true);
  await ada.reload();
  offlineReloads += 1;
  await until('Ada has her list again', async () => same(await ada.list(), before));
  must((await ada.now()).link === 'offline', 'Ada is still offline after the reload');
  must((await ada.now()).unsaved === unsaved, 'her edits are still known to be unsaved after the reload');
  await ada.add('Spin the last skein');
  await ada.toggle('Spin the last skein');
  step('Ada reloads the page without any network: her edits are there, and she makes more');

  await relay.start();
  await Promise.all([
    ben.drag('Sweep the attic', titles(await ben.list())[0] ?? ''),
    terminal.move('Mend the fence', 3),
  ]);
  await ben.saved();
  step('the relay starts again, with the store that the killed one left');

  await ada.page.context().setOffline(false);
  await ada.workOffline(false);
  await Promise.all([ada.saved(), ben.saved()]);
  const last = await agreement({ ada, ben, terminal }, EXPECTED.size);
  step(`Ada is back: all three have the same ${last.length} todos in the same order`);

  const found = new Map(last.map(({ title, completed }) => [title, completed]));
  for (const [title, completed] of EXPECTED) {
    must(found.get(title) === completed, `"${title}" is there and is ${completed ? 'completed' : 'active'}`);
  }
  must(found.size === last.length, 'no todo is there twice');
  must(same([...ada.errors, ...ben.errors], []), `no page had an error: ${[...ada.errors, ...ben.errors].join('; ')}`);
  step('every todo that must be there is there, those deleted while they were edited are gone');

  await ben.screenshots('full');
  const again = await servePage();
  cleanup.add(() => again.close());
  const phone = await openPage('phone', `${again.url}?list=${LIST}&relay=${encodeURIComponent(relay.url)}`, PHONE);
  await until('the phone shows the list', async () => same(await phone.list(), last));
  await phone.screenshots('mobile', false);
  step('a phone opens the list for the first time and has all of it');
  return true;
}

/** @param {string} name @param {string} url @param {import('playwright-core').BrowserContextOptions} [options] */
async function openPage(name, url, options) {
  const context = await openBrowser(join(folder, name), options);
  cleanup.add(() => context.close());
  const page = new TodoPage(context.pages()[0] ?? (await context.newPage()), name);
  await page.open(url);
  return page;
}

/**
 * Waits until all show the same list, of this length.
 *
 * @param {{ ada: TodoPage, ben: TodoPage, terminal: Terminal }} all @param {number} length
 * @returns {Promise<Todo[]>} that list
 */
async function agreement({ ada, ben, terminal }, length) {
  /** @type {Todo[]} */
  let list = [];
  await until(`all three show the same ${length} todos`, async () => {
    list = await terminal.list();
    return list.length === length && same(list, await ada.list()) && same(list, await ben.list());
  });
  return list;
}

/** @param {TodoPage} ada @param {TodoPage} ben @param {number} length */
async function sameNote(ada, ben, length) {
  await until(`both show the same note of ${length}`, async () => {
    const note = await ada.note.inputValue();
    return note.length === length && note === (await ben.note.inputValue());
  });
}

async function showLists() {
  for (const [name, replica] of Object.entries(replicas)) {
    console.log(`\n${name}:`);
    try {
      for (const { title, completed } of await replica.list()) console.log(`  [${completed ? 'x' : ' '}] ${title}`);
      console.log(`  (${replica instanceof TodoPage ? JSON.stringify(await replica.now()) : replica.note})`);
    } catch (error) {
      console.log(`  cannot be shown: ${error instanceof Error ? error.message : error}`);
    }
  }
  console.log(`\nrelay:\n${relay.log.trim()}`);
}

/** @template T @param {readonly T[]} items @param {(item: T) => Promise<unknown>} action */
async function inTurn(items, action) {
  for (const item of items) await action(item);
}

/** @param {string} text */
function step(text) {
  console.log(`${String(++steps).padStart(2)}. ${text}`);
}

/** @param {boolean} condition @param {string} what */
function must(condition, what) {
  if (!condition) throw new Error(`this does not hold: ${what}`);
}

/** @param {readonly Todo[]} list */
function titles(list) {
  return list.map(({ title }) => title);
}
