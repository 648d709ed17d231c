/**
 * A local HTTP caller, an agent, a remote Motan2 service that takes and gives a string: `/proxy_to_rpc`. The relay passes the same
 * bodies between the HTTP load and an HTTP echo.
 */
import { freePorts } from '../processes.mjs';
import { startAgent, startEcho, startRelay } from '../systems.mjs';
import { closed, directTo, GROUP, httpLoad, SERVICE, service } from './parts.mjs';

const FORM = 'Content-Type: application/x-www-form-urlencoded';
const PATH = `/proxy_to_rpc?service=${SERVICE}&method=echo&group=${GROUP}&arg_type=string`;

export const httpRpc = {
  title: 'HTTP to Motan2, `/proxy_to_rpc`',
  systems: ['peony', 'motan-go', 'relay'],
  cases: [
    closed('http-rpc', '64 connections, 128 B', [64, 64, 128], { 'motan-go': 3.5, relay: 0.9 }),
    closed('http-rpc-16k', '32 connections, 16 KiB', [32, 32, 16 * 1024], { 'motan-go': 3.5, relay: 0.45 }),
  ],

  async startBackends(context) {
    return { motan: await startEcho(context, 'motan2'), http: await startEcho(context, 'http') };
  },

  async start(name, context) {
    const { motan, http } = context.backends;
    if (name === 'relay') return httpLoad(await startRelay(context, 'tcp', http), '/echo');
    const [forward, port] = await freePorts(2);
    await startAgent(name, context, {
      forward,
      http: port,
      config: {
        'motan-agent': { httpProxyEnable: true },
        'motan-registry': { direct: directTo(motan) },
        'motan-refer': { bench: service({ registry: 'direct', requestTimeout: 5000 }) },
      },
    });
    return httpLoad(port, PATH, '--header', FORM, '--body-prefix', 'arg=');
  },
};
