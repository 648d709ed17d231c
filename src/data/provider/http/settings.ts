/** What the parameters of a service mean for its HTTP backend: spec traffic 3.2, 3.7. */
import { latin1Text, type MeshUrl } from '../../../core/index.js';
import { isHostAndPort, isToken } from '../../../wire/http1/index.js';
import type { HttpTimeouts } from '../../http-client/index.js';

export interface BackendSettings {
  /** `proxyAddress`; empty selects URL_FORMAT. */
  readonly address: string;
  readonly isTls: boolean;
  /** Host that requests without one get; empty for none. */
  readonly domain: string;
  readonly connectTimeoutMs: number;
  readonly connectionsMax: number;
  readonly idleTimeoutMs: number;
  readonly maxAgeMs: number;
  /** Bounds the whole call in mode C; each step of it otherwise. `M_tmo` below it is what the caller still waits. */
  readonly requestTimeoutMs: number;
  readonly timeouts: HttpTimeouts;
  /** True when `requestTimeoutMs` is the whole call's. */
  readonly isTimeoutWhole: boolean;
  readonly defaultMethod: string;
  readonly urlFormat: string;
  readonly isRewriteEnabled: boolean;
  readonly isHttpExceptionEnabled: boolean;
  readonly answerBytesMax: number;
}

/** Most of a message that is metadata or body: spec wire 2.8. */
const ANSWER_BYTES_MAX = 10_485_760;

export function httpSettings(url: MeshUrl): BackendSettings {
  const address = url.text('proxyAddress');
  const requestTimeoutMs = url.positiveInt('requestTimeout', 1000);
  const each = address === '' ? 0 : requestTimeoutMs;
  return {
    ...commonSettings(url),
    address,
    isTls: url.text('proxySchema').toLowerCase() === 'https',
    connectTimeoutMs: requestTimeoutMs,
    connectionsMax: url.positiveInt('maxConnections', 1024),
    idleTimeoutMs: url.positiveInt('idleConnectionTimeout', 5000),
    maxAgeMs: Math.max(0, url.int('keepaliveTimeout', 0)),
    requestTimeoutMs,
    timeouts: { writeMs: each, firstByteMs: each, betweenBytesMs: 0, answerMs: each },
    isTimeoutWhole: address === '',
    isHttpExceptionEnabled: url.bool('enableHttpException', false),
  };
}

/** httpx has fixed limits in motan-go: a second to write, a second to read, three to connect. */
export function httpxSettings(url: MeshUrl): BackendSettings {
  const second = 1000;
  return {
    ...commonSettings(url),
    address: '',
    isTls: false,
    connectTimeoutMs: 3 * second,
    connectionsMax: 1024,
    idleTimeoutMs: 30 * second,
    maxAgeMs: 0,
    requestTimeoutMs: second,
    timeouts: { writeMs: second, firstByteMs: second, betweenBytesMs: 0, answerMs: second },
    isTimeoutWhole: false,
    isHttpExceptionEnabled: false,
  };
}

function commonSettings(
  url: MeshUrl,
): Pick<BackendSettings, 'domain' | 'defaultMethod' | 'urlFormat' | 'isRewriteEnabled' | 'answerBytesMax'> {
  const domain = latin1Text(url.text('domain'));
  const method = url.text('HTTP_REQUEST_METHOD', 'GET');
  return {
    domain: isHostAndPort(domain) ? domain : '',
    defaultMethod: isToken(method) ? method : 'GET',
    urlFormat: latin1Text(url.text('URL_FORMAT')),
    isRewriteEnabled: url.bool('enableRewrite', true),
    answerBytesMax: url.positiveInt('maxContentLength', ANSWER_BYTES_MAX),
  };
}
