import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  isCopyData,
  nodeOfChild,
  printable,
  textOfData,
} from '../../../../../src/control/registry/zookeeper/node-data.js';
import { MeshUrl } from '../../../../../src/core/index.js';

const REFER = MeshUrl.parse('motan2://:0/com.x.Echo?group=g1&requestTimeout=5');
const TEXT = 'motan2://10.0.0.1:8001/com.x.Echo?group=g1&weight=2';

function javaLong(text: string): Buffer {
  const head = Buffer.from('aced00057c0000000000000000', 'hex');
  head.writeBigUInt64BE(BigInt(Buffer.byteLength(text)), 5);
  return Buffer.concat([head, Buffer.from(text)]);
}

function javaShort(text: string): Buffer {
  const head = Buffer.from('aced0005740000', 'hex');
  head.writeUInt16BE(Buffer.byteLength(text), 5);
  return Buffer.concat([head, Buffer.from(text)]);
}

test('plain text and both forms of Java hold the same url', () => {
  for (const data of [Buffer.from(TEXT), javaShort(TEXT), javaLong(TEXT)]) {
    assert.equal(textOfData(data), TEXT);
    assert.equal(nodeOfChild('any name', data, REFER).toText(), TEXT);
  }
});

test('text with the escapes and the trailing & of Java is read', () => {
  const data = javaShort('motan2://10.0.0.1:8001/com.x.Echo?group=g1&note=a%26b&');

  assert.equal(nodeOfChild('n', data, REFER).text('note'), 'a&b');
});

test('text without a question mark is a url', () => {
  const node = nodeOfChild('n', Buffer.from('motan2://10.0.0.1:8001/com.x.Echo'), REFER);

  assert.equal(node.identity, 'motan2://10.0.0.1:8001/com.x.Echo?group=');
});

test('without data the name is the address, and the rest is the refer', () => {
  const texts = ['10.0.0.1:8001', '10.0.0.1', '[::1]:8002'].map((name) =>
    nodeOfChild(name, Buffer.alloc(0), REFER).toText(),
  );

  assert.deepEqual(texts, [
    'motan2://10.0.0.1:8001/com.x.Echo?group=g1&requestTimeout=5',
    'motan2://10.0.0.1:80/com.x.Echo?group=g1&requestTimeout=5',
    'motan2://[::1]:8002/com.x.Echo?group=g1&requestTimeout=5',
  ]);
});

test('what is no node is refused with the reason', () => {
  const rows: [name: string, data: Buffer, reason: RegExp][] = [
    ['n', Buffer.from('hello'), /"::?\/\/" is missing|not a url/],
    ['n', Buffer.from('motan2://:8001/com.x.Echo?group=g1'), /no host in "motan2/],
    ['n', Buffer.from('motan2://10.0.0.1:0/com.x.Echo'), /no port in "motan2/],
    ['n', Buffer.from('motan2://10.0.0.1:70000/com.x.Echo'), /no port in "motan2/],
    ['bad:port', Buffer.alloc(0), /no port in "bad:port"/],
    [':8001', Buffer.alloc(0), /no host/],
    ['n', Buffer.from('aced000573', 'hex'), /a Java object that is no text/],
    ['n', Buffer.from('aced', 'hex'), /a Java object that is no text/],
    ['n', Buffer.from('aced00057c00', 'hex'), /a Java object that is no text/],
    ['n', Buffer.alloc(65_537, 'x'), /65537 bytes, expected at most 65536/],
  ];
  for (const [name, data, reason] of rows) assert.throws(() => nodeOfChild(name, data, REFER), reason);
});

test('what is shown of foreign text is short and holds no line break', () => {
  const shown = printable(`a\nb\u0000${'x'.repeat(500)}`);

  assert.ok(shown.length < 250);
  assert.ok(!shown.includes('\n') && !shown.includes('\u0000'));
});

test('a text has the bound that is asked for', () => {
  const data = Buffer.alloc(70_000, 'x');

  assert.throws(() => textOfData(data), /70000 bytes, expected at most 65536/);
  assert.equal(textOfData(data, 1_000_000).length, 70_000);
  assert.equal(textOfData(javaLong('x'.repeat(70_000)), 1_000_000).length, 70_000);
});

test('a copy is told from the node itself, and from what makes no sense', () => {
  const texts = ['motan2://h:1/s?group=g&bridgedFrom=consul-1', 'motan2://h:1/s?group=g', '', 'rubbish'];

  assert.deepEqual(
    texts.map((text) => isCopyData(Buffer.from(text))),
    [true, false, false, false],
  );
});
