// The WebAssembly module itself: how bytes get into its memory and out of it. The other half is `src/door.rs`.

interface Exports {
  readonly memory: WebAssembly.Memory;
  /** Makes room for the arguments of the next call; gives the address. */
  reserve(length: number): number;
  /** Makes an engine of the random bytes reserved for; gives its number. */
  create(): number;
  /** Gives the address of the reply, which is there until the next call. */
  call(engine: number, command: number, now: number): number;
  reply_len(): number;
  destroy(engine: number): void;
}

let wasm: Exports;

/** Starts the module: once, before anything else here. It needs nothing from JavaScript. */
export function start(module: WebAssembly.Module): void {
  wasm = new WebAssembly.Instance(module).exports as unknown as Exports;
}

function put(bytes: Uint8Array): void {
  // Reserving may move the memory, so it is looked up afterwards.
  const address = wasm.reserve(bytes.length);
  new Uint8Array(wasm.memory.buffer, address).set(bytes);
}

/** Makes an engine; gives its number. */
export function create(entropy: Uint8Array): number {
  put(entropy);
  return wasm.create();
}

/** Asks an engine for something; gives the reply. */
export function call(engine: number, command: number, now: number, args: Uint8Array): Uint8Array {
  put(args);
  const address = wasm.call(engine, command, now);
  return new Uint8Array(wasm.memory.buffer, address, wasm.reply_len()).slice();
}

/** Ends an engine. */
export function destroy(engine: number): void {
  wasm.destroy(engine);
}
