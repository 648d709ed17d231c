/** Starting, watching and ending the processes of a benchmark. Whatever was started here is ended with this process. */
import { execFile, spawn } from 'node:child_process';
import {
  createWriteStream,
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs';
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
  child.logged = new Promise((resolve) => log.on('close', resolve));
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

/** Ports of loopback that are free now. They are held together, so that none is given twice. */
export async function freePorts(count) {
  const servers = await Promise.all(Array.from({ length: count }, hold));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function hold() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => resolve(server));
  });
}

/** A port was free when it was chosen, and somebody else took it before the program for which it was meant: choose another. */
export class PortTaken extends Error {}

/**
 * Resolves when `child` listens on `port`; throws when it ended or the time is over. That the port accepts is not enough: any
 * program of the machine may have been given it since it was free, and will be gone when the first call arrives.
 */
export async function listening(port, child, timeoutMs) {
  const startedMs = performance.now();
  while (!(await accepts(port))) {
    await requireRunning(child);
    if (performance.now() - startedMs > timeoutMs)
      throw new Error(`it does not listen on ${port} after ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await requireRunning(child);
  if (!hasListener(child.pid, port)) throw new PortTaken(`another program listens on ${port}`);
}

/** Throws with what the child said when it has ended. */
export async function requireRunning(child) {
  if (!hasEnded(child)) return;
  await child.logged;
  const said = readFileSync(child.logFile, 'utf8').slice(-4000);
  const text = `it ended:\n${said}`;
  throw /EADDRINUSE|address already in use/i.test(said) ? new PortTaken(text) : new Error(text);
}

function accepts(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => resolve(false));
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}

/** Whether one of the process's descriptors is a socket that listens on `port`. */
function hasListener(pid, port) {
  const inodes = ['/proc/net/tcp', '/proc/net/tcp6']
    .filter((file) => existsSync(file))
    .flatMap((file) => listenerInodes(readFileSync(file, 'utf8'), port));
  return readdirSync(`/proc/${pid}/fd`).some((fd) => inodes.includes(linkOf(`/proc/${pid}/fd/${fd}`)));
}

/** Columns of /proc/net/tcp: slot, local address, remote address, state, queues, timer, retransmits, user, timeout, inode. */
function listenerInodes(table, port) {
  const [LISTEN, suffix] = ['0A', `:${port.toString(16).toUpperCase().padStart(4, '0')}`];
  return table
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, , state]) => state === LISTEN && local.endsWith(suffix))
    .map((columns) => `socket:[${columns[9]}]`);
}

function linkOf(file) {
  try {
    return readlinkSync(file);
  } catch {
    return ''; // closed between the listing and now
  }
}

/** The process and all that descend from it: a server's workers work for it. */
export function family(pid) {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return [
    pid,
    ...children
      .split(' ')
      .filter(Boolean)
      .flatMap((child) => family(Number(child))),
  ];
}

export function rssKib(pid) {
  return statusKib(pid, 'VmRSS');
}

/** The most that was resident since `forgetPeakRss`. */
export function peakRssKib(pid) {
  return statusKib(pid, 'VmHWM');
}

export function forgetPeakRss(pid) {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

function statusKib(pid, key) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(status)[1]);
}

function hasEnded(child) {
  return child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
}
