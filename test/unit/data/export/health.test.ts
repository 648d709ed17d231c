import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { MeshUrl, type Provider } from '../../../../src/core/index.js';
import { BackendHealth, healthSettings } from '../../../../src/data/export/health.js';

/** A provider whose checks end as the test says. */
class ProbedProvider {
  readonly asked: string[] = [];
  answer: string | null = null;

  probe(
    check: { kind: string; path: string },
    timeoutMs: number,
    done: (trouble: string | null) => void,
  ): void {
    this.asked.push(`${check.kind} ${check.path} ${timeoutMs}`);
    done(this.answer);
  }
}

function url(parameters: Record<string, string>): MeshUrl {
  return new MeshUrl({ parameters: new Map(Object.entries(parameters)) });
}

function watch(parameters: Record<string, string>) {
  const provider = new ProbedProvider();
  const changes: boolean[] = [];
  const settings = healthSettings(url({ healthCheck: 'tcp', healthCheckInterval: '1000', ...parameters }))!;
  const health = new BackendHealth(settings, provider as unknown as Provider, (isHealthy) =>
    changes.push(isHealthy),
  );
  return { provider, changes, health };
}

test('without the key, or with "none", nothing is checked', () => {
  assert.equal(healthSettings(url({})), null);
  assert.equal(healthSettings(url({ healthCheck: 'none' })), null);
});

test('a check has the path, interval and bounds of the service', () => {
  const settings = healthSettings(
    url({ healthCheck: 'http', healthCheckPath: '/up', healthCheckTimeout: '7' }),
  );

  assert.deepEqual(settings?.check, { kind: 'http', path: '/up' });
  assert.deepEqual([settings?.intervalMs, settings?.timeoutMs], [5000, 7]);
});

test('failures in a row take the service out, successes in a row bring it back', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { provider, changes, health } = watch({});

  provider.answer = 'refused';
  t.mock.timers.tick(1000);
  t.mock.timers.tick(1000);
  assert.deepEqual([changes, health.trouble], [[], 'refused']);
  t.mock.timers.tick(1000);
  assert.deepEqual([changes, health.isHealthy], [[false], false]);
  provider.answer = null;
  t.mock.timers.tick(1000);
  assert.deepEqual(changes, [false]);
  t.mock.timers.tick(1000);
  assert.deepEqual([changes, health.isHealthy, health.trouble], [[false, true], true, null]);
  health.close();
});

test('one good check between failures begins the count anew', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { provider, changes, health } = watch({ healthCheckFailures: '2' });

  for (const answer of ['down', null, 'down', null]) {
    provider.answer = answer;
    t.mock.timers.tick(1000);
  }

  assert.deepEqual(changes, []);
  health.close();
});

test('a closed watch asks no more', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { provider, health } = watch({});

  health.close();
  t.mock.timers.tick(10_000);

  assert.equal(provider.asked.length, 1);
  mock.reset();
});
