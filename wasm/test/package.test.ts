// The package as a package: what is in it, whether its types hold, whether bundlers take it.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { build } from 'vite';

const dir = process.env['WEFTLINE_PACKED']!;
const installed = join(dir, 'node_modules/weftline');
const files = (readdirSync(installed, { recursive: true }) as string[]).filter((file) => !file.startsWith('node_modules'));

test('holds one module, licences, a readme, and no sources', () => {
  expect(files.filter((file) => file.endsWith('.wasm'))).toEqual(['dist/weftline.wasm']);
  const expected = ['README.md', 'package.json', 'dist/LICENSE-MIT', 'dist/LICENSE-APACHE', 'dist/index.js', 'dist/index.d.ts'];
  expect(files).toEqual(expect.arrayContaining(expected));
  for (const file of files) expect(file).toMatch(/^(README\.md|package\.json|dist(\/.*)?)$/);
  expect(files.filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))).toEqual([]);
});

test('importing it does nothing: no global is touched, nothing is loaded', () => {
  const script = `
    const before = Object.getOwnPropertyNames(globalThis).join();
    globalThis.fetch = () => { throw new Error('fetched'); };
    WebAssembly.instantiate = WebAssembly.compile = () => { throw new Error('loaded'); };
    const { Replica } = await import('weftline');
    await import(${JSON.stringify(join(installed, 'dist/index.js'))});
    if (typeof Replica.open !== 'function') throw new Error('no Replica');
    if (Object.getOwnPropertyNames(globalThis).join() !== before) throw new Error('globals');
  `;
  execFileSync(process.execPath, ['--input-type=module', '--eval', script], { cwd: dir });
});

test('nothing waits at the top level, so that it can be required and used in any worker', () => {
  const script = `
    const { Replica } = require('weftline');
    if (typeof Replica.open !== 'function') throw new Error('no Replica');
  `;
  execFileSync(process.execPath, ['--experimental-require-module', '--no-warnings', '--eval', script], { cwd: dir });
});

test('its types hold where everything is checked', () => {
  const sample = join(dir, 'sample');
  mkdirSync(sample, { recursive: true });
  writeFileSync(join(sample, 'sample.ts'), readFileSync(join(import.meta.dirname, 'sample.ts')));
  const base = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    noEmit: true,
    target: 'ES2022',
    lib: ['ES2022', 'DOM'],
    types: [],
  };
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
  for (const resolution of [{ module: 'NodeNext' }, { module: 'ESNext', moduleResolution: 'Bundler' }]) {
    writeFileSync(join(sample, 'tsconfig.json'), JSON.stringify({ compilerOptions: { ...base, ...resolution }, include: ['sample.ts'] }));
    writeFileSync(join(sample, 'package.json'), JSON.stringify({ type: 'module' }));
    execFileSync(process.execPath, [tsc, '-p', sample], { stdio: ['ignore', 'inherit', 'inherit'] });
  }
});

test('Vite builds an app with it, without a plugin', async () => {
  const app = join(dir, 'app');
  mkdirSync(app, { recursive: true });
  writeFileSync(join(app, 'index.html'), '<script type="module" src="/main.js"></script>');
  const main = `import { Replica } from 'weftline';\nReplica.open('x').then((replica) => replica.map('m').put('k', 1));`;
  writeFileSync(join(app, 'main.js'), main);
  await build({ root: app, logLevel: 'error', build: { outDir: join(app, 'dist') } });
  const assets = readdirSync(join(app, 'dist/assets'));
  const wasm = assets.filter((file) => file.endsWith('.wasm'));
  const scripts = assets.filter((file) => file.endsWith('.js'));
  expect(wasm.length).toBe(1);
  expect(scripts.length).toBe(1);
  const script = readFileSync(join(app, 'dist/assets', scripts[0]!), 'utf8');
  expect(script).toContain(wasm[0]);
  expect(script).not.toContain('node:fs');
});
