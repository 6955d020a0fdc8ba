// Several workers with the same host in each: a call goes to one that is free, or waits its turn.
import { TrefoilError, disposed } from './errors.js';
import type { Link, Use } from './link.js';

interface Turn<Host> {
  take(link: Link<Host>): void;
  refuse(error: unknown): void;
}

const allFailed = () =>
  new TrefoilError('NOT_AVAILABLE', 'all workers of the model have failed; load it again', { worker: true });

export class PoolLink<Host> implements Link<Host> {
  readonly inWorker = true;
  readonly #links: Set<Link<Host>>;
  readonly #free: Link<Host>[];
  /** Calls that wait for a worker, in the order in which they came. */
  readonly #turns: Turn<Host>[] = [];
  #closed = false;

  constructor(links: readonly Link<Host>[]) {
    this.#links = new Set(links);
    this.#free = [...links];
  }

  get size(): number {
    return this.#links.size;
  }

  get ended(): boolean {
    return this.#closed || this.#links.size === 0;
  }

  async call<T>(use: Use<Host, T>, signal?: AbortSignal): Promise<T> {
    const link = await this.#next(signal);
    try {
      return await link.call(use, signal);
    } finally {
      this.#release(link);
    }
  }

  /** Whoever fails where another one succeeds has to leave: all that stay are in the same state. */
  async callEach<T>(use: Use<Host, T>): Promise<T> {
    const links = [...this.#links];
    const settled = await Promise.allSettled(links.map((link) => link.call(use)));
    const answer = settled.find((result) => result.status === 'fulfilled');
    if (!answer) throw settled[0]?.status === 'rejected' ? settled[0].reason : allFailed();
    for (const [i, { status }] of settled.entries()) if (status === 'rejected') links[i]!.close();
    return answer.value;
  }

  close(): void {
    this.#closed = true;
    for (const link of this.#links) link.close();
    for (const turn of this.#turns.splice(0)) turn.refuse(disposed());
  }

  #next(signal: AbortSignal | undefined): Promise<Link<Host>> {
    if (this.#closed) return Promise.reject(disposed());
    signal?.throwIfAborted();
    for (let link = this.#free.shift(); link; link = this.#free.shift()) {
      if (!link.ended) return Promise.resolve(link);
      this.#drop(link);
    }
    if (this.#links.size === 0) return Promise.reject(allFailed());
    return new Promise((resolve, reject) => {
      const turn: Turn<Host> = {
        take(free) {
          signal?.removeEventListener('abort', abort);
          resolve(free);
        },
        refuse(error) {
          signal?.removeEventListener('abort', abort);
          reject(error as Error);
        },
      };
      // A call that is given up while it waits costs no worker any time.
      const abort = () => {
        this.#turns.splice(this.#turns.indexOf(turn), 1);
        turn.refuse(signal?.reason);
      };
      signal?.addEventListener('abort', abort, { once: true });
      this.#turns.push(turn);
    });
  }

  #release(link: Link<Host>): void {
    if (this.#closed) return;
    if (link.ended) {
      this.#drop(link);
      if (this.#links.size > 0) return;
      for (const turn of this.#turns.splice(0)) turn.refuse(allFailed());
      return;
    }
    const turn = this.#turns.shift();
    if (turn) turn.take(link);
    else this.#free.push(link);
  }

  #drop(link: Link<Host>): void {
    this.#links.delete(link);
    link.close();
  }
}

/** A pool of a link and of `count` more; where one of them can't be had, all are closed. */
export async function poolWith<Host>(
  first: Link<Host>,
  count: number,
  open: () => Promise<Link<Host>>,
): Promise<PoolLink<Host>> {
  const results = await Promise.allSettled([Promise.resolve(first), ...Array.from({ length: count }, open)]);
  const links = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const failed = results.find((result) => result.status === 'rejected');
  if (!failed) return new PoolLink(links);
  for (const link of links) link.close();
  throw failed.reason;
}
