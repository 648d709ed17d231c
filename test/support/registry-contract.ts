/**
 * What every registry must do, whatever it talks to. Each implementation runs this suite in its own unit test.
 *
 * Nothing here sleeps: a condition is waited for, and "it does not happen" is shown by something later that does.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  COPY_MARK,
  type CommandListener,
  type CommandScope,
  type MeshUrl,
  type NodeListener,
  type Registry,
  type Subscription,
} from '../../src/core/index.js';

export interface RegistryHarness {
  /** One more registry that talks to the same place. The suite closes it, except when told otherwise. */
  open(): Registry;
  /** A refer of the service as this registry can answer it. */
  refer(service: string): MeshUrl;
  /** Puts content that makes no sense beside the nodes of a service; null when the registry has none. */
  addMalformed: ((refer: MeshUrl) => Promise<void>) | null;
  /** Writes a command as an operator does; null deletes it. Absent for a registry that holds none. */
  writeCommand?(scope: CommandScope, text: string | null): Promise<void>;
  close(): Promise<void>;
}

export interface RegistryAbilities {
  /** False for a registry whose nodes stand in the configuration; null for one that answers with other nodes than those that were announced. */
  readonly announces: boolean | null;
}

/** Bound of every wait; far beyond what any registry needs, so that only a fault meets it. */
const WAIT_MS = 10_000;

