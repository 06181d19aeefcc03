// What the TodoMVC specification asks for, and what this page adds, checked in a real browser against a real relay.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { Cleanup, openBrowser, Relay, same, servePage, TodoPage, until } from './support.mjs';

const cleanup = new Cleanup();
let passed = 0;
let failed = 0;

const folder = await cleanup.folder();
const relay = new Relay(join(folder, 'relay.db'));
/** @type {import('playwright-core').BrowserContext} */
let context;
/** @type {string} */
let site;
let lists = 0;

/** The address of a list that nobody has used yet. */
const freshList = () => `${site}?list=check-${++lists}&relay=${encodeURIComponent(relay.url)}`;

/** Each check has a page and a list of its own. @param {string} name @param {(todo: TodoPage) => Promise<void>} body */
async function check(name, body) {
  const todo = new TodoPage(await context.newPage());
  try {
    await todo.open(freshList());
    await body(todo);
    assert.deepEqual(todo.errors, [], 'no error on the page');
    passed += 1;
    console.log(`ok   ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`fail ${name}\n     ${String(error instanceof Error ? error.message : error).replaceAll('\n', '\n     ')}`);
  } finally {
    // The first page belongs to the browser itself.
    for (const page of context.pages().slice(1)) await page.close();
  }
}

/** The same list in another tab. @param {TodoPage} todo */
async function secondTab(todo) {
  const other = new TodoPage(await context.newPage(), 'the second tab');
  await other.open(todo.page.url());
  return other;
}

/** @param {TodoPage} todo @param {string[]} titles */
async function addAll(todo, titles) {
  for (const title of titles) await todo.add(title);
}

/** @param {TodoPage} todo @param {string[]} expected titles on the page; completed ones are marked with a leading x */
async function shows(todo, expected) {
  const now = async () => (await todo.list()).map(({ title, completed }) => (completed ? `x ${title}` : title));
  try {
    await until('', async () => same(await now(), expected), 5000);
  } catch {
    assert.deepEqual(await now(), expected);
  }
}

/** @param {TodoPage} todo @param {string} selector */
const visible = (todo, selector) => todo.page.locator(selector).isVisible();
/** @param {TodoPage} todo @param {string} selector */
const text = async (todo, selector) => (await todo.page.locator(selector).innerText()).replace(/\s+/g, ' ').trim();
/** @param {TodoPage} todo */
const focused = (todo) => todo.page.evaluate(() => document.activeElement?.className ?? '');
/** @param {TodoPage} todo @param {string} title */
async function startEditing(todo, title) {
  await todo.row(title).locator('label').dblclick();
  return todo.page.locator('.todo-list > li.editing .edit');
}

try {
  const server = await servePage();
  cleanup.add(() => server.close());
  site = server.url;
  await relay.start();
  cleanup.add(() => relay.stop());
  context = await openBrowser(join(folder, 'profile'));
  cleanup.add(() => context.close());

  await check('main and footer are hidden when there are no todos', async (todo) => {
    assert.equal(await visible(todo, '.main'), false);
    assert.equal(await visible(todo, '.footer'), false);
    await todo.add('one');
    assert.equal(await visible(todo, '.main'), true);
    assert.equal(await visible(todo, '.footer'), true);
    await todo.remove('one');
    assert.equal(await visible(todo, '.main'), false);
  });

  await check('a new todo: the field has the focus, Enter appends, trims and clears', async (todo) => {
    assert.equal(await focused(todo), 'new-todo');
    await addAll(todo, ['first', '   second  ']);
    await shows(todo, ['first', 'second']);
    assert.equal(await todo.page.inputValue('.new-todo'), '');
  });

  await check('an empty new todo is ignored', async (todo) => {
    await addAll(todo, ['', '    ']);
    await shows(todo, []);
  });

  await check('a title is text, never markup', async (todo) => {
    const title = '<img src=x onerror="window.hurt = true"> & <b>bold</b>';
    await todo.add(title);
    await shows(todo, [title]);
    assert.equal(await todo.page.locator('.todo-list img, .todo-list b').count(), 0);
    assert.equal(await todo.page.evaluate(() => 'hurt' in window), false);
  });

  await check('the box of a todo marks it as completed and back', async (todo) => {
    await addAll(todo, ['one', 'two']);
    await todo.toggle('one');
    await shows(todo, ['x one', 'two']);
    assert.equal(await todo.row('one').locator('.toggle').isChecked(), true);
    await todo.toggle('one');
    await shows(todo, ['one', 'two']);
  });

  await check('the counter counts active todos and knows the plural', async (todo) => {
    await todo.add('one');
    assert.equal(await text(todo, '.todo-count'), '1 item left');
    assert.equal(await text(todo, '.todo-count strong'), '1');
    await todo.add('two');
    assert.equal(await text(todo, '.todo-count'), '2 items left');
    await todo.toggle('one');
    await todo.toggle('two');
    assert.equal(await text(todo, '.todo-count'), '0 items left');
  });

  await check('mark all as complete: sets all, clears all, follows single todos', async (todo) => {
    await addAll(todo, ['one', 'two', 'three']);
    const all = todo.page.locator('.toggle-all');
    await todo.page.locator('label[for="toggle-all"]').click();
    await shows(todo, ['x one', 'x two', 'x three']);
    assert.equal(await all.isChecked(), true);
    await todo.toggle('two');
    assert.equal(await all.isChecked(), false);
    await todo.toggle('two');
    assert.equal(await all.isChecked(), true);
    await todo.page.locator('label[for="toggle-all"]').click();
    await shows(todo, ['one', 'two', 'three']);
    assert.equal(await all.isChecked(), false);
  });

  await check('clear completed removes them, hides itself and unchecks mark all', async (todo) => {
    await addAll(todo, ['one', 'two', 'three']);
    assert.equal(await visible(todo, '.clear-completed'), false);
    await todo.toggle('two');
    assert.equal(await text(todo, '.clear-completed'), 'Clear completed');
    await todo.page.click('.clear-completed');
    await shows(todo, ['one', 'three']);
    assert.equal(await visible(todo, '.clear-completed'), false);
    await todo.page.locator('label[for="toggle-all"]').click();
    await todo.page.click('.clear-completed');
    await todo.add('four');
    assert.equal(await todo.page.locator('.toggle-all').isChecked(), false);
  });

  await check('editing: a double click shows a focused editor and hides the rest', async (todo) => {
    await addAll(todo, ['one', 'two']);
    const edit = await startEditing(todo, 'two');
    assert.equal(await edit.inputValue(), 'two');
    assert.equal(await focused(todo), 'edit');
    assert.equal(await todo.page.locator('.editing .view').isVisible(), false);
    assert.equal(await todo.page.locator('.editing').count(), 1);
  });

  await check('editing: Enter saves the trimmed text', async (todo) => {
    await addAll(todo, ['one', 'two']);
    const edit = await startEditing(todo, 'two');
    await edit.fill('  2  ');
    await edit.press('Enter');
    await shows(todo, ['one', '2']);
    assert.equal(await todo.page.locator('.editing').count(), 0);
  });

  await check('editing: leaving the editor saves', async (todo) => {
    await addAll(todo, ['one', 'two']);
    const edit = await startEditing(todo, 'one');
    await edit.fill('uno');
    await todo.page.click('h1');
    await shows(todo, ['uno', 'two']);
  });

  await check('editing: Escape discards', async (todo) => {
    await todo.add('one');
    const edit = await startEditing(todo, 'one');
    await edit.fill('changed');
    await edit.press('Escape');
    await shows(todo, ['one']);
    assert.equal(await todo.page.locator('.editing').count(), 0);
  });

  await check('editing: an empty text removes the todo', async (todo) => {
    await addAll(todo, ['one', 'two']);
    const edit = await startEditing(todo, 'one');
    await edit.fill('   ');
    await edit.press('Enter');
    await shows(todo, ['two']);
  });

  await check('editing by keyboard alone: Enter on the box', async (todo) => {
    await todo.add('one');
    await todo.row('one').locator('.toggle').focus();
    await todo.page.keyboard.press('Enter');
    await todo.page.keyboard.press('End');
    await todo.page.keyboard.type('!');
    await todo.page.keyboard.press('Enter');
    await shows(todo, ['one!']);
  });

  await check('routes filter, mark their link, and follow changes', async (todo) => {
    await addAll(todo, ['one', 'two', 'three']);
    await todo.toggle('two');
    const selected = () => text(todo, '.filters a.selected');
    assert.equal(await selected(), 'All');
    await todo.page.click('.filters a[href="#/active"]');
    await shows(todo, ['one', 'three']);
    assert.equal(await selected(), 'Active');
    await todo.toggle('three');
    await shows(todo, ['one']);
    await todo.page.click('.filters a[href="#/completed"]');
    await shows(todo, ['x two', 'x three']);
    assert.equal(await selected(), 'Completed');
    await todo.page.goBack();
    await shows(todo, ['one']);
    await todo.page.click('.filters a[href="#/"]');
    await shows(todo, ['one', 'x two', 'x three']);
  });

  await check('todos and the route are there again after a reload, editing is not', async (todo) => {
    await addAll(todo, ['one', 'two']);
    await todo.toggle('one');
    await todo.page.click('.filters a[href="#/active"]');
    await startEditing(todo, 'two');
    await todo.reload();
    await shows(todo, ['two']);
    assert.equal(await text(todo, '.filters a.selected'), 'Active');
    assert.equal(await todo.page.locator('.editing').count(), 0);
    await todo.page.click('.filters a[href="#/"]');
    await shows(todo, ['x one', 'two']);
  });

  await check('a todo is dragged down and up, and stays there after a reload', async (todo) => {
    await addAll(todo, ['one', 'two', 'three', 'four']);
    await todo.drag('one', 'three');
    await shows(todo, ['two', 'three', 'one', 'four']);
    await todo.drag('four', 'two');
    await shows(todo, ['four', 'two', 'three', 'one']);
    await todo.reload();
    await shows(todo, ['four', 'two', 'three', 'one']);
  });

  await check('a drag that is cancelled with Escape changes nothing', async (todo) => {
    await addAll(todo, ['one', 'two', 'three']);
    const handle = await todo.row('one').locator('.handle').boundingBox();
    assert(handle);
    await todo.page.mouse.move(handle.x + 5, handle.y + 5);
    await todo.page.mouse.down();
    await todo.page.mouse.move(handle.x + 5, handle.y + 120, { steps: 4 });
    await todo.page.keyboard.press('Escape');
    await todo.page.mouse.up();
    await shows(todo, ['one', 'two', 'three']);
    assert.equal(await todo.page.locator('.dragged, .dragging').count(), 0);
  });

  await check('a finger drags too', async (todo) => {
    await addAll(todo, ['one', 'two', 'three']);
    const from = await todo.row('one').locator('.handle').boundingBox();
    const to = await todo.row('three').boundingBox();
    assert(from && to);
    const client = await todo.page.context().newCDPSession(todo.page);
    const x = from.x + from.width / 2;
    /** @param {'touchStart' | 'touchMove' | 'touchEnd'} type @param {number[]} ys */
    const touch = async (type, ...ys) =>
      client.send('Input.dispatchTouchEvent', { type, touchPoints: ys.map((y) => ({ x, y })) });
    await touch('touchStart', from.y + 20);
    for (const part of [0.25, 0.5, 0.75, 1]) await touch('touchMove', from.y + 20 + part * (to.y + 20 - from.y));
    await touch('touchEnd');
    await shows(todo, ['two', 'three', 'one']);
  });

  await check('Alt with an arrow moves a todo and keeps the focus on it', async (todo) => {
    await addAll(todo, ['one', 'two', 'three']);
    await todo.row('three').locator('.toggle').focus();
    await todo.page.keyboard.press('Alt+ArrowUp');
    await todo.page.keyboard.press('Alt+ArrowUp');
    await todo.page.keyboard.press('Alt+ArrowUp');
    await shows(todo, ['three', 'one', 'two']);
    await todo.page.keyboard.press('Alt+ArrowDown');
    await shows(todo, ['one', 'three', 'two']);
    assert.equal(await todo.row('three').locator('.toggle').evaluate((box) => box === document.activeElement), true);
    assert.match(await text(todo, '#announcer'), /three: now 2 of 3/);
  });

  await check('a todo moved in a filtered list goes next to the ones that are seen', async (todo) => {
    await addAll(todo, ['one', 'done', 'two', 'three']);
    await todo.toggle('done');
    await todo.page.click('.filters a[href="#/active"]');
    await todo.drag('three', 'two');
    await shows(todo, ['one', 'three', 'two']);
    await todo.page.click('.filters a[href="#/"]');
    await shows(todo, ['one', 'x done', 'three', 'two']);
  });

  await check('a second tab sees edits through the relay, and the other way round', async (todo) => {
    const other = await secondTab(todo);
    await addAll(todo, ['one', 'two']);
    await shows(other, ['one', 'two']);
    await other.toggle('two');
    await other.drag('two', 'one');
    await shows(todo, ['x two', 'one']);
    await todo.saved();
    await other.saved();
    assert.deepEqual(other.errors, []);
  });

  await check('what is being typed is not disturbed by what others do', async (todo) => {
    await addAll(todo, ['one', 'two', 'three']);
    const other = await secondTab(todo);
    await shows(other, ['one', 'two', 'three']);
    const edit = await startEditing(todo, 'two');
    await edit.fill('two, edited');
    for (let press = 0; press < 4; press += 1) await edit.press('ArrowLeft');
    await edit.evaluate((input) => Object.assign(input, { sameNode: true }));

    await other.drag('two', 'one');
    await other.rename('three', 'trois');
    await other.add('four');
    await other.remove('one');
    await other.toggle('two');
    await until('the edits have arrived', async () => (await todo.list()).map(({ title }) => title).join() === 'two,trois,four');

    const caret = await edit.evaluate((input) => {
      const { selectionStart, value } = /** @type {HTMLInputElement} */ (input);
      return { selectionStart, value, focused: input === document.activeElement, sameNode: 'sameNode' in input };
    });
    assert.deepEqual(caret, { selectionStart: 7, value: 'two, edited', focused: true, sameNode: true });
    await edit.press('Enter');
    await shows(todo, ['x two, edited', 'trois', 'four']);
    await shows(other, ['x two, edited', 'trois', 'four']);
  });

  await check('a text typed for a todo that is removed elsewhere is not lost', async (todo) => {
    await addAll(todo, ['one', 'two']);
    const other = await secondTab(todo);
    await shows(other, ['one', 'two']);
    const edit = await startEditing(todo, 'two');
    await edit.fill('two and a half');
    await other.remove('two');
    await shows(todo, ['one']);
    assert.equal(await todo.page.inputValue('.new-todo'), 'two and a half');
    assert.equal(await focused(todo), 'new-todo');
  });

  await check('the offline switch closes the socket, counts what waits, and survives a reload', async (todo) => {
    await todo.add('one');
    await todo.saved();
    assert.equal(todo.openSockets, 1);
    await todo.workOffline(true);
    await until('the socket is closed', () => todo.openSockets === 0);
    await addAll(todo, ['two', 'three']);
    assert.match((await todo.now()).text, /Offline.*2 edits not saved at the relay yet/);
    await todo.reload();
    assert.equal((await todo.now()).link, 'offline');
    assert.equal((await todo.now()).unsaved, 2);
    assert.equal(todo.openSockets, 0);
    await shows(todo, ['one', 'two', 'three']);
    await todo.workOffline(false);
    await todo.saved();
    assert.match((await todo.now()).text, /Live.*All edits saved/);
  });

  await check('lists are separate, and the menu opens another one', async (todo) => {
    await todo.add('here');
    await todo.page.click('.lists summary');
    await todo.page.fill('#list-name', `menu ${lists}/ä`);
    await todo.page.press('#list-name', 'Enter');
    await todo.page.waitForURL(/list=menu/);
    await todo.opened();
    assert.equal(await todo.page.locator('h1').textContent(), `menu ${lists}/ä`);
    await shows(todo, []);
    await todo.add('there');
    await todo.page.click('.lists summary');
    await todo.page.click(`.lists-known a:text-is("check-${lists}")`);
    await todo.page.waitForURL(/list=check/);
    await todo.opened();
    await shows(todo, ['here']);
  });

  await check('a new version of the page removes what the old one kept, and nothing else', async (todo) => {
    await todo.installed();
    await todo.page.evaluate(async () => {
      await Promise.all(['weftline-todos-old', 'somebody-elses'].map((name) => caches.open(name)));
      await (await navigator.serviceWorker.ready).unregister();
    });
    // A worker that was taken away serves on until its last page has gone.
    const url = todo.page.url();
    await todo.page.goto('about:blank');
    await todo.open(url);
    await todo.installed();
    const names = () => todo.page.evaluate(() => caches.keys());
    await until('the old cache is gone', async () => !(await names()).includes('weftline-todos-old'));
    const [ours, theirs] = (await names()).sort((a, b) => b.localeCompare(a));
    assert.match(ours ?? '', /^weftline-todos-[0-9a-f]{16}$/);
    assert.equal(theirs, 'somebody-elses');
  });

  await check('whoever has the list open is shown to the others, with the place in the note they are at', async (todo) => {
    const others = async () => todo.page.locator('.people').getAttribute('data-others');
    const other = await secondTab(todo);
    await until('one other', async () => (await others()) === '1');
    await other.page.locator('.note textarea').fill('one\ntwo\nthree');
    await until('the line', async () => (await todo.page.locator('.person').innerText()) === 'note, line 3');
    await other.page.close();
    await until('nobody', async () => (await others()) === '0');
    assert.equal(await todo.page.locator('.people').isVisible(), false);
  });

  await check('a page that comes slowly is waited for, as soon as it has begun to come', async (todo) => {
    await todo.installed();
    let release = () => {};
    server.hold(new Promise((done) => (release = done)));
    const reloaded = todo.reload();
    // Longer than a server may take to answer at all.
    await new Promise((done) => setTimeout(done, 3500));
    release();
    await reloaded;
    await shows(todo, []);
    await todo.saved();
  });

  await check('the page opens from the service worker when its server is gone', async (todo) => {
    await todo.add('kept');
    await todo.installed();
    await todo.saved();
    await server.close();
    await todo.reload();
    await shows(todo, ['kept']);
    // Only the page server is gone: the list is live again.
    await todo.saved();
  });
} catch (error) {
  failed += 1;
  console.log(`fail the run itself\n     ${error instanceof Error ? (error.stack ?? error.message) : error}`);
} finally {
  await cleanup.run();
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
