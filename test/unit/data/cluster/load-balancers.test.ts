import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LoadBalancer } from '../../../../src/core/index.js';
import { loadBalancers } from '../../../../src/data/cluster/index.js';
import { call, FakeEndpoint } from '../../../support/calls.js';
import { seededRandom } from '../../../support/clock.js';

function endpoints(count: number): FakeEndpoint[] {
  return Array.from({ length: count }, (_, index) => new FakeEndpoint(`node ${index}`));
}

function picks(lb: LoadBalancer, count: number): Map<string, number> {
  const found = new Map<string, number>();
  for (let index = 0; index < count; index += 1) {
    const id = lb.pick(call())?.id ?? 'none';
    found.set(id, (found.get(id) ?? 0) + 1);
  }
  return found;
}

/** What holds for every load balancer. */
function loadBalancerContract(name: keyof typeof loadBalancers): void {
  const make = (): LoadBalancer => loadBalancers[name](seededRandom(11));

  test(`${name}: gives nothing when there are no endpoints`, () => {
    const lb = make();
    assert.equal(lb.pick(call()), null);
    lb.refresh([]);
    assert.equal(lb.pick(call()), null);
  });

  test(`${name}: gives each available endpoint about its share`, () => {
    const lb = make();
    lb.refresh(endpoints(4));

    const found = picks(lb, 4000);
    assert.equal(found.size, 4);
    for (const count of found.values()) assert.ok(count > 850 && count < 1150, String(count));
  });

  test(`${name}: never gives one that is not available while another is`, () => {
    const lb = make();
    const all = endpoints(5);
    lb.refresh(all);

    for (let mask = 1; mask < 32; mask += 1) {
      for (const [index, endpoint] of all.entries()) endpoint.isAvailable = (mask & (1 << index)) !== 0;
      for (let round = 0; round < 30; round += 1) {
        const found = lb.pick(call());
        assert.ok(found?.isAvailable, `mask ${mask}`);
      }
    }
  });

  test(`${name}: gives one of last resort when nobody is available, and else nothing`, () => {
    const lb = make();
    const all = endpoints(3);
    for (const endpoint of all) endpoint.isAvailable = false;
    lb.refresh(all);
    assert.equal(lb.pick(call()), null);

    all[1]!.isLastResort = true;

    assert.equal(lb.pick(call()), all[1]);
  });

  test(`${name}: works on the list of the last refresh`, () => {
    const lb = make();
    const [before, after] = [endpoints(3), endpoints(2)];
    lb.refresh(before);
    lb.pick(call());

    lb.refresh(after);

    for (let round = 0; round < 20; round += 1) assert.ok(after.includes(lb.pick(call()) as FakeEndpoint));
  });
}

loadBalancerContract('random');
loadBalancerContract('roundrobin');

test('roundrobin goes through the list, beginning with the second', () => {
  const lb: LoadBalancer = loadBalancers.roundrobin(seededRandom(1));
  lb.refresh(endpoints(3));

  assert.deepEqual(
    Array.from({ length: 5 }, () => lb.pick(call())?.id),
    ['node 1', 'node 2', 'node 0', 'node 1', 'node 2'],
  );
});
