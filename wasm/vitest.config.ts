// The tests run on the package as users get it: packed, then installed into a folder of its own.

import { defineConfig } from 'vitest/config';
import { packAndInstall } from './scripts/packed.mjs';

const packed = packAndInstall();

export default defineConfig({
  resolve: { alias: { weftline: packed.entry } },
  test: {
    include: ['test/**/*.test.ts'],
    env: { WEFTLINE_PACKED: packed.dir },
    testTimeout: 20_000,
    hookTimeout: 20_000,
  },
});
