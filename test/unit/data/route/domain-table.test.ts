import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Call,
  type HttpDomainState,
  type LocationMatcher,
  MeshUrl,
} from '../../../../src/core/index.js';
import { DomainTable } from '../../../../src/data/route/index.js';
import { call } from '../../../support/calls.js';

const URL = MeshUrl.parse('motan2://:0/?group=web&application=shop');

function domain(name: string, services: Record<string, string>, id = name): HttpDomainState {
  return { id, domain: name, url: URL, locations: [], services: new Map(Object.entries(services)) };
}

/** Every path belongs to the service that its first word names. */
const matcher: LocationMatcher = {
  match: (path) => ({ upstream: path.split('/')[1] ?? '', rewrite: (same) => same }),
};

function table(
  states: HttpDomainState[],
  targets: Record<string, { call(call: Call): void }> = {},
): DomainTable {
  return new DomainTable(states, { targetOf: (id) => targets[id], matcherOf: () => matcher });
}

const nobody = { call: () => undefined };

test('a host is found without regard to case and final dot', () => {
  const domains = table([domain('Shop.example.com', {})]);

  assert.equal(domains.find('shop.EXAMPLE.com.')?.domain, 'Shop.example.com');
  assert.equal(domains.find('example.com'), null);
});

test('a path is servable when its service is preloaded', () => {
  const found = table([domain('a.b', { cart: 'r1', lost: 'r9' })], { r1: nobody }).find('a.b')!;

  assert.deepEqual(
    ['/cart/1', '/user/1', '/lost/1'].map((path) => found.serviceOf(path)),
    ['cart', null, null],
  );
});

test('a call goes to the cluster of its service', () => {
  const calls: Call[] = [];
  const found = table([domain('a.b', { cart: 'r1' })], { r1: { call: (one) => calls.push(one) } }).find(
    'a.b',
  )!;
  const made = call();

  found.call('cart', made);

  assert.deepEqual(calls, [made]);
});

test('of two clients with one domain the first stands', () => {
  const domains = table([domain('a.b', { one: 'r1' }, 'x'), domain('A.B', { two: 'r1' }, 'y')], {
    r1: nobody,
  });

  assert.equal(domains.find('a.b')?.serviceOf('/one'), 'one');
  assert.equal(domains.find('a.b')?.serviceOf('/two'), null);
});
