/**
 * The two kinds of Error that the code throws on purpose.
 *
 * A call that fails is neither: it is a Failure, a plain value (failure.ts).
 */

/** Bytes that make no sense. Thrown by codecs, caught by the connection, which counts it and closes. */
export class ProtocolError extends Error {
  /** Offset in bytes from the start of the frame at which the bytes stopped making sense; -1 if unknown. */
  readonly offset: number;

  constructor(message: string, offset = -1) {
    super(message);
    this.name = 'ProtocolError';
    this.offset = offset;
  }
}

/** A control-plane operation that cannot be done. The message states the key and the value. */
export class AgentError extends Error {
  /** Stable upper-case word for programs, for example `E_CONFIG` or `E_PORT_BUSY`. */
  readonly code: string;

  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'AgentError';
    this.code = code;
  }
}

/** The text of whatever was thrown: for log fields and messages. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
