/** What `peony registrations` shows of the agent's answer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type RegistrationsAnswer, registrationsText } from '../../../src/cli/registrations.js';

const NONE = { kind: 'none', seconds: null, endsInMs: null, pid: null };

test('each registration has a line with its backend, what registries have, and when it ends', () => {
  const answer: RegistrationsAnswer = {
    registrations: [
      {
        id: 'a1',
        kind: 'service',
        service: 'com.x.Echo',
        group: 'g1',
        url: { port: 9982, parameters: { proxy: 'motan2:8100' } },
        registries: [
          { id: 'zk', desired: 'available', seen: 'absent', lastError: 'no answer' },
          { id: 'con', desired: 'available', seen: 'available', lastError: null },
        ],
        lease: { ...NONE, kind: 'ttl', seconds: 9, endsInMs: 5000 },
      },
      {
        id: 'b2',
        kind: 'refer',
        service: 'com.x.Other',
        group: 'g2',
        url: { port: 0, parameters: {} },
        registries: [{ id: 'zk', lastError: null }],
        lease: { ...NONE, kind: 'process', pid: 7 },
      },
    ],
  };

  const lines = registrationsText(answer).split('\n');

  assert.match(
    lines[1]!,
    /a1 +service +com\.x\.Echo +g1 +9982 -> motan2:8100 +zk absent, wanted available: no answer, con available +5 s left/,
  );
  assert.match(lines[2]!, /b2 +refer +com\.x\.Other +g2 +- +zk +process 7/);
});

test('nothing registered is said so', () => {
  assert.match(registrationsText({ registrations: [] }), /no program registered anything/);
});
