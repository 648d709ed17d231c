/**
 * The endpoints of one service group as a caller: cluster filters, high availability, load balance.
 *
 * Applying a new state keeps what did not change: an endpoint whose address is the same keeps its connections, also with other
 * parameters, as far as they do not shape the connections themselves.
 */
import type {
  AttemptObserver,
  Call,
  CallObserver,
  ChainBuilder,
  ClusterReport,
  ClusterState,
  Endpoint,
  EndpointFactory,
  EndpointState,
  FilterChain,
  HighAvailability,
  LoadBalancer,
  MeshUrl,
  Random,
  Reply,
} from '../../core/index.js';
import { haStrategies } from './ha/index.js';
import { loadBalancers } from './lb/index.js';

export interface ClusterDeps {
  readonly createEndpoint: EndpointFactory;
  readonly chains: ChainBuilder;
  readonly random: Random;
  /** Monotonic ms of the current batch of bytes. */
  readonly nowMs: () => number;
}

interface Member {
  readonly state: EndpointState;
  readonly endpoint: Endpoint;
}

export class Cluster implements CallObserver {
  readonly #deps: ClusterDeps;
  #state: ClusterState;
  #members = new Map<string, Member>();
  #lb: LoadBalancer;
  #ha: HighAvailability;
  #chain: FilterChain | null;

  constructor(state: ClusterState, deps: ClusterDeps) {
    this.#deps = deps;
    this.#state = state;
    this.#lb = makeBalancer(state, deps.random);
    this.#ha = makeHa(state, this.#lb, this);
    this.#chain = makeChain(state, deps.chains);
    this.#replaceMembers(state, false);
  }

  get refer(): MeshUrl {
    return this.#state.url;
  }

  get state(): ClusterState {
    return this.#state;
  }

  /** Takes the call; its origin is told exactly once. */
  call(call: Call): void {
    if (this.#chain !== null) {
      const refusal = this.#chain.before(call, call.receivedMs);
      if (refusal !== null) {
        call.origin.onReply(call, refusal);
        return;
      }
    }
    this.#ha.begin(call);
  }

  onCallDone(call: Call, reply: Reply): void {
    if (this.#chain !== null) this.#chain.after(call, reply, call.receivedMs, this.#deps.nowMs());
    call.origin.onReply(call, reply);
  }

  apply(state: ClusterState): void {
    if (state === this.#state) return;
    const isReferSame = state.url === this.#state.url || state.url.toText() === this.#state.url.toText();
    this.#state = state;
    const lbBefore = this.#lb;
    if (!isReferSame) {
      this.#lb = makeBalancer(state, this.#deps.random);
      this.#ha = makeHa(state, this.#lb, this);
      this.#chain = makeChain(state, this.#deps.chains);
    }
    this.#replaceMembers(state, isReferSame);
    // Calls that began before go on with the strategy of then: their next try must find the nodes of now.
    if (lbBefore !== this.#lb) lbBefore.refresh(shuffled(this.endpoints(), this.#deps.random));
  }

  /** As `Endpoint.close`. */
  close(withinMs?: number): void {
    for (const { endpoint } of this.#members.values()) endpoint.close(withinMs);
    this.#members.clear();
    this.#lb.refresh([]);
  }

  /** By its id. */
  endpoint(id: string): Endpoint | undefined {
    return this.#members.get(id)?.endpoint;
  }

  endpoints(): Endpoint[] {
    return [...this.#members.values()].map((member) => member.endpoint);
  }

  report(): ClusterReport {
    const { key, referId, domain, url } = this.#state;
    return {
      key,
      domain,
      referId,
      service: url.path,
      group: url.group,
      available: true,
      endpoints: this.endpoints().map((endpoint) => endpoint.report()),
    };
  }

  #replaceMembers(state: ClusterState, isReferSame: boolean): void {
    const before = this.#members;
    const after = new Map<string, Member>();
    for (const endpointState of state.endpoints) {
      const known = before.get(endpointState.id);
      const isKept =
        known !== undefined &&
        isReferSame &&
        (isSameNode(known.state, endpointState) || known.endpoint.update(state, endpointState));
      const endpoint = isKept ? known.endpoint : this.#deps.createEndpoint(state, endpointState);
      after.set(endpointState.id, { state: endpointState, endpoint });
      if (isKept) before.delete(endpointState.id);
    }
    this.#members = after;
    this.#lb.refresh(shuffled(this.endpoints(), this.#deps.random));
    for (const { endpoint } of before.values()) endpoint.close();
  }
}

function isSameNode(left: EndpointState, right: EndpointState): boolean {
  return left === right || left.node === right.node || left.node.toText() === right.node.toText();
}

function makeBalancer(state: ClusterState, random: Random): LoadBalancer {
  const name = state.url.text('loadbalance', 'random');
  // Names were checked with the configuration; what is not built yet runs as the default, which the check says.
  return (loadBalancers[name as keyof typeof loadBalancers] ?? loadBalancers.random)(random);
}

function makeHa(
  state: ClusterState,
  lb: LoadBalancer,
  done: CallObserver,
): HighAvailability & AttemptObserver {
  const name = state.url.text('haStrategy', 'failover');
  return (haStrategies[name as keyof typeof haStrategies] ?? haStrategies.failover)(lb, state, done);
}

function makeChain(state: ClusterState, chains: ChainBuilder): FilterChain | null {
  return chains(state.url.text('filter'), 'cluster', { refer: state.url, address: '', role: 'client-agent' });
}

/** So that agents with the same list do not all begin with the same node. */
function shuffled(endpoints: Endpoint[], random: Random): Endpoint[] {
  for (let index = endpoints.length - 1; index > 0; index -= 1) {
    const other = Math.floor(random() * (index + 1));
    [endpoints[index], endpoints[other]] = [endpoints[other]!, endpoints[index]!];
  }
  return endpoints;
}