export function registryContract(
  name: string,
  abilities: RegistryAbilities,
  makeHarness: () => Promise<RegistryHarness>,
): void {
  const contract = (title: string, body: (tools: Tools) => Promise<void>): void => {
    test(`${name} registry ${title}`, async () => {
      const tools = new Tools(await makeHarness());
      try {
        await body(tools);
      } finally {
        await tools.close();
      }
    });
  };

  contract('answers a subscription only after subscribe has returned', async (tools) => {
    const registry = tools.open();

    let hasReturned = false;
    const answered = new Promise<boolean>((resolve) => {
      const answer = (): void => resolve(hasReturned);
      registry.subscribe(tools.refer('com.x.Echo'), { onNodes: answer, onTrouble: answer });
    });
    hasReturned = true;

    assert.equal(await answered, true);
  });

  contract('tells several subscribers of one service the same', async (tools) => {
    const registry = tools.open();
    const first = tools.watch(registry, 'com.x.Echo');
    const second = tools.watch(registry, 'com.x.Echo');

    await first.until(() => first.answers > 0);
    await second.until(() => second.answers > 0);

    assert.deepEqual(first.nodes, second.nodes);
  });

  contract('is settled when nothing was asked of it', async (tools) => {
    const registry = tools.open();

    assert.equal(await registry.settled(0), true);
  });

  contract('names itself and its subscriptions in its report', async (tools) => {
    const registry = tools.open();
    const watch = tools.watch(registry, 'com.x.Echo');
    await watch.until(() => watch.answers > 0);

    const report = registry.report();

    assert.equal(report.id, registry.id);
    assert.equal(report.protocol, registry.protocol);
    const { group, path } = tools.refer('com.x.Echo');
    assert.deepEqual(report.subscribed, [{ service: path, group, nodes: watch.nodes.length }]);
  });

  contract('forgets a closed subscription', async (tools) => {
    const registry = tools.open();
    const watch = tools.watch(registry, 'com.x.Echo');

    watch.subscription.close();
    watch.subscription.close();

    assert.deepEqual(registry.report().subscribed, []);
  });

  contract('can be closed twice, and is silent from then on', async (tools) => {
    const registry = tools.open();
    const watch = tools.watch(registry, 'com.x.Echo');

    await registry.close();
    const answers = watch.answers;
    await registry.close();
    await new Promise((resolve) => setImmediate(resolve));

    assert.equal(watch.answers, answers);
  });

  contract('names a place for commands exactly when it can be told some', async (tools) => {
    const place = tools.open().commandPlace(tools.group());

    assert.equal(place !== null, tools.harness.writeCommand !== undefined);
  });

  contract('tells a command from its writing to its end, and again when it comes back', async (tools) => {
    if (tools.harness.writeCommand === undefined) return;
    const registry = tools.open();
    const watch = tools.watchCommand(registry, tools.group());
    await watch.untilText(null);

    await tools.harness.writeCommand(tools.group(), '{"a":1}');
    await watch.untilText('{"a":1}');
    await tools.harness.writeCommand(tools.group(), '{"a":"h\u00fcbsch"}');
    await watch.untilText('{"a":"h\u00fcbsch"}');
    await tools.harness.writeCommand(tools.group(), null);
    await watch.untilText(null);
    await tools.harness.writeCommand(tools.group(), 'again');
    await watch.untilText('again');

    assert.deepEqual(watch.troubles, []);
    assert.equal(registry.report().lastError, null);
  });

  contract('takes an empty command for none', async (tools) => {
    if (tools.harness.writeCommand === undefined) return;
    await tools.harness.writeCommand(tools.group(), 'something');
    const watch = tools.watchCommand(tools.open(), tools.group());
    await watch.untilText('something');

    await tools.harness.writeCommand(tools.group(), '');
    await watch.untilText(null);
  });

  contract('keeps the commands of a group and of an application apart', async (tools) => {
    if (tools.harness.writeCommand === undefined) return;
    const { group } = tools.refer('com.x.Echo');
    const agents: CommandScope = { kind: 'agent', application: group };
    await tools.harness.writeCommand(tools.group(), 'for the group');
    await tools.harness.writeCommand(agents, 'for the agents');

    const registry = tools.open();
    const groupWatch = tools.watchCommand(registry, tools.group());
    const agentsWatch = tools.watchCommand(registry, agents);
    await groupWatch.untilText('for the group');
    await agentsWatch.untilText('for the agents');

    assert.deepEqual(groupWatch.texts, ['for the group']);
    assert.deepEqual(agentsWatch.texts, ['for the agents']);
  });

  contract('tells a late listener the command, and a closed one nothing more', async (tools) => {
    if (tools.harness.writeCommand === undefined) return;
    const registry = tools.open();
    const closed = tools.watchCommand(registry, tools.group());
    await closed.untilText(null);
    closed.subscription.close();
    closed.subscription.close();

    const open = tools.watchCommand(registry, tools.group());
    await tools.harness.writeCommand(tools.group(), 'text');
    await open.untilText('text');
    const late = tools.watchCommand(registry, tools.group());
    await late.untilText('text');

    assert.deepEqual(closed.texts, [null]);
  });

  if (abilities.announces === null) return;
  if (!abilities.announces) {
    contract('takes announcements without effect', async (tools) => {
      const registry = tools.open();
      const watch = tools.watch(registry, 'com.x.Echo');
      await watch.until(() => watch.answers > 0);
      const before = watch.texts();

      registry.announce(tools.node('com.x.Echo', 65_000), 'available');
      registry.withdraw(tools.node('com.x.Echo', 65_000));
      const later = tools.watch(registry, 'com.x.Echo');
      await later.until(() => later.answers > 0);

      assert.deepEqual(later.texts(), before);
      assert.deepEqual(registry.report().announced, []);
    });
    return;
  }

  contract('says that nobody serves what nobody announced', async (tools) => {
    const watch = tools.watch(tools.open(), 'com.x.Nobody');

    await watch.until(() => watch.answers > 0);

    assert.deepEqual(watch.nodes, []);
  });

  contract('shows an announced node with its parameters to another instance', async (tools) => {
    const node = tools.node('com.x.Echo', 8001).withParameter('weight', '7');
    const watch = tools.watch(tools.open(), 'com.x.Echo');
    const announcer = tools.open();

    announcer.announce(node, 'available');
    await watch.until(() => watch.nodes.length === 1);

    assert.deepEqual(watch.texts(), [node.toText()]);
  });

  contract('shows a node to a subscriber that comes later', async (tools) => {
    const announcer = tools.open();
    announcer.announce(tools.node('com.x.Echo', 8001), 'available');
    assert.equal(await announcer.settled(WAIT_MS), true);

    const watch = tools.watch(tools.open(), 'com.x.Echo');
    await watch.until(() => watch.answers > 0);

    assert.equal(watch.nodes.length, 1);
  });

  contract('does not show an unavailable node', async (tools) => {
    const announcer = tools.open();
    announcer.announce(tools.node('com.x.Echo', 8001), 'unavailable');
    announcer.announce(tools.node('com.x.Echo', 8002), 'available');
    assert.equal(await announcer.settled(WAIT_MS), true);

    const watch = tools.watch(tools.open(), 'com.x.Echo');
    await watch.until(() => watch.nodes.length > 0);

    assert.deepEqual(watch.ports(), [8002]);
  });

  contract('follows a node that becomes available and unavailable', async (tools) => {
    const announcer = tools.open();
    const watch = tools.watch(tools.open(), 'com.x.Echo');
    const node = tools.node('com.x.Echo', 8001);

    announcer.announce(node, 'unavailable');
    announcer.announce(node, 'available');
    await watch.until(() => watch.nodes.length === 1);
    announcer.announce(node, 'unavailable');
    await watch.until(() => watch.nodes.length === 0);

    assert.deepEqual(watch.nodes, []);
  });

  contract('lists a node no longer once it is withdrawn, and takes a second withdrawal', async (tools) => {
    const announcer = tools.open();
    const watch = tools.watch(tools.open(), 'com.x.Echo');
    const node = tools.node('com.x.Echo', 8001);
    announcer.announce(node, 'available');
    await watch.until(() => watch.nodes.length === 1);

    announcer.withdraw(node);
    announcer.withdraw(node);
    await watch.until(() => watch.nodes.length === 0);

    assert.equal(await announcer.settled(WAIT_MS), true);
    assert.deepEqual(announcer.report().announced, []);
  });

  contract('lists a node once however often it is announced, with its last parameters', async (tools) => {
    const announcer = tools.open();
    const watch = tools.watch(tools.open(), 'com.x.Echo');
    const node = tools.node('com.x.Echo', 8001);

    for (const weight of ['1', '1', '2'])
      announcer.announce(node.withParameter('weight', weight), 'available');
    await watch.until(() => watch.nodes[0]?.text('weight') === '2');

    assert.equal(watch.nodes.length, 1);
    assert.equal(announcer.report().announced.length, 1);
  });

  contract('keeps services, groups and ports apart', async (tools) => {
    const announcer = tools.open();
    const echo = tools.node('com.x.Echo', 8001);
    announcer.announce(echo, 'available');
    announcer.announce(echo.with({ port: 8002 }), 'available');
    announcer.announce(echo.with({ port: 8003, path: 'com.x.Other' }), 'available');
    announcer.announce(echo.with({ port: 8004, group: `${echo.group}-2` }), 'available');

    const watch = tools.watch(tools.open(), 'com.x.Echo');
    const other = tools.watch(tools.open(), 'com.x.Other');
    await watch.until(() => watch.nodes.length >= 2);
    await other.until(() => other.nodes.length >= 1);

    assert.deepEqual(watch.ports(), [8001, 8002]);
    assert.deepEqual(other.ports(), [8003]);
  });

  contract('tells nothing more to a closed subscription while others hear on', async (tools) => {
    const announcer = tools.open();
    const registry = tools.open();
    const closed = tools.watch(registry, 'com.x.Echo');
    const open = tools.watch(registry, 'com.x.Echo');
    await closed.until(() => closed.answers > 0);

    closed.subscription.close();
    const answers = closed.answers;
    announcer.announce(tools.node('com.x.Echo', 8001), 'available');
    await open.until(() => open.nodes.length === 1);

    assert.equal(closed.answers, answers);
  });

  contract('withdraws what it announced when it is closed', async (tools) => {
    const announcer = tools.open();
    const watch = tools.watch(tools.open(), 'com.x.Echo');
    announcer.announce(tools.node('com.x.Echo', 8001), 'available');
    await watch.until(() => watch.nodes.length === 1);

    await announcer.close();
    await watch.until(() => watch.nodes.length === 0);

    assert.deepEqual(watch.nodes, []);
  });

  contract('reports what is wanted and what is there', async (tools) => {
    const announcer = tools.open();
    const node = tools.node('com.x.Echo', 8001);
    announcer.announce(node, 'available');
    const before = announcer.report();
    assert.equal(await announcer.settled(WAIT_MS), true);
    const after = announcer.report();

    assert.deepEqual(before.announced, [{ node: node.toText(), desired: 'available', seen: 'absent' }]);
    assert.deepEqual(after.announced, [{ node: node.toText(), desired: 'available', seen: 'available' }]);
    assert.equal(after.lastError, null);
    assert.notEqual(after.lastContactMs, null);
  });

  contract('tells the services of which something is announced, where it can', async (tools) => {
    const registry = tools.open();
    if (registry.listServices === undefined) return;
    const node = tools.node('com.x.Echo', 8001);
    const odd = node.with({ path: 'com.x:Über{1}', group: `${node.group} 100%` });
    registry.announce(node, 'available');
    registry.announce(odd, 'available');
    assert.equal(await registry.settled(WAIT_MS), true);

    const services = await registry.listServices();

    const texts = services.map(({ group, path }) => `${group} ${path}`);
    assert.deepEqual(texts.sort(), [`${node.group} ${node.path}`, `${odd.group} ${odd.path}`].sort());
  });

  contract('lets a copy give way to the node itself, whichever was there first', async (tools) => {
    const [owner, bridge] = [tools.open(), tools.open()];
    if (bridge.listServices === undefined) return;
    const watch = tools.watch(tools.open(), 'com.x.Echo');
    const [first, second] = [tools.node('com.x.Echo', 8001), tools.node('com.x.Echo', 8002)];
    owner.announce(first, 'available');
    bridge.announce(copyOf(second), 'available');
    await watch.until(() => watch.nodes.length === 2);

    bridge.announce(copyOf(first), 'available');
    owner.announce(second, 'available');
    await watch.until(() => watch.texts().join() === [first.toText(), second.toText()].join());
    for (const node of [first, second]) bridge.withdraw(copyOf(node));
    assert.equal(await bridge.settled(WAIT_MS), true);
    assert.equal(await owner.settled(WAIT_MS), true);
    const later = tools.watch(tools.open(), 'com.x.Echo');
    await later.until(() => later.nodes.length > 0);

    assert.deepEqual(later.texts(), [first.toText(), second.toText()]);
  });

  contract('leaves out what makes no sense, names it, and shows the others', async (tools) => {
    if (tools.harness.addMalformed === null) return;
    const registry = tools.open();
    await tools.harness.addMalformed(tools.refer('com.x.Echo'));
    registry.announce(tools.node('com.x.Echo', 8001), 'available');

    const watch = tools.watch(registry, 'com.x.Echo');
    await watch.until(() => watch.nodes.length > 0);

    assert.deepEqual(watch.ports(), [8001]);
    assert.notEqual(registry.report().lastError, null);
  });
}

