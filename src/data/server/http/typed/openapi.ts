/**
 * `GET /v1/openapi.json`: an OpenAPI 3.1 document of what the configuration knows. Methods with a schema have paths of their own; every service that
 * can be called has one for any method, and one path takes any service. `x-tables` holds the tables that problems point into.
 */
import { failureCodes, type MeshState, type MethodSchema } from '../../../../core/index.js';
import { EXCEPTION_STATUSES } from './exception-status.js';
import { PROBLEM_TYPE } from './problem.js';
import { encodeSegment } from './segment.js';
import { ANSWER_SCHEMAS, ARGUMENT_SCHEMAS } from './value-schemas.js';

type Json = Readonly<Record<string, unknown>>;

/** Of the paths under `/v1`, not of the agent. */
const API_VERSION = '1';
const JSON_TYPE = 'application/json';
/** Statuses of requests that name no call. */
const REQUEST_STATUSES = [400, 403, 404, 405, 406, 413, 415];

const TRACE_PARAMETERS = ['timeout', 'traceparent', 'tracestate'];
const CHOICE_PARAMETERS = ['group', 'version'];

export function openApiDocument(state: MeshState): object {
  const services = servicesOf(state);
  return {
    openapi: '3.1.0',
    info: {
      title: `Services of the mesh, for ${state.application}`,
      version: API_VERSION,
      description:
        'Typed calls: a JSON array of arguments in, the value as JSON out. Types are those of the Motan2 serialization `simple`; without a schema of the method they are inferred, and {"$int32": 5} names one.',
    },
    servers: [{ url: '/' }],
    tags: [...services.keys()].map((name) => ({ name })),
    paths: paths(state, services),
    components: components(),
    'x-tables': { failures: failureTable(), exceptions: EXCEPTION_STATUSES },
  };
}

/** Services that refers can reach, with their groups. */
function servicesOf(state: MeshState): ReadonlyMap<string, readonly string[]> {
  const services = new Map<string, string[]>();
  for (const { domain, url } of state.clusters) {
    if (domain !== null) continue;
    const groups = services.get(url.path);
    if (groups === undefined) services.set(url.path, [url.group]);
    else if (!groups.includes(url.group)) groups.push(url.group);
  }
  return services;
}

/** Null prototype, because names come from the configuration. */
function paths(state: MeshState, services: ReadonlyMap<string, readonly string[]>): Json {
  const all: Record<string, Json> = Object.create(null);
  all['/v1/services'] = { get: servicesOperation() };
  all['/v1/openapi.json'] = {
    get: {
      summary: 'This document',
      responses: { 200: jsonAnswer('An OpenAPI 3.1 document', { type: 'object' }) },
    },
  };
  for (const [service, groups] of services) {
    const segment = encodeSegment(service);
    const choice = groups.length > 1 ? ` In the groups ${groups.join(', ')}: name one.` : '';
    for (const [method, schema] of state.schemas.get(service) ?? []) {
      const operation = methodOperation(schema, choice);
      all[`/v1/call/${segment}/${encodeSegment(method)}`] = {
        post: { tags: [service], summary: `${service} ${method}`, ...operation },
      };
    }
    all[`/v1/call/${segment}/{method}`] = {
      parameters: [reference('parameters', 'method')],
      post: {
        tags: [service],
        summary: `${service}, any method`,
        ...callOperation(choice.trim(), null, null),
      },
    };
  }
  all['/v1/call/{service}/{method}'] = {
    parameters: [reference('parameters', 'service'), reference('parameters', 'method')],
    post: { summary: 'Any method of any service', ...callOperation('', null, null) },
  };
  return all;
}

function methodOperation({ args, returns, description }: MethodSchema, choice: string): Json {
  const answers =
    returns === null ? null : { anyOf: [reference('schemas', `answer.${returns}`), { type: 'null' }] };
  const items = args?.map((type) => reference('schemas', `argument.${type}`));
  return callOperation((description + choice).trim(), items ?? null, answers);
}

/** @param items schemas of the arguments; null for any */
function callOperation(description: string, items: readonly Json[] | null, answers: Json | null): Json {
  const schema =
    items === null
      ? { type: 'array' }
      : {
          type: 'array',
          ...(items.length === 0 ? {} : { prefixItems: items }),
          minItems: items.length,
          maxItems: items.length,
        };
  return {
    ...(description === '' ? {} : { description }),
    parameters: [...CHOICE_PARAMETERS, ...TRACE_PARAMETERS].map((name) => reference('parameters', name)),
    requestBody: {
      description: 'Arguments; an empty body has none.',
      required: items !== null && items.length > 0,
      content: { [JSON_TYPE]: { schema } },
    },
    responses: {
      200: jsonAnswer('The value; null when the method answers nothing', answers ?? {}),
      ...Object.fromEntries(problemStatuses().map((status) => [status, reference('responses', 'problem')])),
    },
  };
}

