import { TrefoilError } from './errors.js';
import type { OnProgress, Progress } from './types.js';

/** Settles as `work` does, or at once when the signal aborts; the work itself goes on unseen. */
export function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  return new Promise<T>((resolve, reject) => {
    const abort = () => reject(signal.reason as Error);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/** Hands progress on, with a fraction that never falls, and turns `false` from the listener into an error. */
export class Reporter {
  #fraction = 0;
  readonly #listener: OnProgress | undefined;
  readonly #signal: AbortSignal | undefined;

  constructor(listener: OnProgress | undefined, signal: AbortSignal | undefined) {
    this.#listener = listener;
    this.#signal = signal;
  }

  /** Throws where the task was cancelled. */
  report(progress: Omit<Progress, 'layer'> & { layer?: string }): void {
    this.#signal?.throwIfAborted();
    this.#fraction = Math.max(this.#fraction, Math.min(1, progress.fraction));
    const wanted = this.#listener?.({ layer: '', ...progress, fraction: this.#fraction });
    this.#signal?.throwIfAborted();
    if (wanted === false) throw new TrefoilError('ABORTED', 'cancelled by onProgress');
  }
}
