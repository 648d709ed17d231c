/**
 * Runs the programs of this folder one after the other, each in a process of its own:
 *
 *   node bench/micro/run.mjs [NAME]...
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('.', import.meta.url));
const subjects = readdirSync(folder)
  .filter((name) => name.endsWith('.ts') && name !== 'support.ts')
  .map((name) => name.slice(0, -'.ts'.length));
const wanted = process.argv.length > 2 ? process.argv.slice(2) : subjects;

for (const name of wanted) {
  if (!subjects.includes(name)) {
    console.error(`no such subject "${name}"; there are: ${subjects.join(', ')}`);
    process.exitCode = 2;
    break;
  }
  console.log(`${name}:`);
  const args = ['--import', 'tsx', join(folder, `${name}.ts`)];
  const { status } = spawnSync(process.execPath, args, { stdio: 'inherit', cwd: join(folder, '../..') });
  if (status !== 0) process.exitCode = 1;
}
