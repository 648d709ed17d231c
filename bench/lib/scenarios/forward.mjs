/** A local caller, an agent, a remote Motan2 service: Motan2 on both sides. */
import { freePorts } from '../processes.mjs';
import { startAgent, startEcho, startRelay } from '../systems.mjs';
import { CPU, closed, directTo, motanLoad, service } from './parts.mjs';

export const forward = {
  title: 'Motan2 to Motan2',
  systems: ['peony', 'motan-go', 'relay'],
  cases: [
    closed('1x64', '1 connection, 64 in flight, 128 B', [1, 64, 128], { 'motan-go': 8, relay: 0.65 }),
    closed('64x64', '64 connections, 64 in flight, 128 B', [64, 64, 128], { 'motan-go': 3, relay: 0.8 }),
    closed('32x256', '32 connections, 256 in flight, 128 B', [32, 256, 128], { 'motan-go': 12, relay: 0.6 }),
    closed('32x64-16k', '32 connections, 64 in flight, 16 KiB', [32, 64, 16 * 1024], {
      'motan-go': 2.5,
      relay: 0.7,
    }),
    closed('1x16-1m', '1 connection, 16 in flight, 1 MiB', [1, 16, 1024 * 1024], { 'motan-go': 1, relay: 1 }),
    onePerConnection(
      closed('per-call', 'one call per connection, 64 at a time, 128 B', [64, 64, 128], {
        'motan-go': 0.9,
        relay: 0.6,
      }),
    ),
    {
      ...closed('1x1', '1 connection, 1 in flight, 128 B', [1, 1, 128], {}),
      targets: [{ figure: CPU, peer: 'motan-go', atMost: 0.75 }],
    },
    {
      name: 'open',
      title: 'open loop at 15,000/s, 64 connections, 128 B',
      load: ['--connections', '64', '--rate', '15000', '--body-bytes', '128'],
      figures: [
        { field: 'p50Us', title: 'p50 µs', digits: 0 },
        { field: 'p99Us', title: 'p99 µs', digits: 0 },
        CPU,
      ],
      targets: [
        { figure: { field: 'p50Us', title: 'p50' }, peer: 'motan-go', atMost: 1.1 },
        { figure: { field: 'p99Us', title: 'p99' }, peer: 'motan-go', atMost: 0.5 },
      ],
    },
  ],

  async startBackends(context) {
    return { motan: await startEcho(context, 'motan2') };
  },

  async start(name, context) {
    const { motan } = context.backends;
    if (name === 'relay') return motanLoad(await startRelay(context, 'motan2', motan));
    const [port] = await freePorts(1);
    await startAgent(name, context, {
      forward: port,
      config: {
        'motan-registry': { direct: directTo(motan) },
        'motan-refer': { bench: service({ registry: 'direct', requestTimeout: 5000 }) },
      },
    });
    return motanLoad(port);
  },
};

function onePerConnection(spec) {
  return { ...spec, load: [...spec.load, '--requests-per-connection', '1'] };
}
