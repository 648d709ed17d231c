/** The program of the descriptors test: a plane in a process that may open few files. Says what it sees on every line of input. */
import readline from 'node:readline';
import { Scene } from '../../support/plane.js';

const made = await Scene.create({ descriptorsMax: 100_000 });
await made.start([{ nodes: [Number(process.argv[2])] }]);

function tell(): void {
  const { user, system } = process.cpuUsage();
  const line = { port: made.plane.port('forward'), cpuMs: (user + system) / 1000, listener: made.listener };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

const lines = readline.createInterface({ input: process.stdin });
lines.on('line', tell);
lines.on('close', () => {
  void made.drain(1000).then(() => process.exit(0));
});
tell();
