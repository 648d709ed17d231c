/** Programs that register at a running agent, and a second agent that calls what they offer. */
import { mkdirSync } from 'node:fs';
import http from 'node:http';
import type { TestContext } from 'node:test';
import {
  type AgentProcess,
  fileRegistry,
  freePort,
  Home,
  type Launch,
  SERVICE,
  type Sections,
  startUpstream,
} from '../agent/agent-process.js';

export interface Told {
  readonly code: number;
  readonly body: string;
  readonly json: Record<string, unknown>;
}

/** A request to a management port or socket. */
export function send(
  where: http.RequestOptions,
  method: string,
  path: string,
  body?: object | string,
): Promise<Told> {
  return new Promise((resolve, reject) => {
    const request = http.request({ agent: false, ...where, method, path }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () =>
        resolve({
          code: response.statusCode ?? 0,
          body: text,
          json: text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : {},
        }),
      );
    });
    request.on('error', reject);
    request.end(typeof body === 'object' ? JSON.stringify(body) : body);
  });
}

export function post(agent: AgentProcess, path: string, body: object | string): Promise<Told> {
  return send({ host: '127.0.0.1', port: agent.home.managementPort }, 'POST', path, body);
}

export function ask(agent: AgentProcess, method: string, path: string, body?: object): Promise<Told> {
  return send({ host: '127.0.0.1', port: agent.home.managementPort }, method, path, body);
}

/** As a program posts its own url. */
export function urlOf(port: number, parameters: Record<string, string> = {}, path = SERVICE): object {
  return {
    protocol: 'motan2',
    host: '10.1.2.3',
    port,
    path,
    group: 'g1',
    parameters: { proxyRegistry: 'shared', serialization: 'simple', ...parameters },
  };
}

export interface Scene {
  readonly home: Home;
  readonly agent: AgentProcess;
  readonly directory: string;
  readonly exportPort: number;
  readonly config: Sections;
}

export async function startScene(t: TestContext, launch: Launch = {}): Promise<Scene> {
  const home = await Home.make(t);
  const directory = home.path('registry');
  mkdirSync(directory);
  const exportPort = await freePort();
  const config: Sections = {
    'motan-agent': { eport: exportPort, ...launch.config?.['motan-agent'] },
    'motan-registry': { shared: { protocol: 'file', path: directory } },
  };
  const agent = await home.start(t, { ...launch, config });
  return { home, agent, directory, exportPort, config };
}

/** An agent that finds what another announces, by the same file registry. */
export async function startCaller(t: TestContext, { directory }: Scene): Promise<AgentProcess> {
  const home = await Home.make(t);
  return await home.start(t, { config: fileRegistry(directory) });
}

export interface Listed {
  readonly id: string;
  readonly service: string;
  readonly url: { readonly port: number; readonly parameters: Readonly<Record<string, string>> };
  readonly registries: readonly { id: string; desired: string; seen: string }[];
  readonly lease: { kind: string; seconds: number | null; pid: number | null };
}

export async function listed(agent: AgentProcess): Promise<readonly Listed[]> {
  const { registrations } = (await ask(agent, 'GET', '/v1/registrations')).json;
  return registrations as readonly Listed[];
}

export { startUpstream };
