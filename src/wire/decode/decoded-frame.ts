/** What one frame looks like to people. Field names are part of the output of `peony decode`. */
import { isUtf8 } from 'node:buffer';
import type { Metadata } from '../../core/index.js';

export type StreamEntry = DecodedFrame | StreamError;

/** Where the bytes stopped making sense; nothing follows it. */
export interface StreamError {
  readonly error: string;
  /** Bytes from the start of the input. */
  readonly offset: number;
}

export interface DecodedFrame extends DecodedBody {
  readonly protocol: 'motan2' | 'motan1';
  readonly kind: 'request' | 'response' | 'exception' | 'heartbeat';
  /** Unsigned decimal. */
  readonly requestId: string;
  /** Offset of the frame in the input, and its size, bytes. */
  readonly start: number;
  readonly size: number;
  readonly flags?: {
    readonly response: boolean;
    readonly proxy: boolean;
    readonly oneWay: boolean;
    readonly gzip: boolean;
    readonly heartbeat: boolean;
    /** The three bits that nobody uses, as a number. */
    readonly reserved: number;
  };
  /** By configuration in Motan v1, so only Motan2 frames have it. */
  readonly serialization?: string;
  readonly serializationNumber?: number;
  /** Status bits of Motan2; the flag byte of Motan v1. */
  readonly status: number;
  /** In Motan v1 the attachments. Bytes that are not UTF-8 are shown as \xNN. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Motan2: `M_e` as JSON. Motan v1: class and message. */
  readonly exception?: unknown;
  /** Motan v1: 1 plain, 2 compressed variant. */
  readonly innerVersion?: number;
  readonly service?: string;
  readonly method?: string;
  /** Motan v1: Java types of the arguments. */
  readonly description?: string;
  /** Motan v1 answers. */
  readonly processMs?: number;
  readonly className?: string;
}

/** One of the three forms: values, text, or hex. `bodyError` says why it is hex; its offset counts in the (unzipped) body. */
export interface DecodedBody {
  readonly body?: readonly unknown[];
  readonly bodyText?: string;
  readonly bodyHex?: string;
  readonly bodyError?: StreamError;
}

export function hexShown(bytes: Buffer): string {
  return bytes.toString('hex');
}

/** Bytes-as-text as text; when they are not UTF-8, everything beyond printable ASCII as \xNN and the backslash doubled. */
export function textShown(latin1: string): string {
  const bytes = Buffer.from(latin1, 'latin1');
  if (isUtf8(bytes)) return bytes.toString('utf8');
  return latin1.replace(/[^\x20-\x5b\x5d-\x7e]/g, (character) =>
    character === '\\' ? '\\\\' : `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}

export function metadataShown(metadata: Metadata): Record<string, string> {
  return Object.fromEntries(
    [...metadata.entries()].map(([key, value]) => [textShown(key), textShown(value)] as const),
  );
}
