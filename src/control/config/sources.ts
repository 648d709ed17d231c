/**
 * Which files make up a configuration, read and merged (spec agent 2.1).
 *
 *   single mode  -c is a file, or ./motan.yaml
 *   pool mode    -c is a directory: basic, http/service, http/pools, services, applications, pools; later wins
 *
 * Unlike motan-go a file that exists but cannot be read or parsed is fatal in pool mode too: leaving it out would start
 * an agent with half of its services.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { messageOf } from '../../core/index.js';
import { mergeMaps } from './merge.js';
import { nearestName } from './near.js';
import type { MapNode, Spot } from './node.js';
import type { Problems } from './problems.js';
import { readYaml } from './yaml-reader.js';

/** Larger files are not configurations. */
const FILE_BYTES_MAX = 64 * 1024 * 1024;

export interface SourceOptions {
  readonly path: string;
  readonly pool: string;
  readonly application: string;
  readonly cwd: string;
}

/** The merged tree, or null when nothing usable was found: then fatal problems were added. */
export function readSources(options: SourceOptions, problems: Problems): MapNode | null {
  const path = options.path || (options.pool === '' ? './motan.yaml' : './');
  const kind = kindOf(resolve(options.cwd, path));
  if (kind === 'directory') return new PoolReader(path, options, problems).read();
  if (kind === 'missing')
    return fatalFile(problems, path, 'no such file or directory', 'an existing file or directory: -c PATH');
  return readFile(path, options.cwd, problems) ?? null;
}

function fatalFile(problems: Problems, path: string, message: string, expected: string | null): null {
  problems.fatal({
    code: 'file',
    key: '',
    value: path,
    at: { file: path, line: 1, column: 1 },
    message,
    expected,
  });
  return null;
}

function kindOf(path: string): 'file' | 'directory' | 'missing' {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return 'missing';
  return stat.isDirectory() ? 'directory' : 'file';
}

/** The tree of a file; undefined when there is no such file, null when it is broken. */
function readFile(name: string, cwd: string, problems: Problems): MapNode | null | undefined {
  try {
    const path = resolve(cwd, name);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return undefined;
    if (stat.size > FILE_BYTES_MAX)
      return fatalFile(problems, name, 'the file is too large', `at most ${FILE_BYTES_MAX} bytes`);
    const text = new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path));
    return readYaml(name, text, problems);
  } catch (error) {
    const isEncoding = error instanceof TypeError;
    return fatalFile(
      problems,
      name,
      isEncoding ? 'the file is not UTF-8 text' : `cannot be read: ${messageOf(error)}`,
      null,
    );
  }
}

class PoolReader {
  readonly #directory: string;
  readonly #options: SourceOptions;
  readonly #problems: Problems;
  readonly #importedLocations = new Set<string>();
  #tree: MapNode | null = null;
  #isBroken = false;
  /** Files found that are about this application or pool. */
  #ownFiles = 0;

  constructor(directory: string, options: SourceOptions, problems: Problems) {
    this.#directory = directory;
    this.#options = options;
    this.#problems = problems;
  }

