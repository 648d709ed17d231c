/** The programs of test/interop/java: Motan Java 1.2.2 as server and as client. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  accepts,
  buildPeer,
  eventually,
  freePort,
  jsonLines,
  type Peer,
  type Program,
  type Running,
  run,
  saysReady,
  start,
} from '../support.js';

const FOLDER = fileURLToPath(new URL('../java/', import.meta.url));
const CLASSPATH_FILE = `${FOLDER}target/classpath`;

/** Motan reads private fields of these packages by reflection. */
const OPEN = ['lang', 'util', 'math'].flatMap((name) => [
  '--add-opens',
  `java.base/java.${name}=ALL-UNNAMED`,
]);
const JVM_FLAGS = [
  ...OPEN,
  '-Dfile.encoding=UTF-8',
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=error',
  // These programs live for seconds: the first compiler is enough, and two cores are shared with the agent.
  '-XX:TieredStopAtLevel=1',
  '-Xmx256m',
];

export const motanJava: Peer = await buildPeer(
  'motan-java',
  FOLDER,
  'needs Java 17 or newer, Maven and its repository',
);

/** `motan` is Motan v1. */
export type JavaProtocol = 'motan2' | 'motan';

/** One export of a server or one refer of a client. */
export interface JavaService {
  readonly protocol: JavaProtocol;
  readonly serialization: 'simple' | 'hessian2' | 'breeze' | 'protobuf';
  readonly group: string;
  readonly port: number;
  /** Bytes above which bodies are zipped; absent for never. */
  readonly mingzSize?: number;
}

/** A registry with a server, instead of addresses that are known. */
export interface JavaPlace {
  /** `zookeeper` writes and reads serialized text, `zk` plain text. */
  readonly protocol: 'zookeeper' | 'zk' | 'consul' | 'weibomesh';
  readonly address: string;
  /** Only of `weibomesh`: management port of the agent at `address`, and the registry behind it. */
  readonly mesh?: {
    readonly managementPort: number;
    readonly protocol: 'zookeeper';
    readonly address: string;
  };
  /** Under which servers list themselves; no loopback address. */
  readonly host: string;
}

export interface JavaServer {
  readonly process: Running;
  /** Ports in the order of the exports. */
  readonly ports: readonly number[];
}

/** One server process with these exports, each on a port of its own, new unless given. */
export async function startJavaServer(
  exports: readonly (Omit<JavaService, 'port'> & { port?: number })[],
  place?: JavaPlace,
): Promise<JavaServer> {
  const services: JavaService[] = [];
  for (const service of exports) services.push({ ...service, port: service.port ?? (await freePort()) });
  const ports = services.map((service) => service.port);
  const program = java('Java server', 'Server', services.map(toArgument), place);
  const process = await start(
    program,
    async (running) => (await saysReady(running)) && (await Promise.all(ports.map(accepts))).every(Boolean),
    60_000,
  );
  return { process, ports };
}

/** One call as the Java client saw it. */
export interface JavaResult {
  readonly refer: string;
  readonly method: string;
  readonly ok: boolean;
  readonly value: string | null;
  readonly exception: string | null;
  readonly ms: number;
}

/**
 * Runs the client's suite over each refer: every value comes back as it went, a failing method throws, and a call that
 * outlasts the agent's timeout throws before it is done. `server` is what hello of that server ends with.
 */
export async function javaSuite(
  server: 'java' | 'go',
  refers: readonly JavaService[],
  place?: JavaPlace,
): Promise<JavaResult[]> {
  const program = java('Java client', 'Client', [server, ...refers.map(toArgument)], place);
  const finished = await run(program, 120_000);
  const results = jsonLines<JavaResult>(finished);
  assert.deepEqual(
    results.filter((result) => !result.ok),
    [],
  );
  assert.equal(finished.code, 0, finished.stderr);
  return results;
}

/** A Java client that lives on and calls hello when asked. */
export interface JavaCaller {
  call(): Promise<JavaResult>;
}

export async function startJavaCaller(refer: JavaService, place?: JavaPlace): Promise<JavaCaller> {
  const program = java('Java caller', 'Client', ['-', toArgument(refer)], place);
  const process = await start(program, saysReady, 60_000);
  const answers = (): string[] =>
    process.output
      .split('\n')
      .slice(0, -1)
      .filter((line) => line.startsWith('{'));
  const call = async (): Promise<JavaResult> => {
    const before = answers().length;
    process.say('\n');
    const line = await eventually(
      'the Java caller has its answer',
      30_000,
      async () => answers()[before] ?? null,
    );
    return JSON.parse(line) as JavaResult;
  };
  return { call };
}

/** Calls without an interface: what goes to one service. */
export interface JavaCall {
  readonly refer: JavaService;
  readonly service: string;
  readonly metadata?: Record<string, string>;
}

/** One call without an interface as the Java client saw it. */
export interface JavaAnswer {
  readonly ok: boolean;
  /** Simple name of the value's class. */
  readonly type: string;
  readonly base64: string;
  readonly exception: string | null;
  /** Of the exception; 0 without one. */
  readonly code: number;
  readonly ms: number;
}

/** Calls one method `times` times, `parallel` of them at a time; argument as `string:...`, `map:key=value,...`, or `none`. */
export async function javaCalls(
  { refer, service, metadata = {} }: JavaCall,
  method: string,
  argument: string,
  times = 1,
  parallel = 1,
): Promise<JavaAnswer[]> {
  const pairs = Object.entries(metadata).map(([key, value]) => `${key}=${value}`);
  const words = [toArgument(refer), service, method, argument, `${times}`, `${parallel}`, pairs.join(',')];
  return jsonLines<JavaAnswer>(await run(java('Java calls', 'Calls', words), 120_000));
}

/** The only result of a method. */
export function resultOf(results: readonly JavaResult[], method: string): JavaResult {
  const found = results.filter((result) => result.method === method);
  assert.equal(found.length, 1, `${found.length} results of ${method}`);
  return found[0]!;
}

function java(
  name: string,
  main: 'Server' | 'Client' | 'Calls',
  args: readonly string[],
  place?: JavaPlace,
): Program {
  const classpath = existsSync(CLASSPATH_FILE) ? readFileSync(CLASSPATH_FILE, 'utf8').trim() : '';
  return {
    name,
    command: 'java',
    args: [...JVM_FLAGS, ...placeFlags(place), '-cp', classpath, `peony.interop.${main}`, ...args],
    cwd: FOLDER,
  };
}

function toArgument({ protocol, serialization, group, port, mingzSize }: JavaService): string {
  const words = [protocol, serialization, group, port];
  return (mingzSize === undefined ? words : [...words, mingzSize]).join(':');
}

function placeFlags(place: JavaPlace | undefined): string[] {
  if (place === undefined) return [];
  const { mesh } = place;
  return [
    `-Dinterop.registry=${place.protocol},${place.address}`,
    `-Dinterop.host=${place.host}`,
    ...(mesh === undefined ? [] : [`-Dinterop.mesh=${mesh.managementPort},${mesh.protocol},${mesh.address}`]),
  ];
}
