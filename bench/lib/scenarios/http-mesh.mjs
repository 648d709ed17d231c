/**
 * A local HTTP caller, its agent, the agent of another machine, an HTTP service: transparent HTTP over Motan2. Both agents are of
 * one kind and share CPU 0.
 */
import { freePorts } from '../processes.mjs';
import { startAgent, startEcho } from '../systems.mjs';
import { closed, directTo, httpLoad, service } from './parts.mjs';
import { DOMAIN, domainOf, locationsOf } from './web-domain.mjs';

export const httpMesh = {
  title: 'Transparent HTTP through two agents',
  systems: ['peony', 'motan-go'],
  cases: [closed('http-mesh', '64 connections, 1 KiB', [64, 64, 1024], { 'motan-go': 2.5 })],

  async startBackends(context) {
    return { http: await startEcho(context, 'http') };
  },

  async start(name, context) {
    const [forward, serverForward, exported, port] = await freePorts(4);
    await startAgent(name, context, {
      forward: serverForward,
      exports: [exported],
      config: {
        'motan-registry': { direct: directTo(exported) },
        'motan-service': {
          bench: service({
            registry: 'direct',
            export: `motan2:${exported}`,
            provider: 'http',
            proxyAddress: `127.0.0.1:${context.backends.http}`,
            domain: DOMAIN,
            requestTimeout: 5000,
          }),
        },
        'http-locations': locationsOf(DOMAIN),
      },
    });
    await startAgent(name, context, {
      forward,
      http: port,
      config: {
        'motan-agent': { httpProxyEnable: true },
        'motan-registry': { direct: directTo(exported) },
        'http-client': { bench: domainOf('direct') },
        'http-locations': locationsOf(DOMAIN),
      },
    });
    return httpLoad(port, '/echo', '--header', `Host: ${DOMAIN}`);
  },
};
