/** Logs of the process: where they are, and that no trouble of theirs ever reaches a call. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { within } from '../../support/clock.js';
import { request } from '../../support/frames.js';
import {
  type AgentProcess,
  direct,
  eventually,
  Home,
  PEONY,
  SERVICE,
  startUpstream,
} from './agent-process.js';

const LOGS = ['peony.log', 'peony-access.log'];
const CALLS = 200;
/** What waits for the access log is bounded by 8 MiB; this many lines of a long method name are beyond it. */
const LONG_METHOD = 'm'.repeat(60_000);
const CALLS_BEYOND = 200;

interface Running {
  readonly home: Home;
  readonly agent: AgentProcess;
  readonly send: (count: number, method: string) => Promise<number>;
}

/** An agent with an access log, whose log files were made by `prepare`. */
async function startWithLogs(
  t: TestContext,
  prepare: (home: Home) => void,
  logDir = 'log',
): Promise<Running> {
  const home = await Home.make(t);
  const upstream = await startUpstream(t);
  const sections = direct(upstream.port);
  const hello = { ...(sections['motan-refer']!.hello as object), filter: 'accessLog' };
  mkdirSync(home.path('log'));
  prepare(home);
  const config = { ...sections, 'motan-refer': { hello }, 'motan-agent': { log_dir: logDir } };
  const agent = await home.start(t, { config });
  const caller = await agent.caller(t);
  let id = 0n;
  /** Median milliseconds of a call. */
  const send = async (count: number, method: string): Promise<number> => {
    const times: number[] = [];
    for (let index = 0; index < count; index += 1) {
      id += 1n;
      const startMs = performance.now();
      caller.send(request({ id, service: SERVICE, method, metadata: { M_g: 'g1' } }));
      const answer = await caller.next();
      times.push(performance.now() - startMs);
      assert.deepEqual([answer.id, answer.versionStatus & 7], [id, 0]);
    }
    return times.sort((a, b) => a - b)[count >> 1]!;
  };
  return { home, agent, send };
}

async function assertCallsGoOn(t: TestContext, { agent, send }: Running): Promise<void> {
  const well = await startWithLogs(t, () => {});
  const usualMs = await well.send(CALLS, 'hello');

  const medianMs = await send(CALLS, 'hello');
  await send(CALLS_BEYOND, LONG_METHOD);
  const lateMs = await send(CALLS, 'hello');

  // Of one class with a healthy log; a machine that is busy with other things may well double a millisecond.
  const limitMs = usualMs * 3 + 5;
  assert.ok(Math.max(medianMs, lateMs) < limitMs, `${medianMs} ${lateMs} ms, usually ${usualMs} ms`);
  const access = await eventually('drops to be told', async () => {
    const { logs } = await agent.status();
    return logs.find((log) => log.name === 'access' && log.linesDropped > 0 && log.trouble !== null);
  });
  assert.ok((await agent.metric('peony_log_lines_dropped_total{log="access"}')) >= access.linesDropped);
  assert.equal((await agent.get('/200')).code, 200);
}

test('a full disk under the logs costs lines and no calls', async (t) => {
  const running = await startWithLogs(t, (home) => {
    for (const name of LOGS) symlinkSync('/dev/full', home.path('log', name));
  });

  await assertCallsGoOn(t, running);

  assert.equal(await running.agent.stop(), 0);
});

test('logs that are FIFOs which nobody reads cost lines and no calls', async (t) => {
  const running = await startWithLogs(t, (home) => {
    for (const name of LOGS) execFileSync('mkfifo', [home.path('log', name)]);
  });

  await assertCallsGoOn(t, running);

  assert.equal(await running.agent.stop(), 0);
});

test('a standard output that nobody reads any more costs lines, and neither calls nor the stop', async (t) => {
  const running = await startWithLogs(t, () => {}, 'stdout');
  const { agent } = running;
  agent.child.stdout!.pause();

  await assertCallsGoOn(t, running);
  const exited = once(agent.child, 'exit');
  agent.signal('SIGTERM');

  assert.deepEqual(await within('the agent to end', exited, 10_000), [0, null]);
  agent.child.stdout!.resume();
});

test('with log_dir stdout both logs go there and no file is made', async (t) => {
  const { home, agent, send } = await startWithLogs(t, () => {}, 'stdout');

  await send(1, 'marked');

  await eventually(
    'a line of each log',
    () => agent.stdout.includes('marked') && agent.stdout.includes('"the agent serves"'),
  );
  assert.deepEqual(readdirSync(home.path('log')), []);
  assert.ok(!readdirSync(home.folder).includes('stdout'));
});

test('log files carry the name under which the program was started', async (t) => {
  const home = await Home.make(t);
  symlinkSync(PEONY, home.path('weibo-mesh'));

  await home.start(t, { program: home.path('weibo-mesh') });

  await eventually('the log to be there', () =>
    home.read('log', 'weibo-mesh.log').includes('the agent serves'),
  );
  assert.ok(readdirSync(home.path('log')).every((name) => name.startsWith('weibo-mesh')));
});
