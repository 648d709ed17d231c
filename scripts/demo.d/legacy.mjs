/**
 * The part of the demo about services that cannot be rewritten: a PHP page on a real PHP-FPM and a plain HTTP service, exported by
 * one agent, called through another.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, chmodSync, constants, copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts, has, start, stop } from './processes.mjs';

const PAGE = 'com.example.Page';
const HELLO = 'com.example.Hello';
const PAGE_DOMAIN = 'page.example';
const CHILDREN = 2;
const FPM_PROGRAMS = ['php-fpm8.2', 'php-fpm8.3', 'php-fpm8.4', 'php-fpm'];
/** Servers are in sbin, which the PATH of a user may lack. */
const FPM_FOLDERS = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/usr/local/sbin'];

/** Where the parts of the demo live, and how it talks. */
export class LegacyDemo {
  #demo;
  #fpm = null;
  #http = null;
  #exporter = null;

  /** @param demo { root, folder, registryEntry, peony, say, show, expect, until } */
  constructor(demo) {
    this.#demo = demo;
  }

  /** What the calling agent has to know besides its own services. */
  static callerConfiguration(registry) {
    return `  page:
    path: ${PAGE}
    group: demo
    protocol: motan2
    registry: ${registry}
    requestTimeout: 3000
    filter: accessLog,metrics
  http-hello:
    path: ${HELLO}
    group: demo
    protocol: motan2
    registry: ${registry}
    requestTimeout: 3000
    filter: accessLog,metrics
service-schema:
  ${PAGE}:
    greet: {args: [stringMap], returns: json}
  ${HELLO}:
    /hello: {args: [stringMap], returns: json}
http-client:
  page:
    domain: ${PAGE_DOMAIN}
    group: demo
    protocol: motan2
    registry: ${registry}
    preload: ${PAGE}
    requestTimeout: 3000
http-locations:
  ${PAGE_DOMAIN}:
    - {match: /, type: start, upstream: ${PAGE}}
`;
  }

