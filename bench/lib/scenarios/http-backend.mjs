/**
 * A remote Motan2 caller, the agent beside an HTTP service: provider `http`, with `proxyAddress` and with `URL_FORMAT`, for which
 * motan-go connects anew for each call. The relay stands between an HTTP load and the same service, with a connection a call in
 * flight, as HTTP/1.1 needs on the backend's side in any case.
 */
import { freePorts } from '../processes.mjs';
import { startAgent, startEcho, startRelay } from '../systems.mjs';
import { closed, directTo, httpLoad, motanLoad, service } from './parts.mjs';

const IN_FLIGHT = 32;
/** About what the agent of one caller holds to a node. */
const CALLER_CONNECTIONS = 4;

const SMALL = 128;
const LARGE = 16 * 1024;
/** Kind and length of a string in the "simple" serialization. */
const STRING_HEAD_BYTES = 5;

export const httpBackend = {
  title: 'Motan2 to an HTTP backend',
  systems: ['peony', 'motan-go', 'relay'],
  cases: [
    // Set when motan-go was measured at a thirtieth of what it does with `proxyAddress`: not even the relay reaches them.
    inFlight('http-backend', '128 B', SMALL, { 'motan-go': 10, relay: 0.4 }),
    inFlight('http-backend-16k', '16 KiB', LARGE, { 'motan-go': 8, relay: 0.4 }),
  ],

  async startBackends(context) {
    return { http: await startEcho(context, 'http') };
  },

  async start(name, context) {
    if (name === 'relay') return throughRelay(context);
    const exported = await startExport(name, context, {
      proxyAddress: `127.0.0.1:${context.backends.http}`,
      domain: 'bench.example',
      enableRewrite: false,
    });
    return motanLoad(exported, '--method', '/echo', '--body-kind', 'bytes');
  },
};

export const httpByUrl = {
  title: 'Motan2 to an HTTP backend, `URL_FORMAT`',
  systems: ['peony', 'motan-go', 'relay'],
  cases: [
    inFlight('http-url', '128 B', SMALL, { 'motan-go': 10, relay: 0.4 }),
    inFlight('http-url-16k', '16 KiB', LARGE, { 'motan-go': 8, relay: 0.4 }),
  ],

  async startBackends(context) {
    // Of the form that comes they give back the first key. Keys are sorted, and the load's string begins with a digit: it is the first.
    const firstKey = (bytes) =>
      startEcho(context, 'http', '--response-bytes', String(bytes - STRING_HEAD_BYTES));
    return {
      http: await startEcho(context, 'http'),
      [SMALL]: await firstKey(SMALL),
      [LARGE]: await firstKey(LARGE),
    };
  },

  async start(name, context) {
    if (name === 'relay') return throughRelay(context);
    const { bodyBytes } = context.spec;
    const exported = await startExport(name, context, {
      URL_FORMAT: `http://127.0.0.1:${context.backends[bodyBytes]}/%s`,
    });
    return motanLoad(exported, '--body-bytes', String(bodyBytes));
  },
};

function inFlight(name, size, bytes, atLeast) {
  return closed(name, `${IN_FLIGHT} in flight, ${size}`, [CALLER_CONNECTIONS, IN_FLIGHT, bytes], atLeast);
}

async function throughRelay(context) {
  const port = await startRelay(context, 'tcp', context.backends.http);
  return httpLoad(port, '/echo', '--connections', String(IN_FLIGHT));
}

/** @returns port of the export */
async function startExport(name, context, settings) {
  const [forward, exported] = await freePorts(2);
  await startAgent(name, context, {
    forward,
    exports: [exported],
    config: {
      'motan-registry': { direct: directTo(exported) },
      'motan-service': {
        bench: service({
          registry: 'direct',
          export: `motan2:${exported}`,
          provider: 'http',
          HTTP_REQUEST_METHOD: 'POST',
          requestTimeout: 5000,
          ...settings,
        }),
      },
    },
  });
  return exported;
}
