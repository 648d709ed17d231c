/**
 * The cases and their targets. A target says what Peony's figure divided by the other's must be: `atLeast` for
 * rates, `atMost` for times and sizes.
 *
 *   load     options of `meshload load`
 *   figures  [field of its result, title, digits]
 *   targets  per figure and peer
 */
const RPS = { field: 'rps', title: 'requests/s', digits: 0 };
const CPU = { field: 'cpuUs', title: 'CPU µs/request', digits: 1 };

export const LOAD_CASES = [
  closed('1x64', '1 connection, 64 in flight, 128 B', [1, 64, 128], 8, 0.65),
  closed('64x64', '64 connections, 64 in flight, 128 B', [64, 64, 128], 3, 0.8),
  closed('32x256', '32 connections, 256 in flight, 128 B', [32, 256, 128], 12, 0.6),
  closed('32x64-16k', '32 connections, 64 in flight, 16 KiB', [32, 64, 16 * 1024], 2.5, 0.7),
  closed('1x16-1m', '1 connection, 16 in flight, 1 MiB', [1, 16, 1024 * 1024], 1, 1),
  {
    ...closed('per-call', 'one call per connection, 64 at a time, 128 B', [64, 64, 128], 0.9, 0.6),
    extra: ['--requests-per-connection', '1'],
  },
  {
    ...closed('1x1', '1 connection, 1 in flight, 128 B', [1, 1, 128]),
    targets: [{ figure: CPU, peer: 'motan-go', atMost: 0.75 }],
  },
  {
    name: 'open',
    title: 'open loop at 15,000/s, 64 connections, 128 B',
    load: ['--connections', '64', '--rate', '15000', '--body-bytes', '128'],
    extra: [],
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
];

/** Cases that measure Peony alone; the functions are in memory.mjs. */
export const MEMORY_CASES = [
  { name: 'idle', title: 'memory of the idle agent', unit: 'MB', atMost: 80 },
  { name: 'connections', title: 'memory of each of 10,000 idle connections', unit: 'KB', atMost: 8 },
  { name: 'connections-used', title: 'memory of each of them after one heartbeat', unit: 'KB', atMost: 8 },
  { name: 'scale-start', title: 'start with 5,000 refers and 20,000 endpoints', unit: 's', atMost: 5 },
  { name: 'scale-apply', title: 'applying the change of one node of these 20,000', unit: 'ms', atMost: 10 },
];

function closed(name, title, [connections, concurrency, bodyBytes], overMotanGo, overRelay) {
  const options = { connections, concurrency, 'body-bytes': bodyBytes };
  return {
    name,
    title,
    load: Object.entries(options).flatMap(([key, value]) => [`--${key}`, String(value)]),
    extra: [],
    figures: [RPS, CPU],
    targets: [
      { figure: RPS, peer: 'motan-go', atLeast: overMotanGo },
      { figure: RPS, peer: 'relay', atLeast: overRelay },
    ],
  };
}
