/** What the tests of bridges share: a bridge on registries of real servers, and nodes that programs of the mesh list themselves. */
import { Bridge, type BridgeEvent } from '../../../src/control/bridge/index.js';
import { COPY_MARK, isCopy, MeshUrl, type Registry, silentLogger } from '../../../src/core/index.js';
import { Watch } from '../../support/registry-contract.js';
import { realClock } from '../../support/registry-deps.js';
import { atEnd, eventually } from '../support.js';

export const WAIT_MS = 20_000;
const HOLD_MS = 60_000;

export function node(port: number, more = ''): MeshUrl {
  return MeshUrl.parse(`motan2://127.0.0.1:${port}/com.x.Echo?group=g1&nodeType=service${more}`);
}

const REFER = MeshUrl.parse('motan2://:0/com.x.Echo?group=g1');

export interface OpenBridge {
  readonly bridge: Bridge;
  readonly events: BridgeEvent[];
  /** Resolves when every lane has listed the services so many times more. */
  rounds(count: number): Promise<void>;
}

export function openBridge(from: Registry, to: Registry, isBothWays = false): OpenBridge {
  const events: BridgeEvent[] = [];
  const lists = new Map<string, number>();
  const counted = (registry: Registry): Registry =>
    Object.assign(Object.create(registry) as Registry, {
      id: registry.id,
      protocol: registry.protocol,
      subscribe: registry.subscribe.bind(registry),
      announce: registry.announce.bind(registry),
      withdraw: registry.withdraw.bind(registry),
      report: registry.report.bind(registry),
      listServices: async () => {
        const services = await registry.listServices!();
        lists.set(registry.id, (lists.get(registry.id) ?? 0) + 1);
        return services;
      },
    });
  const bridge = new Bridge({
    from: counted(from),
    to: counted(to),
    isBothWays,
    groups: [],
    services: [],
    holdMs: HOLD_MS,
    refreshMs: 100,
    isDry: false,
    clock: realClock,
    random: Math.random,
    logger: silentLogger,
    onEvent: (event) => events.push(event),
  });
  bridge.start();
  atEnd(async () => bridge.close());
  const rounds = async (count: number): Promise<void> => {
    const ids = isBothWays ? [from.id, to.id] : [from.id];
    const wanted = ids.map((id): [string, number] => [id, (lists.get(id) ?? 0) + count]);
    await eventually(`${count} more lists`, WAIT_MS, async () =>
      wanted.every(([id, least]) => (lists.get(id) ?? 0) >= least),
    );
  };
  return { bridge, events, rounds };
}

/** Waits until a registry shows exactly these ports; of a copy, the port is negative. */
export async function untilShown(registry: Registry, ports: readonly number[]): Promise<Watch> {
  const watch = new Watch();
  watch.subscription = registry.subscribe(REFER, watch);
  const shown = (): string =>
    watch.nodes
      .map((each) => (isCopy(each) ? -each.port : each.port))
      .sort((one, other) => one - other)
      .join();
  const wanted = [...ports].sort((one, other) => one - other).join();
  try {
    await eventually(`${registry.id} shows ${wanted}`, WAIT_MS, async () => shown() === wanted);
  } catch (error) {
    throw new Error(`${(error as Error).message}; it shows ${shown()}`);
  } finally {
    watch.subscription.close();
  }
  return watch;
}

/** Without the mark, as it was in the other registry. */
export function originalOf(copy: MeshUrl): string {
  const parameters = new Map(copy.parameters);
  parameters.delete(COPY_MARK);
  return copy.with({ parameters }).toText();
}
