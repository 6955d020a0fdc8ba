// The camera: one frame after the other is classified, as fast as the network goes.
import type { Prediction } from 'trefoil';

import { element, show } from './ui.js';

type Classify = (video: HTMLVideoElement) => Promise<Prediction[]>;

let stream: MediaStream | undefined;

export function stopCamera(): void {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = undefined;
  element<HTMLVideoElement>('video').srcObject = null;
  for (const id of ['camera', 'camera-stop']) show(id, false);
  show('camera-start', true);
}

function explain(error: unknown): Error {
  const name = error instanceof Error ? error.name : '';
  const reasons: Record<string, string> = {
    NotAllowedError:
      'The camera was not allowed. The browser asks again once its setting for this page is changed.',
    NotFoundError: 'This machine has no camera.',
    NotReadableError: 'Another program uses the camera.',
  };
  const reason = reasons[name];
  return reason ? new Error(reason) : error instanceof Error ? error : new Error(String(error));
}

/** Runs until stopCamera(), or until the camera ends. */
export async function startCamera(classify: Classify): Promise<void> {
  if (!('mediaDevices' in navigator)) {
    throw new Error('A camera needs a page that is served safely (https, or localhost).');
  }
  const own = await navigator.mediaDevices
    .getUserMedia({ video: { facingMode: 'environment', width: { ideal: 640 } } })
    .catch((error: unknown) => {
      throw explain(error);
    });
  stream = own;
  const video = element<HTMLVideoElement>('video');
  video.srcObject = own;
  show('camera', true);
  show('camera-start', false);
  show('camera-stop', true);
  await video.play();
  const recent: number[] = [];
  try {
    while (stream === own && own.active) {
      const [best] = await classify(video);
      recent.push(performance.now());
      if (recent.length > 20) recent.shift();
      element('camera-label').textContent = `${best!.label}, ${(100 * best!.score).toFixed(0)}%`;
      const seconds = (recent.at(-1)! - recent[0]!) / 1000;
      if (seconds > 0) {
        element('camera-rate').textContent = `${((recent.length - 1) / seconds).toFixed(1)} frames a second`;
      }
      // Drawing comes first, and a hidden page rests.
      await new Promise((resolve) => requestAnimationFrame(resolve));
    }
  } catch (error) {
    if (stream === own) throw error;
  }
}
