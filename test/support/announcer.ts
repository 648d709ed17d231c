/**
 * A process that shares a file registry: `announcer.ts <directory> <node url>...` announces the nodes as available, prints
 * `ready`, and lives until its standard input ends; then it withdraws them. The process tests end it in rougher ways.
 */
import { registries } from '../../src/control/registry/index.js';
import { MeshUrl, silentLogger } from '../../src/core/index.js';
import { realClock } from './registry-deps.js';

const [directory = '', ...nodes] = process.argv.slice(2);
const deps = { clock: realClock, logger: silentLogger, random: Math.random, defaultDirectory: directory };
const registry = registries.file.create('announcer', MeshUrl.parse('file://:0/'), deps);
for (const node of nodes) registry.announce(MeshUrl.parse(node), 'available');
if (!(await registry.settled(10_000))) throw new Error(registry.report().lastError ?? 'not settled');
console.log('ready');
process.stdin.on('end', () => void registry.close());
process.stdin.resume();
