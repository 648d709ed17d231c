/**
 * One figure of one registry, in a process of its own: `measure.ts CASE REGISTRY CHANGES SECONDS FILE` writes it to the file as JSON.
 * Started by `run.mjs`.
 */
import { writeFileSync } from 'node:fs';
import { consul } from '../../test/interop/registry-faults/consul-kind.js';
import { redis } from '../../test/interop/registry-faults/redis-kind.js';
import type { RegistryKind } from '../../test/interop/registry-faults/registry-under-test.js';
import { zookeeper } from '../../test/interop/registry-faults/zookeeper-kind.js';
import { endAll } from '../../test/interop/support.js';
import { measureLatency } from './latency.js';
import { measureScale } from './scale.js';

const KINDS: Readonly<Record<string, RegistryKind>> = { zookeeper, consul, redis };

const [what, name, changes, seconds, file] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
];
const kind = KINDS[name] ?? null;
let figures: object = { isMissing: true };
try {
  if (kind === null) figures = await measureScale(null, Number(seconds));
  else if (kind.peer.available)
    figures =
      what === 'latency'
        ? await measureLatency(kind, Number(changes))
        : await measureScale(kind, Number(seconds));
} finally {
  await endAll();
}
writeFileSync(file, JSON.stringify(figures));
process.exit(0);
