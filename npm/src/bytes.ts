// Reading a whole file from wherever it is, with progress and cancelling.
import { openFile } from '#platform/files.js';

import { abortable } from './abort.js';
import { TrefoilError, messageOf } from './errors.js';
import type { ModelSource } from './types.js';

export interface ReadOptions {
  signal?: AbortSignal | undefined;
  /** Bytes so far and in all, where that is known. */
  onBytes?: (loaded: number, total: number | undefined) => void;
}

export type Chunks = AsyncIterable<Uint8Array>;

/** A web stream as an iterable, whose end can be asked for while a read is under way. */
function chunksOfStream(stream: ReadableStream<unknown>, address?: string): Chunks {
  const reader = stream.getReader();
  const next = async (): Promise<IteratorResult<Uint8Array>> => {
    try {
      const { done, value } = await reader.read();
      return done ? { done, value: undefined } : { done, value: value as Uint8Array };
    } catch (error) {
      if (address === undefined) throw error;
      throw new TrefoilError('NETWORK', `${address}: ${messageOf(error)}`, { url: address }, error);
    }
  };
  const cancel = async (): Promise<IteratorResult<Uint8Array>> => {
    await reader.cancel();
    return { done: true, value: undefined };
  };
  return { [Symbol.asyncIterator]: () => ({ next, return: cancel }) };
}

/** Bytes of a source as they come: as many as are asked for, and later the others. */
export class ByteReader {
  readonly total: number | undefined;
  readonly #iterator: AsyncIterator<Uint8Array>;
  readonly #options: ReadOptions;
  #parts: Uint8Array<ArrayBuffer>[] = [];
  #loaded = 0;
  #ended = false;

  constructor(chunks: Chunks, total: number | undefined, options: ReadOptions) {
    this.#iterator = chunks[Symbol.asyncIterator]();
    this.total = total;
    this.#options = options;
  }

  static of(bytes: Uint8Array<ArrayBuffer>): ByteReader {
    const none = { [Symbol.asyncIterator]: () => ({ next: async () => ({ done: true, value: undefined }) }) };
    const reader = new ByteReader(none as Chunks, bytes.length, {});
    reader.#parts = [bytes];
    reader.#loaded = bytes.length;
    return reader;
  }

