// How the page is built: one chunk of script, one sheet of style, one wasm file, and a service worker that knows
// the exact name of each of them.

import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig, type Plugin } from 'vite';

export default defineConfig({
  plugins: [precacheManifest(), contentSecurityPolicy()],
  // The package is linked from the same source tree, so the development server must be allowed to read it there.
  server: { fs: { allow: ['.', '../../wasm'] } },
  build: {
    target: 'es2023',
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: { index: 'index.html', worker: 'src/worker/service-worker.ts' },
      output: {
        // A service worker is recognised by its address, so its name must never change.
        entryFileNames: (chunk) => (chunk.name === 'worker' ? 'service-worker.js' : 'assets/[name]-[hash].js'),
      },
    },
  },
});

/**
 * Tells the service worker what to keep: every file of the build, and a version that changes with any byte of them.
 *
 * The worker is an entry of the same build, so the list is put into its finished text, after all names are known.
 */
function precacheManifest(): Plugin {
  let publicDir = '';
  return {
    name: 'precache-manifest',
    apply: 'build',
    enforce: 'post',
    configResolved(config) {
      publicDir = config.publicDir;
    },
    generateBundle: {
      order: 'post',
      handler(_options, bundle) {
        const worker = bundle['service-worker.js'];
        if (worker?.type !== 'chunk') this.error('the build has no service worker');
        const hash = createHash('sha256');
        const names: string[] = [];
        const add = (name: string, content: string | Uint8Array) => {
          names.push(name);
          hash.update(name).update('\0').update(content).update('\0');
        };
        for (const [name, file] of Object.entries(bundle).sort(([a], [b]) => (a < b ? -1 : 1))) {
          add(name, file.type === 'chunk' ? file.code : file.source);
        }
        for (const name of readdirSync(publicDir).sort()) add(name, readFileSync(join(publicDir, name)));

        const manifest = { version: hash.digest('hex').slice(0, 16), files: names.filter((name) => name !== 'service-worker.js') };
        if (!manifest.files.includes('index.html')) this.error('the page itself is missing from the precache manifest');
        // The quotes of the placeholder go too: what is put in their place is an object literal.
        const code = worker.code.replace(/(["'`])__PRECACHE__\1/, () => JSON.stringify(manifest));
        if (code === worker.code) this.error('the service worker has no place for the precache manifest');
        worker.code = code;
      },
    },
  };
}

/**
 * Only what the build made may run, and todos are text: even a mistake in the page could not turn one into script.
 *
 * Only in the build, because the development server injects its own scripts and styles.
 */
function contentSecurityPolicy(): Plugin {
  const policy = [
    "default-src 'self'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self' ws: wss:",
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  return {
    name: 'content-security-policy',
    apply: 'build',
    transformIndexHtml: () => [
      { tag: 'meta', attrs: { 'http-equiv': 'Content-Security-Policy', content: policy }, injectTo: 'head-prepend' },
    ],
  };
}
