import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Announcer } from '../../../src/agent/announcer.js';
import {
  type AgentConfig,
  MeshUrl,
  type Registry,
  type RegistryReport,
  silentLogger,
} from '../../../src/core/index.js';

const NODES = Array.from({ length: 12 }, (_, index) =>
  MeshUrl.parse(`motan2://10.0.0.1:9982/com.x.S${index}?group=g`),
);

/** Makes true as many nodes as `rounds` says, one number for each time that somebody waits for it. */
class SlowRegistry {
  readonly id = 'r1';
  waits = 0;
  readonly #rounds: readonly number[];
  readonly #wanted = new Set<string>();
  #trueCount = 0;

  constructor(rounds: readonly number[]) {
    this.#rounds = rounds;
  }

  announce(node: MeshUrl): void {
    this.#wanted.add(node.identity);
  }

  async settled(): Promise<boolean> {
    this.#trueCount += this.#rounds[this.waits] ?? 0;
    this.waits += 1;
    return this.#trueCount >= this.#wanted.size;
  }

  report(): Pick<RegistryReport, 'announced'> {
    const announced = [...this.#wanted].map((node, index) => ({
      node,
      desired: 'unavailable' as const,
      seen: index < this.#trueCount ? ('unavailable' as const) : ('available' as const),
    }));
    return { announced };
  }
}

async function farewell(rounds: readonly number[]): Promise<{ waits: number; warnings: string[] }> {
  const registry = new SlowRegistry(rounds);
  const services = NODES.map((url) => ({
    id: url.path,
    confId: url.path,
    url,
    registryIds: ['r1'],
    place: null,
  }));
  const warnings: string[] = [];
  const announcer = new Announcer({
    registries: new Map([['r1', registry as unknown as Registry]]),
    logger: { ...silentLogger, warn: (about: object) => void warnings.push(JSON.stringify(about)) },
    config: () => ({ agent: { registry: null }, services }) as unknown as AgentConfig,
    isServing: () => true,
    unhealthy: () => new Set(),
    port: () => 0,
  });
  announcer.announce();
  await announcer.sayFarewell();
  return { waits: registry.waits, warnings };
}

test('a registry that goes on hearing the farewell is waited for', async () => {
  assert.deepEqual(await farewell([4, 4, 4]), { waits: 3, warnings: [] });
});

test('a registry that hears nothing more is given up, and what it did not hear is told', async () => {
  assert.deepEqual(await farewell([4, 0, 8]), { waits: 2, warnings: ['{"registry":"r1","nodes":8}'] });
});

test('a registry is not waited for without end', async () => {
  const rounds = NODES.map(() => 1);

  assert.deepEqual(await farewell(rounds), { waits: 5, warnings: ['{"registry":"r1","nodes":7}'] });
});
