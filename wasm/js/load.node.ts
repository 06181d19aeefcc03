// Loads the engine in Node, which does not fetch `file:` addresses: by reading the file beside this one.

import { readFile } from 'node:fs/promises';
import init from './weftline_wasm.js';

let loading: Promise<unknown> | undefined;

/** Resolves when the engine can be used. Reads it once; a failed attempt does not stand in the way of the next. */
export function loadEngine(): Promise<unknown> {
  loading ??= readFile(new URL('./weftline_wasm_bg.wasm', import.meta.url))
    .then((bytes) => init({ module_or_path: bytes }))
    .catch((error: unknown) => {
      loading = undefined;
      throw error;
    });
  return loading;
}
