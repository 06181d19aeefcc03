// The service worker: the page opens with no network at all.
//
// Every version of the page is one cache, filled completely before that version is used and never changed afterwards,
// so what is served from it always fits together. A page asks the network first, to see a new version soon; hashed
// assets never change and come from the cache at once. The list itself is not the worker's business: it lives in the
// replica's own database, and the socket to the relay does not pass through here.

declare const self: ServiceWorkerGlobalScope;

/** Put in place of the string by the build, see `vite.config.ts`. */
const precache = '__PRECACHE__' as unknown as { readonly version: string; readonly files: readonly string[] };

const PREFIX = 'weftline-todos-';
const CACHE = PREFIX + precache.version;
/** A network that is there but does not answer must not keep the page from opening. */
const NAVIGATION_TIMEOUT_MS = 3000;

/** The page goes by the address of its folder: some servers redirect from `index.html`, and a redirect cannot be kept. */
const address = (file: string): string => new URL(file === 'index.html' ? './' : file, self.registration.scope).href;
const PAGE = address('index.html');
const assets = new Set(precache.files.map(address));

self.addEventListener('install', (event) => {
  event.waitUntil(
    caches.open(CACHE).then((cache) =>
      // Past the browser's own cache: an old index.html in it would be kept under the new version.
      cache.addAll([...assets].map((url) => new Request(url, { cache: 'reload' }))),
    ),
  );
});

self.addEventListener('activate', (event) => {
  // A new version becomes active when no page of the old one is open any more, so nobody still needs the old caches.
  event.waitUntil(
    Promise.all([
      caches
        .keys()
        .then((names) =>
          Promise.all(names.filter((name) => name.startsWith(PREFIX) && name !== CACHE).map((name) => caches.delete(name))),
        ),
      // The very first page was loaded before there was a worker; from now on it has one.
      self.clients.claim(),
    ]),
  );
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== self.location.origin) return;
  if (request.mode === 'navigate') event.respondWith(networkFirst(request));
  else if (assets.has(url.origin + url.pathname)) event.respondWith(cacheFirst(request, url.origin + url.pathname));
});

/** The page from the network; if that fails or takes too long, the one in the cache, whatever the query says. */
async function networkFirst(request: Request): Promise<Response> {
  const kept = () => caches.match(PAGE, { cacheName: CACHE });
  const attempt = new AbortController();
  const timer = setTimeout(() => attempt.abort(), NAVIGATION_TIMEOUT_MS);
  try {
    const response = await fetch(request, { signal: attempt.signal });
    // A server in front of a stopped one answers with an error page: the kept page is better than that.
    return response.status >= 500 ? ((await kept()) ?? response) : response;
  } catch {
    return (await kept()) ?? Response.error();
  } finally {
    // Once there is an answer it may take its time: to abort now would cut the page off in the middle.
    clearTimeout(timer);
  }
}

async function cacheFirst(request: Request, url: string): Promise<Response> {
  return (await caches.match(url, { cacheName: CACHE })) ?? fetch(request);
}

export {};
