/** Heads of answers, from HTTP to metadata: made once for equal heads of a connection and kept in their memo. */
import { type CallHead, Metadata, ReplyHead } from '../../../core/index.js';
import {
  canonicalName,
  HOP_BY_HOP,
  httpDate,
  isFieldValue,
  type ResponseHead,
  reasonOf,
} from '../../../wire/http1/index.js';
import { exceptionText } from '../../../wire/motan2/index.js';

const STATUS_KEY = 'upstreamCode';
/** motan-go's client sets it on every answer that has none. */
const DEFAULT_TYPE = 'text/plain; charset=utf-8';
/** An error page longer than this is cut: the text travels as metadata. */
const EXCEPTION_BYTES_MAX = 64 * 1024;

/** What was derived from a ResponseHead; of one provider, because connections are. */
class Derived {
  value: ReplyHead | null = null;
  status: ReplyHead | null = null;
  block: Buffer | null = null;
  echo: ReplyHead | null = null;
  echoOf: CallHead | null = null;
}

function derivedOf(head: ResponseHead): Derived {
  if (head.memo === null) head.memo = new Derived();
  return head.memo as Derived;
}

/** Mode B: fields of the answer as metadata, the last of several with one name, and the status. */
export function valueHead(head: ResponseHead): ReplyHead {
  const derived = derivedOf(head);
  if (derived.value !== null) return derived.value;
  const metadata = new Metadata();
  addFields(metadata, head, true);
  if (head.get('content-type') === undefined) metadata.set('Content-Type', DEFAULT_TYPE);
  metadata.set(STATUS_KEY, String(head.status));
  derived.value = new ReplyHead(metadata, null);
  return derived.value;
}

/** Mode A: the status alone; everything else is in the header block. */
export function statusHead(head: ResponseHead): ReplyHead {
  const derived = derivedOf(head);
  derived.status ??= new ReplyHead(Metadata.of([[STATUS_KEY, String(head.status)]]), null);
  return derived.status;
}

export interface EchoOptions {
  /** Of several fields with one name: the last one, or the first. */
  readonly isLastTaken: boolean;
  readonly hasStatus: boolean;
  /** The body was unpacked: its encoding and length are not the answer's any more. */
  readonly isUnpacked: boolean;
}

/** Mode C and httpx: the metadata of the request comes back, with the fields of the answer over it. */
export function echoHead(head: ResponseHead, call: CallHead, options: EchoOptions): ReplyHead {
  const derived = derivedOf(head);
  if (derived.echo !== null && derived.echoOf === call) return derived.echo;
  const metadata = new Metadata();
  for (const [key, value] of call.metadata.entries()) if (!isOfAnswer(key)) metadata.set(key, value);
  const fields = new Metadata();
  addFields(fields, head, options.isLastTaken);
  if (options.isUnpacked) for (const name of ['Content-Encoding', 'Content-Length']) fields.delete(name);
  for (const [name, value] of fields.entries()) metadata.set(name, value);
  if (options.hasStatus) metadata.set(STATUS_KEY, String(head.status));
  derived.echo = new ReplyHead(metadata, null);
  derived.echoOf = call;
  return derived.echo;
}

/** A status of 400 and above as an exception of the service, with the body as its text. */
export function exceptionHead(status: number, body: Buffer): ReplyHead {
  const message = body.toString('utf8', 0, Math.min(body.length, EXCEPTION_BYTES_MAX));
  const exception = { code: status, type: 2, message };
  return new ReplyHead(Metadata.of([['M_e', exceptionText(exception)]]), exception);
}

/**
 * The header block of a transparent answer. Its length says how long the body is; an answer to HEAD keeps what the backend said, and
 * 204 and 304 have none.
 */
export function answerBlock(head: ResponseHead, isHead: boolean, bodyBytes: number, wallMs: number): Buffer {
  const derived = derivedOf(head);
  if (derived.block !== null) return derived.block;
  const isFixed = isHead || head.contentLength >= 0;
  let text = `HTTP/1.1 ${head.status} ${reasonOf(head.status)}\r\n`;
  for (let index = 0; index < head.fields.length; index += 2) {
    const name = head.fields[index]!;
    const lower = name.toLowerCase();
    if (HOP_BY_HOP.has(lower) || (lower === 'content-length' && !isFixed)) continue;
    text += `${canonicalName(name)}: ${head.fields[index + 1]}\r\n`;
  }
  const hasDate = head.get('date') !== undefined;
  if (!hasDate) text += `Date: ${httpDate(wallMs)}\r\n`;
  if (!isFixed && head.status !== 204 && head.status !== 304) text += `Content-Length: ${bodyBytes}\r\n`;
  const block = Buffer.from(`${text}\r\n`, 'latin1');
  if (isFixed && hasDate && !isHead) derived.block = block;
  return block;
}

function addFields(metadata: Metadata, head: ResponseHead, isLastTaken: boolean): void {
  for (let index = 0; index < head.fields.length; index += 2) {
    const name = canonicalName(head.fields[index]!);
    const value = head.fields[index + 1]!;
    if (HOP_BY_HOP.has(name.toLowerCase()) || isOfMesh(name) || !isFieldValue(value)) continue;
    if (isLastTaken || metadata.get(name) === undefined) metadata.set(name, value);
  }
}

/** Metadata that only the mesh sets: a backend must not write its own exception or routing. */
function isOfMesh(name: string): boolean {
  return name.startsWith('M_') || name.startsWith('m_');
}

/** What the agent says of an answer: it must not come back from the request. */
function isOfAnswer(key: string): boolean {
  return key === 'M_e' || key === 'M_pt' || key === STATUS_KEY;
}
