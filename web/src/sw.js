// The service worker: keeps every file of this build, and answers from what it keeps; some files it keeps only once they
// have been asked for. The build fills in the lists.
const files = self.TREFOIL_FILES;
const onDemand = new Set(self.TREFOIL_ON_DEMAND.map((name) => new URL(name, location.href).href));
const cacheName = `trefoil-page-${self.TREFOIL_BUILD}`;

self.addEventListener('install', (event) => {
  const keep = async () => {
    const cache = await caches.open(cacheName);
    await cache.addAll(files);
    await self.skipWaiting();
  };
  event.waitUntil(keep());
});

self.addEventListener('activate', (event) => {
  const forget = async () => {
    const old = (await caches.keys()).filter(
      (name) => name.startsWith('trefoil-page-') && name !== cacheName,
    );
    await Promise.all(old.map((name) => caches.delete(name)));
    await self.clients.claim();
  };
  event.waitUntil(forget());
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method !== 'GET' || new URL(request.url).origin !== location.origin) return;
  const answer = async () => {
    const cache = await caches.open(cacheName);
    // Settings in the address are the page's own matter.
    const kept = await cache.match(request, { ignoreSearch: request.mode === 'navigate' });
    if (kept) return kept;
    const fetched = await fetch(request);
    if (fetched.ok && onDemand.has(request.url)) {
      // Where there is no room for it, it is fetched again next time.
      await cache.put(request, fetched.clone()).catch(() => undefined);
    }
    return fetched;
  };
  event.respondWith(answer());
});
