/**
 * What a script is told about a call: CGI parameters and a body (spec traffic 4, RFC 3875).
 *
 * Three kinds of parameters that never mix:
 *   - what PHP trusts (SCRIPT_FILENAME, SCRIPT_NAME, DOCUMENT_ROOT, SERVER_*) comes from the configuration alone; no path of a caller is
 *     ever split into script and PATH_INFO (CVE-2019-11043 and its many kin), and PHP_VALUE is never sent
 *   - `MOTAN_` and the name of an attachment, verbatim: the prefix keeps callers from naming anything else
 *   - `HTTP_` and the name of a header, of transparent HTTP only: see http-params.ts
 */
import net from 'node:net';
import { signed64Text } from '../../../base/index.js';
import type { Call } from '../../../core/index.js';
import { CONTENT_BYTES_MAX, RequestEncoder } from '../../../wire/fastcgi/index.js';
import {
  HttpError,
  parseRequestBlock,
  queryEscape,
  type RequestHead,
  splitTarget,
} from '../../../wire/http1/index.js';
import { pairsOf, readArguments, textOf, transparentParts } from './arguments.js';
import { HEADER_BLOCK_LIMITS, headerParams } from './http-params.js';
import type { ScriptSettings } from './settings.js';

const FORM = 'application/x-www-form-urlencoded';
const NO_BYTES = Buffer.alloc(0);

/** A request that can be sent; parameters may still be added. */
export interface ScriptRequest {
  readonly encoder: RequestEncoder;
  /** For large bodies a view into the call's. */
  readonly body: Buffer;
  /** Method of a transparent HTTP call, whose answer is HTTP as well; empty for others. */
  readonly httpMethod: string;
}

/** Why a call is not put to the script: its caller's fault. */
export interface Refusal {
  readonly message: string;
  /** For transparent HTTP: the status that says so; 0 when the call cannot be answered in HTTP. */
  readonly httpStatus: number;
}

/** The call must own its body. */
export function scriptRequest(call: Call, script: ScriptSettings): ScriptRequest | Refusal {
  const isHttp = isTransparent(call);
  const values = readArguments(call);
  if (typeof values === 'string') return refusal(values);
  if (!isHttp) return checked(call, rpcRequest(call, values, script), 0);
  const parts = transparentParts(values);
  if (parts === null) return refusal('an HTTP call has a header block and a body as its arguments');
  try {
    const head = parseRequestBlock(parts[0], HEADER_BLOCK_LIMITS);
    return checked(call, httpRequest(call, head, parts[1], script), 400);
  } catch (error) {
    if (!(error instanceof HttpError)) throw error;
    return refusal(`the header block cannot be read: ${error.message}`, error.status);
  }
}

/** Transparent HTTP (spec traffic 3.3). */
export function isTransparent(call: Call): boolean {
  const flag = call.head.metadata.get('HTTP_PROXY');
  return flag !== undefined && /^(?:1|t|T|TRUE|true|True)$/.test(flag);
}

function refusal(message: string, httpStatus = 0): Refusal {
  return { message, httpStatus };
}

/** What nobody may send, and what PHP would not read. */
function checked(call: Call, request: ScriptRequest, httpStatus: number): ScriptRequest | Refusal {
  for (const [name, value] of call.head.metadata.entries()) {
    if (hasControl(name) || hasControl(value))
      return refusal('an attachment has NUL, CR or LF in its name or value', httpStatus);
  }
  const { pairBytesMax } = request.encoder;
  if (pairBytesMax > CONTENT_BYTES_MAX) {
    const message = `a parameter of ${pairBytesMax} bytes is larger than ${CONTENT_BYTES_MAX}, which is all that PHP takes: send it in a body`;
    return refusal(message, httpStatus === 0 ? 0 : 431);
  }
  return request;
}

/**
 * As in motan-go the script is asked with the method of the configuration, and gets the arguments as query (GET) or form (POST).
 * With no method configured php-fpm answers an empty page, as it does there.
 */
function rpcRequest(
  call: Call,
  values: NonNullable<Exclude<ReturnType<typeof readArguments>, string>>,
  script: ScriptSettings,
): ScriptRequest {
  const { method } = script;
  const text = method === 'GET' || method === 'POST' ? queryText(call, values[0]) : '';
  const query = method === 'GET' ? text : '';
  const encoder = begin(call, script, method, query, query === '' ? script.name : `${script.name}?${query}`);
  let body = NO_BYTES;
  if (method === 'POST') {
    body = Buffer.from(text, 'latin1');
    encoder.param('CONTENT_TYPE', FORM);
    encoder.param('CONTENT_LENGTH', String(body.length));
  }
  traceParams(call, encoder);
  return { encoder, body, httpMethod: '' };
}

