/** Which servers callers of the HTTP port reach. Names are looked up by a table, not by the system. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { TargetPolicy, type TargetVerdict } from '../../../../../src/data/server/http/target-policy.js';
import { IoLoop } from '../../../../../src/data/transport/index.js';
import { FakeClock } from '../../../../support/clock.js';

const OWN_PORTS: ReadonlySet<number> = new Set([8002, 9981, 9982, 9983]);
const OWN_ADDRESSES = ['127.0.0.1', '::1', '10.9.9.9', 'fe80::9%eth0'];

const NAMES: Readonly<Record<string, readonly string[]>> = {
  'shop.example.com': ['93.184.216.34'],
  'other.example.com': ['93.184.216.35', '2606:2800::1'],
  'inside.example.com': ['10.1.2.3'],
  'loop.example.com': ['127.0.0.1'],
  'loop6.example.com': ['::1'],
  'half.example.com': ['127.0.0.1', '93.184.216.34'],
  'metadata.example.com': ['169.254.169.254'],
  'me.example.com': ['10.9.9.9'],
  localhost: ['::1', '127.0.0.1'],
};

interface Scene {
  readonly policy: TargetPolicy;
  readonly loop: IoLoop;
  readonly clock: FakeClock;
  /** Names that were looked up. */
  readonly asked: string[];
  names: Record<string, readonly string[]>;
}

function scene(t: TestContext, allow: readonly string[]): Scene {
  const clock = new FakeClock();
  const loop = new IoLoop(clock);
  t.after(() => loop.close());
  const asked: string[] = [];
  const names = { ...NAMES };
  const policy = new TargetPolicy(allow, {
    loop,
    ownPorts: () => OWN_PORTS,
    ownAddresses: OWN_ADDRESSES,
    lookup: (name, done) => {
      asked.push(name);
      const found = names[name] ?? [];
      done(found.length === 0 ? 'ENOTFOUND' : null, found);
    },
  });
  return { policy, loop, clock, asked, names };
}

function check(policy: TargetPolicy, host: string, port: number, isDomain = false): TargetVerdict {
  const verdicts: TargetVerdict[] = [];
  policy.check(host, port, isDomain, { onTarget: (verdict) => verdicts.push(verdict) });
  assert.equal(verdicts.length, 1);
  return verdicts[0]!;
}

/** Addresses that may be connected to, or why not. */
function outcome(verdict: TargetVerdict): string {
  return verdict.kind === 'allowed' ? verdict.addresses.join(' ') : verdict.kind;
}

