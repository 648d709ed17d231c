import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { type MeshState, MeshUrl, type MethodSchema, VALUE_TYPES } from '../../../../../../src/core/index.js';
import { servicesPage } from '../../../../../../src/data/server/http/typed/catalog.js';
import { openApiDocument } from '../../../../../../src/data/server/http/typed/openapi.js';
import { encodeSegment } from '../../../../../../src/data/server/http/typed/segment.js';
import { cluster } from '../../../../../support/plane.js';

type Tree = { [name: string]: Tree } & { length: number };

function state(fields: Partial<MeshState> = {}): MeshState {
  return {
    number: 1,
    createdAtMs: 0,
    cause: 'test',
    application: 'shop',
    localIp: '127.0.0.1',
    listeners: [],
    clusters: [cluster({ nodes: [1] })],
    exports: [],
    httpDomains: [],
    schemas: new Map(),
    quarantined: [],
    ...fields,
  };
}

function method(fields: Partial<MethodSchema>): MethodSchema {
  return { args: null, returns: null, desc: '', description: '', ...fields };
}

const SCHEMAS = new Map([
  [
    'svc.one',
    new Map([
      ['hello', method({ args: ['string', 'int32'], returns: 'stringMap', description: 'Greets.' })],
      ['ping', method({ args: [] })],
      ['/2/{id}', method({ returns: 'bytes' })],
      ...VALUE_TYPES.map((type) => [type, method({ args: [type], returns: type })] as const),
    ]),
  ],
  ['svc.unreachable', new Map([['x', method({})]])],
]);

function documentOf(of: MeshState): Tree {
  return JSON.parse(JSON.stringify(openApiDocument(of)));
}

for (const [what, of] of [
  ['nothing', state({ clusters: [] })],
  ['schemas of all types', state({ schemas: SCHEMAS })],
  [
    'names of all kinds',
    state({
      clusters: ['__proto__', 'a b', 'x/y', '{service}', 'sérvice'].map((service) =>
        cluster({ service, nodes: [] }),
      ),
    }),
  ],
] as const) {
  test(`the document of ${what} is valid OpenAPI 3.1`, async () => {
    const validator = new Validator();
    const { valid, errors } = await validator.validate(openApiDocument(of) as Record<string, unknown>);

    assert.equal(valid, true, JSON.stringify(errors));
    assert.equal(validator.version, '3.1');
  });
}

test('every reference and every type of a problem points at something', () => {
  const document = documentOf(state({ schemas: SCHEMAS }));
  const text = JSON.stringify(document);

  const pointers = [...text.matchAll(/"\$ref":"#([^"]+)"/g)].map((found) => found[1]!);
  assert.ok(pointers.length > 50);
  for (const pointer of [...pointers, '/x-tables/failures/E_TIMEOUT', '/x-tables/exceptions']) {
    let at: Tree | undefined = document;
    for (const name of pointer.split('/').slice(1)) at = at?.[name];
    assert.notEqual(at, undefined, pointer);
  }
});

test('a method with a schema has a path of its own with the types of its arguments', () => {
  const { paths } = documentOf(state({ schemas: SCHEMAS }));
  const { post } = paths!['/v1/call/svc.one/hello']!;

  assert.equal(post!.description, 'Greets.');
  assert.deepEqual(post!.requestBody!.content!['application/json']!.schema, {
    type: 'array',
    prefixItems: [
      { $ref: '#/components/schemas/argument.string' },
      { $ref: '#/components/schemas/argument.int32' },
    ],
    minItems: 2,
    maxItems: 2,
  });
  assert.deepEqual(post!.responses!['200']!.content!['application/json']!.schema, {
    anyOf: [{ $ref: '#/components/schemas/answer.stringMap' }, { type: 'null' }],
  });
  assert.ok(paths!['/v1/call/svc.one/%2F2%2F%7Bid%7D'], 'names are encoded');
});

test('a service has a path for any method, and what no refer reaches has none', () => {
  const { paths } = documentOf(
    state({
      schemas: SCHEMAS,
      clusters: [cluster({ nodes: [] }), { ...cluster({ service: 'svc.domain', nodes: [] }), domain: 'd' }],
    }),
  );

  assert.ok(paths!['/v1/call/svc.one/{method}']);
  assert.ok(paths!['/v1/call/{service}/{method}']);
  assert.deepEqual(
    Object.keys(paths!).filter((path) => /unreachable|domain/.test(path)),
    [],
  );
});

