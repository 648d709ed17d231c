/** Starting, watching and ending the processes of a benchmark. Whatever was started here is ended with this process. */
import { execFile, spawn } from 'node:child_process';
import { createWriteStream, readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { promisify } from 'node:util';

const run = promisify(execFile);
const STOP_MS = 5000;
const children = new Set();

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => process.exit(130));
}
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/**
 * Starts a long-running program on one CPU (null: any). Its output goes to `logFile`.
 * @returns the child; it is the program itself, as taskset replaces itself by it
 */
export function start(command, args, { cpu, cwd, logFile }) {
  const words = cpu === null ? [command, ...args] : ['taskset', '-c', String(cpu), command, ...args];
  const child = spawn(words[0], words.slice(1), { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  const log = createWriteStream(logFile);
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  child.on('close', () => {
    children.delete(child);
    log.end();
  });
  child.on('error', (error) => log.write(`${error.message}\n`));
  child.logFile = logFile;
  children.add(child);
  return child;
}

export async function stop(child) {
  if (hasEnded(child)) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await ended;
  clearTimeout(timer);
}

/** Runs a program to its end and gives what it printed. Throws with its errors when it fails or outlives its time. */
export async function runOnce(command, args, { cwd, timeoutMs }) {
  const options = { cwd, timeout: timeoutMs, maxBuffer: 16 * 1024 * 1024, killSignal: 'SIGKILL' };
  const running = run(command, args, options);
  children.add(running.child);
  try {
    return (await running).stdout.trim();
  } catch (error) {
    const said = `${error.stderr ?? ''}${error.stdout ?? ''}`.trim() || error.message;
    const end = error.killed ? ' (out of time)' : '';
    throw new Error(`${command} ${args.slice(0, 3).join(' ')} ... failed${end}: ${said}`);
  } finally {
    children.delete(running.child);
  }
}

export async function isThere(command, ...args) {
  try {
    await run(command, args);
    return true;
  } catch (error) {
    if (error.code === 'ENOENT') return false;
    throw error;
  }
}

/** A port of loopback that is free now. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Resolves with the ms it took until `port` accepts; throws when the child ended or the time is over. */
export async function portOpen(port, child, timeoutMs) {
  const startedMs = performance.now();
  while (!(await accepts(port))) {
    if (hasEnded(child))
      throw new Error(`it ended before it listened:\n${readFileSync(child.logFile, 'utf8').slice(-4000)}`);
    if (performance.now() - startedMs > timeoutMs)
      throw new Error(`it does not listen on ${port} after ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return performance.now() - startedMs;
}

function accepts(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => resolve(true));
    socket.on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
}

export function rssKib(pid) {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
}

function hasEnded(child) {
  return child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
}
