/** Provider http under metadata and bodies of strangers: every call is told of once, and nothing that is sent can be read as something else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CallHead, MeshUrl, Metadata, type Random, silentLogger } from '../../src/core/index.js';
import { FieldSet } from '../../src/data/provider/http/field-set.js';
import { createHttpProvider } from '../../src/data/provider/http/index.js';
import { pathOfMethod, Rewriting } from '../../src/data/provider/http/rewriting.js';
import { UrlFormat } from '../../src/data/provider/http/url-format.js';
import { IoLoop } from '../../src/data/transport/index.js';
import { encodePath, parseRequestBlock } from '../../src/wire/http1/index.js';
import {
  BREEZE_BYTE,
  backendCall,
  callHead,
  ReplyRecorder,
  SIMPLE_BYTE,
  simple,
} from '../support/backend-call.js';
import { realClock, until } from '../support/clock.js';
import { below, fuzz, mutate, pick, randomBytes } from '../support/fuzz.js';

const INPUT_MS_MAX = 2000;

const BLOCK =
  'POST /p%20q?x=1 HTTP/1.1\r\nHost: h\r\nCookie: a=b\r\nConnection: close\r\nContent-Length: 4\r\n\r\n';
const BODIES = [
  simple.text('text'),
  simple.bytes('bytes'),
  simple.map({ key: 'value', 'k 2': 'v&' }),
  simple.int64(4),
  Buffer.concat([simple.bytes(BLOCK), simple.bytes('body')]),
  Buffer.from([0xd9, 1, 1, 0x61, 1, 0x62]),
];

test('each call is told of once, whatever its body is', async () => {
  const loop = new IoLoop(realClock);
  // Nobody listens there, and one connection at most is tried.
  const parameters = { proxyAddress: '127.0.0.1:1', enableRewrite: 'false', maxConnections: '1' };
  const url = new MeshUrl({ parameters: new Map(Object.entries(parameters)) });
  const provider = createHttpProvider(
    { url, locations: null, httpMethods: new Map() },
    { loop, useRaw: false, logger: silentLogger },
  );
  const heads = [
    callHead('/p'),
    callHead('/p', { HTTP_Method: 'POST' }),
    callHead('/p', { HTTP_PROXY: 'true' }),
  ];
  const recorder = new ReplyRecorder();
  let started = 0;

  fuzz(
    (input) => {
      const serialization = started % 3 === 0 ? BREEZE_BYTE : SIMPLE_BYTE;
      started += 1;
      provider.start(backendCall(heads[started % heads.length]!, { body: input, serialization }), recorder);
      assert.ok(recorder.told.length >= started - 1, 'a call was not told of');
    },
    (random) => mutate(random, BODIES),
    INPUT_MS_MAX,
  );

  await until('the last call is told of', () => recorder.told.length === started);
  provider.close(0);
  loop.close();
});

/** Pairs of names and values with what ends lines, names and messages among them. */
function pairs(random: Random): [string, string][] {
  const odd = [
    '\r\n',
    '\n',
    '\r',
    '\0',
    ': ',
    ' ',
    'Content-Length',
    'Transfer-Encoding',
    'Host',
    'M_p',
    'x-a',
    '\x7f',
    '\xff',
  ];
  const text = (): string => {
    let made = '';
    for (let count = below(random, 4); count >= 0; count -= 1)
      made +=
        below(random, 2) === 0 ? pick(random, odd) : randomBytes(random, below(random, 6)).toString('latin1');
    return made;
  };
  return Array.from({ length: below(random, 6) }, () => [text(), text()]);
}

test('metadata become as many fields as are meant, or are refused', () => {
  let random: Random = Math.random;
  fuzz(
    () => {
      const fields = new FieldSet();
      const metadata = Metadata.of(pairs(random));
      for (const [name, value] of metadata.entries()) fields.set(name, value);
      fields.setInner(metadata);
      if (fields.trouble !== null) return;
      fields.set('Host', 'h');
      const text = fields.toText();

      const head = parseRequestBlock(Buffer.from(`GET / HTTP/1.1\r\n${text}\r\n`, 'latin1'));

      assert.equal(head.fields.length, 2 * (text.split('\r\n').length - 1));
      assert.deepEqual([head.contentLength, head.isChunked, head.host], [-1, false, 'h']);
    },
    (given) => {
      random = given;
      return Buffer.alloc(0);
    },
    INPUT_MS_MAX,
  );
});

const FORMATS = ['http://h:1/a/%s', 'http://h%s', 'http://h/x?m=%s', 'https://h.example/%s.php'].map(
  (text) => UrlFormat.parse(text)!,
);
const METHODS = [
  '/p',
  'a/../b',
  '@evil',
  '..%2f',
  'm?x=y#z',
  '.evil:80/',
  '//evil/',
  '%2e%2E/',
  'a b\r\n',
].map((text) => Buffer.from(text));

test('no method leads a url to another host or out of its line', () => {
  fuzz(
    (input) => {
      const method = input.toString('latin1');
      for (const format of FORMATS) {
        const target = format.targetOf(method);
        if (target === null) continue;
        assert.match(target, /^\/[\x21-\x7e]*$/);
        assert.equal(new URL(format.urlOf(target)).host, format.host);
      }
    },
    (random) => mutate(random, METHODS),
    INPUT_MS_MAX,
  );
});

test('no method makes a path with dot segments or bytes that end a line', () => {
  const rewriting = new Rewriting(false, null);
  fuzz(
    (input) => {
      const head = new CallHead(Metadata.of([['M_m', input.toString('latin1')]]), '');
      const path = rewriting.apply(pathOfMethod(head.method), '') as string;
      const target = encodePath(path.startsWith('/') ? path : `/${path}`);
      assert.match(target, /^\/[\x21-\x7e]*$/);
      assert.doesNotMatch(target, /\/\.{1,2}(?:\/|$)/);
    },
    (random) => mutate(random, METHODS),
    INPUT_MS_MAX,
  );
});