// entries | host | port | addresses to connect to, or `refused`
const ROWS: readonly (readonly [string, string, number, string])[] = [
  // Nothing is allowed unless an entry names it.
  ['', 'shop.example.com', 80, 'refused'],
  ['', '93.184.216.34', 80, 'refused'],
  ['other.example.com', 'shop.example.com', 80, 'refused'],
  ['shop.example.com', 'shop.example.com', 80, '93.184.216.34'],
  ['shop.example.com', 'SHOP.Example.COM.', 80, '93.184.216.34'],
  ['shop.example.com', '93.184.216.34', 80, 'refused'],
  ['shop.example.com:443', 'shop.example.com', 443, '93.184.216.34'],
  ['shop.example.com:443', 'shop.example.com', 80, 'refused'],
  ['*.example.com', 'shop.example.com', 80, '93.184.216.34'],
  ['*.example.com', 'example.com', 80, 'refused'],
  ['*.shop.example.com', 'shop.example.com', 80, 'refused'],
  ['*.example.com', 'badexample.com', 80, 'refused'],
  ['*:443', 'shop.example.com', 443, '93.184.216.34'],
  ['*:443', 'shop.example.com', 80, 'refused'],
  ['*', 'other.example.com', 80, '93.184.216.35 2606:2800::1'],
  ['93.184.216.34', 'shop.example.com', 80, '93.184.216.34'],
  ['93.184.216.34:80', '93.184.216.34', 80, '93.184.216.34'],
  ['93.184.216.34:80', '93.184.216.34', 81, 'refused'],
  ['10.0.0.0/8', 'inside.example.com', 80, '10.1.2.3'],
  ['10.0.0.0/8', 'shop.example.com', 80, 'refused'],
  ['10.0.0.0/8', '::ffff:10.1.2.3', 80, '10.1.2.3'],
  ['2606:2800::/32', 'other.example.com', 80, '2606:2800::1'],

  // Loopback and other special addresses need an entry that names them.
  ['*', '127.0.0.1', 80, 'refused'],
  ['*', '127.0.0.2', 80, 'refused'],
  ['*', '127.255.255.254', 80, 'refused'],
  ['*', '[::1]', 80, 'refused'],
  ['*', '[::ffff:127.0.0.1]', 80, 'refused'],
  ['*', '[::ffff:7f00:1]', 80, 'refused'],
  ['*', '[::127.0.0.1]', 80, 'refused'],
  ['*', '[64:ff9b::7f00:1]', 80, 'refused'],
  ['*', '[2002:7f00:1::]', 80, 'refused'],
  ['*', '0.0.0.0', 80, 'refused'],
  ['*', '0', 80, 'refused'],
  ['*', '[::]', 80, 'refused'],
  ['*', '2130706433', 80, 'refused'],
  ['*', '0x7f000001', 80, 'refused'],
  ['*', '0x7f.1', 80, 'refused'],
  ['*', '0177.0.0.1', 80, 'refused'],
  ['*', '127.1', 80, 'refused'],
  ['*', '127.0.0.1.', 80, 'refused'],
  ['*', '127.0.0.1..', 80, 'refused'],
  ['*', 'localhost', 80, 'refused'],
  ['*', 'localhost.', 80, 'refused'],
  ['*', 'loop.example.com', 80, 'refused'],
  ['*', 'loop6.example.com', 80, 'refused'],
  ['*.example.com', 'loop.example.com', 80, 'refused'],
  ['*', 'half.example.com', 80, '93.184.216.34'],
  ['*', '169.254.169.254', 80, 'refused'],
  ['*', '0xa9fea9fe', 80, 'refused'],
  ['*', '[::ffff:169.254.169.254]', 80, 'refused'],
  ['*', 'metadata.example.com', 80, 'refused'],
  ['*', '100.100.100.200', 80, 'refused'],
  ['*', '[fd00:ec2::254]', 80, 'refused'],
  ['*', '[fe80::1]', 80, 'refused'],
  ['*', '224.0.0.1', 80, 'refused'],
  ['*', '255.255.255.255', 80, 'refused'],
  ['*', '[ff02::1]', 80, 'refused'],
  ['0.0.0.0/0', '127.0.0.1', 80, 'refused'],
  ['::/0', '::1', 80, 'refused'],
  ['localhost', 'localhost', 80, '127.0.0.1 ::1'],
  ['localhost', '127.0.0.1', 80, 'refused'],
  ['loop.example.com', 'loop.example.com', 80, '127.0.0.1'],
  ['127.0.0.1', '127.0.0.1', 80, '127.0.0.1'],
  ['127.0.0.1', '127.0.0.2', 80, 'refused'],
  ['127.0.0.1', 'localhost', 80, '127.0.0.1'],
  ['127.0.0.1', '2130706433', 80, '127.0.0.1'],
  ['127.0.0.0/8', '127.0.0.2', 80, '127.0.0.2'],
  ['[::1]:80', '::1', 80, '::1'],
  ['169.254.169.254', 'metadata.example.com', 80, '169.254.169.254'],

  // The agent itself: never.
  ['*,localhost', 'localhost', 9983, 'refused'],
  ['localhost:8002', 'localhost', 8002, 'refused'],
  ['loop.example.com', 'loop.example.com', 9981, 'refused'],
  ['127.0.0.0/8', '127.0.0.1', 9983, 'refused'],
  ['127.0.0.0/8', '127.0.0.2', 9982, 'refused'],
  ['127.0.0.0/8', '2130706433', 9983, 'refused'],
  ['127.0.0.0/8', '[::ffff:127.0.0.1]', 8002, 'refused'],
  ['::1', '[::1]', 9983, 'refused'],
  ['0.0.0.0', '0.0.0.0', 9983, 'refused'],
  ['::', '[::]', 9983, 'refused'],
  ['*,10.9.9.9', '10.9.9.9', 9983, 'refused'],
  ['*,me.example.com', 'me.example.com', 8002, 'refused'],
  ['fe80::9', '[fe80::9]', 9983, 'refused'],
  ['10.9.9.9', '10.9.9.9', 80, '10.9.9.9'],
  ['*', '10.1.2.3', 9983, '10.1.2.3'],

  // No names.
  ['*', '', 80, 'refused'],
  ['*', '1.2.3.4.5', 80, 'refused'],
  ['*', '4294967296', 80, 'refused'],
  ['*', `${'a.'.repeat(127)}example`, 80, 'refused'],
];

for (const [entries, host, port, expected] of ROWS) {
  const name = host.length > 60 ? `${host.slice(0, 20)}...` : host;
  test(`with [${entries}] ${JSON.stringify(name)} port ${port} is ${expected}`, (t) => {
    const { policy } = scene(t, entries === '' ? [] : entries.split(','));

    assert.equal(outcome(check(policy, host, port)), expected);
  });
}

test('a refusal names the setting', (t) => {
  const { policy } = scene(t, []);

  const verdict = check(policy, 'shop.example.com', 80);

  assert.deepEqual(verdict, { kind: 'refused', text: 'shop.example.com:80 is not named by httpProxyAllow' });
});

