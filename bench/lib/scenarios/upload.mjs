/** A local HTTP caller that sends large bodies through the HTTP port to a host that no `http-client` knows, and gets them back. */
import { freePorts } from '../processes.mjs';
import { startAgent, startEcho } from '../systems.mjs';
import { httpLoad } from './parts.mjs';

export const upload = {
  title: 'Large bodies by the direct proxy',
  systems: ['peony', 'motan-go'],
  cases: [],

  async startBackends(context) {
    return { http: await startEcho(context, 'http') };
  },

  async start(name, context) {
    const target = `127.0.0.1:${context.backends.http}`;
    const [forward, port] = await freePorts(2);
    await startAgent(name, context, {
      forward,
      http: port,
      config: {
        // motan-go proxies to every host and has no use for the list.
        'motan-agent': { httpProxyEnable: true, httpProxyAllow: target, httpProxyTimeout: 30_000 },
      },
    });
    return httpLoad(port, '/upload', '--header', `Host: ${target}`);
  },
};
