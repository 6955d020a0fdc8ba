// A seat in a page.
import './memories.mjs';

import { Seat } from './seat.mjs';

const caching = new URLSearchParams(location.search).has('cache');

async function read(path) {
  if (!caching) return new Uint8Array(await (await fetch(`/${path}`)).arrayBuffer());
  // The way of a page that keeps its model on the visitor's machine.
  const cache = await caches.open('models');
  let response = await cache.match(`/${path}`);
  if (!response) {
    response = await fetch(`/${path}`);
    await cache.put(`/${path}`, response.clone());
  }
  return new Uint8Array(await response.arrayBuffer());
}

window.seat = new Seat({ read, asset: (path) => `/node_modules/${path}` });
