/** An HTTP listener with the direct proxy and tunnels behind it. Every name is this machine, as far as the test says. */
import type { TestContext } from 'node:test';
import type { HttpDomain, HttpSettings } from '../../../src/core/index.js';
import { ConnectTunnels } from '../../../src/data/server/http/proxy/connect-tunnels.js';
import { DirectProxy } from '../../../src/data/server/http/proxy/direct-proxy.js';
import { OutboundUpstreams } from '../../../src/data/server/http/proxy/outbound-upstreams.js';
import { type AddressLookup, TargetPolicy } from '../../../src/data/server/http/target-policy.js';
import { IoLoop, rawStreamsWork } from '../../../src/data/transport/index.js';
import { realClock } from '../../support/clock.js';
import { RecordingLogger } from '../../support/plane.js';
import { HTTP_SETTINGS, ServerScene } from './server-scene.js';

export interface ProxyOptions {
  http?: Partial<HttpSettings>;
  domains?: readonly HttpDomain[];
  /** Name to its addresses; a name that is not here is not found. */
  names?: Readonly<Record<string, readonly string[]>>;
  /** In place of `names`. */
  lookup?: AddressLookup;
  tunnelIdleMs?: number;
  useRaw?: boolean;
}

export const VIA = 'peony-test';

export interface ProxyScene {
  readonly scene: ServerScene;
  readonly upstreams: OutboundUpstreams;
  readonly tunnels: ConnectTunnels;
  readonly logger: RecordingLogger;
}

export async function proxyScene(t: TestContext, options: ProxyOptions = {}): Promise<ProxyScene> {
  const loop = new IoLoop(realClock);
  const useRaw = options.useRaw ?? (await rawStreamsWork(loop));
  const settings: HttpSettings = { ...HTTP_SETTINGS, allow: ['backend.test'], ...options.http };
  const domains = options.domains ?? [];
  const ownPorts = new Set<number>();
  const policy = new TargetPolicy(settings.allow, {
    loop,
    ownPorts: () => ownPorts,
    ownAddresses: [],
    lookup: options.lookup ?? tableLookup(options.names ?? { 'backend.test': ['127.0.0.1'] }),
  });
  const logger = new RecordingLogger();
  const upstreams = new OutboundUpstreams(settings, policy, { loop, useRaw });
  const tunnels = new ConnectTunnels(settings, { loop, logger, useRaw, policy }, options.tunnelIdleMs);
  const directProxy = new DirectProxy(settings, {
    logger,
    outbound: upstreams,
    isDomain: (host) => domains.some((domain) => domain.domain === host),
    viaName: VIA,
  });
  const scene = new ServerScene(loop, useRaw, {
    http: settings,
    domains,
    deps: { directProxy, connect: tunnels },
  });
  await scene.server.listen();
  ownPorts.add(scene.server.port);
  t.after(async () => {
    upstreams.close(0);
    await scene.close();
  });
  return { scene, upstreams, tunnels, logger };
}

function tableLookup(names: Readonly<Record<string, readonly string[]>>): AddressLookup {
  return (name, done) => {
    const found = Object.hasOwn(names, name) ? names[name]! : [];
    setImmediate(() => done(found.length === 0 ? 'ENOTFOUND' : null, found));
  };
}