  /** All bytes so far, once there are `count` of them or the source has ended. */
  async read(count: number): Promise<Uint8Array<ArrayBuffer>> {
    const { signal, onBytes } = this.#options;
    try {
      while (!this.#ended && this.#loaded < count) {
        const { done, value } = await abortable(this.#iterator.next(), signal);
        if (done) {
          this.#ended = true;
          break;
        }
        if (!(value instanceof Uint8Array)) {
          throw new TrefoilError('BAD_OPTION', 'the stream gives something that is not bytes (Uint8Array)');
        }
        this.#parts.push(value as Uint8Array<ArrayBuffer>);
        this.#loaded += value.length;
        onBytes?.(this.#loaded, this.total);
      }
    } catch (error) {
      this.cancel();
      signal?.throwIfAborted();
      throw error;
    }
    return this.#joined();
  }

  /** Tells the source that the rest is not wanted. Not waited for: it may be busy with a read that was given up. */
  cancel(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#iterator.return?.().catch(() => undefined);
  }

  #joined(): Uint8Array<ArrayBuffer> {
    if (this.#parts.length === 1) return this.#parts[0]!;
    const bytes = new Uint8Array(this.#loaded);
    let offset = 0;
    for (const part of this.#parts) {
      bytes.set(part, offset);
      offset += part.length;
    }
    this.#parts = [bytes];
    return bytes;
  }
}

export async function fetchOk(request: URL | string | Request, signal?: AbortSignal): Promise<Response> {
  const address = request instanceof Request ? request.url : String(request);
  let response: Response;
  try {
    response = await fetch(request, signal ? { signal } : {});
  } catch (error) {
    signal?.throwIfAborted();
    throw new TrefoilError('NETWORK', `${address}: ${messageOf(error)}`, { url: address }, error);
  }
  return checkResponse(response, address);
}

function checkResponse(response: Response, address: string): Response {
  if (response.ok) return response;
  throw new TrefoilError(
    'NETWORK',
    `${address}: the server answered ${response.status} ${response.statusText}`.trim(),
    {
      url: address,
      status: response.status,
    },
  );
}

async function responseReader(response: Response, options: ReadOptions): Promise<ByteReader> {
  const address = response.url || 'the response';
  checkResponse(response, address);
  if (response.bodyUsed)
    throw new TrefoilError('BAD_OPTION', 'the body of this Response has been read already');
  if (!response.body) return ByteReader.of(new Uint8Array(await response.arrayBuffer()));
  // A compressed transfer states the length of what travels, not of what arrives.
  const encoded = response.headers.get('content-encoding');
  const length = Number(response.headers.get('content-length'));
  return new ByteReader(
    chunksOfStream(response.body, address),
    !encoded && length > 0 ? length : undefined,
    options,
  );
}

function isAsyncIterable(value: unknown): value is Chunks {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}

/** Opens a source. Errors, here and at reading: NETWORK, FILE_NOT_FOUND, BAD_OPTION; the signal's reason. */
export async function openBytes(
  source: ModelSource,
  what: string,
  options: ReadOptions = {},
): Promise<ByteReader> {
  options.signal?.throwIfAborted();
  if (source instanceof Uint8Array) {
    return ByteReader.of(
      source.buffer instanceof ArrayBuffer ? (source as Uint8Array<ArrayBuffer>) : source.slice(),
    );
  }
  if (source instanceof ArrayBuffer) return ByteReader.of(new Uint8Array(source));
  if (typeof source === 'string' || source instanceof URL) {
    const file = await openFile(source);
    if (file) return new ByteReader(file.chunks, file.size, options);
    return responseReader(await fetchOk(source, options.signal), options);
  }
  if (source instanceof Request) return responseReader(await fetchOk(source, options.signal), options);
  if (source instanceof Response) return responseReader(source, options);
  if (source instanceof Blob) return new ByteReader(chunksOfStream(source.stream()), source.size, options);
  if (source instanceof ReadableStream) return new ByteReader(chunksOfStream(source), undefined, options);
  if (isAsyncIterable(source)) return new ByteReader(source, undefined, options);
  throw new TrefoilError(
    'BAD_OPTION',
    `${what} must be an address, a Request, a Response, a Blob, bytes or a stream, not ${describe(source)}`,
  );
}

/** Reads a source to its end. */
export async function readBytes(
  source: ModelSource,
  what: string,
  options: ReadOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  return (await openBytes(source, what, options)).read(Infinity);
}

export function describe(value: unknown): string {
  if (value === null || typeof value !== 'object')
    return typeof value === 'string' ? `'${value}'` : String(value);
  return `an object of type ${value.constructor?.name ?? 'Object'}`;
}

/** An HTML page where a file was expected: what servers send for a wrong address. */
export function looksLikeHtml(bytes: Uint8Array): boolean {
  const start = new TextDecoder().decode(bytes.subarray(0, 512)).trimStart().toLowerCase();
  return start.startsWith('<!doctype html') || start.startsWith('<html') || start.startsWith('<head');
}

/** Throws where a model's bytes are an HTML page. */
export function checkNotHtml(bytes: Uint8Array, source: ModelSource, code: 'BAD_MODEL' | 'BAD_ONNX'): void {
  if (!looksLikeHtml(bytes)) return;
  const address = typeof source === 'string' || source instanceof URL ? String(source) : 'the source';
  throw new TrefoilError(
    code,
    `got an HTML page from ${address}, not a model: is it the server's 404 page?`,
    {
      url: address,
    },
  );
}
