// What both scripts need: the page server, the relay, browsers, the terminal client, and waiting for conditions.
//
// Everything real: a relay process, Chromium with its own profile, the built page, the built terminal client. What they
// are is told by environment variables, so that a run needs nothing but this folder and the programs:
//   WEFTLINE_RELAY_BIN  the relay            TODO_BIN  the terminal client      CHROMIUM  the browser
//   WEB_DIST            the built page       OUT_DIR   where screenshots go

import { execFile, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { preview } from 'vite';

/** @typedef {{ title: string, completed: boolean }} Todo */
/** @typedef {'offline' | 'connecting' | 'catching-up' | 'live'} Link */

export const TIMEOUT_MS = 60_000;
const POLL_MS = 50;

const here = dirname(dirname(fileURLToPath(import.meta.url)));
const workspace = dirname(dirname(here));
const built = join(workspace, 'target', 'debug');

export const settings = {
  relay: process.env['WEFTLINE_RELAY_BIN'] ?? join(built, 'weftline-relay'),
  terminal: process.env['TODO_BIN'] ?? join(built, 'todo'),
  chromium: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
  dist: resolve(process.env['WEB_DIST'] ?? join(here, 'dist')),
  out: resolve(process.env['OUT_DIR'] ?? join(workspace, 'target', 'demo')),
};

const CHROMIUM_FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/**
 * Waits until the answer is true. The answer may take its time; the wait ends with an error that says what was awaited.
 *
 * @param {string} what
 * @param {() => boolean | Promise<boolean>} condition
 * @param {number} [timeout]
 */
export async function until(what, condition, timeout = TIMEOUT_MS) {
  const end = performance.now() + timeout;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`waited ${timeout} ms in vain until ${what}`);
    await new Promise((done) => setTimeout(done, POLL_MS));
  }
}

/** Things to be closed at the end, however it ends: last opened, first closed. */
export class Cleanup {
  /** @type {(() => unknown)[]} */
  #steps = [];

  /** @param {() => unknown} step */
  add(step) {
    this.#steps.push(step);
  }

  async run() {
    for (const step of this.#steps.splice(0).reverse()) {
      try {
        await step();
      } catch (error) {
        console.error(`while cleaning up: ${error instanceof Error ? error.message : error}`);
      }
    }
  }

  /** A folder that is gone afterwards. */
  async folder() {
    const path = await mkdtemp(join(tmpdir(), 'weftline-'));
    this.add(() => rm(path, { recursive: true, force: true, maxRetries: 5 }));
    return path;
  }
}

/** The built page on a port of the system's choice. */
export async function servePage() {
  /** @type {Promise<void> | undefined} */
  let held;
  const server = await preview({
    root: here,
    plugins: [
      {
        name: 'hold-page',
        configurePreviewServer: ({ middlewares }) =>
          void middlewares.use(async (request, response, next) => {
            if (held === undefined || !/^\/(\?|$)/.test(request.url ?? '')) return next();
            const page = await readFile(join(settings.dist, 'index.html'));
            response.writeHead(200, { 'content-type': 'text/html' }).write(page.subarray(0, page.length / 2));
            await held;
            response.end(page.subarray(page.length / 2));
          }),
      },
    ],
    logLevel: 'error',
    build: { outDir: settings.dist },
    preview: { host: '127.0.0.1', port: 0, open: false },
  });
  const url = server.resolvedUrls?.local[0];
  if (url === undefined) throw new Error('the page server has no address');
  let open = true;
  return {
    url,
    /** From now on only half of the page is sent, and the rest of it when this promise is fulfilled. @param {Promise<void>} until */
    hold(until) {
      held = until;
      void until.then(() => (held = undefined));
    },
    async close() {
      if (!open) return;
      open = false;
      // Connections that browsers keep for later would hold the server open.
      if ('closeAllConnections' in server.httpServer) server.httpServer.closeAllConnections();
      await server.close();
    },
  };
}

/** A relay process that can be killed and started again at the same address with the same store. */
export class Relay {
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #process;
  #listen = '127.0.0.1:0';
  /** What it said on standard error. */
  log = '';
  /** Where it listens; known from the first start on. */
  url = '';
  kills = 0;

  /** @param {string} store */
  constructor(store) {
    this.store = store;
  }

