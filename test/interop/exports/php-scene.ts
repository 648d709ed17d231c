/** A page under a real PHP-FPM, exported by one agent and called through another: by Motan2, by HTTP for a domain, by typed calls. */
import { readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { PhpFpm, type PhpFpmOptions } from '../../support/php-fpm.js';
import { type Agent, type AgentConfig, type AgentKind, startAgent, startPeony } from '../agent.js';
import { accepts, atEnd, eventually, freePort, type Running, start } from '../support.js';

export const PAGE = 'peony.interop.Page';
export const PAGE_GROUP = 'php';
export const PAGE_DOMAIN = 'page.example';

/** `ms` and `status` are parameters, whichever way they come. */
export const PAGE_SCRIPT = `<?php
  header('Content-Type: application/json');
  $parameters = $_POST + $_GET;
  if (isset($parameters['ms'])) usleep(1000 * (int) $parameters['ms']);
  if (isset($parameters['status'])) http_response_code((int) $parameters['status']);
  if (isset($parameters['bytes'])) { echo random_bytes(5), implode('', array_map('chr', range(0, 255))); return; }
  setcookie('a', '1'); setcookie('b', '2');
  $motan = array_filter($_SERVER, fn ($name) => str_starts_with($name, 'MOTAN_'), ARRAY_FILTER_USE_KEY);
  echo json_encode(['get' => $_GET, 'post' => $_POST, 'method' => $_SERVER['REQUEST_METHOD'], 'motan' => $motan,
    'uri' => $_SERVER['REQUEST_URI'] ?? '', 'input' => file_get_contents('php://input'), 'pid' => getmypid(),
    'timeout' => $_SERVER['HTTP_X_PEONY_TIMEOUT_MS'] ?? '', 'trace' => $_SERVER['HTTP_TRACEPARENT'] ?? '',
    'forwarded' => $_SERVER['HTTP_X_FORWARDED_FOR'] ?? ''], JSON_INVALID_UTF8_SUBSTITUTE);`;

/** What the page tells. PHP writes an empty map as a list. */
export interface PageAnswer {
  readonly get: Record<string, string> | [];
  readonly post: Record<string, string> | [];
  readonly method: string;
  readonly motan: Record<string, string>;
  readonly uri: string;
  readonly input: string;
  readonly pid: number;
  readonly timeout: string;
  readonly trace: string;
  readonly forwarded: string;
}

export interface PageScene {
  readonly fpm: PhpFpm;
  readonly behind: Agent;
  readonly front: Agent;
  readonly exportPort: number;
  readonly httpPort: number;
}

export async function startPage(
  pool: Omit<PhpFpmOptions, 'scripts'>,
  parameters: Record<string, unknown>,
): Promise<PageScene> {
  const fpm = await PhpFpm.start({ ...pool, scripts: { 'page.php': PAGE_SCRIPT } });
  atEnd(() => fpm.stop());
  const exportPort = await freePort();
  const behind = await startPeony({
    'motan-registry': { none: { protocol: 'direct' } },
    'motan-service': {
      page: {
        path: PAGE,
        group: PAGE_GROUP,
        protocol: 'motan2',
        registry: 'none',
        export: `motan2:${exportPort}`,
        provider: 'cgi',
        ...fpm.parameters('page.php'),
        ...parameters,
      },
    },
  });
  await eventually('the export port accepts', 10_000, () => accepts(exportPort));
  return { fpm, behind, exportPort, ...(await startPageFront('peony', exportPort)) };
}

/** An agent that calls the page in every way that its kind knows. */
export async function startPageFront(
  kind: AgentKind,
  exportPort: number,
): Promise<{ front: Agent; httpPort: number }> {
  const httpPort = await freePort();
  const refer = {
    path: PAGE,
    group: PAGE_GROUP,
    protocol: 'motan2',
    registry: 'pages',
    requestTimeout: 10_000,
    connectRetryInterval: 200,
  };
  const config: AgentConfig = {
    'motan-agent': { hport: httpPort, httpProxyEnable: true, host: '127.0.0.1' },
    'motan-registry': { pages: { protocol: 'direct', address: `127.0.0.1:${exportPort}` } },
    // Motan callers of a test are to be told of each refusal, not that the node is out because of those before.
    'motan-refer': { page: { ...refer, errorCountThreshold: 0 } },
    'http-client': { page: { ...refer, domain: PAGE_DOMAIN, preload: PAGE } },
    'http-locations': { [PAGE_DOMAIN]: [{ match: '/', type: 'start', upstream: PAGE }] },
  };
  const front = await startAgent(config, kind);
  await eventually('the HTTP port accepts', 10_000, () => accepts(httpPort));
  return { front, httpPort };
}

/** Ends the pool's master, which takes its children along, and starts it again with the same configuration once `whileDown` is over. */
export async function restart(fpm: PhpFpm, whileDown: () => Promise<void>): Promise<Running> {
  const pid = Number(readFileSync(join(fpm.folder, 'pid'), 'utf8'));
  const command = readlinkSync(`/proc/${pid}/exe`);
  const at = fpm.path ?? fpm.port!;
  process.kill(pid, 'SIGTERM');
  await eventually('the pool is gone', 10_000, async () => !(await accepts(at)));
  await whileDown();
  const root = process.getuid?.() === 0 ? ['--allow-to-run-as-root'] : [];
  const args = ['--nodaemonize', '--no-php-ini', '--fpm-config', join(fpm.folder, 'fpm.conf'), ...root];
  return start({ name: 'php-fpm', command, args, cwd: fpm.folder }, () => accepts(at));
}
