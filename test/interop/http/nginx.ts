/** A real nginx on loopback: a port and a unix socket, files, gzip, and a way through to another server. */
import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { accepts, freePort, makeFolder, type Peer, type Running, start } from '../support.js';

const program = ['/usr/sbin/nginx', '/usr/local/sbin/nginx', '/usr/bin/nginx'].find((path) =>
  existsSync(path),
);

export const nginxPeer: Peer = {
  name: 'nginx',
  available: program !== undefined,
  hint: 'install the package nginx-light',
};

/** Of the file `/files/large.bin`. */
export const LARGE_BYTES = 6 * 1024 * 1024;
/** `/files/text.txt`: long enough for gzip. */
export const TEXT = 'all work and no play makes a dull page\n'.repeat(500);

export interface Nginx {
  readonly process: Running;
  readonly port: number;
  readonly path: string;
  readonly large: Buffer;
}

/** @param appPort a server that `/app/` goes to */
export async function startNginx(appPort: number): Promise<Nginx> {
  const folder = makeFolder();
  const port = await freePort();
  const path = join(folder, 'nginx.sock');
  const large = Buffer.alloc(LARGE_BYTES, Buffer.from(Array.from({ length: 251 }, (_, byte) => byte)));
  chmodSync(folder, 0o755); // the workers are another user
  writeFileSync(join(folder, 'large.bin'), large);
  writeFileSync(join(folder, 'text.txt'), TEXT);
  writeFileSync(join(folder, 'nginx.conf'), configuration(folder, port, path, appPort));
  const args = [
    '-e',
    join(folder, 'error.log'),
    '-p',
    folder,
    '-c',
    join(folder, 'nginx.conf'),
    '-g',
    'daemon off;',
  ];
  const running = await start(
    { name: 'nginx', command: program!, args, cwd: folder },
    async () => (await accepts(port)) && (await accepts(path)),
  );
  chmodSync(path, 0o666);
  return { process: running, port, path, large };
}

/** A connection serves 5 requests, and is closed when it is idle for 1 s, the shortest time that nginx knows. */
function configuration(folder: string, port: number, path: string, appPort: number): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `  ${kind}_temp_path ${join(folder, `${kind}_temp`)};`)
    .join('\n');
  return `
worker_processes 1;
pid ${join(folder, 'nginx.pid')};
events { worker_connections 512; }
http {
  access_log off;
  types { text/plain txt; application/octet-stream bin; }
  keepalive_requests 5;
  keepalive_timeout 1s;
  client_max_body_size 32m;
  gzip on;
  gzip_min_length 1000;
  gzip_types text/plain;
${temporary}
  server {
    listen 127.0.0.1:${port};
    listen unix:${path};
    location /app/ {
      proxy_pass http://127.0.0.1:${appPort}/;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }
    location /files/ { alias ${folder}/; }
    location /said/ { return 200 "$request_method $request_uri"; }
    location /nothing { return 204; }
    location /moved { return 301 /said/there; }
  }
}
`;
}
