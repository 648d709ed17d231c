/**
 * Processes, ports and waiting for the interop tests. Whatever is started here is ended after the last test of the file.
 * Nothing sleeps: a start waits for its own sign of life, and `eventually` asks again until the answer is the wanted one.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { peerOrSkip } from '../support/peers.js';

/** Between two looks at a condition. */
const LOOK_AGAIN_MS = 20;
/** A process that has not ended this long after SIGTERM is killed. */
const END_MS_MAX = 5_000;
const OUTPUT_CHARS_MAX = 256 * 1024;

/** A program of the other side, or what would bring it. */
export interface Peer {
  readonly name: string;
  readonly available: boolean;
  readonly hint: string;
}

/** A test that needs peers: skipped loudly without them, failed where CI promises them. */
export function peerTest(
  title: string,
  peers: readonly Peer[],
  body: (t: TestContext) => Promise<void>,
): void {
  test(title, async (t) => {
    for (const peer of peers) if (!peerOrSkip(t, peer.name, peer.available, peer.hint)) return;
    await body(t);
  });
}

const endings: (() => Promise<void>)[] = [];

/** Runs `end` after the last test of the file; the newest first. */
export function atEnd(end: () => Promise<void>): void {
  endings.push(end);
}

/** For files whose tests stand in a suite: what is registered here, outside of it, waits there for what it should end. */
export async function endAll(): Promise<void> {
  for (const end of endings.splice(0).reverse()) await end();
}

after(endAll);

/** Started by the first who asks, shared by all tests of a file. */
export function shared<T>(start: () => Promise<T>): () => Promise<T> {
  let started: Promise<T> | null = null;
  return () => {
    started ??= start();
    return started;
  };
}

/** An empty folder with a path short enough for unix sockets, removed at the end. */
export function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'interop-'));
  atEnd(async () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const portsGiven = new Set<number>();

/** A port that was free a moment ago and is given once. */
export async function freePort(): Promise<number> {
  for (;;) {
    const server = net.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as net.AddressInfo;
    server.close();
    await once(server, 'close');
    if (!portsGiven.has(port)) {
      portsGiven.add(port);
      return port;
    }
  }
}

/** The first answer of `probe` that is neither null nor false; fails after `withinMs`, naming the claim. */
export async function eventually<T>(
  claim: string,
  withinMs: number,
  probe: () => Promise<T | null | false>,
): Promise<T> {
  const endMs = Date.now() + withinMs;
  for (;;) {
    const answer = await probe();
    if (answer !== null && answer !== false) return answer;
    assert.ok(Date.now() < endMs, `not within ${withinMs} ms: ${claim}`);
    await pause(LOOK_AGAIN_MS);
  }
}

/** True when somebody accepts connections there. */
export async function accepts(target: number | string): Promise<boolean> {
  const socket = typeof target === 'number' ? net.connect(target, '127.0.0.1') : net.connect(target);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false; // nobody listens yet: the answer to the question
  } finally {
    socket.destroy();
  }
}

export interface Program {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
}

export class Running {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #output = '';
  #end: string | null = null;

  constructor(program: Program) {
    this.name = program.name;
    this.#child = spawn(program.command, program.args, {
      cwd: program.cwd,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const keep = (chunk: string): void => {
      this.#output = (this.#output + chunk).slice(-OUTPUT_CHARS_MAX);
    };
    this.#child.stdout?.setEncoding('utf8').on('data', keep);
    this.#child.stderr?.setEncoding('utf8').on('data', keep);
    this.#child.stdin?.on('error', () => {}); // a program that ended reads no more; `end` tells it
    this.#ended = new Promise((resolve) => {
      this.#child.on('error', (error) => {
        this.#end = error.message;
        resolve();
      });
      this.#child.on('exit', (code, signal) => {
        this.#end = signal === null ? `code ${code}` : `signal ${signal}`;
        resolve();
      });
    });
    atEnd(() => this.stop());
  }

  /** What it has printed so far, both streams, the newest part. */
  get output(): string {
    return this.#output;
  }

  /** Writes to its standard input. */
  say(text: string): void {
    this.#child.stdin?.write(text);
  }

  /** How it ended, or null while it runs. */
  get end(): string | null {
    return this.#end;
  }

  /** Resolves when it is gone. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.#end !== null) return;
    this.#child.kill(signal);
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), END_MS_MAX);
    await this.#ended;
    clearTimeout(timer);
  }
}

/** Starts a program and waits until `isReady`; its output is in the error when it ends before that. */
export async function start(
  program: Program,
  isReady: (running: Running) => Promise<boolean>,
  withinMs = 30_000,
): Promise<Running> {
  const running = new Running(program);
  try {
    await eventually(`${program.name} is ready`, withinMs, async () => {
      assert.equal(running.end, null, `${program.name} ended before it was ready`);
      return isReady(running);
    });
  } catch (error) {
    throw new Error(`${(error as Error).message}; it printed:\n${running.output}`);
  }
  return running;
}

/** For programs that say so on a line of their own. */
export async function saysReady(running: Running): Promise<boolean> {
  return /^ready$/m.test(running.output);
}

export interface Finished {
  /** null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end; killed after `withinMs`. */
export async function run(program: Program, withinMs = 60_000): Promise<Finished> {
  const child = spawn(program.command, program.args, { cwd: program.cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr = (stderr + chunk).slice(-OUTPUT_CHARS_MAX);
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), withinMs);
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, stdout, stderr };
  } finally {
    clearTimeout(timer);
  }
}

/** Runs `build.sh` of a peer's folder: at once when nothing changed. */
export async function buildPeer(name: string, folder: string, needs: string): Promise<Peer> {
  try {
    const { code, stderr, stdout } = await run(
      { name, command: './build.sh', args: [], cwd: folder },
      540_000,
    );
    if (code === 0) return { name, available: true, hint: '' };
    return { name, available: false, hint: `${needs}; build.sh: ${(stderr + stdout).trim().slice(-500)}` };
  } catch (error) {
    return { name, available: false, hint: `${needs}; build.sh: ${(error as Error).message}` };
  }
}

/** The JSON values of a client's lines; other lines are the client library's chatter. */
export function jsonLines<T>(finished: Finished): T[] {
  const lines = finished.stdout.split('\n').filter((line) => line.startsWith('{'));
  assert.ok(lines.length > 0, `the client printed no result, code ${finished.code}:\n${finished.stderr}`);
  return lines.map((line) => JSON.parse(line) as T);
}
