import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  endsInNumber,
  ipText,
  isBlockWithin,
  isInBlock,
  parseIp,
  parseIpBlock,
  parseLooseIpv4,
} from '../../../src/base/index.js';

const SPELLINGS: readonly (readonly [string, string])[] = [
  ['127.0.0.1', '127.0.0.1'],
  ['0.0.0.0', '0.0.0.0'],
  ['255.255.255.255', '255.255.255.255'],
  ['::', '::'],
  ['::1', '::1'],
  ['0:0:0:0:0:0:0:1', '::1'],
  ['FE80::0001', 'fe80::1'],
  ['2001:db8:0:0:1:0:0:2', '2001:db8::1:0:0:2'],
  ['1::', '1::'],
  ['::ffff:127.0.0.1', '127.0.0.1'],
  ['::FFFF:7f00:1', '127.0.0.1'],
  ['0:0:0:0:0:ffff:10.1.2.3', '10.1.2.3'],
  ['64:ff9b::1.2.3.4', '64:ff9b::102:304'],
];

for (const [text, expected] of SPELLINGS) {
  test(`${text} is ${expected}`, () => {
    assert.equal(ipText(parseIp(text)!), expected);
  });
}

for (const text of [
  '',
  '1.2.3',
  '1.2.3.4.5',
  '01.2.3.4',
  '256.0.0.1',
  '1.2.3.4 ',
  'host',
  ':',
  ':::',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  '1:2:3:4:5:6:7::8',
  '1::2::3',
  '::12345',
  '::g',
  'fe80::1%eth0',
  '1.2.3.4::',
  '::1.2.3',
  '[::1]',
]) {
  test(`${JSON.stringify(text)} is no address`, () => {
    assert.equal(parseIp(text), null);
  });
}

const LOOSE: readonly (readonly [string, string | null])[] = [
  ['2130706433', '127.0.0.1'],
  ['0x7f000001', '127.0.0.1'],
  ['0X7F.1', '127.0.0.1'],
  ['0177.0.0.1', '127.0.0.1'],
  ['017700000001', '127.0.0.1'],
  ['127.1', '127.0.0.1'],
  ['127.0.1', '127.0.0.1'],
  ['0', '0.0.0.0'],
  ['10.0x10.0001', '10.16.0.1'],
  ['4294967295', '255.255.255.255'],
  ['4294967296', null],
  ['127.16777216', null],
  ['1.2.3.256', null],
  ['256.1', null],
  ['08.1.1.1', null],
  ['0x', null],
  ['1..2', null],
  ['1.2.3.4.5', null],
];

for (const [text, expected] of LOOSE) {
  test(`the system takes ${text} for ${expected ?? 'no IPv4 address'}`, () => {
    const address = parseLooseIpv4(text);

    assert.equal(address === null ? null : ipText(address), expected);
  });
}

test('names that the system takes for numbers are told from others', () => {
  for (const text of ['1', '127.1', 'a.b.0x7f', '0x', 'example.1'])
    assert.equal(endsInNumber(text), true, text);
  for (const text of ['1a', '127.example', '0xg', 'a1', '']) assert.equal(endsInNumber(text), false, text);
});

const MEMBERS: readonly (readonly [string, string, boolean])[] = [
  ['127.0.0.1', '127.0.0.0/8', true],
  ['128.0.0.1', '127.0.0.0/8', false],
  ['10.1.2.3', '10.1.2.3', true],
  ['10.1.2.4', '10.1.2.3/32', false],
  ['1.2.3.4', '0.0.0.0/0', true],
  ['fe80::1', 'fe80::/10', true],
  ['febf::1', 'fe80::/10', true],
  ['fec0::1', 'fe80::/10', false],
  // An IPv4 address is no member of an IPv6 block, in whatever clothing.
  ['::ffff:1.2.3.4', '::/0', false],
  ['::ffff:10.1.2.3', '::ffff:10.0.0.0/104', true],
];

for (const [address, block, isMember] of MEMBERS) {
  test(`${address} is ${isMember ? '' : 'not '}in ${block}`, () => {
    assert.equal(isInBlock(parseIp(address)!, parseIpBlock(block)!), isMember);
  });
}

for (const text of [
  '10.0.0.1/8',
  '10.0.0.0/33',
  '::/129',
  '10.0.0.0/',
  '10.0.0.0/08',
  '/8',
  'host/8',
  '10.0.0.0/-1',
  '::ffff:1.2.3.0/90',
]) {
  test(`${text} is no block`, () => {
    assert.equal(parseIpBlock(text), null);
  });
}

test('a block lies within a larger one of its own kind only', () => {
  const loopback = parseIpBlock('127.0.0.0/8')!;

  assert.equal(isBlockWithin(parseIpBlock('127.0.0.1')!, loopback), true);
  assert.equal(isBlockWithin(loopback, loopback), true);
  assert.equal(isBlockWithin(parseIpBlock('0.0.0.0/0')!, loopback), false);
  assert.equal(isBlockWithin(parseIpBlock('::1')!, loopback), false);
});
