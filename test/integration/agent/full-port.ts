/** A port on loopback at which connects neither succeed nor fail: its owner accepts nothing and its backlog is full. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import type { TestContext } from 'node:test';
import { atEnd, eventually } from './agent-process.js';

const OWNER = `
const server = require('node:net').createServer();
server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
  require('node:fs').writeSync(1, String(server.address().port));
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
});`;
/** A connect on loopback that is not done after this long waits for room in the backlog. */
const CONNECT_MS = 300;

export async function fullPort(t: TestContext): Promise<number> {
  const owner = spawn(process.execPath, ['-e', OWNER]);
  const ended = once(owner, 'close');
  atEnd(t, async () => {
    owner.kill('SIGKILL');
    await ended;
  });
  const [text] = (await once(owner.stdout, 'data')) as [Buffer];
  const port = Number(text.toString());
  await eventually('the backlog to be full', () => isFull(t, port));
  return port;
}

async function isFull(t: TestContext, port: number): Promise<boolean> {
  const socket = net.connect(port, '127.0.0.1');
  socket.on('error', () => undefined); // its owner is killed at the end
  atEnd(t, () => socket.destroy());
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(CONNECT_MS) });
    return false;
  } catch {
    return true;
  }
}
