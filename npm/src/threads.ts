// The threads that help the one which runs a model.
import { startThread } from '#platform/threads.js';

/** What a thread's worker is told. */
export interface ThreadStart {
  wasm: WebAssembly.Module;
  memory: WebAssembly.Memory;
  /** A function in the module's table, and what it takes (bindings/thread_entry.h). */
  entry: number;
  stack: number;
  thread: number;
}

/** A worker as the platform starts it. */
export interface StartedThread {
  begin(start: ThreadStart): void;
  /** Whether it has begun; false where its script could not be loaded or failed. */
  ready: Promise<boolean>;
  terminate(): void;
}

const patience = 10_000; // milliseconds

/** The helpers of one instance: asked for early, since a worker takes a while to start, and put to work later. */
export class Threads {
  readonly #started: StartedThread[] = [];
  /** How many have begun, once that is known of all. */
  begun: Promise<number> = Promise.resolve(0);

  /** Where workers can't be started there are fewer; the work gets done without them. */
  constructor(count: number) {
    try {
      for (let i = 0; i < count; ++i) this.#started.push(startThread());
    } catch {
      // The platform has no workers here, or no more of them.
    }
  }

  /** startOf: what thread 1, 2, ... is told. */
  begin(startOf: (thread: number) => ThreadStart): void {
    const waiting = this.#started.map(async (started, i) => {
      started.begin(startOf(i + 1));
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise<boolean>((resolve) => (timer = setTimeout(resolve, patience, false)));
      const began = await Promise.race([started.ready, late]);
      clearTimeout(timer);
      return began;
    });
    this.begun = Promise.all(waiting).then((began) => began.filter(Boolean).length);
  }

  terminate(): void {
    for (const started of this.#started.splice(0)) started.terminate();
  }
}
