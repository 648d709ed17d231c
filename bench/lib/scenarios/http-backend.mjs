/**
 * A remote Motan2 caller, the agent beside an HTTP service: provider `http`. The relay stands between an HTTP load and the same
 * service, with a connection a call in flight, as HTTP/1.1 needs on the backend's side in any case.
 */
import { freePorts } from '../processes.mjs';
import { startAgent, startEcho, startRelay } from '../systems.mjs';
import { closed, directTo, httpLoad, motanLoad, service } from './parts.mjs';

const IN_FLIGHT = 32;
/** About what the agent of one caller holds to a node. */
const CALLER_CONNECTIONS = 4;

export const httpBackend = {
  title: 'Motan2 to an HTTP backend',
  systems: ['peony', 'motan-go', 'relay'],
  cases: [
    closed('http-backend', `${IN_FLIGHT} in flight, 128 B`, [CALLER_CONNECTIONS, IN_FLIGHT, 128], {
      'motan-go': 10,
      relay: 0.4,
    }),
    closed('http-backend-16k', `${IN_FLIGHT} in flight, 16 KiB`, [CALLER_CONNECTIONS, IN_FLIGHT, 16 * 1024], {
      'motan-go': 8,
      relay: 0.4,
    }),
  ],

  async startBackends(context) {
    return { http: await startEcho(context, 'http') };
  },

  async start(name, context) {
    const { http } = context.backends;
    if (name === 'relay') {
      const port = await startRelay(context, 'tcp', http);
      return httpLoad(port, '/echo', '--connections', String(IN_FLIGHT));
    }
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
            proxyAddress: `127.0.0.1:${http}`,
            domain: 'bench.example',
            enableRewrite: false,
            HTTP_REQUEST_METHOD: 'POST',
            requestTimeout: 5000,
          }),
        },
      },
    });
    return motanLoad(exported, '--method', '/echo', '--body-kind', 'bytes');
  },
};