  /** Starts PHP-FPM (where it is installed), the HTTP service, and the agent that exports both. */
  async startBackends() {
    const { root, folder, say, show, until } = this.#demo;
    const fpm = findFpm() ?? installFpm(say);
    if (fpm === null) {
      say('PHP-FPM is not installed, so the PHP page is left out (Debian: apt-get install php8.2-fpm).');
    } else {
      say('A PHP page runs on a PHP-FPM of its own, with two children.');
      this.#fpm = await this.#startFpm(fpm);
      show('', this.#fpm.output);
    }
    say('A plain HTTP service starts: it knows nothing of a mesh.');
    const script = join(root, 'examples/http-service/http-service.mjs');
    this.#http = await start('the HTTP service', process.execPath, [script], /on port (\d+)\n/, folder);
    show('', this.#http.output);

    say('A second agent, as on the machine of these services, exports them; its status becomes 200.');
    const [port, exportPort, managementPort] = await freePorts(3);
    const config = join(folder, 'exporter.yaml');
    const text = this.#exporterConfiguration(exportPort, Number(this.#http.ready[1]));
    writeFileSync(config, text);
    show(config, text);
    const peony = join(root, 'bin/peony');
    const flags = ['-c', config, '-port', `${port}`, '-mport', `${managementPort}`, '-localIP', '127.0.0.1'];
    show('$', `peony ${flags.join(' ')}`);
    this.#exporter = await start('the exporting agent', peony, flags, /agent started.*\n/, folder);
    show('', this.#exporter.output);
    const url = `http://127.0.0.1:${managementPort}/200`;
    show('$', `curl ${url}\n${await (await fetch(url)).text()}`);
    this.#demo.exporterAsk = ['--mport', `${managementPort}`];
    await until('the exported services are announced', async () => {
      const { registries } = await this.#demo.statusOf(this.#demo.exporterAsk);
      return registries.some(({ announced }) => announced.length > 0 && announced.every(isAvailable));
    });
  }

  /** Calls by Motan2 and by HTTP, and what the agents say of it. */
  async call(port, httpPort, ask) {
    const { say, expect, peony, until, statusOf } = this.#demo;
    const services = this.#fpm === null ? [HELLO] : [PAGE, HELLO];
    await until('the calling agent knows the exported services', async () => {
      const { clusters } = await statusOf(ask);
      return services.every((name) =>
        clusters
          .filter(({ service }) => service === name)
          .every(({ endpointsAvailable }) => endpointsAvailable === 1),
      );
    });
    const call = ['call', '--raw', '--port', `${port}`];
    if (this.#fpm !== null) {
      say('The PHP page, called by Motan2: arguments come as POST parameters.');
      await peony(
        'PHP answers a Motan2 call',
        0,
        [...call, PAGE, 'greet', '{"name": "Motan2"}'],
        /Hello, Motan2!/,
      );
      say('The same page by HTTP through the agent: a typed call, and a request for its domain.');
      await this.#curl('PHP answers a typed call', httpPort, `/v1/call/${PAGE}/greet`, /Hello, typed call!/, {
        json: '[{"name": "typed call"}]',
      });
      await this.#curl('PHP answers HTTP', httpPort, '/page.php?name=browser', /Hello, browser!/, {
        host: PAGE_DOMAIN,
      });
    }
    say('The HTTP service, called by Motan2, by a typed call, and by the bridge that motan-go has.');
    await peony(
      'the HTTP service answers a Motan2 call',
      0,
      [...call, HELLO, '/hello', '{"name": "Motan2"}'],
      /Hello, Motan2!/,
    );
    await this.#curl(
      'it answers a typed call',
      httpPort,
      `/v1/call/${HELLO}/%2Fhello`,
      /Hello, typed call!/,
      {
        json: '[{"name": "typed call"}]',
      },
    );
    const bridge = `/proxy_to_rpc?service=${HELLO}&method=/echo&group=demo&arg_type=string&arg=by-bridge`;
    await this.#curl('it answers the bridge', httpPort, bridge, /by-bridge/, {});

    say('What both agents tell of it.');
    await peony('the calling agent shows its HTTP port', 0, ['status', ...ask], /^ *http +127\.0\.0\.1/m);
    const shown = await peony(
      'the exporting agent shows its services',
      0,
      ['status', ...this.#demo.exporterAsk],
      /com\.example\.Hello/,
    );
    if (this.#fpm !== null)
      expect(
        'it knows how many children the pool has',
        shown.stdout.includes(` of ${CHILDREN} connections`),
        shown.stdout,
      );
  }

  async stop() {
    const { expect } = this.#demo;
    if (this.#exporter !== null)
      expect('the exporting agent ends with 0', (await stop(this.#exporter)) === 0, this.#exporter.output);
    if (this.#http !== null)
      expect('the HTTP service ends with 0', (await stop(this.#http)) === 0, this.#http.output);
    if (this.#fpm !== null) expect('PHP-FPM ends with 0', (await stop(this.#fpm)) === 0, this.#fpm.output);
  }

  async #startFpm(program) {
    const { root, folder } = this.#demo;
    const place = join(folder, 'php');
    mkdirSync(place);
    copyFileSync(join(root, 'examples/php-page/page.php'), join(place, 'page.php'));
    const isRoot = process.getuid() === 0;
    // Children of a pool that root starts run as another user, who has to get at the page.
    if (isRoot) for (const name of [folder, place]) chmodSync(name, 0o755);
    const config = join(place, 'fpm.conf');
    writeFileSync(
      config,
      `[global]
error_log = ${join(place, 'fpm.log')}
daemonize = no
[page]
listen = ${join(place, 'fpm.sock')}
${isRoot ? 'user = www-data\ngroup = www-data\n' : ''}pm = static
pm.max_children = ${CHILDREN}
pm.status_path = /fpm-status
ping.path = /fpm-ping
`,
    );
    return start(
      'PHP-FPM',
      program,
      ['--nodaemonize', '--force-stderr', '--fpm-config', config],
      /ready to handle connections/,
      place,
    );
  }

  #exporterConfiguration(exportPort, httpPort) {
    const { folder, registryEntry } = this.#demo;
    const page = `  page:
    path: ${PAGE}
    group: demo
    registry: shared
    export: motan2:${exportPort}
    provider: cgi
    CGI_HOST: unix://${join(folder, 'php/fpm.sock')}
    CGI_DOCUMENT_ROOT: ${join(folder, 'php')}
    CGI_SCRIPT_FILENAME: ${join(folder, 'php/page.php')}
    CGI_REQUEST_METHOD: POST
    fpmStatusPath: /fpm-status
    healthCheck: fpm
    healthCheckPath: /fpm-ping
    requestTimeout: 2000
    filter: accessLog,metrics
`;
    return `motan-agent:
  application: demo-exporter
  host: 127.0.0.1
  runtime_dir: ${join(folder, 'exporter-runtime')}
  snapshot_dir: ${join(folder, 'exporter-snapshot')}
  pidfile: ${join(folder, 'exporter.pid')}
  log_dir: ${join(folder, 'exporter-log')}
motan-registry:
  shared:
${registryEntry}motan-service:
${this.#fpm === null ? '' : page}  hello:
    path: ${HELLO}
    group: demo
    registry: shared
    export: motan2:${exportPort}
    provider: http
    proxyAddress: 127.0.0.1:${httpPort}
    domain: hello.example
    enableRewrite: false
    HTTP_REQUEST_METHOD: POST
    requestTimeout: 2000
    healthCheck: tcp
    filter: accessLog,metrics
`;
  }

  /** One HTTP request, shown as the curl command that makes it; made by curl where that is installed. */
  async #curl(claim, port, path, text, { json = null, host = null }) {
    const { expect, show, run, folder } = this.#demo;
    const url = `http://127.0.0.1:${port}${path}`;
    const words = ['--silent', '--show-error', '--noproxy', '*'];
    if (host !== null) words.push('--header', `Host: ${host}`);
    if (json !== null) words.push('--header', 'Content-Type: application/json', '--data', json);
    words.push(url);
    const shown = words.map((word) => (/^[\w./:=-]+$/.test(word) ? word : `'${word}'`)).join(' ');
    if (!has('curl')) {
      console.log(`   curl is not installed, so this is left out: curl ${shown}`);
      return;
    }
    const { code, stdout, stderr } = await run('curl', words, folder);
    show('$', `curl ${shown}\n${stdout}${stderr}`);
    expect(claim, code === 0 && text.test(stdout));
  }
}

function isAvailable({ desired, seen }) {
  return desired === 'available' && seen === 'available';
}

function findFpm() {
  for (const name of FPM_PROGRAMS) {
    for (const folder of FPM_FOLDERS) {
      const path = join(folder, name);
      if (isExecutable(path)) return path;
    }
  }
  return null;
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch (error) {
    if (['ENOENT', 'EACCES', 'ENOTDIR'].includes(error.code)) return false;
    throw error;
  }
}

/** Root on Debian may install; what that starts by itself is kept from starting. Null when it may not or cannot. */
function installFpm(say) {
  if (process.getuid() !== 0 || !has('apt-get')) return null;
  say('PHP-FPM is missing and this is root on a Debian system: installing php8.2-fpm.');
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const options = { env: environment, stdio: ['ignore', 'ignore', 'inherit'] };
  for (const words of [
    ['update', '-qq'],
    ['install', '-y', '-qq', '--no-install-recommends', 'php8.2-fpm'],
  ]) {
    if (spawnSync('apt-get', words, options).status !== 0) return null;
  }
  return findFpm();
}
