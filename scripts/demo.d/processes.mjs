/** The processes of the demo: started, watched, and stopped whatever happens. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

const START_MS_MAX = 20_000;
const STOP_MS_MAX = 20_000;
const RUN_MS_MAX = 60_000;
const OUTPUT_CHARS_MAX = 64 * 1024;
const ASK_AGAIN_MS = 50;

const running = new Set();

/**
 * A program that stays. Resolves when its output matches `sign`, or when `sign` is a function that resolves with true; rejects with what
 * it said when it ends before.
 */
export async function start(name, command, args, sign, cwd) {
  // A process group of its own, so that Ctrl-C reaches this program only and the order of stopping is ours.
  const child = spawn(command, args, { cwd, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const program = { name, child, output: '', exited: ended(child) };
  running.add(program);
  program.exited.then(() => running.delete(program));
  await new Promise((resolve, reject) => {
    const refuse = (why) => reject(new Error(`${name} ${why}; it said:\n${program.output}`));
    const timer = setTimeout(() => refuse(`was not ready within ${START_MS_MAX / 1000} s`), START_MS_MAX);
    const onText = (text) => {
      program.output = (program.output + text).slice(-OUTPUT_CHARS_MAX);
      if (typeof sign === 'function') return;
      program.ready = sign.exec(program.output) ?? program.ready;
      if (program.ready) settle(resolve);
    };
    let isSettled = false;
    const settle = (how) => {
      isSettled = true;
      clearTimeout(timer);
      how();
    };
    const ask = async () => {
      while (!isSettled && !(await sign())) await pause(ASK_AGAIN_MS);
      settle(resolve);
    };
    if (typeof sign === 'function') ask().catch((error) => settle(() => reject(error)));
    child.stdout.setEncoding('utf8').on('data', onText);
    child.stderr.setEncoding('utf8').on('data', onText);
    child.once('error', (error) => settle(() => refuse(`cannot be started: ${error.message}`)));
    child.once('exit', (code) => settle(() => refuse(`ended with ${code}`)));
  });
  return program;
}

/** Exit code and signal; never rejects, also when the program could not be started. */
function ended(child) {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve([code, signal]));
    child.once('error', () => resolve([null, 'not started']));
  });
}

/** Asks a program to end. Resolves with its exit code, or the signal that ended it. */
export async function stop(program) {
  const { child } = program;
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
  const [code, signal] = await program.exited;
  clearTimeout(timer);
  return code ?? signal;
}

/** The newest first: the agent goes before the services that it calls. */
export async function stopAll() {
  for (const program of [...running].reverse()) await stop(program);
}

/** When this process ends in a way that it did not choose. */
export function killAll() {
  for (const { child } of running) child.kill('SIGKILL');
}

/** A program that ends by itself. Resolves with its exit code and what it printed. */
export function run(command, args, cwd) {
  const child = spawn(command, args, { cwd, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const program = { name: command, child, output: '', exited: ended(child) };
  running.add(program);
  const result = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text) => {
    result.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    result.stderr += text;
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), RUN_MS_MAX);
  return new Promise((resolve, reject) => {
    child.once('error', (error) => {
      running.delete(program);
      clearTimeout(timer);
      reject(error);
    });
    child.once('close', (code, signal) => {
      running.delete(program);
      clearTimeout(timer);
      resolve({ ...result, code: code ?? signal });
    });
  });
}

/** True when the program is installed. */
export function has(command) {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;
}

/** Ports that nobody uses now. */
export async function freePorts(count) {
  const servers = Array.from({ length: count }, () => net.createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