  async start() {
    const child = spawn(settings.relay, ['--listen', this.#listen, '--store', this.store], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#process = child;
    child.stderr.on('data', (text) => (this.log += text));
    const lines = createInterface({ input: child.stdout });
    const url = await new Promise((done, fail) => {
      const timer = setTimeout(() => fail(new Error(`the relay did not start\n${this.log}`)), TIMEOUT_MS);
      lines.on('line', (line) => {
        const address = /listening on (ws:\/\/\S+)/.exec(line)?.[1];
        if (address === undefined) return;
        clearTimeout(timer);
        done(address);
      });
      child.once('error', fail);
      child.once('exit', (code, signal) => fail(new Error(`the relay ended with ${code ?? signal}\n${this.log}`)));
    });
    this.url = url.replace(/\/$/, '');
    this.#listen = new URL(this.url).host;
  }

  /** Asks the process to end and waits until it has. */
  async stop() {
    await this.#end('SIGTERM');
  }

  /** Ends the process at once, wherever it is. */
  async kill() {
    if (await this.#end('SIGKILL')) this.kills += 1;
  }

  /** @param {NodeJS.Signals} signal */
  async #end(signal) {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return false;
    const ended = new Promise((done) => child.once('exit', done));
    child.kill(signal);
    await ended;
    return true;
  }
}

/**
 * A browser with a profile of its own.
 *
 * @param {string} profile the folder of the profile
 * @param {import('playwright-core').BrowserContextOptions} [options]
 */
export async function openBrowser(profile, options = {}) {
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: settings.chromium,
    args: CHROMIUM_FLAGS,
    viewport: { width: 1100, height: 1060 },
    colorScheme: 'light',
    reducedMotion: 'reduce',
    ...options,
  });
  context.setDefaultTimeout(TIMEOUT_MS);
  return context;
}

/** One page of one browser: what a person would do on it, and what that person would see. */
export class TodoPage {
  edits = 0;
  /** @type {import('playwright-core').WebSocket[]} */
  #sockets = [];
  /** @type {string[]} */
  errors = [];

  /**
   * @param {import('playwright-core').Page} page
   * @param {string} name
   */
  constructor(page, name = 'page') {
    this.page = page;
    this.name = name;
    page.on('websocket', (socket) => this.#sockets.push(socket));
    page.on('pageerror', (error) => this.errors.push(error.message));
  }

  /** @param {string} url */
  async open(url) {
    await this.page.goto(url);
    await this.opened();
  }

  async opened() {
    await this.page.locator('.page:not([data-state="opening"])').waitFor();
    const problem = await this.page.locator('.problem').textContent();
    if (problem) throw new Error(problem);
  }

  async reload() {
    await this.status('stored', (status) => status.unstored === 0);
    await this.page.reload();
    await this.opened();
  }

  /** The page can be opened without a network from now on. */
  async installed() {
    await this.page.waitForFunction(() => navigator.serviceWorker.controller?.state === 'activated');
  }

  get openSockets() {
    return this.#sockets.filter((socket) => !socket.isClosed()).length;
  }

  get note() {
    return this.page.locator('.note textarea');
  }

  /** Types into the note, letter by letter, where the caret is. @param {string} text */
  async type(text) {
    for (const letter of text) {
      await this.page.keyboard.insertText(letter);
      this.edits += 1;
    }
  }

  /** @param {string} title */
  row(title) {
    return this.page.locator('.todo-list > li', { has: this.page.getByText(title, { exact: true }) });
  }

  /** @param {string} title */
  async add(title) {
    await this.page.fill('.new-todo', title);
    await this.page.press('.new-todo', 'Enter');
    this.edits += 1;
  }

  /** @param {string} title @param {string} to */
  async rename(title, to) {
    const row = this.row(title);
    const id = await row.getAttribute('data-id');
    await row.locator('label').dblclick();
    const edit = this.page.locator(`.todo-list > li[data-id="${id}"] .edit`);
    await edit.fill(to);
    await edit.press('Enter');
    this.edits += 1;
  }

  /** @param {string} title */
  async toggle(title) {
    await this.row(title).locator('.toggle').click();
    this.edits += 1;
  }

  /** @param {string} title */
  async remove(title) {
    const row = this.row(title);
    await row.hover();
    await row.locator('.destroy').click();
    this.edits += 1;
  }

  /**
   * Drags a todo by its handle to the place of another one.
   *
   * @param {string} title @param {string} onto
   */
  async drag(title, onto) {
    const row = this.row(title);
    await row.scrollIntoViewIfNeeded();
    await row.hover();
    const handle = await row.locator('.handle').boundingBox();
    const target = await this.row(onto).boundingBox();
    if (handle === null || target === null) throw new Error(`cannot drag "${title}" onto "${onto}"`);
    const from = { x: handle.x + handle.width / 2, y: handle.y + handle.height / 2 };
    const beyond = target.y > handle.y ? target.height * 0.75 : target.height * 0.25;
    const { mouse } = this.page;
    await mouse.move(from.x, from.y);
    await mouse.down();
    await mouse.move(from.x, (from.y + target.y + beyond) / 2, { steps: 4 });
    await mouse.move(from.x, target.y + beyond, { steps: 4 });
    await mouse.up();
    this.edits += 1;
  }

  /** @param {boolean} offline */
  async workOffline(offline) {
    await this.page.locator('.offline-switch input').setChecked(offline);
    if (offline) await this.status('offline', ({ link }) => link === 'offline');
  }

  /** @returns {Promise<Todo[]>} the todos on the page, from top to bottom */
  list() {
    return this.page.locator('.todo-list > li').evaluateAll((rows) =>
      rows.map((row) => ({
        title: row.querySelector('label')?.textContent ?? '',
        completed: row.classList.contains('completed'),
      })),
    );
  }

  /** @returns {Promise<{ link: string, unsaved: number, unstored: number, text: string }>} */
  now() {
    return this.page.locator('.sync').evaluate((element) => {
      const { link, unsaved, unstored } = /** @type {HTMLElement} */ (element).dataset;
      return { link: link ?? '', unsaved: Number(unsaved), unstored: Number(unstored), text: element.textContent ?? '' };
    });
  }

  /**
   * Waits until the page says so.
   *
   * @param {string} what
   * @param {(status: { link: string, unsaved: number, unstored: number, text: string }) => boolean} condition
   */
  async status(what, condition) {
    try {
      await until(`${this.name} is ${what}`, async () => condition(await this.now()));
    } catch (error) {
      throw new Error(`${error instanceof Error ? error.message : error}; it says ${JSON.stringify(await this.now())}`);
    }
  }

  /** Live, and nothing waits to be saved. */
  async saved() {
    await this.status('live with all edits saved', ({ link, unsaved }) => link === 'live' && unsaved === 0);
  }

  /**
   * Takes the page as it is, in both colour schemes.
   *
   * @param {string} name
   * @param {boolean} [fullPage] not on a phone: there it would undo the emulation of touch
   */
  async screenshots(name, fullPage = true) {
    await this.page.mouse.move(0, 0);
    await this.page.evaluate(() => scrollTo(0, 0));
    for (const colorScheme of /** @type {const} */ (['dark', 'light'])) {
      await this.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await this.page.screenshot({ path: join(settings.out, `${name}-${colorScheme}.png`), fullPage });
    }
  }
}

/** The terminal client: a replica too, that lives in its store and comes up for each command. */
export class Terminal {
  edits = 0;
  /** What it said beside its output the last time. */
  note = '';

