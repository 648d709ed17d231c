/** Builds what a benchmark runs. Programs that are not sources of this repository go to .cache/bench. */
import { existsSync, mkdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isThere, runOnce } from './processes.mjs';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BUILD_MS = 20 * 60_000;
/** Where daemons are installed, which is not in everybody's PATH. */
const DAEMON_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/** @returns path of the load generator */
export async function buildMeshload() {
  const cwd = join(ROOT, 'bench/meshload');
  if (!(await isThere('cargo', '--version'))) {
    throw new Error('the load generator is a Rust program: install Rust (cargo) first');
  }
  await runOnce('cargo', ['build', '--release', '--locked'], { cwd, timeoutMs: BUILD_MS });
  return join(cwd, 'target/release/meshload');
}

/** @returns path of the motan-go agent, or null where Go is missing */
export async function buildMotanGo() {
  if (!(await isThere('go', 'version'))) return null;
  const folder = join(ROOT, '.cache/bench');
  mkdirSync(folder, { recursive: true });
  const program = join(folder, 'motan-go-agent');
  const args = ['build', '-buildvcs=false', '-o', program, '.'];
  await runOnce('go', args, { cwd: join(ROOT, 'bench/motan-go-agent'), timeoutMs: BUILD_MS });
  return program;
}

/** @returns path of the command */
export async function buildPeony() {
  await runOnce('npm', ['run', '--silent', 'build'], { cwd: ROOT, timeoutMs: BUILD_MS });
  return join(ROOT, 'bin/peony');
}

/** @returns path of the first of `names` that is installed, or null */
export function installed(...names) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...DAEMON_FOLDERS];
  const files = names.flatMap((name) => folders.map((folder) => join(folder, name)));
  return files.find((file) => existsSync(file)) ?? null;
}
