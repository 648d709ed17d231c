/**
 * The part of the HTTP port that reaches servers outside the mesh: direct proxy, tunnels, and the ways to servers that calls of
 * domains need as well. All of it asks one policy.
 */
import type { HttpSettings, Logger, Random } from '../../../../core/index.js';
import type { Outbound } from '../../../http-client/index.js';
import type { IoLoop } from '../../../transport/index.js';
import type { HttpHandler } from '../exchange.js';
import { TargetPolicy, type TargetPolicyDeps } from '../target-policy.js';
import { ConnectTunnels } from './connect-tunnels.js';
import { DirectProxy } from './direct-proxy.js';
import { OutboundUpstreams } from './outbound-upstreams.js';

export interface HttpProxyDeps extends TargetPolicyDeps {
  readonly loop: IoLoop;
  readonly logger: Logger;
  readonly useRaw: boolean;
  readonly random: Random;
  /** Whether an http-client has that host name as its domain: it may be reached without an entry. */
  readonly isDomain: (host: string) => boolean;
}

export type HttpProxySettings = Pick<
  HttpSettings,
  'allow' | 'keepalive' | 'upstreamIdleMs' | 'upstreamTimeoutMs'
>;

export class HttpProxy {
  readonly directProxy: HttpHandler;
  readonly connect: HttpHandler;
  readonly outbound: Outbound;
  readonly #upstreams: OutboundUpstreams;
  readonly #tunnels: ConnectTunnels;

  constructor(settings: HttpProxySettings, deps: HttpProxyDeps) {
    const policy = new TargetPolicy(settings.allow, deps);
    this.#upstreams = new OutboundUpstreams(settings, policy, deps);
    this.outbound = this.#upstreams;
    this.#tunnels = new ConnectTunnels(settings, { ...deps, policy });
    this.connect = this.#tunnels;
    // Agents and generations of one agent must not take each other's requests for their own.
    const viaName = `peony-${Math.floor(deps.random() * 0x1_0000_0000)
      .toString(16)
      .padStart(8, '0')}`;
    this.directProxy = new DirectProxy(settings, { ...deps, outbound: this.outbound, viaName });
  }

  /** The agent stops: tunnels in which nothing moves are closed, so that the server's drain waits for the others alone. */
  drain(): void {
    this.#tunnels.drain();
  }

  /** Takes nothing new; what was begun may end within `withinMs`. */
  close(withinMs: number): void {
    this.#upstreams.close(withinMs);
  }
}