/** As a bridge announces it. */
function copyOf(node: MeshUrl): MeshUrl {
  return node.withParameter(COPY_MARK, 'elsewhere');
}

/** A subscription that remembers, and can be waited on. */
export class Watch implements NodeListener {
  nodes: readonly MeshUrl[] = [];
  answers = 0;
  readonly troubles: string[] = [];
  subscription!: Subscription;
  #wake: (() => void) | null = null;

  onNodes(nodes: readonly MeshUrl[]): void {
    this.nodes = nodes;
    this.answers += 1;
    this.#wake?.();
  }

  onTrouble(message: string): void {
    this.troubles.push(message);
    this.#wake?.();
  }

  texts(): string[] {
    return this.nodes.map((node) => node.toText()).sort();
  }

  ports(): number[] {
    return this.nodes.map((node) => node.port).sort();
  }

  /** Waits for a call of ours after which `condition` holds. */
  async until(condition: () => boolean, withinMs = WAIT_MS): Promise<void> {
    const deadline = performance.now() + withinMs;
    while (!condition()) {
      const leftMs = deadline - performance.now();
      if (leftMs <= 0)
        throw new Error(
          `not within ${withinMs} ms: ${condition.toString()}; nodes ${this.texts().join(' ')}`,
        );
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = null;
    }
  }
}

