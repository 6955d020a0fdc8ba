// The way to a host: in a worker through comlink, or on the caller's own thread. Calls look the same on both.
import { releaseProxy, transfer, wrap, type Endpoint, type Remote } from 'comlink';

import { TrefoilError, disposed, valueOf, type Reply } from './errors.js';

/** A worker as the platform starts it. */
export interface StartedWorker {
  endpoint: Endpoint;
  /** Called once at most: the worker could not be loaded, or failed. */
  onFailure(listener: (message: string) => void): void;
  /** Whether the worker keeps the process running (Node). */
  keepAlive(busy: boolean): void;
  terminate(): void;
}

type Method = (...args: never[]) => Promise<Reply<unknown>>;

/** The methods of a host, all of which answer with a promise of a Reply. */
export type Calls<Host> = {
  [Name in keyof Host as Host[Name] extends Method ? Name : never]: Host[Name];
};

/**
 * Calls a host. The ticket is for calls that the host can end halfway: a number of its own where there is a signal,
 * else 0.
 */
export type Use<Host, T> = (host: Calls<Host>, ticket: number) => Promise<Reply<T>>;

interface Stoppable {
  /** Ends the call with this ticket, should it still be under way. */
  stop?(ticket: number): Promise<unknown>;
}

export interface Link<Host> {
  readonly inWorker: boolean;
  /** Whether it was closed, or its worker failed: it answers no more. */
  readonly ended: boolean;
  /** Settles with the host's answer, with the signal's reason, or with what ended the link. */
  call<T>(use: Use<Host, T>, signal?: AbortSignal): Promise<T>;
  /** Calls every host behind the link, and settles with the first one's answer. */
  callEach<T>(use: Use<Host, T>): Promise<T>;
  /** Ends all calls under way with DISPOSED. */
  close(): void;
}

/** Calls that have not been answered yet, so that all of them can be ended. */
class Pending<Host> {
  readonly #host: Calls<Host>;
  readonly #rejecters = new Set<(error: unknown) => void>();
  #over: (() => unknown) | undefined;
  #tickets = 0;

  constructor(host: unknown) {
    this.#host = host as Calls<Host>;
  }

  get count(): number {
    return this.#rejecters.size;
  }

  get over(): boolean {
    return this.#over !== undefined;
  }

  end(reason: () => unknown): void {
    this.#over ??= reason;
    for (const reject of [...this.#rejecters]) reject(this.#over());
  }

  run<T>(use: Use<Host, T>, signal: AbortSignal | undefined, settled: () => void): Promise<T> {
    const host = this.#host;
    const ticket = signal ? ++this.#tickets : 0;
    return new Promise<T>((resolve, reject) => {
      if (this.#over) throw this.#over();
      signal?.throwIfAborted();
      const abort = () => {
        finish(() => reject(signal?.reason as Error));
        void (host as Stoppable).stop?.(ticket).catch(() => undefined);
      };
      const fail = (error: unknown) => finish(() => reject(error as Error));
      const finish = (settle: () => void) => {
        if (!this.#rejecters.delete(fail)) return;
        signal?.removeEventListener('abort', abort);
        settle();
        settled();
      };
      this.#rejecters.add(fail);
      signal?.addEventListener('abort', abort, { once: true });
      use(host, ticket).then(
        (reply) => finish(() => ('error' in reply ? fails(reply, reject) : resolve(reply.value))),
        fail,
      );
    });
  }
}

function fails(reply: Reply<unknown>, reject: (error: unknown) => void): void {
  try {
    valueOf(reply);
  } catch (error) {
    reject(error);
  }
}

export class LocalLink<Host extends { close(): void }> implements Link<Host> {
  readonly inWorker = false;
  readonly #host: Host;
  readonly #pending: Pending<Host>;

  constructor(host: Host) {
    this.#host = host;
    this.#pending = new Pending(host);
  }

  get ended(): boolean {
    return this.#pending.over;
  }

  call<T>(use: Use<Host, T>, signal?: AbortSignal): Promise<T> {
    return this.#pending.run(use, signal, () => undefined);
  }

  callEach<T>(use: Use<Host, T>): Promise<T> {
    return this.call(use);
  }

  close(): void {
    this.#pending.end(disposed);
    this.#host.close();
  }
}

export class WorkerLink<Host> implements Link<Host> {
  readonly inWorker = true;
  readonly #worker: StartedWorker;
  readonly #remote: Remote<Host>;
  readonly #pending: Pending<Host>;
  #closed = false;

  constructor(worker: StartedWorker) {
    this.#worker = worker;
    this.#remote = wrap<Host>(worker.endpoint);
    const pending = (this.#pending = new Pending<Host>(this.#remote));
    worker.onFailure((message) => {
      pending.end(() => new TrefoilError('NOT_AVAILABLE', `the worker failed: ${message}`, { worker: true }));
      worker.terminate();
    });
    worker.keepAlive(false);
  }

  get ended(): boolean {
    return this.#pending.over;
  }

  call<T>(use: Use<Host, T>, signal?: AbortSignal): Promise<T> {
    const idle = () => this.#worker.keepAlive(this.#pending.count > 0);
    this.#worker.keepAlive(true);
    return this.#pending.run(use, signal, idle);
  }

  callEach<T>(use: Use<Host, T>): Promise<T> {
    return this.call(use);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#pending.end(disposed);
    (this.#remote as unknown as { [releaseProxy](): void })[releaseProxy]();
    this.#worker.terminate();
  }
}

/** Marks what of an argument is handed over instead of copied; without a worker there is no difference. */
export function handOver<T extends object>(value: T, items: Transferable[]): T {
  return items.length > 0 ? transfer(value, items) : value;
}
