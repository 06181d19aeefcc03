// Prints `name TAB raw TAB gzip TAB brotli` for each script and wasm module below the folder given, by name.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const folder = process.argv[2];
const names = readdirSync(folder, { recursive: true })
  .filter((name) => /\.(js|mjs|wasm)$/.test(name))
  .sort();
for (const name of names) {
  const bytes = readFileSync(join(folder, name));
  const gzip = gzipSync(bytes, { level: 9 });
  const brotli = brotliCompressSync(bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: 11,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  });
  console.log([name, bytes.length, gzip.length, brotli.length].join('\t'));
}
