// After the first visit the page works without a network: a service worker keeps its files.
import { show } from './ui.js';

export async function workOffline(): Promise<void> {
  // In development, files change under the page.
  if (!import.meta.env.PROD || !('serviceWorker' in navigator)) return;
  try {
    await navigator.serviceWorker.register('./sw.js');
    await navigator.serviceWorker.ready;
    show('offline', true);
  } catch {
    // Not served safely, or storage is forbidden: the page works, with a network.
  }
}
