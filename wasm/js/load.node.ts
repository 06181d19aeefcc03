// Loads the engine in Node, which does not fetch `file:` addresses: by reading the file beside this one.

import { readFile } from 'node:fs/promises';
import { once } from './once.js';

/** Resolves when the engine can be used. */
export const loadEngine = once(async () => WebAssembly.compile(await readFile(new URL('./weftline.wasm', import.meta.url))));
