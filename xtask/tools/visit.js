// Opens the bundled minimal app in two browser profiles, one after the other: `visit.js DIST RELAY_URL`, the browser in CHROMIUM.
//
// Each visit adds one to a counter, so the second profile can only show 2 if the first edit came to it through the relay.
import { chromium } from 'playwright-core';
import { preview } from 'vite';

const [dist, relay] = process.argv.slice(2);
const server = await preview({
  configFile: false,
  logLevel: 'error',
  build: { outDir: dist },
  preview: { host: '127.0.0.1', port: 0 },
});
const browser = await chromium.launch({
  executablePath: process.env['CHROMIUM'],
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
try {
  for (const visit of [1, 2]) {
    const context = await browser.newContext();
    const page = await context.newPage();
    page.on('pageerror', (error) => console.error(error));
    page.on('console', (message) => console.error(message.text()));
    await page.goto(`${server.resolvedUrls.local[0]}?relay=${encodeURIComponent(relay)}`);
    await page.waitForFunction((title) => document.title === title, `visit ${visit}`, { timeout: 20_000 });
    await context.close();
    console.log(`visit ${visit}: the replica opened and synced`);
  }
} finally {
  await browser.close();
  await server.close();
}