function httpRequest(call: Call, head: RequestHead, body: Buffer, script: ScriptSettings): ScriptRequest {
  const { path, query, hasQuery } = splitTarget(head.target);
  const encoder = begin(call, script, head.method, query, hasQuery ? `${path}?${query}` : path);
  const contentType = head.get('content-type');
  if (contentType !== undefined) encoder.param('CONTENT_TYPE', contentType);
  // What has come counts, whatever was said about it.
  if (body.length > 0 || head.contentLength >= 0) encoder.param('CONTENT_LENGTH', String(body.length));
  const params = headerParams(head);
  for (const name of TRACE_HEADERS) if (call.head.metadata.text(name) !== '') params.delete(traceParam(name));
  for (const [name, value] of params) encoder.param(name, value);
  traceParams(call, encoder);
  return { encoder, body, httpMethod: head.method };
}

function begin(
  call: Call,
  script: ScriptSettings,
  method: string,
  query: string,
  uri: string,
): RequestEncoder {
  const encoder = new RequestEncoder();
  encoder.param('SERVER_SOFTWARE', 'Motan / CGI');
  if (method !== '') encoder.param('REQUEST_METHOD', method);
  if (script.filename !== '') encoder.param('SCRIPT_FILENAME', script.filename);
  if (script.documentRoot !== '') encoder.param('DOCUMENT_ROOT', script.documentRoot);
  encoder.param('SCRIPT_NAME', script.name);
  encoder.param('REQUEST_URI', uri);
  encoder.param('QUERY_STRING', query);
  encoder.param('GATEWAY_INTERFACE', 'CGI/1.1');
  encoder.param('SERVER_PROTOCOL', 'HTTP/1.1');
  encoder.param('SERVER_NAME', script.serverName);
  encoder.param('SERVER_PORT', script.serverPort);
  encoder.param('REMOTE_ADDR', remoteAddress(call));
  encoder.param('REMOTE_PORT', '0');
  // php-cgi refuses to run without it when it was built to expect a server's redirect.
  encoder.param('REDIRECT_STATUS', '200');
  attachmentParams(call, encoder);
  return encoder;
}

/** All attachments, with `host` and `M_rid` as the agent knows them (spec traffic 1.2). */
function attachmentParams(call: Call, encoder: RequestEncoder): void {
  const { head } = call;
  for (const [name, value] of head.metadata.entries()) {
    if (name !== 'host' && name !== 'M_rid') encoder.param(`MOTAN_${name}`, value);
  }
  encoder.param('MOTAN_host', head.host);
  encoder.param('MOTAN_M_rid', head.requestId || signed64Text(call.requestIdHigh, call.requestIdLow));
}

/** W3C trace context travels on as the headers that it is. */
const TRACE_HEADERS = ['traceparent', 'tracestate'] as const;

function traceParams(call: Call, encoder: RequestEncoder): void {
  for (const name of TRACE_HEADERS) {
    const value = call.head.metadata.text(name);
    if (value !== '') encoder.param(traceParam(name), value);
  }
}

function traceParam(name: string): string {
  return `HTTP_${name.toUpperCase()}`;
}

/** The client as an agent before us saw it, else as we do. Callers on a unix socket are on this machine. */
function remoteAddress(call: Call): string {
  const told = call.head.metadata.text('remoteIP');
  if (net.isIP(told) !== 0) return told;
  return net.isIP(call.head.host) !== 0 ? call.head.host : '127.0.0.1';
}

/** Spec traffic 3.6: the id first, then a map's pairs or a text. Other types add nothing; null and no argument are no text at all. */
function queryText(call: Call, value: Parameters<typeof pairsOf>[0] | undefined): string {
  if (value === undefined || value.type === 'null') return '';
  let text = `requestIdFromClient=${unsignedId(call)}`;
  const pairs = pairsOf(value);
  if (pairs !== null) for (const [key, item] of pairs) text += `&${queryEscape(key)}=${queryEscape(item)}`;
  else if (value.type === 'string') text += `&${queryEscape(textOf(value)!)}`;
  return text;
}

/** The logical id of the call as unsigned decimal: `M_rid` when that is a number, else the id of the frame. */
function unsignedId(call: Call): string {
  const { requestId } = call.head;
  if (/^[1-9]\d{0,17}$/.test(requestId)) return requestId;
  if (/^-?\d{1,20}$/.test(requestId)) return BigInt.asUintN(64, BigInt(requestId)).toString();
  return ((BigInt(call.requestIdHigh >>> 0) << 32n) | BigInt(call.requestIdLow >>> 0)).toString();
}

function hasControl(text: string): boolean {
  return text.includes('\0') || text.includes('\r') || text.includes('\n');
}
