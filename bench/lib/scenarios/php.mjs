/**
 * A trivial page of one php-fpm pool: called by Motan2 through an agent's provider `cgi`, called by HTTP through an agent (its HTTP
 * port, a call over Motan2 to its own export, provider `cgi`), and by HTTP through nginx. The pool's workers share CPU 1 with the load.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../processes.mjs';
import { AGENT_CPU, LOAD_CPU, startAgent, startProgram } from '../systems.mjs';
import { closed, directTo, httpLoad, motanLoad, service } from './parts.mjs';
import { DOMAIN, domainOf, locationsOf } from './web-domain.mjs';

const IN_FLIGHT = 16;
const WORKERS = 8;
const PAGE = 'a page of php-fpm';
const FORM = 'Content-Type: application/x-www-form-urlencoded';

export const phpByMotan = {
  ...onPool({
    title: 'Motan2 to php-fpm, trivial page',
    systems: ['peony', 'motan-go', 'nginx'],
    cases: [
      closed('php-motan', `4 connections, ${IN_FLIGHT} in flight`, [4, IN_FLIGHT, 64], {
        'motan-go': 1.2,
        nginx: 0.95,
      }),
    ],
  }),

  async start(name, context) {
    if (name === 'nginx') return pageByNginx(context);
    const [forward, exported] = await freePorts(2);
    await startAgent(name, context, {
      forward,
      exports: [exported],
      config: {
        'motan-registry': { direct: directTo(exported) },
        'motan-service': { bench: phpService(context, exported) },
      },
    });
    return motanLoad(exported, '--expect', PAGE);
  },
};

export const phpByHttp = {
  ...onPool({
    title: 'HTTP to php-fpm, trivial page',
    systems: ['peony', 'nginx'],
    cases: [closed('php-http', `${IN_FLIGHT} connections`, [IN_FLIGHT, IN_FLIGHT, 64], { nginx: 0.95 })],
  }),

  async start(name, context) {
    if (name === 'nginx') return pageByNginx(context);
    const [forward, exported, port] = await freePorts(3);
    await startAgent(name, context, {
      forward,
      http: port,
      exports: [exported],
      config: {
        'motan-agent': { httpProxyEnable: true },
        'motan-registry': { direct: directTo(exported) },
        'motan-service': { bench: phpService(context, exported) },
        'http-client': { bench: domainOf('direct') },
        'http-locations': locationsOf(DOMAIN),
      },
    });
    return pageByHttp(port);
  },
};

function onPool(scenario) {
  return { ...scenario, needs: ['phpFpm'], startBackends: startPool };
}

function phpService({ backends }, exported) {
  return service({
    registry: 'direct',
    export: `motan2:${exported}`,
    provider: 'cgi',
    CGI_HOST: '127.0.0.1',
    CGI_PORT: backends.fpm,
    CGI_REQUEST_METHOD: 'POST',
    CGI_SCRIPT_FILENAME: backends.script,
    CGI_DOCUMENT_ROOT: backends.root,
    maxChildren: WORKERS,
    requestTimeout: 5000,
  });
}

function pageByHttp(port) {
  const host = ['--header', `Host: ${DOMAIN}`, '--header', FORM];
  return httpLoad(port, '/page.php', ...host, '--connections', String(IN_FLIGHT), '--expect', PAGE);
}

/** A pool with TCP: provider `cgi` of motan-go has no unix sockets, and all systems shall have the same pool. */
async function startPool(context) {
  const [fpm] = await freePorts(1);
  const root = join(context.folder, 'www');
  const script = join(root, 'page.php');
  mkdirSync(root, { recursive: true });
  writeFileSync(script, `<?php header('Content-Type: text/plain'); echo '${PAGE}';\n`);
  const file = join(context.folder, 'fpm.conf');
  writeFileSync(file, poolConfig(context.folder, fpm));
  // -R: a pool of root, where the benchmark runs as root, is nothing to be refused here.
  const args = ['--nodaemonize', '--allow-to-run-as-root', '--fpm-config', file];
  await startProgram(context, { command: context.programs.phpFpm, args, cpu: LOAD_CPU, port: fpm });
  return { fpm, root, script };
}

function poolConfig(folder, port) {
  return `[global]
error_log = ${folder}/fpm.log
pid = ${folder}/fpm.pid
[bench]
user = ${userInfo().username}
listen = 127.0.0.1:${port}
pm = static
pm.max_children = ${WORKERS}
`;
}

async function pageByNginx(context) {
  const { folder, programs, backends } = context;
  const [port] = await freePorts(1);
  const file = join(folder, 'nginx.conf');
  writeFileSync(file, nginxConfig(folder, port, backends));
  const args = ['-p', folder, '-c', file, '-e', 'stderr'];
  await startProgram(context, { command: programs.nginx, args, cpu: AGENT_CPU, port });
  return pageByHttp(port);
}

function nginxConfig(folder, port, { fpm, root, script }) {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
${process.getuid() === 0 ? 'user root;' : ''}
events { worker_connections 1024; }
http {
  access_log ${folder}/access.log;
  ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join('\n  ')}
  keepalive_requests 1000000000;
  server {
    listen 127.0.0.1:${port};
    server_name ${DOMAIN};
    root ${root};
    location / {
      fastcgi_param REQUEST_METHOD $request_method;
      fastcgi_param SCRIPT_FILENAME ${script};
      fastcgi_param DOCUMENT_ROOT ${root};
      fastcgi_param QUERY_STRING $query_string;
      fastcgi_param CONTENT_TYPE $content_type;
      fastcgi_param CONTENT_LENGTH $content_length;
      fastcgi_param SCRIPT_NAME $fastcgi_script_name;
      fastcgi_param REQUEST_URI $request_uri;
      fastcgi_param SERVER_PROTOCOL $server_protocol;
      fastcgi_param GATEWAY_INTERFACE CGI/1.1;
      fastcgi_param REMOTE_ADDR $remote_addr;
      fastcgi_pass 127.0.0.1:${fpm};
    }
  }
}
`;
}