/** Listens to a command, and can be waited on. */
export class CommandWatch implements CommandListener {
  /** Without repetitions. */
  readonly texts: (string | null)[] = [];
  readonly troubles: string[] = [];
  subscription!: Subscription;
  #wake: (() => void) | null = null;

  onCommand(text: string | null): void {
    if (this.texts.length === 0 || this.texts.at(-1) !== text) this.texts.push(text);
    this.#wake?.();
  }

  onTrouble(message: string): void {
    this.troubles.push(message);
    this.#wake?.();
  }

  untilText(text: string | null): Promise<void> {
    return this.until(() => this.texts.length > 0 && this.texts.at(-1) === text, JSON.stringify(text));
  }

  async until(condition: () => boolean, name = condition.toString()): Promise<void> {
    const deadline = performance.now() + WAIT_MS;
    while (!condition()) {
      const leftMs = deadline - performance.now();
      if (leftMs <= 0)
        throw new Error(
          `not within ${WAIT_MS} ms: ${name}; told ${JSON.stringify([this.texts, this.troubles])}`,
        );
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = null;
    }
  }
}

class Tools {
  readonly harness: RegistryHarness;
  readonly #opened: Registry[] = [];

  constructor(harness: RegistryHarness) {
    this.harness = harness;
  }

  open(): Registry {
    const registry = this.harness.open();
    this.#opened.push(registry);
    return registry;
  }

  refer(service: string): MeshUrl {
    return this.harness.refer(service);
  }

  node(service: string, port: number): MeshUrl {
    const parameters = new Map([['nodeType', 'service']]);
    return this.refer(service).with({ protocol: 'motan2', host: '127.0.0.1', port, parameters });
  }

  /** Scope of the commands for those who refer to the service of the tests. */
  group(): CommandScope {
    return { kind: 'service', group: this.refer('com.x.Echo').group };
  }

  watchCommand(registry: Registry, scope: CommandScope): CommandWatch {
    const watch = new CommandWatch();
    watch.subscription = registry.subscribeCommand(scope, watch);
    return watch;
  }

  watch(registry: Registry, service: string): Watch {
    const watch = new Watch();
    watch.subscription = registry.subscribe(this.refer(service), watch);
    return watch;
  }

  async close(): Promise<void> {
    for (const registry of this.#opened) await registry.close();
    await this.harness.close();
  }
}
