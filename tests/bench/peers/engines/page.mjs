// A seat in a page.
import './memories.mjs';

import { Seat } from './seat.mjs';

const parameters = new URLSearchParams(location.search);
/** What to open at once, as a page does by itself; then models are kept on the visitor's machine. */
const opening = parameters.get('open');
const caching = opening !== null;

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

window.seat = new Seat({
  read,
  asset: (path) => `/node_modules/${path}`,
  ...(caching && { address: (path) => `/${path}` }),
});

/** Milliseconds from opening the page to its first answer. */
async function firstAnswer() {
  const [{ logits }] = await window.seat.open(JSON.parse(opening));
  logits.indexOf(Math.max(...logits));
  return performance.now();
}
if (caching) window.first = firstAnswer();
