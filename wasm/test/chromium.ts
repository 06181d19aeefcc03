// Chromium with a profile of its own, whose processes can all be killed at once, and the page that it opens.
//
// The page is empty but for the package, as it was packed, and the storage contract. What runs in it is told by the tests.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, normalize } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium, type BrowserContext, type Browser, type Page } from 'playwright-core';
import { transformWithOxc } from 'vite';

/** The browser's program, if the environment names one. */
export const chromiumProgram = process.env['CHROMIUM'];

/** The program that can make a browser's disk slow, if it is there. */
export const strace = ['/usr/bin/strace', '/bin/strace'].find((path) => existsSync(path));

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--no-default-browser-check',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--remote-debugging-port=0',
];

const TYPES: Record<string, string> = { js: 'text/javascript', wasm: 'application/wasm', html: 'text/html' };

const PAGE = `<!doctype html><title>loading</title><script type="module">
  import * as weftline from '/dist/index.js';
  import { contract } from '/contract.js';
  Object.assign(globalThis, { weftline, contract });
  document.title = 'ready';
</script>`;

/** Serves the page, on a port that the system chooses. */
export async function servePage(): Promise<{ url: string; close(): void }> {
  const contract = join(import.meta.dirname, 'contract.ts');
  const { code } = await transformWithOxc(await readFile(contract, 'utf8'), contract);
  const file = async (path: string): Promise<string | Buffer> => {
    if (path === '/') return PAGE;
    if (path === '/contract.js') return code;
    return readFile(join(process.env['WEFTLINE_PACKED']!, 'node_modules/weftline', normalize(path)));
  };
  const server: Server = createServer((request, response) => {
    const path = new URL(request.url!, 'http://page').pathname;
    file(path).then(
      (content) => {
        const type = TYPES[path.split('.')[1] ?? 'html'];
        response.writeHead(200, { 'content-type': type ?? 'application/octet-stream' }).end(content);
      },
      () => response.writeHead(404).end(),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = (): void => {
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, close };
}

/** A running Chromium. */
export class Chromium {
  readonly #process: ChildProcess;
  readonly #browser: Browser;
  readonly #url: string;

  private constructor(process: ChildProcess, browser: Browser, url: string) {
    this.#process = process;
    this.#browser = browser;
    this.#url = url;
  }

  /** Starts one on this profile; its pages show what is at `url`. Each sync of a file takes `slowSyncMs` longer, if given. */
  static async start(profile: string, url: string, slowSyncMs = 0): Promise<Chromium> {
    const command = [chromiumProgram!, ...FLAGS, `--user-data-dir=${profile}`, 'about:blank'];
    if (slowSyncMs > 0) {
      const trace = ['-f', '-e', 'trace=fdatasync', '-e', `inject=fdatasync:delay_enter=${slowSyncMs * 1_000}`];
      command.unshift(strace!, ...trace, '-o', '/dev/null', '--');
    }
    // A group of its own: all its processes are killed together, and nobody else's.
    const child = spawn(command[0]!, command.slice(1), {
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    for await (const line of createInterface({ input: child.stderr! })) {
      const address = /DevTools listening on (ws:\S+)/.exec(line)?.[1];
      if (address === undefined) continue;
      child.stderr!.resume();
      return new Chromium(child, await chromium.connectOverCDP(address), url);
    }
    throw new Error('Chromium ended before it listened');
  }

  get context(): BrowserContext {
    return this.#browser.contexts()[0]!;
  }

  /** A new tab. `hear` gets what the page tells by calling `tell`. */
  async open(hear: (message: unknown) => void = () => undefined): Promise<Page> {
    const page = await this.context.newPage();
    await page.exposeFunction('tell', hear);
    await page.goto(this.#url);
    await page.waitForFunction(() => document.title === 'ready');
    return page;
  }

  /** Ends all its processes at once, wherever they are. */
  async kill(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, 'exit');
    process.kill(-this.#process.pid!, 'SIGKILL');
    await ended;
    await this.#browser.close().catch(() => undefined);
  }
}
