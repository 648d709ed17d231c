/** What the scenarios have in common: figures, parts of configurations, options of the load generator. */
export const RPS = { field: 'rps', title: 'requests/s', digits: 0 };
export const CPU = { field: 'cpuUs', title: 'CPU µs/request', digits: 1 };

export const GROUP = 'bench-group';
/** What the load generator asks for. */
export const SERVICE = 'com.example.EchoService';
/** Of both agents, so that they do the same for a call. */
export const FILTER = 'accessLog,metrics';

/**
 * A closed loop: a fixed number of calls in flight.
 *
 * @param shape connections, calls in flight, bytes of a body
 * @param atLeast by peer: what Peony's rate divided by the peer's must be
 */
export function closed(name, title, [connections, concurrency, bodyBytes], atLeast) {
  const options = { connections, concurrency, 'body-bytes': bodyBytes };
  return {
    name,
    title,
    bodyBytes,
    load: Object.entries(options).flatMap(([key, value]) => [`--${key}`, String(value)]),
    figures: [RPS, CPU],
    targets: Object.entries(atLeast).map(([peer, least]) => ({ figure: RPS, peer, atLeast: least })),
  };
}

export function directTo(port) {
  return { protocol: 'direct', host: '127.0.0.1', port };
}

/** The refer or service of an agent that carries the calls of a scenario. */
export function service(more) {
  return {
    path: SERVICE,
    group: GROUP,
    protocol: 'motan2',
    serialization: 'simple',
    filter: FILTER,
    ...more,
  };
}

export function motanLoad(port, ...more) {
  return ['--target', `127.0.0.1:${port}`, '--wire', 'motan2', ...more];
}

export function httpLoad(port, path, ...more) {
  return ['--target', `127.0.0.1:${port}`, '--wire', 'http', '--path', path, ...more];
}
