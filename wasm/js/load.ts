// Loads the engine in browsers: by its address beside this file, streaming. Bundlers find the file by this expression.

import init from './weftline_wasm.js';

let loading: Promise<unknown> | undefined;

/** Resolves when the engine can be used. Fetches it once; a failed attempt does not stand in the way of the next. */
export function loadEngine(): Promise<unknown> {
  loading ??= init({ module_or_path: new URL('./weftline_wasm_bg.wasm', import.meta.url) }).catch((error: unknown) => {
    loading = undefined;
    throw error;
  });
  return loading;
}
