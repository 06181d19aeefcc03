// Loads the engine in browsers: by its address beside this file. Bundlers find the file by this expression.

import { once } from './once.js';

/** Resolves when the engine can be used. */
export const loadEngine = once(async () => {
  const response = await fetch(new URL('./weftline.wasm', import.meta.url));
  if (!response.ok) throw new Error(`${response.url}: ${response.status}`);
  // Compiling while it arrives needs a server that knows the type of the file; without one it takes a moment longer.
  return WebAssembly.compileStreaming(response.clone()).catch(async () => WebAssembly.compile(await response.arrayBuffer()));
});
