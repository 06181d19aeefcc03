// There is one engine module in a page or a process: whoever needs it first loads it, the others wait.

import { start } from './module.js';

/** Makes a function that starts the engine once. A failed attempt does not stand in the way of the next. */
export function once(compile: () => Promise<WebAssembly.Module>): () => Promise<void> {
  let loading: Promise<void> | undefined;
  return () =>
    (loading ??= compile().then(
      start,
      (error: unknown) => {
        loading = undefined;
        throw error;
      },
    ));
}
