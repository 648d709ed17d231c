/** A provider http or httpx in front of a scripted backend. */
import type { TestContext } from 'node:test';
import {
  type CallHead,
  type HttpLocationConfig,
  type HttpServiceMethod,
  MeshUrl,
  type Provider,
  silentLogger,
} from '../../../src/core/index.js';
import { createHttpProvider, createHttpxProvider } from '../../../src/data/provider/http/index.js';
import { LocationTable } from '../../../src/data/route/index.js';
import { IoLoop, rawStreamsWork } from '../../../src/data/transport/index.js';
import { backendCall, type CallOptions, callHead, runCall, type Told } from '../../support/backend-call.js';
import { realClock } from '../../support/clock.js';
import { type BackendScript, HttpBackend } from '../../support/http-backend.js';

export interface SceneSpec {
  readonly provider?: 'http' | 'httpx';
  /** `@backend` in a value becomes the backend's address. */
  readonly parameters?: Readonly<Record<string, string>>;
  readonly locations?: readonly HttpLocationConfig[];
  readonly methods?: ReadonlyMap<string, HttpServiceMethod>;
  readonly path?: string;
}

/** Mode B without locations. */
export const RPC = { proxyAddress: '@backend', enableRewrite: 'false', domain: 'd.example' };

export class HttpScene {
  readonly backend: HttpBackend;
  readonly provider: Provider;
  readonly loop: IoLoop;

  constructor(backend: HttpBackend, provider: Provider, loop: IoLoop) {
    this.backend = backend;
    this.provider = provider;
    this.loop = loop;
  }

  /** Calls a method and waits for the reply. */
  readonly call = async (method: string | CallHead, options: CallOptions = {}): Promise<Told> => {
    const head = typeof method === 'string' ? callHead(method, options.metadata, options.host) : method;
    return runCall(this.provider, backendCall(head, { receivedMs: this.loop.tick(), ...options }));
  };
}

export async function httpScene(
  t: TestContext,
  script: BackendScript,
  spec: SceneSpec = {},
): Promise<HttpScene> {
  const backend = await HttpBackend.start(script, spec.path ?? null);
  const loop = new IoLoop(realClock);
  const useRaw = await rawStreamsWork(loop);
  const parameters = new Map(
    Object.entries(spec.parameters ?? RPC).map(([name, value]) => [
      name,
      value.replace('@backend', backend.address),
    ]),
  );
  const url = new MeshUrl({ protocol: 'motan2', path: 'svc.one', group: 'g1', parameters });
  const create = spec.provider === 'httpx' ? createHttpxProvider : createHttpProvider;
  const locations = spec.locations === undefined ? null : new LocationTable(spec.locations);
  const target = { url, locations, httpMethods: spec.methods ?? new Map() };
  const provider = create(target, { loop, useRaw, logger: silentLogger });
  t.after(async () => {
    provider.close(0);
    loop.close();
    await backend.stop();
  });
  return new HttpScene(backend, provider, loop);
}

/** Field lines of a request by lower-case name; a name that stands twice has both values. */
export function fieldsOf(head: string): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const line of head.split('\r\n').slice(1)) {
    const at = line.indexOf(': ');
    const name = line.slice(0, at).toLowerCase();
    fields[name] =
      fields[name] === undefined ? line.slice(at + 2) : `${fields[name]} | ${line.slice(at + 2)}`;
  }
  return fields;
}

export function requestLine(head: string): string {
  return head.split('\r\n', 1)[0]!;
}