  read(): MapNode | null {
    const { pool } = this.#options;
    const application = this.#options.application || pool.split('-')[0]!;
    if (application === '') {
      return fatalFile(
        this.#problems,
        this.#directory,
        'a configuration directory needs a pool',
        '-pool NAME or -application NAME',
      );
    }
    this.#add('basic.yaml', 'none');
    this.#ownFiles = 0;
    this.#add(join('http', 'service', `${application}.yaml`), 'locations');
    if (pool !== '') this.#add(join('http', 'pools', `${pool}.yaml`), 'locations');
    this.#addApplication(application);
    const parts = pool === '' ? [] : pool.split('-');
    for (let count = 1; count <= parts.length; count += 1) {
      this.#add(join('pools', `${parts.slice(0, count).join('-')}.yaml`), 'none');
    }
    if (this.#isBroken) return null;
    if (this.#tree !== null) {
      if (this.#ownFiles === 0) this.#warnUnknownPool(application);
      return this.#tree;
    }
    return fatalFile(
      this.#problems,
      this.#directory,
      `no configuration file for application "${application}" and pool "${pool}"`,
      `for example ${join(this.#directory, 'applications', `${application}.yaml`)}`,
    );
  }

  /** Loading goes on, as with the peers: `basic.yaml` may be all there is. But a mistyped pool looks just like that. */
  #warnUnknownPool(application: string): void {
    const folder = join(this.#directory, 'applications');
    const full = resolve(this.#options.cwd, folder);
    const known = existsSync(full) ? readdirSync(full).map((name) => basename(name, '.yaml')) : [];
    this.#problems.warning({
      code: 'pool-unknown',
      key: '-pool',
      value: this.#options.pool || application,
      message: 'no file is about this application or pool: only basic.yaml is read',
      expected: join(folder, `${application}.yaml`),
      didYouMean: nearestName(application, known),
    });
  }

  #addApplication(application: string): void {
    const name = join('applications', `${application}.yaml`);
    const tree = this.#readOnly(name);
    if (tree === null) return;
    for (const imported of this.#importNames(tree, 'import-refer')) {
      this.#addImported(join('services', `${imported.name}.yaml`), 'import-refer', imported.at, 'locations');
    }
    this.#warnNoEffect(tree, 'import-http-location');
    this.#merge(tree);
  }

  /** Merges a file when it exists, its imported locations first. */
  #add(name: string, imports: 'locations' | 'none'): boolean {
    const tree = this.#readOnly(name);
    if (tree === null) return false;
    this.#warnNoEffect(tree, 'import-refer');
    if (imports === 'none') this.#warnNoEffect(tree, 'import-http-location');
    else {
      for (const location of this.#importNames(tree, 'import-http-location')) {
        if (this.#importedLocations.has(location.name)) continue;
        this.#importedLocations.add(location.name);
        this.#addImported(
          join('http', 'location', `${location.name}.yaml`),
          'import-http-location',
          location.at,
          'none',
        );
      }
    }
    this.#merge(tree);
    return true;
  }

  #addImported(name: string, key: string, at: Spot, imports: 'locations' | 'none'): void {
    const problemsBefore = this.#problems.list.length;
    if (this.#add(name, imports) || this.#problems.list.length > problemsBefore) return;
    this.#problems.warning({
      code: 'import-missing',
      key,
      at,
      value: name,
      message: 'the imported file does not exist',
      expected: join(this.#directory, name),
    });
  }

  #readOnly(name: string): MapNode | null {
    const tree = readFile(join(this.#directory, name), this.#options.cwd, this.#problems);
    if (tree === null) this.#isBroken = true;
    return tree ?? null;
  }

  #merge(tree: MapNode): void {
    this.#ownFiles += 1;
    this.#tree = this.#tree === null ? tree : mergeMaps(this.#tree, tree);
  }

  #importNames(tree: MapNode, key: string): { name: string; at: Spot }[] {
    const node = tree.get(key);
    if (node === undefined) return [];
    if (node.kind !== 'list') {
      if (node.kind !== 'scalar' || node.type !== 'null') {
        this.#problems.error({
          code: 'type',
          key,
          node,
          message: 'nothing is imported',
          expected: 'a list of names',
        });
      }
      return [];
    }
    const names: { name: string; at: Spot }[] = [];
    for (const item of node.items) {
      if (item.kind === 'scalar' && item.type === 'string')
        names.push({ name: String(item.value), at: item });
      else
        this.#problems.error({ code: 'type', key, node: item, message: 'not imported', expected: 'a name' });
    }
    return names;
  }

  #warnNoEffect(tree: MapNode, key: string): void {
    const entry = tree.entries.get(key);
    if (entry === undefined) return;
    const where = key === 'import-refer' ? 'applications/' : 'services/, http/service/ and http/pools/';
    this.#problems.warning({
      code: 'no-effect',
      key,
      at: entry.keyAt,
      message: `has no effect in this file: it is read only in ${where}`,
    });
  }
}
