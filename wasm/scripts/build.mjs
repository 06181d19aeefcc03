// Makes `dist/` from `js/` and from the module in `pkg/`.

import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const at = (...parts) => join(root, ...parts);

if (!existsSync(at('pkg', 'weftline.wasm'))) {
  console.error('pkg/ is missing: run `cargo xtask wasm`, which builds it and then this');
  process.exit(1);
}

rmSync(at('dist'), { recursive: true, force: true });
const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');
const compiled = spawnSync(process.execPath, [tsc, '-p', at('tsconfig.build.json')], { stdio: 'inherit' });
if (compiled.status !== 0) process.exit(1);
cpSync(at('pkg', 'weftline.wasm'), at('dist', 'weftline.wasm'));
for (const file of ['LICENSE-MIT', 'LICENSE-APACHE']) if (existsSync(at('..', file))) cpSync(at('..', file), at('dist', file));
