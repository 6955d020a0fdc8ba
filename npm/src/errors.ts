// A file that is loaded only when it is needed takes nothing but this one from what pages always load: each other module it
// shares would be cut out into a file of its own, which every page then asks for and which compresses less well.

/** What a {@link TrefoilError} can be about. The README lists what each one means and what to do. */
export type ErrorCode =
  | 'UNSUPPORTED_OP'
  | 'UNSUPPORTED_OPSET'
  | 'BAD_ONNX'
  | 'EXTERNAL_DATA'
  | 'GRAPH_CYCLE'
  | 'BAD_SHAPE'
  | 'MISSING_INITIALIZER'
  | 'BAD_MODEL'
  | 'MODEL_VERSION'
  | 'BAD_IMAGE'
  | 'BAD_OPTION'
  | 'OVERFLOW'
  | 'UNKNOWN_VARIANT'
  | 'OUT_OF_MEMORY'
  | 'ABORTED'
  | 'NOT_WASM'
  | 'NETWORK'
  | 'FILE_NOT_FOUND'
  | 'MISSING_PEER'
  | 'DISPOSED'
  | 'NOT_AVAILABLE'
  | 'INTERNAL';

/** More about an error: the keys depend on its code, for example `option` and `suggestion` for `BAD_OPTION`. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

/** Everything that Trefoil throws, but for the reason of an aborted signal, which is thrown as it is. */
export class TrefoilError extends Error {
  override readonly name = 'TrefoilError';
  /** Stable: programs may depend on it. */
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.details = details;
  }
}

export function badOption(
  option: string,
  message: string,
  details: Record<string, unknown> = {},
): TrefoilError {
  return new TrefoilError('BAD_OPTION', message, { option, ...details });
}

/** What a host (a module's owner, perhaps in a worker) answers: errors are values until they reach the caller. */
export type Reply<T> = { value: T } | { error: { code: ErrorCode; message: string; details?: ErrorDetails } };

export function valueOf<T>(reply: Reply<T>): T {
  if ('error' in reply) throw new TrefoilError(reply.error.code, reply.error.message, reply.error.details);
  return reply.value;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export const disposed = () => new TrefoilError('DISPOSED', 'the model has been disposed of');