function servicesOperation(): Json {
  const parameter = (name: string, description: string): Json => ({
    name,
    in: 'query',
    description,
    schema: { type: 'integer', minimum: 0 },
  });
  return {
    summary: 'What can be called from here',
    parameters: [
      parameter('limit', 'Most entries of the page, 1 to 1000'),
      parameter('offset', 'Entries to leave out'),
    ],
    responses: {
      200: jsonAnswer('A page of services; `next` is the path of the one that follows', { type: 'object' }),
      400: reference('responses', 'problem'),
    },
  };
}

/** Every status that one of the tables, or a request that names no call, can lead to. */
function problemStatuses(): number[] {
  const statuses = new Set<number>(REQUEST_STATUSES);
  for (const { httpStatus } of Object.values(failureCodes)) statuses.add(httpStatus);
  for (const { codes, status } of EXCEPTION_STATUSES) {
    if (status === 'the code') for (const code of codes) statuses.add(code);
    else statuses.add(status);
  }
  return [...statuses].sort((one, other) => one - other);
}

function components(): Json {
  const named = (prefix: string, schemas: Readonly<Record<string, Json>>): [string, Json][] =>
    Object.entries(schemas).map(([type, schema]) => [`${prefix}.${type}`, schema]);
  return {
    parameters: {
      service: pathParameter('service', 'Path of a refer; a / in it is written %2F'),
      method: pathParameter('method', 'A / in it is written %2F'),
      group: {
        name: 'group',
        in: 'query',
        description: 'Needed when the service is in several',
        schema: { type: 'string' },
      },
      version: { name: 'version', in: 'query', schema: { type: 'string' } },
      timeout: header('X-Peony-Timeout-Ms', 'Time for the whole call, in ms', {
        type: 'integer',
        minimum: 1,
        maximum: 600_000,
      }),
      traceparent: header('traceparent', 'W3C Trace Context', { type: 'string' }),
      tracestate: header('tracestate', 'W3C Trace Context', { type: 'string' }),
    },
    schemas: Object.fromEntries([
      ...named('argument', ARGUMENT_SCHEMAS),
      ...named('answer', ANSWER_SCHEMAS),
      ['problem', problemSchema()],
    ]),
    responses: {
      problem: {
        description: 'No value: a problem document (RFC 9457). 429 and 503 have Retry-After.',
        content: { [PROBLEM_TYPE]: { schema: reference('schemas', 'problem') } },
      },
    },
  };
}

function problemSchema(): Json {
  const text = (description: string): Json => ({ type: 'string', description });
  return {
    type: 'object',
    required: ['type', 'title', 'status', 'detail'],
    properties: {
      type: { type: 'string', format: 'uri-reference' },
      title: { type: 'string' },
      status: { type: 'integer' },
      detail: { type: 'string' },
      code: { type: 'integer', description: 'Motan code (errcode)' },
      errtype: { type: 'integer', description: '0 framework, 1 service, 2 business' },
      cause: text(
        'Why this agent could not serve the call; absent when the service answered with an exception',
      ),
      service: { type: 'string' },
      method: { type: 'string' },
      requestId: text('As in the access log'),
      node: text('The node that was asked'),
    },
  };
}

/** The code of a row is its key, so that the type of a problem can point at it. */
function failureTable(): Json {
  return Object.fromEntries(
    Object.entries(failureCodes).map(([code, { meaning, retry, httpStatus, motanCode, motanType }]) => [
      code,
      { meaning, retry, status: httpStatus, code: motanCode, errtype: motanType },
    ]),
  );
}

function jsonAnswer(description: string, schema: Json): Json {
  return { description, content: { [JSON_TYPE]: { schema } } };
}

function reference(kind: string, name: string): Json {
  return { $ref: `#/components/${kind}/${name}` };
}

function pathParameter(name: string, description: string): Json {
  return { name, in: 'path', required: true, description, schema: { type: 'string', minLength: 1 } };
}

function header(name: string, description: string, schema: Json): Json {
  return { name, in: 'header', description, schema };
}
