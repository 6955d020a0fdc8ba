// What the two hosts share: a host owns an instance of a module, in a worker or on the caller's own thread.
import { nextTask } from '#platform/next-task.js';
import { pixelsOf } from '#platform/pixels.js';

import type { Engine } from './engine.js';
import { TrefoilError, messageOf, type Reply } from './errors.js';
import type { HostImage, RawImage } from './pixels.js';

/** How long work that may be ended goes on before it looks: the layer during which that is over is the last one. */
const sliceMilliseconds = 5;

/** Nobody waits for this answer. */
export const stopped: Reply<never> = { error: { code: 'ABORTED', message: 'the call was stopped' } };

/** Runs `work`, and turns what it throws into a reply. */
export async function replying<T>(work: () => Promise<Reply<T>> | Reply<T>): Promise<Reply<T>> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof TrefoilError) {
      return { error: { code: error.code, message: error.message, details: error.details } };
    }
    return { error: { code: 'INTERNAL', message: messageOf(error) } };
  }
}

export function toPixels(image: HostImage): RawImage {
  try {
    return pixelsOf(image);
  } catch (error) {
    if (error instanceof TrefoilError) throw error;
    throw new TrefoilError('BAD_IMAGE', `the pixels of this image can't be read (${messageOf(error)})`);
  }
}

/** Work that a module does in portions. */
export interface Portions<Module, T> {
  begin: (module: Module) => Reply<unknown>;
  /** Goes on for some milliseconds; undefined while there is more to do. */
  advance: (module: Module, milliseconds: number) => Reply<T | undefined>;
}

export abstract class ModuleHost<Module> {
  protected engine: Engine<Module> | undefined;
  readonly #what: string;
  /** The last call for the network, which does one thing at a time. */
  #turn: Promise<unknown> = Promise.resolve();
  /** Of calls that are under way and still wanted. */
  readonly #tickets = new Set<number>();

  /** what: it is disposed of with the host. */
  protected constructor(what: string) {
    this.#what = what;
  }

  /** Ends the call with this ticket, between two layers, if it is not over yet. */
  stop(ticket: number): Promise<Reply<undefined>> {
    this.#tickets.delete(ticket);
    return Promise.resolve({ value: undefined });
  }

  protected withModule<T>(work: (module: Module) => Reply<T>): Reply<T> {
    const engine = this.engine;
    if (!engine) return { error: { code: 'DISPOSED', message: `the ${this.#what} has been disposed of` } };
    return engine.call(work);
  }

  /** Work on the network, after what was asked for before. */
  protected inTurn<T>(work: () => Promise<Reply<T>> | Reply<T>): Promise<Reply<T>> {
    const reply = this.#turn.then(() => replying(work));
    this.#turn = reply;
    return reply;
  }

  /** wanted: false once the call has been stopped. */
  protected async ticketed<T>(
    ticket: number,
    work: (wanted: () => boolean) => Promise<Reply<T>>,
  ): Promise<Reply<T>> {
    if (ticket) this.#tickets.add(ticket);
    const reply = await replying(() => work(() => !ticket || this.#tickets.has(ticket)));
    this.#tickets.delete(ticket);
    return reply;
  }

  /** A run of the network, which others wait for. */
  protected running<T>(ticket: number, portions: Portions<Module, T>): Promise<Reply<T>> {
    return this.ticketed(ticket, (wanted) =>
      this.inTurn(() => this.inPortions(ticket > 0, wanted, portions)),
    );
  }

  /** All at once, or in slices, so that word of its end gets through and other tasks have their turn. */
  protected async inPortions<T>(
    sliced: boolean,
    wanted: () => boolean,
    { begin, advance }: Portions<Module, T>,
  ): Promise<Reply<T>> {
    if (!wanted()) return stopped;
    const begun = this.withModule(begin);
    if ('error' in begun) return begun;
    const engine = this.engine;
    for (;;) {
      // Disposed of meanwhile; the instance may have another model now.
      if (this.engine !== engine) return this.withModule(() => stopped);
      const reply = this.withModule((module) => advance(module, sliced ? sliceMilliseconds : Infinity));
      if ('error' in reply) return reply;
      if (reply.value !== undefined) return { value: reply.value };
      await nextTask();
      if (!wanted()) return stopped;
    }
  }
}
