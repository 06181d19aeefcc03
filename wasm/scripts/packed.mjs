// Packs the package and installs it into a temporary folder, which is removed when the process ends.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Where it is installed, and the file that Node takes for `import 'weftline'` there. */
export function packAndInstall() {
  const dir = mkdtempSync(join(tmpdir(), 'weftline-packed-'));
  process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
  const npm = (...args) => execFileSync('npm', args, { cwd: dir, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  writeFileSync(join(dir, 'package.json'), JSON.stringify({ name: 'packed', private: true, type: 'module' }));
  const [{ filename }] = JSON.parse(npm('pack', root, '--json', '--ignore-scripts', '--loglevel=error'));
  npm('install', join(dir, filename), '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error');
  return { dir, entry: createRequire(join(dir, 'package.json')).resolve('weftline') };
}