  /** @param {{ store: string, relay: string, list: string }} where */
  constructor({ store, relay, list }) {
    this.store = store;
    this.relay = relay;
    this.listName = list;
  }

  /** @param {string[]} command @returns {Promise<string>} what it prints */
  run(...command) {
    const options = ['--relay', this.relay, '--store', this.store, '--list', this.listName];
    return new Promise((done, fail) => {
      execFile(settings.terminal, [...options, ...command], { timeout: TIMEOUT_MS }, (error, stdout, stderr) => {
        this.note = stderr.trim();
        if (error === null) done(stdout);
        else fail(new Error(`todo ${command.join(' ')}: ${stderr || error.message}`));
      });
    });
  }

  /** @param {string[]} command @returns {Promise<{ id: string, title: string, completed: boolean }[]>} */
  async #rows(...command) {
    return JSON.parse(await this.run(...command, 'list', '--json'));
  }

  /** @returns {Promise<Todo[]>} */
  async list() {
    return (await this.#rows()).map(({ title, completed }) => ({ title, completed }));
  }

  /** What it shows without asking the relay. @returns {Promise<Todo[]>} */
  async listOffline() {
    return (await this.#rows('--offline')).map(({ title, completed }) => ({ title, completed }));
  }

  /** @param {string} title */
  async #id(title) {
    const row = (await this.#rows('--offline')).find((todo) => todo.title === title);
    if (row === undefined) throw new Error(`the terminal has no "${title}"`);
    return row.id;
  }

  /** @param {string} title */
  async add(title) {
    this.edits += 1;
    return this.run('add', title);
  }

  /** @param {string} title @param {string} to */
  async rename(title, to) {
    this.edits += 1;
    return this.run('edit', await this.#id(title), to);
  }

  /** @param {string} title */
  async toggle(title) {
    this.edits += 1;
    return this.run('toggle', await this.#id(title));
  }

  /** @param {string} title */
  async remove(title) {
    this.edits += 1;
    return this.run('rm', await this.#id(title));
  }

  /** @param {string} title @param {number} place counted from 1 */
  async move(title, place) {
    this.edits += 1;
    return this.run('move', await this.#id(title), String(place));
  }
}

/** @param {unknown} a @param {unknown} b */
export const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