test('a service in several groups says so', () => {
  const clusters = [cluster({ group: 'g1', nodes: [] }), cluster({ group: 'g2', nodes: [] })];
  const { paths } = documentOf(state({ clusters }));

  assert.equal(paths!['/v1/call/svc.one/{method}']!.post!.description, 'In the groups g1, g2: name one.');
});

test('a name that is half a character is written as what UTF-8 has for it', () => {
  assert.equal(encodeSegment('a\ud800'), 'a%EF%BF%BD');
});

const COUNTED = { clusters: [], exports: [] };

test('the list has refers with what is known of their methods, domains and exports', () => {
  const page = JSON.parse(
    JSON.stringify(
      servicesPage(
        state({
          schemas: new Map([['svc.one', new Map([['__proto__', method({ args: ['string'] })]])]]),
          clusters: [
            cluster({ nodes: [1, 2], parameters: { version: '1.0' } }),
            { ...cluster({ service: 'svc.domain', nodes: [] }), domain: 'a.example.com' },
          ],
          httpDomains: [
            {
              id: 'a',
              domain: 'a.example.com',
              url: new MeshUrl({}),
              locations: [],
              services: new Map([['svc.domain', 'x']]),
            },
          ],
          exports: [
            {
              id: 'e',
              listener: 'export:9982',
              url: MeshUrl.parse('motan2://127.0.0.1:9982/svc.php?group=g&version=2'),
              provider: 'cgi',
              locations: [],
              httpMethods: new Map(),
            },
          ],
        }),
        COUNTED,
        '',
      ),
    ),
  );

  assert.deepEqual(page, {
    application: 'shop',
    total: 1,
    services: [
      {
        service: 'svc.one',
        group: 'g1',
        version: '1.0',
        protocol: 'motan2',
        refer: 'svc.one@g1',
        call: '/v1/call/svc.one/{method}',
        isAvailable: true,
        endpoints: 2,
        endpointsAvailable: 0,
        methods: JSON.parse(
          '{"__proto__": {"args": ["string"], "returns": null, "desc": "", "description": ""}}',
        ),
      },
    ],
    domains: [{ domain: 'a.example.com', services: ['svc.domain'] }],
    exports: [
      {
        service: 'svc.php',
        group: 'g',
        version: '2',
        protocol: 'motan2',
        provider: 'cgi',
        listener: 'export:9982',
        isHealthy: true,
      },
    ],
  });
});

test('pages follow each other until all services were shown', () => {
  const clusters = Array.from({ length: 5 }, (_, at) => cluster({ service: `svc.${at}`, nodes: [] }));
  const seen: string[] = [];
  let query: string | undefined = 'limit=2';
  while (query !== undefined) {
    const page = servicesPage(state({ clusters }), COUNTED, query) as {
      services: { service: string }[];
      next?: string;
      domains?: object[];
    };
    assert.equal(page.domains !== undefined, seen.length === 0, 'domains on the first page only');
    seen.push(...page.services.map(({ service }) => service));
    query = page.next?.split('?')[1];
  }

  assert.deepEqual(seen, ['svc.0', 'svc.1', 'svc.2', 'svc.3', 'svc.4']);
});

test('services in several groups are called with the group', () => {
  const clusters = [
    cluster({ group: 'g 1', nodes: [] }),
    cluster({ group: 'g2', parameters: { version: '2' }, nodes: [] }),
  ];
  const page = servicesPage(state({ clusters }), COUNTED, '') as { services: { call: string }[] };

  assert.deepEqual(
    page.services.map(({ call }) => call),
    ['/v1/call/svc.one/{method}?group=g%201', '/v1/call/svc.one/{method}?group=g2&version=2'],
  );
});

for (const query of ['limit=0', 'limit=1001', 'limit=-1', 'offset=x', 'page=1', 'limit=1e2']) {
  test(`the query ${query} is refused`, () => {
    assert.equal(typeof servicesPage(state(), COUNTED, query), 'string');
  });
}