test('the domain of an http-client is reached without an entry, its loopback address is not', (t) => {
  const { policy } = scene(t, []);

  assert.equal(outcome(check(policy, 'shop.example.com', 80, true)), '93.184.216.34');
  assert.equal(outcome(check(policy, 'loop.example.com', 80, true)), 'refused');
  assert.equal(outcome(check(policy, 'me.example.com', 9983, true)), 'refused');
});

test('a name that no entry can let through is not looked up', (t) => {
  const { policy, asked } = scene(t, ['*.example.com', '10.0.0.0/8', 'shop.example.com:443']);

  check(policy, 'shop.example.com', 80);
  check(policy, 'elsewhere.test', 80);
  const { policy: other, asked: askedOther } = scene(t, ['shop.example.com:443']);
  check(other, 'shop.example.com', 80);

  assert.deepEqual(asked, ['shop.example.com', 'elsewhere.test']);
  assert.deepEqual(askedOther, []);
});

test('addresses are kept for a minute, then looked up anew', (t) => {
  const { policy, asked, names, clock, loop } = scene(t, ['*']);
  check(policy, 'shop.example.com', 80);
  names['shop.example.com'] = ['127.0.0.1'];

  clock.advanceMs(59_000);
  loop.tick();
  const kept = check(policy, 'shop.example.com', 80);
  clock.advanceMs(2000);
  loop.tick();
  const anew = check(policy, 'shop.example.com', 80);

  assert.equal(outcome(kept), '93.184.216.34');
  assert.equal(outcome(anew), 'refused');
  assert.equal(asked.length, 2);
});

test('a name that is not found is not looked up again for five seconds', (t) => {
  const { policy, asked, clock, loop } = scene(t, ['*']);

  const first = check(policy, 'nobody.test', 80);
  check(policy, 'nobody.test', 80);
  clock.advanceMs(5001);
  loop.tick();
  check(policy, 'nobody.test', 80);

  assert.deepEqual(first, { kind: 'unresolved', text: 'nobody.test: ENOTFOUND' });
  assert.equal(asked.length, 2);
});

test('the names that are kept are bounded', (t) => {
  const { policy, asked } = scene(t, ['*']);
  check(policy, 'shop.example.com', 80);

  for (let index = 0; index < 1024; index += 1) check(policy, `n${index}.test`, 80);
  check(policy, 'shop.example.com', 80);

  assert.equal(asked.filter((name) => name === 'shop.example.com').length, 2);
});

interface SlowLookup {
  readonly policy: TargetPolicy;
  readonly loop: IoLoop;
  readonly clock: FakeClock;
  readonly pending: ((error: string | null, addresses: readonly string[]) => void)[];
  readonly verdicts: TargetVerdict[];
}

function slowScene(t: TestContext): SlowLookup {
  const clock = new FakeClock();
  const loop = new IoLoop(clock);
  t.after(() => loop.close());
  const pending: SlowLookup['pending'] = [];
  const policy = new TargetPolicy(['*'], {
    loop,
    ownPorts: () => OWN_PORTS,
    ownAddresses: OWN_ADDRESSES,
    lookup: (_name, done) => pending.push(done),
  });
  return { policy, loop, clock, pending, verdicts: [] };
}

test('requests for one name share its lookup', (t) => {
  const { policy, pending, verdicts } = slowScene(t);
  const waiter = { onTarget: (verdict: TargetVerdict) => verdicts.push(verdict) };

  policy.check('shop.example.com', 80, false, waiter);
  policy.check('shop.example.com.', 9983, false, waiter);
  pending[0]!(null, ['93.184.216.34']);

  assert.equal(pending.length, 1);
  assert.deepEqual(verdicts.map(outcome), ['93.184.216.34', '93.184.216.34']);
});

test('lookups under way are bounded', (t) => {
  const { policy, pending, verdicts } = slowScene(t);
  const waiter = { onTarget: (verdict: TargetVerdict) => verdicts.push(verdict) };

  for (let index = 0; index < 70; index += 1) policy.check(`n${index}.test`, 80, false, waiter);

  assert.equal(pending.length, 64);
  assert.deepEqual(new Set(verdicts.map(outcome)), new Set(['unresolved']));
  assert.equal(verdicts.length, 6);
});

test('a lookup that takes too long is given up', async (t) => {
  const { policy, clock, verdicts } = slowScene(t);

  const given = new Promise<void>((resolve) => {
    policy.check('slow.test', 80, false, {
      onTarget: (verdict) => {
        verdicts.push(verdict);
        resolve();
      },
    });
    clock.advanceMs(5010);
  });
  await given;

  assert.deepEqual(verdicts, [{ kind: 'unresolved', text: 'slow.test: not looked up within 5000 ms' }]);
});
