// Opening a link to a host: in a worker where one is wanted and works, else on the caller's own thread.
import { TrefoilError } from './errors.js';
import { LocalLink, WorkerLink, type Link, type StartedWorker } from './link.js';
import { checkBoolean } from './options.js';

export interface LinkChoice<Host> {
  /** The caller's wish: true insists, undefined leaves the choice to the platform. */
  worker: boolean | undefined;
  byDefault: boolean;
  start: () => StartedWorker;
  /** The host for the caller's own thread: loaded only when it is needed. */
  local: () => Promise<Host>;
}

function noWorker(error: unknown): TrefoilError {
  const message = error instanceof Error ? error.message : String(error);
  return new TrefoilError(
    'NOT_AVAILABLE',
    `a worker can't be started here: ${message}`,
    { worker: true },
    error,
  );
}

/** Whether a first call failed because of the worker, and not because of what it was asked to do. */
function isWorkerFailure(error: unknown): boolean {
  return error instanceof TrefoilError && error.code === 'NOT_AVAILABLE' && error.details['worker'] === true;
}

/**
 * Opens a link and makes its first call. Where nobody insisted on a worker and none can be started (scripts from another
 * origin, a policy), the work is done on the caller's thread.
 */
export async function openLink<Host extends { close(): void }, T>(
  choice: LinkChoice<Host>,
  first: (link: Link<Host>) => Promise<T>,
): Promise<{ link: Link<Host>; value: T }> {
  const wanted = choice.worker === undefined ? undefined : checkBoolean(choice.worker, 'worker');
  if (wanted ?? choice.byDefault) {
    try {
      return await opened(startLink(choice), first);
    } catch (error) {
      if (wanted === true || !isWorkerFailure(error)) throw error;
    }
  }
  return opened(new LocalLink<Host>(await choice.local()), first);
}

function startLink<Host>(choice: LinkChoice<Host>): Link<Host> {
  try {
    return new WorkerLink<Host>(choice.start());
  } catch (error) {
    throw noWorker(error);
  }
}

async function opened<Host, T>(
  link: Link<Host>,
  first: (link: Link<Host>) => Promise<T>,
): Promise<{ link: Link<Host>; value: T }> {
  try {
    return { link, value: await first(link) };
  } catch (error) {
    link.close();
    throw error;
  }
}
