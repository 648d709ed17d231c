/**
 * Answers of scripts as replies of Motan2.
 *
 *   RPC          value = the output as a string; headers as metadata, `upstreamCode` with the status (spec traffic 4, BUG-23 mended)
 *   transparent  value = array(header block, body) with the script's own status; the client's agent makes HTTP of it (spec traffic 2.7)
 */
import {
  type Call,
  type Failure,
  failed,
  failure,
  failureCodes,
  Metadata,
  type MotanException,
  Reply,
  ReplyHead,
  TYPE_RESPONSE,
} from '../../../core/index.js';
import { HOP_BY_HOP, reasonOf } from '../../../wire/http1/index.js';
import { exceptionText } from '../../../wire/motan2/index.js';
import { encodeHttp, encodeText } from './arguments.js';
import type { ScriptAnswer } from './exchange.js';
import { CANNOT_PARSE, type Trouble } from './trouble.js';

const VALUE = 0x08;
const EXCEPTION = 0x09;
const NO_BYTES = Buffer.alloc(0);
/** Of an error page that becomes the text of an exception: metadata is no place for megabytes. */
const EXCEPTION_BYTES_MAX = 16 * 1024;

export function rpcReply(call: Call, answer: ScriptAnswer, throwsStatus: boolean): Reply {
  const { status } = answer.head;
  const metadata = headerMetadata(answer);
  metadata.set('upstreamCode', String(status));
  if (throwsStatus && status >= 400) {
    const page = Buffer.concat(answer.pieces).subarray(0, EXCEPTION_BYTES_MAX).toString('utf8');
    const exception: MotanException = { code: status, type: 2, message: page };
    metadata.set('M_e', exceptionText(exception));
    return reply(call, new ReplyHead(metadata, exception), NO_BYTES, null);
  }
  return reply(call, new ReplyHead(metadata, null), encodeText(call, answer.pieces, answer.bodyBytes), null);
}

/** The last of repeated headers wins, as in motan-go. What is reserved for the mesh, a page cannot set. */
function headerMetadata(answer: ScriptAnswer): Metadata {
  const metadata = new Metadata();
  const { fields } = answer.head;
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index]!;
    if (!/^M_/i.test(name)) metadata.set(name, fields[index + 1]!);
  }
  return metadata;
}

export function httpReply(call: Call, answer: ScriptAnswer, method: string): Reply {
  const { status, fields } = answer.head;
  const hasBody = method !== 'HEAD' && status !== 204 && status !== 304;
  let block = `HTTP/1.1 ${status} ${reasonOf(status)}\r\n`;
  for (let index = 0; index < fields.length; index += 2) {
    const lower = fields[index]!.toLowerCase();
    // Of a body that is there its own size counts; of one that is not, what the script says of it.
    const isDropped = lower === 'content-length' ? hasBody || status === 204 : HOP_BY_HOP.has(lower);
    if (!isDropped) block += `${fields[index]}: ${fields[index + 1]}\r\n`;
  }
  if (hasBody) block += `Content-Length: ${answer.bodyBytes}\r\n`;
  const head = Buffer.from(`${block}\r\n`, 'latin1');
  const value = hasBody
    ? encodeHttp(call, head, answer.pieces, answer.bodyBytes)
    : encodeHttp(call, head, [], 0);
  const metadata = Metadata.of([['upstreamCode', String(status)]]);
  return reply(call, new ReplyHead(metadata, null), value, null);
}

/** An exception for RPC callers: code and type as motan-go's provider cgi has them, which count as failures of the node. */
export function troubleReply(trouble: Trouble): Reply {
  return failed(failureOf(trouble));
}

/**
 * The same as HTTP. An exception would become 502 at the client's agent whatever it is (spec traffic 2.7), and 1001 would be taken for
 * "ask the real host"; a client that is to come again needs 503. For our own counters the call has failed.
 */
export function httpTroubleReply(call: Call, trouble: Trouble, method: string, httpStatus = 0): Reply {
  const row = failureCodes[trouble.code];
  const status = httpStatus || row.httpStatus;
  // What was tried where is for our log; the client is told what kind of trouble it was.
  const text = row.side === 'downstream' ? trouble.message : row.meaning;
  const body = Buffer.from(method === 'HEAD' ? '' : `${text}\n`, 'utf8');
  let block = `HTTP/1.1 ${status} ${reasonOf(status)}\r\nContent-Type: text/plain; charset=utf-8\r\n`;
  if (status === 503) block += 'Retry-After: 1\r\n';
  if (method !== 'HEAD') block += `Content-Length: ${body.length}\r\n`;
  const value = encodeHttp(call, Buffer.from(`${block}\r\n`, 'latin1'), [body], body.length);
  return reply(call, new ReplyHead(new Metadata(), null), value, failureOf(trouble));
}

function failureOf({ code, message }: Trouble): Failure {
  const type = message === CANNOT_PARSE ? 502 : 503;
  return failure(code, message, { code: type, type, message });
}

function reply(call: Call, head: ReplyHead, value: Buffer, cause: Failure | null): Reply {
  const { exception } = head;
  const made = new Reply(
    cause,
    head,
    exception,
    2,
    TYPE_RESPONSE,
    exception === null ? VALUE : EXCEPTION,
    call.serialization,
    value,
    0,
    value.length,
  );
  made.isOwned = true;
  return made;
}
